"""Blind: a kernel by an estimator, then the picture by any method for a known kernel.

    k = estimator(y),       x = method(y, k)

The kernel is one for the whole picture: the blur of a shaken camera with a steady scene. Where objects move or the
camera turned about its axis, it is the kernel of the most textured part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.blind.base import Estimate, Estimator, Unknowable
from acutance.blind.camera import field as field_of
from acutance.blind.choice import TELLING, choose, pointed
from acutance.blind.critic import trust
from acutance.blind.estimators import ESTIMATORS
from acutance.blind.hypothesis import Look, MakeEstimator
from acutance.blind.scoring import doubt
from acutance.blind.search import WINDOW
from acutance.blind.spectrum import softness
from acutance.blind.trail import Region
from acutance.errors import ConfigError
from acutance.frame import TILE, Precision
from acutance.images import linear_to_srgb, srgb_to_linear
from acutance.methods.inner import build_shipped, split
from acutance.methods.lamps import in_two_parts
from acutance.methods.spec import MethodSpec, Needs, configure, find
from acutance.methods.wrappers import shifted
from acutance.noise.level import behind_estimated, level_of
from acutance.operators import Blur
from acutance.problem import Method, Observer, Outcome, Problem, Progress, Result, StageObserver, State
from acutance.saturation import heeding
from acutance.tensors import filled
from acutance.texture import where_textured
from acutance.weights import embedded_names

DOUBTFUL = 0.765
"""Doubt from which no single kernel explains a picture. Of 22 photographs (512 pixels, none of a test set) all 11
behind one kernel of 13 to 37 pixels are below, 0.75 at most. Of 11 behind a moving camera and moving things the three
that restoring with the kernel mends are (by 1.3 to 3.7 dB), and seven of the eight that it spoils or hardly mends (by
-1.2 to 0.2 dB) are not."""

MOVED = 0.9
"""Softness in some direction from which a picture that no kernel explains goes to a method that needs none, pixels."""

NEARLY_ALL = 0.95
"""Share of a result from which nobody needs to be told that it is mixed with the input."""

PIECE = 320
"""Side of the piece that candidates are shown on, pixels."""

SHOWN = 128
"""Side that kernels have at least where they are explained, pixels."""


@dataclass(frozen=True)
class BlindConfig:
    """Settings of Blind.

    Args:
        estimator: name of an estimator. method: name of a method that takes a kernel.
        size: side of the kernel in pixels, odd, larger than the blur; 0: found out.
        window: X, Y of the upper left corner, width and height, pixels: where the kernel is estimated; None: anywhere.
        trail: such a box around the trail of a light, which is taken for the kernel; None: it is estimated.
        otherwise: name of a method for colour pictures that needs no kernel, asked where no single one explains the
            blur; "nothing": the kernel is used all the same. Without shipped weights it is "nothing".
    """

    estimator: str = "learned"
    method: str = "acute"
    size: int = 0
    otherwise: str = "golf"
    window: Region | None = None
    trail: Region | None = None

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise ConfigError(f"estimator={self.estimator!r}: there are {', '.join(ESTIMATORS)}")
        if self.size and (self.size < 3 or self.size % 2 == 0):
            raise ConfigError(f"size={self.size}: give an odd number of pixels from 3 on, or 0")
        if self.trail is not None and (self.window is not None or self.size):
            raise ConfigError("the trail gives the kernel: leave out the window and the size of the kernel")


@dataclass(frozen=True, eq=False)
class Blind:
    """The pairing.

    Args:
        config: which and how. method: built, takes a kernel. otherwise: built, takes none.
        on_stage: hears how far the search for a kernel is, and may raise to end it.
    """

    config: BlindConfig
    method: Method
    otherwise: Method | None
    on_stage: StageObserver | None = field(default=None, kw_only=True)

    def watched(self, on_stage: StageObserver | None) -> Blind:
        """See `acutance.methods.capabilities.Searches`."""
        return replace(self, on_stage=on_stage)

    def estimate(self, problem: Problem, index: int = 0) -> Estimate:
        """The kernel of one picture of the batch.

        Raises:
            acutance.blind.Unknowable: it cannot be told.
        """
        look, config = self._look(problem, index), self.config
        if config.trail is not None:
            return pointed(look, config.trail)
        look = look if config.window is None else look.within(config.window)
        turns = config.window is None  # a turn is about the middle of the picture
        size = config.size or None
        return choose(look, self._make, size, on_stage=self.on_stage, solve=self._solved, turns=turns)

    @torch.no_grad()
    def candidates(self, problem: Problem, *, on_step: Observer | None = None) -> list[tuple[Estimate, Tensor, Tensor]]:
        """The most promising kernels of the first picture, each with a piece before and after.

        Args:
            on_step: sees every step of every restoration of the piece.

        Returns:
            Estimates, the best first; the most textured piece of at most `PIECE` pixels, (1, C, h, w), as it is and
            as it is restored with the kernel.

        Raises:
            acutance.blind.Unknowable: no kernel can be told.
        """
        alone = _alone(problem, 0)
        found = self.estimate(alone)
        look = self._look(alone, 0)
        rows, cols = where_textured(look.picture, PIECE)
        box = (cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
        piece = alone.within(box)
        made, tried = [], (found, *found.others)
        for n, each in enumerate(tried):
            sure = replace(each, share=1.0, blurred=True, poses=None)
            seen = shifted(on_step, n, len(tried))
            made.append((each, piece.observed, self._finished(piece, sure, (), seen).x))
        return made

    def _solved(self, problem: Problem, on_step: Observer) -> Tensor:
        """Restore a problem with a kernel that may not be exact."""
        about = torch.ones(len(problem.observed)).to(problem.observed)
        return self.method.run(replace(problem, approximate=about), on_step=on_step).x

    @torch.no_grad()
    def explanation(self, problem: Problem) -> Iterator[dict[str, Tensor]]:
        """What every scale of the first picture ended with, coarse to fine, for the size that is chosen.

        Yields:
            The latent picture, (1, 1, h, w), and the kernel, its largest value 1, enlarged to be seen. Nothing where
            no kernel is estimated.
        """
        found = self.estimate(problem)
        if found.size < 3:
            return
        window, mask = self._look(problem, 0).window(WINDOW)
        states = list(self._estimator(found.size).solver().iterate(Problem(window, mask=mask)))
        for state, following in zip(states, [*states[1:], None], strict=True):
            if following is None or following.level != state.level:
                factor = -(-SHOWN // state.kernel.shape[-1])
                shown = F.interpolate(state.kernel / state.kernel.max(), scale_factor=float(factor), mode="nearest")
                yield {"latent": state.x, "kernel": shown}

    @staticmethod
    def _look(problem: Problem, index: int) -> Look:
        """One picture of the batch in grey."""
        y, usable = problem.observed[index : index + 1], None
        full = None if problem.saturated is None else _of(problem.saturated, index) > 0
        if problem.mask is not None:
            usable = _of(problem.mask, index) > 0
            y = filled(y, usable if full is None else usable | full)  # clipped samples are better than none
        if full is not None:
            usable = ~full if usable is None else usable & ~full
        seen = None if usable is None else usable.all(1, keepdim=True)
        clipped = None if full is None else full.any(1, keepdim=True)
        encoded_ = linear_to_srgb(y.clamp(0, 1)).mean(1, keepdim=True).float() if problem.linear else None
        grey = y.mean(1, keepdim=True).float()
        return Look.of(grey, linear=problem.linear, usable=seen, full=clipped, seen=encoded_)

    @property
    def _make(self) -> MakeEstimator | None:
        """The estimator of the search; None: the quick form of the default one, where the size is to be found."""
        return None if self.config.estimator == BlindConfig.estimator and not self.config.size else self._estimator

    def _estimator(self, size: int) -> Estimator:
        return ESTIMATORS[self.config.estimator](size=size)

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method.run`; where no blur can be told in a picture, it stays as it is."""
        return together([self._single(_alone(problem, i), on_step) for i in range(len(problem.observed))])

    def _single(self, problem: Problem, on_step: Observer | None) -> Result:
        """One picture; x has its size."""
        try:
            found = self.estimate(problem)
        except Unknowable as reason:
            return self._left(problem, f"{reason}; it is left as it is", 0.0, on_step)
        if found.doubt > DOUBTFUL or (not found.blurred and self._moved(problem, found)):
            if self.otherwise is not None:
                said = (
                    "no single kernel explains this blur (things moved on their own?): restored by "
                    f"{self.config.otherwise}, which needs none"
                )
                return replace(self._without(problem, on_step), remarks=(said,), confidences=_told(found.confidence))
            if found.blurred:
                return self._finished(
                    problem, found, (f"{found.remark}; it explains little of the blur: expect little",), on_step
                )
        if not found.blurred:
            return self._left(problem, found.remark, found.confidence, on_step)
        return self._finished(problem, found, (found.remark,), on_step)

    def _moved(self, problem: Problem, found: Estimate) -> bool:
        """Tell whether a picture without a kernel is so soft that things must have moved on their own."""
        if self.config.size or self.otherwise is None:
            return False
        window, _ = self._look(problem, 0).encoded().window(WINDOW)
        if min(window.shape[-2:]) < TELLING or float(softness(window).max()) < MOVED:
            return False
        return doubt(window, found.kernel.to(window)) > DOUBTFUL

    def _finished(
        self, problem: Problem, found: Estimate, remarks: tuple[str, ...], on_step: Observer | None
    ) -> Result:
        """The picture restored with the kernel, mixed with the input as far as the judge doubts it."""
        swapped = problem.linear and not found.linear
        given = replace(problem, observed=encoded(problem.observed), linear=False) if swapped else problem
        kernel = found.kernel.to(problem.observed)
        about = torch.ones(len(given.observed)).to(given.observed)
        size = (problem.observed.shape[-2], problem.observed.shape[-1])
        blur = Blur(kernel, "valid") if found.poses is None else field_of(found.poses, size)
        aware = replace(given, operator=blur, saturated=None, approximate=about)
        aware = aware if problem.saturated is None else heeding(aware, problem.saturated > 0)
        if problem.sigma is None:
            aware = replace(aware, sigma=behind_estimated(aware))
        if find(self.config.method).needs.mask:
            result = in_two_parts(aware, lambda rest: self.method.run(rest, on_step=on_step))
        else:
            result = self.method.run(aware, on_step=on_step)
        x = aware.crop(result.x)
        x = decoded(x) if swapped else x
        y = problem.start()
        told = self.config.size or found.trail
        share = torch.ones(1).to(x) if told else found.share * self._trust(problem, x)
        if float(share.mean()) < NEARLY_ALL and found.share == 1:
            remarks = (
                *remarks,
                f"in doubtful places the input shows through, {100 - 100 * float(share.mean()):.0f} % in all",
            )
        x = y + share * (x - y)
        return replace(
            result, x=x, kernel=kernel, remarks=remarks, confidences=_told(found.confidence), ran=self.config.method,
            levels=tuple(level_of(aware).tolist()), encoded=swapped,
        )  # fmt: skip

    @staticmethod
    def _trust(problem: Problem, x: Tensor) -> Tensor:
        """Ask the critic how far to trust a result, (1, 1, H, W) in [0, 1]."""
        pictures = (encoded(v) if problem.linear else v for v in (problem.start(), x))
        return trust(*(v.mean(1, keepdim=True).clamp(0, 1) for v in pictures))

    def _left(self, problem: Problem, remark: str, confidence: float | None, on_step: Observer | None) -> Result:
        """The picture as it is, with a kernel of one pixel."""
        y = problem.start().clone()
        none = torch.zeros(2, 1, dtype=y.dtype, device=y.device)
        if on_step is not None:
            on_step(Progress(step=1, steps=1, state=State(y), error=none[1]))
        good = bool(torch.isfinite(y).all())
        outcome = Outcome.COMPLETED if good else Outcome.DIVERGED
        point = torch.ones(1, 1, 1, 1).to(y)
        return Result(y, (outcome,), (int(good),), none, kernel=point, remarks=(remark,), confidences=_told(confidence))

    def _without(self, problem: Problem, on_step: Observer | None) -> Result:
        """Restore a picture by `otherwise`, which takes encoded colour."""
        assert self.otherwise is not None
        y = problem.start()
        seen = encoded(y) if problem.linear else y
        result = self.otherwise.run(Problem(seen.expand(-1, 3, -1, -1)), on_step=on_step)
        x = decoded(result.x) if problem.linear else result.x
        return replace(result, x=x if y.shape[1] == 3 else x.mean(1, keepdim=True), ran=self.config.otherwise)


