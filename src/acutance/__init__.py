"""Acutance: learned optimisers that make blurred pictures sharp again and keep the physics of blur in every step.

The public names load on first use, so that the mathematical core stays light.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from acutance.registry import METHODS as _METHODS
from acutance.version import VERSION

if TYPE_CHECKING:
    from acutance.errors import AcutanceError
    from acutance.images import Image, read_image, write_image
    from acutance.images.kernel_file import read_kernel, write_kernel
    from acutance.images.stack import Stack, Voxel
    from acutance.images.stack_file import read_stack
    from acutance.images.stack_write import write_stack
    from acutance.operators import Blur
    from acutance.problem import Outcome, Problem, Result
    from acutance.restoration.front_door import estimate_kernel, restore
    from acutance.restoration.restored import Restoration
    from acutance.restoration.restorer import Restorer
    from acutance.restoration.stack import restore_stack
    from acutance.restoration.volume import restore_volume
    from acutance.solver import RelativeChange, Solver


__version__ = VERSION

__all__ = [
    "AcutanceError",
    "Blur",
    "Image",
    "Outcome",
    "Problem",
    "RelativeChange",
    "Restoration",
    "Restorer",
    "Result",
    "Solver",
    "Stack",
    "Voxel",
    "estimate_kernel",
    "read_image",
    "read_kernel",
    "read_stack",
    "restore",
    "restore_stack",
    "restore_volume",
    "write_image",
    "write_kernel",
    "write_stack",
]

_HOMES = {
    "errors": ("AcutanceError",),
    "images": ("Image", "read_image", "write_image"),
    "images.kernel_file": ("read_kernel", "write_kernel"),
    "images.stack": ("Stack", "Voxel"),
    "images.stack_file": ("read_stack",),
    "images.stack_write": ("write_stack",),
    "operators": ("Blur",),
    "problem": ("Outcome", "Problem", "Result"),
    "restoration.front_door": ("estimate_kernel", "restore"),
    "restoration.restored": ("Restoration",),
    "restoration.restorer": ("Restorer",),
    "restoration.stack": ("restore_stack",),
    "restoration.volume": ("restore_volume",),
    "solver": ("RelativeChange", "Solver"),
}


def _methods() -> Iterable[Any]:
    from acutance.catalogue import methods

    return methods()


_METHODS.provide(_methods)


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"acutance.{module}"), name)
    raise AttributeError(f"module 'acutance' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
