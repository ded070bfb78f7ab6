"""JUnit tells errors, failures and skips apart, never looks green by mistake, and holds any text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from scenarios.verdict import Outcome
from sim.suite.junit import tree, write_junit
from sim.suite.model import SuiteResult, Task, TaskResult


def result(*outcomes: Outcome, **fields: object) -> SuiteResult:
    items = tuple(
        TaskResult(Task(f"t{k}", "scene.toml", suite="s"), outcome, f"because {k}", wall_s=1.5)
        for k, outcome in enumerate(outcomes)
    )
    return SuiteResult("s", Outcome.PASS, "all", items, **fields)  # type: ignore[arg-type]


def marks(found: SuiteResult, folder: Path = Path()) -> list[tuple[str, str | None, str | None]]:
    return [
        (mark.tag, mark.get("type"), mark.get("message"))
        for case in tree(found, folder).iter("testcase")
        for mark in case
        if mark.tag in ("failure", "error", "skipped")
    ]


def test_every_outcome_has_its_form() -> None:
    assert marks(result(*Outcome)) == [
        ("failure", "fail", "because 1"),
        ("error", "bad_input", "because 2"),
        ("error", "infrastructure_error", "because 3"),
        ("error", "nothing_ran", "because 4"),
    ]
    suite = tree(result(*Outcome), Path())[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "3", "skipped": "0"}


def test_a_pass_that_is_flaky_is_a_failure() -> None:
    found = result(Outcome.PASS)
    found = replace(found, results=(replace(found.results[0], is_flaky=True),))
    ((tag, kind, _),) = marks(found)
    assert (tag, kind) == ("failure", "flaky")


def test_a_suite_that_did_not_end_or_had_nothing_is_an_error_of_its_own() -> None:
    task = Task("left", "scene.toml")
    found = marks(result(Outcome.PASS, not_run=(task,), is_interrupted=True))
    assert [tag for tag, _, _ in found] == ["skipped", "error"]
    assert [tag for tag, _, _ in marks(result(Outcome.PASS, broken="no disk"))] == ["error"]
    assert [tag for tag, _, _ in marks(result())] == ["error"]


@given(st.text(), st.text())
def test_any_text_makes_valid_xml(name: str, sentence: str) -> None:
    item = TaskResult(
        Task(name, sentence), Outcome.FAIL, sentence, criteria=({"name": name, "passed": False},)
    )
    found = SuiteResult(name, Outcome.FAIL, sentence, (item,), versions={"x": name})
    again = etree.fromstring(etree.tostring(tree(found, Path())))
    assert len(again.findall(".//failure")) == 1


def test_output_of_a_run_comes_along_by_its_end(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_bytes(b"x" * 100_000 + b"\x00\xff the end")
    found = result(Outcome.INFRASTRUCTURE_ERROR)
    found = replace(found, results=(replace(found.results[0], output="out.txt"),))
    path = write_junit(found, tmp_path / "new/junit.xml", tmp_path)
    (text,) = etree.parse(path).xpath("//system-err/text()")
    assert text.endswith("the end")
    assert len(text) < 10_000


# Element -> (attributes it may have, attributes it must have, elements it may hold), as the schema junit-10 of Jenkins' xUnit plugin says.
JENKINS = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"name", "tests", "failures", "errors"},
        {"properties", "testcase"},
    ),
    "properties": (set(), set(), {"property"}),
    "property": ({"name", "value"}, {"name", "value"}, set()),
    "testcase": (
        {"name", "time", "classname"},
        {"name"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "skipped": ({"type", "message"}, set(), set()),
    "error": ({"type", "message"}, set(), set()),
    "failure": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
    "system-err": (set(), set(), set()),
}  # fmt: skip


def test_nothing_is_in_it_that_the_schema_of_jenkins_lacks(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("said")
    found = result(*Outcome, not_run=(Task("left", "scene.toml"),), is_interrupted=True, started_utc="2026-05-18T08:00:00Z", wall_s=12345.678)  # fmt: skip
    items = (replace(found.results[0], is_flaky=True), *found.results[1:3], replace(found.results[3], output="out.txt"))  # fmt: skip
    top = tree(replace(found, results=items, versions={"python": "3.11"}), tmp_path)
    seen = set()
    for element in top.iter():
        may, must, inside = JENKINS[element.tag]
        assert must <= set(element.keys()) <= may, element.tag
        assert {child.tag for child in element} <= inside, element.tag
        seen.add(element.tag)
        if element.get("time") is not None:
            assert re.fullmatch(r"\d+\.\d{3}|0", element.get("time"))
    assert seen == set(JENKINS)
    names = [(case.get("classname"), case.get("name")) for case in top.iter("testcase")]
    assert len(set(names)) == len(names)
