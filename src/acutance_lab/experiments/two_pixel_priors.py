"""The pictures, targets, networks and priors of the two-pixel experiment; see `acutance_lab.experiments.two_pixel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

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
