"""`acutance restore`."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from acutance.cli.addresses import select_addresses
from acutance.cli.batch import Batch, Settings, read_mask, run_all
from acutance.cli.boxes import check_boxes
from acutance.cli.candidates import check_sheet
from acutance.cli.console import escape, output_lost, parse_precision, say
from acutance.cli.effects import check_effects, refuse_for_measurements
from acutance.cli.journal import digest
from acutance.cli.kernels import as_lists, choose_kernel, field_of, guess_of, stack_kernel
from acutance.cli.profiles import ProfileUse
from acutance.cli.reporting import report_left_out
from acutance.cli.selection import Selection, select
from acutance.cli.sensing import restore_measurements
from acutance.cli.sidecars import Recorder
from acutance.cli.stacks import StackBatch, apart_from, parted
from acutance.cli.stamps import StampBatch, stamps_among
from acutance.cli.tally import Tally
from acutance.cli.targets import Job, Output, check_extra, check_folder_of, check_targets, plan, writable_in_place
from acutance.cli.trusting import FLOATS, PAGES
from acutance.cli.wanted import Wanted
from acutance.cli.watching import Watch
from acutance.cli.workers import run_on_workers
from acutance.cluster.connect import require
from acutance.cluster.store import is_address
from acutance.errors import ConfigError, KernelError, UnknownSetting
from acutance.images.counts import count_unit
from acutance.images.fits_layout import split
from acutance.images.mark import file_hash
from acutance.images.measurement_file import SUFFIX
from acutance.images.write import check_depth, format_of
from acutance.methods.spec import find
from acutance.methods.written import read_method
from acutance.restoration.restorer import BLIND, COUNTS, DEFAULT, TASKS, Restorer

NO_KERNEL = """{method} needs the blur kernel. Leave out --method to restore without, or say how the picture is blurred:
  --kernel psf.png      a measured or estimated point-spread function (PNG, TIFF, FITS, .npy, .txt, .mat)
  --motion 15,30        straight camera motion: 15 pixels at 30 degrees
  --disc 4              out of focus: a disc of radius 4 pixels
  --gaussian 1.5        softness: a Gaussian of standard deviation 1.5 pixels"""


def restore(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, folders or quoted globs.", show_default=False)],
    kernel: Annotated[
        Path | None,
        typer.Option(
            help="Blur kernel (PSF): PNG, TIFF, FITS, .npy, .txt, .mat; or one for each place: FITS, .npz ..."
        ),
    ] = None,
    motion: Annotated[str | None, typer.Option(help="Straight motion: LENGTH,ANGLE in pixels and degrees.")] = None,
    disc: Annotated[float | None, typer.Option(help="Defocus: radius of the disc in pixels.")] = None,
    gaussian: Annotated[float | None, typer.Option(help="Gaussian blur: standard deviation in pixels.")] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Take --motion, --disc, --gaussian as they are; else the nearby best.")
    ] = False,
    output: Annotated[str | None, typer.Option("-o", "--output", help="File, or folder for several pictures.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into the folders of folders.")] = False,
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
        float | None, typer.Option(min=0, max=1, help="How far to go: 0 leaves the picture as it is, 1 is all.")
    ] = None,
    quality: Annotated[str | None, typer.Option(help="fast, balanced or best, of a method that has them.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="Most steps of an iterative method.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.01, help="Stop after about this many seconds.")] = None,
    sigma: Annotated[
        str | None, typer.Option(help="Noise level: 1%, 2.55/255 or 0.01; estimated where a method needs it.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Noise and blur of your camera, as `acutance calibrate` measures them.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="Picture or .npy of the same size: white or 1 where pixels count, black or 0 where they are missing."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Other weights: safetensors, or the authors' .pth.")] = None,
    flip_kernel: Annotated[bool, typer.Option("--flip-kernel", help="Rotate the kernel by 180 degrees.")] = False,
    centre: Annotated[bool, typer.Option("--centre", help="Move the kernel's centre of mass to its centre.")] = False,
    linear: Annotated[
        bool | None,
        typer.Option(
            "--linear/--encoded",
            help="Solve in linear light, or in the values of the file; else linear for photographs (JPEG, EXIF).",
            show_default=False,
        ),
    ] = None,
    preview: Annotated[str | None, typer.Option(help="Only the piece X,Y,W,H, to try settings on.")] = None,
    bits: Annotated[int | None, typer.Option(help="Depth of the result: 8, 16, or 32 (float TIFF, FITS).")] = None,
    window: Annotated[
        str | None, typer.Option(help="Find the blur in the piece X,Y,W,H, for the whole picture.")
    ] = None,
    trail: Annotated[
        str | None, typer.Option(help="Box X,Y,W,H around the trail of a light: it shows the blur.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(help="Also write the blurs that were thought of, each tried, to DIR.")
    ] = None,
    compare: Annotated[Path | None, typer.Option(help="Also write before and after side by side.")] = None,
    explain_to: Annotated[Path | None, typer.Option("--explain", help="Write what every step sees to DIR.")] = None,
    sidecar: Annotated[
        bool, typer.Option("--sidecar", help="Also write NAME.acutance.json, for `acutance repeat`.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Also write how far to believe the result: one HTML file.")
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(help="Also write the standard deviation of each pixel: TIFF or FITS; takes 5 runs."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the pictures themselves.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also restore pictures that acutance has restored before.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    precision: Annotated[str, typer.Option(help="Networks in auto, bfloat16 or float32.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Workers on this machine, for folders.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Scheduler of Dask, tcp://HOST:PORT, whose workers do a folder.")
    ] = None,
    tile: Annotated[int | None, typer.Option(min=64, help="Side of the tiles a network works on.")] = None,
    block: Annotated[
        str | None, typer.Option(help="Restore a volume by blocks of Z,Y,X voxels, into an OME-Zarr; else by memory.")
    ] = None,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each picture on stdout.")] = False,
    orientation: Annotated[bool, typer.Option(help="Check whether the kernel is rotated.", hidden=True)] = True,
) -> None:
    """Make blurred pictures sharp again; without a kernel, whatever the blur is. Or remove noise, or rain.

    Files of measurements, .cs, become pictures again (`acutance sense`).

    [dim]acutance restore photo.jpg
    acutance restore photo.jpg --kernel psf.png
    acutance restore scans/ -o sharp/ --disc 3
    acutance restore stack.tif --kernel psf3d.tif
    acutance restore volume.ome.zarr --kernel psf3d.tif -o sharp.ome.zarr
    acutance restore huge.tif --motion 21,40 --preview 2000,1500,600,400[/]
    """
    options = {k: v for k, v in locals().items() if k not in ("pictures", "explain_to")}
    raise typer.Exit(carry_out(Wanted(tuple(pictures), explain=explain_to, **options)))


def carry_out(wanted: Wanted) -> int:
    """Do what is wanted; returns the exit status. All that can be refused is refused before a picture is read.

    Raises:
        AcutanceError: something given is wrong, or the only picture cannot be restored.
    """
    wanted.check()
    if wanted.crew is not None:
        require()
    if wanted.threads is not None:
        torch.set_num_threads(wanted.threads)
    work = find_work(wanted)
    if work.measured:
        settings = Settings(
            "sense", bits=wanted.bits, overwrite=wanted.overwrite, max_pixels=wanted.most, as_json=wanted.as_json
        )
        restore_measurements(
            work.jobs, settings, work.tally, weights=wanted.weights, device=wanted.device, precision=wanted.precision
        )
        return _end(work)
    if not wanted.at_addresses and stamps_among(work.jobs, wanted):
        default = COUNTS if all(count_unit(job.picture) for job in work.jobs) else DEFAULT
        of_stamps = StampBatch.of(wanted, default, _settings_of_stacks(wanted, work))
        run_all(work.jobs, of_stamps.settings, work.tally, of_stamps.one)
        return _end(work)
    parts = parted([] if wanted.at_addresses else work.jobs, wanted)
    if wanted.at_addresses:
        parts = replace(parts, pictures=work.jobs)
    stacks: StackBatch | None = None
    if parts.stacks:
        psf = stack_kernel(wanted)
        parts = apart_from(parts, psf)
        stacks = StackBatch.of(wanted, psf, _settings_of_stacks(wanted, work))
    batch = make_batch(wanted, replace(work, jobs=parts.pictures)) if parts.pictures else None
    work.tally.skipped.extend(parts.left)
    report_left_out(work.tally, as_json=wanted.as_json)
    if batch is not None and wanted.crew is not None:
        run_on_workers(parts.pictures, batch, work.tally, wanted.crew)
        return _end(work)
    of_stacks, left = set(parts.stacks), {source for source, _ in parts.left}

    def one(job: Job, watch: Watch) -> None:
        run = stacks if job in of_stacks else batch
        assert run is not None
        run.one(job, watch)

    jobs = [job for job in work.jobs if job.source not in left]
    run_all(jobs, batch.settings if batch else _settings_of_stacks(wanted, work), work.tally, one)
    return _end(work)


def _settings_of_stacks(wanted: Wanted, work: Work) -> Settings:
    return Settings(
        overwrite=wanted.overwrite, again=wanted.again, max_pixels=wanted.most, journal=work.selection.several,
        as_json=wanted.as_json,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Work:
    """The files to restore, and where their results go.

    Args:
        selection: of files. jobs: from where to where. measured: whether they are measurements.
        tally: what became of them.
    """

    selection: Selection
    jobs: list[Job]
    measured: bool
    tally: Tally


def find_work(wanted: Wanted) -> Work:
    """The files, and where their results go.

    Raises:
        AcutanceError: there are none, or something would be lost, or cannot be written.
    """
    to = Output.parse(wanted.output)
    if wanted.at_addresses:
        return _find_at_addresses(wanted)
    selection = select(list(wanted.pictures), recursive=wanted.recursive, apart=_apart(wanted, to))
    selection = writable_in_place(selection) if wanted.in_place else selection
    measured = _all_measured(selection)
    if measured:
        if wanted.task != "deblur":
            first = selection.found[0].path
            raise ConfigError(f"{first} holds measurements (.cs); make a picture of it first: acutance restore {first}")
        refuse_for_measurements({k: v for k, v in wanted.there().items() if k not in ("--tile", "--precision")})
    elif selection.several:
        for option, value in wanted.of_one_picture().items():
            if value is not None:
                raise ConfigError(f"{option} takes one picture, not several")
    elif wanted.crew is not None:
        raise ConfigError("--workers and --cluster are for folders and several pictures; leave them out for one")
    jobs = plan(selection, to, in_place=wanted.in_place)
    folder = to.path if to is not None and (selection.several or to.is_folder) else None
    check_targets(jobs, wanted.inputs, bits=wanted.bits, in_place=wanted.in_place, folder=folder)
    if wanted.compare is not None:
        check_extra("--compare", wanted.compare, jobs, wanted.inputs, overwrite=wanted.overwrite)
    if wanted.report is not None:
        check_extra("--report", wanted.report, jobs, wanted.inputs, overwrite=wanted.overwrite, suffixes=PAGES)
    if wanted.uncertainty is not None:
        check_extra("--uncertainty", wanted.uncertainty, jobs, wanted.inputs, overwrite=wanted.overwrite,
                    suffixes=FLOATS)  # fmt: skip
    for option, made in (("--explain", wanted.explain), ("--candidates", wanted.candidates)):
        if made is not None:
            check_folder_of(option, made)
    if wanted.candidates is not None:
        check_sheet(wanted.candidates, overwrite=wanted.overwrite)
    tally = Tally(
        skipped=[(each.path, each.why) for each in selection.skipped if not each.failed],
        failed=[(each.path, each.why) for each in selection.skipped if each.failed],
    )
    return Work(selection, jobs, measured, tally)


def _find_at_addresses(wanted: Wanted) -> Work:
    """The same for folders at addresses, which workers read and write.

    Raises:
        ConfigError: an option that is not for them. ImageError: there are no pictures.
    """
    if wanted.crew is None or wanted.output is None or not is_address(Path(wanted.output)):
        raise ConfigError(
            "addresses need --workers or --cluster, and an address for the results: -o s3://bucket/sharp/"
        )
    wrong = [option for option, value in wanted.of_one_picture().items() if value is not None]
    if wrong or wanted.in_place:
        raise ConfigError(f"{(wrong or ['--in-place'])[0]} is not for pictures at addresses; leave it out")
    selection = select_addresses(wanted.pictures, recursive=wanted.recursive)
    tally = Tally(skipped=[(each.path, each.why) for each in selection.skipped])
    jobs = plan(selection, Output(Path(wanted.output), folder=True))
    for job in jobs:
        check_depth(job.target, format_of(job.target, "PNG"), wanted.bits)
    return Work(selection, jobs, False, tally)


def make_batch(wanted: Wanted, work: Work) -> Batch:
    """The method, ready for the pictures.

    Raises:
        AcutanceError: an unknown method, an unusable kernel, an option that the method cannot heed.
    """
    psf = field_of(wanted, work.jobs) or choose_kernel(
        wanted.kernel, wanted.motion, wanted.disc, wanted.gaussian, flip=wanted.flip_kernel, centre=wanted.centre
    )
    profile = ProfileUse.of(wanted)
    lens = profile is not None and profile.lens
    known = psf is not None or lens
    name, own = _named(wanted.method or _default(wanted, work.jobs, known=known))
    profile = profile if profile is None or not lens else profile.for_method(find(name).needs.kernel)
    _only_blind(name, blur_given=known, options=wanted.of_finding())
    boxes = check_boxes(wanted.boxes, work.jobs[0].picture, preview=wanted.region is not None) if work.jobs else {}
    added = {"steps": wanted.steps, "seconds": wanted.seconds, **boxes}
    options = {**own, **{k: v for k, v in added.items() if v is not None}}
    loading = {
        "name": name, "weights": wanted.weights, "device": wanted.device,
        "precision": parse_precision(wanted.precision), "tile": wanted.tile or "auto", "quality": wanted.quality,
        "blend": 1.0 if wanted.strength is None else wanted.strength, **options,
    }  # fmt: skip
    try:
        restorer = Restorer.load(**loading)
    except UnknownSetting as error:
        if error.setting in added and error.setting not in own:
            raise ConfigError(f"{name} does not take --{error.setting}; leave it out") from None
        raise
    if not known and restorer.needs.kernel:
        raise KernelError(NO_KERNEL.format(method=name))
    check_effects(restorer, wanted.there(), kernel=wanted.blur)
    task = wanted.task if restorer.needs.task == "sense" else restorer.needs.task
    if not known and wanted.method is None and task == "deblur" and wanted.trail is None and not wanted.silent:
        say("no kernel given: it is estimated; if you know the blur, give --kernel, --motion, --disc or --trail")
    for note in psf.notes if psf is not None and not wanted.silent else ():
        say(f"[yellow]kernel:[/] {escape(note)}")
    mask = None if wanted.mask is None else read_mask(wanted.mask, wanted.most)
    same = {
        "task": task, "method": name, "options": options, "quality": wanted.quality, "weights": restorer.weights,
        "sigma": wanted.level, "linear": wanted.linear, "bits": wanted.bits, "preview": wanted.region,
        "strength": wanted.strength, "kernel": as_lists(psf), "exact": wanted.exact,
        "mask": None if wanted.mask is None else file_hash(split(wanted.mask)[0]),
        **({} if wanted.profile is None else {"profile": file_hash(wanted.profile)}),
    }  # fmt: skip
    settings = Settings(
        task=task, sigma=wanted.level, linear=wanted.linear,
        mask=mask, overwrite=wanted.overwrite,
        in_place=wanted.in_place, again=wanted.again, bits=wanted.bits, preview=wanted.region, explain=wanted.explain,
        compare=wanted.compare, candidates=wanted.candidates, report=wanted.report,
        uncertainty=wanted.uncertainty, max_pixels=wanted.most, digest=digest(same),
        kernel=None if wanted.kernel is None else wanted.kernel.name,
        check_orientation=wanted.orientation and wanted.kernel is not None,
        journal=work.selection.several and not (wanted.in_place or wanted.at_addresses), as_json=wanted.as_json,
        recorder=Recorder.of(wanted, work.jobs), silent=wanted.silent,
    )  # fmt: skip
    guess = None if wanted.exact else guess_of(wanted.motion, wanted.disc, wanted.gaussian)
    return Batch(restorer, psf, settings, guess, profile=profile, loading=loading)


def _all_measured(selection: Selection) -> bool:
    """Tell whether the files hold measurements.

    Raises:
        ConfigError: some do, and some are pictures.
    """
    measured = [each.path.suffix.lower() == SUFFIX for each in selection.found]
    if any(measured) and not all(measured):
        raise ConfigError("measurements and pictures together; restore them by two commands")
    return any(measured)


def _only_blind(name: str, *, blur_given: bool, options: dict[str, Any]) -> None:
    """Refuse options that are for finding the blur where it is told, or where the method does not look for it."""
    wrong = [option for option, value in options.items() if value is not None]
    if wrong and name != BLIND:
        why = "the kernel is given" if blur_given else f"{name} does not look for the blur"
        raise ConfigError(f"{' and '.join(wrong)}: {why}; leave that out")


def _named(text: str) -> tuple[str, dict[str, Any]]:
    """The method's name and its settings, from NAME or NAME:SETTING=VALUE,...

    Raises:
        UnknownMethod: there is no such method. ConfigError: a setting that is an option of the command.
    """
    name, settings = read_method(text)
    known = find(name).name
    own = {"weights", "device", "precision", "tile", "sigma", "linear"} & settings.keys()
    if own:
        raise ConfigError(f"--method {text}: give the option --{min(own)}, not a setting of that name")
    return known, settings


def _apart(wanted: Wanted, output: Output | None) -> dict[Path, str]:
    """What a folder may hold that is no picture to restore: the kernel, and the folder of the results."""
    apart = {path: what for what, path in wanted.inputs.items()}
    given = {os.path.realpath(path) for path in wanted.pictures}
    if output is not None and output.is_folder and os.path.realpath(output.path) not in given:
        apart[output.path] = "the results"
    return apart


def _end(work: Work) -> int:
    """Say the last lines where there is more than one file to account for; returns the exit status."""
    if work.selection.several or work.tally.files > 1:
        work.tally.tell()
    return work.tally.status or int(output_lost())


def _default(wanted: Wanted, jobs: list[Job], *, known: bool) -> str:
    """The method where none is named; weights and qualities are for one that learns.

    Raises:
        ConfigError: no such task, or a kernel where nothing is deblurred.
    """
    task, weights = wanted.task, wanted.weights
    if task == "deblur":
        if known and weights is None and wanted.quality is None and wanted.strength is None:
            return _by_unit([job.picture for job in jobs])
        return DEFAULT if known else BLIND
    if task not in TASKS:
        raise ConfigError(f"--task {task}: there are deblur, {', '.join(TASKS)}")
    if known:
        raise ConfigError(f"--task {task} takes no kernel; leave it out, or remove the blur by a command of its own")
    return TASKS[task] if weights is None else f"dgunet-{task}"


def _by_unit(pictures: list[Path]) -> str:
    """The method for a known kernel: that for counts where all files hold some, which is said."""
    units = {count_unit(picture) for picture in pictures}
    if not units or None in units:
        return DEFAULT
    said = escape(", ".join(sorted(filter(None, units))))
    say(f"[yellow]counts ({said}):[/] {COUNTS}, which keeps the flux; for scenes of other kinds: --method {DEFAULT}")
    return COUNTS
