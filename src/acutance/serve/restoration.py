"""The only file of the service that calls the library: an order in, files and a report out. Runs in a worker."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from acutance import errors
from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.kernel_file import KernelFile, read_kernel
from acutance.images.mask_file import is_mask_array, read_mask_array
from acutance.methods.capabilities import watched
from acutance.methods.spec import catalogue, find
from acutance.problem import Observer, Progress, Stage, StageObserver
from acutance.psf import shapes
from acutance.restoration.given import take_mask
from acutance.restoration.piece import MARGIN, Piece
from acutance.restoration.restored import Restoration
from acutance.restoration.restorer import BLIND, DEFAULT, TASKS, Restorer
from acutance.serve import candidates, iterates, trusting
from acutance.serve.found import Searches
from acutance.serve.interrupting import Interrupting
from acutance.serve.look import look as looked
from acutance.serve.orders import Event, Failed, Order, Report
from acutance.weights import embedded_names

LOADED = 6
"""Methods that a worker keeps loaded; the one that was not used for longest goes first."""

FOUND = {"method": "fd", "otherwise": "nothing"}
"""Settings of `blind` where only the kernel is wanted."""

SHOWN_BY_BROWSERS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")

SOFT = 4
"""Width of the border between what is restored and what stays, pixels on either side."""

MIN_MARGIN = 16
"""Pixels around a piece of a picture beyond the reach of its blur."""

Tell = Callable[[Event], None]


def nothing() -> None:
    """No look for a cancel."""


def make(threads: int, device: str, memory: int, preload: tuple[str, ...]) -> Restorations:
    """The handler of a worker, see `acutance.serve.worker.Maker`."""
    torch.set_num_threads(threads)
    return Restorations(device, preload)


class Restorations:
    """Carries out orders with methods that are loaded once.

    Args:
        device: where they run. preload: methods that are loaded now.
    """

    def __init__(self, device: str, preload: tuple[str, ...] = ()) -> None:
        self.device = device
        self._loaded: OrderedDict[tuple[object, ...], Restorer] = OrderedDict()
        self._searches = Searches()
        for name in preload:
            self._restorer(name)
        # torch's own class of its version would make the server import torch
        self.about = {"methods": methods(), "device": device, "torch": str(torch.__version__)}

    def __call__(self, order: Order, tell: Tell, look: Callable[[], None] = nothing) -> Report:
        """Carry out an order.

        Args:
            order: what to do. tell: hears how far it is. look: is called often. What they raise ends the order.

        Raises:
            Failed: with the library's own message, without the names of files and options of the command line.
        """
        try:
            with Interrupting(look):
                return self._carry_out(order, tell)
        except errors.AcutanceError as error:
            unusable = isinstance(error, errors.ImageError | errors.KernelError)
            raise Failed("input" if unusable else "request", plain(str(error), order)) from error
        except RuntimeError as error:
            if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
                raise MemoryError from error
            raise

    def _carry_out(self, order: Order, tell: Tell) -> Report:
        trusting.check(order)
        tell({"phase": "reading"})
        psf = kernel_of(order)
        if psf is not None and order.task != "restore":
            raise errors.ConfigError(f"{order.task} takes no kernel; leave it out")
        image = read_image(order.folder / order.picture, max_pixels=order.max_pixels)
        piece = piece_of(order, psf, image)
        mask, only = (mask_of(order, name, image, piece) for name in (order.mask, order.only))
        image = image if piece is None else piece.cut(image)
        if order.task == "look":
            told = looked(image, lambda stage: tell({"phase": "looking"}))
            return looks(image) | told | {"notes": list(image.info.notes)}
        blind = order.task == "kernel" or (order.task == "restore" and psf is None)
        tell({"phase": "preparing" if blind else "restoring"})
        on_step, on_stage = observers(tell)
        if order.options.candidates:
            return self._candidates(order, image, mask, on_step, on_stage)
        chosen = self._searches.remembering(self._for(order, psf), order)
        kernel = None if psf is None else psf.kernel

        def restored(by: Restorer) -> Restoration:
            return by(image, kernel, sigma=order.options.sigma, mask=mask, on_step=on_step, on_stage=on_stage)

        done, later = self._run(order, chosen, image, restored)
        tell({"phase": "writing"})
        before = image if piece is None else piece.trim(image)

        def finished(done: Restoration) -> Image:
            final = done.image
            if only is not None:
                final = replace(final, pixels=joined(image.pixels, final.pixels, only))
            return final if piece is None else piece.trim(final)

        report = described(done, before, () if psf is None else psf.notes)
        if done.result.kernel is not None:
            report |= write_found(order.folder, done.result.kernel.cpu(), wanted=order.task == "kernel")
        if order.task == "kernel":
            return report
        final = finished(done)
        name = f"restored{image.info.suffix}"
        notes = write_image(order.folder / name, final)
        report |= {"picture": name, "notes": [*report["notes"], *map(plain, notes)], "iterates": list(later)}
        if order.show:
            report |= write_shown(order.folder, before, final)
        for n, t in enumerate(later, 1):
            tell({"phase": "writing", "step": n, "steps": len(later)})
            report |= write_iterate(order, n, finished(restored(later[t])))
        return report | trusting.write(order, done, report["picture"], lambda: tell({"phase": "reporting"}))

    @staticmethod
    def _run(
        order: Order, chosen: Restorer, image: Image, restored: Callable[[Restorer], Restoration]
    ) -> tuple[Restoration, dict[int, Restorer]]:
        """The restoration, and for each step the restorer that answers with it; {} where nobody asks for them."""
        o = order.options
        keep = o.iterates and image.pixels[0, 0].numel() <= iterates.MOST_PIXELS
        if not keep and o.step is None:
            return restored(chosen), {}
        steps = iterates.Steps(chosen, None if keep else o.step)
        done = restored(steps.recording)
        if o.step is not None and any(t >= o.step for t in steps.kept):
            done = restored(steps.at(min(t for t in steps.kept if t >= o.step)))
        return done, {t: steps.at(t) for t in steps.kept} if keep and len(steps.kept) > 1 else {}

    def _candidates(
        self, order: Order, image: Image, mask: Tensor | None, on_step: Observer, on_stage: StageObserver
    ) -> Report:
        """The kernel and the other guesses, by the method that restores in the end."""
        if order.task != "kernel":
            raise errors.ConfigError(f"candidates: {order.task} takes one kernel; ask for the task kernel")
        restorer = self._restorer(BLIND, order.options.quality, None, **boxes_of(order))
        restorer = self._searches.remembering(restorer, order)
        restorer = replace(restorer, method=watched(restorer.method, on_stage))
        level = order.options.sigma
        told, kernel = candidates.write(restorer, image, order.folder, sigma=level, mask=mask, on_step=on_step)
        told["notes"] = [plain(n) for n in (*image.info.notes, *told["notes"])]
        return looks(image) | told | write_found(order.folder, kernel, wanted=True)

    def _for(self, order: Order, psf: KernelFile | None) -> Restorer:
        """The method that the order names, or the one for its task."""
        o = order.options
        if order.task == "kernel":
            if o.method is not None or o.strength is not None:
                raise errors.ConfigError("the kernel is found by one method, which has no strength; leave them out")
            return self._restorer(BLIND, None, None, **FOUND, **boxes_of(order))
        default = TASKS.get(order.task) or (BLIND if psf is None else DEFAULT)
        name = o.method or default
        spec = find(name)
        task = "deblur" if order.task == "restore" else order.task
        if spec.needs.task != task:
            fitting = [m["name"] for m in methods() if m["task"] == task]
            raise errors.ConfigError(f"method={name} does not {order.task}; methods that do: {', '.join(fitting)}")
        if spec.weights is not None and spec.weights not in embedded_names():
            raise errors.ConfigError(f"method={name} has no weights here; choose another")
        boxes = boxes_of(order)
        if boxes and name != BLIND:
            raise errors.ConfigError(f"{' and '.join(boxes)}: {name} does not look for the blur; leave that out")
        return self._restorer(name, o.quality, o.strength, **boxes)

    def _restorer(
        self, name: str, quality: str | None = None, strength: float | None = None, **settings: Any
    ) -> Restorer:
        key = (name, quality, strength, *sorted(settings.items()))
        if key not in self._loaded:
            blend = 1.0 if strength is None else strength
            self._loaded[key] = Restorer.load(name, device=self.device, quality=quality, blend=blend, **settings)
            if len(self._loaded) > LOADED:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def observers(tell: Tell) -> tuple[Observer, StageObserver]:
    """The observers of the steps of a method, and of the search for a kernel in hundredths of its work."""

    def on_step(progress: Progress) -> None:
        tell({"phase": "restoring", "step": progress.step, "steps": progress.steps})

    def on_stage(stage: Stage) -> None:
        told: Event = {"phase": "kernel", "part": stage.name, "step": int(100 * stage.share), "steps": 100}
        if stage.size is not None:
            told |= {"size": stage.size, "number": stage.number, "count": stage.count, "window": stage.window}
        tell(told)

    return on_step, on_stage


def methods() -> list[dict[str, Any]]:
    """The methods that this service offers, those without shipped weights left out."""
    shipped = embedded_names()
    return [
        {
            "name": s.name, "task": s.needs.task, "summary": s.summary, "needs_kernel": s.needs.kernel,
            "qualities": list(s.qualities), "reference": s.reference,
        }
        for s in catalogue().values()
        if s.needs.task != "sense" and (s.weights is None or s.weights in shipped)
    ]  # fmt: skip


def kernel_of(order: Order) -> KernelFile | None:
    """The kernel that an order describes, None where it is to be found.

    Raises:
        ConfigError: more than one. KernelError: an unusable one.
    """
    o = order.options
    given = [n for n in ("motion", "disc", "gaussian") if getattr(o, n) is not None]
    given += ["kernel"] if order.kernel is not None else []
    if len(given) > 1:
        raise errors.ConfigError(f"{' and '.join(given)} together: give one kernel")
    if order.kernel is not None:
        return read_kernel(order.folder / order.kernel)
    if o.motion is not None:
        if not 1 <= o.motion[0] <= 1001:
            raise errors.ConfigError(f"motion: {o.motion[0]:g} pixels; give a length of 1 to 1001")
        return KernelFile(shapes.line(*o.motion))
    for name, value, make_kernel, largest in (
        ("disc", o.disc, shapes.disc, 500.0),
        ("gaussian", o.gaussian, shapes.gaussian, 170.0),
    ):
        if value is not None:
            if not 0 < value <= largest:
                raise errors.ConfigError(f"{name}: {value:g}; give a number above 0 and up to {largest:g} pixels")
            return KernelFile(make_kernel(value))
    return None


def boxes_of(order: Order) -> dict[str, tuple[int, int, int, int]]:
    """The boxes that say where the blur is seen, by setting of `acutance.blind.BlindConfig`.

    Raises:
        ConfigError: two of them, or one with a preview.
    """
    o = order.options
    boxes = {name: box for name, box in (("window", o.window), ("trail", o.trail)) if box is not None}
    if len(boxes) > 1:
        raise errors.ConfigError("window and trail together: the trail shows the blur, so leave out the window")
    if boxes and o.preview is not None:
        raise errors.ConfigError(f"{min(boxes)} with preview: restore the whole picture, or leave one of them out")
    return boxes


def piece_of(order: Order, psf: KernelFile | None, image: Image) -> Piece | None:
    """The piece that an order asks for, with a margin as wide as its blur reaches.

    Raises:
        ConfigError: it is not within the picture.
    """
    if order.options.preview is None:
        return None
    margin = MARGIN if psf is None else min(MARGIN, MIN_MARGIN + max(psf.kernel.shape[-2:]))
    piece, (height, width) = Piece(*order.options.preview, margin), image.size
    if not piece.fits(height, width):
        said = ",".join(map(str, order.options.preview))
        raise errors.ConfigError(f"preview={said} reaches beyond the picture of {width} x {height} pixels")
    return piece


def mask_of(order: Order, name: str | None, image: Image, piece: Piece | None) -> Tensor | None:
    """A mask of an order, (1, 1, H, W) of 0 and 1, cut to the piece with its margin; None for none.

    Raises:
        ImageError: it cannot be read. ConfigError: it has another size than the picture.
    """
    if name is None:
        return None
    path = order.folder / name
    if is_mask_array(path):
        try:
            values: Image | Tensor = read_mask_array(path, order.max_pixels)
        except errors.ConfigError as error:  # it is the file that is unusable, not a field
            raise errors.ImageError(str(error)) from error
    else:
        values = read_image(path, max_pixels=order.max_pixels)
    mask = take_mask(values, image.size)
    return mask if piece is None else piece.with_margin(mask)


def joined(before: Tensor, after: Tensor, only: Tensor) -> Tensor:
    """`after` where `only` is 1 and `before` elsewhere, with a soft border of `SOFT` pixels on either side."""
    share = F.avg_pool2d(only, 2 * SOFT + 1, 1, SOFT, count_include_pad=False)
    mixed = torch.lerp(before.to(after), after, share)
    return torch.where(share > 0, torch.where(share < 1, mixed, after), before.to(after))


def described(done: Restoration, image: Image, notes: tuple[str, ...]) -> Report:
    """What the command's JSON says of a picture, and its size and kind."""
    sure = None if done.confidence is None else round(done.confidence, 3)
    return looks(image) | {
        "method": done.method, "weights": done.weights, "steps": done.steps, "outcome": done.outcome.name.lower(),
        "seconds": round(done.seconds, 3), "fitting_error": round(done.fitting_error, 6), "confidence": sure,
        "unchanged": done.unchanged, "notes": [plain(n) for n in (*notes, *image.info.notes, *done.notes)],
    }  # fmt: skip


