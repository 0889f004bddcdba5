"""Volumes by blocks: the grid, seams against the whole, memory, and runs that were cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import acutance
from acutance.errors import ConfigError, OutputError
from acutance.images.stack import Stack
from acutance.images.zarr_write import DONE, ZarrPart
from acutance.methods.spec import catalogue, find
from acutance.restoration import block_run
from acutance.restoration.block_run import BlockRun
from acutance.restoration.blocks import Grid, grid_of, memory_of
from acutance.restoration.stack import StackRun
from acutance.restoration.volume import VolumeMethod

pytest.importorskip("zarr")
pytest.importorskip("dask")

BY_BLOCKS = [name for name, spec in catalogue().items() if spec.blocks is not None]


def psf(sides: tuple[int, ...] = (3, 3, 3)) -> NDArray[np.float64]:
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in sides), indexing="ij")
    k = np.exp(-0.5 * sum(a.astype(float) ** 2 for a in axes))
    return np.asarray(k / k.sum())


def counts(shape: tuple[int, ...] = (6, 16, 56), dtype: str = "f4") -> NDArray[np.generic]:
    """Soft bodies with noise of about 2 % of the brightness."""
    places = np.meshgrid(*map(np.arange, shape), indexing="ij")
    x = np.full(shape, 20.0)
    for centre, radius in zip(np.random.default_rng(2).uniform(0, shape, (12, 3)), [2, 3, 4] * 4, strict=True):
        distance = np.sqrt(sum((p - c) ** 2 for p, c in zip(places, centre, strict=True)))
        x += 200 / (1 + np.exp(1.5 * (distance - radius)))
    return (x + 4 * np.random.default_rng(3).standard_normal(shape)).astype(dtype)


def by_blocks(run: BlockRun) -> NDArray[np.generic]:
    whole = np.empty(run.stack.size, run.stack.dtype)
    for box in run.grid.boxes():
        whole[box] = run.values((0, 0), box)[0]
    return whole


def test_blocks_cover_a_volume_once_and_lie_in_their_surroundings() -> None:
    grid = Grid((5, 7, 11), (2, 7, 4), (1, 2, 3), (2, 7, 4))
    seen = np.zeros(grid.size, int)
    numbers = np.arange(seen.size).reshape(grid.size)
    for box in grid.boxes():
        seen[box] += 1
        np.testing.assert_array_equal(numbers[grid.around(box)][grid.inside(box)], numbers[box])
        assert all(n <= most for n, most in zip(numbers[grid.around(box)].shape, grid.largest, strict=True))
    assert (seen == 1).all()
    assert grid.counts == (3, 1, 3)


@pytest.mark.parametrize("name", BY_BLOCKS)
def test_blocks_are_the_whole_within_the_bounds(name: str) -> None:
    stack, solver = Stack.of(counts()), VolumeMethod.load(psf(), name)
    run = BlockRun.begin(stack, solver, block=(6, 16, 28))
    assert run.count == 2
    whole = StackRun.begin(stack, solver)
    away = np.abs(by_blocks(run).astype(float) - whole.volumes()[0, 0]) / whole.units[0].scale
    assert np.sqrt(np.mean(away**2)) <= 1 / 255
    assert away.max() <= 1 / 50
    assert away.max() > 0, "else nothing was compared"


def test_noise_brightness_and_spectrum_are_those_of_the_whole_in_every_block() -> None:
    values = counts()
    values[:, :, 28:] = 20 + 40 * (values[:, :, 28:] - 20) / 200  # a dim half
    run = BlockRun.begin(Stack.of(values), VolumeMethod.load(psf(), "wiener"), block=(6, 16, 28))
    whole = StackRun.begin(Stack.of(values), run.solver)
    assert run.units == whole.units
    assert type(run.solver.method).__name__ == "FittedWiener"


def test_methods_that_do_not_offer_it_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"acute does not restore.*levin, richardson-lucy, wiener"):
        BlockRun.begin(Stack.of(counts()), VolumeMethod.load(psf()[1], "acute"), block=(4, 10, 20))


@pytest.mark.parametrize("block", [(0, 4, 4), (1, 2)])
def test_blocks_without_size_are_refused(block: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="three sides"):
        BlockRun.begin(Stack.of(counts()), VolumeMethod.load(psf(), "wiener"), block=block)


@pytest.mark.parametrize("free", [10**9, 4 * 10**9])
@pytest.mark.parametrize("chunks", [(64, 256, 256), (1, 2000, 2000), (16, 16, 16)])
def test_blocks_are_chosen_to_fit_into_the_memory(free: int, chunks: tuple[int, int, int]) -> None:
    spec, size = find("wiener"), (500, 2000, 2000)
    grid = grid_of(spec, size, (2, 2, 2), by_planes=False, chunks=chunks, free=free)
    assert not grid.whole
    assert all(b % c == 0 or b == n for b, c, n in zip(grid.block, grid.chunk, size, strict=True))
    if chunks[0] < 64:  # blocks hold whole chunks, and those of four million voxels take more
        assert memory_of(spec, grid.largest, (2, 2, 2), False) <= max(0.5 * free, 900_000_000)
    assert grid_of(spec, (8, 20, 20), (1, 1, 1), by_planes=False, chunks=chunks, free=free).whole


def test_planes_stay_whole_where_they_fit() -> None:
    grid = grid_of(find("acute"), (50, 400, 400), (0, 2, 2), by_planes=True, chunks=(1, 400, 400), free=12 * 10**7)
    assert grid.block[1:] == (400, 400)
    assert grid.overlap == (0, 0, 0)
    assert 1 <= grid.block[0] < 50


def test_a_kernel_of_two_axes_by_blocks() -> None:
    stack, solver = Stack.of(counts((3, 40, 72))), VolumeMethod.load(psf()[1], "wiener")
    whole = StackRun.begin(stack, solver)
    run = BlockRun.begin(stack, solver, block=(1, 40, 36))
    away = np.abs(by_blocks(run).astype(float) - whole.volumes()[0, 0]) / whole.units[0].scale
    assert run.grid.overlap[0] == 0
    assert np.sqrt(np.mean(away**2)) <= 2 / 255  # each plane has a spectrum of its own there, one for all here


def test_missing_voxels_and_whole_numbers(tmp_path: Path) -> None:
    values = np.stack([counts((8, 20, 40))] * 2)
    values[0, 3, 4, 20] = np.nan
    values[1] = np.rint(values[1])
    run = BlockRun.begin(Stack.of(values, "CZYX"), VolumeMethod.load(psf(), "wiener"), block=(8, 10, 20))
    run.restore(tmp_path / "a.ome.zarr", {})
    back = np.asarray(acutance.read_stack(tmp_path / "a.ome.zarr"))
    assert np.isfinite(back).all()
    assert back.dtype == np.float32


CUT_OFF = """
import os, signal, sys
from pathlib import Path
import acutance
from acutance.restoration.block_run import BlockRun
from acutance.restoration.volume import VolumeMethod
import numpy as np
def on_block(number, count):
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
run = BlockRun.begin(acutance.read_stack("a.zarr"), VolumeMethod.load(np.load("psf.npy"), "wiener"), block=(6, 8, 20))
run.restore(Path("b.zarr"), {"run": 1}, on_block=on_block)
"""


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_killed_run_goes_on_and_its_result_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    acutance.write_stack("a.zarr", Stack.of(counts(dtype="u2")))
    np.save("psf.npy", psf())
    killed = subprocess.run([sys.executable, "-c", CUT_OFF], env=dict(os.environ), timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    target, part = tmp_path / "b.zarr", ZarrPart.of(tmp_path / "b.zarr")
    assert not target.exists()
    assert len((part / DONE).read_text().splitlines()) == 3
    (part / "0/c/0.abc.partial").write_bytes(b"half a chunk")

    solver = VolumeMethod.load(psf(), "wiener")
    run = BlockRun.begin(acutance.read_stack("a.zarr"), solver, block=(6, 8, 20))
    with pytest.raises(OutputError, match="other settings"):
        run.restore(target, {"run": 2})
    begun: list[int] = []
    run.restore(target, {"run": 1}, on_block=lambda number, count: begun.append(number))
    assert begun == [4, 5, 6], "what was done is not done again"
    assert not part.exists()
    run.restore(tmp_path / "c.zarr", {"run": 1})
    assert content(target) == content(tmp_path / "c.zarr")


def test_a_large_volume_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, solver = Stack.of(counts()), VolumeMethod.load(psf(), "wiener")
    whole = BlockRun.begin(stack, solver, block=(6, 16, 28)).units[0]
    monkeypatch.setattr(block_run, "LOOKED_AT", 3000)
    some = BlockRun.begin(stack, solver, block=(6, 16, 28)).units[0]
    assert some.scale == pytest.approx(whole.scale, rel=0.2)
    assert some != whole
