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
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError
from acutance_lab.experiments.two_pixel_priors import (
    BLURRED,
    MIRROR,
    STAYS,
    TARGETS,
    Networks,
    descent,
    is_blurred,
    log_odds_of_blur,
    optimal_prior,
    optimal_staying_prior,
    probability_of_blur,
    uniform,
    wanted_steps,
)

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
