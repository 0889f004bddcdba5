"""Methods that need nothing but a picture, or its measurements: the whole run is one graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.export.graph import Graph, Port, Tensors, extended
from acutance.methods.dgunet import Unfolded
from acutance.methods.golf import Golf
from acutance.networks.dgunet import DGUNet, Memory
from acutance.operators import Sensing
from acutance.problem import Problem
from acutance.tensors import SENSED, block_sums

PICTURE = "picture to restore, RGB values as the file encodes them, its bright parts near 1 (range 0 to 1)"
RESTORED = "restored picture, in the units of the input"


class Strokes(nn.Module):
    """All strokes of Golf, one after the other: (B, 3, H, W) -> (B, 3, H, W)."""

    def __init__(self, method: Golf) -> None:
        super().__init__()
        self.strokes = nn.ModuleList([*method.drives, *[method.putt] * method.config.putts])

    def forward(self, picture: Tensor) -> tuple[Tensor]:
        """The restored picture."""
        for stroke in self.strokes:
            picture = stroke(picture)
        return (picture,)


class Stages(nn.Module):
    """All stages of DGUNet, on a picture of any size: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, network: DGUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor]:
        """The restored picture."""
        height, width = picture.shape[-2:]
        memory = self.network.begin(extended(picture, self.network.size.multiple_of))
        for which in self.network.size.order:
            memory = self.network.stage(which, memory)
        return (memory.picture[..., :height, :width],)


class Decoder(nn.Module):
    """All stages of DGUNet for measurements: (B, m, rows, columns) -> (B, 1, 32 rows, 32 columns)."""

    def __init__(self, network: DGUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, measurements: Tensor) -> tuple[Tensor]:
        """The picture."""
        assert self.network.sampling is not None
        start = block_sums(measurements, self.network.sampling.weight, SENSED)
        memory = Memory(start, start)
        for which in self.network.size.order:
            memory = self.network.stage(which, memory)
        return (memory.picture,)


def golf_graph(method: Golf) -> Graph:
    """Golf: a blurred picture in, a sharp one out."""

    def trial(generator: torch.Generator, batch: int, height: int, width: int) -> tuple[Tensors, Tensors]:
        picture = torch.rand(batch, 3, height, width, generator=generator)
        return {"picture": picture}, {"restored": method.run(Problem(picture)).x}

    size = ("batch", 3, "height", "width")
    return Graph("golf", Strokes(method), (Port("picture", size, PICTURE),), (Port("restored", size, RESTORED),),
                 "removes any blur from a picture, without a kernel", trial)  # fmt: skip


def dgunet_graph(method: Unfolded) -> Graph:
    """DGUNet against blur, noise or rain: a picture in, a picture out.

    Raises:
        ConfigError: the method is set to go a part of the way only.
    """
    channels = method.config.channels
    _refuse_part(method)

    def trial(generator: torch.Generator, batch: int, height: int, width: int) -> tuple[Tensors, Tensors]:
        picture = torch.rand(batch, channels, height, width, generator=generator)
        return {"picture": picture}, {"restored": method.run(Problem(picture)).x}

    size = ("batch", channels, "height", "width")
    inputs, outputs = (Port("picture", size, PICTURE),), (Port("restored", size, RESTORED),)
    return Graph(
        "dgunet", Stages(method.network), inputs, outputs, "restores a picture; sides of 8 pixels or more", trial
    )


def sense_graph(method: Unfolded) -> Graph:
    """DGUNet for compressive sensing: measurements in, a picture out.

    Raises:
        ConfigError: the method is set to go a part of the way only.
    """
    matrix = method.matrix().detach()
    _refuse_part(method)

    def trial(generator: torch.Generator, batch: int, height: int, width: int) -> tuple[Tensors, Tensors]:
        picture = torch.rand(batch, 1, height, width, generator=generator)
        sensing = Sensing(matrix, (height, width))
        measured = sensing.measure(picture)
        return {"measurements": measured}, {"restored": method.run(Problem(measured, sensing)).x}

    numbers = Port("measurements", ("batch", len(matrix), "rows", "columns"),
                   "products of each block of 32 x 32 pixels (row by row, range 0 to 1) with the rows of the sampling "
                   "matrix, one channel; the matrix is that of the weights")  # fmt: skip
    picture = Port("restored", ("batch", 1, "height", "width"), "picture of whole blocks, range 0 to 1")
    return Graph("dgunet-sense", Decoder(method.network), (numbers,), (picture,),
                 "turns compressive measurements into a picture", trial)  # fmt: skip


def _refuse_part(method: Unfolded) -> None:
    if method.config.strength < 1:
        raise ConfigError(f"strength={method.config.strength}: a graph goes all the way; export with strength=1")
