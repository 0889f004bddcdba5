r"""Motion flow: a network tells the motion at every place, then a method for known blur restores (Sun et al. 2015;
Gong et al. 2017).

    q(p), w(p) = network(y)                       `acutance.networks.motion_field`: a motion and its certainty
    q_i        = sum_p v_i(p) e^(2 w(p)) q(p) / sum_p v_i(p) e^(2 w(p))             for the nodes i of a grid
    k_i        = straight line of length |q_i| along half the angle of q_i          `acutance.operators.BlurField`
    x          = method( y, k )                                                     acute

v_i is a window around node i, so that flat places take their motion from textured ones nearby. The papers classify
motion into bins and smooth by a Markov random field. Here it is a regression: two numbers need fewer weights and less
training than some hundred bins, q has no cut between a motion and its opposite, and a place where several motions are
equally likely gets a short one, which does less harm than a wrong one. Blur that is no straight motion is not found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import TILE, Frame, Precision, resolve_precision
from acutance.methods.inner import build_shipped, split
from acutance.methods.spec import MethodSpec, Needs, StateDict, configure, find
from acutance.networks.motion_field import CELL, HALO, MotionField
from acutance.noise.level import behind_estimated
from acutance.operators import BlurField
from acutance.problem import Method, Observer, Outcome, Problem, Result, direct_result, worst
from acutance.psf.shapes import line, odd_size

SHORTEST = 0.5
"""Motion in pixels below which everywhere nothing is restored."""

SMOOTH = (0.25, 0.5, 0.25)
"""Weights of a node and its two neighbours along an axis, of each smoothing."""


@dataclass(frozen=True)
class MotionFlowConfig:
    """Settings of motion flow.

    Args:
        method: name of the method that restores; it must take a kernel for every place.
        features: width of the network; it belongs to the weights.
        spacing: pixels from one node of the grid to the next, about. nodes: along an axis, at most.
        smoothing: how often the motion of the nodes is smoothed.
        longest: motion in pixels that is cut to this.
    """

    method: str = "acute"
    features: int = 32
    spacing: int = 48
    nodes: int = 24
    smoothing: int = 1
    longest: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.features <= 1024:
            raise ConfigError(f"features={self.features}: between 1 and 1024")
        if self.spacing < CELL or self.nodes < 1 or self.smoothing < 0:
            raise ConfigError(
                f"spacing={self.spacing}, nodes={self.nodes}, smoothing={self.smoothing}: spacing must be at least "
                f"{CELL}, nodes at least 1, and smoothing not negative"
            )
        if not 1 <= self.longest <= 500:
            raise ConfigError(f"longest={self.longest}: between 1 and 500 pixels")


def seen(picture: Tensor) -> Tensor:
    """The input of the network for (B, C, H, W): grey values of mean 0 and deviation 1, (B, 1, H, W)."""
    grey = picture.mean(1, keepdim=True)
    deviation = grey.std((-2, -1), keepdim=True, correction=0)
    return (grey - grey.mean((-2, -1), keepdim=True)) / deviation.clamp_min(1e-4)


def at_nodes(q: Tensor, w: Tensor, grid: tuple[int, int], smoothing: int) -> Tensor:
    """The weighted mean of motion around the nodes of a grid.

    Args:
        q: (B, 2, H, W), pixels. w: log precision, (B, 1, H, W). grid: rows and columns of nodes.
        smoothing: how often the windows are widened to the neighbours of a node.

    Returns:
        (B, 2, rows, columns).
    """
    weight = torch.exp(2 * w)
    parts = F.adaptive_avg_pool2d(torch.cat((weight * q, weight), 1), grid)
    taps = parts.new_tensor(SMOOTH)
    for _ in range(smoothing):
        for shape, border in (((3, 1), (0, 0, 1, 1)), ((1, 3), (1, 1, 0, 0))):
            filters = taps.reshape(1, 1, *shape).expand(3, 1, -1, -1)
            parts = F.conv2d(F.pad(parts, border, mode="replicate"), filters, groups=3)
    return parts[:, :2] / parts[:, 2:]


def lines(q: Tensor) -> tuple[Tensor, Tensor]:
    """Length in pixels and angle in degrees of motions (..., 2, rows, columns), each (..., rows, columns)."""
    x, y = q.unbind(-3)
    return torch.hypot(x, y), 0.5 * torch.rad2deg(torch.atan2(y, x))


def field_of(q: Tensor) -> BlurField:
    """Lines for a grid of motions (2, rows, columns)."""
    length, angle = lines(q)
    side = odd_size(float(length.max()) + 3)
    kernels = line(1 + length.flatten(), angle.flatten(), side)
    return BlurField(kernels.reshape(*length.shape, 1, side, side).to(q))


@dataclass(frozen=True, eq=False)
class MotionFlow:
    """Motion flow as a method. Untrained, it finds no motion and leaves pictures as they are.

    Args:
        config: settings. network: tells the motion. method: restores where the blur is known at every place.
        frame: how the network is evaluated.
    """

    config: MotionFlowConfig
    network: MotionField
    method: Method
    frame: Frame

    @torch.no_grad()
    def flow(self, picture: Tensor) -> Tensor:
        """Motion q at the nodes of the grid for pictures (B, C, H, W): (B, 2, rows, columns), pixels."""
        c, (height, width) = self.config, picture.shape[-2:]
        told: Tensor = self.frame(self.network, seen(picture), halo=HALO, multiple_of=CELL)
        rows, cols = (min(c.nodes, max(1, round(size / c.spacing))) for size in (height, width))
        q = at_nodes(told[:, :2], told[:, 2:], (rows, cols), c.smoothing)
        longest = min(c.longest, min(height, width) / 4)
        return q * (longest / torch.hypot(*q.unbind(1)).clamp_min(1e-6)).clamp_max(1)[:, None]

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`. Every picture of a batch has its own motion.

        Raises:
            ConfigError: the problem has a blur already; or the method takes no kernel for every place.
        """
        if problem.operator is not None:
            raise ConfigError(f"motion-flow finds the blur itself; leave the kernel out, or use {self.config.method}")
        pictures = len(problem.observed)
        found = [self._one(alone(problem, i)) for i in range(pictures)]
        result = direct_result(problem, torch.cat([x for x, _, _ in found]))
        outcomes = tuple(
            worst((mine, theirs)) for mine, (_, theirs, _) in zip(result.outcomes, found, strict=True)
        )  # fmt: skip
        return replace(result, outcomes=outcomes, remarks=tuple(dict.fromkeys(said for _, _, said in found)))

    def _one(self, problem: Problem) -> tuple[Tensor, Outcome, str]:
        """A picture restored, how that ended, and what was found."""
        y = problem.observed
        q = self.flow(y)[0]
        length, _ = lines(q)
        if not bool(torch.isfinite(q).all()):
            return torch.full_like(y, torch.nan), Outcome.DIVERGED, "no motion can be told"
        if float(length.max()) < SHORTEST:
            return y, Outcome.COMPLETED, "no motion found, left unchanged"
        field = field_of(q)
        inner = replace(problem, operator=field, approximate=torch.ones_like(y[:, 0, 0, 0]))
        result = self.method.run(replace(inner, sigma=behind_estimated(inner)))
        said = f"motion of {float(length.min()):.0f} to {float(length.max()):.0f} pixels found"
        return field.crop(result.x), result.outcome, said


