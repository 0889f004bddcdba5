r"""How far can a result be believed? The unsupported map against the true error, and intervals that hold.

Crops of photographs are blurred by drawn kernels (`acutance_lab.synth.kernels.mixture`), noise is added, and a method
restores them with the true kernel. Of each pixel are known the error e, the deviation d of a few runs with noise added
once more, the deviation v of a few views (`acutance.views`), and u (`acutance.trust.unsupported`). d, v and u are local
root mean squares. A model makes a standard deviation s of them; its coefficients minimise the interval score of the
interval of 90 %,

    2 h + 20 max(|e| - h, 0),        h = 1.645 s        (Gneiting and Raftery 2007)

at each noise level on photographs that are not held out, and are then moved, both alike, until 90 % of those pixels lie
inside. The coverage is that of photographs that are held out, which nothing was fitted to.

The residual A x - y is looked at too, with the true kernel and with one of another crop: what is normal, what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist, fmean, median

import torch
from torch import Tensor

from acutance.errors import ConfigError, DataError
from acutance.operators import Blur
from acutance.problem import Problem
from acutance.restoration.restorer import Restorer
from acutance.trust.residual import whiteness
from acutance.trust.uncertainty import INTERVAL
from acutance.trust.unsupported import local_rms, unsupported
from acutance.views import VIEWS
from acutance_lab.bench.tables import listed
from acutance_lab.data.photographs import Photographs
from acutance_lab.experiments.output import Report
from acutance_lab.plots import COLOURS, SOFT, Panel, Series
from acutance_lab.synth.kernels import mixture

SPARSE = 5
"""One pixel in so many is kept: neighbours have nearly the same values."""

SAMPLES = "samples.pt"

VALUES = ("error", "near", "draws", "views", "unsupported")
"""What is known of a pixel: |e|, the local root mean square of e, d, v, u."""


@dataclass(frozen=True)
class Settings:
    """Of the experiment.

    Args:
        method: that restores. fitted, held_out: crops that coefficients are fitted to, and that are judged, at each
            level. side: of them, pixels. span: of the kernels. levels: of the noise, fractions of the range.
        draws, views: runs. seed: of all draws.
    """

    method: str = "acute"
    fitted: int = 20
    held_out: int = 30
    side: int = 80
    span: int = 21
    levels: tuple[float, ...] = (0.003, 0.01, 0.03)
    draws: int = 4
    views: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.side < 64 or self.draws < 2 or not 2 <= self.views <= len(VIEWS):
            raise ConfigError(
                f"side={self.side}, draws={self.draws}, views={self.views}: at least 64 pixels, 2 draws, and 2 to "
                f"{len(VIEWS)} views"
            )


@dataclass(frozen=True, eq=False)
class Sample:
    """One crop.

    Args:
        photograph: its number in its set. level: index of the noise level. held_out: nothing is fitted to it.
        values: (len(VALUES), N), fractions of the range. fit: root mean square of the residual in units of the noise,
            and with a wrong kernel. white: the largest autocorrelation of the residual, and with a wrong kernel.
    """

    photograph: int
    level: int
    held_out: bool
    values: Tensor
    fit: tuple[float, float]
    white: tuple[float, float]


def collect(data: Path, settings: Settings, on_crop: Callable[[], None] = lambda: None) -> list[Sample]:
    """Restore all crops.

    Args:
        data: folder of sharp photographs. on_crop: called after each.

    Raises:
        DataError: there are none. ConfigError: a method that takes no kernel.
    """
    restorer = Restorer.load(settings.method)
    if not restorer.needs.kernel:
        raise ConfigError(f"{settings.method} takes no kernel; choose a method that does")
    generator = torch.Generator().manual_seed(settings.seed)
    found = []
    for held_out, count in ((False, settings.fitted), (True, settings.held_out)):
        for number, level, sharp in _crops(data, settings, count, generator, held_out=held_out):
            kernels = mixture(2, settings.span, generator)
            found.append(_sample(restorer, settings, sharp, kernels, level, (number, held_out), generator))
            on_crop()
    return found


def _crops(
    data: Path, settings: Settings, count: int, generator: torch.Generator, *, held_out: bool
) -> Iterator[tuple[int, int, Tensor]]:
    """Photograph, level, crop; photographs in turn, as evenly as there are."""
    size = settings.side + settings.span - 1
    limit = None if held_out else count * len(settings.levels)
    photographs = Photographs.load(data, device=torch.device("cpu"), validation=held_out, least=size, limit=limit)
    for n in range(count * len(settings.levels)):
        number = n % len(photographs.names)
        level = (n + n // len(photographs.names)) % len(settings.levels)
        yield number, level, photographs.only(number).crops(1, size, generator)


def _sample(
    restorer: Restorer,
    settings: Settings,
    sharp: Tensor,
    kernels: Tensor,
    level: int,
    place: tuple[int, bool],
    generator: torch.Generator,
) -> Sample:
    """Everything about one crop: all runs are one batch."""
    sigma = settings.levels[level]
    blur = Blur(kernels[:1])
    clean = blur.forward(sharp)
    observed = clean + sigma * torch.randn(clean.shape, generator=generator)
    prepared = restorer.prepare(observed, kernels[:1], sigma=sigma)
    problem, unit = prepared.problem, prepared.scale * prepared.range
    assert problem.sigma is not None
    noise = torch.randn(settings.draws, *problem.observed.shape[1:], generator=generator)
    runs = [problem, *(replace(problem, observed=problem.observed + problem.sigma * n) for n in noise)]
    views = [view.problem(problem) for view in VIEWS[1 : settings.views]]
    wrong = replace(problem, operator=Blur(kernels[1:]))
    x = _together(restorer, [*runs, *views, wrong])
    plain = [problem.crop(each) for each in x[: len(runs)]]
    seen = [problem.crop(view.back(each)) for view, each in zip(VIEWS[1:], x[len(runs) : -1], strict=False)]
    error = prepared.finish(x[0]) - blur.crop(sharp)
    parts = (
        error.abs(),
        local_rms(error),
        unit * local_rms(torch.stack(plain[1:]).std(0)),
        unit * local_rms(torch.stack([plain[0], *seen]).std(0)),
        unit * unsupported(plain[0], problem.operator, float(problem.sigma)),
    )
    residuals = [problem.residual(x[0]), wrong.residual(x[-1])]
    fits = [float(r.square().mean().sqrt() / problem.sigma) for r in residuals]
    whites = [0.0 if w is None else w.largest for w in map(whiteness, residuals)]
    values = torch.stack([part.flatten()[::SPARSE] for part in parts])
    return Sample(place[0], level, place[1], values, (fits[0], fits[1]), (whites[0], whites[1]))


def _together(restorer: Restorer, problems: list[Problem]) -> list[Tensor]:
    """The results of problems of one size, as one batch."""
    kernels = torch.cat([p.operator.kernel for p in problems if isinstance(p.operator, Blur)])
    observed = torch.cat([p.observed for p in problems])
    first = problems[0]
    assert first.sigma is not None
    whole = replace(first, observed=observed, operator=Blur(kernels), sigma=first.sigma.expand(len(observed)))
    x = restorer.method.run(whole).x
    return [x[n : n + 1] for n in range(len(x))]


def save(samples: list[Sample], settings: Settings, file: Path) -> None:
    """Keep samples for another look."""
    table = [(s.photograph, s.level, s.held_out, s.values, s.fit, s.white) for s in samples]
    torch.save({"samples": table, "levels": settings.levels, "method": settings.method}, file)


def load(file: Path, settings: Settings) -> list[Sample]:
    """What `save` kept.

    Raises:
        DataError: no such file, or one of another method or of other levels.
    """
    try:
        found = torch.load(file, weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"cannot read the samples {file}: {error}") from None
    if (found["method"], tuple(found["levels"])) != (settings.method, settings.levels):
        raise DataError(f"{file} has samples of {found['method']} at {found['levels']}; collect new ones")
    return [Sample(*each) for each in found["samples"]]


Model = Callable[[Tensor, Tensor], Tensor]
"""Values (len(VALUES), N) and coefficients -> s, (N,)."""

MODELS: Mapping[str, tuple[int, Model]] = {
    "draws": (1, lambda f, a: a[0] * f[2]),
    "views": (1, lambda f, a: a[0] * f[3]),
    "unsupported": (1, lambda f, a: a[0] * f[4]),
    "draws and unsupported": (2, lambda f, a: ((a[0] * f[2]).square() + (a[1] * f[4]).square()).sqrt()),
    "draws x unsupported": (1, lambda f, a: a[0] * (f[2] * f[4]).sqrt()),
    "views and unsupported": (2, lambda f, a: ((a[0] * f[3]).square() + (a[1] * f[4]).square()).sqrt()),
    "all three": (
        3,
        lambda f, a: ((a[0] * f[2]).square() + (a[1] * f[3]).square() + (a[2] * f[4]).square()).sqrt(),
    ),
}
"""By name: how many coefficients, and s."""

SMALLEST = 1e-5
"""Least value of d, v, u: they are 0 in clipped places."""


def score(error: Tensor, half: Tensor) -> Tensor:
    """The interval score of the module, its mean."""
    return (2 * half + 20 * (error - half).clamp_min(0)).mean()


def fit(model: str, values: Tensor, rounds: int = 100) -> Tensor:
    """The coefficients of a model for pixels (len(VALUES), N)."""
    count, s_of = MODELS[model]
    values = values.clamp_min(SMALLEST)
    logarithms = torch.full((count,), 0.5, requires_grad=True)
    optimiser = torch.optim.Adam([logarithms], 0.1)
    for _ in range(rounds):
        optimiser.zero_grad()
        loss: Tensor = score(values[0], INTERVAL * s_of(values, logarithms.exp()))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        a = logarithms.exp()
        ratio = values[0] / (INTERVAL * s_of(values, a))
        return a * torch.quantile(ratio[:: max(1, ratio.numel() // 1_000_000)], 0.9)


@dataclass(frozen=True)
class Outcome:
    """How well a model does.

    Args:
        model: its name. coefficients: at each level. coverage: of 90 % intervals, at each level, and score: mean of the
            interval score, a fraction of the range; of held-out crops. curve: coverage of intervals of `NOMINAL`.
        worst: the lowest coverage of a photograph.
    """

    model: str
    coefficients: tuple[tuple[float, ...], ...]
    coverage: tuple[float, ...]
    score: float
    curve: tuple[float, ...]
    worst: float


NOMINAL = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Shares of pixels that intervals promise to hold."""


