"""What a batch is checked for, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from acutance.errors import AcutanceError, ConfigError, ImageError, KernelError
from acutance.methods.spec import find
from acutance.methods.wiener import Wiener
from acutance.operators import BlurField
from acutance.problem import Observer, Problem, Result
from acutance.restoration.restorer import Restorer

KERNEL = torch.full((1, 1, 3, 3), 1 / 9)
PICTURES = torch.rand(2, 3, 16, 19, generator=torch.Generator().manual_seed(0))
MASK = torch.ones(1, 1, 16, 19)


class Never:
    """A method that must not be run."""

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        raise AssertionError("computed before everything was checked")


RESTORER = Restorer(find("wiener"), Never(), torch.device("cpu"))


def with_value(kernel: Tensor, value: float) -> Tensor:
    spoilt = kernel.clone()
    spoilt[..., 0, 0] = value
    return spoilt


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"kernel": None}, KernelError, "needs the blur kernel"),
        ({"kernel": with_value(KERNEL, float("nan"))}, KernelError, "1 of the kernel's 9 values are NaN"),
        ({"kernel": with_value(KERNEL, float("inf"))}, KernelError, "infinite"),
        ({"kernel": 0 * KERNEL}, KernelError, "all values of the kernel are zero"),
        ({"kernel": with_value(KERNEL, -8 / 9)}, KernelError, "sums to zero or less"),
        ({"kernel": with_value(KERNEL, -0.3)}, KernelError, "negative values down to -0.3"),
        ({"kernel": KERNEL.expand(1, 2, 3, 3)}, KernelError, r"give \(1, 1, h, w\) or \(1, 3, h, w\)"),
        ({"kernel": KERNEL.numpy()}, KernelError, "must be a tensor"),
        ({"kernel": BlurField(with_value(KERNEL, float("nan"))[None])}, KernelError, "NaN"),
        ({"sigma": 0.0}, ConfigError, "above 0 and up to 0.5"),
        ({"sigma": -0.01}, ConfigError, "above 0 and up to 0.5"),
        ({"sigma": 0.6}, ConfigError, "above 0 and up to 0.5"),
        ({"sigma": float("nan")}, ConfigError, "above 0 and up to 0.5"),
        ({"mask": MASK[..., 1:]}, ConfigError, "a mask of"),
        ({"mask": 0 * MASK}, ConfigError, "leaves no pixel"),
        ({"mask": with_value(MASK, float("nan"))}, ConfigError, "the mask has NaN"),
        ({"image": PICTURES[:1, :2]}, ImageError, "a picture cannot be a tensor"),
        ({"image": PICTURES[:1] * float("nan")}, ConfigError, "no valid pixel"),
    ],
    ids=lambda v: str(next(iter(v))) if isinstance(v, dict) else None,
)
def test_what_cannot_be_used_is_refused_before_anything_is_computed(
    given: dict[str, Any], error: type[AcutanceError], words: str
) -> None:
    one = {"image": PICTURES[:1], "kernel": KERNEL, "sigma": 0.01, "mask": None, **given}
    with pytest.raises(error, match=words):
        RESTORER(one["image"], one["kernel"], sigma=one["sigma"], mask=one["mask"])
    with pytest.raises(error, match=words):
        RESTORER.batch(
            [PICTURES[:1], one["image"]], [KERNEL, one["kernel"]], sigma=[0.01, one["sigma"]], masks=[None, one["mask"]]
        )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kernels": [KERNEL] * 3}, "3 kernels for 2 pictures"),
        ({"kernels": KERNEL.expand(3, 1, 3, 3)}, "3 kernels for 2 pictures"),
        ({"sigma": [0.1]}, "1 noise levels for 2 pictures"),
        ({"masks": [None]}, "1 masks for 2 pictures"),
        ({"images": []}, "no picture"),
    ],
    ids=lambda v: str(next(iter(v))) if isinstance(v, dict) else None,
)
def test_another_number_than_of_pictures_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RESTORER.batch(**{"images": PICTURES, "kernels": KERNEL, **given})


def test_ripples_of_an_interpolated_kernel_are_left_alone() -> None:
    rippled = with_value(KERNEL, -0.004)
    done = Restorer(find("wiener"), Wiener(), torch.device("cpu"))(PICTURES[:1], rippled, sigma=0.01)
    assert bool(torch.isfinite(done.image.pixels).all())
