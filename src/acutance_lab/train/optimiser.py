r"""The optimiser of the weights: Adam, or Muon for hidden convolutions and Adam for the rest.

Muon (Jordan et al. 2024) moves a matrix in the direction that changes its output evenly in all directions:

    m <- b m + (1 - b) g,     u = (1 - b) g + b m             Nesterov's momentum
    O = NS(u)                                                 the nearest semi-orthogonal matrix, nearly
    W <- W - lr 0.2 sqrt(max(rows, columns)) O

A convolution (out, in, h, w) is the matrix (out, in h w). NS is five steps of a Newton-Schulz iteration. The factor
makes the root mean square of an update that of Adam's (Liu et al. 2025), so that one learning rate serves both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from acutance.errors import ConfigError

HIDDEN = 16
"""Features on both sides of a convolution, at least, for Muon to take it."""

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients a, b, c of the iteration x <- a x + b x^3 + c x^5 on singular values."""

STEPS = 5


def optimiser_for(parameters: Sequence[Tensor], kind: str, learning_rate: float) -> torch.optim.Optimizer:
    """The optimiser of that kind, "adam" or "muon".

    Raises:
        ConfigError: another kind.
    """
    if kind == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate)
    if kind == "muon":
        hidden = [p for p in parameters if is_hidden(p)]
        rest = [p for p in parameters if not is_hidden(p)]
        groups: list[dict[str, Any]] = [{"params": rest, "orthogonal": False}, {"params": hidden, "orthogonal": True}]
        return Muon([group for group in groups if group["params"]], lr=learning_rate)
    raise ConfigError(f"kind={kind!r} is neither 'adam' nor 'muon'")


def is_hidden(p: Tensor) -> bool:
    """Whether it is the weight of a convolution between features: (out, in, h, w), both at least `HIDDEN`."""
    return p.ndim == 4 and min(p.shape[:2]) >= HIDDEN


class Muon(torch.optim.Optimizer):
    """Muon for the groups with `orthogonal` set, Adam for the others; see the module.

    Args:
        groups: of parameters, as every optimiser of torch takes them.
        lr: learning rate. momentum: b of Muon. betas, eps: of Adam.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        *,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "orthogonal": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    (self._muon if group["orthogonal"] else self._adam)(p, p.grad, group)
        return loss

    def _muon(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state, b = self.state[p], group["momentum"]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(grad, 1 - b)
        direction = orthogonal(grad.lerp(state["momentum"], b).flatten(1))
        p.add_(direction.view_as(p), alpha=-group["lr"] * 0.2 * max(direction.shape) ** 0.5)

    def _adam(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state, (first, second) = self.state[p], group["betas"]
        if not state:
            state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        state["exp_avg"].lerp_(grad, 1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(grad, grad, value=1 - second)
        t = float(state["step"])
        size = (state["exp_avg_sq"] / (1 - second**t)).sqrt_().add_(group["eps"])
        p.addcdiv_(state["exp_avg"], size, value=-group["lr"] / (1 - first**t))


def orthogonal(matrix: Tensor) -> Tensor:
    """U V' of matrix = U S V', nearly: all singular values come out between about 0.7 and 1.2; (n, m) alike."""
    a, b, c = QUINTIC
    tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-12)
    for _ in range(STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    out: Tensor = x.T if tall else x
    return out
