"""Normal values of a residual, measured by `acutance-lab experiment trust`, see `docs/trust.md`."""

FIT = (0.93, 1.16)
"""Residual in units of the noise, 5 and 95 % of results with the right kernel."""

WHITE = 0.21
"""Largest autocorrelation, 95 % of them."""
