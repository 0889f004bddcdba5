"""Blur: against its definition, its own adjoint, autograd, and scipy; every border, every evaluation, odd and even."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor

from acutance.errors import KernelError
from acutance.operators import Blur, LinearOperator, adjoint_error

BOUNDARIES = ("valid", "zero", "circular", "replicate")
EVALUATIONS = ("spatial", "fft", "auto")
KERNELS = {  # name -> (B or 1, C or 1, h, w); pictures are (2, 3, H, W)
    "point": (1, 1, 1, 1),
    "odd": (1, 1, 3, 3),
    "oblong": (1, 1, 5, 3),
    "even": (1, 1, 4, 4),
    "mixed": (1, 1, 2, 5),
    "row": (1, 1, 1, 7),
    "column": (1, 1, 6, 1),
    "two": (1, 1, 2, 2),
    "per channel": (1, 3, 3, 5),
    "batched": (2, 1, 3, 3),
    "batched, per channel, even": (2, 3, 4, 3),
    "larger than half the picture": (1, 1, 7, 7),
    "larger than the picture": (1, 1, 11, 14),
}
SIZES = ((8, 9), (7, 6))


def draw(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def taps(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A kernel without any symmetry, of both signs, so that no mistake of orientation goes unseen."""
    return draw(*shape, generator=generator)


