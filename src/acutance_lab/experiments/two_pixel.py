r"""Two-pixel priors: why Golf learns the gradient of a prior and not the prior (Luo et al. 2019, Fig. 4, appendix).

Pictures u = (u1, u2) are uniform on [-1, 1]^2; u is sharp where u1 + u2 > 0, and the truth of a blurred one is its
mirror image in the line u1 + u2 = 0, t(u) = (-u2, -u1). A prior p restores by one step down, u' = u - grad p(u), and
is judged by the mean of ||t(u) - u'||^2 over fresh pictures. That is a sum over the two pixels, as the paper writes it.

    (a) p(u) = softmax(N(u))[blurred]       N a classifier trained by cross-entropy
    (b) -grad p(u) = f(u)                   f the same network, min E ||f(u) - (t(u) - u)||^2
    (c) p*(u) = (u1 + u2)^2 / 2             the optimum: u - grad p*(u) = t(u) for all u

What the paper leaves open, and what is taken here:

- *Which output of the classifier is the prior.* The probability of "blurred": the paper trains p = 1 for blurred and
  p = 0 for sharp pictures, and a step down then leads from blurred to sharp. It removes the softmax just before it
  gives its MSE, so the log-odds, log p / (1 - p), the difference of the two logits, are measured as a second prior;
  and these once more with the step size that suits the test set best, which no practice would know.
- *The target of a sharp picture.* Its mirror image too: the paper's p* is drawn on the whole square, and its pairs are
  u1 = -t2, u2 = -t1 without exception. The other convention, a sharp picture stays, is trained and measured beside
  it, with its own optimum min(u1 + u2, 0)^2 / 2; and so are the blurred pictures alone, which both agree on.
- *The start.* Linear layers as PyTorch starts them. The three networks of a seed have the same start and pictures.

With about two starts in five the four units before the output die on one side of the line, or on both. The output has
no bias, so such a network says nothing there: no step (MSE 2/3 or 4/3), or two equal logits. Hence the spread.

The report draws, of each kind of network, the one with the lowest training loss. What (b) learned is integrated, and
0 at the centre.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median, stdev
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance_lab.experiments.output import Report
from acutance_lab.plots import COLOURS, INK, SOFT, Panel, Series

SAMPLES, BATCH, ITERATIONS, RATE, FRESH = 16_000, 4, 4_000, 1e-3, 1_000
"""Training pictures, pictures an iteration, iterations of Adam and its rate, fresh pictures to judge by."""

LEARNED_ACCURACY, LEARNED_ERROR = 0.95, 0.01
"""What counts as learned: of a classifier its accuracy, of a gradient its MSE as a share of that of doing nothing."""

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Score:
    """How well one prior restores.

    Args:
        name: of the prior. errors: the MSE by target, see `TARGETS`, with a value for each seed.
        learned: whether the training of each seed succeeded.
        idle: share of the blurred pictures whose step is below 1 % of the one they need, by seed.
    """

    name: str
    errors: dict[str, tuple[float, ...]]
    learned: tuple[bool, ...]
    idle: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class TwoPixel:
    """The experiment's outcome.

    Args:
        seeds, iterations, seconds: what was run, and how long all of it took.
        accuracy: of the classifier on fresh pictures, by seed; two equal logits are a guess, half right.
        scores: of every prior, in the order of the table.
        classifier, mirror, stays: the trained networks, one for each seed.
        losses: (3, seeds), over all training pictures, of the three.
    """

    seeds: tuple[int, ...]
    iterations: int
    seconds: float
    accuracy: tuple[float, ...]
    scores: tuple[Score, ...]
    classifier: Networks = field(repr=False)
    mirror: Networks = field(repr=False)
    stays: Networks = field(repr=False)
    losses: Tensor = field(repr=False)

    def best(self, kind: int) -> int:
        """Index of the seed with the lowest training loss of the classifiers (0), mirror (1) or stays (2)."""
        return int(self.losses[kind].argmin())


def run(
    seeds: Sequence[int], *, iterations: int = ITERATIONS, on_iteration: Callable[[], None] | None = None
) -> TwoPixel:
    """Train and measure all three priors, every seed with networks and pictures of its own.

    Args:
        seeds: different ones; a seed gives the same, up to rounding, whatever others run beside it.
        on_iteration: called after each.

    Raises:
        ConfigError: no seed, one twice or negative, too many; no iteration.
    """
    if not 0 < len(seeds) <= MOST_SEEDS or len(set(seeds)) < len(seeds) or not 0 <= min(seeds) <= max(seeds) < 2**63:
        raise ConfigError(
            f"{len(seeds)} seeds from {min(seeds, default=None)}: 1 to {MOST_SEEDS} different ones from 0"
        )
    if iterations < 1:
        raise ConfigError(f"iterations={iterations}: at least one")
    began = time.perf_counter()
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    images, fresh = uniform(generators, SAMPLES, 2), uniform(generators, FRESH, 2)
    trained = _train(Networks.start(generators), images, iterations, on_iteration)
    count = len(seeds)
    with torch.no_grad():
        losses = _losses(trained(images.repeat(3, 1, 1)).view(3, count, SAMPLES, 2), images)
        classifier, mirror, stays = (trained[slice(k * count, (k + 1) * count)] for k in range(3))
        odds, truth = log_odds_of_blur(classifier)(fresh), is_blurred(fresh).double() * 2 - 1
        accuracy = ((odds.sign() * truth).mean(1) + 1) / 2
        good = accuracy >= LEARNED_ACCURACY
        log_odds = descent(log_odds_of_blur(classifier), fresh)
        scores = (
            _score("(a) probability of blur", descent(probability_of_blur(classifier), fresh), fresh, good),
            _score("(a) log-odds of blur", log_odds, fresh, good),
            _score("(a) log-odds, best step size", log_odds, fresh, good, best_step=True),
            _score("(b) gradient, mirror image everywhere", mirror(fresh), fresh, MIRROR),
            _score("(b) gradient, sharp pictures stay", stays(fresh), fresh, STAYS),
            _score("(c) optimum (u1+u2)²/2", descent(optimal_prior, fresh), fresh, MIRROR),
            _score("(c) optimum min(u1+u2, 0)²/2", descent(optimal_staying_prior, fresh), fresh, STAYS),
            _score("nothing done", torch.zeros_like(fresh), fresh, torch.ones(count, dtype=torch.bool)),
        )
    return TwoPixel(
        seeds=tuple(seeds), iterations=iterations, seconds=time.perf_counter() - began,
        accuracy=tuple(accuracy.tolist()), scores=scores, classifier=classifier, mirror=mirror, stays=stays,
        losses=losses,
    )  # fmt: skip


def _train(start: Networks, images: Tensor, iterations: int, on_iteration: Callable[[], None] | None) -> Networks:
    """(3 N networks: classifiers, mirror, stays) from N starts. Adam works number by number: none sees another."""
    weights, biases = ([p.repeat(3, 1, 1).requires_grad_() for p in group] for group in (start.weights, start.biases))
    networks = Networks(tuple(weights), tuple(biases))
    adam = torch.optim.Adam(networks.parameters, lr=RATE, betas=(0.9, 0.999))
    for i in range(iterations):
        at = i * BATCH % SAMPLES
        batch = images[:, at : at + BATCH]
        adam.zero_grad()
        outputs = networks(batch.repeat(3, 1, 1)).view(3, *batch.shape)
        _losses(outputs, batch).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
        if on_iteration is not None:
            on_iteration()
    return Networks(tuple(w.detach() for w in weights), tuple(b.detach() for b in biases))


def _losses(outputs: Tensor, images: Tensor) -> Tensor:
    """(3, N) from (3, N, n, 2) and (N, n, 2): cross-entropy, and squared distance to both steps."""
    labels = is_blurred(images).long()
    entropy = F.cross_entropy(outputs[0].flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    errors = [outputs[k] - wanted_steps(images, target) for k, target in ((1, MIRROR), (2, STAYS))]
    return torch.stack([entropy.mean(1), *(e.square().sum(-1).mean(1) for e in errors)])


def _score(name: str, steps: Tensor, images: Tensor, learned: Tensor | str, *, best_step: bool = False) -> Score:
    """Args: steps, images: (N, n, 2). learned: (N,), or the target that says so. best_step: see the module."""
    errors, nothing = {}, {}
    for target in TARGETS:
        mask = is_blurred(images)[..., None] if target == BLURRED else torch.ones_like(images[..., :1])
        taken, wanted = (mask * steps).double(), (mask * wanted_steps(images, target)).double()
        if best_step:
            size = (taken * wanted).sum((1, 2)) / taken.square().sum((1, 2)).clamp_min(1e-30)
            taken = taken * size.clamp_min(0)[:, None, None]
        errors[target] = (wanted - taken).square().sum((1, 2)) / mask.sum((1, 2))
        nothing[target] = wanted.square().sum((1, 2)) / mask.sum((1, 2))
    if isinstance(learned, str):
        learned = errors[learned] < LEARNED_ERROR * nothing[learned]
    blurred = is_blurred(images)
    idle = (steps.norm(dim=-1) < 0.01 * wanted_steps(images, MIRROR).norm(dim=-1)) & blurred
    return Score(
        name,
        {target: tuple(values.tolist()) for target, values in errors.items()},
        tuple(learned.tolist()),
        tuple((idle.sum(1) / blurred.sum(1)).tolist()),
    )


WIDTHS = (2, 4, 8, 4, 2)
"""Of the network (Tables 6 and 7); all layers but the last have biases, and ReLU behind them."""

MIRROR, STAYS, BLURRED = "mirror", "stays", "blurred"
TARGETS = (MIRROR, STAYS, BLURRED)
"""What errors are measured against: the mirror image everywhere; sharp pictures stay; blurred pictures alone."""

Prior = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks side by side, so that all seeds train at once.

    Args:
        weights: of each layer, (N, in, out). biases: (N, 1, out), one fewer.
    """

    weights: tuple[Tensor, ...] = field(repr=False)
    biases: tuple[Tensor, ...] = field(repr=False)

    @classmethod
    def start(cls, generators: Sequence[torch.Generator]) -> Networks:
        """As `nn.Linear` starts: weights and biases uniform within 1 / sqrt(inputs), from a generator for each."""
        weights, biases = [], []
        for inputs, outputs in pairwise(WIDTHS):
            weights.append(uniform(generators, inputs, outputs) / inputs**0.5)
            biases.append(uniform(generators, 1, outputs) / inputs**0.5)
        return cls(tuple(weights), tuple(biases[:-1]))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """All that is trained."""
        return (*self.weights, *self.biases)

    @property
    def size(self) -> int:
        """Numbers that one network has."""
        return sum(p[0].numel() for p in self.parameters)

    def __getitem__(self, which: slice) -> Networks:
        return Networks(tuple(w[which] for w in self.weights), tuple(b[which] for b in self.biases))

    def __call__(self, images: Tensor) -> Tensor:
        """(N, n, 2) from (N, n, 2), each network its own pictures."""
        x = images
        for weight, bias in zip(self.weights, self.biases, strict=False):
            x = torch.baddbmm(bias, x, weight).relu()
        return x @ self.weights[-1]


