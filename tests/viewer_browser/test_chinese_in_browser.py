"""The whole page in Chinese: verdicts, events, what is missing of a log, and why a run cannot be shown; not a sentence stays English."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.viewer_browser.viewer_page import ViewerPage

Report = Callable[..., ViewerPage]
Look = Callable[..., ViewerPage]
# Two English words in a row are a sentence; names of stations, topics and units are not.
ENGLISH = re.compile(r"\b[a-z]{2,} (?:[a-z]{2,}\b|\d)")
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("run", ["silent", "plain", "island"])
def test_a_verdict_is_said_in_chinese(report: Report, run: str) -> None:
    view = report(run, "#t=9&lang=zh&tab=criteria")
    expect(view.page.locator("html")).to_have_attribute("lang", "zh-CN")
    header = view.page.locator("header .sentence")
    expect(header).to_have_text(
        re.compile(r"^\d+ 项判据中有 \d+ 项未满足；首项：.*[\u4e00-\u9fff]")
    )
    expect(header).to_have_attribute("title", header.inner_text())
    failed = view.page.locator(".p-criteria li.p-bad")
    expect(failed.first).to_be_visible()
    for part in (".p-sentence", ".p-criterion-name"):
        for text in view.page.locator(f".p-criteria {part}").all_inner_texts():
            assert HAN.search(text) and not ENGLISH.search(text), text
    view.keep(f"chinese_verdict_{run}")
    view.press("l")
    expect(header).to_have_text(re.compile(r"^\d+ of \d+ criteria failed; first: "))
    assert not HAN.search(" ".join(view.page.locator(".p-criteria .p-sentence").all_inner_texts()))
    expect(view.page.locator("html")).to_have_attribute("lang", "en")


def test_figures_are_those_of_the_english_sentence(report: Report) -> None:
    view = report("plain", "#tab=criteria")
    sentences = view.page.locator(".p-criteria .p-sentence")
    figures = [sorted(re.findall(r"\d+(?:\.\d+)?%?", text)) for text in _english(sentences.all_inner_texts())]  # fmt: skip
    view.press("l")
    expect(sentences.first).to_have_text(HAN)
    chinese = [re.sub("95 百分位数", "", text).replace("P95", "") for text in sentences.all_inner_texts()]  # fmt: skip
    assert [sorted(re.findall(r"\d+(?:\.\d+)?%?", text)) for text in chinese] == figures


def _english(texts: list[str]) -> list[str]:
    """Without the digits of units and names, and `no` as the count that it is."""
    plain = (re.sub(r"m/s[23]|\bp95\b", "", text) for text in texts)
    return [re.sub(r"^no ", "0 ", text) for text in plain]


def test_a_failure_on_the_line_of_time_and_events_are_said_in_chinese(report: Report) -> None:
    view = report("silent", "#t=8&lang=zh&tab=events")
    events = view.page.locator(".p-event")
    expect(events.filter(has_text="看门狗").first).to_contain_text("obu/bus1 无输出：其车辆制动")
    expect(events.filter(has_text="故障开始").first).to_contain_text("故障 faults.0：单元崩溃（obu/bus1）")  # fmt: skip
    search = view.page.get_by_label("搜索")
    search.fill("制动")
    expect(events.first).to_contain_text("制动")
    search.fill("brakes")  # what was recorded is found as well
    expect(events.first).to_contain_text("其车辆制动")
    view.keep("chinese_events")
    box = view.page.locator(".timeline").bounding_box()
    assert box is not None
    tips = set()
    silent = (
        "icv.app.run.meta.events.find(e => e.kind === 'watchdog').t_s * 1000 / icv.app.durationMs"
    )
    for share in (view.page.evaluate(silent), *(k / 20 for k in range(1, 20))):
        view.page.mouse.move(box["x"] + 10 + (box["width"] - 20) * share, box["y"] + 8)
        tips |= {line for line in view.page.locator(".tip-line").all_inner_texts() if line}
    assert tips and all(HAN.search(tip) and not ENGLISH.search(tip) for tip in tips), tips
    assert any("其车辆制动" in tip for tip in tips)


def test_metrics_of_vehicles_have_chinese_names_and_si_units(report: Report) -> None:
    view = report("plain", "#lang=zh&tab=criteria")
    rows = view.page.locator(".p-table tbody th").all_inner_texts()
    assert len(rows) > 8 and all(HAN.search(row) for row in rows), rows
    assert "平均速度 (m/s)" in rows and "行驶里程 (m)" in rows


def test_what_is_missing_of_a_log_is_said_in_chinese(report: Report) -> None:
    view = report("cut", "#lang=zh")
    strip = view.page.locator(".lost")
    expect(strip).to_have_text(re.compile(r"^日志不完整：.*字节.*。$"))
    expect(view.page.locator("header .sentence")).to_have_text(
        "日志中没有结果：运行没有到达终点，或日志结尾缺失"
    )
    view.keep("chinese_cut")


def test_the_list_of_runs_and_an_unknown_run_are_said_in_chinese(look: Look, server: str) -> None:
    view = look(server, locale="zh-CN")
    rows = view.page.locator(".p-run-table tbody tr")
    expect(rows).to_have_count(4)
    sentences = view.page.locator(".p-run-table td .p-path").all_inner_texts()
    assert len(sentences) == 4 and all(HAN.search(text) for text in sentences), sentences
    view.page.get_by_label("搜索").fill("项未满足")
    expect(rows).to_have_count(3)
    view.keep("chinese_runs")
    page = view.page.context.new_page()
    page.goto(f"{server}?run=nobody#lang=zh")
    expect(page.locator(".fatal p")).to_contain_text("没有这个运行")
    expect(page.locator(".fatal h1")).to_have_text("无法显示此次运行")
    page.close()
