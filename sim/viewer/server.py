"""The viewer's server: the page, the list of runs, manifests, sections, messages, and what a run in progress adds.

| path | gives |
| --- | --- |
| `/`, `/viewer.js`, `/viewer.css` | the built page |
| `api/runs` | one line for each run |
| `api/run/<id>/manifest` | the run's manifest |
| `api/run/<id>/section/<key>` | deflated columns of one section; what it is in the header `icv-section` |
| `api/run/<id>/bytes/<block>/<row>`, `api/run/<id>/message?block=&row=` | wire bytes of one message |
| `api/run/<id>/live`, `api/live` | WebSocket: parts of the manifest that are new, as JSON text, until `done` |

Only GET; ids, keys and numbers are looked up, never joined to a path. Reading a log is done in threads.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Collection
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from protocols.errors import ConfigError, IcvError
from protocols.sentence import phrase
from sim.report import wording
from sim.report.html import STATIC, Page
from sim.report.pack.meta import as_json
from sim.viewer.guard import Guard
from sim.viewer.opened import OpenRun
from sim.viewer.shelf import Shelf

LIVE_STEP_S = 0.5  # how often a run in progress is looked at
MAX_WATCHERS = 32  # pages that follow runs in progress
_FIXED = ("roads", "rsus", "descriptor", "versions")  # what does not change while a run goes on
CHINESE_HEADER = "icv-chinese"
SECTION_HEADER = "icv-section"  # what a section is, as JSON: a page may ask before it hears that the run has grown
_LOOKS = 5
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "viewer.css": "text/css; charset=utf-8",
}


def make_app(shelf: Shelf, names: Collection[str] = (), static: Path = STATIC) -> Starlette:
    """The server's application."""
    files = _Files(static)
    watchers = asyncio.Semaphore(MAX_WATCHERS)

    def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        return files.answer(name, request.headers.get("if-none-match"))

    def runs(_: Request) -> Response:
        return JSONResponse(shelf.lines())

    def manifest(request: Request) -> Response:
        run = shelf.open(request.path_params["id"])
        if run is None:
            return _no(phrase("no such run"))
        text = as_json(run.manifest).encode("utf-8", "replace")
        return Response(text, media_type="application/json")

    def section(request: Request) -> Response:
        run = shelf.open(request.path_params["id"])
        found = None if run is None else _described(run, request.path_params["key"])
        if found is None:
            return _no(phrase("no such section"))
        data, entry = found
        headers = {} if entry is None else {SECTION_HEADER: json.dumps(entry)}
        return Response(data, media_type="application/octet-stream", headers=headers)

    def message(request: Request) -> Response:
        where = {**request.query_params, **request.path_params}
        try:
            block, row = (int(str(where[name])[:12]) for name in ("block", "row"))
        except (KeyError, ValueError):
            return _said(phrase("expected block and row, two numbers"), 400)
        run = shelf.open(where["id"])
        data = None if run is None else run.message(block, row)
        if data is None:
            return _no(phrase("no such message, or the log does not hold it"))
        return _bytes(data)

    async def live(channel: WebSocket) -> None:
        ident = channel.path_params.get("id") or await run_in_threadpool(shelf.live_id)
        run = await run_in_threadpool(_opened, shelf, ident)
        if run is None or watchers.locked():
            await channel.close(1013 if run is not None else 1008)
            return
        async with watchers:
            await channel.accept()
            await _follow(channel, run)

    async def failed(_: Request, error: Exception) -> Response:
        return _said(f"{error}", 422)

    return Starlette(
        routes=[
            Route("/", file),
            Route("/{name}", file),
            Route("/api/runs", runs),
            Route("/api/run/{id}/manifest", manifest),
            Route("/api/run/{id}/section/{key:path}", section),
            Route("/api/run/{id}/bytes/{block}/{row}", message),
            Route("/api/run/{id}/message", message),
            WebSocketRoute("/api/run/{id}/live", live),
            WebSocketRoute("/api/live", live),
        ],
        middleware=[Middleware(Guard, names=names)],
        exception_handlers={IcvError: failed},
    )


def _no(what: str) -> Response:
    return _said(what, 404)


