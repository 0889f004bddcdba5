"""`acutance-lab bench speed`, `size`, `sheet`, `operators`, `noise`, `times`, `curves`, over `acutance_lab.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from acutance.cli.console import escape, out, parse_levels, parse_precision, progress_bar, say
from acutance.errors import ConfigError
from acutance.frame import TILE
from acutance.methods.dgunet import Unfolded
from acutance.methods.golf import Golf
from acutance.methods.rgdn import Rgdn
from acutance.methods.spec import find
from acutance.restoration.restorer import DEFAULT, Restorer
from acutance.weights import embedded_names
from acutance_lab.bench.arithmetic import arithmetic_table, count
from acutance_lab.bench.border import border_cost, border_table
from acutance_lab.bench.case import bench_folder
from acutance_lab.bench.contender import Contender
from acutance_lab.bench.curves import LEAST, SIDE
from acutance_lab.bench.curves import measure as measure_curves
from acutance_lab.bench.curves_kinds import find_curves, find_pictures
from acutance_lab.bench.curves_plot import require_matplotlib, write_plot
from acutance_lab.bench.curves_points import FILE as CURVES_FILE
from acutance_lab.bench.curves_points import curve_table, describe
from acutance_lab.bench.noise_levels import noise_table, real_levels, suite_levels, synthetic_levels
from acutance_lab.bench.operators import LARGEST, adjoint_errors, operators_table, worst
from acutance_lab.bench.real import REAL
from acutance_lab.bench.runs import read_run, runs_table
from acutance_lab.bench.sheet import Entry, columns, sheet_table, write_sheet
from acutance_lab.bench.sheet import sheet as make_sheet
from acutance_lab.bench.size import Task, measure, size_table
from acutance_lab.bench.speed import Speed, compare, speed_table
from acutance_lab.bench.times import make_scene
from acutance_lab.bench.times import times as measure_times
from acutance_lab.bench.timing import append_times, times_table

Weights = Annotated[Path | None, typer.Option(help="Other weights than the shipped ones.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]


def speed(
    method: Annotated[str, typer.Option(help="rgdn, golf, dgunet-deblur, ...; NAME:SETTING=VALUE,...")] = "rgdn",
    weights: Weights = None,
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT[:PAIRS],... of the pictures.")] = "256x256:5,1280x720:3",
    precision: Annotated[str, typer.Option(help="Of our step: auto, bfloat16 or float32.")] = "auto",
    tile: Annotated[int, typer.Option(min=64, help="Side of the tiles of our step.")] = TILE,
    threads: Threads = None,
) -> None:
    """Measure a network against the same one written plainly in float32: a step of RGDN, a run of golf or dgunet-...

    Methods without shipped weights are measured with random ones.
    """
    wanted = [_size(part) for part in sizes.split(",")]
    if threads is not None:
        torch.set_num_threads(threads)
    chosen, kind = Contender.parse(method), parse_precision(precision)
    spec = find(chosen.name)
    if weights is None and spec.weights not in embedded_names():
        torch.manual_seed(0)
        model = spec.build(device="cpu", precision=kind, tile=tile, **chosen.settings)
    else:
        options = {"weights": weights, "device": "cpu", "precision": kind, "tile": tile}
        model = Restorer.load(chosen.name, **{**options, **chosen.settings}).method
    if not isinstance(model, Rgdn | Golf | Unfolded):
        raise ConfigError(f"--method {method}: there is a plain form of rgdn, golf and the dgunet methods")
    if isinstance(model, Unfolded) and model.config.rows():
        raise ConfigError("--method dgunet-sense takes grey pictures; time it by `acutance-lab bench times`")
    found: list[Speed] = []
    for height, width, runs in wanted:
        found.append(compare(model, height, width, runs=runs))
        say(f"{width}x{height}: {found[-1].ratio:.1f} times faster")
    out.print(speed_table(found), markup=False)


def size(
    megapixels: Annotated[float, typer.Option(help="Size of the colour picture.")] = 24.0,
    kernel: Annotated[int, typer.Option(help="Side of the kernel, pixels.")] = 31,
    steps: Annotated[int, typer.Option(min=1, help="Steps, all of which are taken.")] = 5,
    method: Annotated[str, typer.Option(help="A method with steps.")] = DEFAULT,
    weights: Weights = None,
    tile: Annotated[int | None, typer.Option(min=64, help="Side of the tiles a network works on.")] = None,
    threads: Threads = None,
) -> None:
    """Measure seconds, their forecast, and memory on one large picture, in a process of its own."""
    task = Task(
        megapixels=megapixels, kernel=kernel, method=method, steps=steps, weights=weights, tile=tile, threads=threads
    )
    out.print(size_table(measure(task)), markup=False)


def sheet(
    name: Annotated[str, typer.Argument(help=f"Set of real photographs: {', '.join(REAL)}.")],
    methods: Annotated[str, typer.Option(help="A column each: a,b:SETTING=VALUE; all take a kernel.")] = DEFAULT,
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many photographs, spread over the set.")] = 20,
    side: Annotated[int, typer.Option(min=256, help="Longer pictures are cut to this, about their centre.")] = 1200,
    output: Annotated[Path, typer.Option("--out", help="Folder for NAME.png and NAME.json.")] = Path("out/sheets"),
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Restore real photographs into a contact sheet, with a score that needs no truth."""
    loaded = columns(split_methods(methods), device)
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)

        def on_entry(entry: Entry) -> None:
            bar.advance(task)
            for line in (entry.line, *(f"  {result.line}" for result in entry.results)):
                say(escape(line))

        entries = make_sheet(name, loaded, data=data, limit=limit, side=side, on_entry=on_entry)
    files = write_sheet(entries, name, loaded, output)
    out.print(sheet_table(entries), markup=False)
    say(" and ".join(escape(file) for file in files))


