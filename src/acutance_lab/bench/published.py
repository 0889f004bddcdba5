"""Figures that others have published, to stand beside what was measured; each with its source, as printed there.

They compare only in the same cut (`acutance_lab.bench.cuts`), and over the whole set: elsewhere the two figures are
named, and no difference. What else differs, as noise, alignment and what the method was told, `Published.note` and
`differences` say as far as it is known. Sources are keys of `docs/references.bib`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from acutance.methods.spec import catalogue
from acutance_lab.bench.case import Noise
from acutance_lab.bench.cuts import Cut
from acutance_lab.bench.suites import SUITES
from acutance_lab.bench.tasks import LEVELS

TOLD = "noise level told"
UNTOLD = "noise level not told"
UNCLEAR = "protocol not stated"


@dataclass(frozen=True)
class Published:
    """PSNR in dB that a work reports for a method on a suite, by noise level (None: as captured), to its last digit.

    Args:
        suite, method, source: of the figures; `method` as the source calls it.
        told: whether the method was told the noise level; None: the source does not say.
        psnr: by noise level; an illegible digit is "?".
        remark: what else must be known of the figures.
        kernels: of the cases behind them, where not all count: what their names begin with, up to a "/".
        cut: that they were scored in; None: the source does not say.
    """

    suite: str
    method: str
    source: str
    told: bool | None
    psnr: Mapping[Noise, str]
    remark: str = ""
    kernels: str = ""
    cut: Cut | None = None

    @property
    def note(self) -> str:
        """What is known of the protocol, in words."""
        told = {True: TOLD, False: UNTOLD, None: UNCLEAR}[self.told]
        return f"{told}; {self.remark}" if self.remark else told


@dataclass(frozen=True)
class Counterpart:
    """A method of ours that a published one compares with; not `same`: of the same family only."""

    method: str
    same: bool = True


@dataclass(frozen=True)
class Comparison:
    """A measured mean beside a published figure.

    Args:
        published: the row; noise: the level. method, weights: ours.
        cut: of the measured mean; that of the row, where its source says it.
        measured: our mean in dB, over so many cases. size: of the whole set; None: unknown.
        figure: as printed. difference: ours less theirs in dB; None: the cut there is not known, ours is a mean over a
            part of the set, or there is no digit to compare.
        rough: a digit of the figure is illegible, so the difference holds to a tenth.
        same: our method is that method, not only one of its family.
        differences: of the protocols, in words; empty: none that we know of.
    """

    published: Published
    noise: Noise
    method: str
    weights: str | None
    cut: Cut
    measured: float
    cases: int
    size: int | None
    figure: str
    difference: float | None
    rough: bool
    same: bool
    differences: tuple[str, ...]

    @property
    def part(self) -> bool:
        """Our mean is over a part of the set."""
        return self.size is not None and self.cases < self.size


Means = Mapping[tuple[str, str | None, Noise, Cut], tuple[float, int]]
"""(label, weights, level, cut) -> (mean PSNR in dB, cases behind it)."""


def _percent(values: str) -> Mapping[Noise, str]:
    """At 1 %, 2 %, ...; "-": not reported."""
    return MappingProxyType({n / 100: value for n, value in enumerate(values.split(), 1) if value != "-"})


def _captured(values: str) -> Mapping[Noise, str]:
    """As captured, then at 1 %, 2 %, ...; "-": not reported."""
    first, _, rest = values.partition(" ")
    return MappingProxyType({**({} if first == "-" else {None: first}), **_percent(rest)})


def _vem(suite: str, method: str, values: str) -> Published:
    """A row of the table that VEM's code printed: 1 to 5 %, level not told, in the cut of that code."""
    return Published(suite, method, _VEM, False, _percent(values), cut=Cut.PUBLISHED)


def _of_255(values: str) -> Mapping[Noise, str]:
    """At 15, 25 and 50 of 255."""
    return MappingProxyType(dict(zip(LEVELS, values.split(), strict=True)))


_VEM, _FDN, _RGDM, _CSF = "nan2020variational", "kruse2017fdn", "rgdm2022", "schmidt2014csf"
_DNCNN, _DGUNET = "zhang2017dncnn", "mou2022dgunet"
_ILLEGIBLE = "a digit that is or is followed by ? is illegible or doubtful"

