r"""How good estimated kernels are: by what the same method makes of the picture with them and with the true ones.

    error ratio = || x(k_estimated) - x ||^2 / || x(k_true) - x ||^2

(Levin et al. 2009), here of pictures that were scored alike; below 3 a picture looks well restored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from acutance.blind.method import SPEC as BLIND
from acutance.blind.method import BlindConfig
from acutance_lab.bench.case import Noise, describe_noise
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.rows import Row

SUCCESS = (2.0, 3.0)
"""Error ratios below which a kernel counts as found."""

OF_OTHERS = "levin32_kernels"
"""The suite of kernels that others estimated; its kernels are called AUTHORS/NUMBER, those of `ORIGINAL` NUMBER."""

ORIGINAL = "levin32"


HOW_KERNELS = (
    "Error ratio: mean square error with the estimated kernel over that with the true one, same finish, both scored by "
    "the suite's protocol. Similarity: largest normalised cross-correlation with the true kernel. Seconds: of estimate "
    "and finish together."
)


@dataclass(frozen=True)
class Found:
    """Kernels of one origin at one noise level.

    Args:
        origin: label of the blind method, or the authors. finish: method that restored with them.
        psnr, psnr_true: means in dB with them and with the true kernels, over the cases where both were measured.
        ratios: error ratios. similarity: mean largest normalised cross-correlation with the true kernel.
        seconds: median, of estimate and finish. None where it was not measured.
    """

    suite: str
    origin: str
    finish: str
    noise: Noise
    psnr: float
    psnr_true: float
    ratios: tuple[float, ...]
    similarity: float | None
    seconds: float | None

    def share(self, below: float) -> float:
        """Part of the cases with an error ratio below this one."""
        return fmean(ratio < below for ratio in self.ratios)


def finds_kernels(label: str) -> bool:
    """Whether a method, by its label, estimates the kernel itself."""
    return label.partition(":")[0] == BLIND.name


def kernels_found(rows: Sequence[Row]) -> list[Found]:
    """Every origin of kernels that can be judged: the same finish was measured with the true ones."""
    truth = {(r.suite, r.method, r.picture, r.kernel, r.noise): r.psnr for r in rows if math.isfinite(r.psnr)}
    groups: dict[tuple[str, str, str, Noise], list[tuple[Row, float]]] = {}
    for row in rows:
        if row.suite == OF_OTHERS:
            origin, _, number = row.kernel.partition("/")
            finish, key = row.method, (ORIGINAL, row.method, row.picture, number, row.noise)
        else:
            if not finds_kernels(row.method):
                continue
            contender = Contender.parse(row.method)
            finish = str(contender.settings.get("method", BlindConfig().method))
            origin, key = row.method, (row.suite, finish, row.picture, row.kernel, row.noise)
        if math.isfinite(row.psnr) and key in truth:
            groups.setdefault((row.suite, origin, finish, row.noise), []).append((row, truth[key]))
    return [_found(*name, pairs) for name, pairs in groups.items()]


def table_of_kernels(rows: Iterable[Row]) -> list[list[str]]:
    """Head and lines of the table; no lines where no estimated kernel can be judged."""
    head = ["suite", "kernels", "finish", "noise", "PSNR", "true kernels", *(f"ratio < {s:g}" for s in SUCCESS)]
    lines = [
        [f.suite, f.origin, f.finish, describe_noise(f.noise), f"{f.psnr:.2f}", f"{f.psnr_true:.2f}"]
        + [f"{100 * f.share(s):.0f} %" for s in SUCCESS]
        + [f"{median(f.ratios):.2f}", _text(f.similarity), _text(f.seconds), str(len(f.ratios))]
        for f in sorted(kernels_found(list(rows)), key=lambda f: (f.suite != ORIGINAL, f.suite, -f.psnr))
    ]
    return [[*head, "median ratio", "similarity", "seconds (median)", "cases"], *lines]


def short_table_of_kernels(rows: Iterable[Row]) -> list[list[str]]:
    """Head and lines, best first, each origin with the finish that does best with its kernels."""

    def shares(f: Found) -> list[str]:
        return [f"{100 * f.share(s):.0f} %" for s in SUCCESS]

    best: dict[tuple[str, Noise], Found] = {}
    for found in sorted(kernels_found(list(rows)), key=lambda f: -f.psnr):
        best.setdefault((found.origin, found.noise), found)
    head = ["kernels", "finish", "PSNR", *(f"ratio < {s:g}" for s in SUCCESS), "similarity", "seconds (median)"]
    lines = [
        [f.origin, f.finish, f"{f.psnr:.2f}", *shares(f), _text(f.similarity), _text(f.seconds)] for f in best.values()
    ]
    return [head, *lines]


def _found(suite: str, origin: str, finish: str, noise: Noise, pairs: Sequence[tuple[Row, float]]) -> Found:
    likeness = [r.kernel_similarity for r, _ in pairs if r.kernel_similarity is not None]
    own = suite != OF_OTHERS
    return Found(
        suite=suite,
        origin=origin,
        finish=finish,
        noise=noise,
        psnr=fmean(r.psnr for r, _ in pairs),
        psnr_true=fmean(true for _, true in pairs),
        ratios=tuple(10 ** ((true - r.psnr) / 10) for r, true in pairs),
        similarity=fmean(likeness) if likeness else None,
        seconds=median(r.seconds for r, _ in pairs) if own else None,
    )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
