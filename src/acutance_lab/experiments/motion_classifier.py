"""Can a small network tell synthetic from real patches? Trained on some scenes, asked about a scene it has not seen.

The answer is the area under the receiver's curve (AUC): how often a synthetic patch is thought the more synthetic of
two, one of each. 0.5 is guessing, 1 is never wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, RATE = 64, 3e-3
"""Patches an iteration, half of each kind, and the first rate of Adam, which falls to 0."""

REPEATS, TAIL = 300, 0.05
"""Bootstrap: how often pictures are drawn anew, and the share left out at each end."""

MOST = 3000
"""Patches of a kind that one training uses."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one kind, as a network sees them.

    Args:
        x: (N, C, P, P), or (N, C) numbers. groups: what each is held out with. pictures: what each is from.
    """

    x: Tensor = field(repr=False)
    groups: tuple[str, ...]
    pictures: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, rows: Sequence[int]) -> Patches:
        return Patches(self.x[list(rows)], tuple(self.groups[i] for i in rows), tuple(self.pictures[i] for i in rows))


def matched(a: Patches, b: Patches, levels: tuple[Tensor, Tensor], seed: int) -> tuple[Patches, Patches]:
    """Of each group and whole dB as many of both, drawn at random.

    Args:
        levels: PSNR of a and of b, dB.
    """
    generator = torch.Generator().manual_seed(seed)
    cells: list[dict[tuple[str, int], list[int]]] = [{}, {}]
    for cell, kind, level in zip(cells, (a, b), levels, strict=True):
        for i in torch.randperm(len(kind), generator=generator).tolist():
            cell.setdefault((kind.groups[i], int(level[i])), []).append(i)
    rows: list[list[int]] = [[], []]
    for key in sorted(set(cells[0]) & set(cells[1])):
        count = min(len(cell[key]) for cell in cells)
        for kind_rows, cell in zip(rows, cells, strict=True):
            kind_rows += cell[key][:count]
    return a[rows[0]], b[rows[1]]


def halves(kind: Patches) -> tuple[Patches, Patches]:
    """The pictures of each group in turn to one half and the other."""
    numbers: dict[str, dict[str, int]] = {}
    for group, picture in zip(kind.groups, kind.pictures, strict=True):
        of_group = numbers.setdefault(group, {})
        of_group.setdefault(picture, len(of_group))
    odd = [numbers[g][p] % 2 for g, p in zip(kind.groups, kind.pictures, strict=True)]
    first, second = ([i for i, half in enumerate(odd) if half == which] for which in (0, 1))
    return kind[first], kind[second]


@dataclass(frozen=True)
class Verdict:
    """How well two kinds of patches are told apart.

    Args:
        name: of what was compared. by_group: AUC on each group while it is held out, mean over seeds.
        auc: its mean over groups; NaN if no group has both kinds. interval: 90 % of it when the pictures of each group
            are drawn anew. by_seed: its value of each seed. patches: of a kind.
    """

    name: str
    by_group: dict[str, float]
    auc: float
    interval: tuple[float, float]
    by_seed: tuple[float, ...]
    patches: int


def network(channels: int) -> nn.Module:
    """3,793 weights for one channel, 4,393 for four: three convolutions with stride 2, mean, one output."""
    widths = (8, 16, 16)
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 5, 2, 2), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 1))


def tell_apart(
    name: str,
    synthetic: Patches,
    real: Patches,
    *,
    seeds: Sequence[int],
    iterations: int,
    heard: Callable[[str], None] | None = None,
) -> Verdict:
    """Hold out each group in turn, train on the others, and judge by it.

    Args:
        heard: told of each group that is done.
    """
    groups = sorted(set(synthetic.groups) & set(real.groups))
    values: dict[str, list[float]] = {}
    drawn = []
    for group in groups:
        scores = []
        tests = [_rows(kind, group, held=True) for kind in (synthetic, real)]
        trains = [_rows(kind, group, held=False) for kind in (synthetic, real)]
        if not all(len(rows) for rows in (*tests, *trains)):
            continue
        for seed in seeds:
            judge = trained(synthetic[trains[0]].x, real[trains[1]].x, seed=seed, iterations=iterations)
            scores.append([judge(kind.x[rows]) for kind, rows in zip((synthetic, real), tests, strict=True)])
        values[group] = [auc(made, true) for made, true in scores]
        names = [kind[rows].pictures for kind, rows in zip((synthetic, real), tests, strict=True)]
        drawn.append(_resampled(scores, names))
        if heard is not None:
            heard(f"{name}: {group}")
    count = min(len(synthetic), len(real))
    if not values:
        return Verdict(name, {}, float("nan"), (float("nan"), float("nan")), (), count)
    table = torch.tensor(list(values.values()), dtype=torch.float64)  # (groups, seeds)
    ends = torch.stack(drawn).mean(0).quantile(torch.tensor([TAIL, 1 - TAIL], dtype=torch.float64)).tolist()
    return Verdict(
        name,
        {group: sum(each) / len(each) for group, each in values.items()},
        float(table.mean()),
        (ends[0], ends[1]),
        tuple(table.mean(0).tolist()),
        count,
    )


def trained(synthetic: Tensor, real: Tensor, *, seed: int, iterations: int) -> Callable[[Tensor], Tensor]:
    """A network for patches (N, C, P, P), a linear one for numbers (N, C); gives logits (N,), synthetic is positive."""
    generator = torch.Generator().manual_seed(seed)
    kinds = [x[torch.randperm(len(x), generator=generator)[:MOST]] for x in (synthetic, real)]
    both = torch.cat(kinds)
    dims = [d for d in range(both.ndim) if d != 1]
    mean, deviation = both.mean(dims, keepdim=True), both.std(dims, keepdim=True).clamp_min(1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(both.shape[1]) if both.ndim == 4 else nn.Linear(both.shape[1], 1)
    adam = torch.optim.Adam(net.parameters(), lr=RATE if both.ndim == 4 else 10 * RATE)
    falling = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, iterations)
    wanted = torch.cat((torch.ones(BATCH // 2), torch.zeros(BATCH // 2)))
    net.train()
    for _ in range(iterations):
        batch = torch.cat([x[torch.randint(len(x), (BATCH // 2,), generator=generator)] for x in kinds])
        batch = (batch - mean) / deviation
        if batch.ndim == 4:  # turned over at random; corners of patches stay on the grid of JPEG
            for dim in (-1, -2):
                turn = torch.rand(BATCH, 1, 1, 1, generator=generator) < 0.5
                batch = torch.where(turn, batch.flip(dim), batch)
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(net(batch)[:, 0], wanted).backward()  # type: ignore[no-untyped-call]
        adam.step()
        falling.step()
    net.eval()

    @torch.no_grad()
    def judge(x: Tensor) -> Tensor:
        return torch.cat([net((x[i : i + 512] - mean) / deviation)[:, 0] for i in range(0, len(x), 512)])

    return judge


def auc(positive: Tensor, negative: Tensor) -> float:
    """Share of pairs in which the positive value is the larger one; a tie is half.

    Example:
        >>> auc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]))
        0.875
    """
    ordered = negative.double().sort().values
    p = positive.double().contiguous()
    below, up_to = torch.searchsorted(ordered, p), torch.searchsorted(ordered, p, right=True)
    return float((below + up_to).double().mean() / (2 * len(ordered)))


def _resampled(scores: list[list[Tensor]], names: list[tuple[str, ...]]) -> Tensor:
    """AUC, mean over seeds, with pictures drawn anew: (REPEATS,). Those that show both kinds are drawn for both."""
    generator = torch.Generator().manual_seed(0)
    shared = sorted(set(names[0]) & set(names[1]))
    alone = [sorted(set(each) - set(shared)) for each in names]
    where = [{name: [i for i, n in enumerate(each) if n == name] for name in set(each)} for each in names]
    found = []
    for _ in range(REPEATS):
        common = _draw(shared, generator)
        rows = []
        for kind in range(2):
            chosen = common + _draw(alone[kind], generator)
            rows.append([i for name in chosen for i in where[kind][name]])
        found.append(sum(auc(made[rows[0]], true[rows[1]]) for made, true in scores) / len(scores))
    return torch.tensor(found, dtype=torch.float64)


def _draw(names: Sequence[str], generator: torch.Generator) -> list[str]:
    if not names:
        return []
    return [names[i] for i in torch.randint(len(names), (len(names),), generator=generator).tolist()]


def _rows(kind: Patches, group: str, *, held: bool) -> list[int]:
    return [i for i, name in enumerate(kind.groups) if (name == group) == held]
