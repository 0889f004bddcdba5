r"""Does G converge? PSNR over its iterates, for every picture (Luo et al. 2019, sections 5.2 and 6.1).

    x(0) = F(y),    x(N) = G(x(N-1)),    N = 1 ... 8

The paper trains G on the mean of 5 iterates, finds that it "would usually converge after 2-4 iterations", and takes 3.
A picture has settled at the first N from which on no iterate is more than `TOLERANCE` away in PSNR.

Pictures are pairs of files, or crops of held-out photographs with the motion blur that training validates on
(`acutance_lab.train.validate.MOVING`). They enter as those of every user: brightness is scaled, and scaled back. The
networks run in float32, so that it is G that moves a picture and not rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

import torch
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.methods.golf import Golf
from acutance.methods.spec import find
from acutance.metrics import psnr
from acutance.restoration.device import resolve_device
from acutance.restoration.restorer import Restorer
from acutance_lab.bench import pairs
from acutance_lab.bench.tables import listed
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report, mean_row
from acutance_lab.plots import COLOURS, SOFT, Panel, Series
from acutance_lab.train import checkpoint
from acutance_lab.train.validate import MOVING

PUTTS = 8
"""Iterates of G that are looked at."""

PICTURES, SIDE = 24, 192
"""Pictures at most, and the side of crops of photographs in pixels."""

TOLERANCE = 0.05
"""dB."""


@dataclass(frozen=True)
class Trajectory:
    """What became of one picture.

    Args:
        name: of the picture. blurred: its PSNR, dB. psnr: of x(0), x(1), ..., dB.
        moves: root mean square of x(N) - x(N-1) from N = 1 on, fractions of the range.
    """

    name: str
    blurred: float
    psnr: tuple[float, ...]
    moves: tuple[float, ...]

    @property
    def settled(self) -> int | None:
        """The first N from which on the PSNR stays within `TOLERANCE`; None if only the last one does, or none."""
        for n in range(len(self.psnr) - 1):
            if all(abs(value - self.psnr[n]) <= TOLERANCE for value in self.psnr[n:]):
                return n
        return None


@dataclass(frozen=True)
class Convergence:
    """The experiment's outcome.

    Args:
        weights: their version. trained_putts: how often G was applied in training, None where that is not known, 0:
            G is at its random start. source: folder of the pictures. seconds: of all.
    """

    weights: str
    trained_putts: int | None
    source: str
    trajectories: tuple[Trajectory, ...]
    seconds: float


def load_golf(weights: Path | None, putts: int = PUTTS) -> tuple[Restorer, int | None]:
    """Golf with that many putts, and how many its weights were trained with, if that is known.

    Args:
        weights: a weights file, a run's folder or its checkpoint (its moving average); None: the shipped ones.

    Raises:
        WeightsError: none are shipped, or the file does not fit. ConfigError: no putts, or too many.
    """
    if weights is not None and (weights.is_dir() or weights.name == checkpoint.NAME):
        file = weights / checkpoint.NAME if weights.is_dir() else weights
        tensors, record = checkpoint.load(file)
        if record.get("method") != "golf":
            raise WeightsError(f"{file} is a run of {record.get('method')}; give one of golf")
        spec, device, model = find("golf"), resolve_device("auto"), record.get("model", {})
        settings = {**model, "putts": putts, "precision": "float32"}
        method = spec.build(weights=checkpoint.part(tensors, "ema."), device=device, **settings)
        version = f"{file.parent.name}, iteration {record['clock']['iteration']}"
        return Restorer(spec, method, device, version), model.get("putts")
    try:
        return Restorer.load("golf", weights=weights, precision="float32", putts=putts), None
    except WeightsError as error:
        if weights is not None:
            raise
        raise WeightsError(
            f"{error}; or train some: `acutance-lab train golf --config configs/golf-f.toml`, then "
            "configs/golf-g.toml, and give the folder of the run"
        ) from None


def from_photographs(data: Path, count: int = PICTURES, side: int = SIDE) -> Iterator[Case]:
    """`count` crops of the held-out photographs below a folder, blurred; the seed is the photographs' digest.

    Raises:
        DataError: there are none.
    """
    size = side + 2 * MOVING.margin()
    photographs = Photographs.load(data, device=torch.device("cpu"), validation=True, least=size)
    generator = torch.Generator().manual_seed(int(photographs.digest, 16))
    for number in range(count):
        example = MOVING(photographs.crops(1, size, generator), generator)
        yield Case("photographs", f"crop {number + 1}", example.problem.observed, example.sharp)


def run(
    cases: Iterable[Case],
    restorer: Restorer,
    *,
    source: str,
    trained_putts: int | None = None,
    on_picture: Callable[[], None] | None = None,
) -> Convergence:
    """Follow G on every picture.

    Args:
        cases: see `from_photographs` and `cases.from_pairs`. restorer, trained_putts: see `load_golf`.
        source: what to call the pictures. on_picture: called after each.

    Raises:
        ConfigError: another method than Golf, or no picture.
    """
    began, found = time.perf_counter(), []
    for case in cases:
        found.append(_follow(case, restorer))
        if on_picture is not None:
            on_picture()
    if not found:
        raise ConfigError("no picture to follow; give at least one")
    version = restorer.weights or "random weights"
    return Convergence(version, trained_putts, source, tuple(found), time.perf_counter() - began)


@torch.no_grad()
def _follow(case: Case, restorer: Restorer) -> Trajectory:
    golf = restorer.method
    if not isinstance(golf, Golf):
        raise ConfigError(f"{restorer.spec.name} has no drive and putts; this experiment is about golf")
    prepared = restorer.prepare(case.observed)
    values, moves, before = [], [], None
    for t, state in enumerate(golf.solver().iterate(prepared.problem), 1):
        if t < len(golf.drives):
            continue
        x = prepared.finish(state.x).cpu().clamp(0, 1)
        values.append(float(psnr(x, case.sharp)))
        if before is not None:
            moves.append(float((x - before).square().mean().sqrt()))
        before = x
    return Trajectory(case.name, float(psnr(case.observed, case.sharp)), tuple(values), tuple(moves))


PUBLISHED = "usually converges after 2 to 4 iterations of G; 3 are taken in the tests"
"""Of the paper, section 6.1; it gives no numbers."""


def report(found: Convergence) -> Report:
    """PSNR over all pictures by N, how far the last putt moved them, and where pictures settle."""
    paths = found.trajectories
    means = mean_row(p.psnr for p in paths)
    gains = [[p.psnr[n] - p.blurred for p in paths] for n in range(len(means))]
    columns = {
        "N": lambda n: f"{n}{' (F alone)' if n == 0 else ''}",
        "PSNR, dB": lambda n: f"{means[n]:.3f}",
        "± over pictures": lambda n: f"{pstdev(p.psnr[n] for p in paths):.2f}",
        "gain over blurred, dB": lambda n: f"{fmean(gains[n]):+.3f}",
        "lowest, highest gain": lambda n: f"{min(gains[n]):+.2f}, {max(gains[n]):+.2f}",
        "moved by G, % of range": lambda n: f"{100 * fmean(p.moves[n - 1] for p in paths):.3f}" if n else "",
    }
    notes = [
        f"{len(paths)} pictures of {found.source}, blurred at {fmean(p.blurred for p in paths):.3f} dB in the mean; "
        f"weights: {found.weights}.",
        f"The mean is highest at N = {means.index(max(means))}. Settled, within {TOLERANCE:g} dB of all that follow: "
        f"{in_words(settled(found))}.",
        f"The paper: {PUBLISHED}.",
    ]
    if found.trained_putts == 0:
        notes.append("These weights were trained without putts: G is at its random start.")
    elif found.trained_putts is not None:
        notes.append(f"These weights were trained with {found.trained_putts} putts (the paper: 5).")
    curves = (
        ("gain over the blurred picture, dB", [[v - p.blurred for v in p.psnr] for p in paths], 0),
        ("gain of the putts over F alone, dB", [[v - p.psnr[0] for v in p.psnr] for p in paths], 0),
        ("rms of x(N) - x(N-1), % of the range", [[100 * v for v in p.moves] for p in paths], 1),
    )
    panels = []
    for label, each, first in curves:
        places = range(first, len(means))
        thin = [Series(places, curve, "a picture", {"color": SOFT, "linewidth": 0.8, "alpha": 0.5}) for curve in each]
        mean_line = Series(places, mean_row(each), "mean", {"color": COLOURS[0], "marker": "o"})
        panels.append(Panel([*thin, mean_line], {"xlabel": "N, applications of G", "ylabel": label}))
    numbers = {"published": PUBLISHED, "tolerance": TOLERANCE, "settled": settled(found), "outcome": found}
    tables = [listed(range(len(means)), columns)]
    return Report("convergence", tables, notes, numbers, {"convergence.png": panels})


def settled(found: Convergence) -> dict[str, int]:
    """How many pictures settle at which N; "later" for those that have not by the last but one."""
    count: dict[str, int] = {}
    for n in range(len(found.trajectories[0].psnr) - 1):
        count[str(n)] = sum(p.settled == n for p in found.trajectories)
    return {**count, "later": sum(p.settled is None for p in found.trajectories)}


def in_words(count: dict[str, int]) -> str:
    """Example: in_words({"0": 0, "1": 3, "later": 2}) is "3 at N = 1, 2 later"."""
    return ", ".join(f"{c} {n if n == 'later' else f'at N = {n}'}" for n, c in count.items() if c)


@dataclass(frozen=True, eq=False)
class Case:
    """One picture. Args: source: where it is from. name. observed, sharp: y and s, (1, 3, H, W) in [0, 1]."""

    source: str
    name: str
    observed: Tensor
    sharp: Tensor


def from_pairs(folder: Path, count: int) -> Iterator[Case]:
    """The first `count` pairs [SCENE/]blurred/NAME with [SCENE/]sharp/NAME below a folder.

    Raises:
        DataError: there are none, or they do not fit. ImageError: a picture that cannot be read, or is grey.
    """
    for pair in pairs.pairs(folder)[:count]:
        content = pairs.content(pair)
        assert content.truth is not None
        yield Case(folder.name, pair.name, content.observed.float(), content.truth.float())
