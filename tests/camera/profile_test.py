from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from acutance.camera.profile import BlurGrid, NoiseAt, Profile, parse_profile, read_profile, write_profile
from acutance.errors import ConfigError, OutputError

BLUR = BlurGrid(((1.0, 0.8, 1.1), (1.0, 0.9, 1.2)), ((0.9, 0.8, 0.9), (0.9, 0.8, 0.9)), ((9, 8, 7), (6, 5, 4)), "chart")
NOISE = (NoiseAt(100, (1e-4,), (1e-6,), 3), NoiseAt(400, (4e-4,), (1.6e-5,), 2))
PROFILE = Profile(60, 40, 5, False, "Synthetic A", "50 mm", 2.8, 50.0, NOISE, BLUR, "0.2.0")


def table(**changes: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(asdict(PROFILE))), **changes}


def test_a_profile_comes_back_from_its_file(tmp_path: Path) -> None:
    write_profile(tmp_path / "a.json", PROFILE)
    assert read_profile(tmp_path / "a.json") == PROFILE
    with pytest.raises(OutputError, match="exists"):
        write_profile(tmp_path / "a.json", PROFILE)
    alone = replace(PROFILE, blur=None, noise=())
    write_profile(tmp_path / "a.json", alone, overwrite=True)
    assert read_profile(tmp_path / "a.json") == alone


@pytest.mark.parametrize(
    ("iso", "gain", "read", "said"),
    [
        (100, 1e-4, 1e-6, "at ISO 100"),
        (200, 2e-4, 4e-6, "at ISO 200, between 100 and 400"),
        (50, 1e-4, 1e-6, "the nearest to its ISO 50"),
        (6400, 4e-4, 1.6e-5, "the nearest to its ISO 6400"),
        (None, 4e-4, 1.6e-5, "as the picture does not tell its own"),
    ],
)
def test_the_noise_between_sensitivities(iso: int | None, gain: float, read: float, said: str) -> None:
    line, which = PROFILE.noise_at(iso)
    assert line.gain[0] == pytest.approx(gain)
    assert line.read[0] == pytest.approx(read)
    assert said in which


def test_a_profile_without_iso_holds_for_all() -> None:
    line, which = replace(PROFILE, noise=(NoiseAt(None, (3e-4,), (0.0,)),)).noise_at(800)
    assert line.gain == (3e-4,)
    assert "not known" in which


def _noise(**changes: Any) -> dict[str, Any]:
    return {"noise": [{**asdict(NOISE[0]), **changes}]}


def _blur(**changes: Any) -> dict[str, Any]:
    return {"blur": {**json.loads(json.dumps(asdict(BLUR))), **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "a cake"}, {"version": 2}, {"version": True}, {"width": 0}, {"width": 1e3}, {"width": "60"},
        {"height": 1 << 30}, {"camera": "x" * 500}, {"camera": "a\x1b[31m"}, {"lens": 3}, {"aperture": -1.0},
        {"aperture": "wide"}, {"aperture": float("inf")}, {"lossy": 1}, {"noise": {}}, {"noise": [1]}, {"more": 1},
        {"noise": [asdict(n) for n in reversed(NOISE)]}, {"noise": [asdict(NOISE[0])] * 2},
        {"noise": [asdict(NOISE[0])] * 100}, _noise(gain=[-1.0]), _noise(gain=[float("nan")]), _noise(gain=[1e9]),
        _noise(gain=[1e-3, 1e-3]), _noise(read=[]), _noise(iso=0), _noise(iso=True), _noise(iso=1.5), _noise(iso="100"),
        {"blur": []}, _blur(radial=[]), _blur(radial=[[]]), _blur(radial=[[1.0]]), _blur(radial=[[99.0] * 3] * 2),
        _blur(radial=[[-1.0] * 3] * 2), _blur(radial=[[1.0] * 100] * 100), _blur(source="stars"),
        _blur(tangential=[[float("nan")] * 3] * 2), _blur(edges=[[1.5] * 3] * 2), _blur(radial="wide"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    assert parse_profile(table(), "it") == PROFILE
    with pytest.raises(ConfigError, match="it"):
        parse_profile(table(**changes), "it")


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"kind": NaN}', b"{" + b" " * (1 << 19) + b"}"]
)
def test_a_file_that_is_no_profile_is_refused(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(raw)
    with pytest.raises(ConfigError, match=r"a\.json"):
        read_profile(file)
    with pytest.raises(ConfigError, match="calibrate"):
        read_profile(tmp_path / "none.json")
