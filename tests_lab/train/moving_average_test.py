"""The moving average of the weights."""

from __future__ import annotations

import torch
from torch import nn

from acutance_lab.train.schedule import update_ema


def test_the_moving_average_forgets_its_start() -> None:
    net = nn.Linear(1, 1)
    ema = {k: torch.zeros_like(v) for k, v in net.state_dict().items()}
    for i in range(200):
        update_ema(ema, net, 0.9, i)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(ema[key], value)
    update_ema(ema, net.requires_grad_(False).double().float(), 0.995, 0)  # early on it follows quickly
