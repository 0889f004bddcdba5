"""Make the gallery: `make gallery` writes docs/gallery.md and the pictures of docs/images/gallery. A few minutes.

The photographs are those of scikit-image that are in the public domain or CC0; the page of text is drawn here. Each is
blurred by our simulation, then restored by the command that the page prints, and nothing else. Scores are against the
sharp picture, cut to the frame.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from torch import Tensor

from acutance import Blur, read_image, write_kernel
from acutance.images import linear_to_srgb, srgb_to_linear
from acutance.metrics import psnr
from acutance.psf import shapes
from acutance_lab.synth import kernels

DOCS = Path(__file__).resolve().parents[1]
OUT = DOCS / "images" / "gallery"
QUALITY = 90

ASTRONAUT = "Eileen Collins, NASA, public domain"
COFFEE = "Coffee, Rachel Michetti, CC0"
CAT = "Chelsea, Stéfan van der Walt, CC0"
ROCKET = "Falcon 9, SpaceX, public domain"
HUBBLE = "Hubble eXtreme Deep Field, NASA, public domain"
CAMERA = "Cameraman, Lav Varshney, CC0"
TEXT = "drawn for this page"

LINES = """The reader's first language is not English,
and he is in a hurry. Write short main
clauses. Say first what the thing does.

A blurred page is a sum of shifted pages.
The kernel says by how much, and how often."""


@dataclass(frozen=True)
class Scene:
    """A blurred picture to make, and the command that restores it.

    Args:
        name: of its files. title: heading. source: of the sharp picture, with its terms.
        sharp: makes it, (1, C, H, W) in [0, 1], encoded. spoil: makes what the camera saw, in linear light.
        how: what was done to it, for the page. command: options of the command, `{photo}` is the picture.
        remark: what to see. noise: standard deviation of the noise in encoded values. depth: bits; 8 is a JPEG.
    """

    name: str
    title: str
    source: str
    sharp: Callable[[], Tensor]
    spoil: Callable[[Tensor], Tensor]
    how: str
    command: str
    remark: str
    noise: float = 0.005
    depth: int = 8


def photograph(name: str, top: int, left: int, height: int, width: int) -> Callable[[], Tensor]:
    """A piece of a photograph of scikit-image."""

    def load() -> Tensor:
        pixels = torch.from_numpy(np.asarray(getattr(data, name)())).float() / 255
        whole = pixels[None, None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)[None]
        return whole[..., top : top + height, left : left + width]

    return load


def page() -> Tensor:
    """Dark text on light paper."""
    canvas = Image.new("L", (440, 220), 238)
    ImageDraw.Draw(canvas).multiline_text((22, 24), LINES, fill=24, font=ImageFont.load_default(18), spacing=8)
    return torch.from_numpy(np.array(canvas)).float()[None, None] / 255


def blurred_by(kernel: Tensor) -> Callable[[Tensor], Tensor]:
    """The same blur everywhere."""
    return Blur(kernel).forward


def shaken(seed: int, span: int) -> Callable[[Tensor], Tensor]:
    """Camera shake."""
    return blurred_by(kernels.shake(1, span, torch.Generator().manual_seed(seed)))


def two_movements(sharp: Tensor) -> Tensor:
    """The left half moved along, the right half down."""
    halves = [Blur(shapes.line(13, angle, 15)).forward(sharp) for angle in (0.0, 90.0)]
    share = torch.linspace(-12, 12, halves[0].shape[-1]).sigmoid()
    return halves[0] * (1 - share) + halves[1] * share


def unblurred(sharp: Tensor) -> Tensor:
    """No blur."""
    return sharp


PSF = shapes.gaussian(2.0, 13) * 0.7 + shapes.gaussian(4.0, 13) * 0.3

SCENES = (
    Scene(
        "shaken", "Shaken, and nothing said", ASTRONAUT, photograph("astronaut", 0, 90, 330, 300), shaken(11, 19),
        "camera shake", "restore {photo}", "The kernel was found from the picture alone.",
    ),
    Scene(
        "defocus", "Out of focus, and a guess", COFFEE, photograph("coffee", 60, 130, 300, 400),
        blurred_by(shapes.disc(4.6)), "out of focus, a disc of radius 4.6 pixels", "restore {photo} --disc 4",
        "The guess was not exact: the program looked nearby and took another radius. Bright edges have rings.",
    ),
    Scene(
        "rings", "The same, against the rings", COFFEE, photograph("coffee", 60, 130, 300, 400),
        blurred_by(shapes.disc(4.6)), "the same picture as above", "restore {photo} --disc 4 --sigma 4%",
        "A higher noise level takes the rings away, and some detail with them.",
    ),
    Scene(
        "motion", "A straight movement", CAT, photograph("chelsea", 0, 60, 300, 340), blurred_by(shapes.line(15, 30)),
        "moved by 15 pixels at 30 degrees", "restore {photo} --motion 15,30", "Whiskers and fur come back.",
    ),
    Scene(
        "grey", "A measured kernel, 16 bits", CAMERA, photograph("camera", 40, 100, 300, 340),
        blurred_by(kernels.shake(1, 15, torch.Generator().manual_seed(3))), "camera shake, 16 bits",
        "restore {photo} --kernel psf.npy", "Depth and values of the file are kept.", depth=16,
    ),
    Scene(
        "stars", "A telescope", HUBBLE, photograph("hubble_deep_field", 300, 330, 300, 340), blurred_by(PSF),
        "a point spread function with wide wings, 16 bits",
        "restore {photo} --kernel psf.npy --method richardson-lucy", "Nothing was learned from photographs here.",
        noise=0.003, depth=16,
    ),
    Scene(
        "text", "A page out of focus", TEXT, page, blurred_by(shapes.disc(3.5)),
        "out of focus, a disc of radius 3.5 pixels", "restore {photo} --disc 3.5", "It can be read again.",
    ),
    Scene(
        "noise", "Noise", CAT, photograph("chelsea", 40, 90, 240, 300), unblurred, "noise of 8 %, no blur",
        "denoise {photo}", "`denoise` looks at the spectrum of the noise first.", noise=0.08,
    ),
    Scene(
        "fails", "Where it fails: two movements", ROCKET, photograph("rocket", 60, 170, 340, 360), two_movements,
        "the left half moved along, the right half down", "restore {photo}",
        "No single kernel explains such a picture; one that is used all the same makes it worse.",
    ),
)  # fmt: skip


def make(scene: Scene, folder: Path) -> str:
    """Spoil, restore, and write both pictures; the scene's part of the page."""
    sharp = scene.sharp()
    generator = torch.Generator().manual_seed(2026)
    seen = linear_to_srgb(scene.spoil(srgb_to_linear(sharp))) if scene.depth == 8 else scene.spoil(sharp)
    seen = (seen + scene.noise * torch.randn(seen.shape, generator=generator)).clamp(0, 1)
    photo = folder / f"{scene.name}.{'jpg' if scene.depth == 8 else 'tif'}"
    if scene.depth == 8:
        picture(seen).save(photo, quality=95, subsampling=0)
    else:
        tifffile.imwrite(photo, np.round(seen[0].permute(1, 2, 0).squeeze(-1).numpy() * 65535).astype(np.uint16))
        kernel = PSF if scene.name == "stars" else kernels.shake(1, 15, torch.Generator().manual_seed(3))
        write_kernel(folder / "psf.npy", kernel / kernel.sum(), overwrite=True)
    restored = photo.with_name(f"{scene.name}-restored{photo.suffix}")
    words = scene.command.format(photo=photo.name)
    done = subprocess.run(
        [sys.executable, "-m", "acutance", *words.split(), "-o", restored.name], cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"acutance {words}: {done.stdout}{done.stderr}")
    print(f"== {scene.name}\n{done.stderr}", flush=True)
    before, after = read_image(photo).pixels, read_image(restored).pixels
    picture(before).save(OUT / f"{scene.name}-before.jpg", quality=QUALITY)
    picture(after).save(OUT / f"{scene.name}-after.jpg", quality=QUALITY)
    return part(scene, words, [float(psnr(each, framed(sharp, each))) for each in (before, after)])


