"""The adversarial term: its loss, its network, its place in training, and that it is nowhere where it is off."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import acutance
from acutance.errors import ConfigError
from acutance.methods.acute import Acute, AcuteConfig
from acutance.methods.golf import Golf, GolfConfig
from acutance.problem import Problem
from acutance_lab.synth import Degradation, Example
from acutance_lab.train import checkpoint
from acutance_lab.train.adversary import Adversary, Discriminator, SpectralConv, hinge
from acutance_lab.train.config import (
    AdversaryConfig,
    LossConfig,
    OptimiserConfig,
    Phase,
    TrainConfig,
    ValidationConfig,
    from_table,
)  # fmt: skip
from acutance_lab.train.episodes import Unroll
from acutance_lab.train.loop import Budget, _fabric, train
from acutance_lab.train.pool import Work

CPU = torch.device("cpu")
FEATURES = 4
SHARE = 0.5


def run(config: TrainConfig, data: Path, folder: Path, iterations: int, **settings: Any) -> Any:
    budget = Budget(iterations=iterations, checkpoint_iterations=settings.pop("every", None))
    return train(config, data, folder, budget, accelerator="cpu", **settings)


def config_with(weight: float = 0.1, *, channels: float = 0.0, **settings: Any) -> TrainConfig:
    phase = Phase(until=1.0, batch=2, crop=24, steps=2, windows=2, spans=(5,))
    return TrainConfig(
        method="acute",
        phases=(phase,),
        model={"widths": "8,8", "blocks": "1,1", "steps": 2},
        one_channel=channels,
        optimiser=OptimiserConfig(learning_rate=1e-3),
        loss=LossConfig("l1"),
        adversary=AdversaryConfig(weight, begins=SHARE, features=FEATURES, **settings),
        validation=ValidationConfig(crops=1, crop=24, steps=(1,)),
    )


def log(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "progress" not in line]


def bits(lines: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{k: float(v).hex() for k, v in line.items()} for line in lines]


def network(features: int = FEATURES, seed: int = 1, **settings: Any) -> Discriminator:
    return Discriminator(features, torch.Generator().manual_seed(seed), **settings)


# The loss


def test_the_hinge_by_hand() -> None:
    sharp, restored = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, -0.25, 0.5])
    assert float(hinge(sharp, restored)) == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 0.75 + 1.5) / 3)
    assert float(hinge(torch.zeros(4), torch.zeros(4))) == 2, "nothing is told apart"
    assert float(hinge(torch.ones(4), -torch.ones(4))) == 0, "all is"


def test_its_gradient_is_that_of_finite_differences(generator: torch.Generator) -> None:
    a, b = (3 * torch.randn(2, 1, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(hinge, (a.requires_grad_(), b.requires_grad_()))


def test_the_term_is_minus_the_mean_score_times_the_weight(generator: torch.Generator) -> None:
    adversary = Adversary(AdversaryConfig(0.25, features=FEATURES), seed=1, device=CPU)
    z = torch.rand(2, 3, 40, 33, generator=generator)
    expected = -0.25 * adversary.network(z).mean()
    torch.testing.assert_close(adversary.term(z), expected.detach(), rtol=0, atol=0)


# The network


@pytest.mark.parametrize(("height", "width", "scores"), [(24, 24, (1, 1)), (40, 33, (3, 2)), (71, 128, (6, 14))])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_scores_patches(
    height: int, width: int, scores: tuple[int, int], channels: int, generator: torch.Generator
) -> None:
    z = torch.rand(2, channels, height, width, generator=generator)
    found = network()(z)
    assert found.shape == (2, 1, *scores)
    torch.testing.assert_close(network()(z.expand(-1, 3, -1, -1).clone()), found, rtol=0, atol=0)


def test_a_patch_is_70_pixels_and_knows_no_other_picture(generator: torch.Generator) -> None:
    net, z = network().double(), torch.rand(2, 3, 160, 160, generator=generator, dtype=torch.float64).requires_grad_()
    scores = net(z)
    (slope,) = torch.autograd.grad(scores[0, 0, 9, 9], z)
    seen = slope.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]
    assert float(slope[1].abs().max()) == 0
    torch.testing.assert_close(net(z[:1]), scores[:1], rtol=1e-10, atol=1e-12)


def test_crops_without_a_patch_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 24 pixels, not \\(23, 30\\)"):
        network()(torch.rand(1, 3, 23, 30))


def test_what_exceeds_the_range_is_not_seen(generator: torch.Generator) -> None:
    z = torch.rand(1, 3, 32, 32, generator=generator)
    z[..., 10:20, 10:20] = 1
    brighter = z.clone()
    brighter[..., 10:20, 10:20] = 1.7
    assert torch.equal(network()(brighter), network()(z))


def test_the_largest_singular_value_is_one(generator: torch.Generator) -> None:
    layer = SpectralConv(3, 8, 2, generator)
    for _ in range(200):
        layer.tighten()
    values = torch.linalg.svdvals(layer.normalised().detach().flatten(1))
    assert float(values[0]) == pytest.approx(1, rel=1e-4)
    assert float(values[1]) < 1


def test_its_gradient_knows_of_the_division(generator: torch.Generator) -> None:
    """As Miyato et al. 2018, eq. 12: whatever makes all weights larger changes nothing."""
    layer = SpectralConv(2, 3, 1, generator).double()
    target = torch.randn(3, 2, 4, 4, generator=generator, dtype=torch.float64)
    (layer.normalised() * target).sum().backward()
    assert layer.weight.grad is not None
    matrix, u = layer.weight.detach().flatten(1), layer.u
    assert float((layer.weight.grad.flatten(1) * matrix).sum()) == pytest.approx(0, abs=1e-12)
    v = F.normalize(matrix.T @ u, dim=0)
    s = float(u @ matrix @ v)
    share = float((target.flatten(1) * matrix).sum()) / s
    expected = (target.flatten(1) - share * torch.outer(u, v)) / s
    torch.testing.assert_close(layer.weight.grad.flatten(1), expected)


def test_frozen_it_hands_gradients_through_only(generator: torch.Generator) -> None:
    net, z = network(), torch.rand(1, 3, 32, 32, generator=generator).requires_grad_()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    frozen = net(z, frozen=True)
    frozen.mean().backward()
    assert z.grad is not None
    assert float(z.grad.abs().min()) > 0
    assert all(p.grad is None for p in net.parameters())
    free = z.detach().clone().requires_grad_()
    scores = net(free)
    scores.mean().backward()
    assert torch.equal(scores, frozen)
    assert torch.equal(free.grad, z.grad)  # type: ignore[arg-type]
    assert all(p.grad is not None for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()), "only tighten() moves u"


def test_in_bfloat16_it_is_nearly_the_same(generator: torch.Generator) -> None:
    """Weights are normalised in float32, whatever the convolutions run in, and scores are float32."""
    z = torch.rand(2, 3, 64, 64, generator=generator)
    plain, low = network(), network(dtype=torch.bfloat16)
    scores = low(z)
    assert scores.dtype is torch.float32
    torch.testing.assert_close(scores, plain(z), rtol=0.05, atol=0.01)
    hinge(*scores.chunk(2)).backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in low.parameters())


def pictures(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Blocks and noise, (n, 3, 48, 48), and the same blurred."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 12, 12, generator=generator)
    sharp = (F.interpolate(coarse, scale_factor=4) + 0.05 * torch.randn(n, 3, 48, 48, generator=generator)).clamp(0, 1)
    blurred = F.avg_pool2d(F.pad(sharp, (3, 3, 3, 3), mode="replicate"), 7, stride=1)
    return sharp, blurred


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_learns_to_tell_blurred_from_sharp(seed: int) -> None:
    """Fifty updates on one batch; on pictures that it has not seen."""
    adversary = Adversary(AdversaryConfig(1.0, learning_rate=1e-3, features=8), seed=seed, device=CPU)
    fabric = _fabric("cpu", 1, 1)
    adversary.set_up(fabric)
    sharp, blurred = pictures(8, seed)
    values = [adversary.learn(fabric, sharp, blurred, clip=1.0) for _ in range(50)]
    assert values[0] == pytest.approx(2, abs=0.1), "at first it knows nothing"
    assert values[-1] < 1
    with torch.no_grad():
        scores = [adversary.network(z).mean((1, 2, 3)) for z in pictures(16, 100 + seed)]
    assert bool((scores[0] > 0).all())
    assert bool((scores[1] < 0).all())
    blurred.requires_grad_()
    (slope,) = torch.autograd.grad(adversary.term(blurred), blurred)
    with torch.no_grad():
        assert float(adversary.term(blurred - 1e-3 * slope.sign())) < float(adversary.term(blurred))


def test_an_update_that_is_not_finite_is_skipped() -> None:
    adversary, fabric = Adversary(AdversaryConfig(1.0, features=FEATURES), seed=1, device=CPU), _fabric("cpu", 1, 1)
    adversary.set_up(fabric)
    sharp, blurred = pictures(2, 1)
    assert math.isnan(adversary.learn(fabric, sharp, blurred * math.nan, clip=1.0))
    assert all(bool(torch.isfinite(v).all()) for v in adversary.tensors().values())
    assert not checkpoint.part(adversary.tensors(), "adam.")


# In training


@pytest.mark.parametrize("channels", [1, 3])
def test_in_a_window_it_sees_the_final_estimate(channels: int, generator: torch.Generator) -> None:
    """Of a method that does not know the blur, and of one that does, on one channel."""
    torch.manual_seed(2)
    method: Any
    if channels == 3:
        method = Golf(GolfConfig(drive=3, putt=3, putts=1)).train()
        y, sharp = (torch.rand(1, 3, 32, 32, generator=generator) for _ in range(2))
        example = Example(sharp, Problem(y))
    else:
        method = Acute(AcuteConfig(widths="8,8", blocks="1,1", steps=2)).train()
        sharp = torch.rand(2, 3, 40, 40, generator=generator)
        example = Degradation()(sharp, generator, span=5, one_channel=True)
    adversary = Adversary(AdversaryConfig(0.5, features=FEATURES), seed=1, device=CPU)
    window = Unroll(method, LossConfig("l1"))
    plain, judged = Work(example, 2), Work(example, 2, adversary)
    content, loss = window(plain), window(judged)
    assert judged.state is not None
    assert plain.state is not None
    assert torch.equal(judged.state.x, plain.state.x)
    torch.testing.assert_close(loss - content, adversary.term(example.problem.crop(judged.state.x)))
    loss.backward()
    assert all(p.grad is None for p in adversary.network.parameters())
    assert not any(k.startswith("adversary") for k in window.state_dict()), "it is no part of the window"


@pytest.fixture(scope="module")
def without(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has no adversary."""
    folder = tmp_path_factory.mktemp("without")
    run(replace(config_with(), adversary=AdversaryConfig()), photographs, folder, 8)
    return folder