def judge(model: str, samples: list[Sample], levels: int) -> Outcome:
    """Fit a model to the crops that may be fitted, and judge it by the others."""
    coefficients, coverage, scores = [], [], []
    inside: list[tuple[int, Tensor]] = []
    for level in range(levels):
        mine, others = ([s for s in samples if s.level == level and s.held_out == held] for held in (False, True))
        a = fit(model, torch.cat([s.values for s in mine], 1))
        coefficients.append(tuple(a.tolist()))
        here = []
        for sample in others:
            values = sample.values.clamp_min(SMALLEST)
            s = MODELS[model][1](values, a)
            scores.append(float(score(sample.values[0], INTERVAL * s)))
            here.append(sample.values[0] / s)
            inside.append((sample.photograph, sample.values[0] / s))
        coverage.append(float((torch.cat(here) <= INTERVAL).float().mean()))
    every = torch.cat([ratio for _, ratio in inside])
    widths = [NormalDist().inv_cdf((1 + p) / 2) for p in NOMINAL]
    by_photograph = [
        float(torch.cat([r for p, r in inside if p == number]).le(INTERVAL).float().mean())
        for number in sorted({p for p, _ in inside})
    ]
    curve = tuple(float((every <= w).float().mean()) for w in widths)
    return Outcome(model, tuple(coefficients), tuple(coverage), fmean(scores), curve, min(by_photograph))


