"""`acutance psf`: point-spread functions made from formulas, measured, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from torch import Tensor
from typer.core import TyperGroup

from acutance.cli.console import emit, escape, plain, say
from acutance.cli.lazy import Settings
from acutance.cli.psf_cells import Limits, cells_of, measure_cells, values_of
from acutance.cli.psf_making import DEEP, FLAT, ready, write_psf
from acutance.cli.psf_making import app as making
from acutance.errors import ConfigError, KernelError
from acutance.images import read_image
from acutance.images.kernel_channels import as_channels
from acutance.images.kernel_file import read_kernel, read_values
from acutance.images.kernel_volume import holds_volume, read_volume_kernel
from acutance.images.stack import Voxel
from acutance.images.stack_file import is_stack, read_stack
from acutance.orientation import judge_orientation
from acutance.psf.doctor import NYQUIST_WIDTH, Finding, examine
from acutance.psf.files import is_field
from acutance.psf.measure import measure_psf


class _Measuring(TyperGroup):
    """`acutance psf stars.fits` is short for `acutance psf measure stars.fits`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The name of the command that is left out, put in."""
        named = bool(args) and (args[0] in self.commands or args[0].startswith("-"))
        return super().parse_args(ctx, args if named or not args else ["measure", *args])


DOES = "Make, check and measure point-spread functions (PSF)."

app = typer.Typer(help=DOES, no_args_is_help=True, cls=_Measuring, **Settings)  # type: ignore[arg-type]
app.add_typer(making, name="make")


@app.command("check")
def check(
    psf: Annotated[Path, typer.Argument(help="File of a point-spread function.", show_default=False)],
    picture: Annotated[
        Path | None, typer.Argument(help="A picture blurred by it; tells the orientation.", show_default=False)
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the mended one.")] = None,
    centre: Annotated[bool, typer.Option("--centre", help="Move the centre of mass to the centre.")] = False,
    flip: Annotated[bool, typer.Option("--flip-kernel", help="Rotate by 180 degrees.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Say what is wrong with a point-spread function, and mend it.

    [dim]acutance psf check psf.tif frame.tif -o mended.tif[/]
    """
    if is_field(psf):
        raise ConfigError(
            f"{psf} holds kernels for several places; check one of them: a plane of a FITS cube is "
            "'psfs.fits[0][*,*,1]'"
        )
    deep = holds_volume(psf)
    if deep and picture is not None:
        raise ConfigError(f"{picture}: the orientation of a kernel of three axes is not checked; leave the picture out")
    if output is not None:
        ready(output, DEEP if deep else FLAT, overwrite)
    findings = examine(_raw(psf, deep=deep))
    _table(findings)
    voxel: Voxel | None = None
    kernel: Tensor
    if deep:
        volume = read_volume_kernel(psf, centre=centre, flip=flip)
        kernel, voxel, notes = volume.kernel, volume.voxel, volume.notes
    else:
        found = read_kernel(psf, centre=centre, flip=flip)
        kernel, notes = found.kernel, found.notes
    if picture is not None:
        verdict = judge_orientation(read_image(picture).pixels, kernel)
        said = "symmetric, so either will do" if verdict.symmetric else verdict.orientation.value
        emit(f"orientation: {said}")
    for note in notes:
        emit(f"mended on reading: {note}")
    if not notes:
        emit("nothing has to be mended on reading")
    if output is not None:
        write_psf(output, kernel, voxel, overwrite=overwrite)


@app.command("measure")
def measure(
    picture: Annotated[Path, typer.Argument(help="A picture of stars, or a stack of beads.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="File of the point-spread function.")],
    size: Annotated[int | None, typer.Option(help="Side, odd, pixels; else eight widths, five of a stack.")] = None,
    threshold: Annotated[float, typer.Option(min=5, help="Peak above the background, in deviations.")] = 30.0,
    saturation: Annotated[float | None, typer.Option(help="Values from here on are clipped.")] = None,
    grid: Annotated[str | None, typer.Option(help="ROWSxCOLUMNS: one for each cell of the picture.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Measure it from isolated stars or beads; the word `measure` may be left out.

    [dim]acutance psf stars.fits -o psf.fits
    acutance psf stars.fits --grid 3x3 -o psfs.fits[/]
    """
    if grid is not None:
        measure_cells(picture, output, cells_of(grid), Limits(size, threshold, saturation), overwrite=overwrite)
        return
    deep = is_stack(picture)
    ready(output, DEEP if deep else FLAT, overwrite)
    voxel: Voxel | None = None
    if deep:
        stack = read_stack(picture)
        if len(stack.places) > 1:
            raise ConfigError(f"{picture}: it has {len(stack.places)} volumes; save the one with the beads alone")
        values, voxel = np.asarray(stack.volume(), np.float64), stack.voxel
    else:
        values = values_of(picture)
    found = measure_psf(values, size=size, threshold=threshold, saturation=saturation)
    rejected = ", ".join(f"{n} {why}" for why, n in found.rejected.items()) or "none"
    write_psf(output, found.kernel, voxel, overwrite=overwrite)
    emit(f"{len(found.places)} points used; not used: {rejected}")
    emit(f"width at half maximum {' x '.join(f'{w:.2f}' for w in found.width)} pixels")
    if min(found.width) < NYQUIST_WIDTH:
        say(f"[yellow]undersampled:[/] below {NYQUIST_WIDTH:g} pixels it depends on where a point lies in its pixel")


def _raw(path: Path, *, deep: bool) -> NDArray[np.generic]:
    """The values as they stand in the file, (h, w) or (d, h, w); the mean of channels."""
    try:
        if is_stack(path):
            return read_stack(path).volume()
        found = read_values(path)
        if deep:
            return found.values
        channels, _ = as_channels(found.values, found.bits, [])
        return np.asarray(channels.mean(0))
    except KernelError as error:
        raise KernelError(f"{path.name}: {error}") from error.__cause__
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise KernelError(f"{path.name}: damaged or unusual ({str(error)[:200]}); save it again") from error


def _table(findings: tuple[Finding, ...]) -> None:
    first, second = (max(len(getattr(f, n)) for f in findings) for n in ("what", "value"))
    for f in findings:
        emit(f"{plain(f.what):<{first}}  {f.value:<{second}}  {f.remark}".rstrip())
    wrong = sum(bool(f.remark) for f in findings)
    say(escape(f"{wrong} remark{'s' * (wrong != 1)}"))
