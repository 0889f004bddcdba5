"""Each repair: its exact effect, its note, and that it does not happen where it must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from acutance.errors import KernelError
from acutance.images.kernel_repair import repair_kernel

Array = NDArray[np.float64]


def gaussian(h: int = 15, w: int = 15, sigma: float = 2.0) -> Array:
    y, x = np.arange(h) - h // 2, np.arange(w) - w // 2
    kernel = np.exp(-np.add.outer(y**2, x**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def track(size: int = 21) -> Array:
    """A crooked track, asymmetric, centred to less than half a pixel, touching no border, sum 1."""
    kernel = np.zeros((size, size))
    c = size // 2
    for i, v in zip(range(-6, 7), (1, 2, 3, 4, 6, 9, 12, 9, 7, 5, 3, 2, 1), strict=True):
        kernel[c + i, c + i // 2] = v
        kernel[c + i, c + i // 2 + 1] = v / 2
    return kernel / kernel.sum()


def as_bytes(kernel: Array, ground: int = 0) -> NDArray[np.uint8]:
    return np.rint(ground + kernel / kernel.max() * (255 - ground)).astype(np.uint8)


def moffat(size: int = 51) -> Array:
    r = np.arange(size) - size // 2
    kernel = (1 + np.add.outer(r**2, r**2) / 25) ** -1.5
    return kernel / kernel.sum()


def cut(kernel: Array, h: int, w: int) -> Array:
    """The middle (h, w)."""
    top, left = kernel.shape[0] // 2 - h // 2, kernel.shape[1] // 2 - w // 2
    return kernel[top : top + h, left : left + w]


def near(kernel: torch.Tensor, expected: Array, tolerance: float = 1e-7) -> bool:
    return kernel.shape[2:] == expected.shape and float(abs(kernel[0, 0].numpy() - expected).max()) < tolerance


CLEAN = {
    "gaussian": gaussian(),
    "wide gaussian": gaussian(9, 15, 6.0),
    "moffat": moffat(),
    "box": np.full((7, 7), 1 / 49),
    "row": np.full((1, 9), 1 / 9),
    "identity": np.ones((1, 1)),
    "frame": np.pad(np.zeros((3, 3)), 2, constant_values=1 / 40),
    "track": cut(track(), 13, 9),
}


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_kernel_is_left_alone(name: str, dtype: type) -> None:
    given = CLEAN[name].astype(dtype)
    repaired = repair_kernel(given)
    assert repaired.notes == ()
    assert repaired.kernel.dtype == torch.float32
    np.testing.assert_array_equal(repaired.kernel[0, 0].numpy(), given.astype(np.float32))
    again = repair_kernel(repaired.kernel)
    assert again.notes == ()
    assert torch.equal(again.kernel, repaired.kernel)


@pytest.mark.parametrize("name", sorted(CLEAN.keys() - {"frame"}))  # which is a dark kernel on white, if not normalised
def test_the_sum_is_one_at_any_scale(name: str) -> None:
    for scale in (1e-12, 17.3, 1e12):
        repaired = repair_kernel(CLEAN[name] * scale)
        assert [note for note in repaired.notes if "summed to" not in note] == []
        assert near(repaired.kernel, CLEAN[name])
        assert float(repaired.kernel.double().sum()) == pytest.approx(1, abs=1e-6)


def test_dividing_is_said_for_floats_and_not_for_integers() -> None:
    assert repair_kernel(gaussian() * 3).notes == ("The values summed to 3; they were divided by that.",)
    assert repair_kernel(as_bytes(gaussian())).notes == ()


@pytest.mark.parametrize("layout", ["hwc", "chw", "bchw"])
def test_equal_channels_become_one(layout: str) -> None:
    stacked = np.stack([gaussian()] * 3)
    array = {"hwc": np.moveaxis(stacked, 0, -1), "chw": stacked, "bchw": stacked[None]}[layout]
    repaired = repair_kernel(array)
    assert near(repaired.kernel, gaussian())
    assert len(repaired.notes) == 1
    assert "channels are equal" in repaired.notes[0]


def test_slightly_different_channels_are_averaged() -> None:
    stacked = np.stack([as_bytes(gaussian())] * 3)
    stacked[0, 7, 6] -= 3
    repaired = repair_kernel(stacked)
    expected = stacked.astype(float).mean(0)
    assert near(repaired.kernel, expected / expected.sum())
    assert "differ slightly" in repaired.notes[0]


def test_a_tint_is_not_three_kernels() -> None:
    planes = np.stack([gaussian(), gaussian() * 0.6, gaussian() * 0.3])
    for given in (np.moveaxis(planes, 0, -1), planes[None]):
        repaired = repair_kernel(given)
        assert near(repaired.kernel, gaussian())
        assert "brightness only" in repaired.notes[0]


@pytest.mark.parametrize("widths", [(2.0, 2.0, 2.0), (3.0, 2.0, 3.0)])
def test_three_planes_of_different_light_are_a_volume(widths: tuple[float, ...]) -> None:
    planes = np.stack([gaussian(sigma=s) * f for s, f in zip(widths, (0.2, 0.6, 0.2), strict=True)])
    with pytest.raises(KernelError, match=r"volume.*plane in focus alone"):
        repair_kernel(planes)
    same = np.stack([gaussian(sigma=s) for s in (3.0, 2.0, 1.5)])
    assert "planes of a volume" in repair_kernel(same).notes[-1]


def made_large(kernel: Array, factor: int) -> Array:
    return kernel.repeat(factor, 0).repeat(factor, 1)


@pytest.mark.parametrize("factor", [2, 3, 7, 18])
@pytest.mark.parametrize("kind", ["bytes", "float", "colour", "margin"])
def test_an_enlarged_kernel_is_made_small_again(kind: str, factor: int) -> None:
    small = {"bytes": as_bytes(track()), "margin": np.pad(as_bytes(track()), 2)}.get(kind, track())
    given = made_large(np.asarray(small), factor)
    given = np.stack([given] * 3, -1) if kind == "colour" else given
    repaired = repair_kernel(given)
    assert torch.equal(repaired.kernel, repair_kernel(np.asarray(small)).kernel)
    assert f"enlarged {factor} times" in repaired.notes[-1 if kind == "x" else 0] + repaired.notes[-1]


def test_a_kernel_of_few_values_is_not_small() -> None:
    """A box, a wide line and a disc are meant as they are, unless the file says that it is enlarged."""
    line = np.zeros((12, 12))
    line[4:6, 2:10] = 1
    for given in (np.full((6, 6), 1 / 36), line):
        assert not any("enlarged" in note for note in repair_kernel(given).notes)
    told = repair_kernel(line, enlarged=2)
    assert told.kernel.shape[-1] < 12
    assert any("enlarged 2 times" in note for note in told.notes)


@pytest.mark.parametrize("n", [8, 10, 16])
def test_an_even_symmetric_kernel_does_not_move_the_picture(n: int) -> None:
    """As MATLAB's fspecial makes them: what it samples halfway between two pixels is sampled at the pixels."""
    place = np.arange(n) - (n - 1) / 2
    given = np.exp(-np.add.outer(place**2, place**2) / (2 * (n / 5) ** 2))
    repaired = repair_kernel(given / given.sum())
    kernel = repaired.kernel[0, 0].double().numpy()
    assert kernel.shape == (n + 1, n + 1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-7)
    wide = np.arange(n + 1) - n / 2
    inner = np.s_[2:-2, 2:-2]
    expected = np.exp(-np.add.outer(wide**2, wide**2) / (2 * (n / 5) ** 2)) / given.sum()
    np.testing.assert_allclose(kernel[inner], expected[inner], atol=0.03 * expected.max())
    assert any("half a pixel" in note for note in repaired.notes)


