"""Priors of pictures of two pixels: a learned gradient restores, a classifier does not, and the optimum is exact."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from acutance.errors import ConfigError, MissingExtra, OutputError
from acutance_lab.cli.app import app
from acutance_lab.experiments.output import prepare_folder, write_report
from acutance_lab.experiments.two_pixel import (
    BLURRED,
    MIRROR,
    STAYS,
    TARGETS,
    Networks,
    TwoPixel,
    descent,
    integrate,
    is_blurred,
    log_odds_of_blur,
    mirror_image,
    optimal_prior,
    optimal_staying_prior,
    probability_of_blur,
    report,
    run,
    spread,
    uniform,
    wanted_steps,
)
from acutance_lab.plots import require_matplotlib

SEEDS, ITERATIONS = (0, 1, 14), 700
"""14: a start that dies altogether."""


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return uniform(generators(3), 500, 2)[0].double()


@pytest.fixture(scope="module")
def found() -> TwoPixel:
    return run(SEEDS, iterations=ITERATIONS)


def test_the_network_is_that_of_the_paper() -> None:
    """Table 6: 12 + 40 + 36 + 8 weights, and what PyTorch computes with them."""
    networks = Networks.start(generators(1, 2))
    assert networks.size == 96
    assert [w[0].numel() for w in networks.weights] == [8, 32, 32, 8]
    assert [b[0].numel() for b in networks.biases] == [4, 8, 4]
    u = uniform(generators(5, 6), 7, 2)
    for k in range(2):
        layers = [nn.Linear(2, 4), nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 2, bias=False)]
        plain = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2], nn.ReLU(), layers[3])
        assert sum(p.numel() for p in plain.parameters()) == 96
        with torch.no_grad():
            for layer, weight in zip(layers, networks.weights, strict=True):
                limit = layer.in_features**-0.5
                assert float(layer.weight.abs().max()) <= limit, "the range that PyTorch starts in"
                assert 0.5 * limit < float(weight[k].abs().max()) <= limit
                layer.weight.copy_(weight[k].T)
            for layer, bias in zip(layers, networks.biases, strict=False):
                layer.bias.copy_(bias[k, 0])
            assert torch.allclose(plain(u[k]), networks(u)[k], atol=1e-6)


def test_a_step_down_the_optimum_is_the_truth(images: torch.Tensor) -> None:
    assert torch.allclose(images + descent(optimal_prior, images), mirror_image(images), atol=1e-15)
    blurred = is_blurred(images)
    after = images + descent(optimal_staying_prior, images)
    assert torch.allclose(after[blurred], mirror_image(images)[blurred], atol=1e-15)
    assert torch.equal(after[~blurred], images[~blurred])
    assert not is_blurred(mirror_image(images)[blurred & (images.sum(-1) != 0)]).any(), "the truth is sharp"
    assert torch.equal(mirror_image(mirror_image(images)), images)


def test_targets(images: torch.Tensor) -> None:
    blurred = is_blurred(images)
    everywhere, staying = (wanted_steps(images, target) for target in (MIRROR, STAYS))
    assert torch.equal(images + everywhere, images + (mirror_image(images) - images))
    assert torch.equal(everywhere[blurred], staying[blurred])
    assert not staying[~blurred].any()


def test_descent_is_the_negative_gradient(images: torch.Tensor) -> None:
    """Against differences, of the classifier's probability, which is the logistic function of the log-odds."""
    start = Networks.start(generators(4))
    networks = Networks(tuple(w.double() for w in start.weights), tuple(b.double() for b in start.biases))
    prior, width = probability_of_blur(networks), 1e-6
    u = images[None]
    assert torch.allclose(prior(u), log_odds_of_blur(networks)(u).sigmoid())
    assert torch.allclose(prior(u), networks(u).exp()[..., 1] / networks(u).exp().sum(-1))
    for axis in range(2):
        shift = width * torch.eye(2, dtype=torch.float64)[axis]
        slope = (prior(u + shift) - prior(u - shift)) / (2 * width)
        close = (slope + descent(prior, u)[..., axis]).abs() < 1e-6
        assert close.double().mean() > 0.99, "all but where a difference crosses a kink"


@pytest.mark.parametrize("n", [3, 21, 41])
def test_integration_recovers_a_quadratic(n: int) -> None:
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    u1, u2 = torch.meshgrid(axis, axis, indexing="ij")
    height = 0.7 * u1**2 - 1.3 * u1 * u2 + 0.2 * u2**2 + 0.4 * u1 - 0.9 * u2
    field = torch.stack((1.4 * u1 - 1.3 * u2 + 0.4, -1.3 * u1 + 0.4 * u2 - 0.9), -1)
    assert torch.allclose(integrate(field), height, atol=1e-12)


