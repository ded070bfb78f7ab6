"""Planted differences are found at their tick, topic and field; equal runs are equal; replays are checked tick by tick."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import LogError
from protocols.messages import BasicSafetyBatch, Spat, VehicleCommand
from sim.log import _kernels
from sim.log.container import Container
from sim.log.diff import FirstDifference, compare
from sim.log.digest import DigestChain
from sim.log.reader import LogReader
from sim.log.replay import Recorded, ReplayCheck, load
from sim.log.writer import LogWriter
from sim.state import ActorStates
from tests.sim.log.run import HEADER, TICK, Change, Run, keep


def difference(tmp_path: Path, change: Change, ticks: int = 150) -> FirstDifference | None:
    Run().write(tmp_path / "a.mcap", ticks)
    Run(change).write(tmp_path / "b.mcap", ticks)
    return compare(LogReader.open(tmp_path / "a.mcap"), LogReader.open(tmp_path / "b.mcap"))


def test_equal_runs_have_no_difference(tmp_path: Path) -> None:
    assert difference(tmp_path, keep) is None


def test_a_planted_command_is_found_with_unit_and_field(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "command" and tick == 77:
            assert isinstance(value, VehicleCommand)
            return dataclasses.replace(value, steer_rad=0.03)
        return value

    found = difference(tmp_path, change)
    assert found == FirstDifference(
        77, 77 * TICK, "cmd/vehicle", "obu/a", "command_steer_rad", "0.02", "0.03"
    )
    assert str(found) == (
        "runs differ first at tick 77 (t=0.77 s): cmd/vehicle.command_steer_rad of obu/a = 0.03, "
        "expected 0.02"
    )


def test_a_planted_message_is_found_with_row(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "v2x/bsm" and tick >= 60:
            assert isinstance(value, BasicSafetyBatch)
            speed = value.speed_mps.copy()
            speed[2] += 1e-12
            return dataclasses.replace(value, speed_mps=speed)
        return value

    found = difference(tmp_path, change)
    assert found is not None
    assert (found.tick, found.topic, found.sender) == (60, "v2x/bsm", "fleet")
    assert found.field == "speed_mps[2]"
    assert float(found.b) - float(found.a) == pytest.approx(1e-12, rel=0.1)


def test_a_planted_nested_field_is_found(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "v2x/spat" and tick == 90:
            assert isinstance(value, Spat)
            return dataclasses.replace(value, is_priority_active=True)
        return value

    found = difference(tmp_path, change)
    assert found is not None
    assert (found.tick, found.topic, found.field) == (90, "v2x/spat", "is_priority_active")
    assert (found.a, found.b) == ("False", "True")


def test_a_planted_truth_is_found_in_the_trace_at_its_tick(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "states" and tick == 33:
            assert isinstance(value, ActorStates)
            value.d_m[0] = 0.25
        return value

    found = difference(tmp_path, change)
    assert found is not None
    assert (found.tick, found.topic, found.sender, found.field) == (
        33,
        "truth/trace",
        "obu/a",
        "d_m",
    )
    assert (found.a, found.b) == ("0.0", "0.25")


def test_a_planted_truth_of_another_actor_is_found_in_the_next_sample(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "states" and tick == 33:
            assert isinstance(value, ActorStates)
            value.y_m[2] = 0.5
        return value

    found = difference(tmp_path, change)
    assert found is not None
    assert (found.tick, found.topic, found.field) == (35, "truth/world", "y_m[actor 3]")


def test_an_extra_actor_is_found(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "states" and tick == 20:
            assert isinstance(value, ActorStates)
            value.valid[4] = True
        return value

    found = difference(tmp_path, change, 40)
    assert found is not None
    assert (found.tick, found.field, found.b) == (20, "id", "5 actors, alone with [5]")


def test_a_run_that_ended_early_differs_in_length(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 150)
    Run().write(tmp_path / "b.mcap", 120)
    found = compare(LogReader.open(tmp_path / "a.mcap"), LogReader.open(tmp_path / "b.mcap"))
    assert found == FirstDifference(
        120, 120 * TICK, "log/digest", "", "number of ticks", "150", "120"
    )


def test_timings_and_notes_are_never_compared(tmp_path: Path) -> None:
    for name, cost in (("a", 0.1), ("b", 9.9)):
        with LogWriter(tmp_path / name, HEADER) as log:
            log.timing(0, {"world": cost})
            log.digest(DigestChain().close_tick(0))
    assert compare(LogReader.open(tmp_path / "a"), LogReader.open(tmp_path / "b")) is None


def test_logs_with_other_ticks_cannot_be_compared(tmp_path: Path) -> None:
    for name, tick in (("a", TICK), ("b", 2 * TICK)):
        LogWriter(tmp_path / name, dataclasses.replace(HEADER, tick_ns=tick)).close()
    with pytest.raises(LogError, match="same tick"):
        compare(LogReader.open(tmp_path / "a"), LogReader.open(tmp_path / "b"))


def replayed(recorded: Recorded, run: Run, path: Path, ticks: int) -> ReplayCheck:
    run.write(path, ticks)
    check = ReplayCheck(recorded)
    for digest in run.digests:
        check.feed(digest)
    return check


def test_a_faithful_replay_passes_and_a_planted_drift_is_named(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 100)
    recorded = load(tmp_path / "a.mcap")
    assert recorded.header.config_json == '{"seed": 7}'
    assert replayed(recorded, Run(), tmp_path / "b", 100).finish() is None

    def change(tick: int, what: str, value: object) -> object:
        if what == "command" and tick == 42:
            assert isinstance(value, VehicleCommand)
            return dataclasses.replace(value, accel_mps2=value.accel_mps2 + 1e-15)
        return value

    departure = replayed(recorded, Run(change), tmp_path / "b", 100).finish()
    assert departure is not None
    assert str(departure) == "tick 42: command"


def test_a_replay_that_is_too_short_or_too_long_is_not_the_same(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 100)
    recorded = load(tmp_path / "a.mcap")
    short = replayed(recorded, Run(), tmp_path / "b", 90).finish()
    assert short is not None
    assert str(short) == "tick 90: the re-run ended before the recording"
    long = replayed(recorded, Run(), tmp_path / "b", 110).finish()
    assert long is not None
    assert str(long) == "tick 100: ticks after the recording's end"


COLUMNS = [name for name in ActorStates.__slots__ if name != "valid"]


@pytest.mark.parametrize("name", COLUMNS)
def test_one_changed_bit_in_any_column_of_a_valid_row_changes_the_digest(name: str) -> None:
    run = Run()
    base = DigestChain()
    base.truth(run.states)
    before = base.close_tick(0)
    column = getattr(run.states, name)
    raw = column.view(np.uint8).reshape(column.size, -1)
    raw[3, 0] ^= 1
    other = DigestChain()
    other.truth(run.states)
    after = other.close_tick(0)
    assert before.truth != after.truth
    assert before.digest != after.digest
    assert before.message == after.message
    raw[3, 0] ^= 1
    raw[6, 0] ^= 1  # row 6 holds nobody
    third = DigestChain()
    third.truth(run.states)
    assert third.close_tick(0) == before


def test_every_digest_depends_on_the_whole_history() -> None:
    chains = [DigestChain(), DigestChain()]
    chains[0].message("obu/a", "v2x/vir", 0, b"x")
    first = [chain.close_tick(0) for chain in chains]
    second = [chain.close_tick(1) for chain in chains]
    assert first[0].digest != first[1].digest
    assert second[0].message == second[1].message
    assert second[0].digest != second[1].digest


def test_the_fold_equals_its_plain_python_form() -> None:
    run = Run()
    chain = DigestChain()
    chain.truth(run.states)
    slow = np.zeros(4, np.uint64)
    with np.errstate(over="ignore"):
        rows = _kernels.fold_truth.py_func(*chain._views, slow)
    assert rows == 4
    assert slow.tolist() == chain._fold.tolist()


def test_a_quiet_scene_reaches_the_disk_by_time(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    log = LogWriter(path, HEADER)
    size = path.stat().st_size
    log.event(0, "a", "b")
    log.event(20_000_000_000, "a", "b")
    assert path.stat().st_size == size
    log.event(31_000_000_000, "a", "b")
    assert path.stat().st_size > size
    assert isinstance(log._out, Container)
    log.close()
