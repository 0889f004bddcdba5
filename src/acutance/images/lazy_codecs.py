"""imagecodecs, loaded on first use: it is large, most pictures need none of it, and training needs no codec at all."""

from __future__ import annotations

import importlib
from typing import Any

from acutance.errors import ImageError


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        package = importlib.import_module("imagecodecs")
    except ImportError:
        raise ImageError("this kind of file needs the package imagecodecs; pip install imagecodecs") from None
    return getattr(package, name)