def is_blurred(images: Tensor) -> Tensor:
    """(...) from (..., 2): u1 + u2 <= 0."""
    return images.sum(-1) <= 0


def mirror_image(images: Tensor) -> Tensor:
    """t(u) = (-u2, -u1), the truth of a blurred picture; (..., 2)."""
    return -images.flip(-1)


def wanted_steps(images: Tensor, target: str) -> Tensor:
    """t(u) - u, with t(u) = u where u is sharp and those stay; (..., 2)."""
    steps = mirror_image(images) - images
    return steps * is_blurred(images)[..., None] if target == STAYS else steps


def optimal_prior(images: Tensor) -> Tensor:
    """p*(u) = (u1 + u2)^2 / 2; (...) from (..., 2).

    Example:
        >>> u = torch.tensor([[-0.5, 0.25]])
        >>> u + descent(optimal_prior, u)
        tensor([[-0.2500,  0.5000]])
    """
    return images.sum(-1).square() / 2


def optimal_staying_prior(images: Tensor) -> Tensor:
    """min(u1 + u2, 0)^2 / 2, the optimum where sharp pictures stay; (...) from (..., 2)."""
    return images.sum(-1).clamp_max(0).square() / 2


def probability_of_blur(classifier: Networks) -> Prior:
    """The classifier as a prior: softmax(N(u))[blurred]; (N, n) from (N, n, 2)."""
    return lambda images: classifier(images).softmax(-1)[..., 1]


