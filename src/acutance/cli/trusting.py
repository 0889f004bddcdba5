"""`--report` and `--uncertainty`: how far to believe a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from acutance.cli.console import escape, say
from acutance.images import Image, write_image
from acutance.images.image import SUFFIXES, ImageInfo
from acutance.restoration.report import write_report
from acutance.restoration.restored import Restoration
from acutance.restoration.uncertainty import is_calibrated, uncertainty_of
from acutance.trust.calibration import METHOD

PAGES = (".html", ".htm")
"""Suffixes of a report."""

FLOATS = (*SUFFIXES["TIFF"], *SUFFIXES["FITS"][:3])
"""Suffixes of files that hold floating-point numbers."""


def write_trust(
    done: Restoration,
    report: Path | None,
    uncertainty: Path | None,
    *,
    name: str,
    cut: Callable[[Image], Image],
    overwrite: bool,
) -> None:
    """Write the report and the uncertainty, where they are asked for.

    Args:
        done: the restoration. report, uncertainty: the files; None: not wanted. name: of the picture.
        cut: takes the margin of a preview off. overwrite: replace files that exist.

    Raises:
        OutputError: a file cannot be written.
    """
    deviation = None
    if uncertainty is not None:
        deviation = uncertainty_of(done)
        info = ImageInfo(format="TIFF", bits=32, is_float=True, scale=done.image.info.scale)
        picture = cut(replace(done.image, pixels=deviation, alpha=None, info=info))
        write_image(uncertainty, picture, bits=32, overwrite=overwrite)
        unsure = "" if is_calibrated(done) else f"; it was calibrated with {METHOD}, for {done.ran} it is a rough guide"
        say(f"{escape(uncertainty)}: the standard deviation of each pixel{escape(unsure)}")
    if report is not None:
        write_report(report, done, name=name, uncertainty=deviation, overwrite=overwrite)
        say(f"{escape(report)}: how far to believe the result")