def test_an_even_box_gets_half_pixels_at_its_ends() -> None:
    row = np.array([0.5, 1, 1, 1, 0.5]) / 4
    kernel = repair_kernel(np.full((4, 4), 1 / 16)).kernel[0, 0].numpy()
    np.testing.assert_allclose(kernel, np.outer(row, row), atol=1e-7)


def test_empty_channels_are_left_out() -> None:
    red = np.zeros((15, 15, 3), np.uint8)
    red[..., 0] = as_bytes(gaussian())
    repaired = repair_kernel(red)
    assert repaired.kernel.shape[1] == 1
    assert "Nothing is in green and blue" in repaired.notes[0]


def test_different_channels_are_three_kernels() -> None:
    given = np.stack([gaussian(sigma=s) for s in (1.5, 2.0, 3.0)])
    repaired = repair_kernel(given)
    assert repaired.kernel.shape == (1, 3, 15, 15)
    np.testing.assert_allclose(repaired.kernel[0].numpy(), given, atol=1e-7)
    assert len(repaired.notes) == 1
    assert "each colour gets its own kernel" in repaired.notes[0]


def test_alpha_is_dropped() -> None:
    rgba = np.stack([as_bytes(gaussian())] * 3 + [np.full((15, 15), 255, np.uint8)], -1)
    repaired = repair_kernel(rgba)
    assert repaired.notes[0] == "The alpha channel was dropped."
    assert repaired.kernel.shape == (1, 1, 15, 15)


