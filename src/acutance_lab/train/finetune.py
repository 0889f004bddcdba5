"""Fine-tuning: the shipped weights go on training on a user's own sharp pictures, and an examination compares both.

The pictures are gathered in the run's folder first. Planes of stacks and pictures of more than 8 bits are scaled by
their own bright end, since every picture is scaled before it is restored, too. One in five is held out: the weights
never see it, and both examinations are on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from acutance.errors import ConfigError, DataError
from acutance.images import read_image
from acutance.images.stack_file import is_stack, read_stack
from acutance.weights import embedded, write_weights
from acutance_lab.data.photographs import PLANE, find
from acutance_lab.train import checkpoint
from acutance_lab.train.config import TrainConfig, ValidationConfig, read_config
from acutance_lab.train.loop import Budget, Report, Run, train
from acutance_lab.train.publish import examine
from acutance_lab.train.validate import Score

LEAST_PICTURES = 10
"""Fewer pictures teach the network those pictures, and not their kind."""

PLANES = 12
"""Planes that are taken from a stack, evenly spaced. All of them are held out, or none."""

BRIGHT = 0.999
"""Share of the samples below the bright end of a picture of more than 8 bits."""

EXAMINATION = ValidationConfig(
    crops=60, crop=96, steps=(1, 3, 5), levels=(0.003, 0.01, 0.02, 0.05), spans=(5, 9, 15, 21, 31)
)
"""Every noise level with every kernel size, three times."""


@dataclass(frozen=True)
class Tuned:
    """Fine-tuned weights beside the shipped ones, on the same held-out crops.

    Args:
        run: the training. settings: of the method. before, after: scores of the shipped and of the new weights.
        pictures, held: numbers of pictures that were trained on and held out.
    """

    run: Run
    settings: dict[str, Any]
    before: Score
    after: Score
    pictures: int
    held: int

    @property
    def gain(self) -> float:
        """Mean gain over the shipped weights in dB, each at its best number of steps."""
        return max(self.after.psnr) - max(self.before.psnr)


def settings_for(grey: bool) -> TrainConfig:
    """The configuration of a fine-tuning; of grey pictures all batches are on one channel."""
    with resources.as_file(resources.files(__package__) / "finetune.toml") as file:
        config = read_config(file)
    model = dict(embedded(config.method).card["model"])
    return replace(config, model=model, one_channel=1.0 if grey else config.one_channel)


def gather(folder: Path, into: Path) -> tuple[int, bool]:
    """Put the pictures below `folder`, and planes of its stacks, into another folder, as training reads them.

    Returns:
        How many there are, and whether all of them are grey.

    Raises:
        DataError: no folder, one that holds `into`, too few pictures. ImageError: one that cannot be read.
    """
    if into.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{into} lies in {folder}, whose pictures it is to hold; give another folder for the run")
    files = sorted(find(folder, validation=False, one_in=1) + find(folder, validation=True, one_in=1))
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    count, grey = 0, True
    for number, file in enumerate(files):
        for name, picture in _pictures(file, f"{number:04d}-{file.stem}"):
            if picture is None:
                shutil.copyfile(file, into / f"{name}{file.suffix.lower()}")
                grey = grey and read_image(file).pixels.shape[1] == 1
            else:
                tifffile.imwrite(
                    into / f"{name}.tif", picture, photometric="minisblack" if picture.ndim == 2 else "rgb"
                )
                grey = grey and picture.ndim == 2
            count += 1
    if count < LEAST_PICTURES:
        raise DataError(f"{count} pictures below {folder}: give at least {LEAST_PICTURES}, better 50, sharp ones")
    return count, grey


def _pictures(file: Path, name: str) -> Iterator[tuple[str, NDArray[np.uint16] | None]]:
    """Names, and values of 16 bits; None: the file itself does."""
    if is_stack(file):
        values = read_stack(file).values
        planes = [(t, c, z) for t in range(values.shape[0]) for c in range(values.shape[1]) for z in _spread(values)]
        for t, c, z in planes:
            yield f"{name}{PLANE}-{t}-{c}-{z}", _scaled(np.asarray(values[t, c])[z])
        return
    image = read_image(file)
    if image.info.bits <= 8:
        yield name, None
        return
    yield name, _scaled(image.pixels[0].permute(1, 2, 0).numpy().squeeze())


def _spread(values: Any) -> Sequence[int]:
    depth = values.shape[2]
    return sorted({round(i * (depth - 1) / max(1, min(PLANES, depth) - 1)) for i in range(min(PLANES, depth))})


def _scaled(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Values between their dark and their bright end, as 16 bits; missing ones are dark."""
    known = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    dark, bright = min(0.0, float(known.min())), float(np.quantile(known, BRIGHT))
    share = (known - dark) / max(bright - dark, np.finfo(np.float64).tiny)
    return np.asarray((share.clip(0, 1) * 65535).round(), np.uint16)


def finetune(
    folder: Path, out: Path, *, run_folder: Path, budget: Budget, report: Report | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Tuned:  # fmt: skip
    """Train on the pictures below `folder`, examine, and write the weights if their gain is above 0.

    Args:
        folder: of sharp pictures and stacks. out: weights file; its card is put beside it. run_folder: of checkpoint
            and log; the same call goes on there. budget: how long. report: told lines of the log. say: told what is
            being done.

    Raises:
        DataError, ImageError: see `gather`. ConfigError: `out` is no .safetensors file.
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"{out}: give a name that ends with .safetensors")
    pictures = run_folder / "pictures"
    count, grey = gather(folder, pictures)
    config = settings_for(grey)
    held = len(find(pictures, validation=True, one_in=config.held_out))
    say(f"{count - held} pictures to train on, {held} held out{', all grey' if grey else ''}")
    shipped = embedded(config.method)
    run = train(config, pictures, run_folder, budget, init=shipped.tensors, report=report)
    say("examining both on the held-out pictures")
    tensors = checkpoint.part(checkpoint.load(run_folder / checkpoint.NAME)[0], "ema.")
    before, after = (
        examine(config.method, each, config.model, pictures, examination_of=EXAMINATION, one_in=config.held_out)
        for each in (shipped.tensors, tensors)
    )
    tuned = Tuned(run, config.model, before, after, count - held, held)
    if tuned.gain <= 0:
        return tuned
    card = {
        "name": f"{config.method}-{out.stem}",
        "method": config.method,
        "model": config.model,
        "data": f"{tuned.pictures} pictures of a user, from {shipped.version}",
        "data_hash": run.data,
        "minutes": round(run.core_minutes, 1),
        "iterations": run.clock.iteration,
        "device": run.device,
        "scores": [vars(after)],
        "shipped_scores": [vars(before)],
    }
    write_weights(out, tensors, card)
    return tuned


def gains(tuned: Tuned) -> list[tuple[str, float, float]]:
    """PSNR in dB of shipped and new weights on the held-out pictures: all, by noise level, by kernel size."""
    before, after = tuned.before, tuned.after
    levels = [f"noise {100 * level:g} %" for level in EXAMINATION.levels]
    spans = [f"kernel of {span} pixels" for span in EXAMINATION.spans]
    return [
        ("all", max(before.psnr), max(after.psnr)),
        *zip(levels, before.levels, after.levels, strict=True),
        *zip(spans, before.spans, after.spans, strict=True),
    ]
