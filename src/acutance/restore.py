"""The one way from an image to a restored image; command line, pages, services and benchmarks start here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from acutance.errors import ConfigError, KernelError, WeightsError
from acutance.frame import Precision, resolve_precision
from acutance.images import Image, linear_to_srgb, srgb_to_linear
from acutance.methods.lamps import in_two_parts
from acutance.methods.spec import Explains, ExplainsItself, Iterative, MethodSpec, Needs, catalogue, find, settings_for
from acutance.operators import Blur, BlurField, Boundary
from acutance.problem import Method, Observer, Outcome, Problem, Progress, Result, worst
from acutance.saturation import clipped, heeding
from acutance.solver import Solver
from acutance.weights import embedded_for, find_weights

BRIGHT = 0.999
"""Quantile of a picture that stands for its brightness."""

DEFAULT = "acute"
"""The method where nobody asks for another and the kernel is known."""

BLIND = "blind"
"""The same where it is not."""

TASKS = MappingProxyType({"denoise": "denoise", "derain": "dgunet-derain"})
"""The same where a picture is not to be deblurred."""

HIDDEN, LEAST_LOSSY, MOST_LOSSY = 2.8, 0.01, 0.04
"""What the estimated level of a lossy file is multiplied by, and the least that is taken. Estimates are 0.36 of the
true level of camera JPEGs (`acutance bench noise`); such files mostly come with kernels that are estimated as well. No
estimate becomes more than the last, or stays what it is: a mesh in JPEG was taken for 13 % of noise."""

NOTABLE = 0.002
"""Share of clipped pixels from which the user is told."""

APART = 1 << 22
"""Pixels from which the channels of a picture are restored one by one where they may: a third of the memory."""

PROBE = 600
"""Side, in pixels, of the piece that a forecast restores for a trial; larger than a tile, so that halos count."""


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture and how it came about.

    Args:
        image: as the input, with restored pixels.
        result: of the method, on the domain of the blur, in the method's brightness.
        seconds: wall-clock time of the method.
        method, weights: names and versions (weights None for a method without).
        notes: what was assumed or converted on the way.
        scale: what a brightness of the method's is multiplied by to be one of the picture's.
        numbers: how many were measured, if not as many as the picture has.
    """

    image: Image
    result: Result
    seconds: float
    method: str
    weights: str | None
    notes: tuple[str, ...] = ()
    scale: float = 1.0
    numbers: int | None = None

    @property
    def outcome(self) -> Outcome:
        """How the run ended."""
        return self.result.outcome

    @property
    def steps(self) -> int:
        """Steps behind the picture."""
        return max(self.result.steps)

    @property
    def fitting_error(self) -> float:
        """Root mean square of A x - y as a fraction of the range: of the order of the noise when all is well."""
        channels = self.result.x.shape[1] / self.image.pixels.shape[1]
        count = self.numbers or self.image.pixels[0].numel() * channels
        return self.scale * float((2 * self.result.trace[-1].sum() / count).sqrt())


@dataclass(frozen=True, eq=False)
class Prepared:
    """A problem in the form that a method wants, and the way back from its estimate."""

    problem: Problem
    scale: float
    channels: int
    linear: bool
    notes: tuple[str, ...] = ()

    def finish(self, x: Tensor) -> Tensor:
        """Estimate on the domain of the blur -> pixels of the picture, (1, C, H, W)."""
        x = self.problem.crop(x)
        if x.shape[1] != self.channels:
            x = x.mean(1, keepdim=True).expand(-1, self.channels, -1, -1)
        x = x * self.scale
        return linear_to_srgb(x) if self.linear else x


