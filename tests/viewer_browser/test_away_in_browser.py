"""A server that is stopped while somebody looks: the page says so, says nothing that is not so, and goes on when it is back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.support.ports import free_port
from tests.viewer_browser.processes import Process, serving_address
from tests.viewer_browser.viewer_page import ViewerPage

Look = Callable[..., ViewerPage]
Start = Callable[..., Process]
REFUSED = "net::ERR_CONNECTION_REFUSED"  # what the browser itself writes into the console of a request that nobody answers


def stop(process: Process) -> None:
    process.send_signal(2)
    process.wait(20)


def forget_refused(view: ViewerPage) -> None:
    """Takes what the browser says of unanswered requests out of what must not be said."""
    others = [text for text in view.watched.said if REFUSED not in text and "ERR_EMPTY_RESPONSE" not in text and "ERR_CONNECTION_RESET" not in text]  # fmt: skip
    view.watched.said[:] = others


def test_a_page_tells_of_a_server_that_is_gone_and_goes_on_when_it_is_back(
    root: Path, start: Start, look: Look
) -> None:
    port = str(free_port())
    log = str(root / "runs" / "plain" / "run.mcap")
    server = start("view", log, "--port", port, "--no-browser")
    view = look(f"{serving_address(server)}#t=5&lang=en&tab=messages")
    strip = view.page.locator(".strip.away")
    panel = view.open("messages")
    expect(panel.get_by_role("status").first).to_contain_text("of")
    expect(strip).to_be_hidden()
    stop(server)
    # Nobody has to touch the page for it to notice.
    expect(strip).to_contain_text("The server does not answer")
    view.keep("server_gone")
    panel.locator(".p-message[data-index][data-time=now]").click()
    details = panel.locator(".p-details")
    expect(details).to_contain_text("This message could not be read now")
    expect(details).not_to_contain_text("not recorded")
    expect(details).not_to_contain_text("can be unfolded")
    view.press("l")
    expect(strip).to_contain_text("服务器没有响应")
    view.press("l")
    start("view", log, "--port", port, "--no-browser")
    expect(strip).to_be_hidden()
    expect(details.locator(".p-receivers")).to_be_visible()
    expect(details.locator(".p-hex .p-byte").first).to_be_visible()
    expect(view.page.locator(".strip.unread")).to_be_hidden()
    view.press("End")
    view.drawn()
    expect(view.time).to_have_text("0:21.9")
    forget_refused(view)


def test_a_log_that_is_taken_away_is_told(root: Path, tmp_path: Path, start: Start, look: Look) -> None:  # fmt: skip
    log = tmp_path / "run.mcap"
    shutil.copy(root / "runs" / "island" / "run.mcap", log)
    address = serving_address(start("view", str(log), "--port", "0", "--no-browser"))
    view = look(f"{address}#t=5&lang=en&tab=criteria")
    panel = view.open("messages")
    expect(panel.locator(".p-message[data-time=now]")).to_be_visible()
    log.unlink()
    panel.locator(".p-message[data-index][data-time=now]").click()
    expect(view.page.locator(".p-details")).to_contain_text("could not be read now")
    expect(view.page.locator(".strip.unread")).to_contain_text("A part of this run cannot be read: fates/0")  # fmt: skip
    expect(view.page.locator(".strip.away")).to_be_hidden()
    assert view.watched.said  # said in the console too
    view.watched.said.clear()


def test_a_run_that_adds_nothing_any_more_is_told(root: Path, tmp_path: Path, start: Start, look: Look) -> None:  # fmt: skip
    data = (root / "runs" / "plain" / "run.mcap").read_bytes()
    log = tmp_path / "run.mcap"
    log.write_bytes(data[: len(data) // 2])
    view = look(
        f"{serving_address(start('view', str(log), '--port', '0', '--no-browser'))}#lang=en"
    )
    expect(view.page.locator("header .badge")).to_have_text("RUNNING")
    strip = view.page.locator(".strip.quiet")
    expect(strip).to_be_hidden()
    view.page.evaluate("icv.app.run.grownAt -= 60_000")  # a minute goes by
    expect(strip).to_have_text(re.compile(r"Nothing new has come from this run for 6\d s"))
    with log.open("ab") as file:
        file.write(data[len(data) // 2 :])
    expect(strip).to_be_hidden()
    expect(view.page.locator("header .badge")).to_have_text("FAIL")


def test_the_list_of_runs_follows_the_folder(root: Path, tmp_path: Path, start: Start, look: Look) -> None:  # fmt: skip
    port = str(free_port())
    for name in ("plain", "island"):
        (tmp_path / name).mkdir()
        shutil.copy2(root / "runs" / name / "run.mcap", tmp_path / name / "run.mcap")
    server = start("view", str(tmp_path), "--port", port, "--no-browser")
    view = look(serving_address(server))
    rows = view.page.locator(".p-run-table tbody tr")
    expect(rows).to_have_count(2)
    view.page.locator("a.p-run", has_text="smart_island").focus()
    (tmp_path / "silent").mkdir()
    shutil.copy2(root / "runs" / "silent" / "run.mcap", tmp_path / "silent" / "run.mcap")
    expect(rows).to_have_count(3)
    expect(view.page.locator("a.p-run", has_text="smart_island")).to_be_focused()
    status = view.page.get_by_role("status")
    stop(server)
    expect(status).to_contain_text("The server does not answer")
    expect(rows).to_have_count(3)  # what is known stays
    start("view", str(tmp_path), "--port", port, "--no-browser")
    expect(status).to_have_text("3 of 3")
    forget_refused(view)