def _said(what: str, status: int) -> Response:
    """An answer in words; in Chinese too, in a header, percent-encoded."""
    found = wording.chinese(what)
    headers = {} if found is None else {CHINESE_HEADER: quote(found, errors="replace")}
    return PlainTextResponse(f"{what}\n", status, headers)


def _bytes(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream")


def _described(run: OpenRun, key: str) -> tuple[bytes, dict[str, Any] | None] | None:
    """A section with its entry of the manifest that it was made under; no entry when the run grew each time we looked."""
    data = None
    for _ in range(_LOOKS):
        known = run.manifest  # replaced, never changed, when the run grows
        data = run.section(key)
        if run.manifest is known:
            return None if data is None else (data, known["sections"][key])
    return None if data is None else (data, None)


class _Files:
    """The built page. Read again when a file has changed, so that a build needs no restart; a browser that has a file keeps it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._page = Page.load(folder)
        self._stamps = self._look()

    def answer(self, name: str, known: str | None) -> Response:
        """One file; 304 when `known` (If-None-Match) names what we have."""
        if name not in _TYPES:
            return _no("no page")
        stamps = self._look()
        if stamps != self._stamps:
            try:
                self._page = Page.load(self._folder)
                self._stamps = stamps
            except IcvError:
                pass  # in the middle of a build: the last whole page still serves
        page = self._page
        text = {"index.html": page.html, "viewer.js": page.script, "viewer.css": page.style}[name]
        data = text.encode()
        tag = f'"{blake2b(data, digest_size=12).hexdigest()}"'
        headers = {"etag": tag}
        if known is not None and tag in (part.strip() for part in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=_TYPES[name], headers=headers)

    def _look(self) -> list[tuple[int, int]]:
        """When each file was written, and its size; (0, 0) for one that is not there."""
        out = []
        for name in _TYPES:
            try:
                stat = (self._folder / name).stat()
                out.append((stat.st_mtime_ns, stat.st_size))
            except OSError:
                out.append((0, 0))
        return out


def _opened(shelf: Shelf, ident: str | None) -> OpenRun | None:
    try:
        return None if ident is None else shelf.open(ident)
    except IcvError:
        return None


async def _follow(channel: WebSocket, run: OpenRun) -> None:
    """Sends what a run in progress adds, until it has ended or nobody listens."""
    gone = asyncio.create_task(_until_gone(channel))
    sent: dict[str, Any] = {"meta": {}, "sections": {}}
    try:
        while not gone.done():
            began = time.monotonic()
            await run_in_threadpool(run.refresh)
            found = run.manifest
            growth = _growth(sent, found)
            if growth is not None:
                is_done = not found["meta"]["live"]
                await channel.send_text(json.dumps(growth | {"done": is_done}, allow_nan=False))
                sent = found
                if is_done:
                    break
            # A long run takes longer to look at: then it is looked at less often.
            pause = max(LIVE_STEP_S, 3.0 * (time.monotonic() - began))
            await asyncio.wait({gone}, timeout=pause)
        if not gone.done():
            await channel.close()
    except WebSocketDisconnect:
        pass
    finally:
        gone.cancel()


async def _until_gone(channel: WebSocket) -> None:
    """Returns when the other side has closed; what it says is not read."""
    while (await channel.receive())["type"] != "websocket.disconnect":
        pass


def _growth(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """What of a manifest is new; None for nothing."""
    if old is new:
        return None
    known = old["meta"]
    changed = {
        key: value
        for key, value in new["meta"].items()
        if key not in known or (key not in _FIXED and known[key] != value)
    }
    sections = {
        key: entry for key, entry in new["sections"].items() if old["sections"].get(key) != entry
    }
    return {"meta": changed, "sections": sections, "tables": new["tables"]}


# -- serving ---------------------------------------------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}. Give another --port (0: any free one)."
        ) from error


def make_server(app: Starlette) -> uvicorn.Server:
    """A server for the application, with limits; `run(sockets=[...])` serves until it is told to stop."""
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", ws="websockets-sansio", http="h11", ws_max_size=1024,
        limit_concurrency=128, h11_max_incomplete_event_size=16 * 1024, server_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)
