"""Files at addresses, by the file system of fsspec that is a part of the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="the extra cluster is not installed")

import fsspec

from acutance.cluster import store
from acutance.errors import ConfigError, ImageError, MissingExtra, OutputError


@pytest.mark.parametrize("address", ["s3://bucket/a/b.png", "memory://a.png", "file:///tmp/a.png", "gs://b/c"])
def test_a_path_keeps_its_address(address: str) -> None:
    assert store.is_address(Path(address))
    assert store.address_of(Path(address)) == address


@pytest.mark.parametrize("path", ["a.png", "/a/b", "C:/a", "in/[SCI]", "a:b/c"])
def test_what_is_no_address(path: str) -> None:
    assert not store.is_address(Path(path))


def test_files_come_and_go_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    there, file = Path("memory://shop/deep/a.png"), tmp_path / "a.png"
    file.write_bytes(b"picture")
    store.publish(file, there)
    store.publish(file, Path("memory://shop/b.png"))
    assert store.list_files(Path("memory://shop"), recursive=False) == [(Path("memory://shop/b.png"), Path())]
    assert [below for _, below in store.list_files(Path("memory://shop/"), recursive=True)] == [Path(), Path("deep")]
    store.fetch(there, tmp_path / "back.png")
    assert (tmp_path / "back.png").read_bytes() == b"picture"
    store.fetch(Path("memory://shop/none.png"), tmp_path / "none.png", missing=True)
    assert not (tmp_path / "none.png").exists()
    with pytest.raises(ImageError, match=r"memory://shop/none\.png"):
        store.fetch(Path("memory://shop/none.png"), tmp_path / "none.png")
    with pytest.raises(ImageError, match="no folder memory://nowhere"):
        store.list_files(Path("memory://nowhere"), recursive=False)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(memory), "mv", full)
    with pytest.raises(OutputError, match=r"memory://shop/c.png.*No space left"):
        store.publish(file, Path("memory://shop/c.png"))
    assert sorted(memory.find("/shop")) == ["/shop/b.png", "/shop/deep/a.png"], "no part stays behind"


def test_an_unknown_protocol_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        store.list_files(Path("nowhere://a"), recursive=False)
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"acutance\[cluster\]"):
        store.list_files(Path("memory://a"), recursive=False)
