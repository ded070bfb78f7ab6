"""The viewer's page as a user has it: what it shows, where things are on it, and pictures of it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import PATIENCE_MS, Watched

GROUND, MOVING = 0, 1  # layers of a scene


class ViewerPage:
    """One page, from a file or from a server."""

    def __init__(self, browser: Browser, where: Path | str, screens: Path, **options: Any) -> None:
        address = where if isinstance(where, str) else where.as_uri()
        options.setdefault("viewport", {"width": 1440, "height": 900})
        self.watched = Watched(browser, address, **options)
        self.page = self.watched.page
        self.page.set_default_timeout(PATIENCE_MS)
        self._screens = screens
        self.ready()

    def ready(self) -> None:
        """Waits until the page is built and its first picture is whole."""
        self.until("window.icv?.app !== undefined")
        if self.page.evaluate("icv.app.run.id !== ''"):
            self.drawn()

    def until(self, expression: str) -> None:
        """Waits until an expression is true in the page. (Playwright's own waiting needs `eval`, which reports forbid.)"""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}\n{self.text()[:2000]}"
            self.page.wait_for_timeout(30)

    def drawn(self) -> None:
        """Waits until the picture shows the moment of the clock; the camera at rest, unless the run plays."""
        self.page.evaluate(
            """async () => {
              const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
              const { app, scenes } = icv;
              const key = () => [scenes.camera.x, scenes.camera.y, scenes.camera.scale, scenes.main.roads.isRough(scenes.camera)].join();
              for (let before = ''; ; before = key()) {
                await frame();
                if (app.frame.complete && app.frame.timeMs === app.timeMs && (app.playing || key() === before)) return;
              }
            }"""
        )

    def end(self) -> None:
        """Closes it; nothing went wrong, and nothing was asked of anybody but its own file or server."""
        parts = urlsplit(self.watched.address)
        if parts.scheme == "file":
            self.watched.close(self.watched.address.partition("#")[0], "data:", "blob:")
        else:
            here = parts.netloc
            self.watched.close(f"http://{here}/", f"ws://{here}/", "data:", "blob:")

    # -- what is seen ----------------------------------------------------------------------------------------------

    @property
    def time(self) -> Locator:
        """The clock."""
        return self.page.locator(".time-now")

    @property
    def card(self) -> Locator:
        """What is known about the selected actor."""
        return self.page.locator("aside.card")

    @property
    def seconds(self) -> float:
        """The moment that is shown, as the clock says it once the picture has followed."""
        self.drawn()
        minutes, _, seconds = self.time.inner_text().partition(":")
        return 60 * int(minutes) + float(seconds)

    def picture(self, layer: int = MOVING, scene: int = 0) -> str:
        """Digest of the pixels of a scene's layer. What moves is the same at the same moment; the ground depends on how one got there."""
        self.drawn()
        url = self.page.evaluate(
            """([scene, layer]) => document.querySelectorAll('.scene-canvas')[scene]
              .querySelectorAll('canvas')[layer].toDataURL()""",
            [scene, layer],
        )
        return hashlib.sha256(str(url).encode()).hexdigest()

    def text(self) -> str:
        """All text to be seen."""
        return str(self.page.evaluate("document.body.innerText"))

    def keep(self, name: str) -> None:
        """A picture of the page for people to look at."""
        self.page.screenshot(path=self._screens / f"{name}.png")

    # -- what is done ----------------------------------------------------------------------------------------------

    def press(self, *keys: str) -> None:
        """Keys of the page."""
        for key in keys:
            self.page.keyboard.press(key)

    def open(self, tab: str) -> Locator:
        """A tab's panel, opened."""
        self.page.locator(f"#tab-{tab}").click()
        panel = self.page.locator(f".panel-host[data-panel={tab}]")
        expect(panel).to_be_visible()
        return panel

    def scrub(self, share: float, steps: int = 1) -> None:
        """Drags the playhead to a share of the line of time; the button stays down for `steps` moves."""
        box = self.page.locator(".timeline").bounding_box()
        head = self.page.locator(".timeline-head").bounding_box()
        assert box is not None and head is not None
        y = box["y"] + 26  # below the ticks of events
        self.page.mouse.move(head["x"] + head["width"] / 2, y)
        self.page.mouse.down()
        # 10 px are kept free left and right of the line.
        self.page.mouse.move(box["x"] + 10 + (box["width"] - 20) * share, y, steps=steps)
        self.page.mouse.up()

    def place_of(self, actor: int) -> tuple[float, float] | None:
        """Where the page shows an actor's middle; None where a click there would mean something else."""
        found = self.page.evaluate(
            """id => {
              const { scenes } = icv;
              const { world, camera } = scenes.main;
              const at = world.at.get(id);
              if (at === undefined) return null;
              const actor = world.actors[at];
              const ahead = actor.length / 2 - actor.rear_overhang;
              const x = camera.sx(world.x[at] + ahead * Math.cos(world.yaw[at]));
              const y = camera.sy(world.y[at] + ahead * Math.sin(world.yaw[at]));
              const canvas = document.querySelector('.scene-canvas');
              const box = canvas.getBoundingClientRect();
              const hit = document.elementFromPoint(box.left + x, box.top + y);
              const alone = [...world.at.keys()].every(other => {
                const k = world.at.get(other);
                return other === id || Math.hypot(camera.sx(world.x[k]) - x, camera.sy(world.y[k]) - y) > 40;
              });
              return alone && canvas.contains(hit) ? [box.left + x, box.top + y] : null;
            }""",
            actor,
        )
        return None if found is None else (found[0], found[1])
