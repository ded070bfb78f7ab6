"""The suite's page in a real browser: opens from disk, asks for nothing, filters, sorts, unfolds, speaks Chinese, runs no stranger's script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from scenarios.verdict import Outcome
from sim.suite.model import SuiteResult, Task, TaskResult
from sim.suite.page import write_page
from tests.support.browser import Watched, launched, worst_contrast

HOSTILE = "<script>window.taken=1</script>\"'><img src=x onerror=window.taken=1></script>{{ 7*7 }}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as made:
        yield made


class Opened(Watched):
    """A page from a file."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        super().__init__(browser, path.resolve().as_uri(), **options)

    def rows(self) -> list[str]:
        """Names of the rows that are to be seen, in order."""
        return self.page.locator("tr.run:visible .id").all_inner_texts()


@pytest.fixture
def look(browser: Browser) -> Iterator[Any]:
    opened: list[Opened] = []

    def open_page(path: Path, **options: Any) -> Opened:
        opened.append(Opened(browser, path, **options))
        return opened[-1]

    yield open_page
    for one in opened:
        one.close(one.address)


def criterion(name: str, passed: bool, value: float | None = 1.5, sentence: str = "") -> dict[str, Any]:  # fmt: skip
    return {
        "name": name, "passed": passed, "value": value, "limit": 3.0, "unit": "m/s3", "t_s": 4.25,
        "sentence": sentence or f"{name} said so", "where": "",
    }  # fmt: skip


def result(name: str, outcome: Outcome = Outcome.PASS, *overrides: str, **more: Any) -> TaskResult:
    task = Task(name, re.split(r"[\[#]", name)[0], overrides, repeat=more.pop("repeat", 0), suite="nightly")  # fmt: skip
    more.setdefault("criteria", (criterion("jerk", outcome is Outcome.PASS), criterion("lanes", True)))  # fmt: skip
    more.setdefault("sentence", f"{outcome.value} it is")
    return TaskResult(task, outcome, more.pop("sentence"), digest="0123456789abcdef", **more)


def suite(*results: TaskResult, outcome: Outcome = Outcome.FAIL) -> SuiteResult:
    return SuiteResult(
        "nightly", outcome, "one sentence", results, "2026-05-18T02:00:00Z", 75.0, 2, "c0ffee", {"icv": "1"}, 7,
    )  # fmt: skip


MIXED = suite(
    result("calm", metrics={"bus1.travel_time_s": 640.0}, wall_s=9.0),
    result("late", Outcome.FAIL, sentence="bus1 came 3 s late", wall_s=20.0),
    result("shaky", Outcome.PASS, is_flaky=True, wall_s=1.0),
    result("shaky#2", Outcome.FAIL, is_flaky=True, repeat=1, wall_s=2.0),
    result("typo", Outcome.BAD_INPUT, criteria=(), sentence="unknown key 'vehicels'"),
    result("gone", Outcome.INFRASTRUCTURE_ERROR, criteria=(), sentence="worker 1 was killed"),
    outcome=Outcome.INFRASTRUCTURE_ERROR,
)


def test_what_needs_a_look_comes_first(look: Any, tmp_path: Path) -> None:
    opened = look(write_page(MIXED, tmp_path / "suite.html", tmp_path))
    page = opened.page
    expect(page.locator(".verdict")).to_contain_text("infrastructure error")
    expect(page.locator(".banner")).to_contain_text("1 min 15 s")
    assert opened.rows() == ["gone", "typo", "shaky", "shaky#2", "late", "calm"]
    # Above the table too, a flaky run once, with what its repetitions said.
    assert page.locator(".first .id").all_inner_texts() == ["gone", "typo", "shaky", "late"]
    expect(page.locator(".first li").nth(2)).to_contain_text("✓ ✗")
    page.locator(".first a", has_text="late").click()
    expect(page.locator("tr.more")).to_contain_text("jerk said so")


def test_filters_search_and_reset(look: Any, tmp_path: Path) -> None:
    opened = look(write_page(MIXED, tmp_path / "suite.html", tmp_path))
    page = opened.page
    page.locator(".chip", has_text="failed").click()
    assert opened.rows() == ["shaky#2", "late"]
    expect(page.locator("#shown")).to_have_text("2 of 6 runs")
    expect(page.locator(".chip", has_text="failed")).to_have_attribute("aria-pressed", "true")
    page.locator(".chip", has_text="flaky").click()
    assert opened.rows() == ["shaky", "shaky#2"]
    page.locator(".chip", has_text="all").click()
    page.locator("#search").fill("came late")  # every word, anywhere
    assert opened.rows() == ["late"]
    page.locator("#search").fill("nobody")
    assert opened.rows() == []
    page.locator("#reset").click()
    assert len(opened.rows()) == 6


