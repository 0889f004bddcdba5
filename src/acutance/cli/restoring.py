"""`acutance restore`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from acutance.bench.contender import Contender
from acutance.blind.method import Blind
from acutance.cli.console import escape, parse_level, parse_numbers, parse_precision, progress_bar, say
from acutance.cli.files import Job, Journal, find_pictures, plan
from acutance.cli.looking import comparison, explain
from acutance.cli.reporting import duration, report, report_error
from acutance.cli.sensing import restore_measurements
from acutance.errors import AcutanceError, ConfigError, KernelError, OutputError
from acutance.images import Image, read_image, write_image
from acutance.images.kernel_file import KernelFile, read_kernel
from acutance.images.measurement_file import SUFFIX
from acutance.methods.spec import find
from acutance.operators import BlurField
from acutance.orientation import Orientation, judge_orientation
from acutance.problem import Progress
from acutance.psf.files import FieldFile, is_field, read_field
from acutance.restore import BLIND, DEFAULT, TASKS, Restorer
from acutance.synth import kernels

FORECAST_PIXELS = 1_500_000
"""Pictures above this many pixels are announced with the seconds they will take."""

TYPICAL = 31
"""Side of the kernel that is assumed where it is still to be found, pixels."""

NO_KERNEL = """{method} needs the blur kernel. Leave out --method to restore without, or say how the picture is blurred:
  --kernel psf.png      a measured or estimated point-spread function (PNG, TIFF, .npy, .txt, .mat)
  --motion 15,30        straight camera motion: 15 pixels at 30 degrees
  --disc 4              out of focus: a disc of radius 4 pixels
  --gaussian 1.5        softness: a Gaussian of standard deviation 1.5 pixels"""


@dataclass(frozen=True)
class Settings:
    """What holds for every picture of a command."""

    sigma: float | None
    linear: bool
    mask: Tensor | None
    overwrite: bool
    bits: int | None
    preview: tuple[int, int, int, int] | None
    explain: Path | None
    compare: Path | None
    check_orientation: bool
    max_pixels: int


def restore(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, folders or quoted globs.", show_default=False)],
    kernel: Annotated[
        Path | None, typer.Option(help="Blur kernel (PSF): PNG, TIFF, .npy, .txt, .mat; or a grid of them, .npz.")
    ] = None,
    motion: Annotated[str | None, typer.Option(help="Straight motion: LENGTH,ANGLE in pixels and degrees.")] = None,
    disc: Annotated[float | None, typer.Option(help="Defocus: radius of the disc in pixels.")] = None,
    gaussian: Annotated[float | None, typer.Option(help="Gaussian blur: standard deviation in pixels.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File, or folder for several pictures.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help=f"NAME or NAME:SETTING=VALUE,...; see `acutance methods`; {DEFAULT}, or {BLIND} without a kernel."
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="deblur, denoise or derain: takes the method for it, where none is named.")
    ] = "deblur",
    strength: Annotated[
        float | None, typer.Option(min=0, max=1, help="How far to go, 0 to 1, of a method that has it.")
    ] = None,
    quality: Annotated[str | None, typer.Option(help="fast, balanced or best, of a method that has them.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Most steps of an iterative method.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Begin no step after so much time.")] = None,
    sigma: Annotated[
        str | None, typer.Option(help="Noise level: 1%, 2.55/255 or 0.01; estimated where a method needs it.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Picture of the same size: white where pixels are to be believed.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Other weights: safetensors, or the authors' .pth.")] = None,
    flip_kernel: Annotated[bool, typer.Option("--flip-kernel", help="Rotate the kernel by 180 degrees.")] = False,
    centre: Annotated[bool, typer.Option("--centre", help="Move the kernel's centre of mass to its centre.")] = False,
    linear: Annotated[bool, typer.Option("--linear", help="Decode the sRGB curve around the solve.")] = False,
    preview: Annotated[str | None, typer.Option(help="Only the piece X,Y,W,H, to try settings on.")] = None,
    bits: Annotated[int | None, typer.Option(help="Depth of the result: 8, 16, or 32 (float TIFF).")] = None,
    compare: Annotated[Path | None, typer.Option(help="Also write before and after side by side.")] = None,
    explain_to: Annotated[Path | None, typer.Option("--explain", help="Write what every step sees to DIR.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    precision: Annotated[str, typer.Option(help="Networks in auto, bfloat16 or float32.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    tile: Annotated[int | None, typer.Option(min=64, help="Side of the tiles a network works on.")] = None,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each picture on stdout.")] = False,
    orientation: Annotated[bool, typer.Option(help="Check whether the kernel is rotated.", hidden=True)] = True,
) -> None:
    """Make blurred pictures sharp again; without a kernel, whatever the blur is. Or remove noise, or rain.

    Files of measurements, .cs, become pictures again (`acutance sense`).

    [dim]acutance restore photo.jpg
    acutance restore photo.jpg --kernel psf.png
    acutance restore scans/ -o sharp/ --disc 3
    acutance restore huge.tif --motion 21,40 --preview 2000,1500,600,400[/]
    """
    if bits is not None and bits not in (8, 16, 32):
        raise ConfigError(f"--bits {bits}: give 8, 16 or 32")
    if threads is not None:
        torch.set_num_threads(threads)
    found, several = find_pictures(pictures)
    measured = [path.suffix.lower() == SUFFIX for path in found]
    if any(measured) and not all(measured):
        raise ConfigError("measurements and pictures together; restore them by two commands")
    jobs = plan(found, several, output)
    if any(measured):
        failed = restore_measurements(
            jobs, weights=weights, device=device, precision=precision, bits=bits, overwrite=overwrite,
            max_pixels=max_megapixels * 1_000_000, as_json=as_json,
        )  # fmt: skip
        if failed:
            raise typer.Exit(1)
        return
    settings = Settings(
        sigma=parse_level(sigma),
        linear=linear,
        mask=None if mask is None else read_image(mask, max_pixels=max_megapixels * 1_000_000).pixels,
        overwrite=overwrite,
        bits=bits,
        preview=_region(preview),
        explain=explain_to,
        compare=compare,
        check_orientation=orientation and kernel is not None,
        max_pixels=max_megapixels * 1_000_000,
    )
    psf = _field(kernel, motion, disc, gaussian, preview, flip_kernel or centre) or choose_kernel(
        kernel, motion, disc, gaussian, flip=flip_kernel, centre=centre
    )
    chosen = Contender.parse(method or _default(task, psf, weights))
    own = {"weights", "device", "precision", "tile"} & chosen.settings.keys() | ({"linear"} if chosen.linear else set())
    if chosen.sigma is not None or own:
        name = "sigma" if not own else min(own)
        raise ConfigError(f"--method {method}: give the option --{name}, not a setting of that name")
    given = (("steps", steps), ("seconds", seconds), ("strength", strength))
    options: dict[str, Any] = {k: v for k, v in given if v is not None}
    options = {**chosen.settings, **options}
    restorer = Restorer.load(
        chosen.name, weights=weights, device=device, precision=parse_precision(precision), tile=tile or "auto",
        quality=quality,
        **options,
    )  # fmt: skip
    if psf is None and restorer.needs.kernel:
        raise KernelError(NO_KERNEL.format(method=chosen.name))
    if psf is None and method is None and task == "deblur":
        say("no kernel given: it is estimated from the picture; more is possible with --kernel, --motion, --disc")
    for note in psf.notes if psf is not None else ():
        say(f"[yellow]kernel:[/] {escape(note)}")
    if several and (compare is not None or explain_to is not None):
        raise ConfigError("--compare and --explain take one picture, not several")
    if several and mask is not None:
        raise ConfigError("--mask belongs to one picture, not to several")
    same = {
        "method": chosen.name, "options": options, "quality": quality, "weights": restorer.weights,
        "sigma": settings.sigma,
        "linear": linear, "bits": bits, "preview": settings.preview,
        "kernel": _values(psf),
    }  # fmt: skip
    failed = run_jobs(restorer, jobs, psf, settings, same if several else None, as_json=as_json)
    if failed:
        if len(jobs) > 1:
            say(f"[bold red]{failed} of {len(jobs)} pictures could not be restored[/]; the messages above say why")
        raise typer.Exit(1)


def _field(file: Path | None, *others: object) -> FieldFile | None:
    """The blur field of --kernel, if it is one.

    Raises:
        ConfigError: with another option for kernels, or one that a field does not know. KernelError: unusable.
    """
    if file is None or not is_field(file):
        return None
    if any(others):
        raise ConfigError(
            f"{file.name} holds a kernel for every place of the whole picture: leave out --motion, --disc, --gaussian, "
            "--preview, --flip-kernel, --centre"
        )
    return read_field(file)


def _values(psf: KernelFile | FieldFile | None) -> Any:
    """The kernel as lists, None if there is none."""
    kernel = None if psf is None else psf.kernel
    return (kernel.kernels if isinstance(kernel, BlurField) else kernel).tolist() if kernel is not None else None


def _default(task: str, psf: KernelFile | FieldFile | None, weights: Path | None) -> str:
    """The method where none is named; weights are for one that learns.

    Raises:
        ConfigError: no such task, or a kernel where nothing is deblurred.
    """
    if task == "deblur":
        return DEFAULT if psf is not None else BLIND
    if task not in TASKS:
        raise ConfigError(f"--task {task}: there are deblur, {', '.join(TASKS)}")
    if psf is not None:
        raise ConfigError(f"--task {task} takes no kernel; leave it out, or remove the blur by a command of its own")
    return TASKS[task] if weights is None else f"dgunet-{task}"


def choose_kernel(
    file: Path | None, motion: str | None, disc: float | None, gaussian: float | None, *, flip: bool, centre: bool
) -> KernelFile | None:
    """The kernel that the options describe, None if none does.

    Raises:
        ConfigError: more than one option. KernelError: an unusable kernel.
    """
    given = [
        n
        for n, v in (("--kernel", file), ("--motion", motion), ("--disc", disc), ("--gaussian", gaussian))
        if v is not None
    ]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(given)} together: give one kernel")
    if file is not None:
        return read_kernel(file, centre=centre, flip=flip)
    if motion is not None:
        length, angle = parse_numbers(motion, 2, "--motion", "LENGTH,ANGLE, e.g. --motion 15,30")
        if length > 1001:
            raise KernelError(f"--motion {motion}: lengths up to 1001 pixels")
        return KernelFile(kernels.line(length, angle))
    for value, make, largest in ((disc, kernels.disc, 500.0), (gaussian, kernels.gaussian, 170.0)):
        if value is not None:
            if not 0 < value <= largest:
                raise KernelError(f"{given[0]} {value}: give a number above 0 and up to {largest:g} pixels")
            return KernelFile(make(value))
    return None


def run_jobs(
    restorer: Restorer,
    jobs: list[Job],
    psf: KernelFile | FieldFile | None,
    settings: Settings,
    journal_settings: dict[str, Any] | None,
    *,
    as_json: bool,
) -> int:
    """Restore one picture after the other; returns how many failed."""
    failed, judged = 0, False
    journal: Journal | None = None
    with progress_bar() as bar:
        overall = bar.add_task("pictures", total=len(jobs), visible=len(jobs) > 1)
        for job in jobs:
            if journal_settings is not None:
                _make_folder(job.target.parent)
                if journal is None or journal.path.parent != job.target.parent:
                    journal = Journal(job.target.parent, journal_settings)
                if not settings.overwrite and journal.is_done(job):
                    say(f"{escape(job.target)}: done already")
                    bar.advance(overall)
                    continue
            task = bar.add_task(escape(job.source.name), total=1)
            try:
                image = _load(job, settings, restorer)
                if isinstance(psf, KernelFile) and settings.check_orientation and not judged:
                    judged = True
                    _judge(image, psf, settings)
                seconds = _announce(restorer, image, psf, settings)

                def on_step(progress: Progress, task: Any = task) -> None:
                    bar.update(task, total=progress.steps, completed=progress.step)

                kernel = None if psf is None else psf.kernel
                sigma, linear, mask = settings.sigma, settings.linear, _mask_of(image, settings)
                done = restorer(image, kernel, sigma=sigma, linear=linear, mask=mask, on_step=on_step)
                final = _cut(done.image, settings)
                notes = write_image(job.target, final, bits=settings.bits, overwrite=settings.overwrite)
                if settings.compare is not None:
                    before = _cut(image, settings)
                    write_image(settings.compare, comparison(before, final), overwrite=settings.overwrite)
                if settings.explain is not None:
                    prepared = restorer.prepare(image, kernel, sigma=sigma, linear=linear, mask=mask)
                    count = explain(restorer, prepared, done.steps, settings.explain)
                    say(f"{escape(settings.explain)}: {count} pictures of what the steps see")
                if journal is not None:
                    journal.add(job)
                report(job, done, (*image.info.notes, *done.notes, *notes), seconds, as_json=as_json)
            except AcutanceError as error:
                failed += 1
                report_error(job, error, as_json=as_json)
            finally:
                bar.remove_task(task)
                bar.advance(overall)
    return failed


def _load(job: Job, settings: Settings, restorer: Restorer) -> Image:
    image = read_image(job.source, max_pixels=settings.max_pixels)
    if job.target.exists() and not settings.overwrite:
        raise OutputError(f"{job.target} exists; give --overwrite to replace it, or another name with -o")
    if settings.preview is None:
        return image
    x, y, w, h = settings.preview
    height, width = image.pixels.shape[-2:]
    if x + w > width or y + h > height:
        raise ConfigError(f"--preview {x},{y},{w},{h} reaches beyond the picture of {width}x{height} pixels")
    top, left, bottom, right = _piece(settings.preview, height, width)
    alpha = None if image.alpha is None else image.alpha[..., top:bottom, left:right]
    return replace(image, pixels=image.pixels[..., top:bottom, left:right], alpha=alpha)


def _mask_of(image: Image, settings: Settings) -> Tensor | None:
    """The mask for the picture or, of a preview, for its piece."""
    if settings.mask is None:
        return None
    mask = (settings.mask.mean(1, keepdim=True) > 0.5).to(image.pixels)
    if settings.preview is not None:
        top, left, bottom, right = _piece(settings.preview, mask.shape[-2], mask.shape[-1])
        mask = mask[..., top:bottom, left:right]
    if mask.shape[-2:] != image.pixels.shape[-2:]:
        height, width = settings.mask.shape[-2:]
        raise ConfigError(f"the mask has {width}x{height} pixels; give one of the size of the picture")
    return mask


PREVIEW_MARGIN = 96
"""Pixels around a previewed piece that are restored with it, so that its border looks as it will in the whole."""


def _piece(preview: tuple[int, int, int, int], height: int, width: int) -> tuple[int, int, int, int]:
    x, y, w, h = preview
    m = PREVIEW_MARGIN
    return max(0, y - m), max(0, x - m), min(height, y + h + m), min(width, x + w + m)


def _cut(image: Image, settings: Settings) -> Image:
    """The previewed piece without its margin."""
    if settings.preview is None:
        return image
    x, y, w, h = settings.preview
    top, left = y - max(0, y - PREVIEW_MARGIN), x - max(0, x - PREVIEW_MARGIN)
    alpha = None if image.alpha is None else image.alpha[..., top : top + h, left : left + w]
    return replace(image, pixels=image.pixels[..., top : top + h, left : left + w], alpha=alpha)


def _judge(image: Image, psf: KernelFile, settings: Settings) -> None:
    verdict = judge_orientation(image.pixels, psf.kernel, sigma=settings.sigma)
    if verdict.symmetric:
        return
    if verdict.orientation is not Orientation.RIGHT:
        say(f"[yellow]kernel:[/] {escape(verdict.orientation.value)}")


def _announce(restorer: Restorer, image: Image, psf: KernelFile | FieldFile | None, settings: Settings) -> float | None:
    height, width = image.pixels.shape[-2:]
    if height * width < FORECAST_PIXELS:
        return None
    if isinstance(restorer.method, Blind):  # what an estimate takes depends on the picture, but not on its size
        finish = Restorer(find(restorer.method.config.method), restorer.method.method, restorer.device)
        seconds = finish.forecast(image, kernels.gaussian(TYPICAL / 6, TYPICAL), sigma=settings.sigma)
        say(f"{width}x{height} pixels: about {duration(seconds)} when the kernel is found, which comes first")
        return None
    seconds = restorer.forecast(image, None if psf is None else psf.kernel, sigma=settings.sigma)
    say(f"{width}x{height} pixels: about {duration(seconds)} if it needs all its steps")
    return seconds


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    form = "X,Y,W,H in whole pixels from the upper left corner, e.g. --preview 400,300,256,256"
    x, y, w, h = parse_numbers(text, 4, "--preview", form)
    if any(v != int(v) for v in (x, y, w, h)) or x < 0 or y < 0 or w < 1 or h < 1:
        raise ConfigError(f"--preview {text}: give {form}")
    return int(x), int(y), int(w), int(h)
