"""A kernel that is nearly right becomes more so."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from blind.scenes import shaken

from acutance.blind.choice import choose
from acutance.blind.hypothesis import Hypothesis, Look
from acutance.blind.polish import polished
from acutance.metrics import kernel_similarity
from acutance.psf import shapes


def test_a_smoothed_kernel_becomes_sharper() -> None:
    _, y, k = shaken()
    soft = F.conv2d(k, shapes.disc(1.0), padding=shapes.disc(1.0).shape[-1] // 2)
    found = polished(Look.of(y), Hypothesis(soft / soft.sum(), linear=False, size=15)).kernel
    assert float(kernel_similarity(found, k)) > float(kernel_similarity(soft, k)) + 0.05
    assert float(found.sum()) == pytest.approx(1)
    assert float(found.min()) >= 0


def test_what_is_masked_does_not_matter() -> None:
    _, y, k = shaken()
    usable = torch.ones_like(y, dtype=torch.bool)
    usable[..., 40:60, 40:60] = False
    spoilt = torch.where(usable, y, 0.5)
    found = polished(Look.of(spoilt, usable=usable), Hypothesis(k, linear=False, size=15)).kernel
    assert float(kernel_similarity(found, k)) > 0.9


def test_a_picture_smaller_than_two_kernels_leaves_it() -> None:
    _, y, k = shaken()
    hypothesis = Hypothesis(k, linear=False, size=15)
    assert polished(Look.of(y[..., : 2 * k.shape[-1], :]), hypothesis) is hypothesis


@pytest.mark.parametrize("size", [None, 15])
def test_it_is_part_of_the_search(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge takes the polished kernel where it expects more of it."""
    _, y, k = shaken()
    monkeypatch.setattr("acutance.blind.choice.polished", lambda look, h, course: Hypothesis(k, h.linear, h.size))
    assert float(kernel_similarity(choose(Look.of(y), size=size).kernel, k)) > 0.99
