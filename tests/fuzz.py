# ruff: noqa: T201
"""Damaged files through the real command: a result or a refusal, and nothing else.

    make fuzz
    python tests/fuzz.py --count 200 --seed 7 --only png tiff
    python tests/fuzz.py --keep /tmp/bad             keep the files that fail

Every file goes through `acutance restore` in a process of its own, forked from one that has everything loaded, with one
gigabyte more address space than that one and thirty seconds to live. It has to end with exit code 0, 1 or 2, without a
traceback, a signal or a hang, and leave nothing behind but a result that can be read. Equal seeds make equal files.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is loaded: a forked process must not inherit threads
os.environ.setdefault("COLUMNS", "200")
os.environ.pop("ACUTANCE_DEBUG", None)

import torch
from fuzz_damage import Format, damaged, formats

from acutance.cli import main as acutance
from acutance.images import read_image

MEMORY = 1 << 30
"""Bytes of address space that a file may cost."""

SECONDS = 30


@dataclass
class Tally:
    """What became of the files of one format."""

    ok: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def files(self) -> int:
        return self.ok + self.refused + len(self.failures)


@dataclass(frozen=True)
class Running:
    """A process that has a file."""

    format: str
    label: str
    folder: Path
    before: frozenset[str]
    begun: float


def lay_out(each: Format, data: bytes, folder: Path, intact: dict[str, Format]) -> list[str]:
    """Put the damaged file and intact others into `folder`; the arguments of the command."""
    files = {"p.png": intact["png 8"].content, "k.npy": intact["kernel npy"].content}
    files |= {"w.safetensors": intact["weights"].content, "w.json": intact["weights card"].content}
    names = {"picture": "p.png", "kernel": "k.npy", "weights": "w.safetensors", "mask": ""}
    if each.role == "picture":
        files.pop("p.png")
    if each.file == "w.json":
        names["weights"] = "w.safetensors"
    else:
        names[each.role] = each.file
    files[each.file] = data
    for name, content in files.items():
        (folder / name).write_bytes(content)
    options = ["--max-megapixels", "1", "--device", "cpu"]
    picture, psf, weights, mask = (str(folder / names[role]) for role in ("picture", "kernel", "weights", "mask"))
    if names["mask"]:
        return ["restore", picture, "--kernel", psf, "--mask", mask, "--method", "tv:steps=1", *options]
    options += ["--method", "rgdn", "--steps", "1", "--precision", "float32"]
    return ["restore", picture, "--kernel", psf, "--weights", weights, *options]


def start(arguments: list[str], folder: Path, limit: int) -> int:
    """Fork; the child runs the command as the program does, and its process id comes back."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(folder)
        for descriptor, name in ((1, ".out"), (2, ".err")):
            file = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(file, descriptor)
        sys.argv = ["acutance", *arguments]
        try:
            acutance()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # what nobody caught ends a program with a traceback
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def verdict(running: Running, status: int) -> tuple[str, str]:
    """("ok" | "refused" | "failure", why)."""
    error = (running.folder / ".err").read_text(errors="replace") if (running.folder / ".err").exists() else ""
    left = sorted({p.name for p in running.folder.iterdir()} - running.before - {".out", ".err"})
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = "hang" if number == signal.SIGALRM else signal.Signals(number).name
        return "failure", f"{name} after {time.monotonic() - running.begun:.1f} s"
    code = os.waitstatus_to_exitcode(status)
    if "Traceback" in error or code not in (0, 1, 2):
        last = next((line for line in reversed(error.splitlines()) if line.strip()), "")
        return "failure", f"exit code {code}: {last[:160]}"
    if code:
        if left:
            return "failure", f"exit code {code}, but left behind: {', '.join(left)}"
        return ("refused", "") if error.strip() else ("failure", f"exit code {code} without a word")
    results = [name for name in left if "-restored" in name]
    if left != results or len(results) != 1:
        return "failure", f"exit code 0, files: {', '.join(left) or 'none'}"
    try:
        made = read_image(running.folder / results[0]).pixels
        missing = torch.zeros_like(made, dtype=torch.bool)
        if Path(results[0]).suffix == ".fits":  # a missing sample of a FITS image stays one
            missing = read_image(running.folder / "p.fits").pixels.isnan()
    except Exception as problem:
        return "failure", f"the result cannot be read: {problem}"
    return ("ok", "") if bool((made.isfinite() | missing).all()) else ("failure", "the result is not finite")


