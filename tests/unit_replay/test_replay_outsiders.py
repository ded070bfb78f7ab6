"""Runs with units from outside (another process, another language): our own stand in for them, and the answer says so."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sim.unit_replay.alone
from protocols.errors import LogError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from sim import units
from sim.carrier import Carrier
from sim.cli import app
from sim.compose import BACKEND, CARLA, RunOutcome
from sim.log.replay import Recorded, load
from sim.prove.child import hold_units
from sim.rerun import replay_log
from sim.unit_replay.alone import replay_unit
from sim.whatif.again import open_source, run_again
from sim.whatif.edit import parse
from tests.support.fault_scene import UNITS, run, scene
from vehicle.fleet import FleetUnit

DURATION_S = 4.0


class Stranger(FleetUnit):
    """A fleet of another maker: from 3.5 s on it says that everybody stands a metre further north."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        out = super().on_tick(now, inbox)
        if now.tick >= 350:
            for item in out.transmissions:
                item.message.y_m[:] += 1.0  # type: ignore[union-attr, index]
        return out


def from_outside(folder: Path, *kept: str) -> RunOutcome:
    """A run all of whose units have joined from outside; they live in threads of this process."""
    spec = scene((), DURATION_S)
    bus = spec.bus.model_copy(update={"external": UNITS})
    record = spec.record.model_copy(update={"inbox": kept})
    address = f"ipc://{folder}/bus"
    host = threading.Thread(target=hold_units, args=(address, list(UNITS)), daemon=True)
    host.start()
    done = run(
        spec.model_copy(update={"bus": bus, "record": record}),
        folder,
        carrier=Carrier(address, starts=False),
    )
    host.join(20)
    return done


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    """Units from outside that do what ours do."""
    return from_outside(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    """One of them does not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "FleetUnit", Stranger)
        return from_outside(tmp_path_factory.mktemp("theirs"), "*")


def test_a_run_with_units_from_outside_is_replayed_with_ours(ours: RunOutcome, tmp_path: Path) -> None:  # fmt: skip
    answer = replay_log(ours.log_path, tmp_path)
    assert answer.same and answer.digest_b == ours.digest
    assert "icv's own fleet, obu/a, obu/b, rsu/X for those from outside" in answer.message
    assert replay_log(tmp_path / "run.mcap", tmp_path / "again").same


@pytest.mark.parametrize("name", UNITS)
def test_each_of_them_alone_says_what_it_said(ours: RunOutcome, name: str) -> None:
    answer = replay_unit(ours.log_path, name)
    assert answer.same and "for those from outside" in answer.message


def test_what_a_stranger_said_is_not_called_a_run_that_cannot_be_repeated(
    theirs: RunOutcome, tmp_path: Path
) -> None:
    answer = replay_log(theirs.log_path, tmp_path)
    assert not answer.same
    assert "left the recording at tick 350" in answer.message
    assert "icv's own fleet, obu/a, obu/b, rsu/X for those from outside" in answer.message
    done = CliRunner().invoke(app, ["replay", str(theirs.log_path), "-q"])
    assert done.exit_code == 1 and "from outside" in done.output


def test_one_unit_alone_is_told_from_the_strangers_by_its_recorded_inbox(theirs: RunOutcome) -> None:  # fmt: skip
    for name in ("obu/a", "obu/b", "rsu/X"):
        assert replay_unit(theirs.log_path, name).same
    fleet = replay_unit(theirs.log_path, "fleet")
    assert fleet.same is False and fleet.first is not None and fleet.first.tick == 350
    assert "fleet came from outside in the recording" in fleet.message


def test_edits_are_tried_with_ours_and_never_blamed_for_a_stranger(
    ours: RunOutcome, theirs: RunOutcome, tmp_path: Path
) -> None:
    again = run_again(open_source(ours.log_path), [], tmp_path / "ours")
    assert again.departure is None
    edits = [parse("drop", "v2x/map:rsu/X@1")]
    assert run_again(open_source(ours.log_path), edits, tmp_path / "edited").departure is None
    words = ["what-if", str(theirs.log_path), "--drop", "v2x/map:rsu/X@1"]
    done = CliRunner().invoke(app, words)
    text = " ".join(done.output.split())
    assert done.exit_code == 2 and "cannot be run again" in text, text
    assert "from outside" in text and "tick 350" in text


def test_with_recorded_inboxes_no_physics_is_needed(
    theirs: RunOutcome, ours: RunOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit of a run on a CARLA server can be asked again where its inbox was kept, and only there."""

    def on_carla(path: Path, recover: bool = False) -> Recorded:
        found = load(path, recover)
        header: Any = found.header
        return replace(found, header=replace(header, versions={**header.versions, BACKEND: CARLA}))

    monkeypatch.setattr(sim.unit_replay.alone, "load", on_carla)
    assert replay_unit(theirs.log_path, "rsu/X").same
    with pytest.raises(LogError, match=r"CARLA server's physics.*record\.inbox"):
        replay_unit(ours.log_path, "rsu/X")
