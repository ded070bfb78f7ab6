"""Pictures compared by what has to be in them: each layer's ink where data says that something is, words that are whole and apart,
text that can be read, at the sizes people have, in both languages and themes."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.browser import worst_contrast
from tests.viewer_browser.ink import PLACES, Point, changed_by, colour_at
from tests.viewer_browser.layout import misplaced
from tests.viewer_browser.viewer_page import ViewerPage

Report = Callable[..., ViewerPage]
TABS = ("criteria", "messages", "plots", "actor", "events", "signals", "about")
SIZES = ((1366, 768), (1920, 1080), (800, 600))


def places(view: ViewerPage, what: str) -> list[Point]:
    found = view.page.evaluate(PLACES, what)
    return [(float(x), float(y)) for x, y in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_layer_has_its_ink_where_the_data_says(report: Report, scheme: str) -> None:
    view = report("plain", "#t=14", color_scheme=scheme, viewport={"width": 1366, "height": 768})
    # Both sections of the bus are there, and in its own blue.
    sections = colour_at(view, places(view, "sections"))
    assert len(sections) == 2
    for colour in sections:
        assert colour is not None and colour[2] > colour[0] + 40, sections
    for layer, what, share in (("plans", "plan", 0.6), ("trails", "trail", 0.7)):
        # The bus itself covers the beginning of its plan.
        drawn = changed_by(view, layer, places(view, what))
        assert drawn["seen"] >= 3 and drawn["share"] >= share, (layer, drawn)
    names = changed_by(view, "labels", [])
    assert 400 < names["pixels"] < 40_000  # a few words, not the picture
    small = changed_by(view, "minimap", [])
    assert 4_000 < small["pixels"] < 40_000
    view.keep(f"ink_{scheme}")


def test_signals_have_the_colour_that_was_on_and_the_seconds_beside_them(report: Report) -> None:
    view = report("plain", "#t=14", viewport={"width": 1366, "height": 768})
    view.page.evaluate("(() => { const r = icv.app.run.meta.rsus[1]; icv.app.follow(false); icv.scenes.aim(r.x, r.y, 6); })()")  # fmt: skip
    view.page.wait_for_timeout(400)
    view.drawn()
    lines = places(view, "stop lines")
    lights = [str(light).upper() for light in view.page.evaluate(PLACES, "lights")]
    seen = [
        (light, colour)
        for light, colour in zip(lights, colour_at(view, lines), strict=True)
        if colour is not None
    ]
    assert len(seen) >= 4 and {"RED", "GREEN"} & {word for light, _ in seen for word in light.split("_")}  # fmt: skip
    for light, (red, green, blue) in seen:
        if "RED" in light:
            assert red > green + 40 and red > blue + 40, (light, red, green, blue)
        elif "GREEN" in light:
            assert green > red + 20, (light, red, green, blue)
        elif "YELLOW" in light:
            assert min(red, green) > blue + 40, (light, red, green, blue)
    drawn = changed_by(view, "signals", lines)
    assert drawn["share"] > 0.95
    # The seconds stand in boxes of the light's colour ahead of the lines: ink beyond the lines themselves.
    assert drawn["pixels"] > 150 * drawn["seen"]
    view.keep("ink_signals")


def test_coverage_is_a_circle_as_far_as_a_unit_reaches(report: Report) -> None:
    view = report("plain", "#t=14", viewport={"width": 1366, "height": 768})
    view.press("Escape", "0")
    view.page.wait_for_timeout(400)
    view.drawn()
    drawn = changed_by(view, "coverage", places(view, "coverage"), reach=2)
    assert drawn["seen"] > 300 and 0.4 < drawn["share"] < 0.99, drawn  # dashed
    assert drawn["pixels"] < 30_000  # a line, not an area
    for colour in colour_at(view, [(x - 0.5, y - 6.5) for x, y in places(view, "rsus")]):
        assert colour is not None and colour[2] > colour[1] + 20, colour  # violet
    everybody = places(view, "actors")
    assert sum(colour is not None for colour in colour_at(view, everybody)) > 0.8 * len(everybody)


def test_parking_bays_stand_out_from_the_ground(report: Report) -> None:
    view = report("island", "#t=5", color_scheme="light")
    view.press("Escape")
    inside, outside = view.page.evaluate(
        """async () => {
          const [bay] = icv.app.run.meta.roads.bays, mean = k => bay.reduce((sum, p) => sum + p[k], 0) / bay.length;
          icv.scenes.aim(mean(0), mean(1), 12);
          await new Promise(resolve => setTimeout(resolve, 900));
          const canvas = document.querySelector('.scene-canvas canvas'), context = canvas.getContext('2d');
          const at = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3).reduce((sum, v) => sum + v, 0) / 3;
          const corner = Math.min(...[[20, 300], [20, 600], [400, 20], [700, 20]].map(([x, y]) => 255 - at(x, y)));
          return [at(Math.round(canvas.width / 2), Math.round(canvas.height / 2)), 255 - corner];
        }"""
    )
    assert inside < outside - 50  # white marks on what is as pale as they are cannot be seen


def test_what_a_unit_perceives_lies_where_it_says(report: Report) -> None:
    view = report("plain", "#t=20", viewport={"width": 1366, "height": 768})
    units = view.page.evaluate("icv.app.run.meta.rsus.map(r => 'rsu/' + r.name)")
    counts = {}
    for unit in units:
        view.page.evaluate("unit => { icv.app.select(null); icv.app.selectUnit(unit); }", unit)
        view.page.wait_for_timeout(400)
        view.drawn()
        spots = places(view, f"perceived/{unit}")
        if not spots:
            continue
        x, y = spots[0]
        view.page.evaluate("([x, y]) => icv.scenes.aim(icv.scenes.camera.wx(x), icv.scenes.camera.wy(y), 10)", [x, y])  # fmt: skip
        view.page.wait_for_timeout(400)
        view.drawn()
        drawn = changed_by(view, "perceived", places(view, f"perceived/{unit}"), reach=14)
        counts[unit] = drawn
        assert drawn["seen"] >= 1 and drawn["share"] > 0.7, (unit, drawn)
    assert counts


@pytest.mark.parametrize(
    ("size", "language", "scheme"),
    [(SIZES[0], "en", "light"), (SIZES[1], "zh", "dark"), (SIZES[2], "en", "dark"), (SIZES[2], "zh", "light")],
    ids=["1366", "1920-zh", "800", "800-zh"],
)  # fmt: skip
def test_words_are_whole_apart_and_readable(report: Report, size: tuple[int, int], language: str, scheme: str) -> None:  # fmt: skip
    view = report(
        "compared", f"#t=12&sel=bus1&lang={language}", color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
    )  # fmt: skip
    for tab in TABS:
        panel = view.open(tab)
        if tab == "messages":
            panel.locator(".p-message[data-index][data-time=now]").click()
            expect(panel.locator(".p-details h3")).to_be_visible()
        view.page.wait_for_timeout(60)
        assert misplaced(view.page) == [], tab
        assert worst_contrast(view.page)["ratio"] >= 4.5, tab
        titles = panel.locator(".p-title").all_inner_texts()
        assert not [title for title in titles if re.search(r"[:：]\W*$", title)]  # half a title
    view.press("?")
    assert misplaced(view.page) == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_what_counts_is_in_view_without_scrolling_sideways(report: Report, size: tuple[int, int]) -> None:  # fmt: skip
    view = report("silent", "#t=9&lang=en", viewport={"width": size[0], "height": size[1]})
    for tab, wanted in (
        ("messages", ".p-message.p-head span:last-child, .p-message[data-time=now] .p-lost"),
        ("signals", ".p-signal.p-head span:nth-child(4)"),
        ("actor", ".p-table caption ~ thead th:last-child"),
    ):
        panel = view.open(tab)
        view.page.wait_for_timeout(150)
        edge = (panel.locator(".p-list") if tab != "actor" else panel).bounding_box()
        assert edge is not None
        for cell in panel.locator(wanted).all():
            box = cell.bounding_box()
            assert box is None or box["x"] + box["width"] <= edge["x"] + edge["width"] + 0.5, (tab, cell.inner_text())  # fmt: skip
    # What happened can be read whole.
    events = view.open("events")
    told = events.locator(".p-event", has_text="fault began").first.locator(".p-text")
    assert told.evaluate("each => each.scrollWidth <= each.clientWidth || each.clientWidth > 270")
