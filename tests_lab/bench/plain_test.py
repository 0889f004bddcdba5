"""The plain form of a network is the same network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from acutance.errors import ConfigError
from acutance.methods.rgdn import Rgdn, build
from acutance.methods.spec import find
from acutance.operators import Blur
from acutance.problem import Problem, State
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.plain import Plain, plain_dgunet, plain_golf, plain_network, plain_step
from acutance_lab.bench.run import run
from acutance_lab.bench.scenes import scene_suite
from acutance_lab.cli.app import app
from acutance_lab.synth import kernels


def small(form: Any = "paper", *, precision: Any = "float32") -> Rgdn:
    torch.manual_seed(2)
    model = build(form=form, features=8, steps=2, threshold=0.0, precision=precision, tile=None)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):  # statistics away from their start, so that folding has something to do
            assert m.running_mean is not None
            assert m.running_var is not None
            m.running_mean.normal_(0, 0.02)
            m.running_var.uniform_(0.8, 1.2)
    return model


def example(height: int, width: int) -> Problem:
    generator = torch.Generator().manual_seed(0)
    blur = Blur(kernels.spline(1, 19, generator, size=19))
    return Problem(blur.forward(torch.rand(1, 3, height + 18, width + 18, generator=generator)), blur)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_both_steps_are_the_same(form: Any) -> None:
    model = small(form)
    problem = example(40, 44)
    with torch.no_grad():
        x = problem.start()
        ours = model.solver().steps[0](problem, State(x)).x
        plain = plain_step(model, problem)(x)
        whole, plainly = model.run(problem).x, Plain.of(model).run(problem).x
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole, plainly, rtol=1e-3, atol=1e-4)


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
        torch.testing.assert_close(Plain.of(model).run(Problem(y)).x, plain(y))


def test_bfloat16_stays_close() -> None:
    model, problem = small(precision="bfloat16"), example(48, 40)
    off = model.run(problem).x - Plain.of(model).run(problem).x
    assert float(off.square().mean()) < 1e-4 * float(problem.observed.square().mean())


def test_pairs_take_turns_and_agree() -> None:
    methods = ["golf:drive=8,putt=6,untrained=true", "golf:drive=8,putt=6,untrained=true,plain=true"]
    ours, plain = run(scene_suite(48, 40, channels=3, kernel=7), methods, rounds=2, device="cpu")
    assert [r.method for r in (ours, plain)] == [Contender.parse(m).label for m in methods]
    assert ours.rounds is not None
    assert len(ours.rounds) == 2
    assert ours.psnr == pytest.approx(plain.psnr, abs=0.05)
    assert plain.ratio(ours) > 0


@pytest.mark.parametrize("method", ["wiener:plain=true", "dgunet-sense:plain=true,untrained=true"])
def test_a_method_without_a_plain_form_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match="plain form"):
        Contender.parse(method).load("cpu")


def test_the_command() -> None:
    golf = "golf:drive=8,putt=6,untrained=true"
    size = ["--size", "48", "--channels", "3", "--kernel", "19", "--runs", "1"]
    result = CliRunner().invoke(app, ["bench", "times", "--methods", f"{golf},{golf},plain=true", *size])
    assert result.exit_code == 0, result.output
    assert "48x48, colour, kernel 19x19" in result.output
    words = ["bench", "times", "--methods", "wiener,wiener:plain=true", *size]
    assert isinstance(CliRunner().invoke(app, words).exception, ConfigError)
