"""Tables into dataclasses: what fits is converted, what does not is named."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from acutance.errors import ConfigError
from acutance.settings import from_table


@dataclass(frozen=True)
class Inner:
    """Nested."""

    side: int = 3


@dataclass(frozen=True)
class Outer:
    """One field of each kind."""

    name: str
    level: float = 1.0
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    pair: tuple[int, float] = (1, 2.0)
    many: tuple[Inner, ...] = ()
    inner: Inner = Inner()
    maybe: float | None = None
    either: int | str = 0
    table: dict[str, Any] = field(default_factory=dict)
    anything: list[int] | None = None
    made: int = field(default=7, init=False)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, Outer("x")),
        ({"level": 2}, Outer("x", level=2.0)),
        ({"pair": [3, 4]}, Outer("x", pair=(3, 4.0))),
        ({"many": [{"side": 5}, {}]}, Outer("x", many=(Inner(5), Inner()))),
        ({"inner": {"side": 5}}, Outer("x", inner=Inner(5))),
        ({"maybe": 3}, Outer("x", maybe=3.0)),
        ({"maybe": None}, Outer("x")),
        ({"either": "word"}, Outer("x", either="word")),
        ({"table": {"a": 1}}, Outer("x", table={"a": 1})),
        ({"anything": [1]}, Outer("x", anything=[1])),
    ],
    ids=str,
)
def test_what_fits_is_converted(table: dict[str, Any], expected: Outer) -> None:
    found = from_table(Outer, {"name": "x", **table}, where="here")
    assert found == expected
    assert isinstance(found.level, float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"levle": 1}, "here has no setting 'levle' (did you mean level?); its settings are name, level"),
        ({"made": 1}, "here has no setting 'made'"),
        ({"level": "1"}, "here: level='1' must be of type float"),
        ({"level": True}, "here: level=True must be of type float"),
        ({"level": None}, "here: level=None must be of type float"),
        ({"level": math.inf}, "here: level=inf is no finite number"),
        ({"flag": 1}, "here: flag=1 must be of type bool"),
        ({"kind": "c"}, "here: kind='c' is not one of a, b"),
        ({"pair": [1]}, "here: pair must have 2 values, not 1"),
        ({"pair": 1}, "here: pair must be a list"),
        ({"inner": 1}, "here: inner must be a table"),
        ({"inner": {"side": True}}, "here: inner: side=True must be of type int"),
        ({"many": [{"sides": 1}]}, "here: many has no setting 'sides' (did you mean side?)"),
        ({"table": 1}, "here: table must be a table"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_table(Outer, {"name": "x", **table}, where="here")
    assert message in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="here: the key 'name' is missing"):
        from_table(Outer, {}, where="here")


def test_null_may_stand_for_a_number() -> None:
    found = from_table(Outer, {"name": "x", "level": None, "pair": [1, None]}, where="here", null=math.nan)
    assert math.isnan(found.level)
    assert math.isnan(found.pair[1])
    assert found.maybe is None
