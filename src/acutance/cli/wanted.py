"""The options of `acutance restore` as one value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from acutance.blind.trail import Region
from acutance.cli.boxes import parse_region
from acutance.cli.console import parse_level, parse_numbers
from acutance.cli.crew import Crew
from acutance.cluster.store import is_address
from acutance.errors import ConfigError
from acutance.images.fits_layout import split


@dataclass(frozen=True)
class Wanted:
    """The options; see `acutance.cli.restoring.restore` for each. Args: silent: say nothing of what is done."""

    pictures: tuple[Path, ...]
    kernel: Path | None
    motion: str | None
    disc: float | None
    gaussian: float | None
    exact: bool
    output: str | None
    recursive: bool
    method: str | None
    task: str
    strength: float | None
    quality: str | None
    steps: int | None
    seconds: float | None
    sigma: str | None
    mask: Path | None
    weights: Path | None
    flip_kernel: bool
    centre: bool
    linear: bool | None
    preview: str | None
    bits: int | None
    window: str | None
    trail: str | None
    candidates: Path | None
    compare: Path | None
    explain: Path | None
    overwrite: bool
    in_place: bool
    again: bool
    device: str
    precision: str
    threads: int | None
    workers: int | None
    cluster: str | None
    tile: int | None
    max_megapixels: int
    as_json: bool
    block: str | None
    orientation: bool
    sidecar: bool
    report: Path | None
    uncertainty: Path | None
    profile: Path | None = None
    silent: bool = False

    def check(self) -> None:
        """See that the options make sense, each by itself and together.

        Raises:
            ConfigError: they do not.
        """
        if self.bits is not None and self.bits not in (8, 16, 32):
            raise ConfigError(f"--bits {self.bits}: give 8, 16 or 32")
        if self.in_place and self.preview is not None:
            raise ConfigError("--in-place with --preview would replace the picture by a piece of it; leave one out")
        if self.workers is not None and self.cluster is not None:
            raise ConfigError("--workers and --cluster together: workers on this machine, or those of a scheduler")
        if self.cluster is not None and not self.cluster.startswith(("tcp://", "tls://")):
            raise ConfigError(f"--cluster {self.cluster}: give the address of a scheduler, such as tcp://host:8786")
        _ = self.level, self.region, self.boxes, self.sides

    @cached_property
    def level(self) -> float | None:
        """The noise level, a fraction of the range."""
        return parse_level(self.sigma)

    @cached_property
    def region(self) -> Region | None:
        """The piece of --preview."""
        return parse_region(self.preview, "--preview")

    @cached_property
    def boxes(self) -> dict[str, Region | None]:
        """The boxes of --window and --trail, by the setting of `acutance.blind.BlindConfig` that they are."""
        return {"window": parse_region(self.window, "--window"), "trail": parse_region(self.trail, "--trail")}

    @cached_property
    def sides(self) -> tuple[int, int, int] | None:
        """The sides of --block, (Z, Y, X) in voxels."""
        if self.block is None:
            return None
        form = "three whole numbers Z,Y,X, voxels, e.g. --block 64,256,256"
        values = parse_numbers(self.block, 3, "--block", form)
        if any(v < 1 or v != int(v) for v in values):
            raise ConfigError(f"--block {self.block}: give {form}")
        z, y, x = map(int, values)
        return z, y, x

    @property
    def crew(self) -> Crew | None:
        """The workers that are asked for; None: this program does the pictures itself."""
        if self.workers is None and self.cluster is None:
            return None
        return Crew(self.workers, self.cluster, self.threads)

    @property
    def at_addresses(self) -> bool:
        """Tell whether a picture, a folder or the results are at an address such as s3://bucket/scans."""
        paths = (*self.pictures, *([] if self.output is None else [Path(self.output)]))
        return any(is_address(path) for path in paths)

    @property
    def most(self) -> int:
        """Pixels of a picture, at most."""
        return self.max_megapixels * 1_000_000

    @property
    def inputs(self) -> dict[str, Path]:
        """Files that are read beside the pictures, by what they are."""
        read = {
            "the kernel": self.kernel,
            "the mask": self.mask,
            "the weights": self.weights,
            "the profile": self.profile,
        }
        return {what: split(path)[0] for what, path in read.items() if path is not None}

    @property
    def blur(self) -> str | None:
        """The option that says what the blur is."""
        given = {"--kernel": self.kernel, "--motion": self.motion, "--disc": self.disc, "--gaussian": self.gaussian}
        return next((option for option, value in given.items() if value is not None), None)

    def of_finding(self) -> dict[str, object]:
        """Options for finding the blur, and their values."""
        return {"--window": self.window, "--trail": self.trail, "--candidates": self.candidates}

    def of_one_picture(self) -> dict[str, object]:
        """Options that go with one picture only, and their values."""
        return {
            "--compare": self.compare, "--explain": self.explain, "--mask": self.mask, "--report": self.report,
            "--uncertainty": self.uncertainty, **self.of_finding(),
        }  # fmt: skip

    def of_workers(self) -> dict[str, object]:
        """Options that spread several pictures over workers, and their values."""
        return {"--workers": self.workers, "--cluster": self.cluster}

    def there(self) -> dict[str, bool]:
        """Tell which options were given, of those that some methods or files have no use for."""
        given: dict[str, object] = {
            "--kernel": self.kernel, "--motion": self.motion, "--disc": self.disc, "--gaussian": self.gaussian,
            "--method": self.method, "--strength": self.strength, "--quality": self.quality, "--steps": self.steps,
            "--seconds": self.seconds, "--sigma": self.sigma, "--flip-kernel": self.flip_kernel,
            "--centre": self.centre, "--preview": self.preview, "--exact": self.exact, "--tile": self.tile,
            "--again": self.again, "--in-place": self.in_place, "--sidecar": self.sidecar, "--profile": self.profile,
            **self.of_workers(),
            **self.of_one_picture(),
        }  # fmt: skip
        there = {option: value is not None and value is not False for option, value in given.items()}
        there["--linear"], there["--encoded"] = self.linear is True, self.linear is False
        return there | {"--precision": self.precision != "auto", "--task": self.task != "deblur"}