@pytest.fixture(scope="module")
def whole(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has one."""
    folder = tmp_path_factory.mktemp("whole")
    run(config_with(), photographs, folder, 8, every=5)
    return folder


def test_with_weight_zero_nothing_is_built(
    photographs: Path, tmp_path: Path, without: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing changes, to the last bit; the weight is all that counts."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("built")

    monkeypatch.setattr("acutance_lab.train.loop.Adversary", refuse)
    run(config_with(0.0, learning_rate=0.5), photographs, tmp_path, 8)
    assert bits(log(tmp_path)) == bits(log(without))
    assert all(set(line) == {"iteration", "loss"} for line in log(tmp_path))
    found, expected = (checkpoint.load(folder / checkpoint.NAME)[0] for folder in (tmp_path, without))
    assert set(found) == set(expected)
    assert all(torch.equal(v, expected[k]) for k, v in found.items())
    assert not checkpoint.part(found, checkpoint.ADVERSARY)


def test_building_it_draws_no_number_of_the_run() -> None:
    state = torch.get_rng_state()
    Adversary(AdversaryConfig(1.0, features=FEATURES), seed=1, device=CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_until_it_begins_nothing_changes(whole: Path, without: Path) -> None:
    found, expected = log(whole), log(without)
    begun = [line["iteration"] for line in found if "discriminator" in line]
    assert begun == list(range(begun[0], len(found) + 1))
    assert begun[0] - 1 in (4, 5), "after half of 8 iterations, at the end of an episode"
    assert bits(found[: begun[0] - 1]) == bits(expected[: begun[0] - 1])
    assert bits(found[begun[0] - 1 :]) != bits(expected[begun[0] - 1 :])


def test_a_run_with_it_trains(whole: Path) -> None:
    lines = log(whole)
    assert all(math.isfinite(v) for line in lines for v in line.values())
    assert all(0 <= line["discriminator"] < 4 for line in lines if "discriminator" in line)
    tensors, record = checkpoint.load(whole / checkpoint.NAME)
    assert all(bool(torch.isfinite(v).all()) for v in tensors.values())
    assert record["config"]["adversary"]["weight"] == 0.1
    kept = checkpoint.part(tensors, checkpoint.ADVERSARY)
    start = Adversary(config_with().adversary, seed=1, device=CPU).network.state_dict()
    model = checkpoint.part(kept, "model.")
    assert set(model) == set(start)
    assert not any(torch.equal(v, start[k]) for k, v in model.items() if k.endswith("weight")), "all of it has learned"
    assert {k.split(".")[1] for k in kept if k.startswith("adam.")} == {str(i) for i in range(10)}


class Stop(Exception):
    """Stands for whatever ends a run from outside."""


def stop(line: dict[str, Any]) -> None:
    raise Stop(line)


@pytest.mark.parametrize("every", [2, 6], ids=["before it begins", "after"])
def test_a_resumed_run_is_the_same_to_the_last_bit(every: int, photographs: Path, tmp_path: Path, whole: Path) -> None:
    with pytest.raises(Stop):
        run(config_with(), photographs, tmp_path, 8, every=every, report=stop)
    stopped = checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], checkpoint.ADVERSARY)
    assert stopped, "it is in the checkpoint"
    assert any(k.startswith("adam.") for k in stopped) == (every == 6)
    torch.manual_seed(123)  # nothing outside the checkpoint may matter
    run(config_with(), photographs, tmp_path, 8, every=5)
    assert bits(log(tmp_path)) == bits(log(whole))
    found, expected = (checkpoint.load(folder / checkpoint.NAME)[0] for folder in (tmp_path, whole))
    assert set(found) == set(expected)
    assert all(torch.equal(v, expected[k]) for k, v in found.items())


def test_a_run_without_it_may_go_on_with_it(photographs: Path, tmp_path: Path) -> None:
    off = replace(config_with(), adversary=AdversaryConfig())
    with pytest.raises(Stop):
        run(off, photographs, tmp_path, 8, every=5, report=stop)
    run(config_with(), photographs, tmp_path, 8)
    assert all(("discriminator" in line) == (line["iteration"] > 4) for line in log(tmp_path)[5:])
    assert checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], checkpoint.ADVERSARY)


def test_another_number_of_features_is_refused(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(config_with(), photographs, tmp_path, 8, every=2, report=stop)
    config = config_with()
    other = replace(config, adversary=replace(config.adversary, features=6))
    with pytest.raises(ConfigError, match="features=6, but the checkpoint's has 4: set features to that, or start in"):
        run(other, photographs, tmp_path, 8)


def test_batches_of_one_channel(photographs: Path, tmp_path: Path) -> None:
    config = config_with(channels=1.0)
    run(replace(config, adversary=replace(config.adversary, begins=0.0)), photographs, tmp_path, 3)
    assert all(math.isfinite(line["discriminator"]) for line in log(tmp_path))


def test_a_window_that_is_compiled(generator: torch.Generator) -> None:
    """Traced, but not turned into machine code, which takes a minute; first without the term, then with it."""
    torch.manual_seed(2)
    method: Any = Golf(GolfConfig(drive=3, putt=3, putts=1)).train()
    adversary = Adversary(AdversaryConfig(0.5, features=FEATURES), seed=1, device=CPU)
    y, sharp = (torch.rand(1, 3, 32, 32, generator=generator) for _ in range(2))
    window = Unroll(method, LossConfig("l1"))
    compiled: Any = torch.compile(window, backend="eager")

    def slope(forward: Any, judge: Adversary | None) -> tuple[Tensor, Tensor]:
        loss = forward(Work(Example(sharp, Problem(y)), 1, judge))
        method.zero_grad()
        loss.backward()
        return loss.detach(), torch.cat([p.grad.flatten() for p in method.parameters() if p.grad is not None])

    for judge in (None, adversary):
        for mine, theirs in zip(slope(compiled, judge), slope(window, judge), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
        assert all(p.grad is None for p in adversary.network.parameters())
    with torch.no_grad():
        adversary.network.layers[0].weight.mul_(-1)  # type: ignore[operator]
    torch.testing.assert_close(slope(compiled, adversary)[0], slope(window, adversary)[0])


TWO = """
import hashlib, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import torch
from acutance_lab.train.adversary import Adversary
from acutance_lab.train.loop import Budget, train
from adversary_test import config_with

built, seen, init, learn = [], [], Adversary.__init__, Adversary.learn
def kept(self, *args, **settings):
    init(self, *args, **settings)
    built.append(self)
def counted(self, fabric, sharp, restored, **settings):
    seen.append(float(sharp.mean()))
    return learn(self, fabric, sharp, restored, **settings)
Adversary.__init__, Adversary.learn = kept, counted
config = config_with(channels=0.5)
budget = Budget(iterations=6)
done = train(config, Path(sys.argv[1]), Path(sys.argv[2]), budget, accelerator="cpu", devices=2)
state = built[0].network.state_dict()
digest = hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values())).hexdigest()
name = "leader" if done.leader else "follower"
Path(sys.argv[2], name).write_text(f"{digest} {len(built)} {seen}")
torch.distributed.barrier()  # gloo may abort a process whose neighbour has gone
torch.distributed.destroy_process_group()
"""


def test_two_processes_train_one_discriminator(photographs: Path, tmp_path: Path) -> None:
    """Each has its own pictures, both have the same weights: gradients are averaged."""
    (tmp_path / "two.py").write_text(TWO)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(tmp_path / "two.py"), str(photographs), str(tmp_path), str(Path(__file__).parent),
    ]  # fmt: skip
    source = str(Path(acutance.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    leader, follower = ((tmp_path / name).read_text().split(" ", 2) for name in ("leader", "follower"))
    assert leader[:2] == follower[:2] == [leader[0], "1"]
    assert json.loads(leader[2]) != json.loads(follower[2])
    assert len(json.loads(leader[2])) >= 2
    start = Adversary(config_with().adversary, seed=1, device=CPU).network.state_dict()
    kept = checkpoint.part(checkpoint.load(tmp_path / checkpoint.NAME)[0], f"{checkpoint.ADVERSARY}model.")
    assert not any(torch.equal(v, start[k]) for k, v in kept.items() if k.endswith("weight")), "it has learned"


# Its settings

PHASE: dict[str, Any] = {"until": 1.0, "batch": 2, "crop": 23, "steps": 2, "windows": 1, "spans": [3, 5]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"weight": -1}, "adversary: weight=-1.0: give 0 for no adversarial term, or more"),
        ({"weight": math.inf}, "adversary: weight=inf: give 0"),
        ({"weight": math.nan}, "adversary: weight=nan: give 0"),
        ({"begins": 1}, "adversary: begins=1.0: give a fraction of the run from 0 to below 1"),
        ({"begins": -0.1}, "adversary: begins=-0.1: give a fraction"),
        ({"learning_rate": 0}, "adversary: learning_rate=0.0: give more than 0, such as 1e-4"),
        ({"features": 0}, "adversary: features=0: give at least 1, such as 32"),
        ({"features": 8.0}, "a.toml: adversary: features=8.0 must be of type int"),
        ({"wieght": 1.0}, "a.toml: adversary: unknown key 'wieght'; known: weight, begins, learning_rate, features"),
        ({"weight": 0.1}, "crop=23: the adversarial term wants crops of at least 24 pixels; make them larger, let it"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_table(TrainConfig, {"method": "rgdn", "phases": [PHASE], "adversary": table}, where="a.toml")
    assert message in str(caught.value)


def test_only_phases_that_it_is_used_in_need_crops_of_its_size() -> None:
    phases = [{**PHASE, "until": 0.5}, {**PHASE, "crop": 24}]
    table = {"method": "rgdn", "phases": phases, "adversary": {"weight": 1}}
    config = from_table(TrainConfig, table, where="a.toml")
    assert config.adversary == AdversaryConfig(weight=1.0, begins=0.5)
