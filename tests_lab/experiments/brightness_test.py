"""The brightness experiment: its definitions by hand, both kinds of averages, the safe gain, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from acutance.errors import ConfigError, DataError
from acutance.images.colour import srgb_to_linear
from acutance.methods.golf import Golf, GolfConfig
from acutance.metrics import psnr
from acutance_lab.cli.app import app
from acutance_lab.experiments.brightness import (
    AS_IS,
    ENCODED,
    GAINS,
    IN_LIGHT,
    KEPT,
    LIGHT,
    LOCALLY,
    SHARP,
    Measured,
    forms,
    from_folder,
    from_photographs,
    gain_name,
    measure,
    report,
    run,
    safe_gain,
)
from acutance_lab.experiments.convergence import Case
from acutance_lab.synth import Camera, DynamicBlur

BLUR = DynamicBlur(
    extent=(4.0, 9.0),
    still=0.0,
    steady=0.0,
    objects=(1.0,),
    camera=Camera(noisy=0.0, jpeg=0.0, lights=0.0, defocus=0.0, bits=0),
)


def drifting() -> Golf:
    """A random network that darkens."""
    torch.manual_seed(3)
    golf = Golf(GolfConfig(drive=4, putt=2, putts=0)).eval().requires_grad_(False)
    golf.drives[0].tail.weight.data.mul_(3)  # type: ignore[union-attr, operator]
    return golf


def pair(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    y = 0.2 + 0.5 * torch.rand(1, 3, 70, 80, generator=generator)
    return y, y + 0.05 * torch.rand(1, 3, 70, 80, generator=generator)


def measured(source: str, gained: dict[float, float]) -> Measured:
    """A picture of 25 dB that gains so many decibels by gain."""
    after = {KEPT if gain == 1 else gain_name(gain): 25 + gained.get(gain, -1.0) for gain in (1.0, *GAINS)}
    return Measured(source, "", (0.0,) * 3, (0.0,) * 3, (0.0,) * 3, 0.0, 0.0, ((1.0, 0.0, 0.0),) * 4, 0.0, 25.0, after)


def test_numbers_of_one_picture_by_hand(generator: torch.Generator) -> None:
    golf, (y, s) = drifting(), pair(generator)
    z = golf.drives[0](y)
    m = measure(Case("a", "b", y, s), golf, rounding=False)
    assert m.gap == pytest.approx((255 * (s - y).mean((0, 2, 3))).tolist(), abs=1e-3)
    assert m.shift == pytest.approx((255 * (z - y).mean((0, 2, 3))).tolist(), abs=1e-3)
    assert max(abs(v) for v in m.shift) > 0.05
    assert max(abs(v) for v in m.kept) < 0.05, "in a file of 8 bits the mean is kept"
    assert m.clipping == pytest.approx(255 * float((z.clamp(0, 1) - z).mean()), abs=1e-3)
    assert m.rounding == 0
    assert sum(share for share, _, _ in m.tones) == pytest.approx(1)
    assert sum(share * gap for share, gap, _ in m.tones) == pytest.approx(sum(m.gap) / 3, abs=1e-3)
    assert sum(share * shift for share, _, shift in m.tones) == pytest.approx(sum(m.shift) / 3, abs=1e-3)
    assert m.after[AS_IS] == pytest.approx(float(psnr(z.clamp(0, 1), s)), abs=1e-3)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_gains_below_the_limit_improve_and_those_above_do_not(factor: float, generator: torch.Generator) -> None:
    golf, (y, s) = drifting(), pair(generator)
    z = golf.drives[0](y)
    s = y + 0.3 * (z - y) + 0.01 * (s - y)
    limit = measure(Case("a", "b", y, s), golf, rounding=False).limit
    r0 = z - y - (z - y).mean((2, 3), keepdim=True)
    error = (y + factor * limit * r0 - s).square().mean()
    assert bool(error < (y - s).square().mean()) == (factor < 1)


def test_what_each_form_holds(generator: torch.Generator) -> None:
    y, _ = pair(generator)
    z = y - 0.03 + 0.05 * torch.rand(y.shape, generator=generator)
    held = forms(y, z)
    assert torch.equal(held[AS_IS], z)
    for name in (KEPT, gain_name(0.5)):
        torch.testing.assert_close(held[name].mean((2, 3)), y.mean((2, 3)), rtol=0, atol=1e-6)
    light = srgb_to_linear(held[IN_LIGHT]).mean((2, 3)) - srgb_to_linear(y).mean((2, 3))
    assert float(light.abs().max()) < 1e-5
    ramp = forms(y, y + torch.linspace(-0.1, 0.1, 80))[LOCALLY] - y
    assert float(ramp[..., 33:-33].abs().max()) < 1e-5, "a slow change of brightness is taken out"
    torch.testing.assert_close(held[gain_name(0.5)] - y, 0.5 * (held[KEPT] - y))  # nothing is clipped here


def test_only_light_averaged_is_brighter(photographs: Path) -> None:
    cases = list(from_photographs(photographs, BLUR, count=3, side=96))
    assert [c.source for c in cases] == [LIGHT, ENCODED] * 3
    for light, coded in zip(cases[::2], cases[1::2], strict=True):
        torch.testing.assert_close(light.sharp, coded.sharp, rtol=0, atol=1e-4)
        gaps = [255 * float((c.sharp - c.observed).mean()) for c in (light, coded)]
        assert gaps[0] < gaps[1] - 0.5


@pytest.mark.parametrize(
    ("light", "coded", "expected"),
    [
        ({1.0: 0.5, 0.5: 0.4}, {1.0: 0.1, 0.5: 0.3}, 0.5),  # the worse kind decides
        ({1.0: 0.5, 0.5: 0.4}, {1.0: 0.4, 0.5: 0.3}, 1.0),
        ({0.25: 0.1}, {0.25: -0.1}, None),  # none gains on both
    ],
)
def test_the_safe_gain(light: dict[float, float], coded: dict[float, float], expected: float | None) -> None:
    """Real pairs and sharp pictures have no say."""
    others = [measured("reds", {0.75: 9.0}), measured(SHARP, {0.75: 9.0})]
    assert safe_gain([*others, measured(LIGHT, light), measured(ENCODED, coded)]) == expected
    assert safe_gain([*others, measured(LIGHT, light)]) is None


@pytest.mark.parametrize(("side", "expected"), [(20, (20, 20)), (40, (30, 40))])
def test_sharp_pictures_are_cut_about_the_centre(side: int, expected: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (30, 44, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")  # grey pictures are left out
    (case,) = from_folder(tmp_path, 3, side)
    assert (case.name, tuple(case.sharp.shape[-2:])) == ("b", expected)
    assert case.sharp is case.observed
    top, left = (30 - expected[0]) // 2, (44 - expected[1]) // 2
    cut = pixels[top : top + expected[0], left : left + expected[1]]
    torch.testing.assert_close(case.sharp[0], torch.from_numpy(cut.copy()).permute(2, 0, 1) / 255)


def test_doors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing or empty"):
        list(from_folder(tmp_path, 3, 64))
    with pytest.raises(ConfigError, match="no picture"):
        run([], drifting())
    result = CliRunner().invoke(app, ["experiment", "brightness", "--out", str(tmp_path / "b")])
    assert result.exit_code != 0


def test_the_table_tells_harm(generator: torch.Generator) -> None:
    y, s = pair(generator)
    found = run([Case("a", "1", y, s), Case(SHARP, "2", y, y)], drifting(), rounding=False)
    table = report(found).text
    assert "| a | 1 |" in table
    assert " left |" in table
    assert "(1)" in table or "(0)" in table


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sharp"
    folder.mkdir()
    ramp = np.linspace(0, 250, 64, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    Image.fromarray(ramp).save(folder / "a.png")
    arguments = ["experiment", "brightness", "--data", str(photographs), "--sharp", str(folder), "--pictures", "1"]
    result = CliRunner().invoke(app, [*arguments, "--window", "64", "--no-rounding", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "out" / "brightness.json").read_text())
    assert [p["source"] for p in values["pictures"]] == [LIGHT, ENCODED, SHARP]
    assert values["pictures"][2]["gap"] == [0, 0, 0]
    assert "Gain with which the worse kind" in result.output
