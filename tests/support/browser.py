"""A real browser for tests: launched once a module or package, every page watched for what it says and what it asks for.

`launched()` belongs into a fixture of module or package scope, not of the session: while it lives, Playwright's event loop runs in
this thread, and tests of something else may want one of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sim.bench.browser import ARGUMENTS, CHROMIUM


@contextmanager
def launched() -> Iterator[Browser]:
    """Debian's chromium without a window; the test is skipped where there is none."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"no browser: {CHROMIUM} is not installed; tests/install.sh gets it")
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
        assert self.said == []
        assert [url for url in self.asked if not url.startswith(allowed)] == []
