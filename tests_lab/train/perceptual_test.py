"""The perceptual loss: its network, its door, what it measures, and its place in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from acutance.errors import ConfigError, MissingExtra, WeightsError
from acutance.methods.golf import Golf, GolfConfig
from acutance.problem import Problem
from acutance_lab.synth import Example
from acutance_lab.train.config import LossConfig
from acutance_lab.train.episodes import Unroll
from acutance_lab.train.judges import SqueezeNet, Vgg11
from acutance_lab.train.perceptual import Perceptual
from acutance_lab.train.pool import Work


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights as torchvision would write them, the classifier included."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("judge") / "vgg11_bn.pth"
    torch.save({**Vgg11().state_dict(), "classifier.0.weight": torch.rand(4, 4)}, path)
    return path


def test_the_network_is_torchvisions() -> None:
    """Names, order and number of weights of `vgg11_bn().features`: 9,220,480 convolution weights and biases."""
    judge = Vgg11()
    convolutions = [m for m in judge.features if isinstance(m, nn.Conv2d)]
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == 9_220_480
    places = {"features.0.weight", "features.4.weight", "features.8.weight", "features.11.weight", "features.25.weight"}
    assert places <= set(judge.state_dict())
    assert judge(torch.rand(2, 3, 70, 33)).shape == (2, 512, 2, 1)
    assert not judge.train().features.training


def test_what_it_measures(file: Path, generator: torch.Generator) -> None:
    loss = Perceptual.load(str(file))
    x = torch.rand(1, 3, 64, 64, generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    assert float(loss(x, x)) == 0
    values = [float(loss(x + s * noise, x)) for s in (0.02, 0.1, 0.3)]
    assert 0 < values[0] < values[1] < values[2]
    grey = x[:, :1]
    assert float(loss(grey, grey + 0.1)) > 0
    moved = (x + 0.1 * noise).requires_grad_()
    loss(moved, x).backward()
    assert float(moved.grad.abs().sum()) > 0  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="at least 32 pixels"):
        loss(x[..., :31], x[..., :31])


def test_doors(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"features.0.weight": torch.rand(2, 2)}, tmp_path / "other.pth")
    wrong: dict[str, Tensor] = {**torch.load(file, weights_only=True), "features.0.weight": torch.rand(2, 2)}
    torch.save(wrong, tmp_path / "wrong.pth")
    for name in ("nothing.pth", "other.pth", "wrong.pth"):
        with pytest.raises(WeightsError):
            Perceptual.load(str(tmp_path / name))
    monkeypatch.setitem(__import__("sys").modules, "torchvision", None)
    with pytest.raises(MissingExtra, match=r"acutance\[perceptual\]"):
        Perceptual.load("torchvision")


def test_squeezenet_judges_where_vgg_cannot_be_had(tmp_path: Path, generator: torch.Generator) -> None:
    """Told apart by the names of its weights; a file may say that they are Caffe's."""
    torch.manual_seed(5)
    weights = SqueezeNet().state_dict()
    torch.save({**weights, "classifier.1.weight": torch.rand(4, 4)}, tmp_path / "squeezenet.pth")
    save_file(weights, tmp_path / "plain.safetensors")
    save_file(weights, tmp_path / "caffe.safetensors", metadata={"input": "BGR, 0..255 minus (104,117,123)"})
    x = torch.rand(1, 3, 48, 48, generator=generator)
    values = []
    for name in ("squeezenet.pth", "plain.safetensors", "caffe.safetensors"):
        loss = Perceptual.load(str(tmp_path / name))
        assert isinstance(loss.judge, SqueezeNet)
        assert loss.judge.caffe == name.startswith("caffe")
        values.append(float(loss(x, (x + 0.1).clamp(0, 1))))
    assert 0 < values[0] == values[1] < values[2]
    save_file({"features.3.squeeze.weight": torch.rand(16, 64, 1, 1)}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"holds no SqueezeNet 1\.1"):
        Perceptual.load(str(tmp_path / "part.safetensors"))


def test_in_training_it_is_added_with_its_weight(file: Path, generator: torch.Generator) -> None:
    torch.manual_seed(2)
    golf: Any = Golf(GolfConfig(drive=3, putt=3, putts=1))
    y, sharp = (torch.rand(1, 3, 40, 40, generator=generator) for _ in range(2))
    example = Example(sharp, Problem(y))

    def loss(weight: float) -> Tensor:
        config = LossConfig(kind="mse", gradient=0.0, growth=0.0, perceptual=weight, judge=str(file))
        value: Tensor = Unroll(golf, config)(Work(example, 2))
        return value

    plain, some, more = (loss(weight) for weight in (0.0, 0.5, 1.0))
    judge = Perceptual.load(str(file))
    estimates = [state.x for state in golf.solver().iterate(Problem(y))]
    expected = torch.stack([judge(x, sharp) for x in estimates]).mean()
    torch.testing.assert_close(some - plain, 0.5 * expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(more - plain, expected, rtol=1e-3, atol=1e-6)
    more.backward()
    assert all(p.grad is not None for p in golf.parameters())
