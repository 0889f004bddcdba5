"""Point-spread functions: what a camera, a telescope or a microscope makes of a point of light."""

from acutance.psf.microscope import Layers, gibson_lanni
from acutance.psf.models import airy, gaussian_ellipsoid, moffat
from acutance.psf.poses import CameraPoses

__all__ = ["CameraPoses", "Layers", "airy", "gaussian_ellipsoid", "gibson_lanni", "moffat"]
