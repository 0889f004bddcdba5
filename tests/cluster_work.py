"""Work for the workers of tests: they are other processes, so what they run is imported there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from acutance.cli.batch import Batch
from acutance.cli.workers import Answer, Order, Recipe
from acutance.errors import WeightsError
from acutance.restoration.restorer import Restorer


@dataclass(frozen=True)
class Square:
    """Loads a function that squares. Args: seconds: that it sleeps. loads: a line is added to this file each time."""

    seconds: float = 0.0
    loads: str = os.devnull

    def __call__(self, number: int) -> Callable[[int], int]:
        with open(self.loads, "a") as file:  # noqa: PTH123
            file.write(f"{number}\n")
        return self.square

    def square(self, item: int) -> int:
        time.sleep(self.seconds)
        return item * item


class Broken:
    """Cannot be loaded."""

    def __call__(self, number: int) -> Any:
        raise WeightsError("no such weights here")


@dataclass(frozen=True)
class Odd(Recipe):
    """A recipe that is slow, and kills its own process for a picture called poison.png."""

    seconds: float = 0.0

    @staticmethod
    def like(recipe: Recipe, seconds: float) -> Odd:
        return Odd(**{each.name: getattr(recipe, each.name) for each in fields(recipe)}, seconds=seconds)

    def restored(self, restorer: Restorer, order: Order) -> Answer:
        time.sleep(self.seconds)
        if order.job.source.name == "poison.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().restored(restorer, order)


def odd(seconds: float) -> Callable[[Batch, int | None], Recipe]:
    """In the place of `Recipe.of`."""
    whole = Recipe.of
    return lambda batch, threads: Odd.like(whole(batch, threads), seconds)
