"""The report of a restoration, from what it knows of itself; see `acutance.trust.page`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from acutance.images import Image
from acutance.images.atomic import write_atomically
from acutance.images.source import is_lossy, is_measured
from acutance.methods.spec import find
from acutance.operators import Blur, BlurField
from acutance.prepare import has_data
from acutance.problem import Outcome
from acutance.quantised import clipped
from acutance.restoration.doubt import (
    Fit,
    Known,
    fit_of,
    in_percent,
    judged_of,
    origin_of,
    unsupported_of,
    unsupported_share,
)
from acutance.restoration.restored import Restoration
from acutance.tensors import brightness
from acutance.trust.calibration import METHOD
from acutance.trust.machine import this_machine
from acutance.trust.normal import FIT, WHITE
from acutance.trust.page import Contents, Finding, page

TRUSTED = 0.5
"""Mean share of trust below which the report warns."""

JUDGED = (
    "A network was taught to compare a blurred picture with a restored one and to tell which is nearer to the truth. "
    "Dark: it prefers the input there. It notices ringing and wrong kernels, which the residual often does not show: "
    "a wrong kernel can explain the data as well as the right one."
)

MUCH = 0.5
"""Unsupported share of the fine detail from which the report warns."""

NOTABLE = 0.002
"""Share of clipped or missing pixels from which the report warns."""

SURE = 0.8
"""Confidence of a found kernel below which the report warns; the page of the service asks there too."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The measures of how far to believe a result.

    Args:
        fit: how well it explains the data; None: it cannot be told, or nothing was changed.
        unsupported: see `acutance.restoration.doubt.unsupported_of`. share: the part of the fine detail that it is.
        judged: see `judged_of`. missing, clipped: shares of the pixels of the input.
    """

    fit: Fit | None
    unsupported: Tensor | None
    share: float | None
    judged: Tensor | None
    missing: float
    clipped: float

    @staticmethod
    def of(done: Restoration) -> Evidence:
        """Measure a restoration.

        Raises:
            ConfigError: it does not hold its problem.
        """
        unsupported = unsupported_of(done)
        share = None if unsupported is None else unsupported_share(unsupported, done.image.pixels)
        return Evidence(fit_of(done), unsupported, share, judged_of(done), *shares(done))


def write_report(
    path: str | os.PathLike[str],
    done: Restoration,
    *,
    name: str = "A picture",
    uncertainty: Tensor | None = None,
    overwrite: bool = False,
) -> None:
    """Write the report of a restoration: one HTML file that needs nothing else.

    Args:
        path: the file. done: the restoration. name: of the picture. uncertainty: see `Restoration.uncertainty`; it is
            shown where it is given. overwrite: replace a file that exists.

    Raises:
        ConfigError: the restoration does not hold its problem. OutputError: the file cannot be written.
    """
    text = page(contents_of(done, name=name, uncertainty=uncertainty))
    write_atomically(path, text.encode(), overwrite=overwrite)


def contents_of(
    done: Restoration, *, name: str = "A picture", uncertainty: Tensor | None = None, evidence: Evidence | None = None
) -> Contents:
    """Contents of the report of a restoration. Args: evidence: of it; None: it is measured; else see `write_report`."""
    known = Evidence.of(done) if evidence is None else evidence
    origin = origin_of(done)
    unit = origin.prepared.range
    before, after = _shown(origin.image, done), _shown(done.image, done)
    kernel, note = _kernel(done)
    mean = None if uncertainty is None else uncertainty.mean(1, keepdim=True) / unit
    return Contents(
        title=Path(name).name,
        findings=findings(done, known),
        facts={
            "Restoration": _facts(done, known.fit, known.missing, known.clipped),
            "Programs and machine": _machine(done),
        },
        before=before,
        after=after,
        kernel=kernel,
        kernel_note=note,
        whiteness=None if known.fit is None else known.fit.white,
        residual_note=_of_residual(done, known.fit),
        unsupported=None if known.unsupported is None else known.unsupported.mean(1, keepdim=True) / unit,
        unsupported_note=_of_map(done, known.unsupported, known.share),
        judged=known.judged,
        judged_note="" if known.judged is None else JUDGED,
        uncertainty=mean,
        uncertainty_note="" if mean is None else _of_uncertainty(done, mean),
    )


def shares(done: Restoration) -> tuple[float, float]:
    """The shares of pixels that are missing, and that are clipped, of the input."""
    origin = origin_of(done)
    pixels, mask = origin.image.pixels, origin.prepared.problem.mask
    full = clipped(pixels).any(1)
    missing = ~has_data(pixels).all(1)
    if mask is not None:
        missing = missing | ((mask <= 0).any(1).cpu() & ~full)
    return float(missing.float().mean()), float(full.float().mean())


def findings(done: Restoration, known: Evidence) -> list[Finding]:
    """The essence, in sentences. Args: known: the evidence of the restoration."""
    fit, share, judged, of_shares = known.fit, known.share, known.judged, _of_shares(known.missing, known.clipped)
    if done.unchanged:
        return [Finding("The picture was left unchanged.", True), *of_shares]
    found = []
    if done.outcome is Outcome.DIVERGED:
        found.append(Finding("The method did not settle: the last good estimate was kept.", False))
    if done.confidence is not None:
        text = "The blur was found in the picture itself. The result is better than the input with a probability of "
        found.append(Finding(f"{text}{100 * done.confidence:.0f} %.", done.confidence >= SURE))
    found += [] if fit is None else _of_fit(fit, lossy=is_lossy(origin_of(done).image))
    if share is not None:
        what = f"{in_percent(share)} of the fine detail lies where the blur left less than the noise"
        found.append(Finding(f"{what}: the method filled it in.", share < MUCH))
    if judged is not None:
        nearer = float(judged.mean())
        what = f"A network that compares both pictures trusts {in_percent(nearer)} of the result more than the input"
        found.append(Finding(f"{what}.", nearer >= TRUSTED))
    return found + of_shares


def _of_shares(missing: float, burnt: float) -> list[Finding]:
    """Warnings of what was not measured."""
    named = ((burnt, "burnt out"), (missing, "missing or masked"))
    said = "{} of the pixels are {}: nothing was measured there."
    return [Finding(said.format(in_percent(value), what), False) for value, what in named if value > NOTABLE]


def _of_fit(fit: Fit, *, lossy: bool) -> list[Finding]:
    """The residual against the noise, and whether it is white.

    The noise level of a lossy file is raised on purpose (`acutance.noise.level`), and compression leaves structure:
    there only a residual that is too large tells anything.
    """
    found, ratio = [], fit.ratio
    normal = f"normal with the right kernel: {FIT[0]:g} to {FIT[1]:g}"
    if ratio is not None and (ratio > FIT[1] or not lossy):
        inside = FIT[0] <= ratio <= FIT[1]
        no = "The result does not explain the data as it should"
        what = "The result explains the data, as that of a wrong kernel may too" if inside else no
        found.append(Finding(f"{what}: the residual is {ratio:.2f} times the noise ({normal}).", inside))
    elif ratio is not None:
        text = "The residual is no larger than the noise that was assumed. The file is lossy, so it tells nothing more"
        found.append(Finding(f"{text} ({ratio:.2f} times).", True))
    if fit.white is not None and not lossy:
        good = fit.white.largest <= WHITE
        wrong = "The residual has structure, so the kernel, the noise level or the method is wrong"
        what = "The residual looks like noise" if good else wrong
        found.append(Finding(f"{what} (autocorrelation {fit.white.largest:.2f}; normal: up to {WHITE:g}).", good))
    return found


def _facts(done: Restoration, fit: Fit | None, missing: float, burnt: float) -> list[tuple[str, str]]:
    """Names and values."""
    rows = [("Method", f"{done.ran}: {find(done.ran).summary}")]
    rows += [("Asked for", done.method)] if done.ran != done.method else []
    rows += [("Weights", done.weights)] if done.weights else []
    rows += [("Weights, SHA-256", f"{name}: {digest}") for name, digest in _used(done).items()]
    level = "none told" if done.noise_level is None else f"{100 * done.noise_level:.3g} % of the range"
    rows += [
        ("Noise level", level + (", assumed" if done.noise_assumed else "")),
        ("Why this level", done.noise_reason or "nothing is known of it"),
        (
            "Solved in",
            "linear light" if origin_of(done).prepared.linear and not done.result.encoded else "the values of the file",
        ),
        ("Steps", f"{done.steps}; {done.outcome.value}"),
        ("Strength", f"{100 * done.strength:.0f} %"),
        ("Time", f"{done.seconds:.1f} s"),
        ("Clipped", in_percent(burnt)),
        ("Missing or masked", in_percent(missing)),
    ]
    if fit is not None:
        rows.append(("Residual", f"{100 * fit.error:.3g} % of the range, noise {100 * fit.noise:.3g} %"))
    if done.confidence is not None:
        rows.append(("Confidence", f"{100 * done.confidence:.0f} %"))
    return rows + [("Note", note) for note in done.notes]


def _used(done: Restoration) -> dict[str, str]:
    """Hashes of the weights that made the picture; of a method that finds kernels, of its networks for that too."""
    restorer = origin_of(done).restorer
    names = (find(done.ran).weights, *(("critic", "salience") if done.confidence is not None else ()))
    return {n: h for n, h in restorer.hashes.items() if not restorer.spec.composed or n in names}


def _machine(done: Restoration) -> list[tuple[str, str]]:
    restorer = origin_of(done).restorer
    m = this_machine(restorer.device, restorer.precision)
    versions = f"acutance {m.acutance}, torch {m.torch}, numpy {m.numpy}, Pillow {m.pillow}, Python {m.python}"
    return [
        ("Versions", versions),
        ("Device", f"{m.device}: {m.processor}"),
        ("Threads", str(m.threads)),
        ("Precision of networks", m.precision),
    ]


def _shown(image: Image, done: Restoration) -> Tensor:
    """Pixels in [0, 1] for the eye; measurements by the brightness of the input, through the curve of sRGB."""
    prepared = origin_of(done).prepared
    pixels = image.pixels.detach().float().cpu()
    if is_measured(origin_of(done).image):
        top = float(brightness(origin_of(done).image.pixels.nan_to_num(0) - prepared.pedestal))
        return ((pixels - prepared.pedestal) / max(top, 1e-20)).clamp(0, 1).pow(1 / 2.2)
    return (pixels / prepared.range).clamp(0, 1)


def _kernel(done: Restoration) -> tuple[Tensor | None, str]:
    """The kernel for the eye, and what there is to say of it."""
    found = done.result.kernel
    blur = origin_of(done).prepared.problem.operator
    if isinstance(blur, BlurField):
        rows, cols = blur.grid
        middle = blur.kernels[rows // 2, cols // 2]
        text = f"A kernel for every place, {rows} x {cols} nodes; the one in the middle is shown. It was given."
        return middle.reshape(-1, *middle.shape[-2:]).mean(0).cpu(), text
    kernel = found if found is not None else blur.kernel if isinstance(blur, Blur) else None
    if kernel is None:
        return None, "The method uses no kernel."
    k = kernel.detach().float().cpu().mean((0, 1))
    h, w = k.shape
    light = int((k > 0.05 * k.max()).sum())
    text = f"{w} x {h} pixels; {light} of them have more than a twentieth of the largest value. "
    if found is None:
        return k, text + "It was given, and is taken as exact: nothing here says whether it is right but the residual."
    sure = "" if done.confidence is None else f", with a confidence of {100 * done.confidence:.0f} %"
    return k, f"{text}It was found in the picture itself{sure}."


def _of_residual(done: Restoration, fit: Fit | None) -> str:
    if done.unchanged:
        return "The picture was left unchanged, so there is no residual."
    if fit is None:
        return "The method knows no kernel, so the result cannot be blurred again and compared with the data."
    if fit.white is None:
        return "The residual is zero, or too small a picture to tell."
    text = (
        f"The result, blurred again, minus the data. If all is well it is noise alone: {100 * fit.noise:.3g} % of the "
        f"range, and no pixel knows of its neighbours. Here it is {100 * fit.error:.3g} %, and the largest "
        f"autocorrelation up to 5 pixels away is {fit.white.largest:.3f}."
    )
    if is_lossy(origin_of(done).image):
        return f"{text} The file is lossy: compression leaves structure of its own, so there is no normal value."
    limits = f"With the right kernel 95 of 100 results stay below {WHITE:g}; chance alone makes {fit.white.chance:.3f}."
    return f"{text} {limits}"


def _of_map(done: Restoration, unsupported: Tensor | None, share: float | None) -> str:
    if done.unchanged:
        return "The picture was left unchanged: everything in it was measured."
    if unsupported is None or share is None:
        return "The method knows no kernel, so it cannot be told what the blur destroyed."
    text = (
        "The part of the result in frequencies that the blur pushed below the noise. What is there comes from what the "
        f"method knows of pictures, and may be wrong. It is {in_percent(share)} of the fine detail."
    )
    field = isinstance(Known.of(done).operator, BlurField)
    return text + (" The blur changes over the picture; the map is that of the blur in its middle." if field else "")


def _of_uncertainty(done: Restoration, mean: Tensor) -> str:
    text = (
        f"The standard deviation of the error at each pixel, {100 * float(mean.median()):.2g} % of the range in the "
        "median. It is that behind this kernel: if the kernel is wrong, so is this."
    )
    if done.ran == METHOD:
        return f"{text} On photographs that nothing was fitted to, 88 of 100 errors were within 1.64 times this."
    return f"{text} It was calibrated with {METHOD}; for {done.ran} it is a rough guide."