def candidates(
    method: Method, problem: Problem, *, on_step: Observer | None = None
) -> list[tuple[Estimate, Tensor, Tensor]]:
    """`Blind.candidates` of a method.

    Raises:
        ConfigError: the method finds no kernel. acutance.blind.Unknowable: no kernel can be told.
    """
    if not isinstance(method, Blind):
        raise ConfigError("the method finds no kernel, so there are no candidates; use blind")
    return method.candidates(problem, on_step=on_step)


def encoded(x: Tensor) -> Tensor:
    """Linear light through the curve of sRGB; odd, so that nothing negative is lost."""
    return x.sign() * linear_to_srgb(x.abs())


def decoded(x: Tensor) -> Tensor:
    """The inverse of `encoded`."""
    return x.sign() * srgb_to_linear(x.abs())


def together(results: Sequence[Result]) -> Result:
    """The results of single pictures of a batch, whose x have the size of the pictures, as one."""
    if len(results) == 1:
        return results[0]
    longest = max(len(r.trace) for r in results)
    traces = [torch.cat((r.trace, r.trace[-1:].expand(longest - len(r.trace), -1))) for r in results]
    kernels = [torch.ones(1, 1, 1, 1) if r.kernel is None else r.kernel for r in results]
    side = max(k.shape[-1] for k in kernels)
    return Result(
        x=torch.cat([r.x for r in results]),
        outcomes=tuple(o for r in results for o in r.outcomes),
        steps=tuple(n for r in results for n in r.steps),
        trace=torch.cat(traces, 1),
        kernel=torch.cat([_within(k, side).to(results[0].x) for k in kernels]),
        remarks=tuple(dict.fromkeys(text for r in results for text in r.remarks)),
        confidences=tuple(c for r in results for c in r.confidences),
        ran=results[0].ran,
        levels=tuple(s for r in results for s in r.levels),
    )


