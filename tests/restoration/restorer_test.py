"""The one way from an image to a restored image: channels, brightness, light, kernels, weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from acutance.errors import ConfigError, ImageError, KernelError, UnknownMethod, WeightsError
from acutance.images import Image, ImageInfo
from acutance.methods.rgdn import AUTHORS, Rgdn, RgdnConfig
from acutance.methods.spec import MethodSpec, Needs, catalogue, find
from acutance.methods.wiener import Wiener
from acutance.noise.blocks import noise_level
from acutance.noise.level import level_of
from acutance.operators import Blur
from acutance.problem import Observer, Outcome, Problem, Progress, Result, direct_result
from acutance.restoration.device import resolve_device
from acutance.restoration.restorer import Restorer
from acutance.tensors import brightness
from acutance.weights import write_weights

CPU = torch.device("cpu")
KERNEL = torch.ones(1, 1, 3, 5) / 15


@dataclass
class Echo:
    """A method that returns the start and remembers what it was asked."""

    seen: list[Problem] = field(default_factory=list)

    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        self.seen.append(problem)
        return direct_result(problem, problem.start())


def echo(**needs: Any) -> tuple[Restorer, Echo]:
    method = Echo()
    spec = MethodSpec("echo", "returns what it is given", "none", lambda: method, Needs(**needs))
    return Restorer(spec, method, CPU), method


def small_rgdn(**settings: Any) -> Restorer:
    torch.manual_seed(2)
    spec = find("rgdn")
    settings = {"features": 6, "steps": 3, "threshold": 0, **settings}
    return Restorer(spec, spec.build(weights=None, device="cpu", precision="float32", tile=None, **settings), CPU)


def picture(channels: int = 3, size: tuple[int, int] = (24, 27), seed: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 5, 6, generator=g)
    return nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("wanted", [None, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_way_there_and_back_changes_nothing(channels: int, wanted: int | None, linear: bool) -> None:
    restorer, method = echo(channels=wanted)
    x = 0.4 * picture(channels)
    done = restorer(x, KERNEL, linear=linear)
    torch.testing.assert_close(done.image.pixels, x, rtol=0, atol=2e-6)
    (problem,) = method.seen
    assert problem.observed.shape[1] == (wanted or channels)
    if wanted and channels == 1:
        assert torch.equal(problem.observed[:, 0], problem.observed[:, 2])
    assert float(brightness(problem.observed[:, :channels])) == pytest.approx(1, abs=1e-4)


def test_the_problem_has_its_blur_and_noise() -> None:
    restorer, method = echo()
    x = 0.25 * picture()
    restorer(x, KERNEL, sigma=0.01)
    (problem,) = method.seen
    assert isinstance(problem.operator, Blur)
    assert torch.equal(problem.operator.kernel, KERNEL)
    assert problem.operator.boundary == "valid"
    assert problem.sigma is not None
    assert problem.sigma.tolist() == pytest.approx([0.01 / float(brightness(x))])
    restorer(x, KERNEL)
    assert method.seen[1].sigma is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_a_dark_picture_is_restored_like_a_bright_one(factor: float, channels: int) -> None:
    restorer = small_rgdn()
    bright = restorer(picture(channels), KERNEL)
    dark = restorer(factor * picture(channels), KERNEL)
    torch.testing.assert_close(dark.image.pixels, factor * bright.image.pixels, rtol=1e-4, atol=1e-5)
    assert float((bright.image.pixels - picture(channels)).abs().max()) > 1e-3, "something is meant to happen"
    assert dark.fitting_error == pytest.approx(factor * bright.fitting_error, rel=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_everything_but_the_pixels_is_kept(channels: int) -> None:
    alpha = torch.rand(1, 1, 24, 27)
    image = Image(picture(channels), alpha, ImageInfo("TIFF", bits=16, notes=("a note",)))
    done = small_rgdn()(image, KERNEL)
    assert done.image.alpha is alpha
    assert replace(done.image.info, history=()) == image.info
    assert done.image.info.history[0].startswith("acutance"), "what was done is noted"
    assert done.image.pixels.shape == image.pixels.shape
    assert torch.equal(image.pixels, picture(channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_fitting_error_is_the_root_mean_square_of_the_residual(channels: int) -> None:
    x = 0.3 * picture(channels)
    for restorer in (small_rgdn(), Restorer(find("wiener"), Wiener(), CPU)):
        done = restorer(x, KERNEL, sigma=0.01)
        prepared = restorer.prepare(x, KERNEL, sigma=0.01)
        residual = prepared.problem.residual(done.result.x) * prepared.scale
        assert done.fitting_error == pytest.approx(float(residual.square().mean().sqrt()), rel=1e-3)


def test_an_unknown_noise_level_is_estimated_where_it_is_needed_and_said() -> None:
    restorer = Restorer(find("wiener"), Wiener(), CPU)
    told, untold = restorer(picture(), KERNEL, sigma=0.01), restorer(picture(), KERNEL)
    assert (told.noise_level, told.noise_assumed) == (pytest.approx(0.01), False)
    assert untold.noise_assumed
    assert untold.noise_level == pytest.approx(float(noise_level(picture())), rel=1e-5)
    same = restorer(picture(), KERNEL, sigma=untold.noise_level)
    torch.testing.assert_close(untold.image.pixels, same.image.pixels, rtol=1e-4, atol=1e-5)
    assert small_rgdn()(picture(), KERNEL).noise_level is None


def test_what_a_restoration_says() -> None:
    done = small_rgdn()(picture(), KERNEL)
    assert (done.method, done.weights, done.steps) == ("rgdn", None, 3)
    assert done.outcome is Outcome.COMPLETED
    assert done.seconds > 0


def test_steps_are_reported() -> None:
    seen: list[int] = []
    small_rgdn()(picture(), KERNEL, on_step=lambda p: seen.append(p.step))
    assert seen == [1, 2, 3]


def test_a_missing_kernel_is_asked_for() -> None:
    restorer, method = echo(kernel=True)
    with pytest.raises(KernelError, match="echo needs the blur kernel"):
        restorer(picture())
    blind, method = echo(kernel=False)
    blind(picture())
    assert method.seen[0].operator is None


@pytest.mark.parametrize("shape", [(3, 3), (2, 1, 3, 3), (1, 2, 3, 3), (1, 1, 1, 3, 3)], ids=str)
def test_a_kernel_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    restorer, _ = echo()
    with pytest.raises(KernelError, match="a kernel of shape"):
        restorer(picture(), torch.ones(shape))


@pytest.mark.parametrize("shape", [(49, 3), (3, 55)], ids=str)
def test_a_kernel_far_larger_than_the_picture_is_refused(shape: tuple[int, int]) -> None:
    restorer, _ = echo()
    with pytest.raises(KernelError, match=f"a kernel of {shape[1]} x {shape[0]} pixels for a picture of 27 x 24"):
        restorer(picture(), torch.ones(1, 1, *shape))


@pytest.mark.parametrize("size", [24, 27, 25])
def test_a_kernel_as_large_as_the_picture_is_used(size: int) -> None:
    """Its sides are made odd, its tails cut where they do not fit."""
    restorer, method = echo()
    r = torch.arange(float(size)) - size // 2
    kernel = (1 + (r[:, None] ** 2 + r**2) / 5) ** -2.5
    done = restorer(picture(), kernel[None, None] / kernel.sum())
    (problem,) = method.seen
    assert isinstance(problem.operator, Blur)
    assert problem.operator.kernel.shape[-2] == 23
    assert float(problem.operator.kernel.sum()) == pytest.approx(1)
    assert int(problem.operator.kernel[0, 0].argmax()) == problem.operator.kernel[0, 0].numel() // 2
    assert "cut to" in done.notes[0]


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (KERNEL * float("nan"), "15 of the kernel's 15 values are NaN"),
        (torch.where(KERNEL > 0, torch.inf, 0.0), "infinite"),
        (KERNEL * 0, "all values of the kernel are zero"),
        (-KERNEL, "sums to zero or less"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: Tensor, words: str) -> None:
    for restorer in (echo()[0], small_rgdn()):
        with pytest.raises(KernelError, match=words):
            restorer(picture(), kernel)


def test_an_even_symmetric_kernel_leaves_the_picture_in_place() -> None:
    restorer, method = echo()
    done = restorer(picture(), torch.ones(1, 1, 4, 6) / 24)
    assert isinstance(method.seen[0].operator, Blur)
    kernel = method.seen[0].operator.kernel[0, 0]
    assert kernel.shape == (5, 7)
    torch.testing.assert_close(kernel, kernel.flip(0, 1))
    assert "half a pixel" in done.notes[0]
    doubled = restorer(picture(), 2 * KERNEL)
    assert "sum to 2" in doubled.notes[0]


@pytest.mark.parametrize("sigma", [25.0, 0.51, 0.0, -1.0, float("nan"), "1%", True])
def test_a_noise_level_that_is_none_is_refused(sigma: Any) -> None:
    with pytest.raises(ConfigError, match="fraction of the range"):
        echo()[0](picture(), KERNEL, sigma=sigma)


@pytest.mark.parametrize(
    "given",
    ["a.png", picture()[0].numpy(), picture()[0], picture()[..., :0], (255 * picture()).byte(), torch.rand(1, 4, 8, 8)],
    ids=["path", "array", "three dimensions", "empty", "bytes", "four channels"],
)
def test_what_is_no_picture_is_told_the_form(given: Any) -> None:
    with pytest.raises(ImageError, match=r"give an acutance\.Image.*white being 1"):
        echo()[0](given, KERNEL)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_kernel_for_each_channel(channels: int) -> None:
    restorer, method = echo()
    restorer(picture(channels), KERNEL.expand(1, channels, -1, -1))
    assert method.seen[0].operator is not None


def test_one_picture_at_a_time() -> None:
    restorer, _ = echo()
    with pytest.raises(ConfigError, match=r"2 pictures at once.*`Restorer\.batch` takes several"):
        restorer(torch.rand(2, 3, 8, 8), KERNEL)


@pytest.mark.parametrize("every", [1, 2])
def test_what_the_steps_see(every: int) -> None:
    restorer = small_rgdn(steps=4)
    prepared = restorer.prepare(picture(1), KERNEL)
    shown = list(restorer.explain(prepared, every=every))
    assert [t for t, _ in shown] == list(range(1, 5, every))
    for _, pictures in shown:
        assert "estimate" in pictures
        assert all(p.shape == (1, 3, 24, 27) for p in pictures.values())
    assert torch.equal(shown[0][1]["estimate"], prepared.problem.observed)


def test_a_method_without_inner_pictures_says_so() -> None:
    restorer = Restorer.load("wiener")
    with pytest.raises(ConfigError, match="wiener has no inner pictures"):
        next(restorer.explain(restorer.prepare(picture(), KERNEL)))


@pytest.mark.parametrize("name", ["rgdn", "wiener"])
def test_a_forecast_is_a_time(name: str) -> None:
    restorer = small_rgdn() if name == "rgdn" else Restorer.load("wiener", device="cpu")
    assert 0 < restorer.forecast(picture(), KERNEL) < 60


def test_a_forecast_grows_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that ticks once for each reading, the piece takes 1 second to begin and 1 for a step."""
    monkeypatch.setattr("acutance.restoration.restorer.PROBE", 16)

    def ticks() -> Iterator[float]:
        t = 0.0
        while True:
            yield t
            t += 1

    clock = ticks()
    monkeypatch.setattr("acutance.restoration.restorer.time.perf_counter", lambda: next(clock))
    forecast = small_rgdn(steps=7).forecast(picture(size=(32, 48)), torch.ones(1, 1, 1, 1))
    assert forecast == pytest.approx((1 + 7) * (32 * 48) / (16 * 16))


