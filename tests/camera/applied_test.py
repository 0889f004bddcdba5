from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from synthetic_camera import with_iso

from acutance.camera.applied import Box, blur_of, noise_of
from acutance.camera.profile import BlurGrid, NoiseAt, Profile
from acutance.errors import ImageError, KernelError
from acutance.images import Image, ImageInfo, linear_to_srgb, srgb_to_linear

ROWS = ((0.8, 1.0, 1.4), (0.7, 0.9, 1.6))
BLUR = BlurGrid(ROWS, tuple(tuple(v / 2 for v in row) for row in ROWS), ((9,) * 3,) * 2)
PROFILE = Profile(60, 40, 5, False, noise=(NoiseAt(100, (2e-3,), (1e-5,)),), blur=BLUR)


def deviations(kernels: torch.Tensor) -> torch.Tensor:
    """(2, ...), down and across, of kernels (..., h, w)."""
    axis = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    return torch.stack([(kernels * axis[s].square()).sum((-2, -1)).sqrt() for s in ((slice(None), None), (None,))])


def test_kernels_are_wide_along_the_radius() -> None:
    field = blur_of(PROFILE, (40, 60))
    assert field.grid == (2, 3)
    assert torch.allclose(field.kernels.sum((-2, -1)), torch.ones(2, 3, 1))
    down, across = deviations(field.kernels[:, :, 0])
    assert float(across[0, 2]) > 1.2 > float(down[0, 2])  # far to the right the radius points there
    assert float(down[0, 1]) == pytest.approx(1.0, rel=0.05)  # above the middle it points up
    assert float(across[0, 1]) == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_field_turns_with_the_picture(orientation: int) -> None:
    size = (40, 60) if orientation < 5 else (60, 40)
    stored, turned = blur_of(PROFILE, (40, 60)), blur_of(PROFILE, size, orientation)
    widths = deviations(stored.kernels[:, :, 0]).square().sum(0)
    found = deviations(turned.kernels[:, :, 0]).square().sum(0)
    row, col = {1: (0, 2), 2: (0, 0), 3: (1, 0), 4: (1, 2), 5: (2, 0), 6: (2, 1), 7: (0, 1), 8: (0, 0)}[orientation]
    assert float(found[row, col]) == pytest.approx(float(widths[0, 2]), rel=1e-4)


def test_an_upright_picture_without_a_turn_gets_the_usual_one() -> None:
    assert torch.equal(blur_of(PROFILE, (60, 40)).kernels, blur_of(PROFILE, (60, 40), 6).kernels)


def test_a_scaled_picture_has_a_scaled_blur() -> None:
    as_it_is, large = (deviations(blur_of(PROFILE, size).kernels)[1, 0, 2, 0] for size in ((40, 60), (80, 120)))
    assert float(large) == pytest.approx(2 * float(as_it_is), rel=0.05)


def test_a_piece_has_the_kernels_of_its_place() -> None:
    whole, piece = blur_of(PROFILE, (40, 60)), blur_of(PROFILE, (40, 60), box=Box(0, 40, 20, 20))
    a, b = deviations(whole.kernels[0, 2, 0]), deviations(piece.kernels[:, :, 0])
    assert bool((b[1].amin() <= a[1]) & (a[1] <= b[1].amax()))


@pytest.mark.parametrize("size", [(40, 40), (41, 70)])
def test_another_aspect_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(KernelError, match=r"60 x 40 pixels.*another aspect.*give the whole picture"):
        blur_of(PROFILE, size)


def test_a_profile_without_blur_says_so() -> None:
    with pytest.raises(KernelError, match="no blur"):
        blur_of(replace(PROFILE, blur=None), (40, 60))


def taken(bits: int = 16) -> tuple[Image, torch.Tensor]:
    light = torch.linspace(0.05, 0.9, 200).expand(1, 1, 200, 200)
    noisy = light + (2e-3 * light + 1e-5).sqrt() * torch.randn(light.shape, generator=torch.Generator().manual_seed(1))
    white = 2**bits - 1
    return with_iso(Image((linear_to_srgb(noisy) * white).round() / white, info=ImageInfo(bits=bits)), 100), light


@pytest.mark.parametrize("bits", [8, 16])
def test_the_level_is_the_noise_that_there_is(bits: int) -> None:
    image, light = taken(bits)
    told = noise_of(PROFILE, image, deblur=True)
    assert told.linear is not None
    assert told.linear == pytest.approx(float((srgb_to_linear(image.pixels) - light).square().mean().sqrt()), rel=0.05)
    assert told.level == pytest.approx(float((image.pixels - linear_to_srgb(light)).square().mean().sqrt()), rel=0.1)
    assert "at ISO 100" in told.source


def test_the_level_of_a_lossy_file_is_raised_for_deblurring() -> None:
    image, _ = taken(8)
    lossy = replace(image, info=replace(image.info, format="JPEG"))
    told, deblur = (noise_of(PROFILE, lossy, deblur=d) for d in (False, True))
    assert deblur.level == pytest.approx(max(told.level, min(2.8 * told.level, 0.04)), rel=1e-4)
    assert "compression" in deblur.source
    assert told.level == noise_of(PROFILE, image, deblur=True).level


def test_a_measurement_is_refused() -> None:
    image, _ = taken()
    with pytest.raises(ImageError, match="FITS"):
        noise_of(PROFILE, replace(image, info=replace(image.info, format="FITS")), deblur=True)