def framed(sharp: Tensor, like: Tensor) -> Tensor:
    """The sharp picture, cut to the frame of the blurred one."""
    high, wide = ((s - t) // 2 for s, t in zip(sharp.shape[-2:], like.shape[-2:], strict=True))
    return sharp[..., high : high + like.shape[-2], wide : wide + like.shape[-1]]


def picture(pixels: Tensor) -> Image.Image:
    """8 bits of (1, C, H, W)."""
    return Image.fromarray((pixels[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(-1).numpy())


def part(scene: Scene, words: str, scores: list[float]) -> str:
    """Markdown of one scene."""
    before, after = (f"images/gallery/{scene.name}-{which}.jpg" for which in ("before", "after"))
    return f"""## {scene.title}

<div class="gallery" markdown>
![Before]({before})
![After]({after})
</div>

`acutance {words}`

{scene.how[:1].upper()}{scene.how[1:]}: {scores[0]:.1f} dB before, {scores[1]:.1f} dB after. {scene.remark}
*{scene.source}.*
"""


HEAD = """# Gallery

Left before, right after. Every picture was blurred by a simulation, given noise, stored as a JPEG or with 16 bits, and
restored by the command below it. `make gallery` makes this page and its pictures. Scores are PSNR against the sharp
picture.
"""


def main() -> None:
    """Make all scenes, or those that are named."""
    OUT.mkdir(parents=True, exist_ok=True)
    chosen = [scene for scene in SCENES if not sys.argv[1:] or scene.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        parts = [make(scene, Path(folder)) for scene in chosen]
    if len(chosen) == len(SCENES):
        (DOCS / "gallery.md").write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    else:
        print("\n".join(parts))


if __name__ == "__main__":
    main()