def test_columns_sort_both_ways_and_missing_figures_stay_last(look: Any, tmp_path: Path) -> None:
    opened = look(write_page(MIXED, tmp_path / "suite.html", tmp_path))
    page = opened.page
    page.locator("th.c-wall button").click()
    assert opened.rows()[-2:] == ["calm", "late"]
    expect(page.locator("th.c-wall")).to_have_attribute("aria-sort", "ascending")
    page.locator("th.c-wall button").click()
    assert opened.rows()[:2] == ["late", "calm"]
    page.locator("th.c-scenario button").click()
    assert opened.rows() == ["calm", "gone", "late", "shaky", "shaky#2", "typo"]
    for _ in range(2):
        page.locator("th.c-criteria button").click()
        assert set(opened.rows()[-2:]) == {"gone", "typo"}


def test_a_row_unfolds_to_criteria_and_figures_by_mouse_and_by_keyboard(look: Any, tmp_path: Path) -> None:  # fmt: skip
    opened = look(write_page(MIXED, tmp_path / "suite.html", tmp_path))
    page = opened.page
    row = page.locator("tr.run", has_text="came 3 s late")
    row.click()
    more = page.locator("tr.more")
    first = more.locator("tbody tr").first  # what failed comes first
    expect(first).to_contain_text("jerk said so")
    expect(first).to_contain_text("1.5 m/s³")
    expect(first).to_contain_text("4.25 s")
    expect(row.locator(".open")).to_have_attribute("aria-expanded", "true")
    row.click()
    expect(more).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#run-0").focus()
    for _ in range(5):
        page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("tr.more")).to_contain_text("bus1.travel_time_s")
    expect(page.locator("tr.more")).to_contain_text("icv run calm")
    page.locator("#unfold").click()  # one is open: fold
    expect(page.locator("tr.more")).to_have_count(0)
    page.locator("#unfold").click()
    expect(page.locator("tr.more")).to_have_count(6)


def test_a_link_leads_to_one_run(look: Any, tmp_path: Path) -> None:
    path = write_page(MIXED, tmp_path / "suite.html", tmp_path)
    page = look(path).page
    page.goto(path.resolve().as_uri() + "#run-4")
    page.reload()
    expect(page.locator("#run-4")).to_have_attribute("aria-expanded", "true")


def test_the_page_speaks_chinese_and_english(look: Any, tmp_path: Path) -> None:
    path = write_page(MIXED, tmp_path / "suite.html", tmp_path)
    page = look(path).page
    page.locator("#run-4").click()
    page.locator("#lang").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator(".verdict")).to_contain_text("基础设施错误")
    expect(page.locator("th.c-scenario")).to_contain_text("场景")
    expect(page.locator("tr.more")).to_contain_text("发生了什么")
    expect(page.locator("#search")).to_have_attribute("placeholder", re.compile("搜索"))
    page.locator("#lang").click()
    expect(page.locator(".verdict")).to_contain_text("infrastructure error")
    chinese = look(path, locale="zh-CN")
    expect(chinese.page.locator("#results-title")).to_have_text("运行")


