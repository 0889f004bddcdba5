"""The learned estimator: kernels, windows, masks, the solve for the kernel."""

from __future__ import annotations

import pytest
import torch
from blind.scenes import hook, shaken, town
from torch import Tensor

from acutance.blind.base import Unknowable, estimate, estimate_apart
from acutance.blind.learned import Learned
from acutance.blind.salience import Salience, cleaned, gradients, normalised, regressed, sharper, turn
from acutance.errors import ConfigError
from acutance.metrics import kernel_similarity
from acutance.operators import Blur
from acutance.psf import shapes


@pytest.mark.parametrize("size", [15, 31, 65])
def test_the_size_that_it_is_given_matters_little(size: int) -> None:
    _, y, k = shaken()
    assert float(kernel_similarity(estimate(y, Learned(size)), k)) > 0.65


def test_units_do_not_matter() -> None:
    _, y, _ = shaken()
    a, b = (estimate(v, Learned(15)) for v in (y, 1000 * y + 5))
    assert float(kernel_similarity(a, b)) > 0.98


def test_windows_of_one_blur_share_a_kernel_and_others_have_their_own() -> None:
    k = hook()
    one, two = (Blur(k).forward(town(160, seed)) for seed in (5, 6))
    both = torch.cat((one, two))
    assert float(kernel_similarity(estimate(both, Learned(15)), k)) > 0.65
    mixed = torch.cat([v[..., :148, :148] for v in (one, Blur(shapes.line(9.0, 90.0)).forward(town(160, 7)))])
    apart = estimate_apart(mixed, Learned(15, apart=True))
    assert float(kernel_similarity(apart[0], k)) > float(kernel_similarity(apart[1], k))


def test_what_is_masked_does_not_matter() -> None:
    _, y, k = shaken()
    mask = torch.ones_like(y)
    mask[..., 40:60, 40:60] = 0
    spoilt = torch.where(mask > 0, y, 0.5)
    assert float(kernel_similarity(estimate(spoilt, Learned(15), mask), k)) > 0.65


@pytest.mark.parametrize(("picture", "message"), [(torch.full((1, 1, 64, 64), 0.3), "not enough"), (town(40), "small")])
def test_pictures_without_a_kernel_are_refused(picture: Tensor, message: str) -> None:
    with pytest.raises(Unknowable, match=message):
        estimate(picture, Learned(21))


def test_no_turns_are_refused() -> None:
    with pytest.raises(ConfigError, match="turns"):
        Learned(15, turns=0)


def test_the_kernel_of_exact_gradients_is_found() -> None:
    x, k = normalised(town(120)), hook()
    y = Blur(k, "circular").forward(x)
    inner = torch.zeros_like(x)
    inner[..., 20:100, 20:100] = 1
    found = cleaned(regressed(gradients(x) * inner, gradients(y) * inner, 11, torch.tensor(1e-3)))
    assert float(kernel_similarity(found, k)) > 0.9
    assert float(found.sum()) == pytest.approx(1)
    assert float(found.min()) >= 0


def test_the_true_kernel_makes_the_picture_sharper() -> None:
    _, y, k = shaken()
    z = sharper(normalised(y), k)
    assert z.shape == (1, 2, *y.shape[-2:])
    inner = (..., slice(20, -20), slice(20, -20))
    assert float(gradients(z[:, :1])[inner].abs().mean()) > 1.2 * float(gradients(normalised(y))[inner].abs().mean())


def test_a_turn_is_differentiable_in_all_weights() -> None:
    _, y, _ = shaken()
    net = Salience()
    for p in net.last.parameters():
        torch.nn.init.normal_(p, std=0.05)
    start = torch.zeros(1, 1, 15, 15)
    start[..., 7, 7] = 1
    _, kernel = turn(net, normalised(y), start, torch.ones_like(y))
    kernel.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    assert sum(p.numel() for p in net.parameters()) == 316461
