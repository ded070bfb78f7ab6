"""How fast the viewer's page is in a real browser: open until drawn, seek until drawn, frames while it plays.

The browser is Debian's chromium without a window and without a GPU, driven by Playwright, which the checks install. "Drawn" is the
first animation frame after one in which everything the picture needs was there: what was drawn has gone to the screen by then.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SEEKS = 60
PLAY_S = 5.0
_FRAME = "const frame = () => new Promise(resolve => requestAnimationFrame(resolve));"


@dataclass(frozen=True, slots=True)
class PageTimes:
    """What a page took, in ms."""

    seek_ms: list[float]  # to moments anywhere in the run
    frame_ms: list[float]  # between frames while it plays
    script_ms: list[float]  # of it in the page's own code


def missing() -> str | None:
    """Why the browser cannot be had here; None when it can."""
    if shutil.which(CHROMIUM) is None:
        return f"{CHROMIUM} is not installed"
    return None if find_spec("playwright") else "playwright is not installed"


@contextmanager
def chromium() -> Iterator[Any]:
    """A page of a fresh browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser.new_page(viewport={"width": 1440, "height": 900})
        finally:
            browser.close()


def open_s(page: Any, report: Path) -> float:
    """Seconds from the address to the first whole picture."""
    start = time.perf_counter()
    page.goto(report.resolve().as_uri())
    page.evaluate(
        f"async () => {{ {_FRAME} await icv.ready; while (!icv.app.frame.complete) await frame(); await frame(); }}"
    )
    return time.perf_counter() - start


def times(page: Any, seeks: int = SEEKS, play_s: float = PLAY_S) -> PageTimes:
    """Measures an open page: `seeks` jumps spread over the run out of order, then playing from its middle."""
    seek_ms = page.evaluate(
        f"""async seeks => {{
          {_FRAME}
          const {{ app }} = icv;
          app.play(false);
          const out = [];
          for (let k = 1; k <= seeks; k++) {{
            const moment = Math.round(app.durationMs * ((k * 0.6180339887) % 1));
            const start = performance.now();
            app.seek(moment);
            do await frame(); while (!(app.frame.complete && app.frame.timeMs === app.timeMs));
            await frame();
            out.push(performance.now() - start);
          }}
          return out;
        }}""",
        seeks,
    )
    gaps, scripts = page.evaluate(
        f"""async seconds => {{
          {_FRAME}
          const {{ app }} = icv;
          app.seek(Math.max(0, app.durationMs / 2 - seconds * 500));
          app.play(true);
          for (let k = 0; k < 20; k++) await frame();
          const gaps = [], scripts = [];
          const start = performance.now();
          for (let last = start; last - start < seconds * 1000 && app.playing; ) {{
            await frame();
            const now = performance.now();
            gaps.push(now - last);
            scripts.push(app.frame.script);
            last = now;
          }}
          app.play(false);
          return [gaps, scripts];
        }}""",
        play_s,
    )
    return PageTimes(seek_ms, gaps, scripts)