def log_odds_of_blur(classifier: Networks) -> Prior:
    """N(u)[blurred] - N(u)[sharp] = log p / (1 - p): the same without softmax; (N, n) from (N, n, 2)."""
    return lambda images: classifier(images).diff(dim=-1)[..., 0]


def descent(prior: Prior, images: Tensor) -> Tensor:
    """-grad p(u), the step that a prior takes; of the shape of `images`, (..., 2)."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(prior(leaf).sum(), leaf)
    return -gradient


def integrate(gradient: Tensor) -> Tensor:
    r"""The surface on [-1, 1]^2 whose slopes come closest to a field, which need not be a gradient.

        min over p of  sum over neighbours a, b of the grid  (p(b) - p(a) - (b - a) . (g(a) + g(b)) / 2)^2,  p(0) = 0

    The trapezoidal rule makes this exact where p is quadratic. No path is preferred, as adding up along lines would:
    the normal equations are those of the grid's Laplacian, a Kronecker sum, solved in the eigenvectors of its rows.

    Args:
        gradient: (n, n, 2), n odd, at u = (linspace[i], linspace[j]).

    Returns:
        (n, n), float64.
    """
    n = gradient.shape[0]
    assert gradient.shape == (n, n, 2), "a square grid"
    assert n % 2 == 1, "its centre is a point"
    slopes, width = gradient.double(), 2 / (n - 1)
    difference = torch.eye(n, dtype=torch.float64).diff(dim=0)  # (n - 1, n)
    down = width * (slopes[1:, :, 0] + slopes[:-1, :, 0]) / 2
    right = width * (slopes[:, 1:, 1] + slopes[:, :-1, 1]) / 2
    values, vectors = torch.linalg.eigh(difference.T @ difference)
    sums = values[:, None] + values[None, :]
    sums[0, 0] = 1  # of the constant, which is free
    modes = vectors.T @ (difference.T @ down + right @ difference) @ vectors / sums
    surface: Tensor = vectors @ modes @ vectors.T
    return surface - surface[n // 2, n // 2]


def uniform(generators: Sequence[torch.Generator], *shape: int) -> Tensor:
    """(N, *shape) on [-1, 1)."""
    return torch.stack([torch.rand(shape, generator=g) for g in generators]) * 2 - 1


GRID = 81
"""Points along a side of the square, odd, so that the centre is one."""

FLOOR = 1e-9
"""Errors are drawn from here on, as 0 has no place on a logarithmic axis."""

ACCURACY, DISCRIMINATIVE, GRADIENT = 0.99, 0.4849, 2e-3
"""Of the paper (appendix, luo2019golf): the classifier's accuracy, its MSE as a prior, and that of the gradient."""

