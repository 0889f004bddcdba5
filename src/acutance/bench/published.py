"""Figures that others have published, to stand beside what was measured; each with its source, as printed there.

They compare only where noise, crop, alignment and what the method was told are the same, which `note` says as far as it
is known. Sources are keys of `docs/references.bib`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from acutance.bench.case import Noise

TOLD = "noise level told"
UNTOLD = "noise level not told"
UNCLEAR = "protocol not stated"


@dataclass(frozen=True)
class Published:
    """PSNR in dB that a work reports for a method on a suite, by noise level (None: as captured), to its last digit."""

    suite: str
    method: str
    source: str
    note: str
    psnr: Mapping[Noise, str]


def _percent(values: str) -> Mapping[Noise, str]:
    """At 1 %, 2 %, ..."""
    return MappingProxyType({n / 100: value for n, value in enumerate(values.split(), 1)})


def _captured(values: str) -> Mapping[Noise, str]:
    """As captured, then at 1 %, 2 %, ..."""
    first, _, rest = values.partition(" ")
    return MappingProxyType({None: first, **_percent(rest)})


_VEM, _FDN, _RGDM = "nan2020variational", "kruse2017fdn", "rgdm2022"

PUBLISHED = (
    Published(
        "levin32", "RGDN", _RGDM, f"{UNCLEAR}; the last digit at 2 % is illegible", _captured("35.04 33.68 30.1?")
    ),
    Published("levin32", "EPLL", _RGDM, UNCLEAR, _captured("34.35 32.45 30.03")),
    Published("levin32", "Levin", _RGDM, UNCLEAR, _captured("33.60 32.01 29.92")),
    Published("levin32", "FD", _RGDM, UNCLEAR, _captured("32.36 30.85 28.84")),
    Published("levin32", "FDN", _FDN, TOLD, _captured("35.09")),
    Published("levin32", "EPLL", _FDN, TOLD, _captured("34.75")),
    Published("levin32", "CSF", _FDN, TOLD, _captured("34.06")),
    Published("levin32", "RTF", _FDN, TOLD, _captured("33.97")),
    Published("levin32", "Levin", _FDN, TOLD, _captured("33.82")),
    Published("levin32", "VEM", _VEM, UNTOLD, _percent("34.31 32.02 30.50 29.42 28.52")),
    Published("levin32", "FDN", _VEM, UNTOLD, _percent("33.65 31.18 29.79 28.84 28.02")),
    Published("levin32", "IDD-BM3D", _VEM, UNTOLD, _percent("33.75 30.96 29.26 28.17 27.33")),
    Published("levin32", "DMSP", _VEM, UNTOLD, _percent("32.61 30.40 29.31 28.52 27.79")),
    Published("levin32", "FCNN", _VEM, TOLD, _percent("33.10")),
    Published("levin32", "IRCNN", _VEM, TOLD, _percent("32.66")),
    Published("levin32", "EPLL", _VEM, TOLD, _percent("32.03")),
    Published("levin32", "CSF", _VEM, TOLD, _percent("29.85")),
    Published("set12", "VEM", _VEM, UNTOLD, _percent("31.93 29.78 28.47 27.52 26.77")),
    Published("set12", "FDN", _VEM, UNTOLD, _percent("31.43 29.18 27.89 26.98 26.28")),
    Published("set12", "IDD-BM3D", _VEM, UNTOLD, _percent("31.43 28.97 27.56 26.66 25.95")),
    Published("set12", "DMSP", _VEM, UNTOLD, _percent("31.06 28.97 27.87 27.07 26.39")),
    Published("set12", "FCNN", _VEM, TOLD, _percent("30.68")),
    Published("set12", "IRCNN", _VEM, TOLD, _percent("30.53")),
    Published("set12", "CSF", _VEM, TOLD, _percent("29.37")),
    Published("set12", "EPLL", _VEM, TOLD, _percent("27.61")),
)
"""Within a suite by source; a later source repeats others' methods under its own protocol."""
