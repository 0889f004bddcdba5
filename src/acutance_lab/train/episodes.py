"""One batch of problems, and a window of steps on it with its loss.

Episode e draws everything from a Generator seeded with (seed, e, rank): nothing but the number of the episode is needed
to make it again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from acutance.methods.spec import Learned
from acutance.problem import State
from acutance_lab.data.photographs import Photographs
from acutance_lab.synth import Degradation, Synthesis, kernels
from acutance_lab.train.config import LossConfig, TrainConfig
from acutance_lab.train.harvest import Harvest, teacher
from acutance_lab.train.loss import recursive
from acutance_lab.train.perceptual import Perceptual
from acutance_lab.train.pool import Pool, Work
from acutance_lab.train.schedule import taking


class Unroll(nn.Module):
    """A window of steps and its loss as one forward call, so that every distributed strategy wraps it."""

    def __init__(self, method: Learned[State], loss: LossConfig) -> None:
        super().__init__()
        self.method, self.loss = method, loss
        self.perceptual = Perceptual.load(loss.judge) if loss.perceptual else None

    def forward(self, work: Work) -> Tensor:
        """The loss over `work.steps` steps from where the work stands, which then stands behind them."""
        steps, example = self.method.solver().steps, work.example
        problem = example.problem
        state = steps[0].init(problem) if work.state is None else work.state
        work.first = state.x.detach() if work.first is None else work.first
        with torch.no_grad():
            for t in range(work.done, work.behind):
                state = steps[min(t, len(steps) - 1)](problem, state)
        work.done = max(work.done, work.behind)
        estimates = []
        for t in range(work.done, work.done + work.steps):
            state = steps[min(t, len(steps) - 1)](problem, state)
            estimates.append(example.shown(problem.crop(state.x)))
        work.done += work.steps
        work.state = replace(state, **{k: v.detach() for k, v in vars(state).items() if isinstance(v, Tensor)})
        sharp = example.shown(problem.crop(example.sharp))
        loss = recursive(estimates, sharp, self.loss, example.shown(problem.crop(work.first)))
        if self.perceptual is not None:
            apart = torch.stack([self.perceptual(x, sharp) for x in estimates])
            loss = loss + self.loss.perceptual * apart.mean()
        return loss

    @torch.no_grad()
    def begin(self, work: Work) -> None:
        """Set x(0)."""
        work.state = self.method.solver().steps[0].init(work.example.problem)
        work.first = work.state.x

    @torch.no_grad()
    def advance(self, work: Work, steps: int) -> None:
        """Take steps without gradients, until the batch diverges."""
        window, end = work.steps, work.done + steps
        work.steps = 1
        while work.done < min(end, work.life):
            work.judge(float(self(work)))
        work.steps = window


def source_of(
    config: TrainConfig,
    make: Callable[[int], Work],
    window: Unroll,
    average: dict[str, Tensor],
    order: str,
    device: torch.device,
) -> Pool | Harvest | None:
    """The pool or the harvest that updates draw from; None: each episode is trained on once.

    Args:
        make: a new batch of problems, from its number. window: begins it, and takes steps with it. average: of the
            weights; the late iterates of a harvest are made with it, as its users will make them. order: the seed.
    """
    if config.pool is not None:
        return Pool(config.pool, make, window.advance, seed=order)
    if config.harvest is None:
        return None
    teach = teacher(config.harvest.teacher, device)

    def advance(work: Work, steps: int) -> None:
        with taking(window.method, average):
            window.advance(work, steps)

    return Harvest(config.harvest, make, window.begin, advance, seed=order, teach=teach)


def synthesis(config: TrainConfig) -> Synthesis:
    """What a configuration makes its batches with."""
    for other in (config.motion, config.noise, config.rain, config.sensed):
        if other is not None:
            return other
    values = {k: v for k, v in vars(config.degradation).items() if k != "kernels"}
    sampler = {"spline": kernels.spline, "mixture": kernels.mixture}[config.degradation.kernels]
    return Degradation(sampler=sampler, **values)


def episode(
    config: TrainConfig, progress: float, degrade: Synthesis, photographs: Photographs, number: int, rank: int
) -> tuple[Work, int]:
    """The batch of that number, and how many windows it is unrolled for."""
    host = random.Random(f"{config.seed}/{number}")
    phase = config.phase(random.Random(f"{config.seed}/{number}/phase").random() if config.mixed else progress)
    span, windows = host.choice(phase.spans), host.randint(1, phase.windows)
    device = photographs.flat.device
    generator = torch.Generator(device).manual_seed(host.getrandbits(48) + rank)
    sharp = photographs.crops(phase.batch, phase.crop + 2 * degrade.margin(span), generator)
    one_channel = config.one_channel > 0 and host.random() < config.one_channel
    example = degrade(sharp, generator, span=span, one_channel=one_channel)
    return Work(example, phase.steps, behind=phase.behind), windows
