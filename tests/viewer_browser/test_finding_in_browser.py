"""Getting to what one wants to see: links that bring back the view, whom one chose, without a mouse, in a window that changes; runs that
cannot be laid over each other; names that are long, or written from the right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.viewer_browser.layout import misplaced
from tests.viewer_browser.viewer_page import ViewerPage

Report = Callable[..., ViewerPage]
CAMERA = "[icv.scenes.camera.x, icv.scenes.camera.y, icv.scenes.camera.scale]"
AWAY = "(() => { const r = icv.app.run.meta.rsus.at(-1); icv.app.follow(false); icv.scenes.aim(r.x, r.y, 7); })()"


def look_away(view: ViewerPage) -> list[float]:
    """Turns to the farthest roadside unit, where the bus is not."""
    view.page.evaluate(AWAY)
    view.page.wait_for_timeout(300)
    view.drawn()
    return [float(value) for value in view.page.evaluate(CAMERA)]


def test_a_link_brings_back_what_one_looked_at(report: Report) -> None:
    view = report("plain", "#t=10&tab=plots&lang=en")
    view.press("Escape")
    there = look_away(view)
    view.until("location.hash.includes('at=')")
    again = report("plain", "#" + view.page.url.partition("#")[2])
    assert again.page.evaluate(CAMERA) == pytest.approx(there, abs=0.06)
    assert again.page.evaluate("[icv.app.selected, icv.app.following]") == [None, False]
    expect(again.time).to_have_text("0:10.0")
    # Whoever follows somebody sends a link that follows.
    again.press("n", "f")
    again.until("!location.hash.includes('at=') && location.hash.includes('sel=bus1')")


def test_an_address_that_is_changed_by_hand_is_gone_to(report: Report) -> None:
    view = report("plain", "#t=10&tab=plots&lang=en")
    view.press("Escape")
    look_away(view)
    view.until("location.hash.includes('at=')")
    first = view.page.evaluate("location.hash")
    view.page.evaluate("location.hash = '#t=5&sel=bus1&tab=events&lang=en'")
    expect(view.time).to_have_text("0:05.0")
    expect(view.page.locator("#tab-events")).to_have_attribute("aria-selected", "true")
    expect(view.card).to_contain_text("bus1")
    view.page.evaluate("hash => { location.hash = hash; }", first)
    expect(view.time).to_have_text("0:10.0")
    expect(view.page.locator("#tab-plots")).to_have_attribute("aria-selected", "true")
    expect(view.card).to_be_hidden()  # nobody was chosen there


def test_whom_one_chooses_in_a_panel_comes_into_sight(report: Report) -> None:
    view = report("silent", "#t=2")
    look_away(view)
    assert view.place_of(1) is None or not _is_in_sight(view, 1)
    # The bus is selected already; its failed criterion is one click away all the same.
    view.open("criteria").locator("li.p-bad button", has_text="braked harder").click()
    expect(view.time).to_have_text("0:08.7")
    view.page.wait_for_timeout(400)
    view.drawn()
    assert _is_in_sight(view, 1)
    view.open("actor").get_by_role("button", name="rsu/J3").first.click()
    view.page.wait_for_timeout(400)
    view.drawn()
    assert not _is_in_sight(view, 1)
    assert view.page.evaluate("(() => { const r = icv.app.run.meta.rsus.find(r => r.name === 'J3'), c = icv.scenes.camera; return Math.hypot(c.x - r.x, c.y - r.y); })()") < 1.0  # fmt: skip


def _is_in_sight(view: ViewerPage, actor: int) -> bool:
    return bool(
        view.page.evaluate(
            """id => { const { world, camera, width, height } = { ...icv.scenes.main, world: icv.scenes.main.world, camera: icv.scenes.camera,
              width: icv.scenes.main.width, height: icv.scenes.main.height }; const at = world.at.get(id);
              const x = camera.sx(world.x[at]), y = camera.sy(world.y[at]); return x > 0 && y > 0 && x < width && y < height; }""",
            actor,
        )
    )


def test_without_a_mouse_the_map_moves_and_the_panels_widen(report: Report) -> None:
    view = report("plain", "#t=5")
    x, _, scale = view.page.evaluate(CAMERA)
    canvas = view.page.locator(".scene-canvas").first
    canvas.focus()
    view.press("ArrowRight", "ArrowRight")
    view.drawn()
    assert view.page.evaluate(CAMERA)[0] == pytest.approx(x + 160 / scale, abs=0.5)
    expect(view.time).to_have_text("0:05.0")
    # A click there takes nothing from the playhead.
    view.page.locator("#play").focus()
    canvas.click(position={"x": 300, "y": 400})
    view.press("ArrowRight")
    expect(view.time).to_have_text("0:06.0")
    splitter = view.page.get_by_role("separator")
    width = "document.querySelector('.side').offsetWidth"
    before = view.page.evaluate(width)
    splitter.focus()
    view.press("ArrowLeft")
    assert view.page.evaluate(width) == before + 40
    expect(splitter).to_have_attribute("aria-valuenow", str(before + 40))
    button = view.page.get_by_label("What is shown")
    button.focus()
    view.press("Enter", "Tab")
    expect(view.page.locator(".popover input").first).to_be_focused()
    view.press("Escape")
    expect(button).to_be_focused()


def test_a_window_that_was_narrow_for_a_while_has_its_panels_again(report: Report) -> None:
    view = report("plain", "#t=5", viewport={"width": 1366, "height": 768})
    width = "document.querySelector('.side').offsetWidth"
    before = view.page.evaluate(width)
    view.page.locator("#play").click()
    for size in ((640, 480), (400, 700), (1920, 1000), (1366, 768)):
        view.page.set_viewport_size({"width": size[0], "height": size[1]})
        view.until(f"icv.scenes.main.width + document.querySelector('.side').offsetWidth + 5 === {size[0]}")  # fmt: skip
        assert view.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert view.page.evaluate(width) == before
    view.page.locator("#play").click()


def test_the_first_button_says_what_it_does(report: Report) -> None:
    view = report("plain", "#t=5")
    view.page.get_by_label("Beginning (Home)").click()
    expect(view.time).to_have_text("0:00.0")


def test_runs_on_different_maps_are_not_measured_against_each_other(report: Report) -> None:
    view = report("maps", "#t=12")
    bar = view.page.locator(".compare-bar")
    expect(bar).to_have_text("The runs are on different maps: positions are not compared")
    assert _is_alone(view)  # nothing of the other map is drawn over this one
    view.page.get_by_role("button", name="Side by side").click()
    view.page.wait_for_timeout(100)
    view.drawn()
    # Each shows its own vehicle in the middle.
    blue = """scene => { const canvas = document.querySelectorAll('.scene-canvas')[scene].querySelectorAll('canvas')[1];
      const { data } = canvas.getContext('2d').getImageData(canvas.width / 2 - 60, canvas.height / 2 - 60, 120, 120); let count = 0;
      for (let k = 0; k < data.length; k += 4) if (data[k + 3] > 200 && data[k + 2] > data[k] + 60) count++; return count; }"""
    for scene in (0, 1):
        assert view.page.evaluate(blue, scene) > 200
    view.keep("two_maps")
    view.press("l")
    expect(bar).to_have_text("两次运行的地图不同：不比较位置")


def _is_alone(view: ViewerPage) -> bool:
    """Whether the first run looks as if there were no other; the bar below takes no room from the picture."""
    view.page.evaluate("document.querySelector('.compare-bar').style.position = 'absolute'")
    view.page.wait_for_timeout(100)
    view.drawn()
    overlaid = view.picture()
    view.page.get_by_role("button", name="First run only").click()
    view.drawn()
    return view.picture() == overlaid


def test_a_run_that_has_ended_is_not_drawn_over_the_other(report: Report) -> None:
    view = report("ended", "#t=21")
    expect(view.page.locator(".compare-bar")).to_have_text(re.compile(r"^Run B ended at 0:\d\d\.\d$"))  # fmt: skip
    assert _is_alone(view)
    expect(view.page.locator(".strip.lost")).to_have_count(2)
    expect(view.page.locator(".strip.lost:visible")).to_contain_text("Run B: This log is incomplete")  # fmt: skip


LONG = "station-" + "x" * 180
TURNED = "\u202eמחלף שלום مرحبا"


@pytest.mark.parametrize("size", [(1366, 768), (800, 600)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_names_without_end_and_from_the_right_stay_in_their_places(
    root: Path, tmp_path: Path, look: Report, size: tuple[int, int]
) -> None:
    text = (root / "reports" / "silent.html").read_text(encoding="utf-8")
    held = re.search(r'<script[^>]*id="icv-manifest"[^>]*>(.*?)</script>', text, re.S)
    assert held is not None
    manifest = json.loads(held[1])
    _rename(manifest["meta"])
    page = tmp_path / "long.html"
    made = json.dumps(manifest).replace("<", "\\u003c")
    page.write_text(text[: held.start(1)] + made + text[held.end(1) :], encoding="utf-8")
    view = look(f"{page.as_uri()}#t=9&lang=en", viewport={"width": size[0], "height": size[1]})
    for tab in ("criteria", "messages", "plots", "actor", "events", "signals", "about"):
        panel = view.open(tab)
        if tab == "messages":
            panel.locator(".p-message[data-index][data-time=now]").click()
            expect(panel.locator(".p-details h3")).to_be_visible()
        view.page.wait_for_timeout(80)
        assert misplaced(view.page) == [], tab
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", view.text()), tab
    edge = panel.bounding_box()
    assert edge is not None and edge["x"] + edge["width"] <= size[0]
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", view.page.title())
    view.open("events")
    view.keep(f"long_names_{size[0]}")


def _rename(meta: dict[str, Any]) -> None:
    """Names and sentences of a run made as long, or as turned around, as a log could have them."""
    meta["scenario"] = TURNED + LONG
    meta["sentence"] = TURNED + LONG
    meta["lost"] = LONG + TURNED
    meta["versions"] = {"icv": LONG}
    for key in ("vehicles", "numbers"):
        meta[key] = dict.fromkeys([LONG], next(iter(meta[key].values())))
    for key in ("units", "receivers"):
        meta[key] = [{"obu/bus1": LONG, "rsu/J1": TURNED}.get(name, name) for name in meta[key]]
    for k, criterion in enumerate(meta["criteria"]):
        criterion["sentence" if k % 2 else "name"] = LONG + " " + TURNED
    for k, event in enumerate(meta["events"]):
        event["text" if k % 2 else "subject"] = TURNED if k % 3 else LONG
    for series in meta["series"]:
        series["vehicle"] = LONG if series["vehicle"] else ""
    for actor in meta["actors"]:
        actor["name"] = LONG if actor["name"] else ""
    meta["rsus"][1]["name"] = LONG
    roads = meta["roads"]
    for named in (*roads["stations"][:2], *roads["groups"][:3]):
        named["name"] = LONG
