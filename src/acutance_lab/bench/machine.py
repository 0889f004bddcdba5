"""What a measurement ran on: hardware, revision of the source, peak of memory."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
ROOT = Path(__file__).resolve().parents[3]


def hardware(device: torch.device) -> str:
    """The device in words: "CPU NAME, 2 threads" or the name of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return str(device)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def instructions() -> str:
    """The instructions of the processor that matter for bfloat16, and the version of torch."""
    flags = {"AMX": torch.cpu._is_amx_tile_supported(), "AVX-512 BF16": torch.cpu._is_avx512_bf16_supported()}
    has = " and ".join(name for name, there in flags.items() if there) or "neither AMX nor AVX-512 BF16"
    return f"{has}, torch {torch.__version__}"


@cache
def revision() -> str:
    """Short hash of the checkout that this file lies in ("-dirty" if changed), else the version of the package."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            found = ""
        if found:
            return found
    try:
        return metadata.version("acutance")
    except metadata.PackageNotFoundError:
        return "unknown"


def watch_memory(device: torch.device) -> Callable[[], float | None]:
    """Start anew the high-water mark of memory; the function returned reads it, in 10^6 bytes.

    On a GPU that of tensors there; on the CPU that of the resident memory of the process, which only Linux lets one
    start anew: None elsewhere.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: torch.cuda.max_memory_allocated(device) / 1e6
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return lambda: None
    return _resident_peak


def since_start() -> float | None:
    """Peak of this process in 10^6 bytes since its start; None on Windows, which has no such count."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts bytes, others kilobytes
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _resident_peak() -> float | None:
    for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


@cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
