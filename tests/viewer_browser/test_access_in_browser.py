"""The page without a mouse, in both languages, with little room, with little motion; and a run of which nothing is written yet."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.viewer_browser.processes import Process, serving_address
from tests.viewer_browser.viewer_page import ViewerPage

Report = Callable[..., ViewerPage]
TABS = ("criteria", "messages", "plots", "actor", "events", "signals", "about")

_UNNAMED = """() => [...document.querySelectorAll('button, input, select, a[href], summary, [role=slider], [role=tab], [tabindex]')]
  .filter(each => each.getClientRects().length > 0)
  .filter(each => !(each.getAttribute('aria-label') || each.textContent.trim() || each.title || each.placeholder
    || [...(each.labels ?? [])].some(label => label.textContent.trim())))
  .map(each => each.outerHTML.slice(0, 120))"""
_TITLES = """() => [...document.querySelectorAll('button.icon')].filter(each => each.getClientRects().length > 0)
  .map(each => [each.title, each.getAttribute('aria-label')])"""
_RING = """() => { const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each);
  return [each.outerHTML.slice(0, 120), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1.5]; }"""
_NARROW = """() => [...document.querySelectorAll('.p-criterion span, .p-banner span')]
  .filter(each => each.children.length === 0 && each.textContent.trim().length > 12 && each.getClientRects().length > 0)
  .map(each => { const range = document.createRange(); range.selectNodeContents(each);
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
    return [each.textContent, lines]; })
  .filter(([text, lines]) => text.length / lines < 8)"""


def test_everything_that_can_be_used_has_a_name_in_both_languages(report: Report) -> None:
    view = report("compared", "#t=10&sel=bus1&lang=en")
    titles = {}
    for language in ("en", "zh"):
        for tab in TABS:
            view.open(tab)
            view.page.wait_for_timeout(60)
            assert view.page.evaluate(_UNNAMED) == [], (language, tab)
        titles[language] = view.page.evaluate(_TITLES)
        if language == "en":
            view.page.locator("#language").click()
            expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")
    assert len(titles["en"]) == len(titles["zh"]) > 8
    for (english, label), (chinese, name) in zip(titles["en"], titles["zh"], strict=True):
        assert english and english == label and chinese == name
        assert re.search("[\u4e00-\u9fff]", chinese) and not re.search("[\u4e00-\u9fff]", english)


def test_the_focus_is_seen_wherever_it_is(report: Report) -> None:
    view = report("plain", "#t=10&tab=criteria")
    seen = []
    for _ in range(45):
        view.page.keyboard.press("Tab")
        ring = view.page.evaluate(_RING)
        if ring is not None:
            seen.append(ring)
    assert len(seen) > 30
    assert [what for what, is_seen in seen if not is_seen] == []


def test_keys_within_a_panel(report: Report) -> None:
    view = report("plain", "#t=10&tab=messages")
    follow = view.page.locator(".p-host-messages button.p-toggle")
    follow.focus()
    before = follow.get_attribute("aria-pressed")
    view.page.keyboard.press(" ")
    expect(follow).to_have_attribute("aria-pressed", "false" if before == "true" else "true")
    assert not view.page.evaluate("icv.app.playing")
    view.page.keyboard.press("ArrowRight")
    expect(view.time).to_have_text("0:11.0")
    grid = view.page.locator(".p-messages-list")
    grid.focus()
    view.page.keyboard.press("ArrowLeft")
    expect(view.time).to_have_text("0:10.0")
    view.page.keyboard.press("ArrowDown")
    view.until("icv.app.selectedMessage !== null")
    search = view.page.locator(".p-search input")
    search.focus()
    view.page.keyboard.type("a b")
    view.page.keyboard.press("ArrowLeft")
    expect(search).to_have_value("a b")
    expect(view.time).to_have_text("0:10.0")
    # A button of the scene that was clicked does not keep the space bar.
    view.page.locator(".scene-controls button").first.click()
    view.page.keyboard.press(" ")
    view.until("icv.app.playing")
    view.page.keyboard.press(" ")


def test_who_wants_little_motion_gets_jumps(report: Report) -> None:
    view = report("plain", "#t=10", reduced_motion="reduce")
    before = view.page.evaluate("icv.scenes.camera.scale")
    after = view.page.evaluate(
        """async () => { icv.scenes.zoom(2); await new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
          return icv.scenes.camera.scale; }"""
    )
    assert after == pytest.approx(2 * before)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_narrow_page_keeps_its_sentences_whole(report: Report, language: str) -> None:
    view = report("compared", f"#tab=criteria&lang={language}", viewport={"width": 1000, "height": 700})  # fmt: skip
    assert view.page.locator(".p-criterion").count() > 10
    assert view.page.evaluate(_NARROW) == []
    view.keep(f"narrow_{language}")


def test_a_message_beside_the_same_one_of_the_other_run(report: Report) -> None:
    view = report("compared", "#t=5&tab=messages")
    for topic, moment, words in (("v2x/spat", 5, "the same contents"), ("v2x/bsm", 21, "has no message"), ("v2x/bsm", 13, "values differ")):  # fmt: skip
        view.page.evaluate(
            """async ([topic, ms]) => { const run = icv.app.run;
              const wanted = [run.meta.topics.indexOf(topic), topic === 'v2x/bsm' ? run.meta.units.indexOf('obu/bus1') : -1];
              for (let block = 0; block < run.numBlocks; block++) {
                const all = await run.block('messages', block);
                for (let row = 0; row < all.t.length; row++)
                  if (all.t[row] >= ms && all.topic[row] === wanted[0] && (wanted[1] < 0 || all.sender[row] === wanted[1]) && all.bytes0[row] >= 0)
                    return icv.app.selectMessage({ block, row });
              } }""",
            [topic, 1000 * moment],
        )
        expect(view.page.locator(".p-twin")).to_contain_text(words)
    assert view.page.locator(".p-fields .p-differs").count() > 0
    view.keep("message_of_two_runs")


def test_a_run_that_has_written_nothing_yet_says_so(
    root: Path, tmp_path: Path, start: Callable[..., Process], look: Report
) -> None:
    data = (root / "runs" / "plain" / "run.mcap").read_bytes()
    log = tmp_path / "run.mcap"
    log.write_bytes(data[:4000])  # its header, and half of the first chunk
    address = serving_address(start("view", str(log), "--port", "0", "--no-browser"))
    view = look(f"{address}#lang=en")
    chip = view.page.locator(".loading-chip")
    expect(chip).to_contain_text("Waiting for the first part of the log")
    expect(view.page.locator(".badge").first).to_have_text("RUNNING")
    with log.open("ab") as file:
        file.write(data[4000:])
    expect(chip).to_be_hidden()
    expect(view.page.locator(".badge").first).not_to_have_text("RUNNING")
    view.until("icv.app.durationMs > 20000")