PUBLISHED: dict[str, str] = {
    "(a) probability of blur": f"{DISCRIMINATIVE:g}",
    "(a) log-odds of blur": f"{DISCRIMINATIVE:g}, or this",
    "(b) gradient, mirror image everywhere": f"{GRADIENT:g}",
    "(c) optimum (u1+u2)²/2": "0 (derived)",
}
"""By the name of the prior; the paper gives one number for (a) without saying which output it means."""


def report(found: TwoPixel) -> Report:
    """The MSE of every prior by target, over all seeds and over those where training succeeded."""
    count, lines = len(found.seeds), []
    for score in found.scores:
        good = sum(score.learned)
        rows = [("all" if count > 1 else f"{found.seeds[0]}", [True] * count)]
        if 0 < good < count:
            rows.append((f"{good} that learned", list(score.learned)))
        for n, (which, taken) in enumerate(rows):
            cells = [spread(_only(score.errors[target], taken)) for target in TARGETS]
            first, last = (score.name, PUBLISHED.get(score.name, "")) if n == 0 else ("", "")
            lines.append([first, which, *cells, last])
    head = [
        "prior",
        "seeds",
        "mirror image everywhere",
        "sharp pictures stay",
        "blurred pictures alone",
        "as published",
    ]
    numbers: dict[str, Any] = {
        "settings": {
            "samples": SAMPLES, "batch": BATCH, "rate": RATE, "fresh": FRESH, "weights": found.classifier.size,
            "learned_accuracy": LEARNED_ACCURACY, "learned_error": LEARNED_ERROR,
        },
        "published": {"accuracy": ACCURACY, "discriminative_mse": DISCRIMINATIVE, "gradient_mse": GRADIENT},
        "training_loss": dict(zip(("classifier", "mirror", "stays"), found.losses.tolist(), strict=True)),
        "outcome": found,
    }  # fmt: skip
    plots = {"slice.png": _slices(found), "seeds.png": [_seeds(found)]}
    return Report("two-pixel", [(head, lines)], _describe(found), numbers, plots)