@pytest.mark.parametrize("alias", ["rgdn", "rgdm"])
def test_weights_from_a_file_bring_their_settings(alias: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    config = RgdnConfig(features=6, steps=2)
    card = {"name": "tiny-1", "model": {"features": 6, "steps": 2}}
    digest = write_weights(tmp_path / "tiny.safetensors", Rgdn(config).state_dict(), card)
    restorer = Restorer.load(alias, weights=tmp_path / "tiny.safetensors", device="cpu", threshold=0)
    assert restorer.weights == f"tiny-1-{digest[:8]}"
    assert isinstance(restorer.method, Rgdn)
    assert restorer.method.config == replace(config, threshold=0)
    longer = Restorer.load("rgdn", weights=tmp_path / "tiny.safetensors", device="cpu", steps=5)
    assert isinstance(longer.method, Rgdn)
    assert longer.method.config.steps == 5, "a setting overrules the card"


def test_weights_of_the_authors_are_converted_and_run_in_their_form(tmp_path: Path) -> None:
    torch.manual_seed(4)
    ours = Rgdn(RgdnConfig(form="released", features=6)).state_dict()
    theirs = {}
    for key, value in ours.items():
        part, rest = key.split(".", 1)
        theirs[next(a for a, p in AUTHORS.items() if p == part + ".") + rest] = value
    torch.save(theirs, tmp_path / "rgdn.pth")
    restorer = Restorer.load("rgdn", weights=tmp_path / "rgdn.pth", device="cpu", features=6)
    assert isinstance(restorer.method, Rgdn)
    assert restorer.method.config.form == "released"
    assert all(torch.equal(v, ours[k]) for k, v in restorer.method.state_dict().items())


def test_weights_that_do_not_belong(tmp_path: Path) -> None:
    write_weights(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {})
    with pytest.raises(WeightsError, match="do not fit rgdn"):
        Restorer.load("rgdn", weights=tmp_path / "a.safetensors", device="cpu")
    with pytest.raises(WeightsError, match="wiener has no weights; leave out --weights"):
        Restorer.load("wiener", weights=tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "magic"}, UnknownMethod, "there is no method 'magic'"),
        ({"name": "wiener", "precision": "half"}, ConfigError, "precision='half'"),
        ({"name": "wiener", "device": "abacus"}, ConfigError, "the device 'abacus' cannot be used"),
        ({"name": "wiener", "steps": 3}, ConfigError, "its settings are strength"),
    ],
)
def test_what_cannot_be_loaded(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Restorer.load(**arguments)


def test_devices() -> None:
    assert resolve_device("cpu") == resolve_device(CPU) == CPU
    assert resolve_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (torch.zeros(1, 3, 10, 10), 1.0),
        (torch.full((1, 3, 10, 10), -1e-9), 1e-9),
        (torch.full((1, 1, 10, 10), 0.5), 0.5),
        (torch.full((1, 3, 2, 2), 7.0), 7.0),
        (torch.linspace(0, 1, 100_000).reshape(1, 1, 100, 1000), 0.999),
    ],
    ids=["black", "faint and negative", "flat", "beyond the range", "ramp"],
)
def test_brightness_is_a_high_quantile(pixels: Tensor, expected: float) -> None:
    assert float(brightness(pixels)) == pytest.approx(expected, rel=1e-4)


