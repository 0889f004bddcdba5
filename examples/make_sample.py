"""Make the bundled sample: a public-domain photograph, shaken by our own simulation, with noise and JPEG.

The photograph is NASA's portrait of Eileen Collins (public domain), as scikit-image ships it in
``skimage.data.astronaut``.
Run it in a development environment: ``python examples/make_sample.py``.
"""

from pathlib import Path

import torch
from PIL import Image as PillowImage
from skimage import data

from acutance import Blur, write_kernel
from acutance_lab.synth import kernels

HERE = Path(__file__).parent
SIGMA = 0.01
SPAN = 21

sharp = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
generator = torch.Generator().manual_seed(11)
kernel = kernels.shake(6, SPAN, generator)[3:4]
clean = Blur(kernel).forward(sharp)
noisy = clean + SIGMA * torch.randn(clean.shape, generator=generator)
pixels = (noisy.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
PillowImage.fromarray(pixels).save(HERE / "shaken.jpg", quality=95, subsampling=0)
write_kernel(HERE / "shaken-kernel.png", kernel, overwrite=True)
radius = SPAN // 2
truth = (sharp[..., radius:-radius, radius:-radius] * 255).round().byte()[0].permute(1, 2, 0).numpy()
PillowImage.fromarray(truth).save(HERE / "sharp.png")