@dataclass(frozen=True, eq=False)
class Restorer:
    """A method, ready to be applied to pictures.

    Args:
        spec: its row of the catalogue. method: built. device: where it runs. weights: version of its weights.
        boundary: of the blur, see `acutance.operators.Blur`.

    Example:
        >>> restorer = Restorer.load("wiener")
        >>> restorer(torch.rand(1, 1, 32, 32), torch.ones(1, 1, 3, 3) / 9).image.pixels.shape
        torch.Size([1, 1, 32, 32])
    """

    spec: MethodSpec
    method: Method
    device: torch.device
    weights: str | None = None
    boundary: Boundary = "valid"

    @staticmethod
    def load(
        name: str,
        *,
        weights: Path | None = None,
        device: torch.device | str = "auto",
        precision: Precision = "auto",
        tile: int | Literal["auto"] | None = "auto",
        boundary: Boundary | None = None,
        quality: str | None = None,
        **settings: Any,
    ) -> Restorer:
        """Build a method of the catalogue with its shipped weights, or with those of a file.

        Args:
            name: method or alias. weights: safetensors, the authors' state dict (.pth), or the name of shipped ones.
            device: "auto" takes a GPU if there is one. precision: of networks. tile: side of a tile in
                pixels, None for none, "auto" for what suits the method.
            boundary: what is assumed beyond the frame; None: the honest "valid", or what foreign weights were made for.
            quality: "fast", "balanced" or "best", for methods that have them; None: the method's own default.
            settings: of the method, e.g. steps=20; they go before those of the quality. Where several weights are
                shipped they also say which, e.g. ratio=0.25 of dgunet-sense.

        Raises:
            UnknownMethod, WeightsError, ConfigError: see there.
        """
        spec = find(name)
        if quality is not None:
            settings = {**settings_for(spec, quality), **settings}
        place = resolve_device(device)
        resolve_precision(precision, place)
        version = None
        if spec.weights is None and weights is not None:
            raise WeightsError(f"{spec.name} has no weights; leave out --weights")
        if spec.weights is not None:
            found = embedded_for(spec.weights, settings) if weights is None else find_weights(weights)
            tensors, version = found.tensors, found.version
            if found.foreign:
                if spec.convert is None:
                    raise WeightsError(f"{spec.name} has no converter for foreign weights; give a safetensors file")
                tensors = spec.convert(tensors)
                settings = {**spec.converted, **settings}
                boundary = boundary or spec.converted_boundary
            settings = {**found.card.get("model", {}), **settings, "weights": tensors}
        if spec.weights is not None or spec.composed:
            settings = {**settings, "device": place, "precision": precision}
            settings["tile"] = spec.needs.tile if tile == "auto" else tile
        method = spec.build(**settings)
        return Restorer(spec, method, place, version, boundary or "valid")

    @property
    def needs(self) -> Needs:
        """What the method asks for."""
        return self.spec.needs

    def prepare(
        self,
        image: Image | Tensor,
        kernel: Tensor | BlurField | None = None,
        *,
        sigma: float | None = None,
        linear: bool = False,
        mask: Tensor | None = None,
    ) -> Prepared:
        """The problem as the method wants it: channels, brightness, blur, device.

        Args:
            image: a picture, or its pixels (1, C, H, W), C 1 or 3, nominal range [0, 1].
            kernel: (1, 1 or C, h, w), see `docs/conventions.md`; or a field of kernels, one for every place.
            sigma: noise level, fraction of the range; None: estimated where the method needs it.
            linear: decode the sRGB curve before and encode it after.
            mask: (1, 1, H, W), 1 where pixels are to be believed, 0 where they are missing; None: all of them.
                Clipped pixels are found by themselves.

        Raises:
            KernelError: the method needs a kernel, or the kernel does not fit the picture.
            ConfigError: a mask for a method that heeds none, or one that leaves nothing.
        """
        pixels = image.pixels if isinstance(image, Image) else image
        pixels = pixels.to(self.device, torch.float32)
        if pixels.shape[0] != 1:
            raise ConfigError(f"{pixels.shape[0]} pictures at once; a Restorer takes one, `Method.run` takes batches")
        if kernel is None and self.needs.kernel:
            raise KernelError(
                f"{self.spec.name} needs the blur kernel; give it with --kernel, --motion, --disc or --gaussian"
            )
        channels = pixels.shape[1]
        believed = self._mask(pixels, mask)
        full = clipped(pixels) if self.needs.mask else None
        if self.needs.channels is None and channels == 3 and _is_grey(pixels, kernel):
            pixels = pixels[:, :1]
            full = None if full is None else full[:, :1]
        if linear:
            pixels = srgb_to_linear(pixels)
        scale = brightness(pixels) if self.needs.unit_brightness else 1.0
        pixels = pixels / scale
        if self.needs.channels is not None and channels == 1:
            pixels = pixels.expand(-1, self.needs.channels, -1, -1)
        blur = None if kernel is None else self._blur(kernel, pixels, channels)
        problem = Problem(pixels, blur, mask=believed)
        notes: tuple[str, ...] = ()
        if full is not None and bool(full.any()):
            problem = heeding(problem, full)
            share = float(full.any(1).float().mean())
            if share > NOTABLE:
                notes = (f"{100 * share:.1f} % of the pixels are saturated; they tell the least that can be there",)
        level = None if sigma is None else torch.tensor([sigma / scale], device=self.device)
        blur_matters = self.needs.task == "deblur" and (self.needs.kernel or self.needs.heeds_sigma)
        lossy = blur_matters and isinstance(image, Image) and is_lossy(image)
        if level is None and (self.needs.sigma or (lossy and self.needs.heeds_sigma)):
            level = (replace(problem, blur=None) if lossy else problem).level()
            told = f"noise level not given, estimated as {100 * scale * float(level):.2g} % of the range (--sigma)"
            if lossy:
                most = level.clamp_min(MOST_LOSSY / scale)
                level = (HIDDEN * level).clamp_min(LEAST_LOSSY / scale).minimum(most)
                told = (
                    f"noise level not given, taken as {100 * scale * float(level):.2g} %: compression hides noise; "
                    "--sigma lower for more detail, higher for less grain"
                )
            notes = (*notes, told)
        return Prepared(replace(problem, sigma=level), scale, channels, linear, notes)

    def __call__(
        self,
        image: Image | Tensor,
        kernel: Tensor | BlurField | None = None,
        *,
        sigma: float | None = None,
        linear: bool = False,
        mask: Tensor | None = None,
        on_step: Observer | None = None,
    ) -> Restoration:
        """Restore one picture. Arguments and errors as `prepare`; `on_step` sees every step."""
        prepared = self.prepare(image, kernel, sigma=sigma, linear=linear, mask=mask)
        begun = time.perf_counter()
        result = self._run(prepared.problem, on_step)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - begun
        pixels = prepared.finish(result.x).cpu()
        whole = image if isinstance(image, Image) else Image(image)
        restored = replace(whole, pixels=pixels)
        notes = (*prepared.notes, *result.remarks)
        return Restoration(restored, result, seconds, self.spec.name, self.weights, notes=notes, scale=prepared.scale)

    def forecast(
        self, image: Image | Tensor, kernel: Tensor | BlurField | None = None, *, sigma: float | None = None
    ) -> float:
        """Seconds that a run with all its steps is expected to take, measured on a piece of the picture.

        A piece is begun and taken through its first step, twice, as the first time warms up; the second time, the step
        as often as there are steps, is extended to the whole by the pixels of the blur's domain. Transforms grow a
        little faster than that: the forecast of a very large picture is low. Takes a few seconds.
        """
        pixels = image.pixels if isinstance(image, Image) else image
        height, width = pixels.shape[-2:]
        solver = _solver(self.method)
        steps = 1 if solver is None else len(solver.steps)
        piece = pixels[..., : min(height, PROBE), : min(width, PROBE)]
        prepared = self.prepare(piece, kernel, sigma=sigma)
        for _ in range(2):  # the first warms up
            start, step = self._trial(prepared.problem)

        def domain(p: Tensor) -> int:
            size = (p.shape[-2], p.shape[-1])
            h, w = prepared.problem.blur.domain_size(*size) if prepared.problem.blur is not None else size
            return h * w

        return (start + steps * step) * domain(pixels) / domain(piece)

    def explain(
        self, prepared: Prepared, every: int = 1, *, steps: int | None = None
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """For every `every`-th step, the estimate before it and what the step's parts make of it, as pictures.

        Args:
            prepared: see `prepare`. every: see above. steps: after how many to stop; None: after all.

        Yields:
            (step, name -> (1, C, H, W)), cropped to the frame; of a method that has no steps, part after part.

        Raises:
            ConfigError: the method has nothing to show.
        """
        solver, problem = _solver(self.method), prepared.problem
        if isinstance(self.method, ExplainsItself):
            yield from enumerate(self.method.explanation(problem), 1)
            return
        if solver is None or not isinstance(solver.steps[0], Explains):
            raise ConfigError(f"{self.spec.name} has no inner pictures to show; leave out --explain")
        with torch.no_grad():
            state = solver.steps[0].init(problem)
            for t, step in enumerate(solver.steps[:steps], 1):
                if (t - 1) % every == 0:
                    assert isinstance(step, Explains)
                    pictures = {"estimate": state.x, **step.explain(problem, state)}
                    yield t, {k: problem.crop(v) for k, v in pictures.items()}
                state = step(problem, state)

    @torch.no_grad()
    def _trial(self, problem: Problem) -> tuple[float, float]:
        """Seconds of what comes before the first step, and of the first step."""
        moments = [time.perf_counter()]

        def passed() -> None:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            moments.append(time.perf_counter())

        solver = _solver(self.method)
        if solver is None:
            passed()
            self.method.run(problem)
        else:
            state = solver.steps[0].init(problem)
            passed()
            state = solver.steps[0](problem, state)
            problem.fitting_error(state.x)
        passed()
        return moments[1] - moments[0], moments[2] - moments[1]

    def _run(self, problem: Problem, on_step: Observer | None) -> Result:
        """The method's run; channel by channel where the picture is large and the method does not mind."""
        if self.needs.kernel and self.needs.mask and problem.saturated is not None:
            return in_two_parts(problem, lambda rest: self._part(rest, on_step))
        return self._part(problem, on_step)

    def _part(self, problem: Problem, on_step: Observer | None) -> Result:
        """As `_run`, lamps apart."""
        channels = problem.observed.shape[1]
        if not self.spec.channels_apart or channels == 1 or problem.observed[0, 0].numel() < APART:
            return self.method.run(problem, on_step=on_step)
        problem = replace(problem, sigma=problem.level())  # the picture's, not the channel's
        results = []
        for c in range(channels):

            def shifted(progress: Progress, c: int = c) -> None:
                assert on_step is not None
                before = c * progress.steps
                on_step(replace(progress, step=before + progress.step, steps=channels * progress.steps))

            results.append(self.method.run(problem.channel(c), on_step=None if on_step is None else shifted))
        return merged(results)

    def _mask(self, pixels: Tensor, mask: Tensor | None) -> Tensor | None:
        """The pixels that the user says are to be believed, None where that is all of them."""
        if mask is None:
            return None
        if not self.needs.mask:
            heeding = ", ".join(s.name for s in catalogue().values() if s.needs.mask)
            raise ConfigError(f"{self.spec.name} heeds no mask; methods that do: {heeding}")
        if mask.shape != pixels[:, :1].shape:
            raise ConfigError(f"a mask of {tuple(mask.shape)} for a picture of {tuple(pixels.shape)}")
        believed = mask.to(pixels.device) > 0.5
        if not bool(believed.any()):
            raise ConfigError("the mask leaves no pixel to be believed; white (1) means: believe this pixel")
        return None if bool(believed.all()) else believed.to(pixels.dtype)

    def _blur(self, kernel: Tensor | BlurField, pixels: Tensor, channels: int) -> Blur | BlurField:
        if isinstance(kernel, BlurField):
            return self._field(kernel, pixels, channels)
        if kernel.ndim != 4 or kernel.shape[0] != 1 or kernel.shape[1] not in (1, channels):
            raise KernelError(
                f"a kernel of shape {tuple(kernel.shape)} for a picture of {channels} channel(s); "
                f"give (1, 1, h, w) or (1, {channels}, h, w)"
            )
        h, w = kernel.shape[-2:]
        if h > pixels.shape[-2] or w > pixels.shape[-1]:
            raise KernelError(
                f"a kernel of {h}x{w} for a picture of {pixels.shape[-2]}x{pixels.shape[-1]}: the kernel must fit into "
                "the picture; trim its empty margin, or is it the kernel of another picture?"
            )
        return Blur(kernel.to(self.device, torch.float32), self.boundary)

    def _field(self, field: BlurField, pixels: Tensor, channels: int) -> BlurField:
        h, w = field.kernels.shape[-2:]
        if self.boundary != "valid":
            raise KernelError(f"a kernel for every place has the border valid, not {self.boundary}")
        if field.kernels.shape[2] not in (1, channels):
            raise KernelError(f"kernels of {field.kernels.shape[2]} channels for a picture of {channels}")
        if h > pixels.shape[-2] or w > pixels.shape[-1]:
            raise KernelError(f"kernels of {h}x{w} do not fit into a picture of {pixels.shape[-2]}x{pixels.shape[-1]}")
        return BlurField(field.kernels.to(self.device, torch.float32))


def merged(results: Sequence[Result]) -> Result:
    """The results of a picture's channels as that of the picture."""
    longest = max(len(r.trace) for r in results)
    traces = [torch.cat((r.trace, r.trace[-1:].expand(longest - len(r.trace), -1))) for r in results]
    return Result(
        x=torch.cat([r.x for r in results], 1),
        outcomes=(worst([r.outcome for r in results]),),
        steps=(max(r.steps[0] for r in results),),
        trace=torch.stack(traces).sum(0),
    )


def is_lossy(image: Image) -> bool:
    """Whether the picture comes from a lossy file."""
    return image.info.format == "JPEG" or not image.info.lossless


def _is_grey(pixels: Tensor, kernel: Tensor | BlurField | None) -> bool:
    """Three equal channels, which are restored as one: behind kernels that differ they may not stay equal."""
    same = bool((pixels[:, 1:] == pixels[:, :1]).all())
    if isinstance(kernel, BlurField):
        return same and kernel.kernels.shape[2] == 1
    return same and (kernel is None or kernel.shape[1] == 1)


def _solver(method: Method) -> Solver[Any] | None:
    return method.solver() if isinstance(method, Iterative) else None


def resolve_device(device: torch.device | str) -> torch.device:
    """ "auto": a GPU if there is one, else the CPU.

    Raises:
        ConfigError: a device that torch does not know or that is not there.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise ConfigError(
            f"the device {str(device)!r} cannot be used ({str(error).splitlines()[0]}); try --device cpu"
        ) from None
    return found


def brightness(pixels: Tensor) -> float:
    """What a picture is divided by so that its bright parts are near 1: its 99.9 % quantile, at least 0.02."""
    values = pixels.abs().flatten()
    stride = max(1, values.numel() // 1_000_000)
    return max(0.02, float(torch.quantile(values[::stride].float(), BRIGHT)))
