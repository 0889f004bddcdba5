"""How large DGUNet is: its weights counted in the modules, beside the authors' state dicts (Mou et al. 2022).

A state dict of theirs names a PReLU that several blocks share once for each of them (6 names too many in DGUNet, 19 in
DGUNet+), and holds what is never used: `concat12` of DGUNet, 18 n^2 weights, and the residual blocks of the networks
for sensing. Ours holds what is used, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from acutance.methods.dgunet import DeblurConfig, DenoiseConfig, DerainConfig, DGUNetConfig, SenseConfig
from acutance.networks.dgunet import DGUNet
from acutance_lab.experiments.output import write_numbers

VARIANTS: tuple[tuple[str, DGUNetConfig, int], ...] = (
    ("deblurring, DGUNet", DeblurConfig(), 17_331_518),
    ("deblurring, DGUNet+", DeblurConfig(plus=True), 69_572_934),
    ("denoising, DGUNet", DenoiseConfig(), 17_331_518),
    ("denoising, DGUNet+", DenoiseConfig(plus=True), 48_362_006),
    ("deraining, DGUNet", DerainConfig(), 3_661_918),
    ("deraining, DGUNet+", DerainConfig(plus=True), 12_176_126),
    ("sensing 10 %, DGUNet", SenseConfig(), 2_390_078),
    ("sensing 25 %, DGUNet+", SenseConfig(ratio=0.25, plus=True), 7_072_294),
)
"""Name, settings, and elements of the authors' state dict."""

FILE = "dgunet-size.json"


@dataclass(frozen=True)
class Row:
    """One network. Args: weights: ours. elements: of the authors' state dict. width, growth, stages: its size."""

    name: str
    width: int
    growth: int
    stages: int
    weights: int
    elements: int


def run() -> tuple[Row, ...]:
    """Count; nothing is allocated."""
    rows = []
    for name, config, elements in VARIANTS:
        size = config.size()
        with torch.device("meta"):
            weights = sum(p.numel() for p in DGUNet(size).parameters())
        rows.append(Row(name, size.width, size.growth, size.stages, weights, elements))
    return tuple(rows)


def size_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| network | n | s | stages | weights | MB | elements of the authors' state dict | more |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rows:
        lines.append(
            f"| {r.name} | {r.width} | {r.growth} | {r.stages} | {r.weights:,} | {4 * r.weights / 2**20:.1f} | "
            f"{r.elements:,} | {r.elements - r.weights:,} |"
        )
    note = (
        "More: names of PReLUs that are shared (6 in DGUNet, 19 in DGUNet+), concat12 of DGUNet (18 n^2), residual "
        "blocks that sensing never uses. MB are 2^20 bytes, a weight has 4."
    )
    return "\n".join([*lines, "", note])


def write_json(folder: Path, rows: Sequence[Row]) -> Path:
    """Write FOLDER/dgunet-size.json, which is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    values = {"experiment": "dgunet-size", "reference": "mou2022dgunet", "networks": [asdict(row) for row in rows]}
    return write_numbers(folder / FILE, values)
