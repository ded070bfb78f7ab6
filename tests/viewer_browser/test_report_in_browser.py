"""A report opened from disk in a real browser: playing, scrubbing, keys, mouse, languages, themes, links, damaged and hostile logs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.report_pack.test_pack_hostile import EVIL
from tests.support.browser import worst_contrast
from tests.viewer_browser.viewer_page import GROUND, ViewerPage

Report = Callable[..., ViewerPage]
# A text that nobody has written shows as its key.
KEYS = re.compile(r"\b(?:panel|messages|plots|runs|card|layer|criteria|event|events|signals|actor|about|fate|kind|help|mode|outcome)\.[a-z_.]+\b")  # fmt: skip
TABS = ("criteria", "messages", "plots", "actor", "events", "signals", "about")


def test_a_report_opens_from_disk_at_its_vehicle_and_verdict(report: Report) -> None:
    view = report("plain")
    expect(view.page.locator("header .badge")).to_have_text("FAIL")
    expect(view.page.locator("h1")).to_have_text("brt_corridor")
    expect(view.page.locator("header .sentence")).to_contain_text("criteria failed")
    expect(view.card).to_contain_text("bus1")
    expect(view.page.locator(".time-total")).to_have_text("/ 0:21.9")
    assert [tab.get_attribute("id") for tab in view.page.locator(".tab").all()] == [f"tab-{key}" for key in TABS]  # fmt: skip
    view.keep("report")


def test_playing_moves_the_clock_and_the_picture_until_paused(report: Report) -> None:
    view = report("plain", "#t=5")
    before = view.picture()
    view.page.locator("#play").click()
    expect(view.page.locator("#play")).to_have_attribute("aria-label", re.compile("Pause"))
    view.until("icv.app.timeMs > 6000")
    view.page.locator("#play").click()
    view.drawn()
    assert view.seconds >= 6.0
    assert view.picture() != before
    stopped = view.seconds
    view.page.wait_for_timeout(300)
    assert view.seconds == stopped


def test_playing_ends_at_the_end_and_begins_anew(report: Report) -> None:
    view = report("plain", "#t=21")
    view.page.locator(".speed input").fill("1000")  # as fast as it goes: 20 times
    expect(view.page.locator(".speed-value")).to_have_text("20×")
    view.press("Space")
    expect(view.page.locator("#play")).to_have_attribute("aria-label", re.compile("Play"))
    expect(view.time).to_have_text("0:21.9")
    view.page.locator(".speed-value").click()
    expect(view.page.locator(".speed-value")).to_have_text("1×")
    view.press("Space")
    view.until("icv.app.playing && icv.app.timeMs < 20000")


def test_scrubbing_the_line_of_time_shows_what_was_then(report: Report) -> None:
    view = report("plain")
    start = view.picture()
    view.scrub(0.5, steps=4)
    view.drawn()
    assert view.seconds == pytest.approx(21.9 / 2, abs=0.3)
    middle = view.picture()
    assert middle != start
    view.scrub(1.0)
    expect(view.time).to_have_text("0:21.9")
    view.scrub(0.0)
    expect(view.time).to_have_text("0:00.0")
    view.drawn()
    assert view.picture() == start  # the same moment is the same picture


def test_keys_step_through_time(report: Report) -> None:
    view = report("plain", "#t=2")
    for key, shown in (
        ("ArrowRight", "0:03.0"), ("Shift+ArrowRight", "0:13.0"), ("ArrowLeft", "0:12.0"), ("Period", "0:12.1"),
        ("Comma", "0:12.0"), ("Shift+ArrowLeft", "0:02.0"), ("Shift+ArrowLeft", "0:00.0"), ("End", "0:21.9"),
        ("ArrowRight", "0:21.9"), ("Home", "0:00.0"),
    ):  # fmt: skip
        view.press(key)
        expect(view.time).to_have_text(shown)
    view.press("ArrowUp")
    expect(view.page.locator(".speed-value")).to_have_text("2×")
    view.press("ArrowDown", "ArrowDown")
    expect(view.page.locator(".speed-value")).to_have_text("0.5×")
    view.press("Space")
    expect(view.page.locator("#play")).to_have_attribute("aria-label", re.compile("Pause"))
    view.press("Space")
    expect(view.page.locator("#play")).to_have_attribute("aria-label", re.compile("Play"))


def test_keys_go_to_what_happened(report: Report) -> None:
    view = report("silent")
    view.press("BracketRight")
    first = view.seconds
    assert first > 0
    moments = [first]
    for _ in range(40):
        view.press("BracketRight")
        view.drawn()
        if view.seconds == moments[-1]:
            break
        moments.append(view.seconds)
    assert 8.0 in moments and 8.7 in moments  # the fault; the braking that failed a criterion
    view.press("BracketLeft")
    view.drawn()
    assert view.seconds == moments[-2]


def test_help_lists_the_keys(report: Report) -> None:
    view = report("plain")
    view.press("?")
    dialog = view.page.locator("dialog.help")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("follow the selected actor")
    view.keep("help")
    view.press("Escape")
    expect(dialog).to_be_hidden()
    view.press("?", "?")
    expect(dialog).to_be_hidden()


def test_following_keeps_the_vehicle_in_the_middle(report: Report) -> None:
    view = report("plain", "#t=10")
    target = view.page.get_by_label("Follow (F)")
    expect(target).to_have_class(re.compile(r"\bon\b"))
    view.press("ArrowRight", "ArrowRight", "ArrowRight")
    view.drawn()
    box = view.page.locator(".scene-canvas").bounding_box()
    place = view.place_of(1)
    assert box is not None and place is not None
    # Half of the vehicle, 9 m, at 5 px/m: its middle is not quite that of its front section.
    assert place[0] == pytest.approx(box["x"] + box["width"] / 2, abs=60)
    view.press("f")
    expect(target).not_to_have_class(re.compile(r"\bon\b"))
    view.press("ArrowRight", "ArrowRight")
    view.drawn()
    later = view.place_of(1)
    assert later is None or later[0] > place[0] + 20  # it drives on, out of the picture


def test_a_click_on_the_scene_selects_who_is_there(report: Report) -> None:
    view = report("island", "#t=15")
    view.press("Escape", "0")
    expect(view.card).to_be_hidden()
    view.drawn()
    actors = view.page.evaluate("[...icv.scenes.main.world.at.keys()]")
    places = {actor: view.place_of(actor) for actor in actors}
    found = {actor: place for actor, place in places.items() if place is not None}
    assert len(found) >= 2
    for actor, (x, y) in found.items():
        view.page.mouse.click(x, y)
        name = view.page.evaluate("id => icv.app.run.meta.actors.find(a => a.id === id).name || `#${id}`", actor)  # fmt: skip
        expect(view.card.locator("b")).to_have_text(name)
        expect(view.card).to_contain_text("km/h")
    view.keep("island_selected")
    view.press("Escape")
    expect(view.card).to_be_hidden()
    view.press("n")
    expect(view.card.locator("b")).to_have_text("shuttle1")


def test_the_scene_moves_and_zooms_under_the_mouse(report: Report) -> None:
    view = report("plain", "#t=4")
    box = view.page.locator(".scene-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8
    before = view.picture()
    view.page.mouse.move(x, y)
    view.page.mouse.wheel(0, -400)
    view.drawn()
    closer = view.picture()
    scale = view.page.evaluate("icv.scenes.camera.scale")
    assert closer != before and scale > 5
    view.page.mouse.down()
    view.page.mouse.move(x - 120, y - 60, steps=3)
    view.page.mouse.up()
    view.drawn()
    assert view.picture() != closer
    assert view.page.evaluate("icv.app.following") is False
    view.press("0")
    view.until("icv.scenes.camera.scale < 1")
    view.drawn()
    view.keep("whole_map")


def test_layers_can_be_hidden(report: Report) -> None:
    view = report("plain", "#t=12")
    whole = view.picture()
    view.page.get_by_label("What is shown").click()
    box = view.page.locator(".popover label", has_text="Names").locator("input")
    box.uncheck()
    view.drawn()
    without = view.picture()
    assert without != whole
    view.keep("layers")
    box.check()
    view.drawn()
    assert view.picture() == whole


def test_every_word_is_there_in_both_languages(report: Report) -> None:
    view = report("silent", "#t=9")
    view.page.locator("#language").click()
    expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(view.page.locator("header .badge")).to_have_text("未通过")
    expect(view.page.locator("#tab-messages")).to_have_text("消息")
    expect(view.card).to_contain_text("铰接公交车")
    for tab in TABS:
        view.open(tab)
        view.page.wait_for_timeout(50)
        assert KEYS.findall(view.text()) == []
        if tab in ("criteria", "messages", "plots"):
            view.keep(f"chinese_{tab}")
    heads = view.page.locator(".tab").all_inner_texts()
    assert all(re.fullmatch(r"[\u4e00-\u9fff]+", head) for head in heads), heads
    view.press("l")
    expect(view.page.locator("html")).to_have_attribute("lang", "en")
    expect(view.page.locator("#tab-messages")).to_have_text("Messages")
    for tab in TABS:
        view.open(tab)
        assert KEYS.findall(view.text()) == []
        assert not re.search(r"[\u4e00-\u9fff]", view.text().replace("中文", ""))


def test_the_page_speaks_the_language_of_the_browser(report: Report) -> None:
    view = report("island", locale="zh-CN")
    expect(view.page.locator("#tab-criteria")).to_have_text("结论")
    expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_dark_and_light(report: Report) -> None:
    view = report("plain", "#t=12")
    light, ground = view.picture(), view.picture(GROUND)
    colour = "getComputedStyle(document.body).backgroundColor"
    bright = view.page.evaluate(colour)
    view.page.get_by_label("Light or dark").click()
    expect(view.page.locator("html")).to_have_attribute("data-theme", "dark")
    view.drawn()
    assert view.picture() != light and view.picture(GROUND) != ground
    assert view.page.evaluate(colour) != bright
    for tab in TABS:
        view.open(tab)
        view.page.wait_for_timeout(100)
        view.keep(f"dark_{tab}")
    view.press("t")
    expect(view.page.locator("html")).to_have_attribute("data-theme", "light")
    view.drawn()
    assert view.picture() == light


def test_the_theme_of_the_system_is_taken(report: Report) -> None:
    view = report("plain", color_scheme="dark")
    expect(view.page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(report: Report, scheme: str) -> None:
    view = report("compared", "#t=12", color_scheme=scheme)
    for tab in TABS:
        panel = view.open(tab)
        if tab == "messages":
            panel.locator(".p-message[data-index][data-time=now]").click()
            expect(panel.locator(".p-details h3")).to_be_visible()
        worst = worst_contrast(view.page)
        assert worst["ratio"] >= 4.5, (tab, worst)  # WCAG 2.1, 1.4.3 AA for body text


def test_a_link_brings_back_the_moment(report: Report) -> None:
    view = report("plain", "#t=12.34&sel=bus1&tab=plots&lang=zh")
    expect(view.time).to_have_text("0:12.3")
    expect(view.card).to_contain_text("bus1")
    expect(view.page.locator("#tab-plots")).to_have_attribute("aria-selected", "true")
    expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")
    view.press("ArrowRight", "l")
    view.open("events")
    view.until("location.hash.includes('t=13.34') && location.hash.includes('tab=events')")  # fmt: skip
    address = view.page.url
    again = report("plain", "#" + address.partition("#")[2])
    expect(again.time).to_have_text("0:13.3")
    expect(again.page.locator("#tab-events")).to_have_attribute("aria-selected", "true")
    again.page.evaluate("location.hash = '#t=3'")
    expect(again.time).to_have_text("0:03.0")


@pytest.mark.parametrize("at", ["#t=-5", "#t=1e99", "#t=x&sel=nobody&msg=9:9&tab=none&lang=xx&mode=y", "#%%%", "#t=NaN&sel=__proto__&unit=constructor"])  # fmt: skip
def test_a_link_to_nowhere_still_opens(report: Report, at: str) -> None:
    view = report("plain", at)
    expect(view.page.locator("h1")).to_have_text("brt_corridor")
    view.press("Home", "ArrowRight")
    expect(view.time).to_have_text("0:01.0")


def test_a_damaged_log_is_told_in_the_page(report: Report) -> None:
    view = report("cut")
    strip = view.page.locator(".lost")
    expect(strip).to_contain_text("This log is incomplete")
    expect(view.page.locator("header .badge")).to_have_text(re.compile("INCOMPLETE|NO VERDICT"))
    view.press("End")
    view.drawn()
    assert 5 < view.seconds < 21.9  # what is there can be looked at
    assert KEYS.findall(view.text()) == []
    box = strip.bounding_box()
    assert box is not None and box["height"] < 80  # a strip, not the page
    view.open("messages")
    expect(view.page.locator(".p-message[data-index]").first).to_be_visible()
    view.press("l")
    expect(strip).to_contain_text("日志不完整")
    view.keep("damaged")


def test_names_that_are_scripts_are_shown_as_text(report: Report) -> None:
    view = report("evil")
    assert view.page.locator("h1").inner_text() == EVIL
    for tab in TABS:
        view.open(tab)
        view.page.wait_for_timeout(50)
        assert view.page.locator("#icv script, #icv img").count() == 0
    view.open("plots")
    view.keep("hostile")
    assert EVIL in view.text() or "<script>" in view.text()
    view.press("n", "l", "Home")
    assert view.page.locator("#icv script, #icv img").count() == 0


def test_a_phone_shows_the_scene_first_without_running_over(report: Report) -> None:
    view = report("plain", viewport={"width": 390, "height": 800})
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(view.page.locator("#play")).to_be_visible()
    box = view.page.locator(".scene-canvas").bounding_box()
    assert box is not None and box["width"] > 350
    view.keep("phone")
    view.page.get_by_label("Hide or show the panels (P)").click()
    expect(view.page.locator(".p-banner")).to_be_visible()
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 390
