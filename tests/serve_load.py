# ruff: noqa: T201
"""Load on a service of its own, bounded in clients and time: what it answers, how long that takes, what it holds.

    make load
    python tests/serve_load.py --clients 200 --seconds 180 --plot out/load.png

First, at once: clients that send a picture again and again and heed Retry-After; senders of one byte each half second;
a PNG that claims 60000 x 60000 pixels; and half-way the only worker is killed. Then damaged pictures, kernels and masks
of `fuzz_damage`, a few at a time, each sent until it is not refused for want of room. The exit code is 1 where an
answer is another than allowed, one is lost, a picture comes back wrong, or a file is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fuzz_damage import Format, damaged, formats

from acutance.serve.worker import resident

SEED = 20
AT_ONCE = 8
"""Damaged files that are sent at once."""


def png(width: int, height: int, content: bytes) -> bytes:
    """A PNG, grey, 8 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")


def photo(side: int) -> bytes:
    """A picture that takes a worker some tenths of a second."""
    rows = np.random.default_rng(SEED).integers(0, 255, (side, side), np.uint8)
    return png(side, side, b"".join(b"\0" + row.tobytes() for row in rows))


class Service:
    """`acutance serve` as a process. Args: folder: for its log and its temporary files. options: further ones."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        command = [sys.executable, "-m", "acutance", "serve", "--no-browser", "--port", "0", *options]
        environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        while not (said := re.findall(r"http://[0-9.]+:\d+", (folder / "log").read_text())):
            assert self.process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        self.url = said[0]
        while httpx.get(self.url + "/ready").status_code != 200:
            time.sleep(0.2)

    def workers(self) -> list[int]:
        """Process ids."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "spawn_main"], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def end(self) -> int:
        """End it as an administrator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(90)
        self.log.close()
        return code


class Load:
    """What happens to a service. Args: service: see there. sent: the picture. seconds: of the first part."""

    def __init__(self, service: Service, sent: bytes, seconds: float) -> None:
        self.service, self.sent, self.seconds = service, sent, seconds
        self.begun = time.monotonic()
        self.answers, self.slow, self.bombs, self.damaged = (
            Counter[int](),
            Counter[str](),
            Counter[int](),
            Counter[int](),
        )
        self.lost = Counter[str]()
        self.wrong: list[str] = []
        self.accepted: list[tuple[float, float]] = []  # when it was answered, how long it took
        self.memory: list[tuple[float, float, float]] = []  # when, server, workers, in MB
        self.killed: float | None = None

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.begun

    async def client(self, http: httpx.AsyncClient) -> None:
        """Send the picture until the time is over."""
        while self.now < self.seconds:
            started = self.now
            try:
                data = {"disc": "2", "method": "fd", "sigma": "1%"}
                answer = await http.post("/v1/restore", files={"image": ("p.png", self.sent)}, data=data)
            except httpx.HTTPError as error:
                self.lost[type(error).__name__] += 1
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code == 200:
                self.accepted.append((self.now, self.now - started))
                if not answer.content.startswith(b"\x89PNG"):
                    self.wrong.append("an accepted picture came back as something else")
            elif answer.status_code in (429, 503):
                await asyncio.sleep(random.uniform(0.5, 1.5) * int(answer.headers["retry-after"]))

    async def slow_sender(self) -> None:
        """Send a byte each half second; the service has to lose its patience."""
        host, port = self.service.url.removeprefix("http://").split(":")
        head = "POST /v1/restore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        while self.now < self.seconds - 20:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.encode())
            told = "no answer in 30 s"
            for _ in range(60):
                try:
                    told = (await asyncio.wait_for(reader.read(12), 0.5)).decode() or "closed"
                    break
                except TimeoutError:
                    writer.write(b"-")
                except OSError:
                    told = "reset"
                    break
            self.slow[told.removeprefix("HTTP/1.1 ")] += 1
            writer.close()

    async def bomber(self, http: httpx.AsyncClient) -> None:
        """Send a picture that would fill the memory."""
        bomb = png(60_000, 60_000, bytes(1000))
        while self.now < self.seconds:
            try:
                answer = await http.post("/v1/restore", files={"image": ("p.png", bomb)}, data={"disc": "2"})
            except httpx.HTTPError as error:
                self.lost[f"bomb: {type(error).__name__}"] += 1
                continue
            self.bombs[answer.status_code] += 1
            await asyncio.sleep(0.5 if answer.status_code == 429 else 10)

    async def watch(self) -> None:
        """Note the memory each second; kill a worker half-way."""
        while True:
            workers = await asyncio.to_thread(self.service.workers)
            held = resident(self.service.process.pid), sum(map(resident, workers))
            self.memory.append((self.now, held[0] / 1e6, held[1] / 1e6))
            if self.killed is None and self.now > self.seconds / 2 and workers:
                os.kill(workers[0], signal.SIGKILL)
                self.killed = self.now
            await asyncio.sleep(1)

    async def damage(self, http: httpx.AsyncClient, files: asyncio.Queue[tuple[Format, str, bytes]]) -> None:
        """Send damaged files until there are none left."""
        while not files.empty():
            each, what, content = files.get_nowait()
            sent = {"image": (each.file, content)}
            if each.role == "kernel":
                sent = {"image": ("p.png", photo(32)), "kernel": (each.file, content)}
            status = 429
            said = ""
            while status == 429:
                data = {"method": "fd"} if each.role == "kernel" else {"disc": "2", "method": "fd"}
                try:
                    answer = await http.post("/v1/restore", files=sent, data=data)
                    status, said = answer.status_code, answer.text[:120]
                except httpx.HTTPError as error:
                    status, said = 0, type(error).__name__
                await asyncio.sleep(0.2 * (status == 429))
            self.damaged[status] += 1
            if status not in (200, 400, 413, 422, 503):
                self.wrong.append(f"{each.name}, {what}: {status} {said}")

    async def run(self, clients: int, damages: int) -> None:
        """Both parts."""
        # no connection is used again that the service, which waits for 15 seconds, may just be closing
        limits = httpx.Limits(max_connections=clients + AT_ONCE + 1, keepalive_expiry=5)
        watching = asyncio.ensure_future(self.watch())
        async with httpx.AsyncClient(base_url=self.service.url, timeout=120, limits=limits) as http:
            everybody = [self.client(http) for _ in range(clients)]
            await asyncio.gather(*everybody, *(self.slow_sender() for _ in range(3)), self.bomber(http))
            files: asyncio.Queue[tuple[Format, str, bytes]] = asyncio.Queue()
            kinds = [each for each in formats().values() if each.role != "weights"]
            for each in kinds:
                for what, content in damaged(each, -(-damages // len(kinds)), SEED):
                    files.put_nowait((each, what, content))
            await asyncio.gather(*(self.damage(http, files) for _ in range(AT_ONCE)))
            last = await http.post("/v1/restore", files={"image": ("p.png", self.sent)}, data={"disc": "2"})
            if last.status_code != 200:
                self.wrong.append(f"afterwards: {last.status_code} {last.text[:120]}")
        watching.cancel()

    def judge(self) -> None:
        """Add what is not as it has to be to `wrong`."""
        self.wrong += [
            f"{n} answers {status}" for status, n in self.answers.items() if status not in (200, 429, 500, 503)
        ]
        if self.answers[500] > 1 or self.killed is None:
            self.wrong.append(f"{self.answers[500]} answers 500; one worker was to be killed, at {self.killed}")
        self.wrong += [f"{n} requests ended by {name}" for name, n in self.lost.items()]
        self.wrong += [f"the bomb was answered {s}" for s in self.bombs if s not in (413, 429)]
        self.wrong += [f"a slow sender: {told}" for told in self.slow if told not in ("408", "429")]

    def summary(self) -> dict[str, Any]:
        """Of what happened, in plain values."""
        took = sorted(seconds for _, seconds in self.accepted)
        return {
            "answers": dict(self.answers), "lost": dict(self.lost), "slow_senders": dict(self.slow),
            "bombs": dict(self.bombs), "damaged": dict(self.damaged), "killed_at": self.killed,
            "latency": {
                "median": statistics.median(took), "95 %": took[int(0.95 * len(took))], "most": took[-1],
            } if took else {},
            "most_memory_mb": {"server": max(m[1] for m in self.memory), "workers": max(m[2] for m in self.memory)},
            "seconds": self.now, "wrong": self.wrong,
        }  # fmt: skip

    def plot(self, path: Path, title: str) -> None:
        """Memory and latency over time."""
        from matplotlib.figure import Figure

        figure = Figure((9, 6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        times, server, workers = zip(*self.memory, strict=True)
        above.plot(times, workers, label="worker")
        above.plot(times, server, label="server")
        above.set_ylabel("resident memory, MB")
        above.set_ylim(0)
        below.plot(*zip(*self.accepted, strict=True), ".", label="accepted pictures")
        below.set_ylabel("seconds to the answer")
        below.set_xlabel("seconds")
        for axes in (above, below):
            if self.killed is not None:
                axes.axvline(self.killed, color="tab:red", linestyle="--", label="worker killed")
            axes.axvline(self.seconds, color="grey", linestyle=":", label="damaged files from here on")
            axes.legend()
        above.set_title(title)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--damaged", type=int, default=500)
    parser.add_argument("--plot", type=Path)
    parser.add_argument(
        "--serve", default="--workers 1 --queue 9 --memory 2 --deadline 60", help="options of the service"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = Service(folder, given.serve.split())
        load = Load(service, photo(256), given.seconds)
        try:
            asyncio.run(load.run(given.clients, given.damaged))
            left = list(folder.glob("acutance-serve-*/*"))
            load.wrong += [f"left behind: {path.name}" for path in left]
        finally:
            code = service.end()
        load.judge()
        load.wrong += [f"the service ended with {code}"] if code else []
        load.wrong += [f"left behind: {p.name}" for p in folder.iterdir() if p.name != "log"]
        tail = (folder / "log").read_text()
        load.wrong += ["a traceback in the log"] if "Traceback" in tail else []
        if load.wrong:
            print(tail[-3000:], file=sys.stderr)
    print(json.dumps(load.summary(), indent=1))
    if given.plot is not None:
        load.plot(given.plot, f"{given.clients} clients, one worker of one thread")
    return bool(load.wrong)


if __name__ == "__main__":
    sys.exit(main())
