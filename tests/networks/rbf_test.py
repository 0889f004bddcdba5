"""Filters in the span of cosines, and functions made of Gaussians, against direct formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from acutance.errors import ConfigError
from acutance.linear import laplacian_power
from acutance.networks.rbf import (
    FINE,
    Field,
    FilterBank,
    RadialBasis,
    cosine_basis,
    influence,
    shrinkage,
)


def drawn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_basis_is_orthonormal_and_has_no_mean() -> None:
    basis = cosine_basis(5).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(24, dtype=torch.float64))
    assert float(basis.sum(1).abs().max()) < 1e-12


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (3, 4)], ids=str)
def test_the_power_is_that_of_the_filters_one_by_one(size: tuple[int, int]) -> None:
    bank = FilterBank(5).double()
    with torch.no_grad():
        bank.mixing.copy_(drawn(24, 24))
    total = torch.zeros(size[0], size[1] // 2 + 1, dtype=torch.float64)
    for f in bank.kernels()[:, 0]:
        folded = torch.zeros(size, dtype=torch.float64)
        for y in range(5):
            for x in range(5):
                folded[y % size[0], x % size[1]] += f[y, x]
        total += torch.fft.rfft2(folded).abs() ** 2
    torch.testing.assert_close(bank.power(size), total)


@pytest.mark.parametrize("side", [3, 5, 7])
def test_untrained_filters_are_the_differences(side: int) -> None:
    like = torch.zeros(1, dtype=torch.float64)
    found = FilterBank(side).double().power((16, 18))
    torch.testing.assert_close(found, laplacian_power(16, 18, like=like), rtol=1e-5, atol=1e-6)


def test_the_adjoint_is_the_adjoint() -> None:
    bank = FilterBank(5).double()
    x, z = drawn(1, 1, 12, 11), drawn(1, 24, 8, 7, seed=2)
    padded = torch.nn.functional.pad(z, [4] * 4)
    with torch.no_grad():
        assert float((bank(x) * z).sum()) == pytest.approx(float((bank.adjoint(padded) * x).sum()))


def functions(count: int = 3, *, slope: float = 0.0) -> RadialBasis:
    made = RadialBasis(count, 9, 2.0, slope=slope).double()
    with torch.no_grad():
        made.weight.copy_(drawn(count, 9, seed=3))
    return made


def direct(made: RadialBasis, z: Tensor) -> Tensor:
    """The formula of the module, inside the reach."""
    centres = torch.linspace(-2, 2, 9, dtype=torch.float64)
    gaussians = torch.exp(-((z[..., None] - centres) ** 2) / (2 * 0.5**2))
    return torch.einsum("bchwj,cj->bchw", gaussians, made.weight)


def test_functions_are_sums_of_gaussians() -> None:
    made, z = functions(), 1.9 * torch.tanh(drawn(2, 3, 20, 20))
    bound = 9 * float(made.weight.detach().abs().max()) / (8 * FINE**2)  # h^2 / 8 times the largest second derivative
    error = float((made(z) - direct(made, z)).detach().abs().max())
    assert 0 < error < bound


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_they_are_straight_beyond_their_reach(slope: float) -> None:
    made = functions(slope=slope)
    far, end = torch.full((1, 3, 1, 1), 5.0).double(), torch.full((1, 3, 1, 1), 2.0).double()
    torch.testing.assert_close(made(far), made(end) + 3 * slope)


def test_gradients_are_those_of_the_table() -> None:
    made = functions()
    z = (0.31 * drawn(1, 3, 4, 4)).requires_grad_()
    assert torch.autograd.gradcheck(made, (z,), eps=1e-8, atol=1e-5)
    weight = made.weight.detach().clone().requires_grad_()

    def of_weights(w: Tensor) -> Tensor:
        return torch.func.functional_call(made, {"weight": w}, (z.detach(),))

    assert torch.autograd.gradcheck(of_weights, (weight,), atol=1e-6)


def test_what_is_not_a_number_stays_with_its_picture() -> None:
    z = drawn(2, 3, 4, 4)
    z[1, 0, 0, 0] = math.nan
    found = functions()(z)
    assert bool(torch.isfinite(found[0]).all())
    assert bool(found[1, 0, 0, 0].isnan())


@pytest.mark.parametrize("shape", [influence, shrinkage])
def test_functions_are_fitted(shape: object) -> None:
    made = RadialBasis(2, 53, 0.5).double()
    made.fit(lambda z: shape(z, 0.05))  # type: ignore[operator]
    z = torch.linspace(-0.4, 0.4, 301, dtype=torch.float64).expand(1, 2, 1, 301)
    assert float((made(z) - shape(z, 0.05)).detach().abs().max()) < 2e-3  # type: ignore[operator]


def test_a_field_is_the_gradient_of_its_energy() -> None:
    field = Field(FilterBank(3), functions(8)).double()
    x = drawn(1, 1, 9, 9).requires_grad_()
    z = field.bank(torch.nn.functional.pad(x, [2] * 4, mode="constant"))
    energy_gradient = torch.autograd.grad((z * functions(8)(z).detach()).sum(), x)[0]
    inside = (..., slice(4, 5), slice(4, 5))  # where the border is out of sight
    torch.testing.assert_close(field(x.detach())[inside], energy_gradient[inside])


def test_channels_and_gains_are_apart() -> None:
    field = Field(FilterBank(3), functions(8)).double()
    x, gain = drawn(2, 3, 8, 9), torch.tensor([0.5, 2.0], dtype=torch.float64)
    together = field(x, gain)
    torch.testing.assert_close(together[1:, 1:2], 2 * field(x[1:, 1:2] / 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FilterBank(4), "side=4"), (lambda: FilterBank(3, 9), "filters=9"),
        (lambda: RadialBasis(1, 2, 1.0), "centres=2"), (lambda: RadialBasis(1, 9, 0.0), "reach=0.0"),
    ],
)  # fmt: skip
def test_impossible_sizes_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
