"""One picture after the other, so that nothing that happens to one harms the others, and a second run goes on."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from acutance import __version__
from acutance.blind.guess import Guess, fitted
from acutance.cli.candidates import write_candidates
from acutance.cli.console import escape, say
from acutance.cli.journal import Journal, Journals, state_of
from acutance.cli.looking import comparison, explain
from acutance.cli.profiles import ProfileUse
from acutance.cli.reporting import Report, report_done, report_error, report_skipped
from acutance.cli.selection import PICTURE_SUFFIXES
from acutance.cli.sidecars import Recorder
from acutance.cli.stopping import Stopping
from acutance.cli.tally import Tally
from acutance.cli.targets import Job
from acutance.cli.trusting import write_trust
from acutance.cli.watching import Watch
from acutance.errors import AcutanceError, ConfigError, ImageError, OutputError
from acutance.images import Image, read_image, write_image
from acutance.images.atomic import remove_old_parts
from acutance.images.fits_layout import split
from acutance.images.image import SUFFIXES, suffix_of
from acutance.images.kernel_file import KernelFile
from acutance.images.mark import Mark, file_hash, read_mark
from acutance.images.mask_file import is_mask_array, read_mask_array
from acutance.images.ngff import is_zarr
from acutance.images.peek import peek_size
from acutance.images.source import is_measured
from acutance.methods.spec import find
from acutance.operators import BlurField
from acutance.orientation import Orientation, judge_orientation
from acutance.psf.files import FieldFile
from acutance.restoration.history import with_lines
from acutance.restoration.piece import Piece
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import Restorer

MIRRORED = 0.05
"""Part of its light in other places, from which on a kernel is told to differ from its mirror image."""

FORECAST_PIXELS = 1_500_000
"""Pictures above this many pixels are announced with the seconds they will take."""

DONE_TO = {"deblur": "deblurred", "denoise": "denoised", "derain": "derained", "sense": "brought back"}


@dataclass(frozen=True)
class Settings:
    """What holds for every picture of a command.

    Args:
        task: "deblur", ... sigma, linear, mask, bits, preview, explain, compare, candidates,
            report, uncertainty, max_pixels: see the options.
        overwrite: replace results. in_place: replace the pictures. again: restore what was restored before.
        kernel: name of its file. check_orientation: look whether the kernel is rotated.
        digest: sixteen digits for all that changes a result.
        journal: keep one in the folders of the results. as_json: report as JSON.
        recorder: of side-cars; None: none are written. silent: say nothing of what is done.
    """

    task: str = "deblur"
    sigma: float | None = None
    linear: bool | None = None
    mask: Tensor | None = None
    overwrite: bool = False
    in_place: bool = False
    again: bool = False
    bits: int | None = None
    preview: tuple[int, int, int, int] | None = None
    explain: Path | None = None
    compare: Path | None = None
    candidates: Path | None = None
    report: Path | None = None
    uncertainty: Path | None = None
    kernel: str | None = None
    check_orientation: bool = False
    max_pixels: int = 250_000_000
    digest: str = ""
    journal: bool = False
    as_json: bool = False
    recorder: Recorder | None = None
    silent: bool = False


class AlreadyDone(Exception):
    """The result is there."""


class LeftOut(Exception):
    """The picture is not to be restored; the text says why."""


def run_all(jobs: Sequence[Job], settings: Settings, tally: Tally, one: Callable[[Job, Watch], None]) -> None:
    """Run `one` for each job, whatever becomes of the others, and note it in `tally`.

    A signal lets the current picture of several be finished; the rest is noted as left.
    """
    several = len(jobs) > 1
    for folder in dict.fromkeys(job.target.parent for job in jobs):
        remove_old_parts(folder)
    with Stopping(graceful=several) as stopping, Watch(len(jobs)) as watch:
        for job in jobs:
            if stopping.requested:
                tally.left.append(job.source)
                continue
            watch.begin(job.source.name)
            try:
                make_folder(job.target.parent)
                one(job, watch)
                tally.restored.append(job.source)
            except AlreadyDone:
                tally.done.append(job.source)
                report_done(job, as_json=settings.as_json)
            except LeftOut as why:
                tally.skipped.append((job.source, str(why)))
                report_skipped(job.source, str(why), as_json=settings.as_json)
            except Exception as error:  # whatever one picture does, the others are restored
                if message_of(error, job) is None and not several:
                    raise
                message = explained(error, job)
                tally.failed.append((job.source, message))
                report_error(job, message, as_json=settings.as_json)
            finally:
                watch.end()
        tally.signal = stopping.number


def make_folder(folder: Path) -> None:
    """Make a folder for results where there is none.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None


