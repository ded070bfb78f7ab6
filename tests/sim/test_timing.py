"""Durations of units: counts, means and quantiles in bounded memory, by a clock that tests can hold; and which code ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocols.participant import Inbox, Outbox
from protocols.sensing import Readings
from protocols.simtime import Now
from sim import versions
from sim.timing import Durations, TimedUnit


def test_quantiles_are_within_one_bin_of_the_truth():
    durations = Durations()
    for ms in range(1, 1001):
        durations.add(ms * 1_000_000 // 100)  # 0.01 ms .. 10 ms, evenly
    assert durations.count == 1000
    assert durations.mean_ms == pytest.approx(5.005)
    for share, exact_ms in ((0.5, 5.0), (0.99, 9.9), (1.0, 10.0)):
        assert exact_ms * 0.999 <= durations.quantile_ms(share) <= exact_ms * 1.061


def test_nothing_timed_is_zero():
    assert (Durations().count, Durations().mean_ms, Durations().quantile_ms(0.99)) == (0, 0.0, 0.0)


def test_durations_beyond_the_scale_land_in_the_last_bin():
    durations = Durations()
    durations.add(0)
    durations.add(10**12)
    assert durations.count == 2
    assert durations.quantile_ms(1.0) >= 1000.0  # a second or more


class Slow:
    """A unit that takes 3 ms by the clock it is given."""

    name = "slow"
    period_ticks = 7

    def __init__(self, clock: list[int]) -> None:
        self.clock = clock

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        self.clock[0] += 3_000_000
        return Outbox()


def test_a_timed_unit_answers_as_the_unit_does_and_is_measured():
    clock = [0]
    timed = TimedUnit(Slow(clock), lambda: clock[0])
    assert (timed.name, timed.period_ticks) == ("slow", 7)
    for tick in range(10):
        assert timed.on_tick(Now(tick, tick), Inbox((), Readings())) == Outbox()
    assert (timed.calls.count, timed.plans.count) == (10, 0)
    assert timed.calls.mean_ms == pytest.approx(3.0)


def test_the_commit_is_a_short_hash_or_nothing_outside_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    versions.commit.cache_clear()
    assert re.fullmatch(r"([0-9a-f]{12}\+?)?", versions.commit())
    versions.commit.cache_clear()
    monkeypatch.setattr(versions, "__file__", str(tmp_path / "sim" / "versions.py"))
    assert versions.commit() == ""
    versions.commit.cache_clear()
