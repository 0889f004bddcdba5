"""A piece of a picture, to try settings on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from acutance.images import Image

MARGIN = 96
"""Pixels around a piece that are restored with it, so that its border looks as it will in the whole."""


@dataclass(frozen=True)
class Piece:
    """A rectangle of a picture.

    Args:
        x, y: its upper left corner, pixels from that of the picture. width, height: its sides, pixels, 1 or more.
        margin: pixels around it that are restored with it, as far as the picture goes.

    Example:
        >>> import torch
        >>> piece = Piece(10, 0, 20, 20, margin=5)
        >>> around = piece.with_margin(torch.zeros(1, 3, 40, 60))
        >>> around.shape, piece.without_margin(around).shape
        (torch.Size([1, 3, 25, 30]), torch.Size([1, 3, 20, 20]))
    """

    x: int
    y: int
    width: int
    height: int
    margin: int = MARGIN

    def fits(self, height: int, width: int) -> bool:
        """Tell whether it lies within a picture of these sides."""
        return self.x + self.width <= width and self.y + self.height <= height

    def with_margin(self, pixels: Tensor) -> Tensor:
        """(..., H, W) of the picture -> the piece and its margin."""
        top, left = max(0, self.y - self.margin), max(0, self.x - self.margin)
        return pixels[..., top : self.y + self.height + self.margin, left : self.x + self.width + self.margin]

    def without_margin(self, pixels: Tensor) -> Tensor:
        """The piece and its margin -> the piece."""
        top, left = min(self.y, self.margin), min(self.x, self.margin)
        return pixels[..., top : top + self.height, left : left + self.width]

    def cut(self, image: Image) -> Image:
        """`with_margin` of a picture and its alpha."""
        alpha = None if image.alpha is None else self.with_margin(image.alpha)
        corner = max(0, self.x - self.margin), max(0, self.y - self.margin)
        return _at(replace(image, pixels=self.with_margin(image.pixels), alpha=alpha), corner)

    def trim(self, image: Image) -> Image:
        """`without_margin` of a picture and its alpha."""
        alpha = None if image.alpha is None else self.without_margin(image.alpha)
        corner = min(self.x, self.margin), min(self.y, self.margin)
        return _at(replace(image, pixels=self.without_margin(image.pixels), alpha=alpha), corner)


def _at(image: Image, corner: tuple[int, int]) -> Image:
    """The image whose first pixel was at `corner`, x and y: a FITS file is told, as its header counts pixels."""
    if image.info.fits is None:
        return image
    height, width = image.size
    return replace(image, info=replace(image.info, fits=image.info.fits.cut(*corner, width, height)))
