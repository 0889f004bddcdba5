"""The judge, the shapes, the search, and the light."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import shaken, town
from PIL import Image as PillowImage
from torch import Tensor

from acutance.blind.course import Course
from acutance.blind.critic import Panel
from acutance.blind.hypothesis import Hypothesis, Look
from acutance.blind.judge import HIGH, LOW, Verdict, judge
from acutance.blind.light import prefers_encoded
from acutance.blind.method import build, decoded, encoded
from acutance.blind.search import VIEWS, Sizes, Views
from acutance.blind.shapes import nearest
from acutance.blind.xu_l0 import XuL0
from acutance.images import Image, ImageInfo, linear_to_srgb, srgb_to_linear
from acutance.metrics import kernel_similarity
from acutance.operators import Blur
from acutance.problem import Problem, Stage
from acutance.psf import shapes
from acutance.restoration.restorer import Restorer


def blurred_in_light(kernel: Tensor) -> Tensor:
    """Encoded values of a town that was blurred in linear light."""
    room = kernel.shape[-1] // 2
    light = srgb_to_linear(town(150 + 2 * room))
    noise = 0.003 * torch.randn(1, 1, 150, 150, generator=torch.Generator().manual_seed(2))
    return (linear_to_srgb(Blur(kernel).forward(light)) + noise).clamp(0, 1)


@pytest.mark.parametrize(("gain", "share"), [(LOW - 0.1, 0.0), ((LOW + HIGH) / 2, 0.5), (HIGH + 0.1, 1.0)])
def test_a_doubtful_result_is_mixed_with_the_input(gain: float, share: float) -> None:
    verdict = Verdict(Hypothesis(torch.ones(1, 1, 1, 1), False, 1), gain)
    assert verdict.share == pytest.approx(share)
    assert 0 < verdict.confidence < 1


def test_the_judge_expects_a_gain_of_the_right_kernel_and_none_of_a_sharp_picture() -> None:
    x, y, k = shaken()
    right = judge(Panel.of(Look.of(y)), Hypothesis(k, False, 15))
    sharp = judge(Panel.of(Look.of(x)), Hypothesis(k, False, 15))
    assert right.gain > HIGH
    assert sharp.gain < LOW
    assert sharp.confidence < 0.5 < right.confidence


@pytest.mark.parametrize(
    ("kernel", "kind", "size"),
    [
        (shapes.disc(4.3), "disc", 4.3),
        (shapes.gaussian(1.7), "gaussian", 1.7),
        (shapes.line(14.0, 35.0), "line", 14.0),
    ],
)
def test_shapes_are_found_again(kernel: Tensor, kind: str, size: float) -> None:
    best = max(nearest(kernel), key=lambda shape: shape.similarity)
    assert best.kind == kind
    assert best.size == pytest.approx(size, rel=0.06)
    assert best.similarity > 0.97
    if kind == "line":
        assert best.angle == pytest.approx(35.0, abs=4)


def test_a_hook_is_no_shape() -> None:
    hook = torch.zeros(1, 1, 15, 15)
    hook[..., 1:14, 2], hook[..., 13, 2:14] = 1.0, 1.0
    assert not list(nearest(hook / hook.sum()))


def test_a_classical_estimator_is_given_every_size_that_the_picture_has_room_for() -> None:
    told = list[Stage]()
    course = Course(told.append)
    course.begin("estimating")
    found = list(Sizes(lambda size: XuL0(size, iterations=1), course)(Look.of(town(130))))
    assert list(dict.fromkeys(s.size for s in told if s.size)) == [h.size for h in found] == [9, 15, 21, 31]


def test_the_learned_estimator_is_asked_in_several_windows() -> None:
    _, y, k = shaken()
    found = list(Views()(Look.of(y)))
    assert [h.size for h in found] == [size for size, _, _ in VIEWS if 3 * size <= 150]
    assert max(float(kernel_similarity(h.kernel, k)) for h in found) > 0.85


def test_linear_light_has_gradients_as_large_as_encoded_values() -> None:
    y = town(100)
    light = Look.of(srgb_to_linear(y), linear=True)
    assert light.linear
    ratio = float(light.picture.diff(dim=-1).abs().mean() / y.diff(dim=-1).abs().mean())
    assert ratio == pytest.approx(1, rel=0.15)
    assert not light.encoded().linear


def test_the_light_of_a_known_kernel_is_told() -> None:
    _, y, k = shaken()
    assert prefers_encoded(y.clamp(0, 1), k)
    assert not prefers_encoded(blurred_in_light(k), k)


def test_a_photograph_is_solved_in_the_light_that_it_was_blurred_in() -> None:
    _, y, k = shaken()
    restorer, camera = Restorer.load("fd"), ImageInfo(format="JPEG")
    light = blurred_in_light(k)
    assert restorer.prepare(Image(light, info=camera), k).problem.linear
    exif = PillowImage.Exif()
    exif[0x010F] = "Maker"
    named = ImageInfo(format="PNG", exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    assert restorer.prepare(Image(light, info=named), k).problem.linear
    assert not restorer.prepare(Image(light), k).problem.linear, "a PNG without EXIF may come from anywhere"
    assert not restorer.prepare(Image(y.clamp(0, 1), info=camera), k).problem.linear
    assert restorer.prepare(Image(y.clamp(0, 1)), k, linear=True).problem.linear
    point = torch.ones(1, 1, 1, 1)
    assert not restorer.prepare(Image(light, info=camera), point).problem.linear, "there is no blur to decode for"
    assert not restorer.prepare(y.clamp(0, 1), k).problem.linear, "plain numbers are taken as they are"


def test_encoding_is_undone() -> None:
    x = torch.linspace(-0.2, 1.3, 50)
    assert torch.allclose(decoded(encoded(x)), x, atol=1e-5)


def test_the_blind_method_works_in_linear_light() -> None:
    k = shaken()[2]
    y = blurred_in_light(k)
    light = Problem(srgb_to_linear(y), linear=True)
    done = build(method="fd").run(light)
    assert done.kernel is not None
    assert done.kernel.shape[-1] > 3
    assert done.confidences[0] > 0.5
    assert done.x.shape == y.shape
