"""The kernel of a picture: hypotheses are made, cheap ones first, and a judge chooses.

1. The learned estimator with several sets of windows, and Xu-L0 with the size that was found, the best kernel polished
   (`acutance.blind.polish`); or another estimator with many sizes (`acutance.blind.search`).
2. The disc, the Gaussian and the line that are most like the best of these (`acutance.blind.shapes`), and the lens that
   explains the spectrum best (`acutance.blind.spectrum`). Of a dark picture the trails of lamps
   (`acutance.blind.trail`).
3. Of linear light: the best of all applied to encoded values, and its size estimated there once more.

The judge expects a gain in dB of each (`acutance.blind.critic`). Where the best gains too little, no blur is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from acutance.blind import camera
from acutance.blind.base import Estimate, Estimator, Unknowable, estimate
from acutance.blind.camera import NoMovement, field
from acutance.blind.course import COSTS, Course
from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis, Look, MakeEstimator, checked
from acutance.blind.judge import HIGH, Verdict, judge
from acutance.blind.learned import Learned
from acutance.blind.polish import ROOM, polished
from acutance.blind.scoring import doubt
from acutance.blind.search import WINDOW, Sizes, Views, from_window
from acutance.blind.shapes import Shape, nearest
from acutance.blind.spectrum import focus, slope
from acutance.blind.trail import Region, of_trail, trails
from acutance.blind.xu_l0 import XuL0
from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity
from acutance.problem import Observer, Problem, StageObserver

RISING = 4.0
"""Factor between the power of low and of high frequencies below which a picture is nothing but noise."""

TELLING = 64
"""Side of pictures that are large enough for their spectrum to tell whether they are noise, pixels."""

LIKE = 2
"""Number of the best kernels that are compared with shapes."""

TRY_ENCODED = 0.25
"""Expected gain, dB, from which a kernel that was found in linear light is judged in encoded values as well."""

LEAD = 0.2
"""Expected gain by which encoded values must be ahead of linear light, and a turn ahead of one kernel, dB."""

SLACK = 0.3
"""Expected gain by which a polished kernel may be behind the one that it was made of, dB: on 13 shaken pictures of the
development set polishing gained 0.5 dB in the mean, and the judge saw half of it."""

HOPELESS = -3.0
"""Expected gain of `fd`, dB, below which the method that restores in the end is not tried."""

ALIKE, OTHERS = 0.9, 3
"""Similarity from which two kernels are one, and the number of others that are kept."""

TRY_TURNS = DOUBT = 1.5
"""Expected gain, dB, below which a camera that turned, and of a photograph Xu-L0, is tried."""

SLOWER = 30.0
"""Time that another estimator takes, such as dark-channel, over that of the learned one, about."""

Try = Callable[[Problem, Observer], Tensor]
"""Restores the pictures of a problem, and tells of its steps: x, on the domain of its blur."""


@torch.no_grad()
def choose(
    look: Look, estimator: MakeEstimator | None = None, size: int | None = None,
    *, on_stage: StageObserver | None = None, solve: Try | None = None, turns: bool = True,
) -> Estimate:  # fmt: skip
    """The kernel of a grey picture.

    Args:
        look: the picture. estimator: of a kernel of that many pixels; None: the learned one.
        size: side of the kernel, so that nothing is left to choose; None: hypotheses and the judge.
        on_stage: hears how far the search is, and may raise to end it.
        solve: restores the picture in the end; it is tried on the windows of the panel where `fd` is expected to gain
            too little, and with trails. None: `fd` decides.
        turns: whether the camera may have turned about the middle of this picture.

    Raises:
        Unknowable: no kernel can be told from this picture.
    """
    checked(look)
    make: MakeEstimator = estimator or Learned
    turns = turns and estimator is None
    if size is not None:
        return _of_size(look, make(size), size, on_stage)
    window, _ = look.window(WINDOW)
    if min(window.shape[-2:]) >= TELLING and slope(window) < RISING:
        raise Unknowable("nothing but noise is in the picture")
    left_out = {
        "sparse": estimator is not None, "polishing": estimator is not None, "encoded": not look.linear,
        "turning": not turns, "trying": solve is None,
    }  # fmt: skip
    parts = [part for part in COSTS if not left_out.get(part)]
    course = Course(on_stage, parts, slower=1.0 if estimator is None else SLOWER)
    course.begin("estimating")
    proposed = list((Views(course) if estimator is None else Sizes(make, course))(look))
    course.begin("judging")
    panel = Panel.of(look).behind(proposed[0].kernel)
    verdicts = list(_judged(panel, proposed, course))
    if estimator is None:
        verdicts += sparse(look, panel, verdicts, course)
        verdicts = finer(look, panel, verdicts, course)
    course.begin("lights")
    drawn = [judge(panel, h) for h in trails(look, course)]
    course.begin("shapes")
    verdicts += [*drawn, *_judged(panel, list(shapes(look, verdicts)), course)]
    best = max(verdicts, key=lambda v: v.gain)
    if look.linear and best.gain > TRY_ENCODED:
        best = max([best, *in_encoded(look, best.hypothesis, make, course)], key=lambda v: v.gain)
    if turns and best.gain < TRY_TURNS:
        turns_ = list(turned(look, panel, course))
        verdicts += turns_
        best = max([best, *turns_], key=lambda v: v.gain)
    if solve is not None and best.gain < HIGH:
        best = _tried(look, panel, best, drawn, solve, course)
    return _concluded(best, verdicts)


def _judged(panel: Panel, hypotheses: Sequence[Hypothesis], course: Course) -> Iterator[Verdict]:
    """Verdicts on hypotheses, which are a part of the search."""
    for n, hypothesis in enumerate(hypotheses):
        course.tell(n / len(hypotheses))
        yield judge(panel, hypothesis)


def _tried(look: Look, panel: Panel, best: Verdict, drawn: Sequence[Verdict], solve: Try, course: Course) -> Verdict:
    """The best verdict where the method that restores in the end judges, on trails and on the best so far."""
    course.begin("trying")
    again = [v.hypothesis for v in drawn if v is not best] + [best.hypothesis] * (best.gain > HOPELESS)
    light = panel if best.hypothesis.linear == look.linear else Panel.of(look.encoded())
    verdicts = [best]
    for n, h in enumerate(again):
        course.piece(n / len(again), (n + 1) / len(again))
        verdicts.append(judge(light if h is best.hypothesis else panel, h, lambda p: solve(p, course.on_step)))
    return max(verdicts, key=lambda v: v.gain)


def _of_size(look: Look, estimator: Estimator, size: int, on_stage: StageObserver | None) -> Estimate:
    """The kernel of a size that is told. Where the learned estimator is asked, Xu-L0 is asked as well."""
    learned = isinstance(estimator, Learned)
    parts = ("estimating", "sparse", "judging", "polishing") if learned else ("estimating",)
    course = Course(on_stage, parts, slower=1.0 if learned else SLOWER)
    course.begin("estimating")
    course.piece(0.0, 1.0, size=size, number=1, count=1)
    window, mask = look.window(max(WINDOW, 4 * size))
    kernel = estimate(window, estimator, mask, course)
    if learned:
        course.begin("sparse")
        made = (kernel, estimate(window, XuL0(size=size), mask, course))
        course.begin("judging")
        panel = Panel.of(look).behind(kernel)
        verdicts = list(_judged(panel, [Hypothesis(k, look.linear, size) for k in made], course))
        kernel = max(finer(look, panel, verdicts, course), key=lambda v: v.gain).hypothesis.kernel
    return Estimate(kernel, size, {}, linear=look.linear, doubt=doubt(window, kernel))


def finer(look: Look, panel: Panel, verdicts: Sequence[Verdict], course: Course) -> list[Verdict]:
    """The verdicts with the best kernel polished, unless the judge expects clearly less of it."""
    best = max(verdicts, key=lambda v: v.gain)
    if best.gain <= 0:
        return list(verdicts)
    course.begin("polishing")
    after = judge(panel, polished(look, best.hypothesis, course))
    return [after if v is best and after.gain > v.gain - SLACK else v for v in verdicts]


def sparse(look: Look, panel: Panel, verdicts: Sequence[Verdict], course: Course) -> Iterator[Verdict]:
    """A verdict on what Xu-L0 finds, of about the size of the best kernel, where it may be better than that.

    Xu-L0 is for pictures as a sensor gives them. On photographs (`linear`) tone curve and JPEG mislead it more than the
    learned estimator; there it is asked in doubt only.
    """
    best = max(verdicts, key=lambda v: v.gain)
    if look.linear and best.gain > DOUBT:
        return
    course.begin("sparse")
    size = min(best.hypothesis.kernel.shape[-1] + 2 * ROOM, look.side // 4 * 2 - 1)
    try:
        yield judge(panel, from_window(look, XuL0(size=max(3, size)), size, course))
    except (Unknowable, ConfigError):
        return


def turned(look: Look, panel: Panel, course: Course) -> Iterator[Verdict]:
    """Verdicts on movements of a camera that turned."""
    course.begin("turning")
    size = (look.picture.shape[-2], look.picture.shape[-1])
    try:
        for poses in camera.movements(look, course):
            middle = poses.kernels(torch.zeros(1, 2), 2 * int(poses.extent(torch.zeros(1, 2)) + 1) + 1)
            largest = max(field(poses, size).radius)
            if 2 * largest + 1 < look.side // 2:
                yield _behind(judge(panel, Hypothesis(middle, look.linear, 2 * largest + 1, poses=poses)))
    except NoMovement:
        return


def in_encoded(look: Look, best: Hypothesis, make: MakeEstimator, course: Course) -> Iterator[Verdict]:
    """Verdicts on the best kernel of linear light, and on one that is estimated anew, in encoded values."""
    course.begin("encoded")
    encoded = look.encoded()
    panel = Panel.of(encoded).behind(best.kernel)
    yield _behind(judge(panel, replace(best, linear=False)))
    try:
        course.piece(0.5, 1.0, size=best.size)
        yield _behind(judge(panel, from_window(encoded, make(best.size), best.size, course)))
    except (Unknowable, ConfigError):
        return


def _behind(verdict: Verdict) -> Verdict:
    """The same, less what it has to be ahead."""
    return replace(verdict, gain=verdict.gain - LEAD)


def shapes(look: Look, verdicts: Sequence[Verdict]) -> Iterator[Hypothesis]:
    """Discs, Gaussians and lines that the best kernels or the spectrum suggest."""
    ranked = sorted(verdicts, key=lambda v: -v.gain)[:LIKE]
    for verdict in ranked:
        for shape in nearest(verdict.hypothesis.kernel):
            yield Hypothesis(shape.kernel, look.linear, shape.kernel.shape[-1], shape)
    window, _ = look.window(WINDOW)
    if min(window.shape[-2:]) >= TELLING:
        lens = focus(look.encoded().window(WINDOW)[0])
        kernel = lens.kernel.to(window)
        if 2 * kernel.shape[-1] < min(window.shape[-2:]):
            yield Hypothesis(kernel, look.linear, kernel.shape[-1], Shape(kernel, lens.kind, lens.size, 0.0, 1.0))


def pointed(look: Look, box: Region) -> Estimate:
    """The kernel that the light trail in a box draws; it is taken, and the judge says what to expect.

    Raises:
        Unknowable, ConfigError: as of `of_trail`.
    """
    checked(look)
    verdict = judge(Panel.of(look), of_trail(look, box))
    return replace(_estimate(verdict, {}), blurred=True, share=1.0, trail=True)


def _concluded(best: Verdict, verdicts: Sequence[Verdict]) -> Estimate:
    """The estimate that the best verdict stands for; without a blur where the judge expects too little."""
    scores = {v.hypothesis.size: v.gain for v in verdicts if v.hypothesis.shape is None}
    others: list[Verdict] = []
    for verdict in sorted(verdicts, key=lambda v: -v.gain):
        if all(kernel_similarity(verdict.hypothesis.kernel, v.hypothesis.kernel) < ALIKE for v in (best, *others)):
            others.append(verdict)
    return replace(_estimate(best, scores), others=tuple(_estimate(v, {}) for v in others[:OTHERS]))


def _estimate(verdict: Verdict, scores: dict[int, float]) -> Estimate:
    h = verdict.hypothesis
    return Estimate(
        h.kernel, h.size, scores, blurred=verdict.share > 0, shape=h.shape, linear=h.linear,
        confidence=verdict.confidence, gain=verdict.gain, share=verdict.share, poses=h.poses,
    )  # fmt: skip