def fuzz(
    chosen: list[Format], intact: dict[str, Format], *, count: int, seed: int, jobs: int, keep: Path | None
) -> dict[str, Tally]:
    """Send all files through the command, `jobs` at a time."""
    tallies = {each.name: Tally() for each in chosen}
    work = ((each, label, data) for each in chosen for label, data in damaged(each, count, seed))
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    running: dict[int, Running] = {}

    def collect() -> None:
        pid, status = os.wait()
        done = running.pop(pid)
        tally = tallies[done.format]
        tally.slowest = max(tally.slowest, time.monotonic() - done.begun)
        kind, why = verdict(done, status)
        if kind != "failure" and done.label == "intact" and kind != "ok":
            kind, why = "failure", "the intact file is refused"
        if kind == "ok":
            tally.ok += 1
        elif kind == "refused":
            tally.refused += 1
        else:
            tally.failures.append(f"{done.label}: {why}")
            print(f"FAILURE {done.format}, {done.label}: {why}", flush=True)
            if keep is not None:
                shutil.copytree(done.folder, keep / f"{done.format}-{done.label}".replace(" ", "-"), dirs_exist_ok=True)
        shutil.rmtree(done.folder)

    with tempfile.TemporaryDirectory(prefix="acutance-fuzz-") as root:
        for n, (each, label, data) in enumerate(work):
            folder = Path(root) / str(n)
            folder.mkdir()
            arguments = lay_out(each, data, folder, intact)
            before = frozenset(p.name for p in folder.iterdir())
            running[start(arguments, folder, limit)] = Running(each.name, label, folder, before, time.monotonic())
            while len(running) >= jobs:
                collect()
        while running:
            collect()
        stray = [p.name for p in Path(root).iterdir()]
        if stray:
            tallies[chosen[-1].name].failures.append(f"written beside their folder: {', '.join(stray)}")
    return tallies


def warm_up(intact: dict[str, Format]) -> None:
    """Run the command once in this process, so that forked ones find everything loaded."""
    with tempfile.TemporaryDirectory(prefix="acutance-fuzz-") as name:
        folder, before = Path(name), sys.argv
        sys.argv = ["acutance", *lay_out(intact["png 8"], intact["png 8"].content, folder, intact)]
        try:
            acutance()
        except SystemExit as end:
            if end.code:
                raise SystemExit("the intact files cannot be restored; nothing to damage") from None
        finally:
            sys.argv = before
    for each in intact.values():
        if each.role == "picture":
            with tempfile.NamedTemporaryFile(suffix=each.file) as file:
                Path(file.name).write_bytes(each.content)
                read_image(file.name)


def main() -> int:
    """Run, print the table, and say with the exit code whether all went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=50, help="damaged files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[], help="formats whose names contain one of these words")
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    options = parser.parse_args()
    torch.set_num_threads(1)
    intact = formats()
    chosen = [f for f in intact.values() if not options.only or any(word in f.name for word in options.only)]
    warm_up(intact)
    begun = time.monotonic()
    found = fuzz(chosen, intact, count=options.count, seed=options.seed, jobs=options.jobs, keep=options.keep)
    print("| format | files | ok | refused | failures | slowest |\n| --- | --- | --- | --- | --- | --- |")
    for name, tally in found.items():
        print(
            f"| {name} | {tally.files} | {tally.ok} | {tally.refused} | {len(tally.failures)} | {tally.slowest:.1f} s |"
        )
    total: Counter[str] = Counter()
    for tally in found.values():
        total.update(files=tally.files, ok=tally.ok, refused=tally.refused, failures=len(tally.failures))
    seconds = time.monotonic() - begun
    print(f"| | {total['files']} | {total['ok']} | {total['refused']} | {total['failures']} | all in {seconds:.0f} s |")
    for name, tally in found.items():
        for failure in tally.failures:
            print(f"- {name}, {failure}")
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
