"""The values of `acutance.trust.uncertainty`: printed by `acutance-lab experiment trust`, see `docs/trust.md`."""

METHOD = "acute"
"""The method that they were measured with."""

CALIBRATED: tuple[tuple[float, float, float, float], ...] = (
    (0.003, 0.55, 10.46, 0.28),
    (0.01, 1.33, 4.34, 0.56),
    (0.03, 1.86, 4.63, 0.30),
)
"""Noise level, a, b, c."""