PUBLISHED = (
    Published("levin32", "RGDN", _RGDM, False, _captured("35.04 33.68 30.1?"), f"{UNCLEAR}; {_ILLEGIBLE}"),
    Published("levin32", "FDN", _RGDM, None, _captured("35.1? 33.62 29.70"), _ILLEGIBLE),
    Published("levin32", "EPLL", _RGDM, None, _captured("34.35 32.45 30.03")),
    Published("levin32", "Levin", _RGDM, None, _captured("33.60 32.01 29.92")),
    Published("levin32", "FD", _RGDM, None, _captured("32.36 30.85 28.84")),
    Published("levin32", "GradNet", _RGDM, None, _captured("- 31.43 28.85")),
    Published("levin32", "IRCNN", _RGDM, None, _captured("31.35? 3?.? 30.09"), _ILLEGIBLE),
    Published("levin32", "MLP", _RGDM, None, _captured("3?.55 30.68 28.16"), _ILLEGIBLE),
    Published("levin32", "TNRD", _RGDM, None, _captured("- 28.88 28.10")),
    Published("levin32", "CSF", _RGDM, None, _captured("32.08 28.12 21.68")),
    Published("levin32", "FDN", _FDN, True, _captured("35.09")),
    Published("levin32", "EPLL", _FDN, True, _captured("34.75")),
    Published("levin32", "CSF", _FDN, True, _captured("34.06")),
    Published("levin32", "RTF", _FDN, True, _captured("33.97")),
    Published("levin32", "Levin", _FDN, True, _captured("33.82")),
    _vem("levin32", "VEM", "34.31 32.02 30.50 29.42 28.52"),
    _vem("levin32", "FDN", "33.65 31.18 29.79 28.84 28.02"),
    _vem("levin32", "IDD-BM3D", "33.75 30.96 29.26 28.17 27.33"),
    _vem("levin32", "DMSP", "32.61 30.40 29.31 28.52 27.79"),
    Published("levin32", "IDD-BM3D", _VEM, True, _percent("33.75")),
    Published("levin32", "FCNN", _VEM, True, _percent("33.10")),
    Published("levin32", "IRCNN", _VEM, True, _percent("32.66")),
    Published("levin32", "EPLL", _VEM, True, _percent("32.03")),
    Published("levin32", "CSF", _VEM, True, _percent("29.85")),
    _vem("set12", "VEM", "31.93 29.78 28.47 27.52 26.77"),
    _vem("set12", "FDN", "31.43 29.18 27.89 26.98 26.28"),
    _vem("set12", "IDD-BM3D", "31.43 28.97 27.56 26.66 25.95"),
    _vem("set12", "DMSP", "31.06 28.97 27.87 27.07 26.39"),
    Published("set12", "IDD-BM3D", _VEM, True, _percent("31.43")),
    Published("set12", "FCNN", _VEM, True, _percent("30.68")),
    Published("set12", "IRCNN", _VEM, True, _percent("30.53")),
    Published("set12", "CSF", _VEM, True, _percent("29.37")),
    Published("set12", "EPLL", _VEM, True, _percent("27.61")),
    *(
        Published("levin32_kernels", method, _CSF, None, _captured(figure), f"kernels of {people}", folder)
        for people, folder, figures in (
            ("Levin et al. 2011", "levin_cvpr_2011", "30.05 30.40 30.42"),
            ("Cho & Lee 2009", "cho_and_lee_tog_2009", "29.71 29.73 29.99"),
            ("Fergus et al. 2006", "fergus_tog_2006", "28.38 29.10 29.02"),
        )
        for method, figure in zip(("Levin", "RTF", "CSF"), figures.split(), strict=True)
    ),
    Published("bsd68-noise", "BM3D", _DNCNN, True, _of_255("31.07 28.57 25.62"), cut=Cut.WHOLE),
    Published("bsd68-noise", "TNRD", _DNCNN, True, _of_255("31.42 28.92 25.97"), cut=Cut.WHOLE),
    Published(
        "bsd68-noise", "DnCNN-S", _DNCNN, True, _of_255("31.73 29.23 26.23"), "a network for each level", cut=Cut.WHOLE
    ),
    Published("bsd68-noise", "DnCNN-B", _DNCNN, False, _of_255("31.61 29.16 26.23"), cut=Cut.WHOLE),
    *(
        Published(suite, f"DGUNet+ at {ratio} %", _DGUNET, None, _captured(figure), "some 7 million weights")
        for suite, figures in (
            ("set11", "22.09 26.84 31.07 36.11 41.22"),
            ("bsd68-sensing", "22.65 25.55 28.26 31.90 37.01"),
        )
        for ratio, figure in zip((1, 4, 10, 25, 50), figures.split(), strict=True)
    ),
)
"""Within a suite by source; a later source repeats others' methods under its own protocol."""

