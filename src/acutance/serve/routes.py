"""The addresses of the service."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from acutance.serve import jobs
from acutance.serve.forms import Fields, Files, Only, Picture, suffix
from acutance.serve.guard import Refused
from acutance.serve.header import declared_size
from acutance.serve.jobs import Job, Store
from acutance.serve.metrics import Metrics
from acutance.serve.orders import Failed, Kind, Order, Task
from acutance.serve.pool import Pool
from acutance.serve.worker import resident

MOST_KERNEL_BYTES = 50_000_000
STILL_HERE = 15.0
"""Seconds between two signs of life where nothing happens to a job."""
STATUS: dict[Kind, int] = {
    "request": 400, "input": 422, "memory": 500, "crash": 500, "bug": 500, "deadline": 503, "cancelled": 503,
    "closing": 503,
}  # fmt: skip
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGE = {
    file.name: KINDS[Path(file.name).suffix]
    for file in (files("acutance.serve") / "page").iterdir()
    if Path(file.name).suffix in KINDS
}
"""The files of the page and their kinds."""
PICTURES = {f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("png", "jpeg", "tiff")}
TOLD: dict[int | str, dict[str, Any]] = {
    400: {"description": "A field is wrong; `error` says which and what to give instead."},
    408: {"description": "The picture came too slowly."},
    413: {"description": "Too many bytes or pixels."},
    422: {"description": "The picture, the kernel or the mask cannot be used; `error` says why."},
    429: {"description": "The queue is full; `Retry-After` says for how long."},
    500: {"description": "This picture could not be restored (crash or memory); others are not affected."},
    503: {"description": "Out of time, or the service is ending."},
}
ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture in the format of its source, the report in the header `Acutance-Report`; or, with "
        "`Accept: application/json`, the report and links.",
        "content": PICTURES,
    },
    **TOLD,
}

router = APIRouter()


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


async def _accept(
    request: Request,
    task: Task,
    image: Picture,
    fields: Fields,
    sent: Files,
    *,
    show: bool = False,
    attended: bool = False,
) -> Job:
    """Put the files into a private folder and the order into the queue.

    Raises:
        Refused, Full, Failed, ConfigError.
    """
    store, limits = _store(request), _pool(request).settings.limits
    options, folder = fields.options(), store.folder()
    try:
        names = {}
        for what, file in (("picture", image), ("mask", sent.mask), ("only", sent.only)):
            if file is not None and file.filename:
                names[what] = f"{what}{suffix(file.filename)}"
                await _keep_picture(file, folder / names[what], limits.max_pixels)
        kernel = sent.kernel
        if kernel is not None and kernel.filename:
            if (kernel.size or 0) > MOST_KERNEL_BYTES:
                raise Refused(413, f"a kernel of more than {MOST_KERNEL_BYTES / 1e6:g} MB; is it the right file?")
            names["kernel"] = f"kernel{suffix(kernel.filename)}"
            await asyncio.to_thread(_save, kernel.file, folder / names["kernel"])
        theirs = (("picture", image), ("mask", sent.mask), ("kernel", kernel))
        called = tuple((what, file.filename) for what, file in theirs if file is not None and file.filename)
        order = Order(task, folder, **names, options=options, show=show, max_pixels=limits.max_pixels, names=called)
        return store.add(order, attended=attended)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _keep_picture(sent: UploadFile, target: Path, most: int) -> None:
    """Save a picture, or refuse one with more than `most` pixels before it is decoded."""
    await asyncio.to_thread(_save, sent.file, target)
    size = await asyncio.to_thread(declared_size, target)
    if size is not None and size[0] * size[1] > most:
        raise Refused(413, _too_many_pixels(*size, most))


def _save(source: Any, target: Path) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _too_many_pixels(width: int, height: int, most: int) -> str:
    return f"{width} x {height} pixels are more than the limit of {most / 1e6:g} megapixels; scale it down or cut it"


async def _finished(request: Request, job: Job) -> None:
    """Wait for the job; stop it where the client goes away.

    Raises:
        Failed: as the job did.
    """
    gone = asyncio.ensure_future(_disconnected(request))
    ended = asyncio.ensure_future(job.ended.wait())
    try:
        await asyncio.wait({gone, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        ended.cancel()
        if not job.ended.is_set() or job.failure is not None:
            _store(request).remove(job)
    if not job.ended.is_set():
        raise Failed("cancelled", "cancelled")
    if job.failure is not None:
        raise job.failure


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(request: Request, job: Job, entry: str) -> Response:
    """A file of the finished job, or its report and links where these are asked for."""
    await _finished(request, job)
    assert job.report is not None
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(job.description())
    report = json.dumps(jobs.public(job.report))
    done = BackgroundTask(_store(request).remove, job)
    return _file(job, entry, {"Acutance-Report": report}, done)


def _file(job: Job, entry: str, headers: dict[str, str] | None = None, done: BackgroundTask | None = None) -> Response:
    if job.report is None or entry not in job.report:
        raise Refused(404, "there is no such file")
    name = job.report[entry]
    return FileResponse(job.order.folder / name, filename=name, headers=headers, background=done)


@router.post("/v1/restore", response_class=FileResponse, responses=ANSWER, tags=["pictures"])
async def restore(
    request: Request,
    image: Picture,
    fields: Annotated[Fields, Depends()],
    sent: Annotated[Files, Depends()],
) -> Response:
    """Remove the blur of a picture. Without a kernel it is estimated from the picture."""
    job = await _accept(request, "restore", image, fields, sent)
    return await _answer(request, job, "picture")


@router.post("/v1/denoise", response_class=FileResponse, responses=ANSWER, tags=["pictures"])
async def denoise(
    request: Request, image: Picture, fields: Annotated[Fields, Depends()], only: Only = None
) -> Response:
    """Remove the noise of a picture; its level need not be known."""
    return await _answer(request, await _accept(request, "denoise", image, fields, Files(only=only)), "picture")


@router.post("/v1/derain", response_class=FileResponse, responses=ANSWER, tags=["pictures"])
async def derain(request: Request, image: Picture, fields: Annotated[Fields, Depends()], only: Only = None) -> Response:
    """Remove streaks of rain from a picture."""
    return await _answer(request, await _accept(request, "derain", image, fields, Files(only=only)), "picture")


@router.post("/v1/kernel", response_class=FileResponse, responses=ANSWER, tags=["pictures"])
async def kernel(request: Request, image: Picture, fields: Annotated[Fields, Depends()]) -> Response:
    """Estimate the blur kernel: a PNG for the eye; exactly, as .npy, with `Accept: application/octet-stream`."""
    exact = "application/octet-stream" in request.headers.get("accept", "")
    job = await _accept(request, "kernel", image, fields, Files())
    return await _answer(request, job, "kernel" if exact else "kernel_picture")


@router.post("/v1/jobs", status_code=202, responses=TOLD, tags=["jobs"])
async def create_job(
    request: Request,
    image: Picture,
    fields: Annotated[Fields, Depends()],
    sent: Annotated[Files, Depends()],
    task: Annotated[Task, Form(description="What to do.")] = "restore",
    show: Annotated[bool, Form(description="Also make PNGs that browsers show.")] = False,
    attended: Annotated[bool, Form(description="Stop when nobody listens to the events for ten seconds.")] = False,
) -> dict[str, Any]:
    """Queue a picture and answer at once. The result is kept for a while."""
    job = await _accept(request, task, image, fields, sent, show=show, attended=attended)
    return job.description() | {"events": f"/v1/jobs/{job.id}/events"}


def _job(request: Request, id: str) -> Job:
    job = _store(request).get(id)
    if job is None:
        raise Refused(404, "there is no such job; results are kept for a while only")
    return job


FoundJob = Annotated[Job, Depends(_job)]


@router.get("/v1/jobs/{id}", tags=["jobs"])
async def job_state(job: FoundJob) -> dict[str, Any]:
    """How far a job is; its report and links when it is done."""
    return job.description()


@router.delete("/v1/jobs/{id}", status_code=204, tags=["jobs"])
async def cancel_job(request: Request, job: FoundJob) -> None:
    """Stop a job and forget its files."""
    _store(request).remove(job)


@router.get("/v1/jobs/{id}/events", tags=["jobs"], response_class=StreamingResponse)
async def job_events(request: Request, job: FoundJob) -> Response:
    """Progress as server-sent events: the state of the job, whenever it changes, until it has ended."""
    return StreamingResponse(_events(_store(request), job), media_type="text/event-stream")


async def _events(store: Store, job: Job) -> AsyncIterator[str]:
    with store.listening(job):
        while True:
            changed, ended = job.changed, job.ended.is_set()  # both before the state that is sent: it may end meanwhile
            yield f"data: {json.dumps(job.description())}\n\n"
            if ended:
                return
            waiting = True
            while waiting:
                try:
                    await asyncio.wait_for(changed.wait(), STILL_HERE)
                    waiting = False
                except TimeoutError:
                    if store.pool.closing:
                        return
                    yield ": still here\n\n"


@router.get("/v1/jobs/{id}/{file}", tags=["jobs"], response_class=FileResponse)
async def job_file(job: FoundJob, file: str) -> Response:
    """A file of a finished job, see its links."""
    entry = next((key for key, name in jobs.FILES.items() if name == file), "")
    return _file(job, entry)


@router.get("/v1/methods", tags=["service"])
async def methods(request: Request) -> list[dict[str, Any]]:
    """The methods of this service: name, task, whether a kernel is needed, qualities."""
    about = _pool(request).about
    if not about:
        raise Refused(503, "the service is starting; try again in a moment", {"retry-after": "5"})
    listed: list[dict[str, Any]] = about["methods"]
    return listed


@router.get("/health", tags=["service"])
async def health() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.get("/ready", tags=["service"], responses={503: {"description": "No worker is up, or it is ending."}})
async def ready(request: Request) -> dict[str, int | str]:
    """At least one worker is up."""
    pool = _pool(request)
    if pool.closing or not pool.ready:
        raise Refused(503, "ending" if pool.closing else "starting", {"retry-after": "5"})
    counts = {"workers": pool.ready, "running": pool.running, "queued": pool.queued}
    return counts | {"version": pool.settings.version}


@router.get("/metrics", tags=["service"])
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    pool, counted = _pool(request), request.app.state.metrics
    assert isinstance(counted, Metrics)
    gauges: dict[str, tuple[str, float]] = {
        "workers_ready": ("Workers that are up.", pool.ready),
        "workers_replaced_total": ("Workers that died or were stopped.", pool.restarts),
        "running": ("Pictures that are being restored.", pool.running),
        "queued": ("Pictures that wait.", pool.queued),
        "jobs_kept": ("Jobs that are running, waiting or kept.", _store(request).kept),
        "workers_resident_bytes": ("Memory of all workers.", sum(map(resident, pool.pids()))),
    }
    return Response(counted.text(gauges), media_type="text/plain; version=0.0.4")


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return page_file("index.html")


@router.get("/page/{name}", include_in_schema=False)
def page_file(name: str) -> Response:
    """A file of the page."""
    if name not in PAGE:
        raise Refused(404, "there is no such page")
    content = (files("acutance.serve") / "page" / name).read_bytes()
    return Response(content, media_type=PAGE[name])
