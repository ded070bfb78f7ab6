"""Ten thousand results fit into memory: what is most of them lies on disk until a page asks for it."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path

import pytest

from scenarios.verdict import Outcome
from sim.suite.model import Task, TaskResult
from sim.suite.spool import Spool
from sim.suite.store import Store, to_line


def result(number: int) -> TaskResult:
    """One of a usual size: 27 criteria, 60 figures."""
    criteria = tuple(
        {"name": f"comfort/bus{k} jerk", "passed": k % 2 == 0, "value": k + number / 7, "limit": 2.0, "unit": "m/s3",
         "t_s": 1.5, "where": "", "sentence": f"bus{k}: |jerk| p95 {k + number / 7:.2f}, peak 3.1 m/s3; above 2 for 1.0%"}
        for k in range(27)
    )  # fmt: skip
    metrics = {f"bus{k}.max_jerk_mps3": k + number / 3 for k in range(60)}
    task = Task(f"a[seed={number}]", "a", (f"seed={number}",))
    return TaskResult(task, Outcome.FAIL, f"run {number}", f"{number:016x}", "", criteria, metrics)


def open_spools(folder: Path) -> int:
    """Files without a name that lie in `folder` and are open here."""
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]  # noqa: PTH115
    return sum(link.startswith(f"{folder}/") and link.endswith(" (deleted)") for link in links)


def test_what_is_on_disk_reads_as_what_was_given_and_goes_with_the_last_result(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path)
    given = [result(k) for k in range(20)]
    kept = [spool.keep(one) for one in given]
    del spool
    assert list(tmp_path.iterdir()) == []
    for one, other in zip(given, kept, strict=True):
        assert other.criteria is not one.criteria and len(other.criteria) == 27
        assert list(other.criteria) == list(one.criteria)
        assert other.criteria[3] == one.criteria[3] and list(other.criteria[1:3]) == list(one.criteria[1:3])  # fmt: skip
        assert dict(other.metrics) == dict(one.metrics) and len(other.metrics) == 60
        assert sorted(other.metrics.items()) == sorted(one.metrics.items())
        assert to_line(other) == to_line(one)
    assert open_spools(tmp_path) == 1
    del other, kept
    gc.collect()
    assert open_spools(tmp_path) == 0


def test_a_result_without_either_or_kept_before_stays_as_it_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    bare = TaskResult(Task("a", "a"), Outcome.BAD_INPUT, "no")
    assert spool.keep(bare) is bare
    once = spool.keep(result(1))
    assert spool.keep(once) is once


@pytest.mark.parametrize("written", [None, 0, 10])
def test_where_the_disk_refuses_a_result_stays_in_memory(
    written: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    first = spool.keep(result(1))

    def refused(fd: int, data: bytes, at: int) -> int:
        if written is None:
            raise OSError(28, "No space left on device")
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refused)
        one = result(2)
        assert spool.keep(one) is one
    third = spool.keep(result(3))
    assert [list(first.criteria), list(third.criteria)] == [list(result(1).criteria), list(result(3).criteria)]  # fmt: skip


def test_a_thousand_results_take_a_few_hundred_bytes_each_also_when_they_are_read_again(
    tmp_path: Path,
) -> None:
    """In memory each takes 20,000 and more."""
    count = 1000
    with Store(tmp_path) as store:
        tracemalloc.start()
        try:
            kept = []
            for k in range(count):
                store.add(result(k))
                kept.append(store.keep(result(k)))
            gc.collect()
            size = tracemalloc.get_traced_memory()[0] / count
            earlier = store.read()
            gc.collect()
            again = tracemalloc.get_traced_memory()[0] / count - size
            peak = tracemalloc.get_traced_memory()[1] / count
        finally:
            tracemalloc.stop()
    assert size < 2_500 and again < 4_000, (size, again)
    assert peak < 8_000, peak  # the file is not read as a whole either: a line of it has 8,000
    assert [to_line(one) for one in earlier] == [to_line(one) for one in kept]