def test_the_integral_of_any_field_fits_best() -> None:
    """Against least squares over a matrix of all the differences."""
    n, width = 5, 0.5
    field = uniform(generators(9), n, n, 2)[0].double()
    rows, wanted = [], []
    for i in range(n):
        for j in range(n):
            for axis, (k, m) in enumerate(((i + 1, j), (i, j + 1))):
                if k < n and m < n:
                    row = torch.zeros(n, n, dtype=torch.float64)
                    row[k, m], row[i, j] = 1, -1
                    rows.append(row.flatten())
                    wanted.append(width * (field[i, j, axis] + field[k, m, axis]) / 2)
    best = torch.linalg.lstsq(torch.stack(rows), torch.stack(wanted)[:, None], driver="gelsd").solution.view(n, n)
    assert torch.allclose(integrate(field), best - best[n // 2, n // 2], atol=1e-10)


def test_the_learned_gradient_beats_the_classifier(found: TwoPixel) -> None:
    by_name = {score.name: score for score in found.scores}
    a, b = by_name["(a) probability of blur"], by_name["(b) gradient, mirror image everywhere"]
    assert b.errors[MIRROR][0] < 0.1 < 1 < a.errors[MIRROR][0]
    assert sum(b.errors[MIRROR]) < sum(a.errors[MIRROR])
    assert found.accuracy[0] > 0.9
    assert found.accuracy[2] == 0.5, "equal logits are a guess"
    assert by_name["nothing done"].errors[MIRROR][2] == pytest.approx(b.errors[MIRROR][2]), "dead"
    assert not b.learned[2]
    assert found.best(1) != 2
    assert all(v == pytest.approx(4 / 3, rel=0.1) for v in by_name["nothing done"].errors[BLURRED])


def test_the_optima_are_exact_for_their_targets(found: TwoPixel) -> None:
    everywhere, staying = found.scores[5:7]
    assert max(everywhere.errors[MIRROR] + everywhere.errors[BLURRED]) < 1e-12
    assert max(staying.errors[STAYS] + staying.errors[BLURRED]) < 1e-12
    assert min(everywhere.errors[STAYS] + staying.errors[MIRROR]) > 0.5
    assert all(everywhere.learned + staying.learned)


def test_no_step_size_is_better_than_the_best(found: TwoPixel) -> None:
    plain, best, nothing = found.scores[1], found.scores[2], found.scores[-1]
    for target in TARGETS:
        for values in zip(best.errors[target], plain.errors[target], nothing.errors[target], strict=True):
            assert values[0] <= min(values[1:]) + 1e-9


def test_a_seed_gives_the_same_again(found: TwoPixel) -> None:
    again = run(SEEDS, iterations=ITERATIONS)
    assert (again.accuracy, again.scores) == (found.accuracy, found.scores)
    assert torch.equal(again.losses, found.losses)
    alone = run(SEEDS[:1], iterations=ITERATIONS)
    assert alone.scores[3].errors[MIRROR][0] == pytest.approx(found.scores[3].errors[MIRROR][0], rel=1e-2)
    assert len(set(found.scores[-1].errors[MIRROR])) == len(SEEDS), "pictures of their own"


def test_what_cannot_be_run_is_refused() -> None:
    for seeds in ([], [1, 1], [-1], range(2000)):
        with pytest.raises(ConfigError, match=r"1 to 1000 different ones"):
            run(seeds, iterations=1)
    with pytest.raises(ConfigError, match="at least one"):
        run([0], iterations=0)


def test_the_table_says_what_was_measured_and_published(found: TwoPixel) -> None:
    table = report(found).text
    assert "| 0.4849 |" in table
    assert "| 0.002 |" in table
    assert " that learned | " in table
    assert "96 weights" in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
    assert (spread([1.0, 3.0]), spread([812.3]), spread([])) == ("2 ± 1.4", "812", "-")


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    options = ["experiment", "two-pixel", "--seed", "4", "--seeds", "2", "--iterations", "40", "--out", str(out)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "| (b) gradient, mirror image everywhere | all | " in result.output
    assert sorted(p.name for p in out.iterdir()) == ["seeds.png", "slice.png", "two-pixel.json"]
    for name in ("slice.png", "seeds.png"):
        assert name in result.output
        with Image.open(out / name) as plot:
            assert plot.format == "PNG"
    values = json.loads((out / "two-pixel.json").read_text(encoding="utf-8"))
    assert values["outcome"]["seeds"] == [4, 5]
    assert values["settings"]["weights"] == 96
    assert values["published"] == {"accuracy": 0.99, "discriminative_mse": 0.4849, "gradient_mse": 0.002}
    assert len(values["outcome"]["accuracy"]) == len(values["outcome"]["scores"][3]["errors"][MIRROR]) == 2
    assert {"acutance", "torch", "python"} == set(values["versions"])


def test_a_folder_that_cannot_be_is_an_error_before_any_work(tmp_path: Path, found: TwoPixel) -> None:
    file = tmp_path / "file"
    file.write_text("here")
    for wrong in (file, file / "below"):
        with pytest.raises(OutputError, match="give another --out"):
            prepare_folder(wrong)
        result = CliRunner().invoke(app, ["experiment", "two-pixel", "--out", str(wrong)])
        assert isinstance(result.exception, OutputError)
    with pytest.raises(OutputError):
        write_report(tmp_path / "nowhere", report(found))


def test_without_matplotlib_nothing_is_measured_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"acutance\[lab\]"):
        require_matplotlib()
