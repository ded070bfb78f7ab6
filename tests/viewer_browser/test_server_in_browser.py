"""`icv view` in a real browser: the list of a folder's runs, links to a moment of one of them, damaged and unknown runs, a run in progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.support.ports import free_port
from tests.viewer_browser.processes import Process, serving_address
from tests.viewer_browser.viewer_page import ViewerPage

Look = Callable[..., ViewerPage]


def test_a_folder_is_a_list_that_is_searched_filtered_and_sorted(look: Look, server: str) -> None:
    view = look(server)
    rows = view.page.locator(".p-run-table tbody tr")
    status = view.page.get_by_role("status")
    expect(rows).to_have_count(4)
    expect(status).to_have_text("4 of 4")
    view.keep("runs")
    search = view.page.get_by_label("Search")
    search.fill("island")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("smart_island")
    search.fill("seed=1 corridor")
    expect(rows).to_have_count(3)
    search.fill("nothing like that")
    expect(rows).to_have_count(0)
    expect(status).to_have_text("0 of 4")
    search.fill("")
    expect(rows).to_have_count(4)
    view.page.get_by_label("Outcome").select_option(label="FAIL")
    expect(rows).to_have_count(3)
    view.page.get_by_label("Outcome").select_option(label="all")
    heads = view.page.locator(".p-run-table thead th")
    duration = heads.filter(has_text=re.compile("duration|length", re.I))
    duration.locator("button").click()
    expect(duration).to_have_attribute("aria-sort", "descending")
    times = view.page.locator(".p-run-table tbody tr td:nth-child(5)").all_inner_texts()
    assert len(times) == 4 and times == sorted(times, reverse=True)
    view.page.locator("#language").click()
    expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(view.page.get_by_label("搜索")).to_be_visible()


def test_a_run_opens_from_the_list_and_one_comes_back(look: Look, server: str) -> None:
    view = look(server)
    view.page.locator("a.p-run", has_text="smart_island").click()
    view.page.wait_for_url("**/?run=*")
    view.ready()
    expect(view.page.locator("h1")).to_have_text("smart_island")
    expect(view.card).to_contain_text("shuttle1")
    panel = view.open("runs")
    expect(panel.locator("tr[aria-current=true]")).to_contain_text("smart_island")
    view.page.go_back()
    view.ready()
    expect(view.page.locator(".p-run-table tbody tr")).to_have_count(4)


def test_two_runs_are_chosen_in_the_list_and_compared(look: Look, server: str) -> None:
    view = look(server)
    for path in ("plain/run.mcap", "silent/run.mcap"):
        view.page.locator("tr", has_text=path).locator("input").check()
    compare = view.page.get_by_role("link", name="Compare")
    expect(compare).to_have_attribute("aria-disabled", "false")
    view.keep("runs_chosen")
    compare.click()
    view.page.wait_for_url("**/?run=*&other=*")
    view.ready()
    view.page.evaluate("icv.app.seek(15000)")
    expect(view.page.locator(".compare-bar")).to_contain_text("apart")


def test_playing_and_messages_over_the_server(look: Look, server: str) -> None:
    view = look(server)
    href = (
        view.page.locator("tr", has_text="plain/run.mcap").locator("a.p-run").get_attribute("href")
    )
    view = look(server + (href or "") + "#t=10&tab=messages")
    expect(view.time).to_have_text("0:10.0")
    before = view.picture()
    view.page.locator("#play").click()
    view.until("icv.app.timeMs > 11000")
    view.page.locator("#play").click()
    view.drawn()
    assert view.picture() != before
    panel = view.open("messages")
    panel.locator(".p-message[data-index][data-time=now]").first.click()
    expect(panel.locator(".p-details .p-receivers, .p-details .p-who p").first).to_be_visible()
    expect(panel.locator(".p-details .p-hex .p-byte").first).to_be_visible()


def test_a_link_to_the_moment_is_copied(look: Look, server: str) -> None:
    listed = look(server)
    href = listed.page.locator("a.p-run", has_text="smart_island").get_attribute("href") or ""
    view = look(f"{server}{href}#t=7.5", permissions=["clipboard-read", "clipboard-write"])
    view.page.get_by_label("Copy a link to this moment").click()
    expect(view.page.get_by_title("Link copied")).to_be_visible()
    link = view.page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(server + href) and "t=7.50" in link
    other = look(link)
    expect(other.time).to_have_text("0:07.5")
    expect(other.page.locator("h1")).to_have_text("smart_island")


def test_a_damaged_log_is_told_in_the_list_and_the_page(look: Look, server: str) -> None:
    listed = look(server)
    row = listed.page.locator("tr", has_text="cut.mcap")
    expect(row).to_contain_text(re.compile("incomplete|no result", re.I))
    href = row.locator("a.p-run").get_attribute("href")
    view = look(server + (href or ""))
    expect(view.page.locator(".lost")).to_contain_text("This log is incomplete")
    view.press("End")
    view.drawn()
    assert view.seconds > 5
    box = view.page.locator(".lost").bounding_box()
    assert box is not None and box["height"] < 80  # a strip, not the page


def test_an_unknown_run_leads_back_to_the_list(look: Look, server: str) -> None:
    view = look(server)
    view.page.goto(f"{server}?run=nobody")
    expect(view.page.locator(".fatal h1")).to_have_text("This run cannot be shown")
    view.keep("unknown_run")
    view.page.get_by_role("link", name="All runs").click()
    expect(view.page.locator(".p-run-table tbody tr")).to_have_count(4)
    # The browser itself reports the server's 404 in the console.
    assert len(view.watched.said) == 1 and "404" in view.watched.said.pop()


def test_a_run_in_progress_is_followed_to_its_end(
    start: Callable[..., Process], look: Look, tmp_path: Path
) -> None:
    tap = f"tcp://127.0.0.1:{free_port()}"
    viewer = start("view", "--live", tap, "--port", "0", "--no-browser")
    start(
        "run", "smart_island", "--duration", "8", "--realtime", "--tap", tap, "--no-picture", "-q", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    view = look(serving_address(viewer))
    expect(view.page.locator("header .badge")).to_have_text("RUNNING")
    expect(view.page.locator("h1")).to_have_text("smart_island")
    view.until("icv.app.timeMs > 0 && icv.app.frame.complete")
    first, picture = view.seconds, view.picture()
    view.keep("live")
    view.until(f"icv.app.timeMs > {1000 * first} + 1500")
    view.drawn()
    assert view.picture() != picture
    # Looking back while it goes on, then to its newest moment again.
    view.press("Home")
    expect(view.time).to_have_text(re.compile("0:0[01]"))
    view.page.locator(".chip.live").click()
    expect(view.page.locator("header .badge")).to_have_text("FAIL")
    expect(view.page.locator(".time-total")).to_have_text(re.compile(r"/ 0:0[78]"))
    expect(view.open("criteria")).to_contain_text("did not reach its destination")
    view.keep("live_ended")
