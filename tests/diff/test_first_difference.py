"""Planted differences are found at their tick, topic, unit and field in one sentence; runs with equal digests are equal."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols import codec
from protocols.errors import LogError
from protocols.messages import BasicSafetyBatch, Spat, VehicleCommand
from sim.diff import side
from sim.diff.first import FirstDifference, first_difference, first_field
from sim.log import scan
from sim.log.digest import DigestChain
from sim.log.writer import LogWriter
from sim.state import ActorStates
from tests.diff import mutate
from tests.sim.log.run import HEADER, TICK, Change, Run, keep


def difference(tmp_path: Path, change: Change, ticks: int = 150) -> FirstDifference | None:
    Run().write(tmp_path / "a.mcap", ticks)
    Run(change).write(tmp_path / "b.mcap", ticks)
    return first_difference(tmp_path / "a.mcap", tmp_path / "b.mcap")


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
    assert found.field == "speed_mps[station 3]"
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
    assert (found.tick, found.topic, found.field) == (33, "truth/world", "y_m[actor 3]")
    assert str(found).endswith(", as first seen at t=0.35 s")


def test_an_extra_actor_is_found(tmp_path: Path) -> None:
    def change(tick: int, what: str, value: object) -> object:
        if what == "states" and tick == 20:
            assert isinstance(value, ActorStates)
            value.valid[4] = True
        return value

    found = difference(tmp_path, change, 40)
    assert found is not None
    assert (found.tick, found.field, found.a, found.b) == (20, "id[actor 5]", "-", "5")
    assert str(found).endswith("truth/world.id[actor 5] = 5, expected nothing")


def test_a_run_that_ended_early_differs_in_length(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 150)
    Run().write(tmp_path / "b.mcap", 120)
    found = first_difference(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert found == FirstDifference(
        120, 120 * TICK, "log/digest", "", "number of ticks", "150", "120"
    )


def test_timings_and_notes_are_never_compared(tmp_path: Path) -> None:
    for name, cost in (("a", 0.1), ("b", 9.9)):
        with LogWriter(tmp_path / name, HEADER) as log:
            log.timing(0, {"world": cost})
            log.digest(DigestChain().close_tick(0))
    assert first_difference(tmp_path / "a", tmp_path / "b") is None


def test_logs_with_other_ticks_cannot_be_compared(tmp_path: Path) -> None:
    for name, tick in (("a", TICK), ("b", 2 * TICK)):
        LogWriter(tmp_path / name, dataclasses.replace(HEADER, tick_ns=tick)).close()
    with pytest.raises(LogError, match="same tick"):
        first_difference(tmp_path / "a", tmp_path / "b")


def test_the_comparison_stops_where_the_runs_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk is read at most twice, for digests and for records, and none behind the place."""

    def change(tick: int, what: str, value: object) -> object:
        if what == "command" and tick >= 200:
            assert isinstance(value, VehicleCommand)
            return dataclasses.replace(value, steer_rad=0.03)
        return value

    Run().write(tmp_path / "a.mcap", 6000, chunk_bytes=20_000)
    Run(change).write(tmp_path / "b.mcap", 6000, chunk_bytes=20_000)
    read: list[int] = []
    whole = scan.read_chunk

    def counted(file: Any, chunk: Any, path: Path) -> bytes:
        read.append(chunk.start_ns)
        return whole(file, chunk, path)

    monkeypatch.setattr(side, "read_chunk", counted)
    found = first_difference(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert found is not None
    assert (found.tick, found.topic, found.field) == (200, "cmd/vehicle", "command_steer_rad")
    assert max(read) - HEADER.epoch_ns <= 25 * 10**9  # of 60 s


def test_digests_that_cannot_be_read_are_no_equality(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 150)
    epoch, items = mutate.read(tmp_path / "a.mcap")
    bad = [replace(i, data=b"?") if i.topic == "log/digest" else i for i in items]
    mutate.write(tmp_path / "b.mcap", epoch, bad)
    with pytest.raises(LogError, match=r"b\.mcap: 2 blocks of its digests cannot be read"):
        first_difference(tmp_path / "a.mcap", tmp_path / "b.mcap")


def test_what_is_not_recorded_is_said_to_be_so(tmp_path: Path) -> None:
    for name, extra in (("a", b"x"), ("b", b"y")):
        chain = DigestChain()
        with LogWriter(tmp_path / name, HEADER) as log:
            for tick in range(20):
                if tick == 7:
                    chain.message("obu/a", "v2x/vir", 0, extra)
                log.digest(chain.close_tick(tick))
    found = first_difference(tmp_path / "a", tmp_path / "b")
    assert found is not None
    assert (found.tick, found.topic, found.field) == (7, "log/digest", "digest of message")
    assert str(found).endswith(", and nothing that is recorded of it differs at that tick")


def test_the_first_field_of_two_messages(tmp_path: Path) -> None:
    Run().write(tmp_path / "a.mcap", 20)
    _, items = mutate.read(tmp_path / "a.mcap")
    data = next(i.data for i in items if i.topic == "v2x/bsm")
    batch = codec.decode("v2x/bsm", data)
    assert isinstance(batch, BasicSafetyBatch)
    other = dataclasses.replace(batch, yaw_rad=batch.yaw_rad + np.array([0.0, 0.5, *[0.0] * (batch.yaw_rad.size - 2)]))  # fmt: skip
    name, a, b = first_field("v2x/bsm", data, codec.encode(other))
    assert name == f"yaw_rad[station {batch.station_id[1]}]"
    assert float(b) - float(a) == pytest.approx(0.5)
    assert first_field("v2x/bsm", data, b"?")[0] == "bytes"
