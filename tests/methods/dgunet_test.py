"""DGUNet's four methods: sizes, channels, precision, settings, weights of the authors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from acutance.errors import ConfigError, WeightsError
from acutance.frame import Frame
from acutance.methods.dgunet import SPECS, DeblurConfig, DerainConfig, DGUNetConfig, SenseConfig, Unfolded
from acutance.methods.spec import catalogue
from acutance.problem import Outcome, Problem
from acutance.restoration.restorer import Restorer

TINY: dict[str, Any] = {"width": 8, "growth": 4, "tail": 4, "stages": 4}
KEYS = Path(__file__).resolve().parents[1] / "golden" / "dgunet_deraining.keys.json"


def method(config: DGUNetConfig, dtype: torch.dtype = torch.float64) -> Unfolded:
    torch.manual_seed(5)
    model = Unfolded(config, Frame(dtype)).eval().requires_grad_(False)
    return model.double() if dtype is torch.float64 else model


def scene(channels: int, height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    g = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, channels, 5, 6, generator=g, dtype=dtype)
    return F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=True)


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("size", [(17, 31), (16, 20)], ids=str)
def test_any_size_is_extended_by_reflection_once(size: tuple[int, int], plus: bool) -> None:
    model, y = method(DeblurConfig(plus=plus, **TINY)), scene(3, *size)
    height, width = size
    whole = F.pad(y, (0, -width % 8, 0, -height % 8), mode="reflect")
    expected = list(model.solver().iterate(Problem(whole)))
    found = list(model.solver().iterate(Problem(y)))
    assert len(found) == 4
    for a, b in zip(found, expected, strict=True):
        assert a.x.shape == y.shape
        torch.testing.assert_close(a.x, b.x[..., :height, :width])


def test_sensing_takes_any_size() -> None:
    model, y = method(SenseConfig(**TINY)), scene(1, 40, 50)
    whole = F.pad(y, (0, 14, 0, 24), mode="reflect")
    torch.testing.assert_close(model.run(Problem(y)).x, model.run(Problem(whole)).x[..., :40, :50])


@pytest.mark.parametrize("kind", [DeblurConfig, SenseConfig])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_networks_of_any_number_of_channels(kind: type[DGUNetConfig], channels: int) -> None:
    model, y = method(kind(channels=channels, **TINY)), scene(channels, 24, 32)
    result = model.run(Problem(y))
    assert result.outcome is Outcome.COMPLETED
    assert result.x.shape == y.shape
    with pytest.raises(ConfigError, match="set channels=5") if channels > 1 else pytest.MonkeyPatch.context():
        model.run(Problem(scene(5, 24, 32)))


@pytest.mark.parametrize("kind", [DeblurConfig, SenseConfig])
def test_a_network_of_one_channel_takes_channels_one_by_one(kind: type[DGUNetConfig]) -> None:
    model, y = method(kind(channels=1, **TINY)), scene(3, 17, 40)
    alone = torch.cat([model.run(Problem(y[:, i : i + 1])).x for i in range(3)], 1)
    torch.testing.assert_close(model.run(Problem(y)).x, alone)


def test_bfloat16_is_near_float32() -> None:
    y = scene(3, 40, 48, torch.float32)
    for config in (DeblurConfig(**TINY), DeblurConfig(plus=True, **TINY), SenseConfig(channels=3, **TINY)):
        exact = method(config, torch.float32).run(Problem(y)).x
        low = method(config, torch.bfloat16).run(Problem(y)).x
        assert low.dtype is torch.float32
        assert 0 < float((low - exact).abs().max()) < 0.02


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (40, 33)], ids=str)
@pytest.mark.parametrize(
    "config", [DerainConfig(**TINY), DerainConfig(plus=True, **TINY), SenseConfig(**TINY)], ids=str
)
def test_degenerate_pictures(config: DGUNetConfig, size: tuple[int, int]) -> None:
    y = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1).expand(3, 3, *size)
    for dtype in (torch.float32, torch.bfloat16):
        result = method(config, dtype).run(Problem(y))
        assert bool(torch.isfinite(result.x).all())
        assert result.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("stages", [3, 9])
def test_a_tied_network_has_any_number_of_stages(stages: int) -> None:
    few = method(DerainConfig(**{**TINY, "stages": 5}))
    more = method(DerainConfig(**{**TINY, "stages": stages}))
    more.load_state_dict(few.state_dict())
    assert len(more.solver().steps) == stages


def test_all_four_are_in_the_catalogue() -> None:
    assert [s.name for s in SPECS] == ["dgunet-deblur", "dgunet-denoise", "dgunet-derain", "dgunet-sense"]
    assert all(catalogue()[s.name] is s and s.weights == s.name and not s.needs.kernel for s in SPECS)


@pytest.mark.parametrize(
    ("ratio", "rows"), [(0.01, 11), (0.04, 41), (0.1, 103), (0.25, 256), (0.5, 512), (1.0, 1024), (0.07, 72)]
)
def test_measurements_of_a_block(ratio: float, rows: int) -> None:
    assert SenseConfig(ratio=ratio).size().rows == rows


@pytest.mark.parametrize("wrong", [{"ratio": 0.0}, {"ratio": 1.1}, {"width": 10}, {"width": 8.0}, {"growth": True}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SenseConfig(**wrong)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
def test_weights_of_the_other_kind_are_told_apart(spec: Any) -> None:
    for plus in (True, False):
        weights = spec.build(plus=plus, **TINY).state_dict()
        with pytest.raises(WeightsError, match=f"do not fit {spec.name}.*sets.*set plus={plus}"):
            spec.build(weights=weights, plus=not plus, **TINY)
        three = {**TINY, "plus": plus, "stages": 3}
        again = spec.build(weights=spec.build(**three).state_dict(), **three)
        assert len(again.solver().steps) == 3
    with pytest.raises(WeightsError, match=f"do not fit {spec.name}"):
        spec.build(weights={"nonsense": torch.zeros(1)}, **TINY)
    with pytest.raises(WeightsError, match=r"width 8 instead of 12$"):
        spec.build(weights=spec.build(**TINY).state_dict(), **{**TINY, "width": 12})
    with pytest.raises(ConfigError, match="its settings are"):
        spec.build(weights=weights, momentum=0.9)


def test_a_file_of_the_authors(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(8)
    theirs = {name: 0.02 * torch.randn(shape, generator=g) for name, shape in json.loads(KEYS.read_text())}
    torch.save({"epoch": 9, "state_dict": {f"module.{k}": v for k, v in theirs.items()}}, tmp_path / "derain.pth")
    restorer = Restorer.load("dgunet-derain", weights=tmp_path / "derain.pth", device="cpu", precision="float32")
    assert isinstance(restorer.method, Unfolded)
    assert torch.equal(restorer.method.network.stages[2].tail.weight, theirs["tail.weight"])  # type: ignore[union-attr]
    for channels in (1, 3):
        restored = restorer(scene(channels, 19, 25, torch.float32)[:1])
        assert restored.image.pixels.shape == (1, channels, 19, 25)
        assert restored.outcome is Outcome.COMPLETED
    with pytest.raises(WeightsError, match="do not fit dgunet-deblur"):
        Restorer.load("dgunet-deblur", weights=tmp_path / "derain.pth", device="cpu")
    with pytest.raises(WeightsError, match="no sampling matrix"):
        Restorer.load("dgunet-sense", weights=tmp_path / "derain.pth", device="cpu")
    with pytest.raises(WeightsError, match="do not fit dgunet-derain as it was set: sets 3 instead of 5"):
        Restorer.load("dgunet-derain", device="cpu", plus=True)
