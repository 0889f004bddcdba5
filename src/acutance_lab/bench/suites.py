"""The catalogue of suites. A new suite is one file with a function that lists cases, and its name here."""

from __future__ import annotations

from types import MappingProxyType

from acutance.errors import ConfigError
from acutance_lab.bench.case import Suite
from acutance_lab.bench.lai import LAI
from acutance_lab.bench.levin import LEVIN32, LEVIN32_KERNELS
from acutance_lab.bench.light import KODAK24_LINEAR
from acutance_lab.bench.pairs import GOPRO_SCENE, RAIN, RAIN_LUMA, REAL_NOISE, REDS
from acutance_lab.bench.pictures import BSD68, KODAK24, SET12
from acutance_lab.bench.real import KOHLER, LAI_REAL
from acutance_lab.bench.text import TEXT
from acutance_lab.bench.unblurred import BSD68_NOISE, BSD68_SENSING, KODAK24_NOISE, SET11, SHARP

_ALL = (
    LEVIN32, LEVIN32_KERNELS, SET12, BSD68, KODAK24, KODAK24_LINEAR, TEXT, LAI, LAI_REAL, KOHLER, REDS, GOPRO_SCENE,
    SHARP, BSD68_NOISE, KODAK24_NOISE, REAL_NOISE, RAIN, RAIN_LUMA, SET11, BSD68_SENSING,
)  # fmt: skip

SUITES = MappingProxyType({suite.name: suite for suite in _ALL})
"""Every suite by name."""


def find_suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        ConfigError: with the names that there are.
    """
    if name not in SUITES:
        raise ConfigError(f"there is no suite {name!r}; there are {', '.join(SUITES)}")
    return SUITES[name]