def looks(image: Image) -> Report:
    """Size and kind of a picture."""
    height, width = image.pixels.shape[-2:]
    return {"width": width, "height": height, "format": image.info.format, "bits": image.info.bits}


def write_found(folder: Path, kernel: Tensor, *, wanted: bool) -> Report:
    """The kernel that a blind method found, exactly and for the eye; {} for none unless it is `wanted`."""
    side = kernel.shape[-1]
    if side == 1 and not wanted:
        return {"kernel_side": 1}
    candidates.write_both(kernel, folder / "kernel.npy", folder / "kernel.png")
    return {"kernel": "kernel.npy", "kernel_picture": "kernel.png", "kernel_side": side}


def write_iterate(order: Order, n: int, final: Image) -> Report:
    """A result as a file, and as a PNG where browsers do not show that kind."""
    name = f"iterate-{n}{final.info.suffix}"
    write_image(order.folder / name, final, overwrite=True)
    told = {f"iterate_{n}": name}
    if order.show and final.info.format not in SHOWN_BY_BROWSERS:
        told[f"iterate_{n}_shown"] = write_eye(order.folder / f"iterate-{n}-shown.png", final)
    return told


def write_eye(path: Path, image: Image) -> str:
    """A PNG of 8 bits; its name."""
    alpha = None if image.alpha is None else image.alpha.clamp(0, 1)
    write_image(path, replace(image, info=ImageInfo(icc=image.info.icc), alpha=alpha), overwrite=True)
    return path.name


