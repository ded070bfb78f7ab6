"""A real browser for tests: launched once a module or package, every page watched for what it says and what it asks for.

`launched()` belongs into a fixture of module or package scope, not of the session: while it lives, Playwright's event loop runs in
this thread, and tests of something else may want one of their own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sim.bench.browser import ARGUMENTS, CHROMIUM

# Generous: a machine that runs other tests beside this one draws slowly. Nothing waits that long when it works.
PATIENCE_MS = 30_000
# Lets every picture of a page come this much later than asked for, as on a machine that has no time for it: what a test reads
# before the page has shown it, it then reads wrongly every time instead of once in a hundred.
SLOW_MS = int(os.environ.get("ICV_TEST_SLOW_PAGE_MS", "0"))


_SLOW = """(() => {
  const frame = window.requestAnimationFrame.bind(window), waiting = new Map();
  let last = 0;
  window.requestAnimationFrame = then => {
    const id = ++last;
    waiting.set(id, setTimeout(() => frame(time => { if (waiting.delete(id)) then(time); }), DELAY));
    return id;
  };
  window.cancelAnimationFrame = id => { clearTimeout(waiting.get(id)); waiting.delete(id); };
  const ask = window.fetch.bind(window);
  window.fetch = async (...what) => { await new Promise(done => setTimeout(done, DELAY)); return ask(...what); };
})()"""


def require_browser() -> None:
    """Skips the test where there is no browser; before anything is made for it."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"no browser: {CHROMIUM} is not installed; tests/install.sh gets it")


@contextmanager
def launched() -> Iterator[Browser]:
    """Debian's chromium without a window."""
    require_browser()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page of its own profile: what it said in the console, what it threw, which dialogs it opened, what it asked for."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        options.setdefault("locale", "en-US")
        self.address = address
        self.context = browser.new_context(**options)
        if SLOW_MS:
            self.context.add_init_script(_SLOW.replace("DELAY", str(SLOW_MS)))
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.goto(address)

    def _dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def close(self, *allowed: str) -> None:
        """Ends it; nothing was said, and nothing was asked for but addresses that begin like those `allowed`."""
        self.context.close()
        assert self.said == [], self.said
        foreign = [url for url in self.asked if not url.startswith(allowed)]
        assert foreign == [], foreign


def worst_contrast(page: Page) -> dict[str, Any]:
    """`ratio` of text to its ground as WCAG 2.1 counts it, and `text`, of the least readable text to be seen outside of pictures."""
    found: dict[str, Any] = page.evaluate(_CONTRAST)
    return found


_CONTRAST = """() => {
  const one = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = colour => {  // whatever way the browser writes it
    one.clearRect(0, 0, 1, 1);
    one.fillStyle = colour;
    one.fillRect(0, 0, 1, 1);
    return [...one.getImageData(0, 0, 1, 1).data];
  };
  const light = c => c.slice(0, 3).map(v => v / 255).map(s => s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const c = rgba(getComputedStyle(node).backgroundColor);
      if (c[3] > 252) return c;
    }
    return [255, 255, 255, 255];
  };
  let worst = { ratio: 99 };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || node.closest('script, noscript, svg')) continue;
    const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: walker.currentNode.textContent.trim() };
  }
  return worst;
}"""
