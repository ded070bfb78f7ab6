"""JUnit XML as Jenkins, GitLab and GitHub's actions read it; nothing in it that the schema of Jenkins' xUnit plugin (junit-10) lacks.

A criterion that did not hold is a `failure`; so is a run that disagreed with itself. Bad input, broken machinery and a run without
criteria are `error`s: nothing was proven, and they must not look green. What an interrupt left undone is `skipped`, and then, as when
nothing ran at all, one more case named after the suite is an `error`, because readers take a file without failures for a success.
"""

from __future__ import annotations

import re
from pathlib import Path

from lxml import etree

from protocols.errors import InfrastructureError
from scenarios.verdict import Outcome
from sim.suite.model import SuiteResult, Task, TaskResult
from sim.suite.whole_file import whole_file

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAIL = 8_000  # characters of a run's output
_ERRORS = (Outcome.BAD_INPUT, Outcome.INFRASTRUCTURE_ERROR, Outcome.NOTHING_RAN)


def write_junit(result: SuiteResult, path: Path, folder: Path) -> Path:
    """Write `path`; `folder` is the suite's, where outputs lie."""
    data = etree.tostring(
        tree(result, folder), xml_declaration=True, encoding="UTF-8", pretty_print=True
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        raise InfrastructureError(
            f"--junit {path}: cannot be written: {error.strerror}. Give another place."
        ) from error
    return path


def tree(result: SuiteResult, folder: Path) -> etree._Element:
    """One `testsuites` with one `testsuite`."""
    top = etree.Element("testsuites", name="icv")
    suite = etree.SubElement(top, "testsuite", name=_clean(result.name))
    if result.started_utc:
        suite.set("timestamp", result.started_utc.removesuffix("Z"))
    properties = etree.SubElement(suite, "properties")
    about = {"commit": result.commit, "seed": str(result.seed), "outcome": result.outcome.value,
             "sentence": result.sentence, **result.versions}  # fmt: skip
    for name, value in about.items():
        etree.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for item in result.results:
        _case(suite, result, item, folder)
    for task in result.not_run:
        case = _element(suite, result.name, task, 0.0)
        etree.SubElement(case, "skipped", message="not run: the suite did not end")
    if result.is_interrupted or result.broken or not result.results:
        kind = "interrupted" if result.is_interrupted else result.outcome.value
        case = etree.SubElement(
            suite, "testcase", name="suite", classname=_clean(result.name), time="0"
        )
        etree.SubElement(case, "error", type=kind, message=_clean(result.sentence))
    for element in (suite, top):
        cases = suite.findall("testcase")
        element.set("tests", str(len(cases)))
        for name in ("failure", "error", "skipped"):
            count = sum(case.find(name) is not None for case in cases)
            if name != "skipped" or element is suite:
                element.set({"failure": "failures", "error": "errors"}.get(name, name), str(count))
        element.set("time", f"{result.wall_s:.3f}")
    return top


def _case(suite: etree._Element, result: SuiteResult, item: TaskResult, folder: Path) -> None:
    case = _element(suite, item.task.suite or result.name, item.task, item.wall_s)
    details = [
        f"{'pass' if c.get('passed') else 'FAIL'}  {c.get('name')}: {c.get('sentence')}"
        for c in item.criteria
    ]
    if item.outcome in _ERRORS:
        mark = etree.SubElement(
            case, "error", type=item.outcome.value, message=_clean(item.sentence)
        )
        mark.text = _clean("\n".join([item.sentence, *details]))
    elif item.outcome is Outcome.FAIL:
        mark = etree.SubElement(case, "failure", type="fail", message=_clean(item.sentence))
        mark.text = _clean("\n".join([item.sentence, *details]))
    elif item.is_flaky:
        message = "flaky: repetitions of this run disagreed in outcome or digest"
        etree.SubElement(case, "failure", type="flaky", message=message)
    about = [
        f"outcome {item.outcome.value}", f"scene {item.task.scene}", f"digest {item.digest}" if item.digest else "",
        f"log {item.log}" if item.log else "", "flaky" if item.is_flaky else "",
        "from an earlier call" if item.is_carried else "",
    ]  # fmt: skip
    etree.SubElement(case, "system-out").text = _clean("\n".join(filter(None, about)))
    printed = _tail(folder / item.output) if item.output else ""
    if printed:
        etree.SubElement(case, "system-err").text = _clean(printed)


def _element(suite: etree._Element, name: str, task: Task, wall_s: float) -> etree._Element:
    return etree.SubElement(
        suite, "testcase", name=_clean(task.id), classname=_clean(name), time=f"{wall_s:.3f}"
    )


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _clean(text: str) -> str:
    """What XML 1.0 may hold."""
    return _NOT_XML.sub("\ufffd", text)
