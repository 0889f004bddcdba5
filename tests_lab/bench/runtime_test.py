"""Seconds in torch and in onnxruntime, of a network of one convolution."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from acutance.export import Graph, Port
from acutance_lab.cli.app import app

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHAPE = ("batch", 3, "height", "width")


class Conv(nn.Module):
    """A convolution of 3 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.conv(picture),)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """golf.onnx, the same convolution, and `graph_of` that returns it."""
    torch.manual_seed(0)
    module = Conv().requires_grad_(False)

    def trial(generator: torch.Generator, *size: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        x = torch.rand(size[0], 3, *size[1:], generator=generator)
        return {"picture": x}, {"restored": module(x)[0]}

    graph = Graph("golf", module, (Port("picture", SHAPE, ""),), (Port("restored", SHAPE, ""),), "", trial)
    monkeypatch.setattr("acutance_lab.bench.runtime.graph_of", lambda name: graph)
    ports = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, SHAPE) for n in ("picture", "restored")]
    weight = onnx.numpy_helper.from_array(module.conv.weight.numpy(), "weight")
    node = onnx.helper.make_node("Conv", ["picture", "weight"], ["restored"], name="conv", pads=[1, 1, 1, 1])
    made = onnx.helper.make_model(
        onnx.helper.make_graph([node], "conv", ports[:1], ports[1:], [weight]),
        opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8,
    )  # fmt: skip
    (tmp_path / "golf.onnx").write_bytes(made.SerializeToString())
    return tmp_path


def test_every_form_has_a_line(models: Path) -> None:
    result = CliRunner().invoke(
        app, ["bench", "runtime", "golf", "--size", "48", "--runs", "1", "--models", str(models)]
    )
    assert result.exit_code == 0, result.output
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in result.output.splitlines() if "| golf" in line
    ]
    assert [line[1] for line in lines] == ["torch", "float32", "float16", "int8"]
    assert all(float(line[2]) >= 0 for line in lines)
    differences = [float(line[4]) for line in lines]
    assert differences[0] == 0
    assert differences[1] < 1e-6 < differences[2] < differences[3] < 0.1


def test_threads_are_put_back(models: Path) -> None:
    before = torch.get_num_threads()
    CliRunner().invoke(app, ["bench", "runtime", "golf", "--size", "32", "--runs", "1", "--models", str(models)])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("options", [["wiener"], ["golf", "--forms", "int4"], ["golf", "--models", "nowhere"]])
def test_what_there_is_not_is_refused(models: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["bench", "runtime", *options, "--size", "32"])
    assert result.exit_code != 0
    assert "|" not in result.output