@dataclass(frozen=True, eq=False)
class Trust:
    """The experiment's outcome. Args: see the others."""

    settings: Settings
    samples: list[Sample]
    outcomes: tuple[Outcome, ...]


def run(
    data: Path | None,
    settings: Settings,
    *,
    output: Path,
    samples: Path | None = None,
    on_crop: Callable[[], None] = lambda: None,
) -> Trust:
    """Collect, fit and judge.

    Args:
        data: folder of sharp photographs. output: folder where the samples are kept, as `SAMPLES`. samples: such a file
            of an earlier run instead of `data`.

    Raises:
        ConfigError: neither of both. DataError: unusable.
    """
    if samples is not None:
        found = load(samples, settings)
    elif data is not None:
        found = collect(data, settings, on_crop)
        save(found, settings, output / SAMPLES)
    else:
        raise ConfigError("give a folder of photographs, or the samples of an earlier run")
    outcomes = tuple(judge(model, found, len(settings.levels)) for model in MODELS)
    return Trust(settings, found, outcomes)


def report(found: Trust) -> Report:
    """Tables, sentences, plots and numbers of the experiment."""
    held = [s for s in found.samples if s.held_out]
    levels = [f"{100 * level:g} %" for level in found.settings.levels]
    models = listed(
        found.outcomes,
        {
            "standard deviation from": lambda o: o.model,
            **{
                f"90 % hold, {name} noise": lambda o, n=n: f"{100 * o.coverage[n]:.1f} %"  # type: ignore[misc]
                for n, name in enumerate(levels)
            },
            "all": lambda o: f"{100 * o.curve[NOMINAL.index(0.9)]:.1f} %",
            "worst photograph": lambda o: f"{100 * o.worst:.0f} %",
            "interval score, %": lambda o: f"{100 * o.score:.2f}",
            "coefficients": lambda o: "; ".join(" ".join(f"{v:.2f}" for v in each) for each in o.coefficients),
        },
    )
    names = ("draws", "views", "unsupported")
    related = {name: [correlation(s.values[1], s.values[VALUES.index(name)]) for s in held] for name in names}
    correlations = listed(
        names,
        {
            "map": lambda n: n,
            "correlation with the true error, mean": lambda n: f"{fmean(related[n]):.2f}",
            "median": lambda n: f"{median(related[n]):.2f}",
            "lowest": lambda n: f"{min(related[n]):.2f}",
        },
    )
    kinds = {"right kernel": 0, "kernel of another crop": 1}
    normal = listed(
        kinds,
        {
            "residual with the": lambda kind: kind,
            "times the noise, 5 %": lambda kind: f"{quantile([s.fit[kinds[kind]] for s in held], 0.05):.2f}",
            "median": lambda kind: f"{median(s.fit[kinds[kind]] for s in held):.2f}",
            "95 %": lambda kind: f"{quantile([s.fit[kinds[kind]] for s in held], 0.95):.2f}",
            "autocorrelation, median": lambda kind: f"{median(s.white[kinds[kind]] for s in held):.2f}",
            "its 95 %": lambda kind: f"{quantile([s.white[kinds[kind]] for s in held], 0.95):.2f}",
        },
    )
    fitted = len(found.samples) - len(held)
    photographs = len({s.photograph for s in held})
    notes = [
        f"{found.settings.method}; fitted to {fitted} crops of training photographs, judged by {len(held)} crops of "
        f"{photographs} photographs that are held out; coefficients at {', '.join(levels)} noise.",
    ]
    curves = [
        Series([100 * p for p in NOMINAL], [100 * v for v in o.curve], o.model, {"color": COLOURS[n % len(COLOURS)]})
        for n, o in enumerate(found.outcomes)
    ]
    line = Series([0, 100], [0, 100], "", {"color": SOFT, "linewidth": 0.8})
    panel = Panel([line, *curves], {"xlabel": "interval, %", "ylabel": "errors within it, %"})
    numbers = {"settings": found.settings, "outcomes": found.outcomes, "correlations": related}
    return Report("trust", [models, correlations, normal], notes, numbers, {"coverage.png": [panel]})


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's, 0 where one of both is constant."""
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1].nan_to_num(0))


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    return float(torch.tensor(values).quantile(share))
