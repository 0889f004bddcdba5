"""The networks as their papers write them: torch's own layers one after the other, float32, the whole picture at once.

They have the weights of ours, and are what ours are timed against and compared with: `golf:plain=true`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.methods.dgunet import Unfolded
from acutance.methods.golf import Golf
from acutance.methods.rgdn import Rgdn
from acutance.networks.blocks import EPSILON, BasicBlocks, Block, Norm
from acutance.networks.dgunet import DGUNet
from acutance.networks.residual import ConvStack
from acutance.problem import Method, Observer, Problem, Result, direct_result

Advance = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Plain:
    """A method in its plain form: RGDN with all its steps, Golf, the DGUNets for pictures.

    Args:
        model: ours, in evaluation mode.

    Raises:
        ConfigError: there is no plain form of it.
    """

    model: Rgdn | Golf | Unfolded

    @staticmethod
    def of(method: Method) -> Plain:
        """The plain form of a method."""
        if not isinstance(method, Rgdn | Golf | Unfolded):
            raise ConfigError("plain=true: there is a plain form of rgdn, golf and the dgunet methods")
        if isinstance(method, Unfolded) and method.config.rows():
            raise ConfigError("plain=true: dgunet-sense has no plain form")
        return Plain(method)

    @torch.no_grad()
    def run(self, problem: Problem, *, on_step: Observer | None = None) -> Result:
        """See `acutance.problem.Method`; no step is shown."""
        if not isinstance(self.model, Rgdn):
            plain = plain_golf(self.model) if isinstance(self.model, Golf) else plain_dgunet(self.model)
            return direct_result(problem, plain(problem.observed))
        advance, x = plain_step(self.model, problem), problem.start()
        for _ in self.model.solver().steps:
            x = advance(x)
        return direct_result(problem, x)


def plain_step(model: Rgdn, problem: Problem) -> Advance:
    """x(t) -> x(t+1) as the paper writes it; the weights are the model's, the gradient of the data term is shared."""
    r, h, d = (plain_network(stack) for stack in (model.prior, model.adapter, model.scaler))
    paper = model.config.form == "paper"

    def advance(x: Tensor) -> Tensor:
        grad = problem.gradient(x)
        after: Tensor = x + d(h(grad) + r(x)) if paper else 0.8 * x + 0.2 * d(h(grad) - r(x))
        return after

    return advance


def plain_network(stack: ConvStack) -> nn.Sequential:
    """The published layers as torch has them, with the weights of the stack, in evaluation mode."""
    layers: list[nn.Module] = []
    for layer in stack.main:
        match layer:
            case nn.ConvTranspose2d() | nn.Conv2d():
                kind = nn.ConvTranspose2d if isinstance(layer, nn.ConvTranspose2d) else nn.Conv2d
                side, padding = layer.weight.shape[-1], layer.weight.shape[-1] // 2
                layers.append(kind(layer.in_channels, layer.out_channels, side, padding=padding, bias=False))
            case nn.BatchNorm2d():
                layers.append(nn.BatchNorm2d(layer.num_features, eps=layer.eps))
            case _:
                layers.append(nn.ReLU())
    network = nn.Sequential(*layers)
    network.load_state_dict(stack.main.state_dict())
    return network.float().eval()


def plain_golf(model: Golf) -> Advance:
    """y -> x(n): the drives, then the putts."""
    drives = [PlainBlocks(_blocks(drive)) for drive in model.drives]
    putts = [PlainBlocks(_blocks(model.putt))] * model.config.putts
    return nn.Sequential(*drives, *putts).float().eval()


class PlainBlocks(nn.Module):
    """`acutance.networks.blocks.BasicBlocks` of torch's layers."""

    def __init__(self, ours: BasicBlocks) -> None:
        super().__init__()
        self.added = ours.added
        self.head, self.tail = ours.head, ours.tail
        self.blocks = nn.ModuleList(PlainBlock(block) for block in ours.blocks if isinstance(block, Block))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> alike."""
        z = self.head(x)
        for block in self.blocks:
            z = block(z)
        return self.added(x, self.tail(z))


class PlainBlock(nn.Module):
    """One block of it."""

    def __init__(self, ours: Block) -> None:
        super().__init__()
        self.main = nn.Sequential(
            _norm(ours.before), nn.ReLU(inplace=True), ours.first, _norm(ours.between), nn.ReLU(inplace=True),
            ours.second,
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if ours.project is not None and ours.projected is not None:
            self.shortcut = nn.Sequential(ours.project, _norm(ours.projected))

    def forward(self, z: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        out: Tensor = self.shortcut(z) + self.main(z)
        return out


def plain_dgunet(model: Unfolded) -> Advance:
    """y -> x(n) by our modules, which are torch's layers already: in float32 and in the default layout."""
    network = DGUNet(model.network.size)
    network.load_state_dict(model.network.state_dict())
    network.float().eval()

    def advance(y: Tensor) -> Tensor:
        memory = network.begin(y)
        for which in network.size.order:
            memory = network.stage(which, memory)
        return memory.picture

    return advance


def _norm(ours: Norm) -> nn.InstanceNorm2d:
    made = nn.InstanceNorm2d(len(ours.weight), eps=EPSILON, affine=True)
    made.load_state_dict(ours.state_dict())
    return made


def _blocks(module: Any) -> BasicBlocks:
    assert isinstance(module, BasicBlocks)
    return module
