"""What a suite says: few plain lines where there is no terminal, time left that can be believed, the failures last."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from scenarios.verdict import Outcome
from sim.suite.model import SuiteResult, Task, TaskResult
from sim.suite.progress import Progress, duration, print_suite


class Clock:
    """Nanoseconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> int:
        return round(self.now_s * 1e9)


def done(id_: str, outcome: Outcome = Outcome.PASS, wall_s: float = 10.0) -> TaskResult:
    return TaskResult(Task(id_, "s"), outcome, f"why {id_}", wall_s=wall_s)


def test_time_left_counts_what_runs_already() -> None:
    clock = Clock()
    progress = Progress(stream=io.StringIO(), clock=clock)
    progress.begin("s", 6, 1, 2)
    assert progress.left_s() is None
    progress.running({"a": 0.0, "b": 0.0})
    clock.now_s = 10.0
    progress.finished(done("a"))
    progress.running({"b": 9.0, "c": 0.0})
    # Four to go at 10 s each, b is 10 s old, two workers: 15 s.
    assert progress.left_s() == pytest.approx(15.0)
    clock.now_s = 100.0  # both are long overdue, and count no more than a whole run
    assert progress.left_s() == pytest.approx(10.0)


def test_without_a_terminal_a_line_every_ten_seconds_and_one_per_failure() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream=stream, clock=clock)
    progress.begin("s", 3, 0, 1)
    for k in range(250):
        clock.now_s = k * 0.1
        progress.running({"a": float(k)})
    progress.finished(done("a", Outcome.FAIL))
    progress.end()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "s: 3 runs, 1 worker, warming up"
    assert [line.partition(";")[2] for line in lines[1:-1]] == [
        " now a at 100 s",
        " now a at 200 s",
    ]
    assert lines[-1] == "failed: a: why a"


def test_quiet_says_only_what_went_wrong() -> None:
    stream = io.StringIO()
    progress = Progress(quiet=True, stream=stream)
    progress.begin("s", 2, 0, 1)
    progress.finished(done("a"))
    progress.finished(done("[b]", Outcome.BAD_INPUT))
    assert stream.getvalue() == "bad input: [b]: why [b]\n"


def test_the_end_shows_failures_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    items = (*(done(f"t{k}") for k in range(100)), done("[red]broken[/red]", Outcome.FAIL))
    print_suite(SuiteResult("s", Outcome.FAIL, "100 of 101 passed", items), Path("out"))
    said = capsys.readouterr().out
    assert "[red]broken[/red]" in said  # an id is no markup
    assert "t5" not in said
    assert said.splitlines()[-1] == "fail: 100 of 101 passed"


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    "name",
    [
        "corridor[demand.flows.west.vehicles_per_hour=300.0,demand.equipped_share=0.653545,seed=444,radio.model=range_loss]",
        "a" * 150,
        "交叉口左转弯行人横穿且信号灯黄闪时的公交优先通行场景之极端暴雨工况" * 3,
        "plain",
    ],
)
def test_no_line_of_the_table_is_wider_than_the_terminal_and_nothing_is_cut(
    name: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    items = tuple(
        replace(
            done(f"{name}{k}", outcome, wall_s=71_999.9), peak_mb=131072.0, is_flaky=True, sentence=f"{name} was late"
        )
        for k, outcome in enumerate(Outcome)
    )  # fmt: skip
    print_suite(SuiteResult("s", Outcome.FAIL, "0 of 5 passed", items), Path("out"))
    *table, _, last = capsys.readouterr().out.splitlines()
    assert max(cell_len(line) for line in table) <= columns
    whole = "".join("".join(line[len(table[0].partition("run")[0]) :].split()) for line in table)
    for item in items:
        assert "".join(item.task.id.split()) in whole
        if item.outcome is not Outcome.PASS:
            assert "".join(item.sentence.split()) in whole
    assert last == "fail: 0 of 5 passed"


def test_a_stream_that_nobody_reads_or_that_is_full_changes_nothing() -> None:
    with Path("/dev/full").open("w", buffering=1) as stream:
        progress = Progress(stream=stream)
        progress.begin("s", 2, 0, 1)
        progress.finished(done("a", Outcome.FAIL))
        progress.note("something")
        progress.end()
        assert progress.left_s() == pytest.approx(10.0)
        with pytest.raises(OSError, match="No space"):
            stream.close()


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 42, 185, 7800)] == [
        "0 s",
        "42 s",
        "3 min 05 s",
        "2 h 10 min",
    ]