@pytest.mark.parametrize("ground", [1, 5, 40])
def test_a_flat_background_is_subtracted(ground: int) -> None:
    repaired = repair_kernel(as_bytes(track(), ground))
    clean = as_bytes(track(), ground).astype(float) - ground
    assert near(repaired.kernel, cut(clean / clean.sum(), *repaired.kernel.shape[2:]))
    share = 1 - clean.sum() / as_bytes(track(), ground).sum()
    assert repaired.notes[0].startswith("The background was not zero")
    assert f"{share:.1%} of the mass" in repaired.notes[0]


def test_a_noisy_background_is_subtracted_with_its_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.004, (41, 41))
    repaired = repair_kernel(track(41) / track(41).max() + 0.05 + noise)
    back = np.zeros((41, 41))
    h, w = repaired.kernel.shape[2:]
    back[20 - h // 2 : 21 + h // 2, 20 - w // 2 : 21 + w // 2] = repaired.kernel[0, 0].numpy()
    assert "The background was not zero" in repaired.notes[0]
    assert abs(back - track(41)).sum() < 0.05  # with the background left, it is 1.6


def test_a_negative_background_is_a_background() -> None:
    repaired = repair_kernel(track() / track().max() - 0.1)
    assert near(repaired.kernel, cut(track(), *repaired.kernel.shape[2:]))
    assert "(-" in repaired.notes[0]


@pytest.mark.parametrize("name", ["moffat", "clipped noise", "brighter border"])
def test_what_is_not_a_background_stays(name: str) -> None:
    if name == "moffat":
        given = as_bytes(moffat())
    else:
        given = as_bytes(track(31))
        generator = np.random.default_rng(1)
        if name == "clipped noise":
            given = np.maximum(given, generator.integers(0, 3, given.shape)).astype(np.uint8)
        else:
            given[[0, -1]] = given[:, [0, -1]] = 1
    repaired = repair_kernel(given)
    assert near(repaired.kernel, given / given.sum())
    assert not any("ackground" in note for note in repaired.notes)


def test_a_background_in_a_normalised_array_is_only_reported() -> None:
    veiled = 0.8 * track() + 0.2 / 21**2
    repaired = repair_kernel(veiled)
    assert near(repaired.kernel, veiled)
    assert any("A constant background holds 20" in note for note in repaired.notes)


@pytest.mark.parametrize("ground", [255, 230])
def test_a_dark_kernel_on_white_is_inverted(ground: int) -> None:
    given = (ground - as_bytes(track()).astype(float) * ground / 255).round().astype(np.uint8)
    repaired = repair_kernel(given)
    clean = ground - given.astype(float)
    assert near(repaired.kernel, cut(clean / clean.sum(), *repaired.kernel.shape[2:]))
    assert repaired.notes[0] == "The picture is a dark kernel on a white ground; it was inverted."
    assert not any("largest value" in note for note in repaired.notes)


def test_inversion_needs_certainty() -> None:
    hollow = np.full((9, 9), 200, np.uint8)
    hollow[1:-1, 1:-1] = 10
    hollow[4, 4] = 30
    repaired = repair_kernel(hollow)
    assert near(repaired.kernel, hollow / hollow.sum())
    assert any("invert the picture" in note for note in repaired.notes)


def test_a_white_frame_is_refused() -> None:
    with pytest.raises(KernelError, match="bright frame"):
        repair_kernel(np.pad(as_bytes(track()), 8, constant_values=255))


def test_small_negative_values_are_clipped() -> None:
    given = track().copy()
    given[2, 3] = -1e-4
    repaired = repair_kernel(given)
    assert near(repaired.kernel, cut(track(), *repaired.kernel.shape[2:]))
    assert repaired.notes[0].startswith("Negative values")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((5, 5)), "zero"),
        (np.zeros((5, 5), np.uint8), "zero"),
        (np.full((5, 5), -1.0), "negative"),
        (gaussian() - 0.5 * gaussian(sigma=3), "negative"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.array([[1.0, np.inf]]), "infinite"),
        (np.array([[1e60, 1.0]]), "no blur kernel"),
        (np.ones(9), "two dimensions"),
        (np.ones(()), "two dimensions"),
        (np.ones((5, 9, 9)), "slice of a volume"),
        (np.ones((2, 1, 9, 9)), "batch"),
        (np.ones((3, 9, 3)), "cannot be told"),
        (np.ones((0, 3)), "empty"),
        (np.ones((3, 3), complex), "real"),
        (np.array([["a"]]), "real"),
        (torch.ones(3, 3, dtype=torch.complex64), "real"),
    ],
)
def test_what_cannot_be_a_kernel_is_refused(given: torch.Tensor | NDArray[np.generic], says: str) -> None:
    with pytest.raises(KernelError, match=says):
        repair_kernel(given)


