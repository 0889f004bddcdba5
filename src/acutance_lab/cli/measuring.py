"""`acutance-lab bench size`, `sheet`, `border`, `noise`, `times`, `curves`, ...: suites of the one runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from acutance.cli.console import escape, out, parse_levels, parse_numbers, progress_bar, say
from acutance.errors import ConfigError, DataError
from acutance.images import write_atomically
from acutance.restoration.restorer import DEFAULT
from acutance_lab.bench import levels, tables
from acutance_lab.bench.blocks import METHODS, seams, seams_table
from acutance_lab.bench.case import Suite, bench_folder
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.curves import LEAST, SIDE, curve_suite, find_curves, find_pictures
from acutance_lab.bench.real import REAL
from acutance_lab.bench.report_plots import curve_plot
from acutance_lab.bench.rows import Row
from acutance_lab.bench.run import run
from acutance_lab.bench.runs import read_run, runs_table
from acutance_lab.bench.scenes import large_suite, random_suite, scene_suite
from acutance_lab.bench.sheet import sheet_suite, sheet_table, write_sheet
from acutance_lab.bench.suites import find_suite
from acutance_lab.bench.window import window_suite
from acutance_lab.plots import require_matplotlib

Weights = Annotated[Path | None, typer.Option(help="Other weights than the shipped ones.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]
Methods = Annotated[str, typer.Option(help="a,b,c:SETTING=VALUE,SETTING=VALUE")]
Data = Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many cases of each level.")]
Device = Annotated[str, typer.Option()]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the rows; makes a run resumable.")]


@contextmanager
def measuring(name: str) -> Iterator[Any]:
    """The runner behind a progress bar; Ctrl-C ends the command with a word about what is kept."""
    with progress_bar() as bar:
        bar.speed_estimate_period = 24 * 3600.0  # a forecast from all that was done: methods differ a lot
        task = bar.add_task(name, total=0)
        planned = 0

        def on_plan(count: int) -> None:
            nonlocal planned
            planned += count
            bar.update(task, total=planned)

        def on_case(row: Row, fresh: bool) -> None:
            if fresh:
                what = f"{row.method} {row.picture} {row.kernel} {row.varied}"
                bar.update(task, advance=1, description=escape(what))

        kept = False

        def measured(suite: Suite | str, methods: Any, **options: Any) -> list[Row]:
            nonlocal kept
            kept = options.get("out") is not None
            return run(suite, methods, on_plan=on_plan, on_case=on_case, **options)

        try:
            yield measured
        except KeyboardInterrupt:
            bar.stop()
            say(f"stopped; {'rows are kept; the same command goes on' if kept else 'nothing is kept without --out'}")
            raise typer.Exit(130) from None


def written(folder: Path | None, name: str) -> None:
    """Say where the rows are, if anywhere."""
    if folder is not None:
        say(f"rows: {escape(folder / f'{name}.jsonl')}")


def size(
    megapixels: Annotated[float, typer.Option(help="Size of the colour picture.")] = 24.0,
    kernel: Annotated[int, typer.Option(help="Side of the kernel, pixels.")] = 31,
    steps: Annotated[int, typer.Option(min=1, help="Steps, all of which are taken.")] = 5,
    method: Annotated[str, typer.Option(help="Methods with steps: a,b:SETTING=VALUE.")] = DEFAULT,
    weights: Weights = None,
    tile: Annotated[int | None, typer.Option(min=64, help="Side of the tiles a network works on.")] = None,
    threads: Threads = None,
    output: Out = None,
) -> None:
    """Measure seconds, their forecast, and memory on one large picture, in a process of its own."""
    if threads is not None:
        torch.set_num_threads(threads)
    settings = {key: value for key, value in (("weights", weights), ("tile", tile)) if value is not None}
    given = [Contender.parse(each) for each in split_methods(method)]
    contenders = [replace(each, settings={**settings, **each.settings}) for each in given]
    with measuring("size") as measured:
        rows = measured(large_suite(megapixels, kernel), contenders, steps=steps, apart=True, device="cpu", out=output)
    out.print(tables.size_table(rows), markup=False)
    written(output, "size")


def sheet(
    name: Annotated[str, typer.Argument(help=f"Set of real photographs: {', '.join(REAL)}.")],
    methods: Annotated[str, typer.Option(help="A column each: a,b:SETTING=VALUE; all take a kernel.")] = DEFAULT,
    data: Data = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many photographs, spread over the set.")] = 20,
    side: Annotated[int, typer.Option(min=256, help="Longer pictures are cut to this, about their centre.")] = 1200,
    output: Annotated[Path, typer.Option("--out", help="Folder for NAME.png, the rows and pictures.")] = Path(
        "out/sheets"
    ),
    device: Device = "auto",
) -> None:
    """Restore real photographs into a contact sheet, with a score that needs no truth."""
    suite = sheet_suite(name, limit=limit, side=side)
    with measuring(name) as measured:
        rows = measured(suite, split_methods(methods), data=data, out=output, device=device)
    out.print(sheet_table(rows), markup=False)
    say(f"sheet: {escape(write_sheet(rows, output))}")
    written(output, name)


def border(
    name: Annotated[str, typer.Argument(help="Suite, e.g. set12.")],
    methods: Methods = "wiener,fd",
    noise: Annotated[str, typer.Option(help="Levels in percent.")] = "1",
    data: Data = None,
    limit: Limit = None,
    output: Out = None,
    device: Device = "auto",
) -> None:
    """Measure what the unknown scene beyond the frame costs: windows restored alone and within the picture."""
    suite = replace(window_suite(find_suite(name)), name=f"border-{name}")
    with measuring(name) as measured:
        rows = measured(
            suite, split_methods(methods), data=data, noises=parse_levels(noise),
            limit=None if limit is None else 2 * limit, out=output, device=device,
        )  # fmt: skip
    out.print(tables.border_table(rows), markup=False)
    written(output, suite.name)


def noise(
    photographs: Annotated[Path | None, typer.Option(help="Folder of sharp photographs; some are held out.")] = None,
    data: Data = None,
    suites: Annotated[str, typer.Option(help="Suites of blurred pictures, e.g. set12,levin32.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Crops of the photographs.")] = 12,
    wavelets: Annotated[bool, typer.Option(help="Compare with scikit-image's estimate_sigma.")] = False,
    output: Out = None,
) -> None:
    """Measure the estimate of the noise level on photographs with known noise, on suites or on real noisy pairs."""
    alone = [levels.ALONE, *([levels.WAVELETS] if wavelets else [])]
    found: list[Row] = []
    with measuring("noise") as measured:
        if photographs is not None:
            for state, names in ((levels.BLURRED, [*alone, levels.BEHIND]), (levels.SHARP, alone)):
                found += measured(levels.photographs_suite(photographs, state, count=limit), names, out=output)
        for name in filter(None, suites.split(",")):
            suite = replace(find_suite(name), name="noise", ssim=False)
            found += measured(suite, [levels.BEHIND, levels.ALONE], data=data, noises=levels.SUITE_LEVELS, out=output)
        if not suites and (photographs is None or data is not None):
            real = replace(find_suite("real-noise"), name="noise", ssim=False)
            found += measured(real, alone, data=bench_folder(data), out=output)
    out.print(tables.level_table(found), markup=False, soft_wrap=True)
    written(output, "noise")


def arithmetic(
    methods: Methods = f"{DEFAULT},rgdn,wiener",
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT,... of the pictures.")] = "256x256",
    channels: Annotated[int, typer.Option(help="1 for grey, 3 for colour.")] = 3,
) -> None:
    """Count the multiplications that methods spend on a picture."""
    if channels not in (1, 3):
        raise ConfigError(f"--channels {channels}: 1 or 3")
    with measuring("arithmetic") as measured:
        found = [
            row
            for height, width in map(_size, sizes.split(","))
            for row in measured(random_suite(height, width, channels), split_methods(methods), count=True, device="cpu")
        ]
    out.print(tables.arithmetic_table(found), markup=False)


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders of training runs; the first is compared against.")],
) -> None:
    """Compare training runs: what they differ in, what they cost, what they reached."""
    out.print(runs_table([read_run(folder) for folder in folders]), markup=False)


def times(
    methods: Methods = "wiener,rgdn",
    against: Annotated[str | None, typer.Option(help="Whose time the others are compared with; the first.")] = None,
    side: Annotated[int, typer.Option("--size", help="Side of the picture, pixels.")] = 512,
    channels: Annotated[int, typer.Option(help="1: grey, 3: colour.")] = 1,
    kernel: Annotated[int, typer.Option(help="Side of the camera-shake kernel, pixels, odd.")] = 25,
    noise: Annotated[float, typer.Option(help="In percent of the range.")] = 1.0,
    runs: Annotated[int, typer.Option(min=1, help="Rounds, after one to warm up.")] = 5,
    photograph: Annotated[Path | None, typer.Option(help="A sharp picture instead of the made one.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Folder; rows are added to its times.jsonl.")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure seconds and PSNR of methods side by side: one picture, one process, in turn."""
    contenders = [Contender.parse(text) for text in split_methods(methods)]
    labels = [c.label for c in contenders]
    reference = None if against is None else Contender.parse(against).label
    if reference is not None and reference not in labels:
        raise ConfigError(f"--against {against}: give one of {', '.join(labels)}")
    if not labels or len(set(labels)) < len(labels):
        raise ConfigError(f"--methods {' '.join(labels)}: name every method once; weights alone do not tell them apart")
    if threads is not None:
        torch.set_num_threads(threads)
    suite = scene_suite(side, side, channels=channels, kernel=kernel, noise=noise / 100, photograph=photograph)
    with measuring("times") as measured:
        found = measured(suite, contenders, rounds=runs, device=device, out=output)
    out.print(tables.times_table(found, reference), markup=False)
    written(output, "times")


