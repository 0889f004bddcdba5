"""The sRGB transfer curve, between encoded values and linear light.

    linear = encoded / 12.92                          where encoded <= 0.04045
             ((encoded + 0.055) / 1.055) ^ 2.4        above

Reference: IEC 61966-2-1:1999. Both directions are odd functions (f(-x) = -f(x)) and go on above 1, so that the
overshoot of a solver survives the way there and back.
"""

from __future__ import annotations

import torch
from torch import Tensor


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Decode the sRGB curve.

    Args:
        encoded: any shape, floating point, 1 being white.

    Returns:
        Linear light, of the same shape and dtype.

    >>> float(srgb_to_linear(torch.tensor(1.0)))
    1.0
    """
    size = encoded.abs()
    # The power only sees values on its own side of the knee: its slope elsewhere must not reach the gradient.
    power = ((size.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(size <= 0.04045, encoded / 12.92, power * encoded.sign())


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode with the sRGB curve, the inverse of `srgb_to_linear`.

    Args:
        linear: any shape, floating point, 1 being white.

    Returns:
        Encoded values, of the same shape and dtype.

    >>> float(linear_to_srgb(torch.tensor(0.0)))
    0.0
    """
    knee = 0.04045 / 12.92
    size = linear.abs()
    power = 1.055 * size.clamp(min=knee) ** (1 / 2.4) - 0.055
    return torch.where(size <= knee, linear * 12.92, power * linear.sign())
