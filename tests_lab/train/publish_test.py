"""What may be shipped: better than what is shipped, and than the pictures it is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError
from acutance_lab.train import publish as module
from acutance_lab.train.publish import averaged, objection, publish
from acutance_lab.train.validate import Score


def score(psnr: float, *levels: float, blurred: float = 25.0) -> Score:
    return Score(steps=(5,), psnr=(psnr,), blurred=blurred, minutes=0.0, iteration=0, levels=levels)


def test_objections() -> None:
    assert objection(score(30.0), score(29.0)) == ""
    assert "better" in objection(score(29.0), score(29.0))
    assert "0.2 % noise" in objection(score(30.0, 28.0), score(29.0, 28.2))
    assert objection(score(30.0, 28.0), score(29.0, 28.05)) == ""


def test_a_kernel_size_that_is_worse_is_an_objection() -> None:
    new, old = replace(score(30.0), spans=(40.0, 28.0)), replace(score(29.0), spans=(39.0, 28.2))
    assert "kernels of 7 pixels they are 0.20 dB worse" in objection(new, old)
    assert objection(new, replace(old, spans=(39.0, 28.05))) == ""


def test_weights_that_do_harm_are_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"method": "golf", "model": {}}
    monkeypatch.setattr(module.checkpoint, "load", lambda _: ({"ema.w": torch.zeros(1)}, record))
    monkeypatch.setattr(module, "examine", lambda *_: score(24.9))

    def never(*_: object, **__: object) -> str:
        raise AssertionError("nothing is written")

    monkeypatch.setattr(module, "write_weights", never)
    with pytest.raises(ConfigError, match=r"better before.*24\.90 dB after 5 steps \(blurred 25\.00\)"):
        publish(tmp_path, name="golf", version="golf-0", data=tmp_path)


def test_the_mean_with_what_is_shipped() -> None:
    old = {"a": torch.tensor([1.0, 2.0]), "gains": torch.ones(2, 1)}
    new = {"a": torch.tensor([3.0, 2.0]), "gains": torch.full((2, 2), 5.0)}
    mean = averaged(new, old, 0.25)
    assert torch.equal(mean["a"], torch.tensor([1.5, 2.0]))
    assert torch.equal(mean["gains"], torch.tensor([[2.0, 1.25]] * 2)), "columns that were not there count as zeros"
    for other in ({"a": torch.zeros(3), "gains": torch.ones(2, 1)}, {"a": torch.zeros(2)}):
        with pytest.raises(ConfigError, match="another network"):
            averaged(new, other, 0.5)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_a_share_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(module.checkpoint, "load", lambda _: ({}, {"method": "acute", "model": {}}))
    with pytest.raises(ConfigError, match="above 0"):
        publish(tmp_path, name="acute", version="acute-0", data=None, share=share)