def curves(
    names: Annotated[
        str,
        typer.Argument(
            help="steps, kernel-size, noise, saturation, rotation, scale, kernel-noise, truncation; kernel-error: the "
            "last four; all."
        ),
    ] = "all",
    methods: Methods = "wiener,rgdn",
    name: Annotated[str, typer.Option("--set", help="Test set: set12, bsd68, kodak24.")] = "set12",
    data: Data = None,
    count: Annotated[int, typer.Option("--pictures", min=1, help="So many, spread over the set.")] = 6,
    side: Annotated[int, typer.Option(min=LEAST, help="Of the blurred pictures, cut from the middle.")] = SIDE,
    output: Annotated[Path, typer.Option("--out", help="Folder for curves.jsonl and the plots.")] = Path("out/curves"),
    device: Device = "auto",
) -> None:
    """Measure PSNR against one thing at a time: steps, kernel size, noise, saturation, errors of the kernel."""
    wanted = find_curves([part for part in names.replace(" ", ",").split(",") if part])
    require_matplotlib()
    pictures = find_pictures(bench_folder(data), name, count)
    suites = [(curve, curve_suite(curve, pictures, side)) for curve in wanted]
    for curve, suite in suites:
        with measuring(curve.name) as measured:
            rows = measured(
                suite, split_methods(methods), out=output, device=device, curve=curve.stepwise,
                steps=curve.steps,
            )  # fmt: skip
        out.print(f"{curve.name}: {curve.axis}\n\n{tables.curve_table(rows)}\n", markup=False)
        file = output / f"{curve.name}.png"
        write_atomically(file, curve_plot(rows, curve.axis), overwrite=True)
        say(f"plot: {escape(file)}")
    written(output, "curves")


