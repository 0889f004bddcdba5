"""The price of an unknown border: windows restored alone and within their picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from acutance.errors import ConfigError
from acutance.operators import Blur
from acutance_lab.bench.case import Case, Content, Noise, Suite
from acutance_lab.bench.run import run
from acutance_lab.bench.score import OUTER, Scoring
from acutance_lab.bench.tables import border_table
from acutance_lab.bench.window import AROUND, MARGIN, window_suite


def suite(size: int, scoring: Scoring = Scoring()) -> Suite:  # noqa: B008
    """One smooth picture, blurred with a box, nearly without noise."""
    i, j = torch.meshgrid(torch.arange(size + 8.0), torch.arange(size + 8.0), indexing="ij")
    sharp = (0.5 + 0.2 * torch.sin(i / 6) + 0.2 * torch.cos(j / 5 + i / 9))[None, None]
    kernel = torch.full((1, 1, 9, 9), 1 / 81)

    def load() -> Content:
        noise = 1e-3 * torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
        return Content(Blur(kernel).forward(sharp) + noise, kernel, sharp[..., 4:-4, 4:-4], 1e-3, scoring)

    def cases(folder: Path, noise: Noise) -> list[Case]:
        return [Case("smooth", "waves", "box", noise, load)]

    return Suite("smooth", "waves", "none", (0.001,), cases, files=False)


def test_a_window_alone_costs_its_border() -> None:
    alone, within = run(window_suite(suite(2 * MARGIN + 70)), ["wiener"])
    assert [(r.varied, r.value) for r in (alone, within)] == [(AROUND, 0), (AROUND, MARGIN)]
    assert alone.width == 70
    assert within.width == 2 * MARGIN + 70
    assert alone.psnr_border is not None
    assert within.psnr_border is not None
    cost = within.psnr_border - alone.psnr_border
    assert cost > 0.5, "less is known at the border"
    assert within.psnr_blurred == pytest.approx(alone.psnr_blurred, abs=0.01), "the same pixels are scored"
    shown = f"| wiener | 0.1 % | {alone.psnr_border:.2f} | {within.psnr_border:.2f} | {cost:.2f} |"
    assert shown in border_table([alone, within])


def test_a_picture_without_a_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="too few for a window"):
        run(window_suite(suite(2 * (MARGIN + OUTER))), ["wiener"])
    with pytest.raises(ConfigError, match="without alignment"):
        run(window_suite(suite(200, Scoring(border=5, shift=2))), ["wiener"])
