"""The networks of the methods as graphs: which there are, and how each is made from a method with its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from acutance.errors import ConfigError
from acutance.export.graph import Graph
from acutance.export.steps import acute_graph, rgdn_graph
from acutance.export.whole import dgunet_graph, golf_graph, sense_graph
from acutance.methods.spec import find
from acutance.restoration.restorer import Restorer
from acutance.weights import embedded_for, find_weights

MAKERS: Mapping[str, Callable[[Any], Graph]] = {
    "acute": partial(acute_graph, channels=3),
    "acute-grey": partial(acute_graph, channels=1),
    "dgunet-deblur": dgunet_graph,
    "dgunet-denoise": dgunet_graph,
    "dgunet-derain": dgunet_graph,
    "dgunet-sense": sense_graph,
    "golf": golf_graph,
    "rgdn": rgdn_graph,
}
"""Name -> function of the built method. "acute-grey" is acute's network with its entrance for one channel."""

GREY = "-grey"


def graph_of(name: str, *, weights: Path | str | None = None, **settings: Any) -> Graph:
    """The network of a method, with its shipped weights or with those of a file.

    Args:
        name: a method of `MAKERS`. weights: a file, or the name of shipped ones; None: the method's own.
        settings: of the method, see `acutance.restoration.restorer.Restorer.load`.

    Raises:
        ConfigError: a method without a network that can be exported, or a setting that it cannot be exported with.
        UnknownMethod, WeightsError: see `Restorer.load`.

    Example:
        >>> [port.name for port in graph_of("golf").inputs]
        ['picture']
    """
    method = name.removesuffix(GREY) if name in MAKERS else name
    spec = find(method)
    title = name if name in MAKERS else spec.name
    if title not in MAKERS or spec.weights is None:
        raise ConfigError(f"{spec.name} has no network that can be exported; choose one of {', '.join(MAKERS)}")
    restorer = Restorer.load(method, weights=weights, device="cpu", precision="float32", tile=None, **settings)
    found = embedded_for(spec.weights, settings) if weights is None else find_weights(Path(weights))
    graph = MAKERS[title](restorer.method)
    return replace(graph, name=title, card=found.card, version=found.version, sha256=found.sha256)
