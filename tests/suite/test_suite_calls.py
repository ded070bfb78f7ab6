"""A function called in supervised workers: answers in order, workers that stay, and no call that is lost without a word."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from protocols.errors import ConfigError, InfrastructureError
from sim.suite.calls import Calls

CALLED = "tests.suite.jobs:called"


def test_answers_come_in_order_and_workers_stay_for_the_next_calls(tmp_path: Path) -> None:
    heard: list[int] = []
    with Calls(CALLED, 2, tmp_path) as calls:
        texts = ["late 0", "now 1", "now 2", "late 3", "now 4"]
        answers = calls.map(texts, lambda: heard.append(1))
        assert [answer["said"] for answer in answers] == ["0", "1", "2", "3", "4"]
        assert len(heard) == 5
        assert calls.map([], lambda: None) == []
        again = calls.map(["late 5", "late 6"], lambda: None)
        assert [answer["said"] for answer in again] == ["5", "6"]
        pids = {answer["pid"] for answer in answers}
        assert {answer["pid"] for answer in again} <= pids and len(pids) <= 2
        assert os.getpid() not in pids
    assert sorted(path.parent.name for path in tmp_path.glob("*/here")) == [str(k) for k in range(7)]  # fmt: skip
    assert not list(tmp_path.glob("*/output.txt"))  # nobody printed
    end = time.monotonic() + 5.0
    while any(Path(f"/proc/{pid}/cmdline").is_file() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids):  # fmt: skip
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("what", "error", "says"),
    [
        ("exit0", InfrastructureError, "its worker left with code 0 in the middle of it; try with fewer workers"),
        ("SIGKILL", InfrastructureError, r"its worker was killed \(SIGKILL\)"),
        ("bug", InfrastructureError, "left with code 1 .* Its last words: RuntimeError: planted"),
        ("input", ConfigError, r"^no such thing\.$"),
    ],
)  # fmt: skip
def test_a_call_that_fails_says_how(
    what: str, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with Calls(CALLED, 2, tmp_path) as calls:
        assert calls.map(["now 0"], lambda: None)[0]["said"] == "0"
        with pytest.raises(error, match=says):
            calls.map(["late 1", what, "late 2"], lambda: None)


def test_who_listens_may_end_it_and_no_worker_is_left(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Calls(CALLED, 2, tmp_path) as calls:
        calls.map(["now 0", "late 1", "late 2"], stop)
    assert not calls._workers
