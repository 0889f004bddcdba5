"""`acutance serve` as a program."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest


def test_it_says_where_it_is_and_ends_when_told() -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    arguments = ["serve", "--port", "0", "--no-browser", "--workers", "1", "--device", "cpu", "--token", "secret"]
    program = subprocess.Popen([sys.executable, "-m", "acutance", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert program.stderr is not None
        address = re.match(r"http://127\.0\.0\.1:\d+/(?=#token=secret )", program.stderr.readline())
        assert address is not None
        with urllib.request.urlopen(address[0] + "health", timeout=20) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address[0] + "metrics", timeout=20)
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=90)
        # uvicorn hands the signal on when everything is done
        assert program.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    finally:
        program.kill()


def test_without_its_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None; from acutance.cli.app import main; sys.argv[1:] = ['serve']; main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "pip install 'acutance[serve]'" in run.stderr