def _alone(problem: Problem, i: int) -> Problem:
    """One picture of a batch."""
    sigma = problem.sigma
    if sigma is not None and sigma.ndim and len(sigma) > 1:
        sigma = sigma[i : i + 1]
    mask, saturated = (None if m is None else _of(m, i) for m in (problem.mask, problem.saturated))
    return replace(problem, observed=problem.observed[i : i + 1], sigma=sigma, mask=mask, saturated=saturated)


def _told(confidence: float | None) -> tuple[float, ...]:
    return () if confidence is None else (confidence,)


def _of(mask: Tensor, index: int) -> Tensor:
    """The mask of one picture of the batch."""
    return mask[index : index + 1] if len(mask) > 1 else mask


def _within(kernel: Tensor, side: int) -> Tensor:
    room = (side - kernel.shape[-1]) // 2
    return F.pad(kernel, (room,) * 4)


def build(
    *,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    tile: int | None = TILE,
    **settings: Any,
) -> Blind:
    """Blind.

    Args:
        device, precision, tile: of a method that is a network.
        settings: fields of `BlindConfig`; those that begin with ``method_`` are handed to the method.

    Raises:
        ConfigError: an unknown setting, or a method that takes no kernel. UnknownMethod: there is no such method.
    """
    own, inner = split(settings, "method_")
    config = configure(BlindConfig, "blind", own)
    spec = find(config.method)
    if not spec.needs.kernel:
        raise ConfigError(f"method={config.method!r} takes no kernel, so none need be found for it")
    method = build_shipped(spec, inner, device=device, precision=precision, tile=tile)
    return Blind(config, method, _otherwise(config.otherwise, device=device, precision=precision))


def _otherwise(name: str, *, device: torch.device | str, precision: Precision) -> Method | None:
    """The method of that name, None for "nothing".

    Raises:
        ConfigError: it needs a kernel, or is for something else.
    """
    if name == "nothing":
        return None
    spec = find(name)
    if spec.needs.kernel or spec.needs.task != "deblur" or spec.name == SPEC.name:
        raise ConfigError(f"otherwise={name!r} does not deblur without a kernel; nothing, or such as golf")
    if spec.weights is not None and spec.weights not in embedded_names():
        return None
    return build_shipped(spec, {}, device=device, precision=precision, tile=None)


SPEC = MethodSpec(
    name="blind",
    summary="blind: finds the kernel of a shaken camera (learned), then restores with it (acute)",
    reference="xu2013unnatural",
    build=build,
    needs=Needs(kernel=False, mask=True, uses_sigma=True, tile=960),
    composed=True,
    qualities={
        "fast": {"method_steps": 2},
        "balanced": {},
        "best": {"method_steps": 10, "method_views": 4},
    },
)
