r"""Methods of other people's libraries as contenders: the three deconvolutions of scikit-image.

They get what the methods of the catalogue get: the kernel the right way round, the noise level where they can use one
(estimated where nobody tells it), float32, and a border. scikit-image thinks of a picture as a torus (wiener,
unsupervised_wiener) or as surrounded by black (richardson_lucy); so the observed picture is laid into a larger one,
restored there, and cut out again. Around it is a smooth bridge to the opposite edge ("bridge"), or its outermost pixels
repeated ("edge"), or its mirror image ("reflect"); and `rounds` times what lies around is replaced by what the restored
picture says of it: what our own methods do about the frame, as far as one can from outside. Colour channels are
restored one by one.

What scikit-image leaves to its user has a default here that was searched for on photographs, at 0.6, 1, 3 and 5 %
noise, by these commands (P: --photographs DIR --cases 6, with the training photographs; dB: means over the levels)::

    acutance-lab bench tune skimage-wiener border=bridge,edge,reflect rounds=0,2,8,16 reg=gradient P
        bridge: 24.97 25.14 25.23 25.26 dB with 0, 2, 8, 16 rounds; edge at most 25.15, reflect 25.02
    acutance-lab bench tune skimage-wiener reg=gradient strength=3,5,7,10,14,20,30 power=1.25,1.5,1.75 rounds=16 P
        10 sigma^1.5 or 20 sigma^1.75: at every level within 0.1 dB of the best of the grid
    acutance-lab bench tune skimage-wiener reg=laplacian strength=3,10,30,100,300 power=1.5,2 rounds=8 P
        at most 24.78 dB: the gradient as regulariser, which is not the default of scikit-image, gains half a decibel
    acutance-lab bench tune skimage-unsupervised-wiener reg=laplacian,gradient border=bridge,edge rounds=0,2,4,8 P
        24.24 dB as it comes with a bridge, 24.70 with 8 rounds; the gradient 24.66
    acutance-lab bench tune skimage-richardson-lucy border=edge,bridge,reflect rounds=0,2 iterations=10,30,70 P
        2 rounds gain up to 2.6 dB with many iterations, lose 0.1 with few; edge and bridge are equal
    acutance-lab bench tune skimage-richardson-lucy rounds=2,4 strength=20,26,34 power=0.7,0.85,1 P
        26 iterations at 1 % noise, in inverse proportion to it: 24.12 dB; without rounds at most 23.23
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from acutance.errors import ConfigError, MissingExtra
from acutance.images import Image
from acutance.linear import bridge, laplacian_power
from acutance.methods.spec import Needs, configure
from acutance.noise.blocks import noise_level
from acutance.operators import Blur
from acutance.problem import Outcome
from acutance.tensors import fast_length
from acutance_lab.bench.runner import Attempt, OnPixels, Runner

Plane = NDArray[np.float32]
Solve = Callable[[Plane], Plane]

BORDERS = ("bridge", "edge", "reflect")
REGULARISERS = ("laplacian", "gradient")
MOST_ITERATIONS = 300


@dataclass(frozen=True, kw_only=True)
class Peer(Runner):
    """A runner around a function of scikit-image; see the module for `border` and `rounds`."""

    needs: ClassVar[Needs]
    border: str = "bridge"
    rounds: int = 16

    def __post_init__(self) -> None:
        if self.border not in BORDERS:
            raise ConfigError(f"border={self.border}: give {', '.join(BORDERS)}")
        if not 0 <= self.rounds <= 100:
            raise ConfigError(f"rounds={self.rounds}: give 0 to 100")

    @abstractmethod
    def restore(self, observed: Plane, psf: Plane, sigma: float) -> tuple[Plane, int]:
        """Restore one channel, laid into its larger picture; and the number of steps that took."""

    def __call__(
        self, observed: Image | Tensor, kernel: Tensor | None, sigma: float | None, *, on_pixels: OnPixels | None = None
    ) -> Attempt:
        """See `acutance_lab.bench.runner.Runner`."""
        assert kernel is not None
        assert on_pixels is None
        observed = observed.pixels if isinstance(observed, Image) else observed
        begun = time.perf_counter()
        blur = Blur(kernel.float(), "circular")
        level = sigma
        if level is None:
            level = float(noise_level(observed.float())) if self.needs.sigma else 0.0
        channels, steps = [], 0
        for c in range(observed.shape[1]):
            plane = blur if blur.kernel.shape[1] == 1 else Blur(blur.kernel[:, c : c + 1], "circular")
            pixels, took = self._one(observed[:, c : c + 1].float(), plane, level)
            channels.append(pixels)
            steps = max(steps, took)
        restored = torch.cat(channels, 1)
        fine = bool(torch.isfinite(restored).all())
        seconds = time.perf_counter() - begun
        outcome = Outcome.COMPLETED if fine else Outcome.DIVERGED
        return Attempt(restored if fine else observed, seconds, steps, outcome.name)

    def _one(self, observed: Tensor, blur: Blur, sigma: float) -> tuple[Tensor, int]:
        """One channel (1, 1, H, W): laid into the larger picture, restored there `rounds` + 1 times, cut out."""
        height, width = observed.shape[-2:]
        (r, s), psf = blur.radius, blur.kernel[0, 0].numpy()
        y = _laid(observed, fast_length(height + 4 * r), fast_length(width + 4 * s), self.border)
        top, left = (y.shape[-2] - height) // 2, (y.shape[-1] - width) // 2
        x, steps = self._whole(y, psf, sigma)
        for _ in range(self.rounds):
            y = blur.forward(x)
            y[..., top : top + height, left : left + width] = observed
            x, more = self._whole(y, psf, sigma)
            steps += more
        return x[..., top : top + height, left : left + width], steps

    def _whole(self, y: Tensor, psf: Plane, sigma: float) -> tuple[Tensor, int]:
        plane, steps = self.restore(y[0, 0].numpy(), psf, sigma)
        return torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32))[None, None], steps


@dataclass(frozen=True, kw_only=True)
class SkimageWiener(Peer):
    """skimage.restoration.wiener.

    Args:
        balance: weight of the regulariser; 0: by the rule strength * sigma^power. reg: what is penalised, the
            Laplacian or the gradient.
    """

    needs: ClassVar[Needs] = Needs(kernel=True, sigma=True)
    balance: float = 0.0
    strength: float = 10.0
    power: float = 1.5
    reg: str = "gradient"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_regulariser(self.reg)

    def restore(self, observed: Plane, psf: Plane, sigma: float) -> tuple[Plane, int]:
        """See `Peer`."""
        balance = self.balance or self.strength * max(sigma, 1e-4) ** self.power
        reg = _regulariser(self.reg, observed)
        return _restoration().wiener(observed, psf, balance, reg=reg, clip=False), 1


@dataclass(frozen=True, kw_only=True)
class SkimageUnsupervisedWiener(Peer):
    """skimage.restoration.unsupervised_wiener: finds the noise and the weight of the regulariser itself.

    Args:
        reg: what is penalised, the Laplacian or the gradient. iterations: at most.
    """

    needs: ClassVar[Needs] = Needs(kernel=True)
    rounds: int = 8
    reg: str = "laplacian"
    iterations: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_regulariser(self.reg)

    def restore(self, observed: Plane, psf: Plane, sigma: float) -> tuple[Plane, int]:
        """See `Peer`."""
        pixels, chains = _restoration().unsupervised_wiener(
            observed,
            psf,
            reg=_regulariser(self.reg, observed),
            user_params={"max_num_iter": self.iterations},
            clip=False,
            rng=0,
        )
        return pixels, len(chains["noise"]) - 1


@dataclass(frozen=True, kw_only=True)
class SkimageRichardsonLucy(Peer):
    """skimage.restoration.richardson_lucy.

    Args:
        iterations: 0: by the rule strength * (1 % / sigma)^power.
        epsilon: where the blurred estimate is darker, it is not divided by. scikit-image divides by anything unless
            told otherwise, which in float32 and in black regions overflows.
    """

    needs: ClassVar[Needs] = Needs(kernel=True, sigma=True)
    border: str = "edge"
    rounds: int = 2
    iterations: int = 0
    strength: float = 26.0
    power: float = 1.0
    epsilon: float = 1e-3

    def restore(self, observed: Plane, psf: Plane, sigma: float) -> tuple[Plane, int]:
        """See `Peer`."""
        count = self.iterations or round(self.strength * (0.01 / max(sigma, 1e-4)) ** self.power)
        count = min(max(count, 1), MOST_ITERATIONS)
        lucy = _restoration().richardson_lucy
        return lucy(observed.clip(0), psf, num_iter=count, clip=False, filter_epsilon=self.epsilon), count


PEERS: Mapping[str, type[Peer]] = MappingProxyType(
    {
        "skimage-wiener": SkimageWiener,
        "skimage-unsupervised-wiener": SkimageUnsupervisedWiener,
        "skimage-richardson-lucy": SkimageRichardsonLucy,
    }
)
"""Every peer by name."""


def load_peer(name: str, settings: dict[str, Any]) -> Peer:
    """A peer, ready to run.

    Raises:
        ConfigError: a setting that it does not have. MissingExtra: its library is not installed.
    """
    _restoration()
    return configure(PEERS[name], name, settings)


def _restoration() -> Any:
    try:
        from skimage import restoration
    except ImportError as error:
        raise MissingExtra("a method of scikit-image", "lab") from error
    return restoration


def _check_regulariser(name: str) -> None:
    if name not in REGULARISERS:
        raise ConfigError(f"reg={name}: give {' or '.join(REGULARISERS)}")


def _regulariser(name: str, like: Plane) -> NDArray[np.complex64] | None:
    """As scikit-image takes it: None: its Laplacian; else a transfer function, of which it reads the real part."""
    if name == "laplacian":
        return None
    height, width = like.shape
    power: NDArray[np.float32] = laplacian_power(height, 2 * (width // 2), like=torch.zeros(1)).numpy()
    return np.sqrt(power).astype(np.complex64)


def _laid(observed: Tensor, height: int, width: int, border: str) -> Tensor:
    """The picture in the middle of a larger one."""
    down, right = height - observed.shape[-2], width - observed.shape[-1]
    if border == "bridge":
        return torch.roll(bridge(bridge(observed, height, -2), width, -1), (down // 2, right // 2), (-2, -1))
    around = ((down // 2, down - down // 2), (right // 2, right - right // 2))
    mode: Any = {"edge": "edge", "reflect": "symmetric"}[border]
    return torch.from_numpy(np.pad(observed[0, 0].numpy(), around, mode=mode))[None, None]
