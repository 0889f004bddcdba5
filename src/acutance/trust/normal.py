"""What is normal of a residual: measured by `acutance-lab experiment trust`, see `docs/trust.md`."""

FIT = (0.8, 1.1)
"""Residual in units of the noise."""

WHITE = 0.1
"""Largest autocorrelation."""
