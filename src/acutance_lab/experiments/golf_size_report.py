"""The sizes of Golf as tables beside the paper's, as a plot, and as a file of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acutance_lab.bench.report_plots import COLOURS, INK, SOFT
from acutance_lab.experiments.golf_size import OWN, TABLE_1, TABLE_3, Network
from acutance_lab.experiments.output import write_numbers, write_plot

FILE, PLOT = "golf-size.json", "golf-size.png"


def size_table(networks: Sequence[Network]) -> str:
    """Markdown: every layer of each network, then all sizes, each beside what the paper gives."""
    lines = []
    for network in networks:
        weights, total, layers = TABLE_1[network.name]
        lines += [
            f"| {network.name} (Table 1) | kernels | layers | weights | as published |",
            "| --- | --- | ---: | ---: | ---: |",
        ]
        for row, published in zip(network.rows, weights, strict=True):
            lines.append(f"| {row.name} | {row.kernels} | {row.layers} | {row.weights:,} | {published:,} |")
        lines += [f"| all | | {network.layers} | {network.weights:,} | {total:,} in {layers} layers |", ""]
    lines += ["| size (Table 3) | MB | as published |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | not measured | {size} |" for name, size in TABLE_3.items()]
    lines += [f"| Golf, {name} | {size:.2f} | {OWN[name]} |" for name, size in own_sizes(networks).items()]
    return "\n".join([*lines, "", "MB are 2^20 bytes, a weight has 4 bytes. Ours are counted in the modules."])


def own_sizes(networks: Sequence[Network]) -> dict[str, float]:
    """MB of each network and of all together."""
    apart = {network.name: network.megabytes for network in networks}
    return {**apart, " and ".join(apart): sum(apart.values())}


def write_json(folder: Path, networks: Sequence[Network]) -> Path:
    """Write FOLDER/golf-size.json, which is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    ours = {
        n.name: {"rows": [asdict(row) for row in n.rows], "weights": n.weights, "layers": n.layers} for n in networks
    }
    published = {
        name: {"weights_by_row": rows, "weights": total, "layers": layers}
        for name, (rows, total, layers) in TABLE_1.items()
    }
    values = {
        "experiment": "golf-size",
        "reference": "luo2019golf",
        "networks": ours,
        "megabytes": own_sizes(networks),
        "published": {"networks": published, "megabytes": {**TABLE_3, **OWN}},
    }
    return write_numbers(folder / FILE, values)


def write_plots(folder: Path, networks: Sequence[Network]) -> list[Path]:
    """Write golf-size.png into a folder that is there; it is replaced.

    Raises:
        MissingExtra: matplotlib is not installed. OutputError: it cannot be written.
    """
    return [write_plot(folder / PLOT, 11.0, 4.2, lambda figure: _draw(figure, networks))]


def _draw(figure: Any, networks: Sequence[Network]) -> None:
    """On the left weights by layer, on the right sizes of methods, both on logarithmic axes."""
    left, right = figure.subplots(1, 2)
    for k, network in enumerate(networks):
        places = [row + 0.38 * (k - 0.5) for row in range(len(network.rows))]
        weights = [row.weights for row in network.rows]
        label = f"{network.name}: {network.weights:,} weights, {network.layers} layers"
        left.barh(places, weights, height=0.36, color=COLOURS[k], label=label)
        for place, row in zip(places, network.rows, strict=True):
            left.text(row.weights * 1.08, place, f"{row.name}   {row.weights:,}", va="center", fontsize=8, color=INK)
    left.set(xscale="log", xlim=(200, 8e6), xlabel="weights")
    left.set_yticks(range(6), ["first", "layer 1", "layer 2", "layer 3", "layer 4", "last"])
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=9, frameon=False)
    bars = [(name, size, f"{size:g}", SOFT) for name, size in TABLE_3.items()]
    bars += [(f"Golf, {name}", size, f"{size:.2f}", COLOURS[0]) for name, size in own_sizes(networks).items()]
    for place, (_, size, text, colour) in enumerate(bars):
        right.barh([place], [size], height=0.6, color=colour)
        right.text(size * 1.1, place, text, va="center", fontsize=9, color=INK)
    right.set(xscale="log", xlim=(0.2, 2000), xlabel="MB; the grey ones as published")
    right.set_yticks(range(len(bars)), [name for name, *_ in bars])
    for axes in (left, right):
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.7g}")
