"""The estimators by name; each is made with ``size=``, the side of the kernel."""

from __future__ import annotations

from collections.abc import Callable

from acutance.blind.base import Estimator
from acutance.blind.xu_l0 import XuL0

ESTIMATORS: dict[str, Callable[..., Estimator]] = {"xu-l0": XuL0}