def explained(error: Exception, job: Job) -> str:
    """The message for an error that happened to a picture; of one that is ours, a traceback with ACUTANCE_DEBUG=1."""
    message = message_of(error, job)
    if message is not None:
        return message
    if os.environ.get("ACUTANCE_DEBUG"):
        traceback.print_exception(error)
    return f"{job.source}: unexpected {type(error).__name__}: {error}; please report it"


def message_of(error: Exception, job: Job) -> str | None:
    """What to say of an error that may happen to a picture; None of one that is ours."""
    if isinstance(error, AcutanceError):
        text = str(error)
        return text if job.source.name in text or job.target.name in text else f"{job.source}: {text}"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return f"{job.source}: not enough memory for it; scale it down or cut it first, or try --preview"
    if isinstance(error, OSError):
        return f"{job.source}: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return None


def _flux(image: Image, done: Restoration) -> tuple[str, ...]:
    """Warn who measures light of a method that learned from photographs."""
    if image.info.format != "FITS" or done.unchanged or find(done.ran).weights is None:
        return ()
    return (
        f"{done.ran} learned from photographs and does not keep the flux of stars; for photometry: "
        "--method richardson-lucy",
    )


def check_not_done(job: Job, state: str, journal: Journal | None, settings: Settings) -> None:
    """See that there is anything to do, before the picture is read.

    Args:
        job: which. state: of its source, see `acutance.cli.journal.state_of`. journal: of the results; None: none.

    Raises:
        AlreadyDone, LeftOut: see there. ImageError: no file; it was restored before. OutputError: the result exists.
    """
    if job.source.exists() and not job.source.is_file() and not is_zarr(job.source):
        raise ImageError(f"{job.source} is not an ordinary file; save the picture to a file first")
    recorder = settings.recorder
    recorded = recorder is None or recorder.is_there(job)
    if journal is not None and not settings.overwrite and recorded and journal.is_done(state, job.target):
        raise AlreadyDone
    before = None if settings.again else read_mark(job.source, job.where)
    if before is not None and settings.task in before.tasks:
        if settings.in_place and before.settings == settings.digest:
            raise AlreadyDone
        why = f"{DONE_TO[settings.task]} already (by {before.method}, acutance {before.version})"
        if job.named:
            raise ImageError(f"{job.source} was {why}; twice makes it worse. Restore the original, or give --again")
        raise LeftOut(why)
    if os.path.lexists(job.target) and not (settings.overwrite or settings.in_place):
        extra = (settings.compare, settings.explain, settings.report, settings.uncertainty)
        more = any(path is not None for path in extra) or not recorded
        there = None if more else read_mark(job.target, job.where)
        if there is not None and there.settings == settings.digest and there.source == file_hash(job.source):
            if journal is not None:
                journal.add(state, job.source, job.target)
            raise AlreadyDone
        raise OutputError(f"{job.target} exists; give --overwrite to replace it, or another name with -o")
    if recorder is not None:
        recorder.check(job, overwrite=settings.overwrite)


def mark_of(job: Job, method: str, settings: Settings) -> Mark:
    """The mark by which a result tells its origin."""
    before = read_mark(job.source, job.where)
    tasks = () if before is None else tuple(task for task in before.tasks if task != settings.task)
    return Mark(__version__, (*tasks[-5:], settings.task), method, file_hash(job.source), settings.digest)


