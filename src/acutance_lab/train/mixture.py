r"""Fit a Gaussian mixture to patches of photographs by expectation maximisation, for EPLL (Zoran & Weiss 2011).

    p(z) = sum_k w_k N(z; 0, C_k),      z: 8 x 8 pixels less their mean

    E:  r_nk ~ w_k N(z_n; 0, C_k),  sum_k r_nk = 1
    M:  w_k = mean_n r_nk,          C_k = sum_n r_nk z_n z_n' / sum_n r_nk

A mixture of zero means knows a patch up to its sign, so it starts from directions: patches are given to the most nearly
parallel of some seeds, and those of one seed are split by contrast. Patches are drawn anew for every iteration, more
and more of them; a component that hardly any are given to takes half of those of a large one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from acutance.priors.mixture import FLOOR, PatchMixture, principal_axes
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth.degradation import luma

LOST = 0.05
"""Share of an equal share of the patches below which a component starts anew."""

CHUNK = 8192
"""Patches whose responsibilities are held at a time."""


@dataclass(frozen=True)
class MixtureFit:
    """How a mixture is fitted.

    Args:
        components: Gaussians. side: of a patch, pixels.
        patches: drawn for each of the iterations, which is their number.
        seed: of the draw.
    """

    components: int = 200
    side: int = 8
    patches: tuple[int, ...] = (60_000,) * 25 + (300_000,) * 12 + (800_000,) * 4
    seed: int = 1


@dataclass(frozen=True)
class Fitted:
    """One iteration: its number, the mean log-likelihood of a patch before it, in nats, and the minutes so far."""

    iteration: int
    likelihood: float
    minutes: float


def fit_mixture(
    photographs: Photographs,
    fit: MixtureFit | None = None,
    *,
    start: PatchMixture | None = None,
    on_iteration: Callable[[Fitted], None] | None = None,
) -> PatchMixture:
    """Fit to the luma of photographs, from a start of its own or from a mixture; see the module."""
    fit = fit or MixtureFit()
    generator = torch.Generator(photographs.flat.device).manual_seed(fit.seed)
    begun = time.monotonic()
    first = draw_patches(photographs, max(fit.patches[0], 50 * fit.components), fit.side, generator)
    mixture = start or _start(first, fit.components, generator)
    for iteration, count in enumerate(fit.patches, 1):
        patches = draw_patches(photographs, count, fit.side, generator)
        mixture, likelihood = maximised(mixture, patches)
        if on_iteration is not None:
            on_iteration(Fitted(iteration, likelihood, (time.monotonic() - begun) / 60))
    return mixture


def draw_patches(photographs: Photographs, count: int, side: int, generator: torch.Generator) -> Tensor:
    """Patches of random places, less their means: (count, side^2)."""
    crop, each = 4 * side, 16
    found = []
    for _ in range(0, count, 512 * each):
        crops = photographs.crops(512, crop, generator, candidates=1)
        grey = luma(crops)[:, 0]  # (512, crop, crop)
        every = grey.unfold(1, side, side).unfold(2, side, side).reshape(-1, side * side)
        found.append(every)
    patches = torch.cat(found)[:count]
    return patches - patches.mean(1, keepdim=True)


def held_out_likelihood(mixture: PatchMixture, photographs: Photographs, *, count: int = 100_000) -> float:
    """Mean log-likelihood of patches of held-out photographs, always the same ones, in nats per patch."""
    generator = torch.Generator(photographs.flat.device).manual_seed(0)
    patches = draw_patches(photographs, count, mixture.side, generator)
    chunks: tuple[Tensor, ...] = torch.split(patches, CHUNK)
    return sum(float(mixture.log_joint(z).logsumexp(1).sum()) for z in chunks) / count


def maximised(mixture: PatchMixture, patches: Tensor) -> tuple[PatchMixture, float]:
    """One iteration of expectation maximisation, and the mean log-likelihood before it."""
    k, d = mixture.values.shape
    weight = patches.new_zeros(k)
    scatter = patches.new_zeros(k, d, d)
    likelihood = 0.0
    for z in torch.split(patches, CHUNK):
        logs = mixture.log_joint(z)  # (n, k)
        total = logs.logsumexp(1, keepdim=True)
        likelihood += float(total.sum())
        r = (logs - total).exp()
        weight += r.sum(0)
        for i in _heard(r):
            mine = r[:, i]
            some = mine > 1e-4
            scatter[i] += (z[some] * mine[some, None]).T @ z[some]
    covariance = scatter / weight.clamp_min(1e-9)[:, None, None]
    values, vectors = principal_axes(covariance)
    values, vectors, weight = _split(values, vectors, weight, least=max(d, LOST * len(patches) / k))
    return PatchMixture((weight / weight.sum()).log(), values, vectors), likelihood / len(patches)


def _split(values: Tensor, vectors: Tensor, weight: Tensor, *, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give components of hardly any patches another start: half of what the heaviest ones have, by contrast."""
    lost = torch.nonzero(weight < least).flatten()
    heaviest = weight.argsort(descending=True)[: len(lost)]
    lost = lost[: len(heaviest)]
    heaviest = heaviest[: len(lost)]
    values, vectors, weight = values.clone(), vectors.clone(), weight.clone()
    values[lost], vectors[lost] = (values[heaviest] / 2.5).clamp_min(FLOOR), vectors[heaviest]
    values[heaviest] = values[heaviest] * 1.6
    weight[lost] = weight[heaviest] = weight[heaviest] / 2
    return values, vectors, weight


def _heard(r: Tensor) -> Iterator[int]:
    yield from torch.nonzero(r.amax(0) > 1e-4).flatten().tolist()


def _start(patches: Tensor, components: int, generator: torch.Generator) -> PatchMixture:
    levels = 5 if components % 5 == 0 and components > 5 else 1
    norm = patches.norm(dim=1)
    textured = patches[norm > norm.median()]
    directions = components // levels
    seeds = textured[torch.randperm(len(textured), generator=generator, device=patches.device)[:directions]]
    seeds = seeds / seeds.norm(dim=1, keepdim=True)
    nearest = (patches @ seeds.T).abs().argmax(1)
    covariance = []
    for i in range(directions):
        mine = patches[nearest == i]
        mine = mine[mine.norm(dim=1).argsort()] if len(mine) else textured[:levels]
        for part in mine.tensor_split(levels):
            flat = part.square().mean().clamp_min(FLOOR) if len(part) else patches.new_tensor(FLOOR)
            outer = part.T @ part / max(1, len(part))
            covariance.append(0.9 * outer + 0.1 * flat * torch.eye(patches.shape[1], device=patches.device))
    values, vectors = principal_axes(torch.stack(covariance))
    return PatchMixture(torch.full((components,), -float(components)).to(patches).log_softmax(0), values, vectors)
