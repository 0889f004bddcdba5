"""A training run as values: what is read, and what is refused with its name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from acutance.errors import ConfigError
from acutance.methods.spec import find
from acutance.settings import from_table
from acutance_lab.synth import Degradation
from acutance_lab.train.config import DegradationConfig, Phase, TrainConfig, read_config
from acutance_lab.train.episodes import synthesis

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))
PHASE: dict[str, Any] = {"until": 1.0, "batch": 2, "crop": 16, "steps": 2, "windows": 1, "spans": [3, 5]}
PHASE_TOML = "[[phases]]\nuntil = 1.0\nbatch = 2\ncrop = 16\nsteps = 2\nwindows = 1\nspans = [3, 5]\n"
TABLE: dict[str, Any] = {"method": "rgdn", "phases": [PHASE]}


def read(table: dict[str, Any]) -> TrainConfig:
    return from_table(TrainConfig, table, where="a.toml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_configuration_of_the_project_is_valid(path: Path) -> None:
    config = read_config(path)
    assert str(find(config.method).weights) in path.stem
    synthesis(config)


def test_the_smallest_configuration_has_the_defaults() -> None:
    config = read(TABLE)
    assert config.phases == (Phase(until=1.0, batch=2, crop=16, steps=2, windows=1, spans=(3, 5)),)
    assert config == TrainConfig(method="rgdn", phases=config.phases)


def test_a_run_has_one_task() -> None:
    config = read({**TABLE, "method": "dgunet-derain", "rain": {"layers": 2}})
    assert config.rain is not None
    assert config.rain.layers == 2
    assert synthesis(config) is config.rain
    assert synthesis(read({**TABLE, "sensed": {}})).margin(5) == 0
    with pytest.raises(ConfigError, match="motion and noise together"):
        read({**TABLE, "motion": {}, "noise": {}})


def test_all_tables_are_read() -> None:
    config = read(
        {
            **TABLE,
            "seed": 7,
            "frozen_statistics": 1,
            "model": {"features": 8, "form": "paper"},
            "optimiser": {"learning_rate": 1, "clip": 0.5},
            "loss": {"kind": "mse"},
            "degradation": {"kernels": "spline", "sigma": [0.01, 0.02], "boundary": "zero"},
            "validation": {"steps": [1, 2, 3], "levels": [0.01, 0.5]},
            "one_channel": 1,
        }
    )
    assert (config.seed, config.frozen_statistics, config.model) == (7, 1.0, {"features": 8, "form": "paper"})
    assert isinstance(config.frozen_statistics, float), "a whole number is a number as well"
    assert isinstance(config.optimiser.learning_rate, float)
    assert (config.loss.kind, config.loss.gradient) == ("mse", 0.1)
    assert config.degradation.sigma == (0.01, 0.02)
    assert config.validation.steps == (1, 2, 3)
    assert config.validation.levels == (0.01, 0.5)
    assert isinstance(config.one_channel, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sed": 1},
            "a.toml has no setting 'sed' (did you mean seed or sensed?); its settings are method, phases, seed",
        ),
        ({"optimiser": {"lr": 1.0}}, "a.toml: optimiser has no setting 'lr'; its settings are kind, learning_rate"),
        ({"phases": [{**PHASE, "kernels": [3]}]}, "a.toml: phases has no setting 'kernels'"),
        ({"seed": "one"}, "a.toml: seed='one' must be of type int"),
        ({"seed": 1.5}, "a.toml: seed=1.5 must be of type int"),
        ({"seed": True}, "a.toml: seed=True must be of type int"),
        ({"frozen_statistics": True}, "a.toml: frozen_statistics=True must be of type float"),
        ({"frozen_statistics": "0"}, "a.toml: frozen_statistics='0' must be of type float"),
        ({"method": 3}, "a.toml: method=3 must be of type str"),
        ({"model": 3}, "a.toml: model must be a table"),
        ({"loss": "mse"}, "a.toml: loss must be a table"),
        ({"loss": {"kind": "l2"}}, "a.toml: loss: kind='l2' is not one of log-mse, ratio, mse, l1"),
        ({"degradation": {"masked": 1}}, "a.toml: degradation: masked=1 must be of type bool"),
        ({"validation": {"levels": 0.01}}, "a.toml: validation: levels must be a list"),
        ({"validation": {"steps": []}}, "steps=(): give rising numbers, at least 1"),
        ({"validation": {"steps": [0, 5]}}, "steps=(0, 5): give rising numbers"),
        ({"validation": {"steps": [5, 1]}}, "steps=(5, 1): give rising numbers"),
        ({"validation": {"steps": [5, 5]}}, "steps=(5, 5): give rising numbers"),
        ({"degradation": {"boundary": "mirror"}}, "boundary='mirror' is not one of valid, zero"),
        ({"degradation": {"sigma": 0.01}}, "a.toml: degradation: sigma must be a list"),
        ({"degradation": {"sigma": [0.01]}}, "a.toml: degradation: sigma must have 2 values, not 1"),
        ({"degradation": {"sigma": [0.01, "0.02"]}}, "sigma='0.02' must be of type float"),
        ({"phases": PHASE}, "a.toml: phases must be a list"),
        ({"phases": [3]}, "a.toml: phases must be a table"),
        ({"phases": [{**PHASE, "spans": [3.5]}]}, "spans=3.5 must be of type int"),
        ({"phases": [{k: v for k, v in PHASE.items() if k != "crop"}]}, "a.toml: phases: the key 'crop' is missing"),
        ({"phases": []}, "phases must end at rising fractions"),
        ({"phases": [{**PHASE, "until": 0.9}]}, "the last at 1, not"),
        ({"phases": [{**PHASE, "until": 0.9}, {**PHASE, "until": 0.5}, PHASE]}, "rising fractions"),
        ({"phases": [{**PHASE, "spans": [3, 4]}]}, "kernel sizes must be odd"),
        ({"phases": [{**PHASE, "spans": []}]}, "at least one kernel size"),
        ({"phases": [{**PHASE, "steps": 0}]}, "steps=0: give at least 1"),
        ({"phases": [{**PHASE, "windows": 0}]}, "windows=0: give at least 1"),
        ({"phases": [{**PHASE, "batch": -1}]}, "batch=-1: give at least 1"),
        ({"graphics": 1.0}, "graphics=1.0: give a share"),
        ({"graphics": -0.1}, "graphics=-0.1: give a share"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read({**TABLE, **change})
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["method", "phases"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match=f"a.toml: the key '{key}' is missing"):
        read({k: v for k, v in TABLE.items() if k != key})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"method = ", "is no valid TOML"), (b"\xff\xfe", "is no valid TOML"), (None, "cannot read")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_one_like_another_says_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(f'method = "rgdn"\nseed = 3\n[model]\nfeatures = 6\nlevels = 2\n{PHASE_TOML}')
    (tmp_path / "b.toml").write_text('like = "a.toml"\nseed = 4\n[model]\nfeatures = 7\n')
    (tmp_path / "c.toml").write_text('like = "b.toml"\n[model]\nlevels = 9\n')
    config = read_config(tmp_path / "c.toml")
    assert config == replace(read_config(tmp_path / "a.toml"), seed=4, model={"features": 7, "levels": 9})


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ('like = "b.toml"', 'like = "a.toml"', "has to stand alone"),
        ('like = "a.toml"', "", "has to stand alone"),
        ('like = "c.toml"', "", r"cannot read the configuration .*c\.toml"),
        ("like = 3", "", "must be the name"),
    ],
)
def test_one_that_is_like_nothing(tmp_path: Path, a: str, b: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(a)
    (tmp_path / "b.toml").write_text(b)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("progress", "crop"), [(0.0, 10), (0.29, 10), (0.3, 20), (0.69, 20), (0.7, 30), (0.999, 30), (1.0, 30), (1.5, 30)]
)
def test_the_phase_of_a_moment(progress: float, crop: int) -> None:
    phase = Phase(until=0.3, batch=1, crop=10, steps=1, windows=1, spans=(3,))
    phases = (phase, replace(phase, until=0.7, crop=20), replace(phase, until=1.0, crop=30))
    assert TrainConfig(method="rgdn", phases=phases).phase(progress).crop == crop


def test_every_setting_of_the_degradation_reaches_it() -> None:
    values: dict[str, Any] = {
        "kernels": "spline", "sigma": (0.1, 0.2), "uniform": 0.15, "clean": 0.05, "linear": 0.45, "encoded": 0.35,
        "grey": 0.9, "exposure": 0.8, "saturation": 0.7, "photon": 0.6,
        "correlated": 0.5, "jpeg": 0.4, "kernel_error": 0.3, "level_error": 0.2, "masked": True, "bits": 10,
        "boundary": "zero",
    }  # fmt: skip
    assert set(values) == {f.name for f in fields(DegradationConfig)}
    phase = Phase(until=1, batch=1, crop=8, steps=1, windows=1, spans=(3,))
    built = synthesis(TrainConfig("rgdn", (phase,), degradation=DegradationConfig(**values)))
    assert isinstance(built, Degradation)
    assert built.sampler.__name__ == values.pop("kernels")
    assert {k: getattr(built, k) for k in values} == values
