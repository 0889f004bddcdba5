"""How right the estimated noise level is: photographs with noise of known kinds and levels, and real noisy pairs.

True is the root mean square of (noisy - clean) over the pixels inside the range, so that the noise which clipping, JPEG
and rounding take away or add is counted. Of a suite it is the level that was added. "Behind the kernel" is the estimate
of a method that knows the kernel (`acutance.noise_behind`), the others are those of the picture alone
(`acutance.noise`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from acutance.errors import ConfigError, DataError, MissingExtra
from acutance.images import read_image
from acutance.noise import noise_level
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.saturation import heeding
from acutance_lab.bench.suites import find_suite
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import kernels, noise

LEVELS = (0.005, 0.01, 0.02, 0.05)
SUITE_LEVELS = (0.01, 0.03, 0.05)
SIZE, SPAN = 384, 31
"""Sides of the blurred crops and of the kernels, pixels."""
REAL = "real_noise"

Add = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def _photons(clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    return noise.poisson(clean, clean.mean((1, 2, 3)).clamp_min(0.02) / level**2, generator)


def _compressed(clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    return noise.jpeg(noise.gaussian(clean, level, generator), 80 + 15 * torch.rand(1, generator=generator))


KINDS: MappingProxyType[str, Add] = MappingProxyType(
    {"white": noise.gaussian, "photons": _photons, "demosaiced": noise.demosaiced, "white, then JPEG": _compressed}
)
"""What adds noise to (1, 3, H, W), by name."""


@dataclass(frozen=True)
class Estimate:
    """One picture.

    Args:
        kind: of picture and noise. nominal: the level that was asked for; None: as captured.
        true, estimated: levels, fractions of the range. wavelets: what `wavelet_level` says, if asked.
    """

    kind: str
    nominal: float | None
    true: float
    estimated: float
    wavelets: float | None = None


def synthetic_levels(
    folder: Path, *, limit: int = 12, levels: Sequence[float] = LEVELS, wavelets: bool = False, seed: int = 0
) -> Iterator[Estimate]:
    """`limit` crops of held-out photographs, blurred by camera shake and sharp, x kinds x levels, in 8 bits.

    Raises:
        ConfigError: a level not between 0 and 0.5, or no crop. DataError: no photographs.
    """
    if limit < 1 or not levels or not all(0 < level < 0.5 for level in levels):
        raise ConfigError(f"{limit} crops with levels {tuple(levels)}: give a crop or more, and levels like 0.01")
    photographs = Photographs.load(folder, device=torch.device("cpu"), validation=True, least=SIZE + SPAN - 1)
    generator = torch.Generator().manual_seed(seed)
    for n in range(limit):
        sharp = photographs.crops(1, SIZE + SPAN - 1, generator, candidates=1)
        draw = kernels.shake if n % 2 else kernels.spline
        blur = Blur(draw(1, SPAN, generator, size=SPAN))
        blurred = blur.forward(sharp).clamp(0, 1)
        for state, clean in (("blurred", blurred), ("sharp", sharp)):
            for kind, add in KINDS.items():
                for level in levels:
                    noisy = noise.quantise(add(clean, torch.tensor([level]), generator), 8)
                    found = _estimate(f"{state}: {kind}", level, noisy, clean, wavelets=wavelets)
                    yield found
                    if state == "blurred":
                        yield Estimate(f"behind the kernel: {kind}", level, found.true, _behind(noisy, blur))


def suite_levels(folder: Path, names: Sequence[str], *, levels: Sequence[float] = SUITE_LEVELS) -> Iterator[Estimate]:
    """Every case of the suites of those names with those levels of noise, kernel known and unknown.

    Raises:
        ConfigError: there is no suite of that name, or a case of it has no kernel. DataError: its files are missing.
    """
    for name in names:
        for case in find_suite(name).cases(folder, tuple(levels)):
            content = case.load()
            if content.kernel is None or content.sigma is None:
                raise ConfigError(f"{name} has no kernels or no known noise; give suites such as set12 and levin32")
            known = _behind(content.observed, Blur(content.kernel))
            yield Estimate(f"{name}, behind the kernel", case.noise, content.sigma, known)
            yield Estimate(f"{name}, blurred", case.noise, content.sigma, float(noise_level(content.observed)))


def _behind(noisy: Tensor, blur: Blur) -> float:
    """The level of (1, C, H, W) as a method that knows the blur estimates it."""
    return float(heeding(Problem(noisy, blur)).level())


def real_levels(folder: Path, *, wavelets: bool = False) -> Iterator[Estimate]:
    """The pairs of `folder`/real_noise/clean and noisy, by name.

    Raises:
        DataError: there are none.
    """
    files = sorted(p for p in (folder / REAL / "noisy").glob("*") if (folder / REAL / "clean" / p.name).is_file())
    if not files:
        raise DataError(f"{folder / REAL} is missing or empty; expected are noisy/NAME and clean/NAME")
    for file in files:
        clean = read_image(folder / REAL / "clean" / file.name).pixels
        yield _estimate("real photographs", None, read_image(file).pixels, clean, wavelets=wavelets)


def _estimate(kind: str, nominal: float | None, noisy: Tensor, clean: Tensor, *, wavelets: bool) -> Estimate:
    inside = (noisy > 0) & (noisy < 1)
    true = float((noisy - clean)[inside].square().mean().sqrt())
    other = wavelet_level(noisy) if wavelets else None
    return Estimate(kind, nominal, true, float(noise_level(noisy)), other)


def wavelet_level(noisy: Tensor) -> float:
    """The level of (1, C, H, W) by the median of its finest wavelet coefficients, as scikit-image does it.

    Raises:
        MissingExtra: scikit-image is not installed, or PyWavelets, which it needs for this.
    """
    try:
        from skimage.restoration import estimate_sigma

        levels = estimate_sigma(noisy[0].numpy(), channel_axis=0)
    except ImportError as error:
        raise MissingExtra("comparing with scikit-image's estimate_sigma (it wants PyWavelets too)", "lab") from error
    return float(torch.as_tensor(levels).square().mean().sqrt())


def noise_table(found: Sequence[Estimate]) -> str:
    """Markdown: a row for each kind and level; ratios are estimated / true."""
    rows: dict[tuple[str, float | None], list[Estimate]] = {}
    for each in found:
        rows.setdefault((each.kind, each.nominal), []).append(each)
    compared = any(each.wavelets is not None for each in found)
    heads = ["picture and noise", "level", "true", "ratio", "5-95 %", "cases"]
    heads += ["wavelets: ratio", "5-95 %"] if compared else []
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for (kind, nominal), cases in rows.items():
        true = sorted(100 * each.true for each in cases)
        level = "as captured" if nominal is None else f"{100 * nominal:g} %"
        ratios = _ratios([each.estimated / each.true for each in cases])
        cells = [kind, level, f"{true[0]:.2f}-{true[-1]:.2f} %", *ratios, str(len(cases))]
        others = [each.wavelets / each.true for each in cases if each.wavelets is not None]
        cells += (_ratios(others) if others else ["", ""]) if compared else []
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(values: Sequence[float]) -> list[str]:
    """The median and the range without the outer twentieths."""
    low, middle, high = torch.tensor(values).quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return [f"{middle:.2f}", f"{low:.2f}-{high:.2f}"]