def alone(problem: Problem, index: int) -> Problem:
    """The problem of one picture of a batch."""
    one = slice(index, index + 1)
    sigma = problem.sigma
    if sigma is not None and sigma.ndim and len(sigma) > 1:
        sigma = sigma[one]
    mask, saturated = (m if m is None or len(m) == 1 else m[one] for m in (problem.mask, problem.saturated))
    return replace(problem, observed=problem.observed[one], sigma=sigma, mask=mask, saturated=saturated)


def build(
    *,
    weights: StateDict | None = None,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
    **settings: Any,
) -> MotionFlow:
    """Motion flow in evaluation mode.

    Args:
        weights: of the network that tells motion; None leaves it untrained.
        device, precision, tile: of this network and of a method that is one.
        settings: fields of `MotionFlowConfig`; those that begin with ``method_`` are handed to the method.

    Raises:
        ConfigError: an unknown setting, or a method that takes no kernel. UnknownMethod: there is no such method.
        WeightsError: weights of another network.
    """
    own, inner = split(settings, "method_")
    config = configure(MotionFlowConfig, "motion-flow", own)
    spec = find(config.method)
    if not spec.needs.kernel:
        raise ConfigError(f"method={config.method!r} takes no kernel, so it cannot use the motion that is found")
    place = torch.device(device)
    network = MotionField(config.features)
    if weights is not None:
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(f"these weights do not fit motion-flow ({config}): {error}") from None
    network.to(place).eval().requires_grad_(False)
    method = build_shipped(spec, inner, device=device, precision=precision, tile=tile)
    return MotionFlow(config, network, method, Frame(resolve_precision(precision, place), tile))


SPEC = MethodSpec(
    name="motion-flow",
    summary="blind: a network tells the motion at every place, then acute restores",
    reference="gong2017motion",
    build=build,
    needs=Needs(kernel=False, uses_sigma=True),
    weights="motion-flow",
)
