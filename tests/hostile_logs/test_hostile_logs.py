"""Broken, foreign and malicious logs, put to every command that takes a log: a sentence and an exit code, in bounded time and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.hostile_logs.judging import KINDS, NAMES, READING, RUNNING, Bench, faults, hostile
from tests.hostile_logs.parts import Layout

EACH = 20  # logs of a kind in the long test


def test_a_good_log_passes_all_of_them(bench: Bench, good: Path) -> None:
    assert [(o.command, o.code) for o in bench.warm if o.code or o.wrote] == []
    assert [(o.command, o.code, o.err) for o in bench.put(good) if o.code or o.wrote] == []


def test_one_hostile_log_of_each_kind(bench: Bench, layout: Layout, tmp_path: Path) -> None:
    """Each is put to a few commands, in turn; the long test puts more than a thousand to all."""
    codes: Counter[int] = Counter()
    for number in range(len(KINDS)):
        only = [NAMES[(3 * number + k) % len(NAMES)] for k in range(3)]
        codes += put(bench, layout, tmp_path, number, only)
    assert codes[2] > 30


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_a_thousand_hostile_logs(bench: Bench, layout: Layout, tmp_path: Path) -> None:
    codes: Counter[int] = Counter()
    for number in range(EACH * len(KINDS)):
        # What runs the scene again takes longest, so those take turns: each kind meets each of them some times.
        codes += put(
            bench,
            layout,
            tmp_path,
            number,
            [*READING, RUNNING[number // len(KINDS) % len(RUNNING)]],
        )
    assert EACH * len(KINDS) > 1_000
    assert codes[2] > 4_000 and codes[0] > 400, codes


def put(
    bench: Bench, layout: Layout, tmp_path: Path, number: int, only: Sequence[str] = ()
) -> Counter[int]:
    """Exit codes of hostile log number so and so."""
    kind, data = hostile(layout, number)
    log = tmp_path / "run.mcap"
    log.write_bytes(data)
    outcomes = bench.put(log, only)
    found = [what for outcome in outcomes for what in faults(outcome, log)]
    assert not found, (number, kind, found)
    assert len(outcomes) == len(only or NAMES)
    return Counter(outcome.code for outcome in outcomes)
