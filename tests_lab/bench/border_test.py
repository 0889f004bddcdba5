"""The price of an unknown border: windows restored alone and within their picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError
from acutance.operators import Blur
from acutance_lab.bench.border import BAND, MARGIN, border_cost, border_table
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.score import Scoring


def suite(size: int, scoring: Scoring = Scoring()) -> Suite:  # noqa: B008
    """One smooth picture, blurred with a box, nearly without noise."""
    i, j = torch.meshgrid(torch.arange(size + 8.0), torch.arange(size + 8.0), indexing="ij")
    sharp = (0.5 + 0.2 * torch.sin(i / 6) + 0.2 * torch.cos(j / 5 + i / 9))[None, None]
    kernel = torch.full((1, 1, 9, 9), 1 / 81)

    def load() -> Content:
        noise = 1e-3 * torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
        return Content(Blur(kernel).forward(sharp) + noise, kernel, sharp[..., 4:-4, 4:-4], 1e-3, scoring)

    def cases(folder: Path, noises: Sequence[Noise]) -> list[Case]:
        return [Case("smooth", "waves", "box", noise, load) for noise in noises]

    return Suite("smooth", "waves", "none", (0.001,), cases)


def test_a_window_alone_costs_its_border(tmp_path: Path) -> None:
    (found,) = border_cost(suite(2 * MARGIN + 70), ["wiener"], data=tmp_path)
    assert found.cases == 1
    assert found.cost > 0.5, "less is known at the border"
    assert found.cost == pytest.approx(found.within - found.alone)
    assert f"| wiener | 0.1 % | {found.alone:.2f} | {found.within:.2f} | {found.cost:.2f} |" in border_table([found])


def test_a_picture_without_a_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too few for a window"):
        border_cost(suite(2 * (MARGIN + BAND)), ["wiener"], data=tmp_path)
    with pytest.raises(ConfigError, match="without alignment"):
        border_cost(suite(200, Scoring(border=5, shift=2)), ["wiener"], data=tmp_path)
