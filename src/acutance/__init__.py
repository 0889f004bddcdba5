"""Acutance: learned optimisers that make blurred pictures sharp again and keep the physics of blur in every step."""

from acutance.errors import AcutanceError
from acutance.images import Image, read_image, write_image
from acutance.images.kernel_file import read_kernel, write_kernel
from acutance.operators import Blur
from acutance.problem import Outcome, Problem, Result
from acutance.restore import Restoration, Restorer
from acutance.solver import RelativeChange, Solver

__version__ = "0.1.0"

__all__ = [
    "AcutanceError",
    "Blur",
    "Image",
    "Outcome",
    "Problem",
    "RelativeChange",
    "Restoration",
    "Restorer",
    "Result",
    "Solver",
    "read_image",
    "read_kernel",
    "write_image",
    "write_kernel",
]
