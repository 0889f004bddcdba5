"""SqueezeNet as a judge: torchvision's names and sizes, and both kinds of input."""

from __future__ import annotations

import pytest
import torch

from acutance_lab.train.judges import CAFFE_MEAN, DEVIATION, LEAST, MEAN, SqueezeNet


def test_the_network_is_torchvisions() -> None:
    """`squeezenet1_1()` has 1,235,496 weights, of which its classifier, 512 -> 1000, has 513,000."""
    judge = SqueezeNet()
    assert sum(p.numel() for p in judge.parameters()) == 1_235_496 - 513_000
    places = {f"features.{i}.expand3x3.weight" for i in (3, 4, 6, 7, 9, 10, 11, 12)} | {"features.0.weight"}
    assert places <= set(judge.state_dict())
    assert len(judge.state_dict()) == 2 + 8 * 6
    assert not any(p.requires_grad for p in judge.parameters())


@pytest.mark.parametrize(("size", "expected"), [((LEAST, LEAST), (1, 1)), ((64, 97), (3, 6)), ((227, 224), (14, 13))])
def test_shapes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert SqueezeNet()(torch.rand(2, 3, *size)).shape == (2, 512, *expected)


def test_grey_is_three_equal_channels() -> None:
    judge, x = SqueezeNet(caffe=True), torch.rand(1, 1, 40, 40)
    torch.testing.assert_close(judge(x), judge(x.expand(-1, 3, -1, -1)))


def test_weights_of_caffe_see_what_they_are_used_to(generator: torch.Generator) -> None:
    """The same network in both forms: its first convolution is turned round and scaled from one input to the other."""
    plain, caffe = SqueezeNet(), SqueezeNet(caffe=True)
    x = torch.rand(1, 3, 48, 48, generator=generator)
    weights = {k: v.clone() for k, v in plain.state_dict().items()}
    deviation, mean, other = (torch.tensor(v)[:, None, None] for v in (DEVIATION, MEAN, CAFFE_MEAN))
    first = weights["features.0.weight"]
    weights["features.0.weight"] = (first / deviation / 255).flip(1)
    weights["features.0.bias"] += (first * (other - mean) / deviation).sum((1, 2, 3))
    caffe.load_state_dict(weights)
    torch.testing.assert_close(caffe(x), plain(x), rtol=1e-3, atol=1e-5)
