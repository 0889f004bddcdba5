"""The one way from an image to a restored image; command line, pages, services and benchmarks start here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from acutance.blind.light import prefers_encoded
from acutance.errors import ConfigError, KernelError, WeightsError
from acutance.frame import Precision, resolve_precision
from acutance.images import Image
from acutance.images.source import is_measured, is_photograph
from acutance.kernel_fit import fitted_kernel, says_no_blur
from acutance.methods.capabilities import explains, explanation, solver_of, watched
from acutance.methods.lamps import in_two_parts
from acutance.methods.spec import MethodSpec, Needs, find, settings_for
from acutance.methods.wrappers import ChannelsApart, InViews
from acutance.operators import Blur, BlurField, Boundary
from acutance.prepare import Prepared, check, checked_pixels, prepare, steepness
from acutance.problem import Method, Observer, Outcome, Problem, Result, StageObserver
from acutance.restoration.batching import Kernels, alone, for_each, groups, levels_of, pictures_of, stacked
from acutance.restoration.device import resolve_device
from acutance.restoration.history import lines_of, with_lines
from acutance.restoration.restored import Origin, Restoration
from acutance.weights import embedded_for, embedded_hashes, find_weights

DEFAULT = "acute"
"""The method where nobody asks for another and the kernel is known."""

COUNTS = "richardson-lucy"
"""The same for counts of photons in FITS and NDData: it keeps the flux, see decision 0023."""

BLIND = "blind"
"""The same where it is not."""

TASKS = MappingProxyType({"denoise": "denoise", "derain": "dgunet-derain"})
"""The same where a picture is not to be deblurred."""

APART = 1 << 22
"""Pixels from which the channels of a picture are restored one by one where they may: a third of the memory."""

UNBLURRED = "the kernel says that there is no blur: the picture is left as it is"
CLEAN = "no noise found: the picture is left as it is"

PROBE = 600
"""Side, in pixels, of the piece that a forecast restores for a trial; larger than a tile, so that halos count."""


@dataclass(frozen=True, eq=False)
class Begun:
    """A picture between its preparation and its result.

    Args:
        whole: the picture. prepared: its own. problem: what is solved, that of a batch or its own.
        complete: no pixel is missing. untouched: why it is left as it is; None: it is not. told: its noise level is.
    """

    whole: Image
    prepared: Prepared
    problem: Problem
    complete: bool
    untouched: str | None
    told: bool


@dataclass(frozen=True, eq=False)
class Restorer:
    """A method, ready to be applied to pictures.

    Args:
        spec: its row of the catalogue. method: built. device: where it runs. weights: version of its weights.
        boundary: of the blur, see `acutance.operators.Blur`.
        strength: s in [0, 1]; the picture that comes out is (1 - s) input + s restored.
        precision: of its networks. hashes: SHA-256 of its weights by name; of a method that chooses others, of all.

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
    strength: float = 1.0
    precision: torch.dtype = torch.float32
    hashes: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def load(
        name: str,
        *,
        weights: Path | str | None = None,
        device: torch.device | str = "auto",
        precision: Precision = "auto",
        tile: int | Literal["auto"] | None = "auto",
        boundary: Boundary | None = None,
        quality: str | None = None,
        blend: float = 1.0,
        views: int | None = None,
        **settings: Any,
    ) -> Restorer:
        """Build a method of the catalogue with its shipped weights, or with those of a file.

        Args:
            name: method or alias. weights: safetensors, the authors' state dict (.pth), or the name of shipped ones.
            device: "auto" takes a GPU if there is one. precision: of networks. tile: side of a tile in
                pixels, None for none, "auto" for what suits the method.
            boundary: what is assumed beyond the frame; None: the honest "valid", or what foreign weights were made for.
            quality: "fast", "balanced" or "best", for methods that have them; None: the method's own default.
            blend: how far to go, from 0, the picture as it is, to 1; by the method's own way where it has one.
            views: in how many of the eight ways to flip and turn it a picture is restored, for their mean; by the
                method's own way where it has one; None: its default.
            settings: of the method, e.g. steps=20; they go before those of the quality. Where several weights are
                shipped they also say which, e.g. ratio=0.25 of dgunet-sense.

        Raises:
            UnknownMethod, WeightsError, ConfigError: see there.
        """
        spec = find(name)
        if isinstance(blend, bool) or not isinstance(blend, int | float) or not 0 <= blend <= 1:
            raise ConfigError(f"a strength of {blend!r}; give a number from 0 (nothing) to 1 (all)")
        if tile is not None and tile != "auto" and (not isinstance(tile, int) or tile < 1):
            raise ConfigError(f"tile={tile!r}: give a number of pixels, None, or 'auto'")
        if spec.own_strength and blend < 1:
            settings, blend = {**settings, "strength": blend}, 1.0
        if spec.own_views and views is not None:
            settings, views = {**settings, "views": views}, None
        if quality is not None:
            settings = {**settings_for(spec, quality), **settings}
        place = resolve_device(device)
        dtype = resolve_precision(precision, place)
        version, hashes = None, embedded_hashes() if spec.composed else {}
        if spec.weights is None and weights is not None:
            raise WeightsError(f"{spec.name} has no weights; leave out --weights")
        if spec.weights is not None:
            found = embedded_for(spec.weights, settings) if weights is None else find_weights(Path(weights))
            tensors, version = found.tensors, found.version
            hashes = {str(found.card.get("name", "unnamed")): found.sha256}
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
        method = method if views in (None, 1) else InViews(method, views)
        return Restorer(spec, method, place, version, boundary or "valid", blend, dtype, hashes)

    @property
    def needs(self) -> Needs:
        """What the method asks for."""
        return self.spec.needs

    @property
    def explains(self) -> bool:
        """Whether `explain` has something to show."""
        return explains(self.method)

    def check_kernel(self, kernel: Tensor | BlurField, size: tuple[int, int]) -> None:
        """Refuse what is no kernel or cannot fit, before a picture is read, see `acutance.kernel_fit`.

        Args:
            kernel: (1, 1 or C, h, w). size: sides of the picture, in any order, as it may yet be turned.

        Raises:
            KernelError: NaN, zero, or far larger than the picture.
        """
        if isinstance(kernel, BlurField):
            return  # see `acutance.prepare`
        channels = kernel.shape[1] if kernel.ndim == 4 else 1
        try:
            fitted_kernel(kernel, channels, size)
        except KernelError:
            fitted_kernel(kernel, channels, (size[1], size[0]))

    def prepare(
        self,
        image: Image | Tensor,
        kernel: Tensor | BlurField | None = None,
        *,
        sigma: float | None = None,
        linear: bool | None = None,
        mask: Tensor | None = None,
    ) -> Prepared:
        """The problem as the method wants it: channels, brightness, blur, device.

        Args:
            image: a picture, or its pixels (1, C, H, W), C 1 or 3, any units, NaN where a pixel is missing.
            kernel: (1, 1 or C, h, w), see `docs/conventions.md`; or a field of kernels, one for every place.
            sigma: noise level, fraction of the range (`acutance.prepare`), above 0 and up to 0.5, of encoded values
                unless `linear` is True; None: estimated where the method needs it.
            linear: decode the sRGB curve before and encode it after; None: of photographs (`is_photograph`), by methods
                that know or find a kernel, unless the kernel explains encoded values better. FITS has no such curve.
            mask: (1, 1, H, W), 1 where pixels are to be believed, 0 where they are missing; None: all of them.
                Clipped pixels are found by themselves.

        Raises:
            ImageError: no picture, or one of another form.
            KernelError: the method needs a kernel, or it is none (NaN, zero), or it does not fit the picture.
            ConfigError: a mask for a method that uses none, or one that leaves nothing; a noise level out of range.
        """
        check(self.spec, image, kernel, sigma=sigma, mask=mask)
        if isinstance(image, Image) and is_measured(image):
            linear = False  # it has no curve
        elif linear is None:
            linear = self._light(image, kernel)
            sigma = sigma if sigma is None or not linear else sigma * steepness(checked_pixels(image))
        return prepare(
            self.spec, image, kernel, sigma=sigma, linear=linear, mask=mask, boundary=self.boundary, device=self.device
        )

    def __call__(
        self,
        image: Image | Tensor,
        kernel: Tensor | BlurField | None = None,
        *,
        sigma: float | None = None,
        linear: bool | None = None,
        mask: Tensor | None = None,
        on_step: Observer | None = None,
        on_stage: StageObserver | None = None,
    ) -> Restoration:
        """Restore one picture.

        Args:
            image, kernel, sigma, linear, mask: as for `prepare`, and so are the errors.
            on_step: sees every step. on_stage: hears how far the search for a kernel is. What they raise ends the run.
        """
        begun = self._begin(image, kernel, sigma=sigma, linear=linear, mask=mask)
        heard = self if on_stage is None else replace(self, method=watched(self.method, on_stage))
        result, seconds = heard._timed(begun, on_step)
        return self._finish(begun, result, seconds)

    def batch(
        self,
        images: Tensor | Sequence[Image | Tensor],
        kernels: Kernels = None,
        *,
        sigma: float | Sequence[float | None] | None = None,
        linear: bool | None = None,
        masks: Tensor | Sequence[Tensor | None] | None = None,
        on_step: Observer | None = None,
    ) -> tuple[Restoration, ...]:
        """Restore several pictures, those of the same form together, see `acutance.restoration.batching`.

        The results are those of restoring them one by one, to rounding. All are checked before the first is restored.

        Args:
            images: (B, C, H, W), or a list of pictures of any sizes; else as for `prepare`.
            kernels: one for all, (1, 1 or C, h, w) or a field; or one for each, (B, 1 or C, h, w) or a list.
            sigma: one noise level for all, or one for each. linear: for all. masks: as kernels, (1 or B, 1, H, W).
            on_step: sees every step of every group.

        Raises:
            as `prepare`; ConfigError: another number of kernels, levels or masks than of pictures.

        Example:
            >>> pictures, kernels = torch.rand(2, 1, 32, 32), torch.ones(2, 1, 3, 3) / 9
            >>> [done.image.size for done in Restorer.load("wiener").batch(pictures, kernels, sigma=[0.01, 0.02])]
            [(32, 32), (32, 32)]
        """
        pictures = pictures_of(images)
        count = len(pictures)
        given = list(
            zip(pictures, for_each(kernels, count, "kernel"), levels_of(sigma, count), for_each(masks, count, "mask"),
                strict=True)
        )  # fmt: skip
        for image, kernel, level, mask in given:
            check(self.spec, image, kernel, sigma=level, mask=mask)  # type: ignore[arg-type]
        begun = [
            self._begin(image, kernel, sigma=level, linear=linear, mask=mask)  # type: ignore[arg-type]
            for image, kernel, level, mask in given
        ]
        done: dict[int, Restoration] = {}
        problems = [each.prepared.problem if each.untouched is None else None for each in begun]
        for group in groups(problems, self.needs):
            together = stacked([begun[i].prepared.problem for i in group])
            result, seconds = self._timed(replace(begun[group[0]], problem=together), on_step)
            for n, i in enumerate(group):
                done[i] = self._finish(begun[i], alone(result, n), seconds / len(group))
        for i, each in enumerate(begun):
            if each.untouched is not None:
                done[i] = self._finish(each, *self._timed(each, on_step))
        return tuple(done[i] for i in range(count))

    def _begin(
        self,
        image: Image | Tensor,
        kernel: Tensor | BlurField | None,
        *,
        sigma: float | None,
        linear: bool | None,
        mask: Tensor | None,
    ) -> Begun:
        """A picture that is ready to be restored. Arguments as `prepare`."""
        prepared = self.prepare(image, kernel, sigma=sigma, linear=linear, mask=mask)
        whole = image if isinstance(image, Image) else Image(image)
        complete = mask is None and bool(torch.isfinite(whole.pixels).all())
        blur = prepared.problem.operator
        point = isinstance(blur, Blur) and says_no_blur(blur.kernel)
        unblurred = complete and sigma is None and self.needs.task == "deblur" and point
        untouched = UNBLURRED if unblurred else CLEAN if prepared.noise.invisible else None
        told = sigma is not None or whole.info.noise is not None
        return Begun(whole, prepared, prepared.problem, complete, untouched, told=told)

    def _timed(self, begun: Begun, on_step: Observer | None) -> tuple[Result, float]:
        """The method's result, and its seconds."""
        start = time.perf_counter()
        result = self._run(begun.problem, on_step) if begun.untouched is None else no_step(begun)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return result, time.perf_counter() - start

    def _finish(self, begun: Begun, result: Result, seconds: float) -> Restoration:
        """The picture, in its own units, and how it came about."""
        whole, prepared, untouched = begun.whole, begun.prepared, begun.untouched
        asis = untouched is not None and begun.complete
        pixels = whole.pixels.float().cpu() if asis else prepared.finish(result.x).cpu()
        if self.strength < 1:
            pixels = torch.lerp(whole.pixels.to(pixels), pixels, self.strength)
        own = [prepared.scale * level for level in result.levels]
        done = Restoration(
            replace(whole, pixels=pixels),
            result,
            seconds,
            self.spec.name,
            self.weights,
            notes=(*prepared.notes, *result.remarks),
            scale=prepared.scale,
            noise_level=max(own) if own else prepared.level,
            noise_assumed=untouched is None and (prepared.assumed or (bool(own) and not begun.told)),
            noise_reason=prepared.noise.reason,
            strength=self.strength,
            unchanged=torch.equal(pixels, whole.pixels.to(pixels)),
            origin=Origin(whole, prepared, self),
        )
        return replace(done, image=with_lines(done.image, lines_of(done, self.needs.task, begun.problem.operator)))

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
        solver = solver_of(self.method)
        steps = 1 if solver is None else len(solver.steps)
        piece = pixels[..., : min(height, PROBE), : min(width, PROBE)].nan_to_num(0, 0, 0)
        prepared = self.prepare(piece, kernel, sigma=sigma)
        for _ in range(2):  # the first warms up
            start, step = self._trial(prepared.problem)

        def domain(p: Tensor) -> int:
            size = (p.shape[-2], p.shape[-1])
            h, w = prepared.problem.operator.domain_size(*size) if prepared.problem.operator is not None else size
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
        if not self.explains:
            raise ConfigError(f"{self.spec.name} has no inner pictures to show; leave out --explain")
        return explanation(self.method, prepared.problem, every, steps=steps)

    @torch.no_grad()
    def _trial(self, problem: Problem) -> tuple[float, float]:
        """Seconds of what comes before the first step, and of the first step."""
        moments = [time.perf_counter()]

        def passed() -> None:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            moments.append(time.perf_counter())

        solver = solver_of(self.method)
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

    def solve(self, problem: Problem) -> Tensor:
        """The method's estimate for a problem in its own units, on the domain of the blur."""
        return self._run(problem, None).x

    def _run(self, problem: Problem, on_step: Observer | None) -> Result:
        """The method's run; channel by channel where the picture is large and the method does not mind."""
        large = problem.observed[0, 0].numel() >= APART
        method = ChannelsApart(self.method) if large and self.spec.channels_apart else self.method
        if self.needs.kernel and self.needs.mask and problem.saturated is not None:
            return in_two_parts(problem, lambda rest: method.run(rest, on_step=on_step))
        return method.run(problem, on_step=on_step)

    def _light(self, image: Image | Tensor, kernel: Tensor | BlurField | None) -> bool:
        """Whether to solve in linear light: where blur happens, but not always what was blurred in a computer."""
        if not isinstance(image, Image) or not is_photograph(image) or self.needs.task != "deblur":
            return False
        if kernel is None:
            return self.spec.name == BLIND
        if isinstance(kernel, BlurField):
            return True
        return self.needs.kernel and not prefers_encoded(image.pixels.nan_to_num(0), kernel)


def no_step(begun: Begun) -> Result:
    """The picture as it is, as a method's result, and why."""
    return Result(
        x=begun.problem.start(),
        outcomes=(Outcome.COMPLETED,),
        steps=(0,),
        trace=torch.zeros(1, 1),
        remarks=() if begun.untouched is None else (begun.untouched,),
    )