def test_a_few_hot_pixels_do_not_make_a_picture_bright() -> None:
    x = torch.full((1, 3, 100, 100), 0.1)
    x[..., 5, 5:10] = 1
    assert float(brightness(x)) == pytest.approx(0.1)


def test_one_star_makes_a_dark_picture_bright() -> None:
    x = torch.zeros(1, 1, 200, 200)
    x[..., 5:9, 5:9] = 50
    assert float(brightness(x)) == pytest.approx(1)


def test_samples_that_are_not_valid_have_no_brightness() -> None:
    x = torch.full((1, 1, 20, 20), 0.1)
    x[..., :5, :], valid = torch.nan, torch.ones(1, 1, 20, 20)
    x[..., 5:10, :], valid[..., 5:10, :] = 1e9, 0
    assert float(brightness(x, valid)) == pytest.approx(0.1)


@pytest.mark.parametrize("kernels", [1, 3], ids=["one kernel", "one for each channel"])
@pytest.mark.parametrize("name", [s.name for s in catalogue().values() if s.channels_apart])
def test_a_large_picture_goes_channel_by_channel(name: str, kernels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find(name)
    # A first tie so weak as that of `epll` leaves the unknown border to ten iterations in float32, which make 1e-3 of
    # another order of sums; with first = 4 they converge.
    settings: dict[str, Any] = {"weights": None} if spec.weights is not None else {}
    settings |= {"first": 4.0} if name == "epll" else {}
    steps = 1 if name == "mlp" else 3
    settings |= {"steps": steps} if steps > 1 else {}
    restorer = Restorer(spec, spec.build(**settings), CPU)
    kernel = KERNEL.expand(1, kernels, -1, -1)
    together = restorer(picture(3), kernel)
    monkeypatch.setattr("acutance.restoration.restorer.APART", 1)
    seen: list[Progress] = []
    apart = restorer(picture(3), kernel, on_step=seen.append)
    torch.testing.assert_close(apart.image.pixels, together.image.pixels, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(apart.result.trace, together.result.trace, rtol=1e-3, atol=1e-6)
    assert (apart.outcome, apart.steps, apart.notes) == (together.outcome, together.steps, together.notes)
    assert [(p.step, p.steps) for p in seen] == [(t, 3 * steps) for t in range(1, 3 * steps + 1)]
    assert all(s.x.shape[1] == 1 for s in (p.state for p in seen))


def test_a_grey_picture_in_three_channels_is_restored_on_one() -> None:
    restorer, method = echo()
    x = picture(1).expand(-1, 3, -1, -1).contiguous()
    done = restorer(x, KERNEL)
    assert method.seen[-1].observed.shape[1] == 1
    assert done.image.pixels.shape == x.shape
    torch.testing.assert_close(done.image.pixels, x)
    x[0, 0, 3, 4] += 0.01
    restorer(x, KERNEL)
    assert method.seen[-1].observed.shape[1] == 3


def test_a_grey_picture_behind_three_kernels_stays_in_three_channels() -> None:
    restorer, method = echo()
    restorer(picture(1).expand(-1, 3, -1, -1), KERNEL.expand(1, 3, -1, -1))
    assert method.seen[-1].observed.shape[1] == 3


def test_clipped_pixels_are_masked_for_methods_that_heed_it() -> None:
    restorer, method = echo(mask=True)
    x = 0.5 * picture()
    restorer(x, KERNEL)
    assert method.seen[-1].mask is None
    x[0, 1, 2:4, 3:5] = 1
    done = restorer(x, KERNEL)
    for mask, value in ((method.seen[-1].mask, 0), (method.seen[-1].saturated, 1)):
        assert mask is not None
        assert torch.equal(mask == value, x == 1)
    assert "burnt out" in done.notes[0]
    for c in (1e-5, 255.0):  # in other units it is clipped at the same pixels
        restorer(c * x, KERNEL)
        assert method.seen[-1].saturated is not None
        assert torch.equal(method.seen[-1].saturated == 1, x == 1)
    restorer(torch.where(x == 1, 0.9 + 0.01 * picture(), x), KERNEL)  # values that differ were not clipped
    assert method.seen[-1].mask is None
    assert method.seen[-1].saturated is None


def test_clipped_pixels_are_found_before_the_tone_curve_and_go_with_a_grey_picture() -> None:
    restorer, method = echo(mask=True)
    x = 0.5 * picture(1).expand(-1, 3, -1, -1).clone()
    x[..., 2:4, 3:5] = 1
    restorer(x, KERNEL, linear=True)
    assert method.seen[-1].saturated is not None
    assert torch.equal(method.seen[-1].saturated > 0, x[:, :1] == 1)


def test_a_white_picture_is_believed() -> None:
    restorer, method = echo(mask=True)
    restorer(torch.ones(1, 1, 12, 12), KERNEL)
    mask = method.seen[-1].mask
    assert mask is not None
    assert bool((mask > 0).all())


def test_a_mask_of_the_user() -> None:
    restorer, method = echo(mask=True)
    mask = torch.ones(1, 1, 24, 27)
    mask[..., :5, :] = 0
    restorer(0.5 * picture(), KERNEL, mask=mask)
    assert method.seen[-1].mask is not None
    assert torch.equal(method.seen[-1].mask, mask)
    with pytest.raises(ConfigError, match="mask of"):
        restorer(picture(), KERNEL, mask=mask[..., 1:])
    with pytest.raises(ConfigError, match="leaves no pixel"):
        restorer(picture(), KERNEL, mask=0 * mask)
    with pytest.raises(ConfigError, match="acute"):
        echo()[0](picture(), KERNEL, mask=mask)


def test_qualities_are_settings() -> None:
    with pytest.raises(ConfigError, match="acute"):
        Restorer.load("wiener", quality="fast")


@pytest.mark.parametrize("needs", [{"sigma": True}, {"uses_sigma": True}])
def test_a_lossy_file_has_more_noise_than_it_shows(needs: dict[str, bool]) -> None:
    restorer, method = echo(**needs)
    noise = torch.randn(1, 3, 24, 27, generator=torch.Generator().manual_seed(1))
    for x, lossy in (
        (0.5 + 0.008 * noise, 2.8),
        ((0.5 * picture() + 0.02 * noise).clamp(0, 1), 1.0),
    ):  # smooth; texture
        for info in (ImageInfo(format="JPEG"), ImageInfo(format="WEBP", lossless=False)):
            done = restorer(Image(x, info=info), KERNEL, linear=False)
            level = method.seen[-1].sigma
            assert level is not None
            assert float(level) * method.seen[-1].unit == pytest.approx(
                max(0.01, lossy * float(noise_level(x))), rel=1e-3
            )
            assert done.noise_level == pytest.approx(float(level) * method.seen[-1].unit, rel=1e-5)
            assert done.noise_assumed
    restorer(Image(x, info=ImageInfo(format="JPEG")), KERNEL, sigma=0.003, linear=False)
    assert float(method.seen[-1].sigma or 0) * method.seen[-1].unit == pytest.approx(0.003)
    flat = Image(torch.full_like(x, 0.5), info=ImageInfo(format="JPEG"))
    restorer(flat, KERNEL, sigma=0.003)
    assert method.seen[-1].linear, "the level of the file's values is converted: 2.4 / 1.055 * (0.555 / 1.055)^1.4"
    told = float(method.seen[-1].sigma or 0) * method.seen[-1].unit
    assert told == pytest.approx(0.003 * 0.9256, rel=1e-3)
    done = restorer(Image(x, info=ImageInfo(format="PNG")), KERNEL, linear=False)
    seen = method.seen[-1]
    assert seen.sigma is not None
    torch.testing.assert_close(seen.sigma, level_of(replace(seen, sigma=None)))  # what the method would find by itself
    assert done.noise_assumed
