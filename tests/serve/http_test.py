"""The HTTP interface: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import serve_workers
import torch

from acutance.images import Image, ImageInfo, read_image, write_image
from acutance.images.kernel_file import write_kernel
from acutance.psf import shapes
from acutance.serve.orders import Options, Order
from acutance.serve.pool import Ticket
from acutance.serve.settings import Access, Limits, Settings

pytest.importorskip("fastapi", reason="the extra serve is not installed")
from starlette.testclient import TestClient

from acutance.serve import pool, routes
from acutance.serve.app import create_app
from acutance.serve.forms import level
from acutance.serve.jobs import Job


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The true service with one worker."""
    limits = Limits(queue=4, max_bytes=3_000_000, max_pixels=1_000_000, deadline=60)
    app = create_app(Settings(threads=1, devices=("cpu",), preload=("fd",), limits=limits))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def toy() -> Iterator[TestClient]:
    """The same with a worker that does what the suffix of the picture's name says, a token and a rate."""
    settings = Settings(access=Access(token="secret", names=("pictures.example.org",), rate=60))
    with TestClient(create_app(settings, serve_workers.make), base_url="http://localhost") as made:
        made.headers["authorization"] = "Bearer secret"
        yield made


@pytest.fixture
def photo(tmp_path: Path, generator: torch.Generator) -> bytes:
    write_image(tmp_path / "photo.jpg", torch.rand(1, 3, 40, 56, generator=generator))
    return (tmp_path / "photo.jpg").read_bytes()


def send(client: TestClient, path: str, photo: bytes, name: str = "p.jpg", **fields: Any) -> Any:
    files = {"image": (name, photo), **fields.pop("files", {})}
    return client.post(path, files=files, data=fields.pop("data", {}), headers=fields.pop("headers", {}))


def test_a_picture_comes_back_in_its_format(client: TestClient, tmp_path: Path, generator: torch.Generator) -> None:
    info = ImageInfo(format="TIFF", bits=16, dpi=(240.0, 240.0))
    write_image(tmp_path / "in.tif", Image(torch.rand(1, 3, 30, 44, generator=generator), info=info))
    fields = {"disc": "2", "method": "fd", "sigma": "1%"}
    answer = send(client, "/v1/restore", (tmp_path / "in.tif").read_bytes(), "in.tif", data=fields)
    assert answer.status_code == 200, answer.text
    (tmp_path / "out.tif").write_bytes(answer.content)
    got = read_image(tmp_path / "out.tif")
    assert (got.info.bits, got.info.dpi, got.pixels.shape) == (16, (240.0, 240.0), (1, 3, 30, 44))
    assert json.loads(answer.headers["acutance-report"])["method"] == "fd"
    assert answer.headers["content-type"] == "image/tiff"


