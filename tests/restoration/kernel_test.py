"""The side that is asked for is the side of the kernel that comes."""

import pytest
import torch

from acutance.images import Image
from acutance.psf import shapes
from acutance.restoration.kernel import find_kernel, of_side


@pytest.mark.parametrize("was", [5, 9, 17])
@pytest.mark.parametrize("side", [7, 9, 15])
def test_a_kernel_of_another_side_keeps_its_centre_and_sum(was: int, side: int) -> None:
    kernel = shapes.gaussian(1.0, was)
    framed = of_side(kernel, side)
    assert framed.shape[-2:] == (side, side)
    assert float(framed.sum()) == pytest.approx(1, abs=1e-6)
    assert int(framed.argmax()) == side * side // 2


@pytest.mark.parametrize("side", [9, 15])
def test_the_kernel_has_the_side_that_was_asked_for(side: int) -> None:
    generator = torch.Generator().manual_seed(1)
    blocks = torch.rand(1, 1, 16, 16, generator=generator).repeat_interleave(10, 2).repeat_interleave(10, 3)
    blurred = torch.nn.functional.conv2d(blocks, shapes.gaussian(1.5, 11), padding=5)
    assert find_kernel(Image(blurred), size=side).kernel.shape[-2:] == (side, side)