COUNTERPARTS: Mapping[str, tuple[Counterpart, ...]] = MappingProxyType(
    {
        "RGDN": (Counterpart("rgdn"),),
        "EPLL": (Counterpart("epll"),),
        "Levin": (Counterpart("levin"),),
        "FD": (Counterpart("fd"),),
        "FDN": (Counterpart("fdn"),),
        "CSF": (Counterpart("csf"),),
        "MLP": (Counterpart("mlp"),),
        "TNRD": (Counterpart("tnrd"),),
        "GradNet": (Counterpart("gradnet"),),
        "IRCNN": (Counterpart("ircnn"), Counterpart("pnp", same=False)),
        "BM3D": (Counterpart("bm3d"),),
        "DnCNN-B": (Counterpart("dgunet-denoise", same=False),),
        "IDD-BM3D": (Counterpart("pnp", same=False),),
        "DMSP": (Counterpart("pnp", same=False),),
    }
)
"""Which of our methods, without settings, a published one compares with; the others compare with none."""

PROTOCOLS: Mapping[str, str] = MappingProxyType(
    {
        _RGDM: "alignment and rounding not stated there",
        _FDN: "alignment there not known to us (FDN with its authors' weights scores 35.30 under ours)",
        _VEM: "noise drawn anew",
        _CSF: "alignment there not known to us",
        _DNCNN: "rounded to 8 bits there, noise drawn anew",
        _DGUNET: "rounding there not known to us",
    }
)
"""Differences from our protocol besides the cut, as far as they are known, by source."""


def comparisons(
    suite: str, means: Means, kernels: str = "", published: Sequence[Published] = PUBLISHED
) -> list[Comparison]:
    """Every published figure of a suite for which one of ours was measured at that level, in the same cut.

    A figure whose cut is not known stands beside our mean in the usual cut of the suite, without a difference.

    Args:
        suite: name. means: ours. kernels: of the cases behind the means, see `Published`.
        published: rows to compare with.

    Returns:
        By published row, level, and our label; first the figures for the very method, then those of its family.
    """
    found = []
    for each in published:
        for counterpart in COUNTERPARTS.get(each.method, ()) if (each.suite, each.kernels) == (suite, kernels) else ():
            for (label, weights, noise, cut), mean in means.items():
                wanted = _usual_cut(suite, noise) if each.cut is None else each.cut
                if label.partition(":")[0] == counterpart.method and noise in each.psnr and cut == wanted:
                    found.append(_compare(each, counterpart, (label, weights, noise, cut), mean))
    order = list(published)
    return sorted(
        found,
        key=lambda c: (not c.same, order.index(c.published), -1.0 if c.noise is None else c.noise, c.method),
    )


def told_here(label: str) -> bool | None:
    """Whether our benchmark told a method the true noise level; None: not a method of the catalogue."""
    name, _, settings = label.partition(":")
    spec = catalogue().get(name)
    if spec is None or not spec.needs.sigma:
        return None if spec is None else False
    return not any(part.startswith("sigma=") for part in settings.split(","))  # sigma=estimated, or always one level


def _usual_cut(suite: str, noise: Noise) -> Cut:
    return SUITES[suite].cut(noise) if suite in SUITES else Cut.WHOLE


def _compare(
    each: Published,
    counterpart: Counterpart,
    ours: tuple[str, str | None, Noise, Cut],
    mean: tuple[float, int],
) -> Comparison:
    label, weights, noise, cut = ours
    measured, cases = mean
    size = SUITES[each.suite].size if each.suite in SUITES and not each.kernels else None
    part = size is not None and cases < size
    figure = each.psnr[noise]
    number = None if part or each.cut is None else _number(figure)
    differences = list(_told(each.told, told_here(label)))
    if each.cut is None:
        differences.insert(0, f"cut there not stated, so no difference; ours: {cut}")
    if part:
        differences.append(f"{cases} of {size} cases here, so no difference")
    if not counterpart.same:
        differences.append(f"another method of its family ({each.method})")
    if label != counterpart.method:
        differences.append("settings of ours")
    if each.source in PROTOCOLS:
        differences.append(PROTOCOLS[each.source])
    return Comparison(
        published=each,
        noise=noise,
        method=label,
        weights=weights,
        cut=cut,
        measured=measured,
        cases=cases,
        size=size,
        figure=figure,
        difference=None if number is None else measured - number,
        rough="?" in figure,
        same=counterpart.same,
        differences=tuple(differences),
    )


def _number(figure: str) -> float | None:
    """A figure as a number; the middle of what it may be where its last digit is missing."""
    digits = figure.rstrip("?")
    if "?" in digits:
        return None
    missing = figure.endswith("?") and len(digits.partition(".")[2]) == 1
    return float(digits) + (0.05 if missing else 0.0)


def _told(there: bool | None, here: bool | None) -> Sequence[str]:
    if there is None:
        return ["whether the noise level was told there is not stated"]
    if here is None or there == here:
        return []
    return ["noise level told there, not here" if there else "noise level told here, not there"]
