"""Blind deconvolution: from a shaken picture to its kernel, and with any method for a known kernel to the picture."""

from acutance.blind.base import BlindState, Estimate, Estimator, Unknowable

__all__ = ["BlindState", "Estimate", "Estimator", "Unknowable"]
