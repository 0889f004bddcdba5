"""How large Golf is: its networks layer by layer, and beside other methods (Luo et al. 2019, Tables 1 and 3).

Everything of ours is read off the modules themselves. Weights are numbers of 4 bytes, and 1 MB is 2^20 bytes: with 10^6
the paper's 1.78, 0.46 and 2.24 MB do not come out. The paper counts as layers what it draws in its Figure 6: the first
and the last convolution, and in each basic block two normalisations, two ReLU and two convolutions. A shortcut that
changes the number of features has weights but is no layer of its own there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from acutance.methods.golf import Golf
from acutance.networks.blocks import BasicBlocks, Block

MEGABYTE = 2**20

TABLE_1 = {
    "F": ((4704, 151_808, 151_808, 151_808, 5779, 441), 466_348, 50),
    "G": ((2352, 38_016, 38_016, 38_016, 3347, 441), 120_188, 50),
}
"""Of the paper: weights by row, all of them, layers."""

TABLE_3 = {
    "Nah et al. 2017": 303.6,
    "Sun et al. 2015": 54.1,
    "Gong et al. 2017": 41.2,
    "Zhang et al. 2018": 37.1,
}
"""Sizes of the others as the paper gives them, MB."""

OWN = {"F": 1.78, "G": 0.46, "F and G": 2.24}
"""Sizes of its own, MB."""


@dataclass(frozen=True)
class Row:
    """One row of Table 1. Args: name: of the layer, with its features. kernels: sides. weights, layers: how many."""

    name: str
    kernels: str
    weights: int
    layers: int


@dataclass(frozen=True)
class Network:
    """F or G. Args: name. rows: its layers in order."""

    name: str
    rows: tuple[Row, ...]

    @property
    def weights(self) -> int:
        """All of them."""
        return sum(row.weights for row in self.rows)

    @property
    def layers(self) -> int:
        """Basic ones, as the paper counts."""
        return sum(row.layers for row in self.rows)

    @property
    def megabytes(self) -> float:
        """Size as 4-byte numbers."""
        return 4 * self.weights / MEGABYTE


def run() -> tuple[Network, Network]:
    """F and G as the catalogue builds them without further settings."""
    golf = Golf()
    drive = golf.drives[0]
    assert isinstance(drive, BasicBlocks)
    return Network("F", rows_of(drive)), Network("G", rows_of(golf.putt))


def rows_of(network: BasicBlocks) -> tuple[Row, ...]:
    """The first convolution, the blocks two by two, the last convolution.

    Example:
        >>> [row.name for row in rows_of(BasicBlocks(16))]
        ['Conv 3 → 16', '2 BB 16 → 16', '2 BB 16 → 16', '2 BB 16 → 16', '2 BB 16 → 3', 'Conv 3 → 3']
    """
    blocks = [block for block in network.blocks if isinstance(block, Block)]
    pairs = [blocks[i : i + 2] for i in range(0, len(blocks), 2)]
    return (_row("Conv", [network.head]), *(_row("2 BB", pair) for pair in pairs), _row("Conv", [network.tail]))


def basic_layers(module: nn.Module) -> int:
    """Convolutions, normalisations and ReLU of a convolution or a block, without its shortcut.

    A block is [norm, ReLU, convolution] twice, and the ReLU are functions, not modules: one for each normalisation.
    """
    if not isinstance(module, Block):
        return 1
    norms, convolutions = (module.before, module.between), (module.first, module.second)
    return 2 * len(norms) + len(convolutions)


def _row(kind: str, modules: Sequence[nn.Module]) -> Row:
    convolutions = [m for module in modules for m in module.modules() if isinstance(m, nn.Conv2d)]
    sides = list(dict.fromkeys(f"{m.kernel_size[0]}×{m.kernel_size[1]}" for m in convolutions))
    first, last = convolutions[0], convolutions[-1]
    return Row(
        name=f"{kind} {first.in_channels} → {last.out_channels}",
        kernels=", ".join(sides),
        weights=sum(p.numel() for module in modules for p in module.parameters()),
        layers=sum(basic_layers(module) for module in modules),
    )