def by_definition(kernel: Tensor, x: Tensor, boundary: str) -> Tensor:
    """y[i] = sum_k f[k] x[i + c - k], tap by tap, c = (h // 2, w // 2) of the kernel as given."""
    b, c, height, width = x.shape
    h, w = kernel.shape[-2:]
    f, picture = kernel.expand(b, c, h, w).numpy(), x.numpy()
    r, s = (h // 2, w // 2) if boundary == "valid" else (0, 0)  # the frame begins this far inside the domain
    i, j = np.arange(height - 2 * r)[:, None] + r, np.arange(width - 2 * s)[None, :] + s
    y = np.zeros((b, c, height - 2 * r, width - 2 * s))
    for k, m in product(range(h), range(w)):
        p, q = i + h // 2 - k, j + w // 2 - m
        inside = (p >= 0) & (p < height) & (q >= 0) & (q < width)
        if boundary == "circular":
            value = picture[:, :, p % height, q % width]
        else:
            value = picture[:, :, p.clip(0, height - 1), q.clip(0, width - 1)]
            if boundary != "replicate":
                value = value * inside
        y += f[:, :, k, m, None, None] * value
    return torch.from_numpy(y)


def fits(kernel: tuple[int, ...], boundary: str, size: tuple[int, int]) -> bool:
    """A circular border is defined once around the torus only."""
    return boundary != "circular" or (kernel[-2] // 2 <= size[0] and kernel[-1] // 2 <= size[1])


CASES: list[Any] = [
    pytest.param(shape, boundary, evaluation, size, id=f"{name}-{boundary}-{evaluation}-{size[0]}x{size[1]}")
    for i, (name, shape) in enumerate(KERNELS.items())
    for j, boundary in enumerate(BOUNDARIES)
    for k, evaluation in enumerate(EVALUATIONS[:2])
    for size in (SIZES[(i + j + k) % 2],)
    if fits(shape, boundary, size)
]
ONCE: list[Any] = [
    pytest.param(shape, boundary, id=f"{name}-{boundary}")
    for (name, shape), boundary in product(KERNELS.items(), BOUNDARIES)
    if fits(shape, boundary, SIZES[0])
]


@pytest.mark.parametrize(("shape", "boundary", "evaluation", "size"), CASES)
def test_the_adjoint_is_exact(
    shape: tuple[int, ...], boundary: Any, evaluation: Any, size: tuple[int, int], generator: torch.Generator
) -> None:
    blur = Blur(taps(shape, generator), boundary, evaluation)
    assert adjoint_error(blur, (2, 3, *size), generator=generator) < 1e-12


@pytest.mark.parametrize(("shape", "boundary"), ONCE)
def test_forward_is_the_definition(shape: tuple[int, ...], boundary: Any, generator: torch.Generator) -> None:
    kernel = taps(shape, generator)
    for evaluation in ("spatial", "fft"):
        blur = Blur(kernel, boundary, evaluation)  # type: ignore[arg-type]
        x = draw(2, 3, *blur.domain_size(*SIZES[0]), generator=generator)
        torch.testing.assert_close(blur.forward(x), by_definition(kernel, x, boundary), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(1, 1, 9, 8), (2, 3, 4, 13)], ids=str)
def test_the_three_evaluations_agree(shape: tuple[int, ...], boundary: Any, generator: torch.Generator) -> None:
    kernel, y = taps(shape, generator), draw(2, 3, 31, 26, generator=generator)
    spatial, *others = (Blur(kernel, boundary, evaluation) for evaluation in EVALUATIONS)
    x = draw(2, 3, *spatial.domain_size(31, 26), generator=generator)
    for other in others:
        torch.testing.assert_close(other.forward(x), spatial.forward(x), rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(other.adjoint(y), spatial.adjoint(y), rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(other.gram(x), spatial.adjoint(spatial.forward(x)), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(1, 1, 5, 6), (1, 3, 3, 3), (2, 1, 5, 3), (2, 3, 4, 7)], ids=str)
def test_large_pictures_are_transformed_channel_by_channel(
    shape: tuple[int, ...], boundary: Any, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acutance.operators.blur.LARGE", 1)
    spatial, large = (Blur(taps(shape, generator), boundary, evaluation) for evaluation in ("spatial", "fft"))
    large = replace(large, kernel=spatial.kernel)
    x = draw(2, 3, *spatial.domain_size(8, 9), generator=generator)
    y = draw(2, 3, 8, 9, generator=generator)
    torch.testing.assert_close(large.forward(x), spatial.forward(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(large.adjoint(y), spatial.adjoint(y), rtol=1e-12, atol=1e-12)
    x.requires_grad_()
    (transpose,) = torch.autograd.grad(large.forward(x), x, y)  # a graph is built as for a small one
    torch.testing.assert_close(spatial.adjoint(y), transpose, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "boundary"), ONCE)
def test_the_adjoint_is_autograds_transpose(shape: tuple[int, ...], boundary: Any, generator: torch.Generator) -> None:
    for evaluation in ("spatial", "fft"):
        blur = Blur(taps(shape, generator), boundary, evaluation)  # type: ignore[arg-type]
        x = draw(2, 3, *blur.domain_size(*SIZES[0]), generator=generator).requires_grad_()
        y = draw(2, 3, *SIZES[0], generator=generator)
        (transpose,) = torch.autograd.grad(blur.forward(x), x, y)
        torch.testing.assert_close(blur.adjoint(y), transpose, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 2, 3, 1)], ids=str)
def test_gradients_in_image_and_kernel(
    shape: tuple[int, ...], boundary: Any, evaluation: Any, generator: torch.Generator
) -> None:
    kernel = taps(shape, generator).requires_grad_()
    blur = Blur(kernel.detach(), boundary, evaluation)
    x = draw(shape[0], 2, *blur.domain_size(3, 4), generator=generator).requires_grad_()
    y = draw(shape[0], 2, 3, 4, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda k, x: Blur(k, boundary, evaluation).forward(x), (kernel, x), fast_mode=True)
    assert torch.autograd.gradcheck(lambda k, y: Blur(k, boundary, evaluation).adjoint(y), (kernel, y), fast_mode=True)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blur_is_linear(boundary: Any, evaluation: Any, generator: torch.Generator) -> None:
    blur = Blur(taps((1, 1, 5, 4), generator), boundary, evaluation)
    u, v = (draw(2, 3, *blur.domain_size(8, 9), generator=generator) for _ in range(2))
    torch.testing.assert_close(
        blur.forward(2.5 * u - 0.75 * v), 2.5 * blur.forward(u) - 0.75 * blur.forward(v), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (1, 7), (7, 7)], ids=str)
def test_true_convolution_as_scipys(shape: tuple[int, int], generator: torch.Generator) -> None:
    kernel, x = taps((1, 1, *shape), generator), draw(1, 1, 12, 13, generator=generator)
    f, p = kernel[0, 0].numpy(), x[0, 0].numpy()
    for boundary, options in (
        ("valid", {"mode": "valid"}),
        ("zero", {"mode": "same"}),
        ("circular", {"mode": "same", "boundary": "wrap"}),
    ):
        expected = torch.from_numpy(convolve2d(p, f, **options))
        got = Blur(kernel, boundary).forward(x)[0, 0]  # type: ignore[arg-type]
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("torus", [(8, 9), (5, 4)], ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_the_transfer_function_is_circular_convolution(
    name: str, torus: tuple[int, int], generator: torch.Generator
) -> None:
    kernel = taps(KERNELS[name], generator)
    x = draw(2, 3, *torus, generator=generator)
    y = torch.fft.irfft2(torch.fft.rfft2(x) * Blur(kernel).otf(*torus), s=torus)
    torch.testing.assert_close(y, by_definition(kernel, x, "circular"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("torus", [(8, 9), (9, 14), (5, 4)], ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_the_power_is_that_of_the_transfer_function(
    name: str, torus: tuple[int, int], generator: torch.Generator
) -> None:
    blur = Blur(taps(KERNELS[name], generator), "circular")
    power = blur.power(*torus)
    assert not power.is_complex()
    torch.testing.assert_close(power, blur.otf(*torus).abs().square(), rtol=1e-12, atol=1e-13)
    x = draw(2, 3, *torus, generator=generator)
    gram = torch.fft.irfft2(torch.fft.rfft2(x) * power, s=torus)
    if fits(KERNELS[name], "circular", torus):
        torch.testing.assert_close(gram, blur.gram(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("torus", [(8, 9), (13, 12)], ids=str)
@pytest.mark.parametrize("name", [n for n, shape in KERNELS.items() if max(shape[-2:]) <= 8])
def test_the_power_of_any_operator_is_that_of_its_answer_to_a_point(
    name: str, torus: tuple[int, int], evaluation: Any, generator: torch.Generator
) -> None:
    """What `LinearOperator` does by itself, of a circular blur: the same, kernels of channels and batches included."""
    blur = Blur(taps(KERNELS[name], generator), "circular", evaluation)
    like = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(
        LinearOperator.power(blur, *torus, like=like), blur.power(*torus), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize("boundary", ["valid", "zero", "replicate"])
def test_nor_does_the_border_matter_in_the_middle(boundary: Any, generator: torch.Generator) -> None:
    blur = Blur(taps((1, 1, 3, 5), generator), boundary)
    like = torch.zeros(1, dtype=torch.float64)
    torch.testing.assert_close(
        LinearOperator.power(blur, 17, 18, like=like), blur.power(17, 18), rtol=1e-11, atol=1e-11
    )


def test_the_power_has_the_type_of_what_it_is_for(generator: torch.Generator) -> None:
    class Double(LinearOperator):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

        def adjoint(self, y: Tensor) -> Tensor:
            return 2 * y

    for dtype in (torch.float32, torch.float64):
        power = Double().power(6, 8, like=torch.zeros(1, dtype=dtype))
        torch.testing.assert_close(power, torch.full((1, 1, 6, 5), 4, dtype=dtype))
    assert Double().power(6, 8).dtype is torch.float32


@pytest.mark.parametrize("learned", [False, True])
def test_the_power_is_differentiated_in_the_kernel(learned: bool, generator: torch.Generator) -> None:
    """And never taken from what was computed before, without a graph."""
    kernel = taps((1, 1, 3, 3), generator).requires_grad_(learned)
    blur = Blur(kernel)
    with torch.no_grad():
        before = blur.power(8, 8)
    power = blur.power(8, 8)
    assert power.requires_grad == learned
    torch.testing.assert_close(power.detach(), before)
    if learned:
        assert torch.autograd.gradcheck(lambda k: Blur(k).power(6, 8), (kernel,))


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("b", "c"), [(1, 1), (1, 3), (2, 1)])
def test_one_picture_behind_several_kernels(
    b: int, c: int, boundary: Any, evaluation: Any, generator: torch.Generator
) -> None:
    """A picture of fewer channels, or one for the whole batch, meets every kernel, whichever way it is convolved."""
    blur = Blur(taps((2, 3, 3, 3), generator), boundary, evaluation)
    x, y = (draw(b, c, *size, generator=generator) for size in (blur.domain_size(8, 9), (8, 9)))
    for map_, z in ((blur.forward, x), (blur.adjoint, y)):
        torch.testing.assert_close(map_(z), map_(z.expand(2, 3, -1, -1)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("side", [1, 2, 3, 8], ids=lambda s: f"{s}x{s}")
def test_a_point_at_the_centre_moves_nothing(
    side: int, boundary: Any, evaluation: Any, generator: torch.Generator
) -> None:
    kernel = torch.zeros(1, 1, side, side, dtype=torch.float64)
    kernel[..., side // 2, side // 2] = 1
    blur, y = Blur(kernel, boundary, evaluation), draw(1, 3, 9, 8, generator=generator)
    torch.testing.assert_close(blur.forward(blur.start(y)), y, rtol=0, atol=1e-14)
    torch.testing.assert_close(blur.crop(blur.adjoint(y)), y, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("row", "column"), [(0, 1), (1, 0), (2, 2), (1, 2)])
def test_mass_to_the_right_and_below_moves_the_picture_there(row: int, column: int) -> None:
    kernel, x = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 7, 7)
    kernel[..., row, column], x[..., 3, 3] = 1, 1
    y = Blur(kernel, "zero").forward(x)
    assert torch.nonzero(y[0, 0]).tolist() == [[3 + row - 1, 3 + column - 1]]


@pytest.mark.parametrize("shape", [(4, 4), (2, 3), (3, 6)], ids=str)
def test_an_even_kernel_gets_its_zeros_behind(shape: tuple[int, int], generator: torch.Generator) -> None:
    kernel = taps((1, 1, *shape), generator)
    odd = Blur(kernel).kernel
    h, w = odd.shape[-2:]
    assert (h % 2, w % 2) == (1, 1)
    assert (h // 2, w // 2) == (shape[0] // 2, shape[1] // 2)
    assert torch.equal(odd[..., : shape[0], : shape[1]], kernel)
    assert float(odd.abs().sum()) == pytest.approx(float(kernel.abs().sum()))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_sizes_start_and_crop(name: str, boundary: Any, generator: torch.Generator) -> None:
    blur, y = Blur(taps(KERNELS[name], generator), boundary), draw(2, 3, 12, 14, generator=generator)
    start = blur.start(y)
    assert tuple(start.shape[-2:]) == blur.domain_size(12, 14)
    assert torch.equal(blur.crop(start), y)
    assert blur.forward(start).shape == y.shape
    assert blur.adjoint(y).shape == start.shape
    r, s = blur.radius
    assert blur.domain_size(12, 14) == ((12 + 2 * r, 14 + 2 * s) if boundary == "valid" else (12, 14))
    if boundary == "valid":  # extended by its own border pixels
        assert torch.equal(start[..., 0, :], start[..., r, :])
        assert torch.equal(start[..., :, -1], start[..., :, -1 - s])


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", ["valid", "circular", "replicate"])
def test_a_flat_picture_stays_flat(boundary: Any, evaluation: Any, generator: torch.Generator) -> None:
    kernel = taps((1, 1, 5, 6), generator).abs()
    blur = Blur(kernel / kernel.sum(), boundary, evaluation)
    x = torch.full((1, 1, *blur.domain_size(9, 10)), 0.7, dtype=torch.float64)
    torch.testing.assert_close(blur.forward(x), torch.full_like(x[..., :9, :10], 0.7), rtol=1e-12, atol=0)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_batch_is_its_pictures(boundary: Any, evaluation: Any, generator: torch.Generator) -> None:
    kernel, y = taps((3, 1, 3, 4), generator), draw(3, 2, 8, 7, generator=generator)
    whole = Blur(kernel, boundary, evaluation).adjoint(y)
    for i in range(3):
        one = Blur(kernel[i : i + 1], boundary, evaluation).adjoint(y[i : i + 1])
        torch.testing.assert_close(whole[i : i + 1], one, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("evaluation", EVALUATIONS[:2])
def test_single_precision_stays_single_and_close(evaluation: Any, generator: torch.Generator) -> None:
    kernel = taps((1, 1, 9, 9), generator).abs()
    blur = Blur((kernel / kernel.sum()).float(), evaluation=evaluation)
    x = torch.rand(1, 3, 40, 41, generator=generator)
    assert blur.forward(x).dtype is torch.float32
    exact = Blur(kernel / kernel.sum(), evaluation="spatial").forward(x.double())
    torch.testing.assert_close(blur.forward(x).double(), exact, rtol=0, atol=1e-6)
    assert adjoint_error(blur, (1, 3, 32, 33), generator=generator, dtype=torch.float32) < 1e-5


@pytest.mark.parametrize(
    "shape", [(), (3,), (3, 3), (1, 3, 3), (1, 1, 1, 1, 3, 3), (1, 1, 0, 3), (0, 1, 3, 3)], ids=str
)
def test_what_is_no_kernel_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(KernelError, match=r"must be a non-empty"):
        Blur(torch.zeros(shape))


def test_an_unknown_boundary_is_refused() -> None:
    with pytest.raises(KernelError, match="'mirror' is not one of valid, zero, circular, replicate"):
        Blur(torch.ones(1, 1, 3, 3), "mirror")  # type: ignore[arg-type]


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@pytest.mark.parametrize("size", [(2, 9), (9, 4), (1, 1)], ids=str)
def test_a_domain_smaller_than_the_kernel_is_refused(size: tuple[int, int], evaluation: Any) -> None:
    with pytest.raises(KernelError, match="too small"):
        Blur(torch.ones(1, 1, 3, 5), evaluation=evaluation).forward(torch.ones(1, 1, *size))


def test_a_blur_is_a_value() -> None:
    kernel = torch.ones(1, 1, 3, 3)
    blur = Blur(kernel)
    with pytest.raises(AttributeError):
        blur.kernel = kernel * 2  # type: ignore[misc]
    before = kernel.clone()
    blur.forward(torch.rand(1, 1, 8, 8))
    blur.otf(8, 8)
    assert torch.equal(kernel, before)