def _describe(found: TwoPixel) -> list[str]:
    """What the table leaves out, in sentences, one a line."""
    probability, log_odds, best = found.scores[:3]
    mirror = found.scores[3]
    good = probability.learned
    seeds = f"seeds {found.seeds[0]} to {found.seeds[-1]}" if len(found.seeds) > 1 else f"seed {found.seeds[0]}"
    plus_minus = ", mean ± standard deviation over seeds" if len(found.seeds) > 1 else ""
    accurate = f", with {spread([100 * v for v in _only(found.accuracy, good)])} %" if any(good) else ""
    idle = spread([100 * v for v in _only(probability.idle, good)])
    said = [
        f"MSE ||t - (u - grad p)||², a sum over the two pixels, on {FRESH:,} fresh pictures{plus_minus}. Of {seeds}, "
        f"{found.iterations:,} iterations, {found.classifier.size} weights, {found.seconds:.1f} s.",
        f"Accuracy of the classifier: {spread([100 * v for v in found.accuracy])} %, "
        f"median {100 * median(found.accuracy):.1f} % ({100 * ACCURACY:.0f} % as published); "
        f"{sum(good)} of {len(good)} learned{accurate}.",
        f"The median of (b) is {median(mirror.errors['mirror']):.2g} ({GRADIENT:g} as published); "
        f"{sum(mirror.learned)} of {len(mirror.learned)} learned.",
    ]
    if any(good):
        halves = [v / 2 for v in _only(best.errors["blurred"], log_odds.learned)]
        said += [
            f"Where (a) learned, its probability gives {idle} % of the blurred pictures less than 1 % of their step.",
            f"{DISCRIMINATIVE:g} for (a) is not met by a step of size 1, which overshoots at the line. Blurred pictures"
            f" alone, mean over the pixels, best step size for the test set: the log-odds reach {spread(halves)}.",
        ]
    return said


