"""The picture of a run far from the origin of its coordinates is that of the same run near it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from sim.report.html import write_report
from tests.support import fault_scene
from tests.support.browser import Watched, launched
from tests.support.crossroads import crossroads_xml

EAST_M, NORTH_M = 450_000.0, 4_450_000.0  # of a national grid


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as found:
        yield found


def picture(browser: Browser, folder: Path, east_m: float, north_m: float) -> np.ndarray:
    """The junction of a short run whose road lies that far from the origin, as the page draws it; (height, width, 3)."""

    def moved(found: re.Match[str]) -> str:
        x, y = float(found[2]) + east_m, float(found[4]) + north_m
        return f"{found[1]}{x!r}{found[3]}{y!r}{found[5]}"

    folder.mkdir()
    road = re.sub(r'(<geometry [^>]*x=")([^"]+)("[^>]*y=")([^"]+)(")', moved, crossroads_xml())
    (folder / "crossroads.xodr").write_text(road, encoding="utf-8")
    log = fault_scene.run(fault_scene.scene([], 0.3, flow=False), folder).log_path
    report = folder / "report.html"
    write_report(log, report)
    at = f"#t=0.2&lang=en&at={east_m + 10:.1f},{north_m + 10:.1f},30"
    watched = Watched(browser, report.as_uri() + at, viewport={"width": 1000, "height": 600})
    page = watched.page
    page.wait_for_function("document.querySelector('canvas') !== null")
    page.wait_for_timeout(800)  # until the picture of the road has been sharpened
    shot = page.screenshot(clip={"x": 100, "y": 60, "width": 400, "height": 440})
    assert watched.said == []
    watched.context.close()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int16)


def test_edges_of_lanes_are_where_they_are_near_the_origin(
    browser: Browser, tmp_path: Path
) -> None:
    near = picture(browser, tmp_path / "near", 0.0, 0.0)
    far = picture(browser, tmp_path / "far", EAST_M, NORTH_M)
    # Steps of half a metre would move edges by 15 pixels; the grain of the asphalt differs by a shade.
    assert (np.abs(near - far).max(axis=2) > 40).mean() < 0.001
    assert np.ptp(near[:, :, 0]) > 60  # asphalt, kerb and ground are all in it
