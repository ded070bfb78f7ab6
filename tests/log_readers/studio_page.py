"""Foxglove Studio in a real browser, showing one log: its own code and files, served from this machine with the log beside them."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Playwright, sync_playwright

from sim.bench.browser import CHROMIUM
from tests.support.browser import PATIENCE_MS, require_browser

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_SOFTWARE_GL = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # fmt: skip
LOGS = "/logs/"


@contextmanager
def launched_with_gl() -> Iterator[Browser]:
    """Debian's chromium without a window, drawing in three dimensions on the processor."""
    require_browser()
    playwright: Playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_SOFTWARE_GL))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(page: Path, logs: Path) -> Iterator[str]:
    """Address of a folder, and below `LOGS` another; parts of files as HTTP ranges, which the log's reader asks for."""
    handler = partial(_Handler, directory=str(page), logs=logs)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, logs: Path, **options: Any) -> None:
        self._logs = logs
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        if not self.path.startswith(LOGS):
            super().do_GET()
            return
        data = (self._logs / Path(self.path).name).read_bytes()
        part = _RANGE.fullmatch(self.headers.get("Range", ""))
        first = int(part[1]) if part else 0
        last = min(int(part[2]), len(data) - 1) if part and part[2] else len(data) - 1
        self.send_response(206 if part else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        if part:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        try:
            self.wfile.write(data[first : last + 1])
        except ConnectionError:
            self.close_connection = True  # the reader has what it wanted

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class StudioPage:
    """One log at one moment, seen from straight above `middle` (x, y of the world) with `height_m` metres from top to bottom."""

    def __init__(
        self, browser: Browser, address: str, log: str, at: str, middle: tuple[float, float], height_m: float
    ) -> None:  # fmt: skip
        self._middle, self._height_m, self._address = middle, height_m, address
        self._context = browser.new_context(viewport={"width": 1500, "height": 900}, locale="en-US")
        self.page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.add_init_script(f"window.icvLayout = {json.dumps(_layout(middle, height_m))};")
        source = quote(f"{address}{LOGS}{log}", safe="")
        self.page.goto(f"{address}/page.html?ds=remote-file&ds.url={source}&time={at}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self._address, "data:", "blob:")):
            self.wrong.append(f"asked for {url}")

    def text(self) -> str:
        """All text to be seen."""
        return self.page.inner_text("body")

    def scene(self) -> NDArray[np.int64]:
        """The picture of the scene: (rows, columns, 3), red, green, blue."""
        canvas, box = self.page.locator("canvas").first, None
        while box is None:  # it is made anew now and then
            canvas.wait_for()
            box = canvas.bounding_box()
        picture = Image.open(io.BytesIO(self.page.screenshot(clip=box))).convert("RGB")  # type: ignore[arg-type]
        return np.asarray(picture).astype(np.int64)

    def world_of(self, picture: NDArray[np.int64], found: NDArray[np.bool_]) -> NDArray[np.float64]:
        """World x, y (N, 2) of the pixels that are marked."""
        rows, columns = np.nonzero(found)
        metre = self._height_m / picture.shape[0]
        x = self._middle[0] + (columns + 0.5 - picture.shape[1] / 2) * metre
        y = self._middle[1] - (rows + 0.5 - picture.shape[0] / 2) * metre
        return np.stack([x, y], axis=1)

    def close(self, *expected: str) -> None:
        """Ends it; nothing went wrong but what is `expected`, and nothing was asked of anybody else."""
        self._context.close()
        wrong = [said for said in self.wrong if not any(part in said for part in expected)]
        assert wrong == [], wrong


def _layout(middle: tuple[float, float], height_m: float) -> dict[str, Any]:
    """Scene, message and problems, in the application's own form."""
    camera = {
        "perspective": False, "distance": height_m, "phi": 0, "thetaOffset": 0, "targetOffset": [*middle, 0], "fovy": 45,
        "target": [0, 0, 0], "targetOrientation": [0, 0, 0, 1], "near": 0.5, "far": 5000,
    }  # fmt: skip
    scene = {
        "topics": {topic: {"visible": True} for topic in ("foxglove/scene", "foxglove/road")},
        "scene": {"transforms": {"axisScale": 0, "lineWidth": 0, "showLabel": False}},
        "followTf": "map", "followMode": "follow-none", "cameraState": camera,
    }  # fmt: skip
    return {
        "configById": {
            "3D!scene": scene,
            "RawMessages!scene": {"topicPath": "foxglove/scene.entities[0]"},
            "RawMessages!own": {"topicPath": "v2x/spat"},
        },
        "globalVariables": {},
        "userNodes": {},
        "playbackConfig": {"speed": 1},
        "layout": {
            "first": "3D!scene",
            "second": {"first": "RawMessages!scene", "second": "RawMessages!own", "direction": "column", "splitPercentage": 50},
            "direction": "row",
            "splitPercentage": 70,
        },
    }  # fmt: skip