def test_report_and_links(client: TestClient, photo: bytes, tmp_path: Path) -> None:
    write_kernel(tmp_path / "k.npy", shapes.line(5, 0))
    kernel = {"kernel": ("k.npy", (tmp_path / "k.npy").read_bytes())}
    wanted = {"accept": "application/json"}
    answer = send(client, "/v1/restore", photo, files=kernel, data={"method": "fd"}, headers=wanted).json()
    assert answer["state"] == "done"
    assert answer["report"]["width"] == 56
    picture = client.get(answer["links"]["picture"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert client.delete(f"/v1/jobs/{answer['id']}").status_code == 204
    assert client.get(answer["links"]["picture"]).status_code == 404


@pytest.mark.parametrize(
    ("name", "side", "status", "says"),
    [
        ("mask", (40, 56), 200, ""),
        ("only", (40, 56), 200, ""),
        ("mask", (40, 57), 400, "a mask of 57 x 40"),
        ("only", (41, 56), 400, "a mask of 56 x 41"),
        ("mask", None, 422, "cannot read the mask"),
        ("only", (1001, 1001), 413, "more than the limit"),
    ],
)
def test_masks(
    client: TestClient, photo: bytes, tmp_path: Path, name: str, side: tuple[int, int] | None, status: int, says: str
) -> None:
    content = b"no picture"
    if side is not None:
        write_image(tmp_path / "m.png", (torch.arange(side[1]) < 20).float().expand(1, 1, *side))
        content = (tmp_path / "m.png").read_bytes()
    answer = send(client, "/v1/restore", photo, files={name: ("m.png", content)}, data={"disc": "2", "method": "fd"})
    assert (answer.status_code, says in answer.text) == (status, True), answer.text


ROWS = np.arange(40 * 56).reshape(40, 56) // 56 < 20
ARRAYS = {
    "bool": ROWS, "0 and 1": ROWS.astype(np.int32), "0 and 255": 255 * ROWS.astype(np.uint8), "floats": ROWS * 0.9,
    "(1, H, W)": ROWS[None],
}  # fmt: skip


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("packed", [False, True])
def test_a_mask_may_be_an_array(client: TestClient, photo: bytes, tmp_path: Path, kind: str, packed: bool) -> None:
    """As the same mask in a picture."""
    array, picture = io.BytesIO(), tmp_path / "m.png"
    (np.savez_compressed if packed else np.save)(array, ARRAYS[kind])
    write_image(picture, torch.from_numpy(ROWS).float()[None, None])
    sent = {"m.npz" if packed else "m.npy": array.getvalue(), "m.png": picture.read_bytes()}
    fields = {"disc": "2", "method": "tv", "sigma": "1%"}
    got = [
        send(client, "/v1/restore", photo, files={"mask": (name, data), "only": (name, data)}, data=fields)
        for name, data in sent.items()
    ]
    assert [answer.status_code for answer in got] == [200, 200], got[0].text
    assert got[0].content == got[1].content


@pytest.mark.parametrize(
    ("values", "cut", "status", "says"),
    [
        (np.ones((40, 57)), None, 400, "a mask of 57 x 40 for a picture of 56 x 40"),
        (np.zeros((40, 56)), None, 422, "the mask: the mask is 0 everywhere"),
        (np.ones((3, 40, 56)), None, 422, "a mask of shape (3, 40, 56); give one of (height, width)"),
        (np.ones((40, 56), complex), None, 422, "complex128"),
        (np.array([["a"]]), None, 422, "the mask: "),
        (np.ones((40, 56)), 500, 422, "do not fit into the file"),
        (np.ones((40, 56)), 20, 422, "the mask: "),
        (np.ones((1001, 1001), np.uint8), None, 413, "more than the limit"),
        (np.ones((1, 1001, 1001, 1), np.uint8), None, 413, "more than the limit"),
    ],
)
@pytest.mark.parametrize("name", ["mask", "only"])
def test_an_array_that_is_no_mask_is_refused(
    client: TestClient, photo: bytes, name: str, values: Any, cut: int | None, status: int, says: str
) -> None:
    file = io.BytesIO()
    np.save(file, values)
    sent = {name: ("m.npy", file.getvalue()[:cut])}
    answer = send(client, "/v1/restore", photo, files=sent, data={"disc": "2", "method": "tv"})
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize("arrays", [{"a": ROWS, "b": ROWS}, {"a": np.ones((1001, 1001), np.uint8)}])
def test_an_archive_that_is_no_mask_is_refused(client: TestClient, photo: bytes, arrays: dict[str, Any]) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    answer = send(client, "/v1/restore", photo, files={"mask": ("m.npz", file.getvalue())}, data={"disc": "2"})
    says = "it holds a, b" if len(arrays) > 1 else "1002001 values are more than"
    assert (answer.status_code, says in answer.json()["error"]) == (422, True), answer.text


def test_a_job_tells_its_progress(client: TestClient, photo: bytes) -> None:
    job = send(client, "/v1/jobs", photo, data={"task": "denoise", "method": "nlm", "show": "true"})
    assert job.status_code == 202
    with client.stream("GET", job.json()["events"]) as stream:
        told = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert told[-1]["state"] == "done", told[-1]
    assert client.get(told[-1]["links"]["picture"]).content[:2] == b"\xff\xd8"
    assert client.get(f"/v1/jobs/{told[-1]['id']}/before").status_code == 404
    assert client.get("/v1/jobs/unknown").status_code == 404


def test_a_search_is_told_and_stops_without_its_worker(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 20.0)  # a busy machine; a quiet one needs a tenth of a second
    picture = (Path(__file__).resolve().parents[2] / "examples" / "shaken.jpg").read_bytes()
    workers: pool.Pool = client.app.pool  # type: ignore[attr-defined]
    before, told = (workers.pids(), workers.restarts), list[dict[str, Any]]()
    job = send(client, "/v1/jobs", picture, data={"task": "restore"}).json()
    end = time.monotonic() + 60
    while time.monotonic() < end and not (told and "seconds_left" in told[-1]):
        state = client.get(f"/v1/jobs/{job['id']}").json()
        told += [state] if state.get("phase") == "kernel" else []
        time.sleep(0.02)
    assert told[-1]["seconds_left"] > 0
    assert {"part": "estimating", "steps": 100, "size": 31, "number": 1}.items() <= told[-1].items()
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    while workers.running:
        assert time.monotonic() < end + 20
        time.sleep(0.01)
    assert (workers.pids(), workers.restarts) == before


@pytest.mark.parametrize(
    ("path", "data", "status", "says"),
    [
        ("/v1/restore", {"disc": "wide"}, 400, "disc=wide: give a number"),
        ("/v1/restore", {"motion": "15"}, 400, "LENGTH,ANGLE"),
        ("/v1/restore", {"sigma": "80%"}, 400, "up to 50%"),
        ("/v1/restore", {"strength": "2"}, 400, "from 0 to 1"),
        ("/v1/restore", {"step": "0"}, 400, "step=0: give a whole number"),
        ("/v1/restore", {"iterates": "perhaps"}, 400, "iterates: "),
        ("/v1/restore", {"preview": "0,0,8"}, 400, "X,Y,WIDTH,HEIGHT"),
        ("/v1/restore", {"preview": "0,0,8,0"}, 400, "X,Y,WIDTH,HEIGHT"),
        ("/v1/restore", {"trail": "0,0,8"}, 400, "trail=0,0,8: give X,Y,WIDTH,HEIGHT"),
        ("/v1/restore", {"preview": "50,0,8,8", "disc": "2", "method": "fd"}, 400, "beyond the picture of 56 x 40"),
        ("/v1/restore", {"method": "../weights"}, 400, "/v1/methods"),
        ("/v1/restore", {"method": "telescope"}, 400, "no method 'telescope'"),
        ("/v1/restore", {"disc": "2", "gaussian": "1"}, 400, "together"),
        ("/v1/jobs", {"task": "enlarge"}, 400, "task: "),
        ("/v1/denoise", {"method": "fd"}, 400, "does not denoise"),
        ("/v1/restore", {"disc": "300", "method": "fd"}, 422, "kernel of another picture"),
    ],
)
def test_wrong_fields_are_refused_plainly(
    client: TestClient, photo: bytes, path: str, data: dict[str, str], status: int, says: str
) -> None:
    answer = send(client, path, photo, data=data)
    if path == "/v1/jobs" and answer.status_code == 202:
        answer = client.get(f"/v1/jobs/{answer.json()['id']}")
    assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(90)])