def _slices(found: TwoPixel) -> list[Panel]:
    """The priors and the steps of a pixel along u1 = u2; the log-odds, which have no scale, end where (c) does."""
    a, b = found.best(0), found.best(1)
    classifier, gradient = found.classifier[slice(a, a + 1)], found.mirror[slice(b, b + 1)]
    axis = torch.linspace(-1, 1, GRID)
    diagonal = torch.stack((axis, axis), -1)[None]
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(1, -1, 2)
    probability, log_odds = probability_of_blur(classifier), log_odds_of_blur(classifier)
    with torch.no_grad():
        odds, best = log_odds(diagonal)[0], optimal_prior(diagonal)[0]
        learned = integrate(-gradient(grid).view(GRID, GRID, 2)).diagonal()
        heights = (probability(diagonal)[0], (odds - odds[GRID // 2]) * best[0] / (odds[0] - odds[GRID // 2]), learned)
        step_of_b = gradient(diagonal)
    steps = (descent(probability, diagonal), descent(log_odds, diagonal), step_of_b, descent(optimal_prior, diagonal))
    titles = (
        f"(a) probability of blur, seed {found.seeds[a]}", "(a) log-odds of blur, scaled",
        f"(b) learned gradient, integrated, seed {found.seeds[b]}", "(c) optimum (u1 + u2)² / 2",
    )  # fmt: skip
    looks = [{"color": colour} for colour in (COLOURS[1], COLOURS[3], COLOURS[0], COLOURS[4])]
    t = axis.tolist()
    place = {"xlabel": "t, of u = (t, t); blurred below 0", "xlim": (-1, 1)}
    values = [*heights, best]
    up = [Series(t, v.tolist(), title, look) for v, title, look in zip(values, titles, looks, strict=True)]
    down = [Series(t, v[0].mean(-1).tolist(), "", look) for v, look in zip(steps, looks, strict=True)]
    return [
        Panel(up, {**place, "ylabel": "p(u)", "ylim": (-2.3, 2.4)}, place=0.0),
        Panel(down, {**place, "ylabel": "-∂p/∂u1; needed: -2t", "ylim": (-2.3, 4.4)}, place=0.0),
    ]


def _seeds(found: TwoPixel) -> Panel:
    """The MSE of every seed on a logarithmic axis, with the paper's; against what stays in the last row."""
    published = (DISCRIMINATIVE, DISCRIMINATIVE, None, GRADIENT, None)
    points: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for row, score in enumerate(found.scores[:5]):
        errors = score.errors[STAYS if row == 4 else MIRROR]
        for value, good in zip(errors, score.learned, strict=True):
            points[good].append((max(value, FLOOR), row))
    theirs = [(value, row) for row, value in enumerate(published) if value is not None]
    kinds = (("a seed", points[True], "o", COLOURS[0]), ("a seed that did not learn", points[False], "x", SOFT),
             ("as published", theirs, "D", INK))  # fmt: skip
    series = [
        Series([x for x, _ in each], [y for _, y in each], label, {"color": c, "marker": m, "linestyle": "none"})
        for label, each, m, c in kinds
    ]
    nothing = found.scores[-1].errors[MIRROR]
    names = [score.name for score in found.scores[:5]]
    options = {"xscale": "log", "xlabel": "MSE; dashed: nothing done", "yticks": range(5), "yticklabels": names}
    return Panel(series, options, place=sum(nothing) / len(nothing))


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation to the digits that mean something; of one value, itself; of none, a dash.

    Example:
        >>> spread([0.5, 0.7]), spread([2e-5]), spread([])
        ('0.6 ± 0.14', '2e-05', '-')
    """
    if not values:
        return "-"
    return f"{_number(fmean(values), 3)} ± {_number(stdev(values), 2)}" if len(values) > 1 else _number(values[0], 3)


def _only(values: Sequence[float], taken: Sequence[bool]) -> list[float]:
    return [v for v, yes in zip(values, taken, strict=True) if yes]


def _number(value: float, digits: int) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
