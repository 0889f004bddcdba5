"""`acutance export`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import emit, escape, plain, say
from acutance.errors import ConfigError
from acutance.export import KINDS, LARGEST, MAKERS, OPSET, Graph, converted, deviations, graph_of, require_onnx, to_onnx
from acutance.images.atomic import check_folder, check_target, write_atomically

SUFFIX = ".onnx"
NAMES = ", ".join(MAKERS)


def export(
    name: Annotated[str, typer.Argument(help=f"Network: {NAMES}.", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; NAME.onnx.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Other weights than the shipped ones: a file, or a name.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float32, or float16: half the size.")] = "float32",
    check: Annotated[
        bool, typer.Option("--check", help=f"Compare with torch on ten sizes; above {LARGEST:g} nothing is written.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Write the network of a method as an ONNX file, for programs without torch.

    [dim]acutance export golf -o golf.onnx --check
    acutance export acute -o acute.onnx --precision float16[/]
    """
    target = output if output is not None else Path(f"{name}{SUFFIX}")
    if target.suffix.lower() != SUFFIX:
        raise ConfigError(f"-o {target}: give a file of the suffix {SUFFIX}")
    if precision not in KINDS:
        raise ConfigError(f"--precision {precision}: give {' or '.join(KINDS)}")
    require_onnx("acutance export")
    check_target(target, overwrite=overwrite)
    check_folder(target.parent)
    graph = graph_of(name, weights=weights)
    if precision != KINDS[0] and not graph.halves:
        raise ConfigError(f"--precision {precision}: {name} takes moments of a whole picture, which need float32")
    say(f"tracing {escape(graph.name)}; this takes from half a minute to some minutes")
    content = converted(to_onnx(graph), precision)
    worst = _compare(content, graph, precision) if check else None
    write_atomically(target, content, overwrite=overwrite)
    checked = "" if worst is None else f"; largest difference from torch {worst:.1e}"
    emit(
        f"{plain(target)}: {graph.version}, {precision}, opset {OPSET}, {len(content):,} bytes, any batch, height and "
        f"width{checked}"
    )


def _compare(content: bytes, graph: Graph, precision: str) -> float:
    """Print the difference from torch of every size, and return the largest.

    Raises:
        ConfigError: a float32 file differs by more than `LARGEST`, or a difference is no number.
    """
    worst = 0.0
    for found in deviations(content, graph):
        emit(f"{found.batch} x {found.height} x {found.width}: {found.largest:.1e}")
        worst = max(worst, found.largest) if math.isfinite(found.largest) else math.inf
    if not math.isfinite(worst) or (precision == KINDS[0] and worst > LARGEST):
        raise ConfigError(
            f"{graph.name} in {precision} differs from torch by {worst:.1e}, above {LARGEST:g}; nothing was written. "
            "Use the versions of torch and onnxruntime that constraints.txt names, and float32"
        )
    return worst
