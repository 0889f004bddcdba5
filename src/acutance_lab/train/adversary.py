r"""An adversarial term: one network learns to tell restored from sharp, the method learns to be taken for sharp.

    L_D = mean( max(0, 1 - D(x)) ) + mean( max(0, 1 + D(z)) ),        L = content + weight * mean( -D(z) )

with x the sharp picture, z the final estimate of a window, and D(.) one number for every patch of 70 x 70 pixels (the
Markovian discriminator of Isola et al. 2017, as DeblurGAN has it, Kupyn et al. 2018); Gong et al. 2020 name such a term
as future work. L_D is the hinge (Lim and Ye 2017) and not that of the relativistic average, whose mean over the batch
would couple pictures, and change with the number of devices.

Every weight of D is divided by its largest singular value (Miyato et al. 2018),

    W / s(W),   s(W) = |W' u|,   u <- W W' u / |W W' u|  once for each update of D,

W as a matrix of (outputs, inputs * 4 * 4). D has no statistics of the batch, so sharp and restored go through it
together. Where the sharp picture exceeds the range both are cut at its end, as everything above is right there.

L_D is 2 where D cannot tell the two apart and 0 where it is sure; the log of a run has it as ``discriminator``. D has
its own Adam with momentum 0.5 and a constant learning rate (that of the method falls).

The gradient of the term on the picture has a norm of 0.3 to 0.4 times the weight once D has learned; beside it that of
"log-mse" has 0.1 and that of "mse" 2e-4 (crops of 128, blurred by 3 to 7 pixels): begin with weights of 0.1 and 1e-4.
Such a term costs PSNR: a run with it is judged by what its pictures look like.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from acutance.errors import ConfigError
from acutance.frame import resolve_precision
from acutance_lab.train import checkpoint
from acutance_lab.train.config import LEAST_JUDGED, AdversaryConfig

if TYPE_CHECKING:
    from lightning.fabric import Fabric

SLOPE = 0.2
"""Of the leaky ReLU below zero."""

DEVIATION = 0.02
"""Of the initial weights. What they are divided by makes it a matter of pace only: of how far a step of Adam turns."""

FIRST_ROUNDS = 15
"""Power iterations on the initial weights."""

BETAS = (0.5, 0.999)
"""Of Adam: Isola et al. 2017, Kupyn et al. 2018."""


class SpectralConv(nn.Module):
    """A convolution of 4 x 4 with padding 1 whose weights are divided by their largest singular value; see the module.

    Args:
        inputs, outputs: channels. stride: 1 or 2. generator: what the weights are drawn with.
    """

    u: Tensor

    def __init__(self, inputs: int, outputs: int, stride: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(DEVIATION * torch.randn(outputs, inputs, 4, 4, generator=generator))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("u", torch.randn(outputs, generator=generator))
        for _ in range(FIRST_ROUNDS):
            self.tighten()

    @torch.no_grad()
    def tighten(self) -> None:
        """One power iteration: u comes closer to the singular vector."""
        matrix = self.weight.flatten(1)  # (outputs, inputs * 16)
        self.u.copy_(F.normalize(matrix @ (matrix.T @ self.u), dim=0))

    def normalised(self) -> Tensor:
        """W / s(W), (outputs, inputs, 4, 4); its gradient knows that s depends on W."""
        size: Tensor = torch.linalg.vector_norm(self.weight.flatten(1).T @ self.u)
        return self.weight / size


class Discriminator(nn.Module):
    """D, five convolutions: (B, 1 or 3, H, W) in [0, 1] -> (B, 1, H // 8 - 2, W // 8 - 2), each of 70 x 70 pixels.

    Args:
        features: of the first convolution; 2, 4 and 8 times as many follow.
        generator: what the weights are drawn with.
        dtype: bfloat16 runs the convolutions under autocast.
    """

    def __init__(self, features: int, generator: torch.Generator, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        f, self.dtype = features, dtype
        sizes = ((3, f, 2), (f, 2 * f, 2), (2 * f, 4 * f, 2), (4 * f, 8 * f, 1), (8 * f, 1, 1))
        self.layers = nn.ModuleList(SpectralConv(*size, generator) for size in sizes)

    def forward(self, z: Tensor, *, frozen: bool = False) -> Tensor:
        """The scores, in float32: high for sharp.

        Args:
            z: pictures of at least 24 x 24; grey ones of one channel are seen as three equal ones.
            frozen: no gradient reaches the weights, only z.

        Raises:
            ConfigError: pictures that are smaller.
        """
        if min(z.shape[-2:]) < LEAST_JUDGED:
            raise ConfigError(
                f"the adversarial term wants crops of at least {LEAST_JUDGED} pixels, not {tuple(z.shape[-2:])}"
            )
        layers: list[Any] = list(self.layers)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            weights = [(layer.normalised(), layer.bias.detach() if frozen else layer.bias) for layer in layers]
        z = (2 * z.clamp_max(1) - 1).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        low = self.dtype is torch.bfloat16
        with torch.autocast(z.device.type, dtype=torch.bfloat16) if low else nullcontext():
            for i, (layer, (weight, bias)) in enumerate(zip(layers, weights, strict=True)):
                z = F.conv2d(F.leaky_relu(z, SLOPE) if i else z, weight, bias, stride=layer.stride, padding=1)
        return z.float() if low else z

    def tighten(self) -> None:
        """One power iteration for every convolution."""
        for layer in self.layers:
            assert isinstance(layer, SpectralConv)
            layer.tighten()


def hinge(sharp: Tensor, restored: Tensor) -> Tensor:
    """L_D of the scores of both, a scalar."""
    return F.relu(1 - sharp).mean() + F.relu(1 + restored).mean()


class Adversary:
    """D, its optimiser, and what the loop does with them.

    A plain object that a `Work` carries into the window: D is no part of the method, nor of what Fabric wraps around
    the method, and gets a wrapper of its own (`set_up`).

    Args:
        config: its settings, of a weight above 0. seed: of its weights. device: where it works.
    """

    def __init__(self, config: AdversaryConfig, *, seed: int, device: torch.device) -> None:
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        self.network = Discriminator(config.features, generator, dtype=resolve_precision("auto", device)).to(device)
        self.optimiser: Any = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, betas=BETAS)
        self.wrapped: nn.Module = self.network

    def begun(self, progress: float) -> bool:
        """Whether it is used at that fraction of the run."""
        return progress >= self.config.begins

    def tensors(self) -> dict[str, Tensor]:
        """Weights and the optimiser's history, for the checkpoint."""
        return checkpoint.pack(self.network, self.optimiser)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """What `tensors` gave back; nothing of a run that had no adversary. Before `set_up`.

        Raises:
            ConfigError: they are those of another number of features.
        """
        if not tensors:
            return
        try:
            checkpoint.unpack(tensors, self.network, self.optimiser)
        except RuntimeError:
            features = len(tensors["model.layers.0.bias"])
            raise ConfigError(
                f"adversary: features={self.config.features}, but the checkpoint's has {features}: set features to "
                "that, or start in another folder"
            ) from None

    def set_up(self, fabric: Fabric) -> None:
        """Let Fabric wrap the network as it does the window: so gradients are averaged over the devices."""
        self.wrapped, self.optimiser = fabric.setup(self.network, self.optimiser)

    def term(self, restored: Tensor) -> Tensor:
        """weight * mean(-D(z)) of (B, 1 or 3, H, W), a scalar whose gradient reaches z and not D."""
        scores: Tensor = self.network(restored, frozen=True)
        return -self.config.weight * scores.mean()

    def learn(self, fabric: Fabric, sharp: Tensor, restored: Tensor, *, clip: float) -> float:
        """One update of D on (B, 1 or 3, H, W) of each, detached; returns L_D as it was before.

        Like the loop's, an update that is not finite is skipped.
        """
        self.network.tighten()
        of_sharp, of_restored = self.wrapped(torch.cat((sharp, restored))).chunk(2)
        loss = hinge(of_sharp, of_restored)
        self.optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        norm = fabric.clip_gradients(self.wrapped, self.optimiser, max_norm=clip, error_if_nonfinite=False)
        value = float(loss.detach())
        if math.isfinite(value) and bool(torch.isfinite(torch.as_tensor(norm))):
            self.optimiser.step()
        return value