@pytest.mark.parametrize(("h", "w"), [(4, 5), (5, 4), (4, 4), (1, 2)])
def test_even_sides_grow_behind_and_nothing_moves(h: int, w: int) -> None:
    given = np.random.default_rng(0).uniform(1, 2, (h, w))
    given /= given.sum()
    repaired = repair_kernel(given)
    assert repaired.kernel.shape[2:] == (h + 1 - h % 2, w + 1 - w % 2)
    np.testing.assert_allclose(repaired.kernel[0, 0, :h, :w].numpy(), given, atol=1e-7)
    assert f"{w} x {h} is even" in repaired.notes[0]
    assert f"row {h // 2}, column {w // 2}" in repaired.notes[0]


def test_margins_are_cut_about_the_centre() -> None:
    given = np.zeros((21, 17))
    given[8, 6:12] = 1 / 6  # centre is (10, 8)
    repaired = repair_kernel(given)
    assert repaired.kernel.shape == (1, 1, 5, 7)
    np.testing.assert_allclose(repaired.kernel[0, 0].numpy(), given[8:13, 5:12], atol=1e-7)
    assert "17 x 21 became 7 x 5" in repaired.notes[-1]


def test_off_centre_is_reported_and_moved_only_on_request() -> None:
    given = np.zeros((15, 15))
    given[0:5, 9:14] = gaussian(5, 5, 1.0)  # middle at (2, 11), centre at (7, 7)
    left = repair_kernel(given)
    assert near(left.kernel, cut(given, 15, 13))
    assert "5.0 px above and 4.0 px right" in left.notes[0]
    moved = repair_kernel(given, centre=True)
    assert near(moved.kernel, gaussian(5, 5, 1.0))
    assert moved.notes == (
        "The centre of mass was 5.0 px above and 4.0 px right of the centre; it was moved there by whole pixels, "
        "as asked.",
    )


def test_centring_grows_the_kernel_rather_than_lose_mass() -> None:
    given = np.zeros((5, 5))
    given[0, 0], given[4, 4] = 0.9, 0.1  # centre of mass 1.6 px up and left: the centre becomes (0, 0)
    expected = np.zeros((9, 9))
    expected[4, 4], expected[8, 8] = 0.9, 0.1
    assert near(repair_kernel(given, centre=True).kernel, expected)


def test_flip_turns_about_the_centre() -> None:
    given = np.random.default_rng(0).uniform(1, 2, (4, 4))
    given /= given.sum()
    turned = repair_kernel(given, flip=True)
    np.testing.assert_allclose(turned.kernel[0, 0, 1:, 1:].numpy(), given[::-1, ::-1], atol=1e-7)
    assert torch.equal(turned.kernel[0, 0].flip(0, 1), repair_kernel(given).kernel[0, 0])
    assert any("rotated by 180" in note for note in turned.notes)


def test_a_plateau_is_reported() -> None:
    clipped = np.minimum(as_bytes(track()).astype(int) * 3, 255).astype(np.uint8)
    assert any("largest value of the file" in note for note in repair_kernel(clipped).notes)
    assert not any("largest value" in note for note in repair_kernel(as_bytes(track())).notes)
    assert repair_kernel(np.full((5, 5), 255, np.uint8)).notes == ()


@pytest.mark.parametrize("shape", [(31, 31), (30, 32), (31, 96)])
def test_an_origin_in_the_corner_is_moved_to_the_middle(shape: tuple[int, int]) -> None:
    whole = gaussian(*shape, 2.0)
    repaired = repair_kernel(np.fft.ifftshift(whole))
    assert any("origin in the corner" in note for note in repaired.notes)
    assert torch.equal(repaired.kernel, repair_kernel(whole).kernel)
    one_sided = np.zeros((32, 32))
    one_sided[0, :7] = 1 / 7
    moved = repair_kernel(one_sided).kernel[0, 0]
    assert moved.shape == (1, 13)
    assert float(moved[0, 6:].sum()) == pytest.approx(1)


def test_bits_tell_the_steps_of_scaled_values() -> None:
    scaled = as_bytes(track(), 2) / 255
    repaired = repair_kernel(scaled, bits=8)
    clean = as_bytes(track(), 2).astype(float) - 2
    assert near(repaired.kernel, cut(clean / clean.sum(), *repaired.kernel.shape[2:]))
    with pytest.raises(KernelError, match="bits=0"):
        repair_kernel(scaled, bits=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.int64, torch.bool])
def test_tensors_of_every_type(dtype: torch.dtype) -> None:
    given = torch.ones(1, 1, 3, 3, dtype=dtype)
    assert near(repair_kernel(given).kernel, np.full((3, 3), 1 / 9))


def test_the_input_is_not_changed() -> None:
    given = as_bytes(track(), 5).astype(np.float64)
    before = given.copy()
    repair_kernel(given)
    np.testing.assert_array_equal(given, before)
