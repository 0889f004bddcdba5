"""Ways to damage the bytes of any file, whatever its format."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]


def bits(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 5, 30))):
        end = len(changed) if source.random() < 0.6 else min(len(changed), 128)
        changed[source.randrange(end)] ^= 1 << source.randrange(8)
    return bytes(changed)


def truncated(data: bytes, source: random.Random) -> bytes:
    return data[: source.randrange(len(data))]


def inserted(data: bytes, source: random.Random) -> bytes:
    at, n = source.randrange(len(data)), source.choice((1, 2, 3, 4, 17, 300))
    return data[:at] + source.randbytes(n) + data[at:]


def deleted(data: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(data))
    return data[:at] + data[at + source.choice((1, 2, 3, 4, 17, 300)) :]


def header(data: bytes, source: random.Random) -> bytes:
    """One field of 1, 2, 4 or 8 bytes near the start gets an extreme value."""
    size = source.choice((1, 2, 4, 8))
    top = (1 << (8 * size)) - 1
    value = source.choice((0, 1, top, top >> 1, top - 1, (top >> 1) + 1, source.randint(0, top)))
    at = source.randrange(max(1, min(len(data) - size, source.choice((32, 128, 512)))))
    return data[:at] + value.to_bytes(size, source.choice(("little", "big"))) + data[at + size :]


def swapped(data: bytes, source: random.Random) -> bytes:
    """Two pieces of equal length change places."""
    n = max(1, min(source.choice((4, 16, 64, 256)), len(data) // 4))
    a, b = sorted(source.sample(range(0, max(2, len(data) - n)), 2))
    a, b = min(a, b - n) if b - n >= 0 else a, b
    if b < a + n:
        return data[n:] + data[:n]
    return data[:a] + data[b : b + n] + data[a + n : b] + data[a : a + n] + data[b + n :]


def noise(data: bytes, source: random.Random) -> bytes:
    """Random bytes, behind the first bytes of the file half of the time."""
    kept = source.choice((0, 4, 8, 16, 64))
    return data[:kept] + source.randbytes(source.choice((0, 1, 100, 5000)))


def zeros(data: bytes, source: random.Random) -> bytes:
    at, n = source.randrange(len(data)), source.choice((4, 16, 200))
    return data[:at] + bytes(min(n, len(data) - at)) + data[at + n :]


def repeated(data: bytes, source: random.Random) -> bytes:
    at = source.randrange(len(data))
    return data + data if source.random() < 0.3 else data[:at] + data[max(0, at - 60) :]


ANY: tuple[Damage, ...] = (bits, truncated, inserted, deleted, header, swapped, noise, zeros, repeated)
