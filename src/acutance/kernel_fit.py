"""A kernel and a picture that are to meet: is it a kernel, and does it fit into the picture?

The door of the library (`acutance.restoration.restorer`) asks here; files of kernels are mended before, by
`acutance.images.kernel_repair`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import KernelError
from acutance.tensors import spatial

NORMALISED = 1e-3
"""A sum that is nearer to 1 than this is left as it is."""

TAIL = 0.25
"""Most of its light that a kernel may lose when it is cut to the size of the picture; one that loses more is the kernel
of another picture."""

SYMMETRIC = 1e-4
"""Difference from its mirror image, as a fraction of the largest value, up to which a kernel is symmetric."""


NEGATIVE = 0.05
"""Negative values up to this part of the largest are ripples of an interpolation."""

NO_BLUR = 1 - 1e-6
"""Part of its light that a kernel has in its centre where it stands for no blur."""

ABRUPT = 0.1
"""A kernel ends abruptly if a value at its end is more than this part of the largest."""


def check_kernel(kernel: Tensor, channels: int) -> None:
    """Refuse what is no kernel.

    Args:
        kernel: (1, 1 or C, h, w). channels: C.

    Raises:
        KernelError: no tensor, another shape, NaN or infinite values, a sum that is not above 0, clearly negative.
    """
    if not isinstance(kernel, Tensor):
        raise KernelError(f"a kernel must be a tensor (1, 1 or C, h, w), not a {type(kernel).__name__}")
    if kernel.ndim != 4 or kernel.shape[0] != 1 or kernel.shape[1] not in (1, channels) or 0 in kernel.shape:
        raise KernelError(
            f"a kernel of shape {tuple(kernel.shape)} for a picture of {channels} channel(s); "
            f"give (1, 1, h, w) or (1, {channels}, h, w)"
        )
    check_values(kernel)


def check_values(kernels: Tensor) -> None:
    """Refuse values that no kernel has.

    Args:
        kernels: (..., h, w).

    Raises:
        KernelError: NaN or infinite values, a sum that is not above 0, clearly negative.
    """
    kernels = kernels.to(torch.float32)
    bad = int((~torch.isfinite(kernels)).sum())
    if bad:
        raise KernelError(f"{bad} of the kernel's {kernels.numel()} values are NaN or infinite; set them to zero first")
    if bool((kernels.sum((-2, -1)) <= 0).any()):
        what = "all values of the kernel are zero" if not bool(kernels.any()) else "the kernel sums to zero or less"
        raise KernelError(f"{what}; give the point-spread function, whose sum is 1")
    least, most = float(kernels.min()), float(kernels.max())
    if least < -NEGATIVE * most:
        raise KernelError(
            f"the kernel has negative values down to {least:.3g}, its largest is {most:.3g}: light does not take away; "
            "give the point-spread function"
        )


def fitted_kernel(kernel: Tensor, channels: int, size: tuple[int, int]) -> tuple[Tensor, tuple[str, ...]]:
    """A kernel that a picture can be restored with, and what was done to it.

    Args:
        kernel: (1, 1 or C, h, w), any sum above 0. channels: C. size: (H, W) of the picture.

    Returns:
        (1, 1 or C, h', w'), finite, sum 1 in every channel, h' <= H and w' <= W; and notes.

    Raises:
        KernelError: see `check_kernel`, or far too large.

    >>> fitted_kernel(torch.ones(1, 1, 3, 3), 1, (9, 9))[1]
    ('the values of the kernel sum to 9; they were divided by that',)
    """
    check_kernel(kernel, channels)
    kernel = kernel.to(torch.float32)
    sums = kernel.sum((-2, -1), keepdim=True)
    notes: list[str] = []
    if float((sums - 1).abs().max()) > NORMALISED:
        notes.append(f"the values of the kernel sum to {float(sums.flatten()[0]):.4g}; they were divided by that")
        kernel = kernel / sums
    kernel, centred = centred_even(kernel)
    notes += [EVEN_NOTE] if centred else []
    kernel, lost = cut_to(kernel, size)
    notes += [lost] if lost else []
    return kernel, tuple(notes)


EVEN_NOTE = (
    "the kernel has an even side and is symmetric: its centre lies between two pixels; it was moved by half a pixel, "
    "so that the picture stays where it is"
)


def centred_even(kernel: Tensor) -> tuple[Tensor, bool]:
    """A kernel that is its own mirror image along a side of even length, moved onto the centre of an odd one.

    The centre of such a side lies between two pixels, so the kernel would shift the picture by half of one. Halfway
    between samples the value is (9 (a + b) - (c + d)) / 16 of the two neighbours a, b and the two beyond; (a + b) / 2
    of a kernel that ends abruptly, as a box does.

    Args:
        kernel: (1, C, h, w), or (1, C, d, h, w), not negative.

    Returns:
        The kernel, a side of n being n + 1 where it was moved; whether it was.
    """
    moved = False
    for dim in spatial(kernel):
        n = kernel.shape[dim]
        near = SYMMETRIC * float(kernel.abs().max())
        if n % 2 or n < 2 or float((kernel - kernel.flip(dim)).abs().max()) > near:
            continue
        kernel, moved = _halfway(kernel, dim), True
    return kernel, moved


def _halfway(kernel: Tensor, dim: int) -> Tensor:
    """Values halfway between those along a dimension, which grows by one; the sum stays."""
    along = kernel.movedim(dim, -1)
    wide = F.pad(along, (2, 2))
    n = along.shape[-1] + 1
    inner = wide[..., 1 : n + 1] + wide[..., 2 : n + 2]
    outer = wide[..., :n] + wide[..., 3 : n + 3]
    smooth = (9 * inner - outer) / 16
    abrupt = float(along[..., 0].max()) > ABRUPT * float(along.max())
    value = (inner / 2 if abrupt else smooth).clamp_min(0)
    axes = spatial(along)
    total = along.sum(axes, keepdim=True)
    return (value * total / value.sum(axes, keepdim=True)).movedim(-1, dim)


def cut_to(kernel: Tensor, size: tuple[int, int], *, most: float = TAIL) -> tuple[Tensor, str | None]:
    """The kernel about its centre, its sides odd and no longer than `size`, (H, W); what to say if it lost light.

    Raises:
        KernelError: it would lose more than the part `most` of its light.
    """
    h, w = kernel.shape[-2:]
    kernel = F.pad(kernel, (0, 1 - w % 2, 0, 1 - h % 2))
    wanted = [min(n + 1 - n % 2, m - 1 + m % 2) for n, m in zip((h, w), size, strict=True)]
    top, left = ((n - m) // 2 for n, m in zip(kernel.shape[-2:], wanted, strict=True))
    if top == 0 and left == 0:
        return kernel, None
    part = kernel[..., top : top + wanted[0], left : left + wanted[1]]
    lost = float(1 - part.sum((-2, -1)).min())
    if lost > most:
        raise KernelError(
            f"a kernel of {w} x {h} pixels for a picture of {size[1]} x {size[0]}: cut to fit it "
            f"would lose {100 * lost:.0f} % of its light; is it the kernel of another picture, or a picture itself?"
        )
    said = (
        f"the kernel, {w} x {h} pixels, is too large; it was cut to {wanted[1]} x {wanted[0]} about its centre, "
        f"{100 * lost:.2g} % of its light lay outside"
    )
    return part / part.sum((-2, -1), keepdim=True), said if lost > 0 else None


def says_no_blur(kernel: Tensor) -> bool:
    """Tell whether a kernel (1 or B, 1 or C, h, w) is a single pixel in its centre."""
    h, w = kernel.shape[-2:]
    centre = kernel[..., h // 2, w // 2]
    return bool((centre > NO_BLUR * kernel.sum((-2, -1))).all())
