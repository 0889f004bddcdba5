from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from synthetic_camera import CAMERAS, Camera, chart

from acutance.camera.edges import Edges, find_edges, joined
from acutance.camera.lens import lens_blur
from acutance.errors import ImageError
from acutance.images import srgb_to_linear
from acutance.psf import shapes

SIZE = (240, 320)


def blurred(sigma: float, noise: float = 0.004) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    scene = chart(SIZE, generator)
    light = F.conv2d(scene, shapes.gaussian(sigma, 17))[0, 0]
    return light + noise * torch.randn(light.shape, generator=generator)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.6])
def test_the_width_of_edges_is_that_of_the_blur(sigma: float) -> None:
    edges = find_edges(blurred(sigma))
    assert len(edges) > 30
    assert math.sqrt(edges.variance.median()) == pytest.approx(sigma, rel=0.05)


def test_an_edge_tells_its_place_and_its_normal() -> None:
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(80.0), indexing="ij")
    angle = math.radians(20)
    distance = (x - 40) * math.cos(angle) + (y - 40) * math.sin(angle)
    edges = find_edges(0.2 + 0.5 * torch.special.ndtr(distance / 1.2))
    assert len(edges) > 0
    away = (edges.place[:, 1] - 40) * math.cos(angle) + (edges.place[:, 0] - 40) * math.sin(angle)
    assert float(away.abs().max()) < 0.05
    assert torch.allclose(edges.normal, torch.tensor([math.sin(angle), math.cos(angle)]).double(), atol=0.01)
    assert float(edges.variance.mean() + 1 / 12) == pytest.approx(1.44, rel=0.02)


@pytest.mark.parametrize("what", ["noise", "lines", "burnt", "small"])
def test_what_is_no_edge_is_left_out(what: str) -> None:
    y, x = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    pictures = {
        "noise": 0.5 + 0.05 * torch.randn(120, 120, generator=torch.Generator().manual_seed(0)),
        "lines": 0.5 + 0.4 * torch.sin(0.9 * x + 0.2 * y),
        "burnt": torch.where(x + 0.1 * y > 60, 1.0, 0.2),
        "small": torch.rand(20, 20, generator=torch.Generator().manual_seed(0)),
    }
    assert len(find_edges(pictures[what])) == 0


def taken(camera: Camera, count: int) -> Edges:
    generator = torch.Generator().manual_seed(7)
    iso = next(iter(camera.noise))
    shots = (camera.photograph(chart(camera.size, generator), iso, generator) for _ in range(count))
    return joined([find_edges(srgb_to_linear(shot.pixels[0, 0])) for shot in shots])


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda camera: camera.name)
def test_the_field_of_a_lens_is_recovered_within_five_percent(camera: Camera) -> None:
    lens = lens_blur(taken(camera, 4), camera.size, (4, 5), chart=True)
    found, true = torch.stack((lens.radial, lens.tangential)), camera.deviations(4, 5)
    off = (found / true - 1).abs()
    assert float(off.mean()) < 0.03
    assert float(off.quantile(0.9)) < 0.05


def edges(variance: torch.Tensor, seed: int = 0) -> Edges:
    """Edges anywhere in a picture of 100 x 100, of any direction."""
    generator = torch.Generator().manual_seed(seed)
    n = len(variance)
    angle = torch.rand(n, generator=generator).double() * math.pi
    place = torch.rand(n, 2, generator=generator).double() * 99
    return Edges(place, torch.stack((angle.sin(), angle.cos()), 1), variance, torch.full((n,), 0.02).double())


@pytest.mark.parametrize(("chart_", "low", "high"), [(False, 0.95, 1.05), (True, 1.2, 3.0)])
def test_of_photographs_the_lower_envelope_counts(chart_: bool, low: float, high: float) -> None:
    generator = torch.Generator().manual_seed(1)
    sharp = 1 + 0.03 * torch.randn(300, generator=generator).double()
    soft = 1 + 6 * torch.rand(500, generator=generator).double()
    lens = lens_blur(edges(torch.cat((sharp, soft))), (100, 100), (2, 2), chart=chart_)
    assert all(low < float(v) < high for v in torch.stack((lens.radial, lens.tangential)).flatten())


def test_a_node_without_edges_is_like_its_neighbours() -> None:
    some = edges(torch.full((200,), 1.44).double())
    lens = lens_blur(some.at((some.place > 60).any(1)), (100, 100), (3, 3), chart=True)
    assert int(lens.edges[0, 0]) == 0
    assert float(lens.radial[0, 0]) == pytest.approx(1.2, rel=0.03)


def test_few_edges_are_refused() -> None:
    with pytest.raises(ImageError, match="printed chart"):
        lens_blur(edges(torch.ones(5).double()), (100, 100), (2, 2), chart=True)
