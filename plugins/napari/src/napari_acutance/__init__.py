"""Deconvolve layers of napari with a point-spread function."""

__version__ = "0.1.0"
