"""Two runs in one page, from a report and from the server: overlaid, side by side, in the verdict and in the plots."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.viewer_browser.viewer_page import ViewerPage

Look = Callable[..., ViewerPage]


@pytest.fixture(params=["report", "server"])
def compared(request: pytest.FixtureRequest, root: Path, look: Look) -> Callable[[str], ViewerPage]:
    """Opens the plain run and the one with the silent unit; the argument follows the `#`."""
    if request.param == "report":
        address = (root / "reports" / "compared.html").as_uri()
    else:
        server = request.getfixturevalue("server")
        rows = look(server).page.locator(".p-run-table tbody tr")
        expect(rows).to_have_count(4)
        links = {
            row.locator(".p-path").first.inner_text(): row.locator("a.p-run").get_attribute("href")
            for row in rows.all()
        }
        first, second = (links[f"{name}/run.mcap"] or "" for name in ("plain", "silent"))
        address = f"{server}{first}&other={second.removeprefix('?run=')}"

    def open_page(at: str) -> ViewerPage:
        return look(address + at)

    return open_page


def test_two_runs_are_told_apart_from_the_moment_they_part(
    compared: Callable[[str], ViewerPage],
) -> None:
    view = compared("#t=5")
    bar = view.page.locator(".compare-bar")
    expect(bar).to_have_text("all actors within 0.1 m")
    together = view.picture()
    view.page.evaluate("icv.app.seek(12000)")
    view.drawn()
    expect(bar).to_have_text(re.compile(r"[1-9]\d* actors? more than 0\.1 m apart(, at most|:) \d+\.\d\d m \(bus1\)"))  # fmt: skip
    assert view.picture() != together
    view.page.get_by_label("What is shown").click()
    shown = view.picture()
    view.page.locator(".popover label", has_text="Differences of the runs").locator("input").uncheck()  # fmt: skip
    view.drawn()
    assert view.picture() != shown


def test_two_runs_side_by_side_or_one_alone(compared: Callable[[str], ViewerPage]) -> None:
    view = compared("#t=12")
    overlaid = view.picture()
    view.keep("compare_overlaid")
    view.page.get_by_role("button", name="Side by side").click()
    expect(view.page.locator(".scene:visible")).to_have_count(2)
    expect(view.page.locator(".run-tag:visible")).to_have_text(["Run A", "Run B"])
    view.drawn()
    assert view.picture(scene=0) != view.picture(scene=1)
    view.keep("compare_side_by_side")
    view.page.get_by_role("button", name="First run only").click()
    expect(view.page.locator(".scene:visible")).to_have_count(1)
    view.drawn()
    alone = view.picture()
    assert alone != overlaid
    view.page.get_by_role("button", name="Overlaid").click()
    view.drawn()
    assert view.picture() == overlaid


def test_two_verdicts_and_two_lines_in_each_plot(compared: Callable[[str], ViewerPage]) -> None:
    view = compared("#t=12")
    panel = view.open("criteria")
    expect(panel.locator(".p-banner")).to_have_count(2)
    expect(panel.locator(".p-banner").nth(1)).to_contain_text("7 of 27 criteria failed")
    braking = panel.locator("li", has_text="emergencies")
    expect(braking.locator(".p-other")).to_have_text(re.compile("✗ 1"))
    expect(braking.locator(".p-other")).to_have_class(re.compile("p-changed"))
    chart = view.open("plots").locator(".p-chart", has_text="Speed").first
    values = chart.locator(".p-now")
    expect(values).to_have_count(2)
    view.page.wait_for_timeout(200)
    first, second = values.all_inner_texts()
    assert first != second and float(second) < 1.0  # standing
    pixels = "c => c.toDataURL()"
    both = chart.locator("canvas").evaluate(pixels)
    view.keep("compare_plots")
    view.page.get_by_label("overlay run B").uncheck()
    expect(values).to_have_count(1)
    chart = view.page.locator(".p-chart", has_text="Speed").first
    assert chart.locator("canvas").evaluate(pixels) != both
    view.press("l")
    expect(view.page.locator(".compare-bar")).to_contain_text("相距超过")
