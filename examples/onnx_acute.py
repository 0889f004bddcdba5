"""Acute without torch: numpy and onnxruntime on the graph of `acutance export acute -o acute.onnx`.

    python examples/onnx_acute.py acute.onnx examples/shaken.jpg examples/shaken-kernel.png 0.01 sharp.png

The same numbers as `acutance.methods.acute` for one kernel (odd sides), a known noise level, no mask. It takes an RGB
picture as it is; `acutance restore` also undoes the tone curve, finds saturated pixels and estimates the noise level.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

AXES = (-2, -1)


def fast(n):
    """Smallest even length from n on without a prime factor above 7."""
    return next(m for m in range(n + n % 2, 2 * n + 2, 2) if 210**12 % m == 0)


def otf(kernel, size):
    """Transfer function of a kernel on a torus."""
    padded = np.zeros(size)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.fft.fft2(np.roll(padded, [-(n // 2) for n in kernel.shape], AXES))


def differences(size):
    """Power of the circular differences."""
    down, along = (2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(n)) for n in size)
    return down[:, None] + along


def placed(y, size, corner):
    """A picture on a torus of zeros."""
    return np.pad(y, [(0, 0), *((c, n - c - m) for c, n, m in zip(corner, size, y.shape[1:], strict=True))])


def cropped(x, corner, size):
    """The part of a picture at a corner."""
    return x[:, corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]


def bridge(x, length, axis):
    """Extend a picture to a torus without a step."""
    t = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length - x.shape[axis]) + 0.5) / (length - x.shape[axis]))
    t = t[:, None] if axis == 1 else t
    return np.concatenate([x, np.take(x, [-1], axis) * (1 - t) + np.take(x, [0], axis) * t], axis)


def shrink(v, weight):
    """Minimise |w|^(2/3) + weight / 2 (w - v)^2."""
    v, sign, tie = np.abs(v), np.sign(v), 2 / weight
    angle = np.arccosh(np.maximum(27 / 16 * v**2 * tie**-1.5, 1))
    a = 2 / np.sqrt(3) * tie**0.25 * np.sqrt(np.cosh(angle / 3))
    root = (a + np.sqrt(np.maximum(2 * v / a - a**2, 0))) / 2
    return np.where(v > 2 / 3 * (3 * tie**3) ** 0.25, sign * root**3, 0)


def start(y, kernel, level):
    """x(0): half-quadratic splitting with a sparse prior (Krishnan & Fergus 2009)."""
    radius, frame = [n // 2 for n in kernel.shape], y.shape[1:]
    size = [fast(n + 2 * r + max(2 * r, 8)) for n, r in zip(frame, radius, strict=True)]
    k, d2 = otf(kernel, size), differences(size)
    data, prior = np.conj(k) * np.fft.fft2(placed(y, size, radius)), 0.85 * level**1.63
    smooth = np.roll(bridge(bridge(y, size[0], 1), size[1], 2), radius, AXES)

    def solve(x, rhs, quadratic):  # (K' M K + R) x = rhs
        def apply(x):
            seen = cropped(np.fft.ifft2(k * x).real, radius, frame)
            return np.conj(k) * np.fft.fft2(placed(seen, size, radius)) + quadratic * x

        r, p, before = rhs - apply(x), 0, np.inf
        for _ in range(2):
            z = r / (np.abs(k) ** 2 + quadratic)
            rz = (np.conj(r) * z).real.sum(AXES, keepdims=True)
            p, before = z + rz / before * p, rz
            q = apply(p)
            a = rz / (np.conj(p) * q).real.sum(AXES, keepdims=True)
            x, r = x + a * p, r - a * q
        return x

    quadratic = 30 * prior * d2 + 1e-8
    x = solve(np.conj(k) * np.fft.fft2(smooth) / (np.abs(k) ** 2 + quadratic), data, quadratic)
    for weight in np.geomspace(4.5, 500, 6):
        picture, tied = np.fft.ifft2(x).real, 0
        for axis in AXES:
            w = shrink(np.roll(picture, -1, axis) - picture, weight)
            tied = tied + np.roll(w, 1, axis) - w
        tie = prior * weight
        x = solve(x, data + tie * np.fft.fft2(tied), tie * d2 + 1e-8)
    return cropped(np.fft.ifft2(x).real, (0, 0), [n + 2 * r for n, r in zip(frame, radius, strict=True)])


def acute(session, y, kernel, level, steps=None):
    """Restore y (3, H, W) with a kernel (h, w) of sum 1 and a noise level."""
    constants = json.loads(session.get_modelmeta().custom_metadata_map["constants"])
    bank, level = constants["bank"], max(level, constants["least_level"])
    radius, frame = [n // 2 for n in kernel.shape], y.shape[1:]
    domain = [n + 2 * r for n, r in zip(frame, radius, strict=True)]
    size = [fast(n) for n in domain]
    k, x = otf(kernel, size), start(y, kernel, level)

    def adjoint(r):
        return cropped(np.fft.ifft2(np.conj(k) * np.fft.fft2(placed(r, size, radius))).real, (0, 0), domain)

    memory = np.zeros((constants["memory"], *domain))
    for step in range(steps or constants["steps"]):
        residual = cropped(np.fft.ifft2(k * np.fft.fft2(x, size)).real, radius, frame) - y
        spectrum, g = np.fft.fft2(adjoint(residual), size), []
        for c, p, e in zip(bank["strength"], bank["power"], bank["constant"], strict=True):
            quadratic = c * level ** (2 * p) * (e + differences(size))
            g.append(cropped(np.fft.ifft2(spectrum / (np.abs(k) ** 2 + quadratic)).real, (0, 0), domain))
        inputs = {
            "picture": x,
            "data": np.concatenate(g),
            "unseen": 1 - adjoint(np.ones((1, *frame))),
            "memory": memory,
        }
        inputs = {name: z[None].astype(np.float32) for name, z in inputs.items()}
        inputs |= {"level": np.float32([level]), "step": np.array([step]), "inexact": np.float32([0])}
        wanted = {each.name for each in session.get_inputs()}
        x, memory = (z[0] for z in session.run(None, {n: z for n, z in inputs.items() if n in wanted}))
    return cropped(x, radius, frame)


if __name__ == "__main__":
    model, blurred, psf, noise, target = sys.argv[1:]
    light = np.moveaxis(np.asarray(Image.open(blurred).convert("RGB")) / 255, -1, 0)
    taps = np.asarray(Image.open(psf).convert("L"), float)
    sharp = acute(onnxruntime.InferenceSession(model), light, taps / taps.sum(), float(noise))
    Image.fromarray(np.uint8(np.moveaxis(sharp, 0, -1).clip(0, 1) * 255 + 0.5)).save(target)
