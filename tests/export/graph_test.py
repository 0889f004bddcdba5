"""Graphs before they are files: the modules that are exported compute what the library computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from acutance.errors import ConfigError
from acutance.export import MAKERS, graph_of, metadata
from acutance.export.graph import Graph, extended
from acutance.export.steps import acute_graph, rgdn_graph
from acutance.export.whole import dgunet_graph, golf_graph, sense_graph
from acutance.methods.acute import Acute, AcuteConfig
from acutance.methods.dgunet import DeblurConfig, SenseConfig, Unfolded
from acutance.methods.golf import Golf, GolfConfig
from acutance.methods.rgdn import Rgdn, RgdnConfig
from acutance.networks.dgunet_blocks import eliminated
from acutance.tensors import to_multiple

SMALL = AcuteConfig(widths="8,8", blocks="1,1", steps=2, flagged=True)


def small_graphs() -> dict[str, Graph]:
    """Each kind of graph with a small network of random weights."""
    torch.manual_seed(0)
    acute = Acute(SMALL).eval()
    for parameter in acute.parameters():  # an untrained network adds nothing
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return {
        "golf": golf_graph(Golf(GolfConfig(drive=4, putt=4, keep_mean=True, gain=0.5, putts=1)).eval()),
        "dgunet": dgunet_graph(Unfolded(DeblurConfig(width=8, growth=4, tail=4, stages=3)).eval()),
        "sense": sense_graph(Unfolded(SenseConfig(width=8, growth=4, tail=4, stages=3)).eval()),
        "rgdn": rgdn_graph(Rgdn(RgdnConfig(features=6)).eval()),
        "released": rgdn_graph(Rgdn(RgdnConfig(features=6, form="released")).eval()),
        "acute": acute_graph(acute, channels=3),
        "grey": acute_graph(acute, channels=1),
    }


@pytest.mark.parametrize("name", list(small_graphs()))
@pytest.mark.parametrize("size", [(1, 33, 47), (2, 40, 24)])
@pytest.mark.parametrize("traced", [False, True])
def test_the_module_is_the_method(
    name: str, size: tuple[int, int, int], traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the branches that only the exporter sees, with gradients as there."""
    graph = small_graphs()[name]
    with torch.no_grad():
        inputs, outputs = graph.trial(torch.Generator().manual_seed(1), *size)
    assert list(inputs) == [port.name for port in graph.inputs]
    assert list(outputs) == [port.name for port in graph.outputs]
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: traced)
    with torch.set_grad_enabled(traced):
        found = graph.module.requires_grad_(False)(*inputs.values())
    for one, expected in zip(found, outputs.values(), strict=True):
        torch.testing.assert_close(one, expected, atol=2e-5, rtol=0)
    first, before = next(iter(outputs.values())), next(iter(inputs.values()))
    assert first.shape != before.shape or (first - before).abs().max() > 1e-3  # the network does something


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("size", [(8, 16), (9, 23), (40, 31)])
def test_pictures_are_extended_as_by_the_frame(size: tuple[int, int], multiple: int) -> None:
    x = torch.rand(2, 3, *size)
    assert torch.equal(extended(x, multiple), to_multiple(x, multiple))


def test_elimination_solves() -> None:
    generator = torch.Generator().manual_seed(3)
    half = torch.randn(2, 16, 20, dtype=torch.float64, generator=generator)
    matrix, sides = half @ half.mT, torch.randn(2, 16, 5, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(eliminated(matrix, sides), torch.linalg.solve(matrix, sides))


def test_nearly_equal_columns_are_solved_as_by_the_factor() -> None:
    """The matrix of a flat picture: all columns the same, and the ridge of the network."""
    matrix = (torch.ones(16, 16, dtype=torch.float64) + 1e-9 * torch.eye(16, dtype=torch.float64))[None]
    sides = torch.ones(1, 16, 3, dtype=torch.float64)
    factor = torch.linalg.cholesky(matrix)
    torch.testing.assert_close(eliminated(matrix, sides), torch.cholesky_solve(sides, factor), rtol=1e-5, atol=1e-6)


def test_the_metadata_say_what_goes_in_and_carry_the_card() -> None:
    graph = replace(small_graphs()["acute"], card={"licence": "CC0", "data": "none"}, version="a-1", sha256="ab")
    found = metadata(graph)
    assert found["licence"] == "CC0"
    assert found["weights_sha256"] == "ab"
    assert all(port.name in found["inputs"] for port in graph.inputs)
    assert "batchx3xheightxwidth" in found["inputs"]
    assert '"bank"' in found["constants"]


def test_shipped_networks_are_known_by_name() -> None:
    graph = graph_of("golf")
    assert graph.card["licence"] == "Apache-2.0"
    assert graph.version.startswith(graph.card["name"])
    assert len(graph.sha256) == 64


@pytest.mark.parametrize("name", ["wiener", "epll"])
def test_a_method_without_a_network_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=next(iter(MAKERS))):
        graph_of(name)


def test_settings_that_no_graph_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength"):
        dgunet_graph(Unfolded(DeblurConfig(width=8, growth=4, tail=4, stages=3, strength=0.5)))
    with pytest.raises(ConfigError, match="units"):
        acute_graph(Acute(replace(SMALL, units=2)), channels=3)
    with pytest.raises(ConfigError, match="part"):
        rgdn_graph(Rgdn(RgdnConfig(features=6, part="prior")))
