"""`acutance-lab bench runtime`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acutance.cli.console import escape, out, say
from acutance.errors import ConfigError
from acutance.export import MAKERS, require_onnx
from acutance_lab.bench.runtime import FORMS, Timed, runtime_table, timed


def runtime(
    networks: Annotated[str, typer.Argument(help=f"Some of {','.join(MAKERS)}.")] = "golf,acute",
    forms: Annotated[str, typer.Option(help=f"Some of {','.join(FORMS)}.")] = ",".join(FORMS),
    side: Annotated[int, typer.Option("--size", min=32, help="Side of the picture, pixels.")] = 512,
    rounds: Annotated[int, typer.Option("--runs", min=1, help="Rounds, after one to warm up.")] = 3,
    models: Annotated[
        Path | None, typer.Option(help="Folder with NAME.onnx of `acutance export`; else export.")
    ] = None,
) -> None:
    """Measure networks in torch and in onnxruntime side by side: one picture, one thread each, in turn."""
    names, wanted = networks.split(","), forms.split(",")
    for option, given, known in (("networks", names, list(MAKERS)), ("--forms", wanted, list(FORMS))):
        unknown = [each for each in given if each not in known]
        if unknown:
            raise ConfigError(f"{option} {unknown[0]}: give some of {', '.join(known)}")
    require_onnx("acutance-lab bench runtime")
    found: list[Timed] = []
    for name in names:
        say(escape(name))
        found += timed(name, side=side, rounds=rounds, forms=wanted, models=models)
    out.print(runtime_table(found, side), markup=False)