@dataclass
class Batch:
    """The pictures of a command, one by one.

    Args:
        restorer, psf, settings: for all of them. guess: the kernel in words, to be made better for each picture.
        tell: takes remarks on the kernel. profile: of the camera.
        loading: the arguments of `Restorer.load` that made the restorer.
    """

    restorer: Restorer
    psf: KernelFile | FieldFile | None
    settings: Settings
    guess: Guess | None = None
    tell: Callable[[str], None] = say
    profile: ProfileUse | None = None
    loading: Mapping[str, Any] = field(default_factory=dict)
    _journals: Journals = field(init=False)
    _judged: bool = False
    _hinted: bool = False

    def __post_init__(self) -> None:
        self._journals = Journals(self.settings.digest, kept=self.settings.journal)

    def one(self, job: Job, watch: Watch) -> None:
        """Restore a picture, write what is wanted of it, and say so.

        Raises:
            AlreadyDone, LeftOut: see there. AcutanceError, OSError, MemoryError: it cannot be done.
        """
        s, state = self.settings, state_of(job.source)
        journal = self._journals.of(job.target.parent)
        check_not_done(job, state, journal, s)
        made = self.make(job, watch)
        if journal is not None:
            journal.add(state, job.source, job.target)
        if s.silent:
            return
        made.tell(as_json=s.as_json, hint=not self._hinted)
        self._hinted = self._hinted or made.hint is not None

    def make(self, job: Job, watch: Watch) -> Report:
        """Restore a picture and write what is wanted of it; returns what there is to say.

        Raises:
            AcutanceError, OSError, MemoryError: it cannot be done.
        """
        s = self.settings
        size = peek_size(job.picture)
        if size is not None:
            self._check_size(size)
        image, whole = self._read(job)
        mark = mark_of(job, self.restorer.spec.name, s)
        if isinstance(self.psf, KernelFile) and s.check_orientation and not self._judged:
            self._judged = True
            self._judge(image, self.psf)
        height, width = image.size
        if height * width >= FORECAST_PIXELS:
            watch.announce(f"{width} x {height} pixels")
        kernel, mask = None if self.psf is None else self.psf.kernel, _mask_of(image, s)
        if self.guess is not None:
            kernel = self._fitted(image, self.guess)
        told: tuple[str, ...] = ()
        if self.profile is not None:
            piece = None if s.preview is None else Piece(*s.preview)
            by = self.profile.tell(image, whole, piece, linear=s.linear, sigma=s.sigma)
            image, kernel, told = by.image, kernel if by.kernel is None else by.kernel, by.notes
            s = replace(s, linear=by.linear, sigma=by.sigma)
        done = self.restorer(image, kernel, sigma=s.sigma, linear=s.linear, mask=mask, on_step=watch.on_step,
                              on_stage=watch.on_stage)  # fmt: skip
        final = _cut(done.image, s)
        final = final if s.kernel is None else with_lines(final, [f"kernel from {s.kernel}"])
        mark = replace(mark, method=done.ran)
        notes = write_image(job.target, final, bits=s.bits, overwrite=s.overwrite or s.in_place, mark=mark)
        if s.recorder is not None:
            s.recorder.write(job, done, mark.source, overwrite=s.overwrite, most=s.max_pixels)
        self._extras(job, image, final, done, kernel, mask, s)
        notes = (*image.info.notes, *told, *done.notes, *_flux(image, done), *notes)
        return Report.of(job, done, notes, watch.forecast)

    def _fitted(self, image: Image, guess: Guess) -> Tensor:
        """The kernel of a guess, made better for a picture."""
        best, remark = fitted(image, guess)
        if remark is not None and not self.settings.silent:
            self.tell(f"[yellow]kernel:[/] {escape(remark)}" + ("; --exact keeps yours" if best != guess else ""))
        return best.kernel

    def _judge(self, image: Image, psf: KernelFile) -> None:
        """Tell if the kernel seems to be turned."""
        name = Path(self.settings.kernel or "")
        drawn = suffix_of(split(name)[0]).lower() in PICTURE_SUFFIXES - set(SUFFIXES["FITS"])
        differs = float((psf.kernel - psf.kernel.flip(-2)).abs().sum()) > MIRRORED
        if drawn and differs and is_measured(image):
            self.tell(
                f"[yellow]kernel:[/] the first row of {escape(name.name)} is taken for the first row of FITS, which "
                "viewers show at the bottom; if it was saved as it is seen there, mirror it top to bottom"
            )
        verdict = judge_orientation(image.pixels, psf.kernel, sigma=self.settings.sigma)
        if not verdict.symmetric and verdict.orientation is not Orientation.RIGHT:
            self.tell(f"[yellow]kernel:[/] {escape(verdict.orientation.value)}")

    def _check_size(self, size: tuple[int, int]) -> None:
        """Refuse what does not fit into a picture of these sides, which may yet be turned."""
        preview, mask = self.settings.preview, self.settings.mask
        if preview is not None and (preview[0] + preview[2] > max(size) or preview[1] + preview[3] > max(size)):
            raise ConfigError(_beyond(preview, size[1], size[0]))
        if self.psf is not None and preview is None:
            self.restorer.check_kernel(self.psf.kernel, size)
        if mask is not None and sorted(mask.shape[-2:]) != sorted(size):
            raise ConfigError(_other_mask(mask))

    def _read(self, job: Job) -> tuple[Image, tuple[int, int]]:
        """The picture, or the piece of it that is previewed, and the size of the whole."""
        image = read_image(job.picture, max_pixels=self.settings.max_pixels)
        preview = self.settings.preview
        if preview is None:
            return image, image.size
        piece, (height, width) = Piece(*preview), image.size
        if not piece.fits(height, width):
            raise ConfigError(_beyond(preview, height, width))
        return piece.cut(image), (height, width)

    def _extras(
        self,
        job: Job,
        before: Image,
        final: Image,
        done: Restoration,
        kernel: Tensor | BlurField | None,
        mask: Tensor | None,
        s: Settings,
    ) -> None:
        """The comparison, and what the steps see, where the settings ask for them."""
        if s.compare is not None:
            write_image(s.compare, comparison(_cut(before, s), final), overwrite=s.overwrite)
        write_trust(
            done, s.report, s.uncertainty, name=job.source.name, cut=lambda p: _cut(p, s), overwrite=s.overwrite
        )
        if s.explain is not None:
            prepared = self.restorer.prepare(before, kernel, sigma=s.sigma, linear=s.linear, mask=mask)
            count = explain(self.restorer, prepared, done.steps, s.explain)
            say(f"{escape(s.explain)}: {count} pictures of what the steps see")
        if s.candidates is not None:
            write_candidates(self.restorer, before, s.candidates, linear=s.linear, sigma=s.sigma, mask=mask)


