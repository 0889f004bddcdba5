"""The estimators by name; each is made with ``size=``, the side of the kernel."""

from __future__ import annotations

from collections.abc import Callable

from acutance.blind.base import Estimator
from acutance.blind.dark_channel import DarkChannel
from acutance.blind.extreme_channels import ExtremeChannels
from acutance.blind.krishnan import Krishnan
from acutance.blind.learned import Learned
from acutance.blind.levin_mmse import LevinMmse
from acutance.blind.pan_text import PanText
from acutance.blind.xu_jia import XuJia
from acutance.blind.xu_l0 import XuL0

ESTIMATORS: dict[str, Callable[..., Estimator]] = {
    "learned": Learned,
    "xu-l0": XuL0,
    "dark-channel": DarkChannel,
    "extreme-channels": ExtremeChannels,
    "pan-text": PanText,
    "xu-jia": XuJia,
    "krishnan": Krishnan,
    "levin-mmse": LevinMmse,
}
