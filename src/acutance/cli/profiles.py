"""`--profile`: what the profile of a camera tells of each picture of a command."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from acutance.camera.applied import Box, blur_of, fit_of, noise_of
from acutance.camera.profile import Profile, read_profile
from acutance.cli.wanted import Wanted
from acutance.errors import ConfigError
from acutance.images import Image
from acutance.images.shot import shot_of
from acutance.images.source import is_lossy, is_measured, is_photograph
from acutance.operators import BlurField
from acutance.prepare import steepness
from acutance.restoration.piece import Piece


@dataclass(frozen=True, eq=False)
class Told:
    """The picture and the blur that a method gets, by the profile.

    Args:
        image: with its noise level. kernel: the blur of the lens; None: the profile tells none. linear, sigma: see
            `acutance.restoration.restorer.Restorer.prepare`. notes: for the user.
    """

    image: Image
    kernel: BlurField | None
    linear: bool | None
    sigma: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ProfileUse:
    """The profile of a command.

    Args:
        profile: it. name: of its file. lens: take the blur from it. noise: take the noise from it.
        deblur: the task, for which the noise of lossy files is raised.
    """

    profile: Profile
    name: str
    lens: bool
    noise: bool
    deblur: bool = True

    @staticmethod
    def of(wanted: Wanted) -> ProfileUse | None:
        """The profile that is asked for; what is given by other options is not taken from it.

        Raises:
            ConfigError: it cannot be read, or there is nothing left to take from it.
        """
        if wanted.profile is None:
            return None
        profile = read_profile(wanted.profile)
        deblur = wanted.task == "deblur"
        lens = profile.blur is not None and deblur and wanted.blur is None and not any(wanted.of_finding().values())
        noise = bool(profile.noise) and wanted.level is None
        if not lens and not noise:
            raise ConfigError(
                f"--profile {wanted.profile}: nothing is left to take from it, as the blur and the noise are given or "
                "not in it; leave it out"
            )
        return ProfileUse(profile, wanted.profile.name, lens, noise, deblur)

    def for_method(self, takes_kernel: bool) -> ProfileUse:
        """The same for a method; one that takes no kernel is told the noise alone."""
        return self if takes_kernel else replace(self, lens=False)

    def tell(
        self, image: Image, size: tuple[int, int], piece: Piece | None, *, linear: bool | None, sigma: float | None
    ) -> Told:
        """Take noise and blur of a picture from the profile.

        Args:
            image: the picture, or a piece of it with its margin. size: (H, W) of the whole. piece: that, or None.
            linear, sigma: of the command.

        Raises:
            KernelError: the picture has another aspect than the profile. ImageError: it is no photograph.
        """
        notes = self._other_camera(image)
        kernel = None
        if self.lens:
            kernel = blur_of(self.profile, size, image.info.orientation, _box(image, piece))
            assert self.profile.blur is not None
            widths = self._widths(size, image.info.orientation)
            notes.append(f"blur of the lens from {self.name}: deviation {widths[0]:.2f} to {widths[1]:.2f} pixels")
            if linear is None and not is_photograph(image) and not is_measured(image):
                linear, sigma = True, None if sigma is None else sigma * steepness(image.pixels)
        if self.noise:
            image, said = self._with_noise(image, size)
            notes += said
        return Told(image, kernel, linear, sigma, tuple(notes))

    def _with_noise(self, image: Image, size: tuple[int, int]) -> tuple[Image, list[str]]:
        """The picture with its noise level, as long as it is one as it came out of the camera."""
        fit = fit_of(self.profile, size, image.info.orientation)
        if fit is not None and fit.is_scaled:
            return image, [
                "the picture was scaled, which changes its noise; it is estimated, not taken from the profile"
            ]
        told = noise_of(self.profile, image, deblur=self.deblur)
        notes = [f"noise from {self.name}: {told.source.removeprefix('the profile ')}"]
        if is_lossy(image) != self.profile.lossy:
            mine, its = ("lossy", "lossless") if self.profile.lossy else ("lossless", "lossy")
            notes.append(
                f"the profile is of {mine} files, and this one is {its}: its noise may differ; calibrate with such"
            )
        return replace(image, info=replace(image.info, noise=told)), notes

    def _other_camera(self, image: Image) -> list[str]:
        """Say that the picture is of another camera or lens."""
        shot, notes = shot_of(image.info.exif), []
        for what, mine, its in (
            ("camera", self.profile.camera, shot.camera), ("lens", self.profile.lens, shot.lens),
        ):  # fmt: skip
            if mine and its and mine != its:
                notes.append(f"the profile is of another {what}: {mine}, and this picture is of {its}")
        return notes

    def _widths(self, size: tuple[int, int], orientation: int) -> tuple[float, float]:
        """The least and the largest deviation, pixels of the picture."""
        assert self.profile.blur is not None
        fit = fit_of(self.profile, size, orientation)
        values: Tensor = self.profile.blur.deviations() * (1.0 if fit is None else fit.scale)
        return float(values.min()), float(values.max())


def _box(image: Image, piece: Piece | None) -> Box | None:
    """Place of a piece with its margin in the picture; None: the picture is whole."""
    if piece is None:
        return None
    return Box(max(0, piece.y - piece.margin), max(0, piece.x - piece.margin), *image.size)
