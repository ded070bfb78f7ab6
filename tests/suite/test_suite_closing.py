"""What a suite leaves for others is whole or not there, and says what the exit code says, whatever ends the suite and when."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from protocols.errors import ConfigError, InfrastructureError, InputError
from scenarios.verdict import Outcome
from sim.history import History
from sim.stopping import Stop
from sim.suite import closing, whole_file
from sim.suite.closing import Wanted, close
from sim.suite.model import INTERRUPTED, SuiteResult, Task, TaskResult
from sim.suite.plan import Plan
from sim.suite.store import Store

TASKS = (Task("a", "a.toml", suite="s"), Task("b", "b.toml", suite="s"))
PASSED = SuiteResult(
    "s", Outcome.PASS, "2 of 2 passed", tuple(TaskResult(t, Outcome.PASS, "ok", "d1") for t in TASKS)
)  # fmt: skip
CUT = SuiteResult(
    "s", Outcome.INFRASTRUCTURE_ERROR, "stopped by Ctrl-C after 1 s", PASSED.results[:1], not_run=TASKS[1:], is_interrupted=True,
)  # fmt: skip


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    return Wanted(tmp_path, tmp_path / "j.xml", tmp_path / "h.html", str(tmp_path / "h.sqlite"))


def marks(path: Path) -> dict[str, str]:
    """Case -> how it is marked."""
    found = {}
    for case in etree.parse(str(path)).iter("testcase"):
        (*mark,) = (m for m in case if m.tag in ("error", "failure", "skipped"))
        found[str(case.get("name"))] = "/".join(filter(None, (mark[0].tag, mark[0].get("type")))) if mark else "passed"  # fmt: skip
    return found


def at(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], None]) -> None:
    """Do `act` once, when the file `name` lies there under its other name."""
    fsync = os.fsync
    done: list[int] = []

    def struck(fd: int) -> None:
        target = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
        if f".{name}." in target and not done:
            done.append(1)
            act()
        fsync(fd)

    monkeypatch.setattr(os, "fsync", struck)


def strike(*numbers: int) -> Callable[[], None]:
    def act() -> None:
        for number in numbers:  # all pending at once, as when two arrive quickly
            os.kill(os.getpid(), number)

    return act


def nothing_half(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if ".part" in path.name]


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ((signal.SIGTERM,), "SIGTERM"),
        ((signal.SIGINT,), "Ctrl-C"),
        ((signal.SIGINT, signal.SIGTERM, signal.SIGINT), "Ctrl-C"),
    ],
)
@pytest.mark.parametrize(("file", "option"), [("j.xml", "--junit"), ("h.html", "--html")])
def test_a_signal_while_a_file_is_written_is_named_and_leaves_no_half(
    file: str, option: str, numbers: tuple[int, ...], name: str, wanted: Wanted, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    at(monkeypatch, file, strike(*numbers))
    with Stop(lambda: True) as stop:
        result, problems = close(PASSED, wanted, stop)
    assert (result.exit_code, problems) == (INTERRUPTED, [])
    assert result.sentence == (
        f"stopped by {name} before {option} was written, after all runs had ended (2 of 2 passed); "
        f"write it with --resume --out {wanted.folder}"
    )
    assert wanted.junit is not None
    assert marks(wanted.junit) == {"a": "passed", "b": "passed", "suite": "error/interrupted"}
    assert not (wanted.folder / "h.html").exists()
    assert nothing_half(wanted.folder)


def test_signals_do_not_keep_the_junit_file_of_an_interrupted_suite_from_being_written(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "j.xml", strike(signal.SIGTERM, signal.SIGTERM))
    with Stop(lambda: True) as stop:
        stop.number = signal.SIGINT
        result, problems = close(CUT, wanted, stop)
    assert result is CUT and problems == []
    assert wanted.junit is not None and wanted.html is not None
    assert marks(wanted.junit) == {"a": "passed", "b": "skipped", "suite": "error/interrupted"}
    assert wanted.html.exists()


def test_one_more_signal_ends_the_page_of_an_interrupted_suite(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "h.html", strike(signal.SIGTERM))
    with Stop(lambda: True) as stop:
        stop.number = signal.SIGINT
        result, problems = close(CUT, wanted, stop)
    assert result is CUT and problems == ["asked to stop again, before --html was written."]
    assert wanted.html is not None and not wanted.html.exists() and nothing_half(wanted.folder)


def test_a_history_that_another_holds_does_not_hold_an_interrupt(wanted: Wanted) -> None:
    assert wanted.history is not None and wanted.junit is not None
    History(wanted.history).close()
    other = sqlite3.connect(wanted.history)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with Stop(lambda: True) as stop:
        result, _ = close(PASSED, wanted, stop)
    assert time.monotonic() - start < 15.0  # it waits for 30 s
    other.close()
    assert result.exit_code == INTERRUPTED
    assert result.sentence == "stopped by Ctrl-C before --history was written, after all runs had ended (2 of 2 passed)"  # fmt: skip
    assert marks(wanted.junit)["suite"] == "error/interrupted"
    with History(wanted.history) as store:
        assert store.scenarios() == []


def test_a_history_that_fails_is_told_by_exit_code_and_junit_alike(wanted: Wanted) -> None:
    assert wanted.history is not None and wanted.junit is not None and wanted.html is not None
    Path(wanted.history).write_bytes(b"no database " * 100)
    with Stop(lambda: True) as stop:
        result, problems = close(PASSED, wanted, stop)
    assert result.exit_code == 3
    assert len(problems) == 1 and problems[0] in result.sentence
    assert marks(wanted.junit) == {"a": "passed", "b": "passed", "suite": "error/infrastructure_error"}  # fmt: skip
    assert "is not a SQLite database" in wanted.html.read_text()


def test_a_junit_file_that_cannot_be_written_again_does_not_stay_green(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wanted.junit is not None

    def page(*_: object) -> None:
        monkeypatch.setattr(closing, "write_junit", refuse)
        raise InfrastructureError("--html: no.")

    def refuse(*_: object) -> None:
        raise InfrastructureError("--junit: no.")

    monkeypatch.setattr(closing, "_page", page)
    with Stop(lambda: True) as stop:
        result, problems = close(PASSED, wanted, stop)
    assert result.exit_code == 3 and problems == ["--html: no.", "--junit: no."]
    assert not wanted.junit.exists()


def test_a_fault_of_ours_in_the_page_is_not_green_either(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr(closing, "_page", page)
    with Stop(lambda: True) as stop:
        result, problems = close(PASSED, wanted, stop)
    assert result.exit_code == 3 and problems == ["--html: KeyError: 'planted'; a fault of icv."]
    assert wanted.junit is not None
    assert marks(wanted.junit)["suite"] == "error/infrastructure_error"


def test_until_a_suite_ends_its_junit_file_says_that_it_did_not(wanted: Wanted) -> None:
    assert wanted.junit is not None and wanted.html is not None
    wanted.html.write_text("of an earlier one")
    closing.begun(Plan("s", TASKS), wanted, "2026-05-18T08:00:00Z")
    assert marks(wanted.junit) == {"a": "skipped", "b": "skipped", "suite": "error/infrastructure_error"}  # fmt: skip
    assert not wanted.html.exists()
    closing.refused("s", ConfigError("no such key"), wanted, "")
    assert marks(wanted.junit) == {"suite": "error/bad_input"}
    closing.stopped("s", signal.SIGTERM, wanted, "")
    assert marks(wanted.junit) == {"suite": "error/interrupted"}


def test_one_file_for_two_things_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name the same file"):
        closing.check(Wanted(tmp_path, tmp_path / "x", tmp_path / "y" / ".." / "x"))


# --- files ---------------------------------------------------------------------------------------------------------------


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / ("名" * 80)  # 240 bytes: as long as a name may nearly be
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file.whole_file(path) as file:
        file.write(b"ne")
        raise RuntimeError
    assert path.read_text() == "old" and nothing_half(tmp_path)
    with whole_file.whole_file(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_links_are_followed_and_devices_stay_devices(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/file")
    with whole_file.whole_file(link) as file:
        file.write(b"x")
    assert link.is_symlink() and (tmp_path / "there/file").read_text() == "x"
    with whole_file.whole_file(Path(os.devnull)) as file:
        file.write(b"x")
    assert Path(os.devnull).is_char_device()
    with pytest.raises(OSError, match="No space"), whole_file.whole_file(Path("/dev/full")) as file:
        file.write(b"x")


def test_the_suites_own_table_has_the_exit_code_of_an_interrupt(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.finish(CUT)
    assert json.loads((tmp_path / "suite.json").read_text())["exit_code"] == INTERRUPTED
