"""Linear operators: what blur does to a picture, and its exact adjoint."""

from acutance.operators.base import LinearOperator
from acutance.operators.blur import Blur, Boundary
from acutance.operators.check import adjoint_error
from acutance.operators.filters import Difference, gradients
from acutance.operators.sensing import Sensing

__all__ = ["Blur", "Boundary", "Difference", "LinearOperator", "Sensing", "adjoint_error", "gradients"]
