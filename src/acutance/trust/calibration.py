"""The values of `acutance.trust.uncertainty`: printed by `acutance-lab experiment trust`, see `docs/trust.md`."""

METHOD = "acute"
"""The method that they were measured with."""

CALIBRATED: tuple[tuple[float, float, float], ...] = (
    (0.003, 2.89, 1.04),
    (0.01, 2.07, 1.20),
    (0.03, 2.23, 0.45),
)
"""Noise level, a, b: of draws and unsupported, on 60 crops of 60 training photographs."""