def test_verdicts_and_what_ended_a_run_are_said_in_chinese(look: Any, tmp_path: Path) -> None:
    late = "bus1 left at most 315.5 s late, Dongfeng eastbound"
    timed = "no end within 60 s of wall time, at 3.2 s simulated; its worker was ended. Allow more with --timeout"
    counts = "1 of 3 passed, 1 failed, 1 infrastructure error"
    criteria = (
        criterion("timetable/bus1 late", False, 315.5, late),
        criterion("no_collision", True, 0.0, "no collisions (automated vehicles)"),
        criterion("my own rule", True, 0.0, "a sentence nobody has translated"),
    )
    runs = suite(
        result("good", metrics={"bus1.dwell_s": 30.0, "of_my_own": 1.0}),
        result("tardy", Outcome.FAIL, sentence=f"1 of 3 criteria failed; first: {late}", criteria=criteria, metrics={"bus1.dwell_s": 31.0}),
        result("stuck", Outcome.INFRASTRUCTURE_ERROR, criteria=(), sentence=timed),
        outcome=Outcome.INFRASTRUCTURE_ERROR,
    )  # fmt: skip
    runs = replace(runs, sentence=f"{counts}; worst: stuck: {timed}", broken="ran out of memory: the limit is 300 MB; allow more with --memory")  # fmt: skip
    opened = look(write_page(runs, tmp_path / "suite.html", tmp_path), locale="zh-CN")
    page = opened.page
    expect(page.locator(".banner .sentence")).to_have_text(
        "3 个运行中 1 个通过、1 个未通过、1 个基础设施错误；最严重：stuck：实际耗时超过 60 s 仍未结束"
        "（已仿真到 3.2 s），工作进程已被终止。可用 --timeout 放宽"
    )
    expect(page.locator(".alert")).to_have_text("内存不足：限值为 300 MB；可用 --memory 放宽")
    failed = "bus1 离站时间最多晚点 315.5 s（Dongfeng eastbound）"
    verdict = f"3 项判据中有 1 项未满足；首项：{failed}"
    expect(page.locator(".first li p").nth(1)).to_have_text(verdict)
    row = page.locator("tr.run", has_text="tardy")
    expect(row.locator(".c-said")).to_have_text(verdict)
    row.click()
    lines = page.locator("table.criteria tbody tr")
    expect(lines.nth(0)).to_contain_text("时刻表 · bus1 · 晚点")
    expect(lines.nth(0)).to_contain_text(failed)
    expect(lines.nth(1)).to_contain_text("碰撞 0 次（自动驾驶车辆）")
    expect(lines.nth(2)).to_contain_text("a sentence nobody has translated")
    expect(page.locator("tr.more")).to_contain_text("bus1 · 停站时间")
    expect(page).to_have_title("基础设施错误 · nightly · icv 测试套件")
    expect(page.locator(".bar")).to_have_attribute("aria-label", "1 基础设施错误, 1 未通过, 1 通过")
    screens = Path(__file__).parents[2] / "build" / "screens"
    screens.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=screens / "chinese_suite.png", full_page=True)
    page.locator("#search").fill("晚点 315.5")  # in the words of the page
    assert opened.rows() == ["tardy"]
    page.locator("#search").fill("315.5 s late")  # and as recorded
    assert opened.rows() == ["tardy"]
    page.locator("#lang").click()
    expect(page.locator(".banner .sentence")).to_have_text(runs.sentence)
    expect(lines.nth(0)).to_contain_text(late)
    expect(page).to_have_title("infrastructure error · nightly · icv suite")


def test_every_word_of_the_page_has_a_chinese_one(look: Any, tmp_path: Path) -> None:
    sweep = [result(f"s[x={x}]", Outcome.FAIL, f"x={x}", metrics={"m": float(x)}) for x in range(3)]
    both = suite(*MIXED.results, *sweep)
    page = look(write_page(both, tmp_path / "suite.html", tmp_path), locale="zh-CN").page
    left = page.evaluate(
        "[...document.querySelectorAll('[data-t]')].map(n => n.textContent).filter(t => !/[\\u4e00-\\u9fff]/.test(t))"
    )
    assert left == []


def test_hostile_names_are_shown_as_text_and_run_nothing(look: Any, tmp_path: Path) -> None:
    bad = result(
        HOSTILE, Outcome.FAIL, f"{HOSTILE}=1", "x=1", sentence=HOSTILE + "\ud800",
        criteria=(criterion(HOSTILE, False, sentence=HOSTILE),), metrics={HOSTILE: 2.0},
    )  # fmt: skip
    other = result(HOSTILE + "2", Outcome.PASS, f"{HOSTILE}=2", "x=2", metrics={HOSTILE: 3.0})
    bad, other = (replace(one, task=replace(one.task, scene=HOSTILE)) for one in (bad, other))
    path = write_page(replace(suite(bad, other), name=HOSTILE), tmp_path / "suite.html", tmp_path)
    opened = look(path)
    page = opened.page
    assert page.locator("h1").inner_text() == HOSTILE
    assert opened.rows() == [HOSTILE, HOSTILE + "2"]
    page.locator("#unfold").click()
    assert page.locator("tr.more .criteria td").nth(1).inner_text() == HOSTILE
    expect(page.locator(".sweep h3")).to_contain_text("<script>")
    expect(page.locator("tr.more .again").first).to_contain_text("icv run '<script>")
    assert page.evaluate("window.taken") is None
    assert page.locator("img").count() == 0


