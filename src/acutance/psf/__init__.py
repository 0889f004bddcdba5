"""Point spread functions: what a camera's movement makes of a point of light."""

from acutance.psf.poses import CameraPoses

__all__ = ["CameraPoses"]
