"""The report and the side-car of a result, as files of its order: the same as by `--report` and `--sidecar`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from acutance.errors import ConfigError
from acutance.images import read_image
from acutance.images.atomic import write_atomically
from acutance.images.image import stem_of, suffix_of
from acutance.images.mark import file_hash
from acutance.images.source import is_lossy
from acutance.operators import Blur, BlurField
from acutance.restoration.doubt import origin_of
from acutance.restoration.record import sidecar_of
from acutance.restoration.report import Evidence, contents_of
from acutance.restoration.restored import Restoration
from acutance.serve.orders import Order, Report
from acutance.trust import sidecar
from acutance.trust.drawing import top_of, veil, write_png
from acutance.trust.normal import FIT, WHITE
from acutance.trust.page import SHOWN, page

TASKS = {"restore": "deblur", "denoise": "denoise", "derain": "derain"}
"""Tasks of the service that make a picture, and their names in a side-car."""


def check(order: Order) -> None:
    """Refuse a report or a side-car that cannot be, before the picture is read.

    Raises:
        ConfigError: it cannot; the message says what to leave out.
    """
    o = order.options
    wanted = [name for name in ("report", "sidecar") if getattr(o, name)]
    if not wanted:
        return
    asked = " and ".join(wanted)
    if order.task not in TASKS:
        raise ConfigError(f"{asked}: the task {order.task} makes no picture; leave that out")
    if o.preview is not None:
        raise ConfigError(f"{asked} with preview: that is of whole pictures; leave one of them out")
    if o.sidecar and order.only is not None:
        raise ConfigError("sidecar with only: the command restores whole pictures, so leave one of them out")
    if o.sidecar and o.step is not None:
        raise ConfigError("sidecar with step: the command takes every step, so leave one of them out")


def write(order: Order, done: Restoration, picture: str, begins: Callable[[], None]) -> Report:
    """Write what the order asks for beside its result.

    Args:
        order: checked. done: its restoration. picture: name of the file of the result. begins: called before the work,
            which takes some seconds; it may raise to end it.

    Returns:
        "report", "unsupported" and "sidecar": names of files, and "trust": the numbers of the report; {} for nothing.
    """
    made: Report = {}
    if order.options.report:
        begins()
        made |= _write_report(order, done)
    if order.options.sidecar:
        begins()
        made |= _write_sidecar(order, done, picture)
    return made


def _write_report(order: Order, done: Restoration) -> Report:
    known = Evidence.of(done)
    contents = contents_of(done, name=called(order, "picture", order.picture), evidence=known)
    write_atomically(order.folder / "report.html", page(contents).encode(), overwrite=True)
    found = [{"text": each.text, "good": each.good} for each in contents.findings]
    made: Report = {"report": "report.html", "trust": numbers(done, known) | {"findings": found}}
    if contents.unsupported is not None and not done.unchanged:
        write_png(order.folder / "unsupported.png", veil(contents.unsupported[0, 0], SHOWN))
        made["unsupported"] = "unsupported.png"
        made["trust"]["unsupported_top"] = _rounded(top_of(contents.unsupported))
    return made


def numbers(done: Restoration, known: Evidence) -> dict[str, Any]:
    """The numbers of a report; levels are fractions of the range.

    Args:
        done: the restoration. known: its evidence.

    Returns:
        Of the method: "method", "asked", "weights". Of the noise: "noise_level", "noise_assumed", "noise_reason". Of
        the kernel: "kernel_size", [width, height] in pixels, "kernel_found", "confidence". Of the residual: "error",
        "noise", "ratio", "whiteness", "whiteness_chance", and what is normal, "normal_ratio" and "normal_whiteness";
        "lossy": compression leaves structure of its own, so nothing is normal. "unsupported_share" of the fine detail.
        None where something is not known.
    """
    fit, white = known.fit, None if known.fit is None else known.fit.white
    ratio = None if fit is None else fit.ratio
    return {
        "method": done.ran, "asked": done.method, "weights": done.weights,
        "noise_level": _rounded(done.noise_level), "noise_assumed": done.noise_assumed,
        "noise_reason": done.noise_reason,
        "kernel_size": _size_of_kernel(done), "kernel_found": done.result.kernel is not None,
        "confidence": _rounded(done.confidence),
        "error": None if fit is None else _rounded(fit.error), "noise": None if fit is None else _rounded(fit.noise),
        "ratio": _rounded(ratio), "normal_ratio": list(FIT),
        "whiteness": None if white is None else _rounded(white.largest),
        "whiteness_chance": None if white is None else _rounded(white.chance), "normal_whiteness": WHITE,
        "lossy": is_lossy(origin_of(done).image), "unsupported_share": _rounded(known.share),
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _size_of_kernel(done: Restoration) -> list[int] | None:
    """Width and height of the kernel that was given or found, pixels; of a field, of its largest."""
    kernel, blur = done.result.kernel, origin_of(done).prepared.problem.operator
    if kernel is None and isinstance(blur, Blur):
        kernel = blur.kernel
    if kernel is None and isinstance(blur, BlurField):
        kernel = blur.kernels
    return None if kernel is None else [int(kernel.shape[-1]), int(kernel.shape[-2])]


def _write_sidecar(order: Order, done: Restoration, picture: str) -> Report:
    source = called(order, "picture", order.picture)
    result = order.folder / picture
    made = f"{stem_of(Path(source))}-restored{suffix_of(result)}"
    samples = sidecar.hash_of_pixels(read_image(result, max_pixels=order.max_pixels))
    content = sidecar_of(
        done,
        source=sidecar.File(source, file_hash(order.folder / order.picture)),
        settings=settings_of(order, done.method),
        output=sidecar.Made(made, file_hash(result), samples),
        kernel=_file(order, "kernel", order.kernel),
        mask=_file(order, "mask", order.mask),
    )
    sidecar.write(order.folder / "sidecar.json", content, overwrite=True)
    return {"sidecar": "sidecar.json"}


def settings_of(order: Order, method: str) -> sidecar.Settings:
    """The order as options of `acutance restore`. A shape that is given is taken as exact, as the service does.

    Args:
        order: one of `TASKS`. method: the one that was asked, by name.
    """
    o = order.options
    guessed = o.motion is not None or o.disc is not None or o.gaussian is not None
    return sidecar.Settings(
        method=method,
        task=TASKS[order.task],
        motion=_joined(o.motion),
        disc=o.disc,
        gaussian=o.gaussian,
        exact=guessed,
        strength=o.strength,
        quality=o.quality,
        sigma=None if o.sigma is None else repr(o.sigma),
        window=_joined(o.window),
        trail=_joined(o.trail),
    )


def _joined(values: tuple[float, ...] | None) -> str | None:
    return None if values is None else ",".join(map(repr, values))


def _file(order: Order, what: str, name: str | None) -> sidecar.File | None:
    return None if name is None else sidecar.File(called(order, what, name), file_hash(order.folder / name))


def called(order: Order, what: str, otherwise: str) -> str:
    """The name that the client gave a file, where it is plain, else the one that it has in the folder of the order."""
    name = dict(order.names).get(what, "")
    plain = sidecar.is_plain_name(name) and len(name) <= sidecar.LONGEST and name.isprintable()
    return name if plain else otherwise
