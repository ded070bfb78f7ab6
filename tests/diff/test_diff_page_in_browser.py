"""The page of a comparison in a real browser: opens from disk, asks for nothing, speaks Chinese, filters, runs no stranger's script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from protocols.v1 import log_pb2, rsm_pb2
from sim.diff.compare import diff_logs
from sim.diff.page import render
from tests.diff import mutate
from tests.diff.mutate import Record
from tests.support import fault_scene
from tests.support.browser import Watched, launched

HOSTILE = "<script>window.taken=1</script>\"'><img src=x onerror=window.taken=1></td></script>{{ 7*7 }}"  # fmt: skip
Change = Callable[[list[Record]], None]
Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as made:
        yield made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = fault_scene.scene((), duration_s=3.0)
    return fault_scene.run(scene, tmp_path_factory.mktemp("run")).log_path


@pytest.fixture
def look(browser: Browser, log: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of the log against a changed copy; nothing may be said or asked for but the page itself."""
    opened: list[Watched] = []

    def open_page(change: Change, **options: Any) -> Watched:
        epoch, items = mutate.read(log)
        change(items)
        mutate.write(tmp_path / "b.mcap", epoch, items)
        page = tmp_path / "difference.html"
        page.write_text(render(diff_logs(log, tmp_path / "b.mcap")), encoding="utf-8")
        opened.append(Watched(browser, page.resolve().as_uri(), **options))
        return opened[-1]

    yield open_page
    for one in opened:
        one.close(one.address)


def move(items: list[Record]) -> None:
    """One track is elsewhere from 1 s on."""
    for k, item in enumerate(items):
        if item.topic == "v2x/rsm" and item.t_ns >= 10**9:
            message = rsm_pb2.RoadsideSafety.FromString(item.data)
            if message.y_m:
                message.y_m[0] += 0.5
                items[k] = replace(item, data=message.SerializeToString())


def hostile(items: list[Record]) -> None:
    """Whoever can be named in a log is named badly: a sender, an event, a key of the configuration, a version, a note."""
    head = log_pb2.RunHeader.FromString(items[0].data)
    head.scenario = head.commit = HOSTILE
    head.version[HOSTILE] = HOSTILE
    head.config_json = '{"scene": {"faults": [], "' + HOSTILE.replace('"', '\\"') + '": "</script>"}}'  # fmt: skip
    items[0] = replace(items[0], data=head.SerializeToString())
    at = next(k for k, item in enumerate(items) if item.topic == "v2x/rsm")
    items[at] = replace(items[at], sender=HOSTILE)
    event = log_pb2.Event(t_ns=10**9, kind=HOSTILE, subject=HOSTILE, text=HOSTILE)
    event.value[HOSTILE] = 1.0
    late = next(k for k, item in enumerate(items) if item.t_ns >= 10**9)
    items.insert(late, replace(items[at], topic="truth/event", sender="sim", t_ns=10**9, seq=0, data=event.SerializeToString()))  # fmt: skip
    note = log_pb2.Note(t_ns=10**9, name=[HOSTILE], value=[1.0])
    items.insert(late, replace(items[at], topic="log/note", sender=HOSTILE, t_ns=10**9, seq=0, data=note.SerializeToString()))  # fmt: skip


def test_it_opens_from_disk_and_names_the_first_difference(look: Open) -> None:
    page = look(move).page
    expect(page.locator(".answer .badge .en")).to_have_text("different")
    expect(page.locator(".answer .en:visible", has_text="field of a message")).to_have_count(1)
    expect(page.locator("ol.chain li").first).to_contain_text("y_m[0]")
    expect(page.locator("ol.chain li").first).to_contain_text("rsu/X")
    assert page.locator("svg polyline").count() >= 2
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator(".zh:visible").count() == 0


def test_the_language_can_be_switched_and_follows_the_reader(look: Open) -> None:
    page = look(move).page
    page.locator("#language").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".answer .badge .zh")).to_be_visible()
    assert page.locator(".en:visible").count() == 0
    assert page.locator(".zh:visible").count() > 20
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.locator("#language").click()
    assert page.locator(".zh:visible").count() == 0
    chinese = look(move, locale="zh-CN").page
    expect(chinese.locator(".answer .badge .zh")).to_be_visible()
    assert chinese.locator(".en:visible").count() == 0


def test_fields_can_be_filtered_with_the_keyboard(look: Open) -> None:
    page = look(move).page
    rows = page.locator("#field-table tbody tr:visible")
    before = rows.count()
    page.locator("#filter").focus()
    page.keyboard.type("rsm Y_M")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("y_m")
    page.locator("#filter").fill("")
    expect(rows).to_have_count(before)


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_narrow_and_wide_windows(look: Open, width: int) -> None:
    page = look(move, viewport={"width": width, "height": 800}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_are_text(look: Open) -> None:
    for language in ("en-US", "zh-CN"):
        page = look(hostile, locale=language).page
        body = page.locator("body")
        expect(body).to_contain_text("<script>window.taken=1</script>")
        expect(body).to_contain_text("{{ 7*7 }}")
        expect(page.locator("img")).to_have_count(0)
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("window.taken === undefined")
        assert len(page.title()) < 120