def test_what_is_no_picture_is_refused_plainly(client: TestClient, content: bytes) -> None:
    answer = send(client, "/v1/restore", content, data={"disc": "2", "method": "fd"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("cannot read the picture: ")
    assert "/tmp" not in answer.text


def test_no_picture_at_all(client: TestClient) -> None:
    answer = client.post("/v1/restore", data={"disc": "2"})
    assert (answer.status_code, answer.json()["error"]) == (400, "image: field required")
    assert client.post("/v1/restore", content=b"x", headers={"content-type": "text/plain"}).status_code == 400


def test_pixels_and_bytes_are_refused_before_decoding(client: TestClient, photo: bytes) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    answer = send(client, "/v1/restore", bomb)
    assert (answer.status_code, "60000 x 60000" in answer.text) == (413, True)
    assert send(client, "/v1/restore", bytes(3_000_001)).status_code == 413

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
        yield from (bytes(500_000) for _ in range(10))

    answer = client.post("/v1/restore", content=chunks(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert (answer.status_code, "MB" in answer.text) == (413, True)


def test_too_many_parts_are_refused(client: TestClient, photo: bytes) -> None:
    files = [("image", ("p", photo)) for _ in range(5)]
    assert client.post("/v1/restore", files=files).status_code == 400


def test_the_service_describes_itself(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json()["workers"] == 1
    names = {m["name"] for m in client.get("/v1/methods").json()}
    assert {"acute", "blind", "fd", "nlm"} <= names
    schema = client.get("/openapi.json").json()
    form = schema["components"]["schemas"]["Body_restore_v1_restore_post"]["properties"]
    options = {"motion", "disc", "gaussian", "sigma", "strength", "method", "quality", "preview", "window", "trail"}
    flags = {"candidates", "iterates", "report", "sidecar"}
    options |= {"step", *flags}
    uploads = {"image", "kernel", "mask", "only"}
    assert uploads | options == set(form)
    assert all("examples" in form[f] for f in options - flags)
    text = client.get("/metrics").text
    assert 'acutance_answers_total{route="/health",status="200"}' in text
    assert "acutance_workers_ready 1" in text


def test_report_and_side_car_are_files_of_the_job(client: TestClient, photo: bytes) -> None:
    """They are handed over as files, so that no browser opens the report as a page of the service, and go with it."""
    fields = {"disc": "2", "method": "wiener", "report": "true", "sidecar": "true"}
    wanted = {"accept": "application/json"}
    answer = send(client, "/v1/restore", photo, "<b>.jpg", data=fields, headers=wanted).json()
    links = {key: answer["links"][key] for key in ("report", "unsupported", "sidecar")}
    assert links["report"] == f"/v1/jobs/{answer['id']}/report"
    assert links["sidecar"] == f"/v1/jobs/{answer['id']}/sidecar"
    report, _, sidecar = (client.get(link) for link in links.values())
    assert report.headers["content-disposition"].startswith("attachment")
    assert "<title>&lt;b&gt;.jpg: report" in report.text
    assert sidecar.json()["input"]["name"] == "<b>.jpg"
    assert answer["report"]["trust"]["method"] == "wiener"
    assert client.delete(f"/v1/jobs/{answer['id']}").status_code == 204
    assert {client.get(link).status_code for link in links.values()} == {404}


def test_nothing_stays_behind(client: TestClient, photo: bytes) -> None:
    root = client.app.app.state.store.root  # type: ignore[attr-defined]
    assert root.stat().st_mode & 0o777 == 0o700
    before = set(root.iterdir())
    send(client, "/v1/restore", photo, data={"disc": "2", "method": "fd"})
    send(client, "/v1/restore", b"no picture", data={"disc": "2", "method": "fd"})
    assert set(root.iterdir()) <= before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "pictures.example.org"}, 200),
        ({"host": "evil.example.org"}, 421),
        ({"host": ""}, 421),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": ""}, 401),
    ],
)
def test_who_may_ask(toy: TestClient, headers: dict[str, str], status: int) -> None:
    assert toy.get("/metrics", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost"}, 200),
        ({"origin": "http://evil.example.org"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_other_pages_may_not_send(toy: TestClient, headers: dict[str, str], status: int) -> None:
    headers = {"accept": "application/json", **headers}
    assert send(toy, "/v1/restore", b"x", headers=headers).status_code == status


def test_every_answer_carries_the_policy(toy: TestClient) -> None:
    for answer in (toy.get("/"), toy.get("/absent"), toy.get("/metrics", headers={"host": "evil"})):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "access-control-allow-origin" not in answer.headers
        assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_client_has_a_rate(photo: bytes) -> None:
    app = create_app(Settings(access=Access(rate=2)), serve_workers.make)
    with TestClient(app, base_url="http://localhost") as client:
        statuses = [send(client, "/v1/jobs", photo).status_code for _ in range(3)]
        assert statuses == [202, 202, 429]
        assert send(client, "/v1/jobs", photo).headers["retry-after"].isdigit()


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("2.55/255", 0.01), ("0.01", 0.01), ("", None), ("0", 0)])
def test_levels(text: str, value: float | None) -> None:
    assert level(text) == (None if value is None else pytest.approx(value))


def test_the_last_state_is_told_of_a_job_that_ends_while_another_is_sent() -> None:
    async def told() -> list[str]:
        order = Order("look", Path(), "p.png", options=Options())
        job = Job("id", order)
        job.ticket = Ticket(order, 60, None)
        store: Any = SimpleNamespace(
            listening=lambda job: contextlib.nullcontext(), pool=SimpleNamespace(closing=False)
        )
        events = routes._events(store, job)
        first = await anext(events)
        job.ticket.finish({"noise": 0.01})
        job.settle()
        return [first, *[event async for event in events]]

    assert [json.loads(event[6:])["state"] for event in asyncio.run(told())] == ["queued", "done"]
