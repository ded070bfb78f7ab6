"""A run that a unit broke: the page says what broke it, at which moment, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from protocols.errors import UnitError
from sim import units
from sim.report.html import write_report
from tests.support.fault_scene import run, scene
from tests.unit_replay.test_replay_broken import Broken
from tests.viewer_browser.viewer_page import ViewerPage

Look = Callable[..., ViewerPage]


def test_why_a_run_broke_off_is_told_at_its_moment(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FleetUnit", Broken)
    with pytest.raises(UnitError, match="planted"):
        run(scene((), 4.0), tmp_path)
    write_report(tmp_path / "run.mcap", tmp_path / "report.html")
    view = look(f"{(tmp_path / 'report.html').as_uri()}#lang=en", offline=True)
    expect(view.page.locator("header .badge")).to_have_text("INFRASTRUCTURE ERROR")
    sentence = view.page.locator("header .sentence")
    expect(sentence).to_have_text(re.compile(r"^unit fleet at tick 300 \(t=3\.00 s\) raised RuntimeError: planted"))  # fmt: skip
    view.press("BracketRight")
    assert view.seconds == 3.0
    events = view.open("events")
    expect(events.locator(".p-event")).to_contain_text(re.compile("run broke off.*RuntimeError"))
    view.keep("broken")
    view.press("l")
    expect(view.page.locator("header .badge")).to_have_text("基础设施错误")
    expect(sentence).to_have_text(re.compile("抛出异常 RuntimeError: planted"))
    expect(events.locator(".p-event")).to_contain_text("运行中断")