def _beyond(preview: tuple[int, int, int, int], height: int, width: int) -> str:
    return f"--preview {','.join(map(str, preview))} reaches beyond the picture of {width} x {height} pixels"


def read_mask(file: Path, max_pixels: int) -> Tensor:
    """A mask, (1, 1, H, W), 1 where pixels are to be used.

    Of an integer file that holds 0 and one small number only, that number is white.

    Raises:
        ConfigError: the file cannot be read, or is a picture that shows nothing but an alpha channel.
    """
    if is_mask_array(file):
        try:
            return read_mask_array(file, max_pixels)
        except ConfigError as error:
            raise ConfigError(f"--mask {error}") from None
    try:
        image = read_image(file, max_pixels=max_pixels)
    except ImageError as error:
        raise ConfigError(f"--mask: {error}") from None
    mask = image.pixels.nan_to_num(0).mean(1, keepdim=True)
    top, white = float(mask.max()), 2**image.info.bits - 1
    if not image.info.is_float and 0 < top <= 0.5 and not bool(((mask > 0) & (mask < top)).any()):
        found = round(top * white)
        said = f"the largest value of the mask is {found}, not {white}; {found} was taken for white"
        say(f"[yellow]{escape(file.name)}:[/] {said}")
        return mask / top
    if top == 0 and image.alpha is not None and float(image.alpha.min()) < float(image.alpha.max()):
        raise ConfigError(f"--mask {file}: it is black, and only its alpha channel varies; save that as a grey picture")
    return mask


def _mask_of(image: Image, settings: Settings) -> Tensor | None:
    """The mask for the picture or, of a preview, for its piece."""
    if settings.mask is None:
        return None
    mask = (settings.mask > 0.5).to(image.pixels)
    if settings.preview is not None:
        mask = Piece(*settings.preview).with_margin(mask)
    if mask.shape[-2:] != image.pixels.shape[-2:]:
        raise ConfigError(_other_mask(settings.mask))
    return mask


def _other_mask(mask: Tensor) -> str:
    return f"the mask has {mask.shape[-1]} x {mask.shape[-2]} pixels; give one of the size of the picture"


def _cut(image: Image, settings: Settings) -> Image:
    """The previewed piece without its margin."""
    return image if settings.preview is None else Piece(*settings.preview).trim(image)
