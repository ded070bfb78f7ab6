"""A digest covers everything, and replays are checked by it tick by tick; a quiet log reaches the disk by time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from protocols.messages import VehicleCommand
from sim.log import _kernels
from sim.log.container import Container
from sim.log.digest import DigestChain
from sim.log.replay import Recorded, ReplayCheck, load
from sim.log.writer import LogWriter
from sim.state import ActorStates
from tests.sim.log.run import HEADER, Run


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
