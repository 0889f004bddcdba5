"""Pictures that go through a JPEG file, and draws that depend on names alone."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def seeded(name: str) -> torch.Generator:
    """A generator of a name: the same draws wherever and after whatever else they are made."""
    return torch.Generator().manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:12], 16))


def jpeg_bytes(pixels: Tensor, quality: int, subsampling: int = 2) -> bytes:
    """The JPEG file that Pillow writes for (1, 3, H, W) in [0, 1]; subsampling: 0 for 4:4:4, 2 for 4:2:0."""
    stream = io.BytesIO()
    levels = (255 * pixels[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(levels).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return stream.getvalue()


def through_jpeg(pixels: Tensor, quality: int) -> Tensor:
    """What is read from that file, (1, 3, H, W) in [0, 1], colours at half the resolution."""
    with Image.open(io.BytesIO(jpeg_bytes(pixels, quality))) as file:
        read = torch.from_numpy(np.array(file.convert("RGB")))
    return read.permute(2, 0, 1)[None].float() / 255