def write_shown(folder: Path, before: Image, after: Image) -> Report:
    """PNGs of 8 bits of both pictures; {} where a browser shows the files themselves."""
    if before.info.format in SHOWN_BY_BROWSERS:
        return {}
    return {
        "shown_before": write_eye(folder / "before.png", before), "shown": write_eye(folder / "after.png", after),
    }  # fmt: skip


def plain(text: str, order: Order | None = None) -> str:
    """A message of the library for someone who has no command line and knows nothing of our files.

    Example:
        >>> plain("noise level not given, estimated as 1 % of the range (--sigma)")
        'noise level not given, estimated as 1 % of the range (sigma)'
        >>> plain("a kernel of 9 x 9 pixels was found (`acutance kernel` writes it)")
        'a kernel of 9 x 9 pixels was found'
    """
    if order is not None:
        names = (
            (order.kernel, "the kernel"), (order.picture, "the picture"), (order.mask, "the mask"),
            (order.only, "the mask"),
        )  # fmt: skip
        for name, what in ((n, w) for n, w in names if n is not None):
            text = text.replace(str(order.folder / name), what).replace(name, what)
        text = text.replace(str(order.folder), "the folder")
    return re.sub(r"--([a-z][a-z-]*)", r"\1", re.sub(r" \([^()]*`acutance [^()]*\)", "", text))