def test_figures_that_are_no_numbers_do_not_break_the_page(look: Any, tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    odd = result("odd", Outcome.PASS, criteria=(criterion("jerk", True, nan),), metrics={"a": inf, "b": nan})  # fmt: skip
    page = look(write_page(suite(odd), tmp_path / "suite.html", tmp_path)).page
    page.locator("#run-0").click()
    expect(page.locator("tr.more")).to_contain_text("–")


def test_links_lead_to_what_is_there_and_only_to_that(look: Any, tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    for name, files in (("a b#1:x", ("run.mcap", "report.html", "result.json")), ("c", ("run.mcap", "output.txt"))):  # fmt: skip
        (folder / name).mkdir(parents=True)
        for file in files:
            (folder / name / file).write_text(f"<title>{file}</title>")
    results = [
        result("whole", log="a b#1:x/run.mcap"),
        result("only", log="c/run.mcap", output="c/output.txt"),
        result("lost", log="gone/run.mcap"),
        result("sly", log="javascript:alert(1)"),
    ]
    path = write_page(suite(*results), tmp_path / "pages" / "suite.html", folder)
    opened = look(path)
    page = opened.page
    page.locator("#unfold").click()
    links = page.locator("tr.more a")
    assert links.evaluate_all("all => all.map(a => a.getAttribute('href'))") == [
        "./../suite/a%20b%231%3Ax/report.html",
        "./../suite/a%20b%231%3Ax/run.mcap",
        "./../suite/a%20b%231%3Ax/result.json",
        "./../suite/c/run.mcap",
        "./../suite/c/output.txt",
    ]
    address = links.first.evaluate("a => a.href")
    assert page.request is not None
    opened.asked.clear()
    page.goto(address)
    assert page.title() == "report.html"
    opened.asked.clear()


def grid_of(*axes: tuple[str, list[str]], fails: Any = lambda *_: False) -> SuiteResult:
    results: list[TaskResult] = []
    (a, first), *second = axes
    for x in first:
        for y in second[0][1] if second else [""]:
            overrides = [f"{a}={x}"] + ([f"{second[0][0]}={y}"] if second else [])
            outcome = Outcome.FAIL if fails(x, y) else Outcome.PASS
            results.append(result(f"s[{','.join(overrides)}]", outcome, *overrides, metrics={"t": float(len(results))}))  # fmt: skip
    return suite(*results)


def test_a_sweep_of_two_keys_is_a_table_whose_cells_lead_to_their_runs(look: Any, tmp_path: Path) -> None:  # fmt: skip
    swept = grid_of(("demand", ["0.5", "1.0", "10"]), ("radio.model", ["a", "b"]), fails=lambda x, y: (x, y) == ("10", "b"))  # fmt: skip
    opened = look(write_page(swept, tmp_path / "suite.html", tmp_path))
    page = opened.page
    heads = page.locator(".grid thead tr").nth(1).locator("th").all_inner_texts()
    assert heads == ["0.5", "1.0", "10"]  # as numbers, not as text
    assert page.locator(".cell").all_inner_texts() == ["✓", "✓", "✓", "✓", "✓", "✗"]
    page.locator(".cell").last.click()
    assert opened.rows() == ["s[demand=10,radio.model=b]"]
    expect(page.locator("tr.more")).to_have_count(1)
    page.keyboard.press("Escape")
    assert len(opened.rows()) == 6
    page.locator(".sweep select").nth(0).select_option("radio.model")
    assert page.locator(".grid tbody th").all_inner_texts() == ["0.5", "1.0", "10"]
    page.locator(".sweep select").nth(2).select_option("t")
    assert page.locator(".cell").all_inner_texts()[:2] == ["0", "1"]


def test_an_interrupted_or_broken_suite_says_what_did_not_run(look: Any, tmp_path: Path) -> None:
    left = (Task("late[x=1]", "late"), Task("<b>", "b"))
    cut = replace(MIXED, not_run=left, is_interrupted=True, broken="the disk is full")
    page = look(write_page(cut, tmp_path / "suite.html", tmp_path)).page
    expect(page.locator(".alert").nth(0)).to_have_text("the disk is full")
    assert page.locator(".alert li").all_inner_texts() == ["late[x=1]", "<b>"]


def test_keys_that_a_suite_sets_for_all_its_runs_are_not_swept(look: Any, tmp_path: Path) -> None:
    one = [result(f"s[x={x}]", Outcome.PASS, "duration_s=10", f"x={x}") for x in range(3)]
    two = [result("s", Outcome.PASS, "duration_s=60")]  # the same scene in another suite
    page = look(write_page(suite(*one, *two), tmp_path / "suite.html", tmp_path)).page
    assert page.locator(".grid thead .axis").last.inner_text() == "x →"
    expect(page.locator(".cell")).to_have_count(3)


def test_runs_in_one_cell_are_counted(look: Any, tmp_path: Path) -> None:
    results = [
        result(f"s[x={x},y={y},seed={seed}]", Outcome.FAIL if seed == 2 else Outcome.PASS, f"x={x}", f"y={y}", f"seed={seed}")
        for x in range(2) for y in range(2) for seed in range(3)
    ]  # fmt: skip
    page = look(write_page(suite(*results), tmp_path / "suite.html", tmp_path)).page
    assert page.locator(".cell").all_inner_texts() == ["2/3"] * 4
    page.locator(".cell").first.click()
    expect(page.locator("#shown")).to_have_text("3 of 12 runs")


def test_sampled_sweeps_are_points_that_lead_to_their_run(look: Any, tmp_path: Path) -> None:
    results = [
        result(f"s[{k}]", Outcome.FAIL if k == 7 else Outcome.PASS, f"x={k * 0.37:.2f}", f"y={(k * 17) % 30}")
        for k in range(30)
    ]  # fmt: skip
    opened = look(write_page(suite(*results), tmp_path / "suite.html", tmp_path))
    page = opened.page
    expect(page.locator(".plot .dot")).to_have_count(30)
    failed = page.locator(".plot .dot.o-fail")
    expect(failed).to_have_attribute("aria-label", re.compile("failed"))
    failed.focus()
    page.keyboard.press("Enter")
    assert opened.rows() == ["s[7]"]


def test_one_swept_key_is_one_row(look: Any, tmp_path: Path) -> None:
    page = look(write_page(grid_of(("x", ["1", "2", "3"])), tmp_path / "suite.html", tmp_path)).page
    expect(page.locator(".grid tbody tr")).to_have_count(1)


def test_a_suite_without_sweeps_or_runs_says_so(look: Any, tmp_path: Path) -> None:
    plain = look(write_page(MIXED, tmp_path / "a.html", tmp_path)).page
    expect(plain.locator("#sweeps")).to_be_hidden()
    empty = replace(suite(outcome=Outcome.NOTHING_RAN), sentence="no scenario matched 'x*'")
    page = look(write_page(empty, tmp_path / "b.html", tmp_path)).page
    expect(page.locator(".verdict")).to_contain_text("nothing ran")
    expect(page.locator(".nothing")).to_contain_text("No scenario ran")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(look: Any, tmp_path: Path, scheme: str) -> None:
    page = look(write_page(MIXED, tmp_path / "suite.html", tmp_path), color_scheme=scheme).page
    page.locator("#run-4").click()
    worst = worst_contrast(page)
    assert worst["ratio"] >= 4.5, worst  # WCAG 2.1, 1.4.3 AA for body text


def test_nothing_runs_over_the_edge_of_a_phone(look: Any, tmp_path: Path) -> None:
    swept = grid_of(("vehicles.bus1.departure.offset_s", [str(k) for k in range(12)]), ("y", ["1", "2"]))  # fmt: skip
    both = suite(*MIXED.results, *swept.results)
    page = look(write_page(both, tmp_path / "suite.html", tmp_path), viewport={"width": 360, "height": 740}).page  # fmt: skip
    page.locator("#unfold").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_the_list_is_complete(look: Any, tmp_path: Path) -> None:
    opened = look(write_page(MIXED, tmp_path / "suite.html", tmp_path), java_script_enabled=False)
    assert len(opened.rows()) == 6
    expect(opened.page.locator("noscript")).to_have_count(1)


def test_the_theme_can_be_chosen_and_is_kept(look: Any, tmp_path: Path) -> None:
    path = write_page(MIXED, tmp_path / "suite.html", tmp_path)
    page = look(path).page
    for expected in ("light", "dark"):
        page.locator("#theme").click()
        expect(page.locator("html")).to_have_attribute("data-theme", expected)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_thousand_runs_are_there_in_reasonable_time(look: Any, tmp_path: Path) -> None:
    criteria = tuple(criterion(f"c{k}", True) for k in range(14))
    many = [result(f"s[seed={k}]", Outcome.PASS, f"seed={k}", criteria=criteria, metrics={f"m{j}": 1.0 * k for j in range(20)}) for k in range(1000)]  # fmt: skip
    path = write_page(suite(*many, outcome=Outcome.PASS), tmp_path / "suite.html", tmp_path)
    assert path.stat().st_size < 6_000_000
    page = look(path).page
    page.locator("#search").fill("seed=999")
    expect(page.locator("#shown")).to_have_text("1 of 1000 runs")
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert timing < 5000  # ms; 0.6 s on a quiet machine
