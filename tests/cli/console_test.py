"""How numbers are read from the command line."""

from __future__ import annotations

import pytest

from acutance.cli.console import parse_level, parse_levels, parse_numbers
from acutance.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [("1%", 0.01), ("2.55/255", 0.01), ("0.01", 0.01), (" 0.59 % ", 0.0059), (None, None)],
)
def test_levels(text: str | None, value: float | None) -> None:
    assert parse_level(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "one", "0", "0%", "80%", "-1%", "1/0", "nan", "1%%"])
def test_no_levels(text: str) -> None:
    with pytest.raises(ConfigError, match=r"2\.55/255"):
        parse_level(text)


def test_a_benchmark_may_have_no_noise() -> None:
    assert parse_level("0%", zero=True) == 0
    assert parse_levels("captured,0,1,2.55/255") == [None, 0, 0.01, pytest.approx(0.01)]


def test_numbers() -> None:
    assert parse_numbers("15,-30", 2, "--motion", "LENGTH,ANGLE") == (15, -30)
    for wrong in ("15", "15,30,1", "a,b", "inf,0", "nan,1"):
        with pytest.raises(ConfigError):
            parse_numbers(wrong, 2, "--motion", "LENGTH,ANGLE")
