"""Fixtures that every test may ask for."""

from __future__ import annotations

import os

import hypothesis
import pytest
import torch

# Examples of tensors take as long as the machine is busy, so no deadline; and a red build must stay red when run again.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


# Small tensors gain nothing from more threads, and on busy cores threads wait for each other.
torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """A source of random numbers that starts anew for every test."""
    return torch.Generator().manual_seed(20200101)
