"""Linear operators: what blur does to a picture, and its exact adjoint."""

from acutance.operators.base import LinearOperator
from acutance.operators.blur import Blur, Boundary
from acutance.operators.blur_field import BlurField
from acutance.operators.check import adjoint_error
from acutance.operators.filters import Difference, gradients
from acutance.operators.sensing import Sensing

__all__ = [
    "Blur",
    "BlurField",
    "Boundary",
    "Difference",
    "LinearOperator",
    "Sensing",
    "adjoint_error",
    "gradients",
]
