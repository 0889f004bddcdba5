"""The plain step is the same step; the table says what was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from acutance.errors import ConfigError
from acutance.methods.rgdn import Rgdn, build
from acutance.methods.spec import find
from acutance.problem import Problem, State
from acutance_lab.bench.speed import Speed, compare, example, leaves, speed_table
from acutance_lab.bench.speed_plain import plain_dgunet, plain_golf, plain_network, plain_step


def small(form: Any = "paper", *, precision: Any = "float32") -> Rgdn:
    torch.manual_seed(2)
    model = build(form=form, features=8, precision=precision, tile=None)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):  # statistics away from their start, so that folding has something to do
            assert m.running_mean is not None
            assert m.running_var is not None
            m.running_mean.normal_(0, 0.02)
            m.running_var.uniform_(0.8, 1.2)
    return model


@pytest.mark.parametrize("form", ["paper", "released"])
def test_both_steps_are_the_same(form: Any) -> None:
    model = small(form)
    _, problem = example(40, 44)
    with torch.no_grad():
        x = problem.start()
        ours = model.solver().steps[0](problem, State(x)).x
        plain = plain_step(model, problem)(x)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


def test_the_plain_network_is_made_of_torchs_own_layers() -> None:
    network = plain_network(small().prior)
    assert {type(m) for m in network} == {nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU}
    assert not network.training
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize("name", ["golf", "dgunet-deblur", "dgunet-denoise"])
def test_the_plain_networks_are_the_same(name: str) -> None:
    torch.manual_seed(4)
    sizes: dict[str, Any] = {"drive": 8, "putt": 6} if name == "golf" else {"width": 8, "growth": 4, "stages": 3}
    model: Any = find(name).build(precision="float32", **sizes)
    for p in model.parameters():
        p.data += 0.01 * torch.randn_like(p)
    y = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        plain = (plain_golf if name == "golf" else plain_dgunet)(model)
        torch.testing.assert_close(model.run(Problem(y)).x, plain(y), rtol=1e-3, atol=1e-4)
    assert compare(model, 40, 48, runs=1).psnr_between > 60


def test_pairs_are_measured_and_results_agree() -> None:
    found = compare(small(), 48, 40, runs=3)
    assert (found.height, found.width) == (48, 40)
    assert len(found.ours) == len(found.plain) == len(found.ratios) == 3
    assert min(found.ours + found.plain) > 0
    assert found.ratio == sorted(found.ratios)[1]
    assert abs(found.psnr_ours - found.psnr_plain) < 0.01
    assert found.psnr_between > 80
    assert "torch" in found.hardware


def test_bfloat16_stays_close() -> None:
    found = compare(small(precision="bfloat16"), 48, 40, runs=2)
    assert found.psnr_between > 40


def test_the_table_has_a_row_for_each_size() -> None:
    first = Speed(256, 256, (1.0, 2.0, 4.0), (4.0, 10.0, 12.0), 25.0, 25.01, 60.0, "a processor")
    table = speed_table([first, replace(first, height=720, width=1280)])
    assert "| 256x256 | 2.000 | 10.000 | 4.0 | 4.0 5.0 3.0 | 25.00 / 25.01 (-0.010) / 60.0 dB |" in table
    assert "| 1280x720 |" in table
    assert table.count("a processor") == 1


@pytest.mark.parametrize(("runs", "training"), [(0, False), (1, True)])
def test_what_makes_no_sense_is_refused(runs: int, training: bool) -> None:
    with pytest.raises(ConfigError):
        compare(small().train(training), 32, 32, runs=runs)


def test_the_scene_is_a_picture_on_a_torus() -> None:
    x = leaves(60, 50, seed=3)
    assert x.shape == (1, 3, 60, 50)
    assert 0 <= float(x.min()) < float(x.max()) <= 1
    assert torch.equal(x, leaves(60, 50, seed=3))
    assert not torch.equal(x, leaves(60, 50, seed=4))
    inside = float(x.diff(dim=-1).abs().mean())
    across = float((x[..., 0] - x[..., -1]).abs().mean())
    assert across < 2 * inside, "no seam where the picture is wrapped"
