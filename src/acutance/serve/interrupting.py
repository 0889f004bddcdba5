"""A cancel is looked for at the calls of torch, so that a job stops within a step of its method.

A step of `acute` takes 10 s of a picture of one megapixel, a single operation of torch a fraction of a second. What
`look` raises leaves the operation as any error of torch would, such as one of memory; nothing in the library needs to
know of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

EVERY = 0.05
"""Seconds between two looks, at least: a look asks the system, and steps have thousands of operations."""


class Interrupting(TorchFunctionMode):
    """While entered, `look` is called before operations of torch in this thread, every `EVERY` seconds at most.

    Args:
        look: raises to end what is being computed.

    Example:
        >>> import torch
        >>> looks = []
        >>> with Interrupting(lambda: looks.append(1)):
        ...     _ = torch.ones(2) + 1
        >>> looks
        [1]
    """

    def __init__(self, look: Callable[[], None]) -> None:
        super().__init__()
        self._look, self._next = look, 0.0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See `torch.overrides`."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self._look()
        return func(*args, **(kwargs or {}))
