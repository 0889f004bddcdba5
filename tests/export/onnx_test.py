"""ONNX files: the numbers of torch, their metadata, the command, and the solver without torch."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from acutance.cli.app import app
from acutance.errors import MissingExtra
from acutance.export import LARGEST, OPSET, SIZES, converted, deviations, session_of, to_onnx
from acutance.export.graph import Graph
from acutance.export.steps import acute_graph
from acutance.methods.acute import Acute, AcuteConfig
from acutance.operators import Blur
from acutance.problem import Problem

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_acute.py"
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def method() -> Acute:
    torch.manual_seed(0)
    made = Acute(AcuteConfig(widths="4,4", blocks="1,0", memory=2, bank=2, steps=3, flagged=True)).eval()
    with torch.no_grad():
        for exit_ in made.networks[0].exits:  # type: ignore[union-attr]
            exit_.weight += 0.02 * torch.randn(exit_.weight.shape)
        made.bank.weight += 0.3
    return made


@pytest.fixture(scope="module")
def graph(method: Acute) -> Graph:
    card = {"name": "small", "licence": "CC0", "data": "none"}
    return replace(acute_graph(method, channels=3), card=card, version="small-1", sha256="ab" * 32)


@pytest.fixture(scope="module")
def content(graph: Graph) -> bytes:
    return to_onnx(graph)


def test_every_size_gives_the_numbers_of_torch(content: bytes, graph: Graph) -> None:
    found = list(deviations(content, graph))
    assert len(found) == len(SIZES) == 10
    assert max(each.largest for each in found) < LARGEST


def test_other_weights_are_noticed(content: bytes, method: Acute) -> None:
    other = Acute(method.config).eval()
    found = deviations(content, acute_graph(other, channels=3), sizes=SIZES[:1])
    assert next(iter(found)).largest > 100 * LARGEST


def test_the_file_says_what_it_is(content: bytes, graph: Graph) -> None:
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [each.version for each in model.opset_import if each.domain == ""] == [OPSET]
    assert model.graph.input[0].name == "picture"
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [each.dim_param or each.dim_value for each in shape] == ["batch", 3, "height", "width"]
    said = session_of(content).get_modelmeta().custom_metadata_map
    assert (said["licence"], said["weights"], said["precision"]) == ("CC0", "small-1", "float32")
    assert set(json.loads(said["inputs"])) == {port.name for port in graph.inputs}


def test_sixteen_bits_are_smaller_and_near(content: bytes, graph: Graph) -> None:
    small = converted(content, "float16")
    assert len(small) < len(content)
    worst = max(each.largest for each in deviations(small, graph, sizes=SIZES[:2]))
    assert 0 < worst < 0.01
    assert session_of(small).get_modelmeta().custom_metadata_map["precision"] == "float16"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, content: bytes, graph: Graph) -> Any:
    """The command, which exports the small network at once."""
    monkeypatch.setattr("acutance.cli.exporting.graph_of", lambda name, weights: graph)
    monkeypatch.setattr("acutance.cli.exporting.to_onnx", lambda graph: content)
    return lambda *options: CliRunner().invoke(app, ["export", "acute", *map(str, options)])


def test_the_command_writes_and_checks(command: Any, tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "a.onnx"
    result = command("-o", target, "--check")
    assert result.exit_code == 0, result.output
    assert target.read_bytes() == content
    assert "largest difference from torch" in result.output
    assert sum(" x " in line for line in result.output.splitlines()) == 10


def test_a_file_with_other_numbers_is_not_written(
    command: Any, tmp_path: Path, method: Acute, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = acute_graph(Acute(method.config).eval(), channels=3)
    monkeypatch.setattr("acutance.cli.exporting.graph_of", lambda name, weights: other)
    result = command("-o", tmp_path / "a.onnx", "--check")
    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_before_the_work(command: Any, tmp_path: Path) -> None:
    there = tmp_path / "a.onnx"
    there.write_bytes(b"old")
    for options in (("-o", there), ("-o", tmp_path / "a.pt"), ("-o", tmp_path / "no" / "a.onnx")):
        assert command(*options).exit_code != 0
    assert command("-o", tmp_path / "b.onnx", "--precision", "int4").exit_code != 0
    assert [each.name for each in tmp_path.iterdir()] == ["a.onnx"]
    assert there.read_bytes() == b"old"


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"acutance\[onnx\]"):
        to_onnx(graph)


def test_the_solver_without_torch_restores_as_the_library_does(content: bytes, method: Acute) -> None:
    spec = importlib.util.spec_from_file_location("onnx_acute", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    generator = torch.Generator().manual_seed(2)
    kernel = torch.rand(1, 1, 5, 7, generator=generator)
    blur = Blur(kernel / kernel.sum())
    sharp = torch.rand(1, 3, *blur.domain_size(33, 46), generator=generator)
    observed = blur.forward(sharp) + 0.02 * torch.randn(1, 3, 33, 46, generator=generator)
    problem = Problem(observed, blur, sigma=torch.tensor(0.02))
    with torch.no_grad():
        expected = problem.crop(method.run(problem).x)[0]
    found = example.acute(session_of(content), observed[0].double().numpy(), blur.kernel[0, 0].numpy(), 0.02)
    torch.testing.assert_close(torch.from_numpy(found).float(), expected, atol=1e-4, rtol=0)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a graph that returns the picture as it is, and so the picture comes back."""
    page = (EXAMPLE.parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["b", 3, "h", "w"])
        for name in ("picture", "restored")
    ]
    node = onnx.helper.make_node("Identity", ["picture"], ["restored"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "same", ports[:1], ports[1:]),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8,
    )  # fmt: skip
    onnx.helper.set_model_props(model, {"licence": "CC0"})
    (tmp_path / "golf.onnx").write_bytes(model.SerializeToString())
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(block, {"__name__": "example"})
    assert np.array_equal(np.asarray(Image.open("sharp.png")), np.asarray(Image.open("photo.jpg")))