def blocks(
    methods: Methods = ",".join(METHODS),
    size: Annotated[str, typer.Option(help="Z,Y,X of the volume, voxels.")] = "48,96,96",
    block: Annotated[str, typer.Option(help="Z,Y,X of the blocks, voxels.")] = "24,48,48",
    noise: Annotated[float, typer.Option(min=0.01, help="In percent of the range.")] = 2.0,
) -> None:
    """Measure seams: a made volume restored by blocks against the same at once."""
    sides, parts = (_sides(text, option) for text, option in ((size, "--size"), (block, "--block")))
    out.print(seams_table(seams(split_methods(methods), sides, parts, noise=noise / 100)), markup=False, soft_wrap=True)


def _sides(text: str, option: str) -> tuple[int, int, int]:
    z, y, x = map(int, parse_numbers(text, 3, option, "three whole numbers Z,Y,X"))
    if min(z, y, x) < 8:
        raise ConfigError(f"{option} {text}: give sides of 8 voxels or more")
    return z, y, x


def split_methods(text: str) -> list[str]:
    """Methods separated by commas or spaces; settings, NAME=VALUE, belong to the method before them.

    Example:
        >>> split_methods("a,b:x=1,y=2,c d:z=3")
        ['a', 'b:x=1,y=2', 'c', 'd:z=3']
    """
    found: list[str] = []
    for part in filter(None, text.replace(" ", ",").split(",")):
        is_setting = "=" in part and ":" not in part.partition("=")[0]
        if is_setting and found:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def text_of(page: Path) -> str:
    """The text of a page that `--into` names.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--into {page}: it cannot be read ({type(error).__name__}); give a page of text") from None


def _size(text: str) -> tuple[int, int]:
    """(height, width) from "1280x720"."""
    width, _, height = text.strip().partition("x")
    try:
        numbers = int(height), int(width)
    except ValueError:
        numbers = (0, 0)
    if not all(32 <= n <= 20_000 for n in numbers):
        raise ConfigError(f"--sizes {text}: give WIDTHxHEIGHT, e.g. 1280x720, with sides of 32 pixels or more")
    return numbers
