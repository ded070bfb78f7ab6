"""What the panels of a report answer: what was sent, who heard it and why not, when a criterion failed, what the plots say at the playhead."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.viewer_browser.viewer_page import ViewerPage

Report = Callable[..., ViewerPage]


def test_a_failed_criterion_leads_to_its_moment_with_one_click(report: Report) -> None:
    view = report("silent")
    panel = view.open("criteria")
    failed = panel.locator("li.p-bad", has_text="braked harder than 2.5 m/s2")
    expect(failed).to_contain_text("0:08.7")
    view.press("Escape")
    failed.locator("button").click()
    expect(view.time).to_have_text("0:08.7")
    expect(view.card).to_contain_text("bus1")
    view.drawn()
    view.keep("failed_moment")
    marks = panel.locator("li").evaluate_all("all => all.map(li => li.className.includes('p-bad'))")
    assert marks == sorted(marks, reverse=True)  # what failed comes first


def test_a_message_unfolds_to_fields_bytes_and_who_heard_it(report: Report) -> None:
    view = report("plain", "#t=10")
    panel = view.open("messages")
    panel.get_by_label("Topic").select_option(label="v2x/spat")
    panel.get_by_label("Sender").select_option(label="rsu/J4")
    row = panel.locator(".p-message[data-index][data-time=now]")
    expect(row).to_contain_text("rsu/J4")
    expect(row).to_contain_text("v2x/spat")
    row.click()
    details = panel.locator(".p-details")
    expect(details.locator("h3")).to_have_text("v2x/spat")
    # The bus is two kilometres from J4.
    far = details.locator(".p-receivers tr", has_text="obu/bus1")
    expect(far).to_contain_text("no")
    expect(far).to_contain_text("out of range")
    near = details.locator(".p-receivers tr", has_text="rsu/J3")
    expect(near).to_contain_text("yes")
    expect(near).to_contain_text("ms")
    expect(details.locator(".p-fields")).to_contain_text("J4")
    size = int(view.page.evaluate("icv.app.run.bytes(icv.app.selectedMessage.block, icv.app.selectedMessage.row).then(b => b.length)"))  # fmt: skip
    shown = details.locator(".p-hex .p-byte").all_inner_texts()
    assert len([byte for byte in shown if re.fullmatch(r"[0-9a-f]{2}", byte)]) >= min(size, 48)
    # Pointing at a field marks its bytes.
    details.locator(".p-value-line").first.hover()
    expect(details.locator(".p-hex .p-byte.p-marked").first).to_be_visible()
    expect(details.locator(".p-place")).to_contain_text("bytes")
    view.keep("message")
    details.locator(".p-hex").scroll_into_view_if_needed()
    view.keep("message_bytes")
    # Its link opens it again.
    view.until("location.hash.includes('msg=')")
    again = report("plain", "#" + view.page.url.partition("#")[2])
    expect(again.page.locator(".p-details h3")).to_have_text("v2x/spat")


def test_a_message_of_many_stations_shows_each_at_each_receiver(report: Report) -> None:
    view = report("plain", "#t=10")
    panel = view.open("messages")
    panel.get_by_label("Search: rsu 1234 size>500 speed>20").fill("rows>10")
    row = panel.locator(".p-message[data-index][data-time=now]")
    expect(row).to_contain_text("fleet")
    row.click()
    details = panel.locator(".p-details")
    details.locator("summary", has_text="Each station at each receiver").click()
    expect(details.locator(".p-matrix [data-fate=heard]").first).to_be_visible()
    expect(details.locator(".p-matrix [data-fate=lost]").first).to_be_visible()
    view.keep("message_matrix")


def test_messages_are_filtered_and_follow_the_playhead(report: Report) -> None:
    view = report("plain")
    panel = view.open("messages")
    status = panel.get_by_role("status").first
    expect(status).to_have_text(re.compile(r"^(\d+) of \1$"))
    every = int(status.inner_text().split()[0])
    panel.get_by_label("Reception").select_option(label="lost")
    expect(status).to_have_text(re.compile(rf"^\d+ of {every}$"))
    lost = int(status.inner_text().split()[0])
    assert 0 < lost < every
    panel.get_by_label("Reception").select_option(label="all")
    panel.get_by_label("Search: rsu 1234 size>500 speed>20").fill("plan bus1")
    expect(status).to_have_text(re.compile(rf"^(?!{every} )\d+ of {every}$"))
    now = panel.locator(".p-message[data-index][data-time=now] .p-time")
    view.press("Escape")
    view.page.locator("#play").focus()
    view.press("End")
    expect(now).to_contain_text("0:21")
    view.press("Home")
    expect(now).to_contain_text("0:00")
    panel.get_by_label("Search: rsu 1234 size>500 speed>20").fill("nobody says this")
    expect(status).to_have_text(f"0 of {every}")


def test_messages_open_by_keyboard(report: Report) -> None:
    view = report("plain", "#t=5")
    panel = view.open("messages")
    grid = panel.locator(".p-messages-list")
    expect(panel.locator(".p-message[data-index]").first).to_be_visible()
    grid.focus()
    view.press("ArrowDown")
    expect(panel.locator(".p-details")).to_be_visible()
    first = view.page.evaluate("icv.app.selectedMessage.row")
    view.press("ArrowDown")
    view.until(f"icv.app.selectedMessage.row > {first}")
    expect(view.time).to_have_text("0:05.0")  # the list has the arrows, not the clock
    view.press("Escape")
    expect(panel.locator(".p-details")).to_be_hidden()


def test_plots_carry_a_cursor_at_the_playhead_and_take_clicks(report: Report) -> None:
    view = report("plain")
    panel = view.open("plots")
    chart = panel.locator(".p-chart", has_text="Speed").first
    head = chart.locator(".p-playhead")
    expect(head).to_be_visible()
    over = chart.locator(".u-over").bounding_box()
    assert over is not None

    def share() -> float:
        box = head.bounding_box()
        assert box is not None
        return (box["x"] + box["width"] / 2 - over["x"]) / over["width"]

    assert share() == pytest.approx(0.0, abs=0.02)
    view.scrub(0.5)
    view.drawn()
    view.page.wait_for_timeout(200)
    assert share() == pytest.approx(0.5, abs=0.03)
    values = chart.locator(".p-now").first
    expect(values).not_to_have_text(re.compile("^[–0]$"))
    before = values.inner_text()
    view.page.mouse.click(over["x"] + over["width"] * 0.25, over["y"] + 20)
    view.page.wait_for_timeout(250)
    assert view.seconds == pytest.approx(21.9 / 4, abs=0.3)
    assert share() == pytest.approx(0.25, abs=0.03)
    expect(values).not_to_have_text(before)
    ink = chart.locator("canvas").evaluate("c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size")  # fmt: skip
    assert ink > 10  # something is drawn
    view.keep("plots")


def test_plots_zoom_by_dragging_and_back(report: Report) -> None:
    view = report("silent")
    panel = view.open("plots")
    chart = panel.locator(".p-chart", has_text="Speed").first
    over = chart.locator(".u-over").bounding_box()
    assert over is not None
    pixels = "c => c.toDataURL()"
    whole = chart.locator("canvas").evaluate(pixels)
    y = over["y"] + 30
    view.page.mouse.move(over["x"] + over["width"] * 0.3, y)
    view.page.mouse.down()
    view.page.mouse.move(over["x"] + over["width"] * 0.6, y, steps=4)
    view.page.mouse.up()
    view.page.wait_for_timeout(150)
    assert chart.locator("canvas").evaluate(pixels) != whole
    panel.get_by_role("button", name="Whole run").click()
    view.page.wait_for_timeout(150)
    assert chart.locator("canvas").evaluate(pixels) == whole


def test_events_signals_and_an_actor_are_told(report: Report) -> None:
    view = report("silent", "#t=9")
    events = view.open("events")
    expect(events).to_contain_text("fault began")
    events.locator(".p-event", has_text="fault began").click()
    expect(view.time).to_have_text("0:08.0")
    view.keep("events")
    signals = view.open("signals")
    expect(signals).to_contain_text("J1")
    view.keep("signals")
    actor = view.open("actor")
    expect(actor).to_contain_text("bus1")
    view.keep("actor")


def test_what_a_unit_perceives_is_laid_over_the_truth(report: Report) -> None:
    view = report("plain", "#t=20")
    view.press("Escape", "0")
    view.drawn()
    box = view.page.locator(".scene-canvas").bounding_box()
    assert box is not None
    places = view.page.evaluate("icv.app.run.meta.rsus.map(r => [r.name, icv.scenes.camera.sx(r.x), icv.scenes.camera.sy(r.y)])")  # fmt: skip
    seen = {}
    for name, x, y in places:
        view.page.mouse.click(box["x"] + x, box["y"] + y)
        expect(view.card.locator("b")).to_have_text(f"rsu/{name}")
        expect(view.card).to_contain_text(re.compile(rf"\d+ objects? \(rsu/{name}\)"))
        found = re.search(r"(\d+) objects?", view.card.inner_text())
        assert found is not None
        seen[name] = int(found[1])
    best = max(seen, key=lambda name: seen[name])
    assert seen[best] >= 1
    view.page.locator(".card-top button").click()
    view.drawn()
    without = view.picture()
    _, x, y = next(place for place in places if place[0] == best)
    view.page.mouse.click(box["x"] + x, box["y"] + y)
    view.drawn()
    assert view.picture() != without
    view.page.get_by_label("What is shown").click()
    view.page.locator(".popover label", has_text="What the unit perceives").locator("input").click()
    view.drawn()
    hidden = view.picture()
    view.page.locator(".popover label", has_text="What the unit perceives").locator("input").click()
    view.drawn()
    assert view.picture() != hidden
    view.page.evaluate(
        """unit => {
          const { x, y } = icv.app.run.peek(`perceived/${unit}`, 0);
          icv.scenes.aim(x[x.length - 1], y[y.length - 1], 12);
        }""",
        f"rsu/{best}",
    )
    view.press("Escape")
    view.page.evaluate(
        """unit => {
          const { t } = icv.app.run.peek(`perceived/${unit}`, 0);
          icv.app.seek(t[t.length - 1]);
        }""",
        f"rsu/{best}",
    )
    view.page.evaluate("unit => icv.app.selectUnit(unit)", f"rsu/{best}")
    view.page.wait_for_timeout(400)
    view.drawn()
    view.keep("perceived")


def test_hiding_the_panels_gives_the_scene_their_room(report: Report) -> None:
    view = report("plain")
    width = "document.querySelector('.scene-canvas canvas').clientWidth"
    before = view.page.evaluate(width)
    view.press("p")
    view.until(f"{width} > {before} + 200")
    view.drawn()
    view.keep("panels_hidden")
    view.press("p")
    view.until(f"{width} === {before}")