def border(
    name: Annotated[str, typer.Argument(help="Suite, e.g. set12.")],
    methods: Annotated[str, typer.Option(help="a,b,c:SETTING=VALUE,SETTING=VALUE")] = "wiener,fd",
    noise: Annotated[str, typer.Option(help="Levels in percent.")] = "1",
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases of each level.")] = None,
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Measure what the unknown scene beyond the frame costs: windows restored alone and within the picture."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)
        found = border_cost(
            name, split_methods(methods), data=data, noises=parse_levels(noise), limit=limit, device=device,
            on_case=lambda text: bar.update(task, advance=1, description=escape(text)),
        )  # fmt: skip
    out.print(border_table(found), markup=False)


def operators() -> None:
    """Check the adjoint of every kind of blur in float64; fails if one is not exact."""
    found = adjoint_errors()
    out.print(operators_table(found), markup=False)
    if not worst(found) < LARGEST:
        raise typer.Exit(1)


def noise(
    photographs: Annotated[Path | None, typer.Option(help="Folder of sharp photographs; some are held out.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    suites: Annotated[str, typer.Option(help="Suites of blurred pictures, e.g. set12,levin32.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Crops of the photographs.")] = 12,
    wavelets: Annotated[bool, typer.Option(help="Compare with scikit-image's estimate_sigma.")] = False,
) -> None:
    """Measure the estimate of the noise level on photographs with known noise, on suites or on real noisy pairs."""
    found = list(synthetic_levels(photographs, limit=limit, wavelets=wavelets)) if photographs is not None else []
    if suites:
        found += suite_levels(bench_folder(data), suites.split(","))
    elif photographs is None or data is not None:
        found += real_levels(bench_folder(data), wavelets=wavelets)
    out.print(noise_table(found), markup=False, soft_wrap=True)


def arithmetic(
    methods: Annotated[str, typer.Option(help="a,b,c:SETTING=VALUE,SETTING=VALUE")] = f"{DEFAULT},rgdn,wiener",
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT,... of the pictures.")] = "256x256",
    channels: Annotated[int, typer.Option(help="1 for grey, 3 for colour.")] = 3,
) -> None:
    """Count the multiplications that methods spend on a picture."""
    if channels not in (1, 3):
        raise ConfigError(f"--channels {channels}: 1 or 3")
    wanted = [_size(part)[:2] for part in sizes.split(",")]
    found = [
        count(Contender.parse(method), height, width, channels=channels)
        for height, width in wanted
        for method in split_methods(methods)
    ]
    out.print(arithmetic_table(found), markup=False)


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders of training runs; the first is compared against.")],
) -> None:
    """Compare training runs: what they differ in, what they cost, what they reached."""
    out.print(runs_table([read_run(folder) for folder in folders]), markup=False)


def times(
    methods: Annotated[str, typer.Option(help="a,b,c:SETTING=VALUE,SETTING=VALUE")] = "wiener,rgdn",
    against: Annotated[str | None, typer.Option(help="Whose time the others are compared with; the first.")] = None,
    side: Annotated[int, typer.Option("--size", help="Side of the picture, pixels.")] = 512,
    channels: Annotated[int, typer.Option(help="1: grey, 3: colour.")] = 1,
    kernel: Annotated[int, typer.Option(help="Side of the camera-shake kernel, pixels, odd.")] = 25,
    noise: Annotated[float, typer.Option(help="In percent of the range.")] = 1.0,
    runs: Annotated[int, typer.Option(min=1, help="Rounds, after one to warm up.")] = 5,
    photograph: Annotated[Path | None, typer.Option(help="A sharp picture instead of the made one.")] = None,
    output: Annotated[Path | None, typer.Option("--out", help="Folder; rows are added to its times.jsonl.")] = None,
    device: Annotated[str, typer.Option()] = "auto",
    threads: Threads = None,
) -> None:
    """Measure seconds and PSNR of methods side by side: one picture, one process, in turn."""
    contenders = [Contender.parse(text) for text in split_methods(methods)]
    reference = None if against is None else Contender.parse(against).label
    if reference is not None and reference not in (c.label for c in contenders):
        raise ConfigError(f"--against {against}: give one of {', '.join(c.label for c in contenders)}")
    if threads is not None:
        torch.set_num_threads(threads)
    scene = make_scene(side, channels=channels, kernel=kernel, noise=noise / 100, photograph=photograph)
    with progress_bar() as bar:
        bar.speed_estimate_period = 24 * 3600.0  # a forecast from all that was done: methods differ a lot
        task = bar.add_task("", total=len(contenders) * (runs + 1))
        found = measure_times(
            scene, contenders, runs=runs, device=device,
            on_round=lambda label, _: bar.update(task, advance=1, description=escape(label)),
        )  # fmt: skip
    out.print(times_table(found, reference), markup=False)
    if output is not None:
        say(f"rows: {escape(append_times(output, found))}")


def curves(
    names: Annotated[
        str,
        typer.Argument(
            help="steps, kernel-size, noise, saturation, rotation, scale, kernel-noise, truncation; kernel-error: the "
            "last four; all."
        ),
    ] = "all",
    methods: Annotated[str, typer.Option(help="a,b,c:SETTING=VALUE,SETTING=VALUE")] = "wiener,rgdn",
    name: Annotated[str, typer.Option("--set", help="Test set: set12, bsd68, kodak24.")] = "set12",
    data: Annotated[Path | None, typer.Option(help="Folder of the test sets (or ACUTANCE_DATA).")] = None,
    count: Annotated[int, typer.Option("--pictures", min=1, help="So many, spread over the set.")] = 6,
    side: Annotated[int, typer.Option(min=LEAST, help="Of the blurred pictures, cut from the middle.")] = SIDE,
    output: Annotated[Path, typer.Option("--out", help="Folder for curves.jsonl and the plots.")] = Path("out/curves"),
    device: Annotated[str, typer.Option()] = "auto",
) -> None:
    """Measure PSNR against one thing at a time: steps, kernel size, noise, saturation, errors of the kernel."""
    wanted = find_curves([part for part in names.replace(" ", ",").split(",") if part])
    require_matplotlib()
    pictures = find_pictures(bench_folder(data), name, count)
    with progress_bar() as bar:
        bar.speed_estimate_period = 24 * 3600.0  # a forecast from all that was done: methods differ a lot
        task = bar.add_task("curves", total=None)
        found = measure_curves(
            wanted, split_methods(methods), pictures, side=side, out=output, device=device,
            on_plan=lambda runs: bar.update(task, total=runs),
            on_run=lambda text: bar.update(task, advance=1, description=escape(text)),
        )  # fmt: skip
    for curve in wanted:
        points = [point for point in found if point.curve == curve.name]
        out.print(f"{curve.name}: {curve.axis}\n\n{curve_table(points)}\n\n{describe(points)}\n", markup=False)
        say(f"plot: {escape(write_plot(output / f'{curve.name}.png', points, axis=curve.axis))}")
    say(f"points: {escape(output / CURVES_FILE)}")


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


def _size(text: str) -> tuple[int, int, int]:
    """(height, width, pairs) from "1280x720:3"; 5 pairs unless said."""
    size, _, pairs = text.strip().partition(":")
    width, _, height = size.partition("x")
    try:
        numbers = int(height), int(width), int(pairs or 5)
    except ValueError:
        numbers = (0, 0, 0)
    if not (32 <= numbers[0] <= 20_000 and 32 <= numbers[1] <= 20_000 and 1 <= numbers[2] <= 1000):
        raise ConfigError(f"--sizes {text}: give WIDTHxHEIGHT:PAIRS, e.g. 1280x720:3, with sides of 32 pixels or more")
    return numbers
