"""Methods that know the blur: the network of one step is a graph, and whoever runs it applies the blur itself."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.export.graph import Graph, Port, Tensors, extended
from acutance.methods.acute import AMPLIFICATION, CHANNELS, DETAIL, LEAST_LEVEL, Acute, AcuteState, local_mean
from acutance.methods.rgdn import Rgdn
from acutance.networks.unet import UNet
from acutance.operators import Blur
from acutance.problem import Problem, State

ESTIMATE = "estimate x(t) on the domain of the blur, its bright parts near 1 (range 0 to 1)"
NEXT = "estimate x(t+1)"


class GradientStep(nn.Module):
    """One step of RGDN: x(t), A'(A x(t) - y) -> x(t+1); all of them (B, 3, H', W')."""

    def __init__(self, method: Rgdn) -> None:
        super().__init__()
        self.prior, self.adapter, self.scaler = method.prior, method.adapter, method.scaler
        self.paper = method.config.form == "paper"

    def forward(self, picture: Tensor, gradient: Tensor) -> tuple[Tensor]:
        """x(t+1)."""
        h, r = self.adapter(gradient), self.prior(picture)
        if self.paper:
            return (picture + self.scaler(h + r),)
        return (0.8 * picture + 0.2 * self.scaler(h - r),)


class AcuteStep(nn.Module):
    """One step of Acute behind its data terms; the formula is in `acutance.methods.acute`."""

    def __init__(self, method: Acute, channels: int) -> None:
        super().__init__()
        self.config, self.bank, self.channels = method.config, method.bank, channels
        network = method.networks[0]
        assert isinstance(network, UNet)
        self.network = network

    def forward(
        self,
        picture: Tensor,
        data: Tensor,
        level: Tensor,
        unseen: Tensor,
        memory: Tensor,
        step: Tensor,
        inexact: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """x(t+1), h(t+1)."""
        batch, _, height, width = picture.shape
        moments, multiple, c = self.config.moments, self.config.unet.multiple_of, self.channels
        moment = (torch.arange(moments) == step.clamp_max(moments - 1)).to(picture.dtype)
        conditions = [moment[None].expand(batch, moments), 0.5 * level.log()[:, None] + 2]
        if self.config.flagged:
            conditions.append(inexact[:, None])
        noise = (AMPLIFICATION * level)[:, None, None, None].expand(batch, 1, height, width)
        g, x, *others = (extended(z, multiple) for z in (data, picture, noise, unseen, memory))
        z = torch.cat([DETAIL * (x - local_mean(x)), AMPLIFICATION * g, *others], 1)
        out = self.network(z, torch.cat(conditions, 1), CHANNELS.index(c))[..., :height, :width]
        after = picture + out[:, :c]
        for j in range(self.config.bank):
            after = after - self.bank.weight[j] * data[:, j * c : (j + 1) * c]
        return after, out[:, c:]


def _blurred(generator: torch.Generator, channels: int, batch: int, height: int, width: int) -> Problem:
    """A random picture behind a random kernel of 5 x 7 pixels; the noise level is 2 %."""
    kernel = torch.rand(1, 1, 5, 7, generator=generator)
    blur = Blur(kernel / kernel.sum())
    sharp = torch.rand(batch, channels, *blur.domain_size(height, width), generator=generator)
    observed = blur.forward(sharp) + 0.02 * torch.randn(batch, channels, height, width, generator=generator)
    return Problem(observed, blur, sigma=torch.full((batch,), 0.02))


def rgdn_graph(method: Rgdn) -> Graph:
    """One step of RGDN.

    Raises:
        ConfigError: the method is set to its prior alone.
    """
    if method.config.part != "unit":
        raise ConfigError(
            f"part={method.config.part!r}: the step of a graph is the whole unit; export with part='unit'"
        )

    @torch.no_grad()
    def trial(generator: torch.Generator, batch: int, height: int, width: int) -> tuple[Tensors, Tensors]:
        problem = _blurred(generator, 3, batch, height, width)
        x = problem.start()
        after = method.solver().steps[0](problem, State(x))
        return {"picture": x, "gradient": problem.gradient(x)}, {"after": after.x}

    size = ("batch", 3, "height", "width")
    inputs = (Port("picture", size, ESTIMATE), Port("gradient", size, "A'(A x(t) - y), A' the adjoint of the blur A"))
    constants = {"steps": method.config.steps, "start": method.config.start}
    return Graph("rgdn", GradientStep(method), inputs, (Port("after", size, NEXT),),
                 "one step x(t) -> x(t+1); repeat it", trial, halves=True, constants=constants)  # fmt: skip


def acute_graph(method: Acute, *, channels: int) -> Graph:
    """One step of Acute for pictures of so many channels, 1 or 3; the graph has the bank's numbers beside it.

    Raises:
        ConfigError: a method with two networks, or without memory.
    """
    config = method.config
    if config.units != 1 or config.memory < 1:
        raise ConfigError(
            f"units={config.units}, memory={config.memory}: a graph takes 1 unit and a memory of 1 or more"
        )

    @torch.no_grad()
    def trial(generator: torch.Generator, batch: int, height: int, width: int) -> tuple[Tensors, Tensors]:
        problem = _blurred(generator, channels, batch, height, width)
        if batch > 1:
            problem = replace(problem, approximate=torch.linspace(0, 1, batch).round())
        step = method.solver().steps[0]
        state = step.init(problem)
        for _ in range(height % 3):  # steps 0, 1 and 2 all occur among the sizes
            state = step(problem, state)
        after = step(problem, state)
        assert problem.operator is not None
        data = method.bank(problem.operator, problem.operator.adjoint(state.residual), state.level, state.x.dtype)
        return _inputs(state, data, problem), {"after": after.x, "remembered": after.memory}

    c, size = channels, ("height", "width")
    inputs = (
        Port("picture", ("batch", c, *size), ESTIMATE),
        Port("data", ("batch", c * config.bank, *size), "g_j(t) = (|K|^2 + R_j)^-1 A'r(t), the channels of g_1 first"),
        Port("level", ("batch",), f"noise level, a fraction of the range, at least {LEAST_LEVEL:g}"),
        Port("unseen", ("batch", 1, *size), "1 - A'1, from 0 (all light of a point was observed) to 1 (none was)"),
        Port("memory", ("batch", config.memory, *size), "memory h(t) that the last step returned; 0 at first"),
        Port("step", (1,), "t as an integer, from 0"),
        Port("inexact", ("batch",), "1 where the kernel is an estimate, 0 where it is exact"),
    )
    outputs = (Port("after", ("batch", c, *size), NEXT), Port("remembered", ("batch", config.memory, *size), "h(t+1)"))
    bank = {
        "strength": method.bank.log_strength.exp().tolist(),
        "power": method.bank.power.tolist(),
        "constant": method.bank.log_constant.exp().tolist(),
    }
    constants = {"steps": config.steps, "memory": config.memory, "bank": bank, "least_level": LEAST_LEVEL}
    return Graph("acute", AcuteStep(method, channels), inputs, outputs,
                 "one step x(t), h(t) -> x(t+1), h(t+1); R_j = strength_j level^(2 power_j) (constant_j + |D|^2)",
                 trial, halves=True, constants=constants)  # fmt: skip


def _inputs(state: AcuteState, data: Tensor, problem: Problem) -> Tensors:
    """The inputs of the graph of `acute_graph` from a state and its g_j, (B, J, C, H', W')."""
    batch = len(state.x)
    inexact = torch.zeros(batch) if problem.approximate is None else problem.approximate.expand(batch)
    return {
        "picture": state.x,
        "data": data.flatten(1, 2),
        "level": state.level,
        "unseen": state.unseen.expand(batch, -1, -1, -1),
        "memory": state.memory.contiguous(),
        "step": torch.tensor([state.step]),
        "inexact": inexact,
    }
