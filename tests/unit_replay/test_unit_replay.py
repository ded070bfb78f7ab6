"""One unit alone on what it heard says what it said; a unit that was changed is found out at its first other word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocols.errors import CodecError, ConfigError, LogError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from roadside.tracking import TrackingConfig
from roadside.unit import RoadsideUnit
from scenarios.spec import SceneSpec
from sim import units
from sim.cli import app
from sim.log.reader import LogReader
from sim.rerun import replay_log
from sim.unit_replay.alone import replay_unit
from tests.support.fault_scene import EVERY_KIND, UNITS, run, scene
from vehicle.fleet import FleetUnit
from vehicle.onboard import OnboardUnit


def keeping(spec: SceneSpec, *names: str) -> SceneSpec:
    """`spec` that records the inboxes of `names`."""
    return spec.model_copy(update={"record": spec.record.model_copy(update={"inbox": names})})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run without recorded inboxes."""
    return run(scene(()), tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run with a fault of every kind."""
    return run(scene(EVERY_KIND), tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plain run with all inboxes recorded."""
    return run(keeping(scene(()), "*"), tmp_path_factory.mktemp("kept"))


class Shifted(RoadsideUnit):
    """Sees everything a centimetre further east, from 3 s on."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        objects = inbox.readings.objects
        if now.tick >= 300 and objects is not None:
            readings = replace(inbox.readings, objects=replace(objects, x_m=objects.x_m + 0.01))
            inbox = Inbox(inbox.messages, readings)
        return super().on_tick(now, inbox)


class Heavy(OnboardUnit):
    """Accelerates by a hair less at tick 250."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        out = super().on_tick(now, inbox)
        if now.tick == 250 and self.name == "obu/a" and out.vehicle is not None:
            out.vehicle = replace(out.vehicle, accel_mps2=out.vehicle.accel_mps2 - 1e-9)
        return out


class Talkative(FleetUnit):
    """Writes a note at tick 100, which no digest covers."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        out = super().on_tick(now, inbox)
        if now.tick == 100:
            out.notes.append(("mood", 1.0))
        return out


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_alone_says_what_it_said(name: str, plain: Any, kept: Any) -> None:
    for log, source in (
        (plain.log_path, "of the recorded run"),
        (kept.log_path, "recorded inboxes"),
    ):
        answer = replay_unit(log, name)
        assert answer.same and answer.exit_code == 0, answer.message
        assert source in answer.message
        assert answer.calls >= 80  # 8 s, every 100 ms at least


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_with_faults_alone_says_what_it_said(name: str, broken: Any) -> None:
    answer = replay_unit(broken.log_path, name)
    assert answer.same, answer.message


def test_recorded_inboxes_change_nothing_else(plain: Any, kept: Any, tmp_path: Path) -> None:
    assert kept.digest == plain.digest
    assert replay_log(kept.log_path, tmp_path).same
    assert {name for name, _ in LogReader.open(kept.log_path).inboxes()} == set(UNITS)
    assert not list(LogReader.open(plain.log_path).inboxes())


@pytest.mark.parametrize("log", ("plain", "kept"))
def test_a_changed_roadside_unit_is_found_at_its_first_other_message(
    log: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(log).log_path  # made by the unit as it is
    monkeypatch.setattr(units, "RoadsideUnit", Shifted)
    answer = replay_unit(path, "rsu/X")
    assert answer.same is False and answer.exit_code == 1
    assert answer.first is not None
    assert answer.first.tick in range(300, 311) and answer.first.topic == "v2x/rsm"
    assert answer.first.sender == "rsu/X" and answer.first.field.startswith("x_m[")
    assert answer.first.a in answer.message and answer.first.b in answer.message
    assert (answer.others > 10) == (log == "kept")  # later inboxes are known only where recorded


def test_other_units_are_not_blamed_where_inboxes_were_recorded(
    kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "RoadsideUnit", Shifted)
    for name in ("obu/a", "obu/b", "fleet"):
        assert replay_unit(kept.log_path, name).same


def test_where_the_world_has_changed_the_answer_is_not_known_and_says_from_when(
    plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "OnboardUnit", Heavy)
    answer = replay_unit(plain.log_path, "rsu/X")
    assert answer.same is None and answer.exit_code == 3
    assert "the same up to tick 250" in answer.message and "record.inbox" in answer.message


def test_a_changed_command_is_found_to_the_last_bit(
    plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "OnboardUnit", Heavy)
    answer = replay_unit(plain.log_path, "obu/a")
    assert answer.first is not None
    assert (answer.first.tick, answer.first.topic, answer.first.field) == (
        250,
        "cmd/vehicle",
        "accel_mps2",
    )


@pytest.mark.parametrize("log", ("plain", "kept"))
def test_a_changed_note_is_found_although_no_digest_covers_it(
    log: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = request.getfixturevalue(log).log_path  # made by the unit as it is
    monkeypatch.setattr(units, "FleetUnit", Talkative)
    answer = replay_unit(path, "fleet")
    assert answer.first is not None
    assert (answer.first.tick, answer.first.topic) == (100, "log/note")


def test_a_changed_parameter_is_found(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make = units.Units.onboard

    def other(self: Any, item: Any, index: int, line: Any = None) -> Any:
        wider = replace(item.params, front_overhang_m=item.params.front_overhang_m + 0.1)
        return make(self, replace(item, params=wider), index, line)

    monkeypatch.setattr(units.Units, "onboard", other)
    answer = replay_unit(plain.log_path, "obu/b")
    assert answer.same is False and answer.first is not None
    assert answer.first.topic.startswith(("v2x/", "cmd/", "obu/"))


def test_a_changed_tracker_is_found(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nervous(RoadsideUnit):
        def __init__(self, *args: Any, **keys: Any) -> None:
            super().__init__(*args, **keys, tracking=TrackingConfig(accel_sigma_mps2=4.4))

    monkeypatch.setattr(units, "RoadsideUnit", Nervous)
    answer = replay_unit(plain.log_path, "rsu/X")
    assert answer.first is not None
    assert (answer.first.topic, answer.first.sender) == ("v2x/rsm", "rsu/X"), answer.message


def test_unknown_names_and_wrong_logs_are_bad_input(plain: Any, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no unit 'rsu/J9'; its units are fleet, obu/a, obu/b, rsu/X"
    ):
        replay_unit(plain.log_path, "rsu/J9")
    with pytest.raises(ConfigError, match=r"record\.inbox: no unit 'rsu/J9'"):
        run(keeping(scene((), duration_s=1.0), "rsu/J9"), tmp_path)
    slow = run(
        scene([{"kind": "slow", "unit": "fleet", "at_s": 0.2, "delay_s": 0.1}], 1.0), tmp_path
    )
    with pytest.raises(LogError, match="fleet answers late"):
        replay_unit(slow.log_path, "fleet")
    runner = CliRunner()
    (tmp_path / "no.mcap").write_bytes(b"nothing")
    assert (
        runner.invoke(app, ["replay", str(tmp_path / "no.mcap"), "--unit", "fleet"]).exit_code == 2
    )
    both = ["replay", str(plain.log_path), "--unit", "fleet", "--out", str(tmp_path)]
    assert runner.invoke(app, both).exit_code == 2


def cut(log: Path, folder: Path, share: float) -> Path:
    """The first `share` of the file at `log`."""
    data = log.read_bytes()
    path = folder / f"{share}.mcap"
    path.write_bytes(data[: int(share * len(data))])
    return path


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_log_that_broke_off_is_compared_as_far_as_it_goes(
    plain: Any, kept: Any, tmp_path: Path, share: float
) -> None:
    for outcome in (plain, kept):
        path = cut(outcome.log_path, tmp_path, share)
        for name in ("rsu/X", "obu/a"):
            answer = replay_unit(path, name, recover=True)
            assert answer.same and answer.calls > 0, answer.message
            assert "breaks off" in answer.message


def test_a_log_without_a_whole_tick_proves_nothing(plain: Any, tmp_path: Path) -> None:
    data = plain.log_path.read_bytes()
    sizes = range(len(data) // 40, len(data), len(data) // 40)
    for size in sizes:
        path = tmp_path / "cut.mcap"
        path.write_bytes(data[:size])
        try:
            held = LogReader.open(path, recover=True).digests().tick.size
        except LogError:
            continue
        break
    else:
        pytest.fail("no cut leaves a readable beginning")
    assert not held, "the first readable cut holds digests already: make it finer"
    for call in (lambda: replay_unit(path, "rsu/X", recover=True), lambda: replay_log(path, tmp_path, recover=True)):  # fmt: skip
        with pytest.raises(LogError, match="nothing of it can be compared"):
            call()


def test_frames_that_are_none_are_refused(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (b"", b"\xff" * 40, b"\x1a\x04\x08\xff\xff\xff"):
        monkeypatch.setattr(LogReader, "inboxes", lambda self, bad=bad: iter([("rsu/X", bad)]))
        with pytest.raises(CodecError):
            replay_unit(kept.log_path, "rsu/X")


def test_the_command_says_it_in_one_line(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["replay", str(plain.log_path), "--unit", "rsu/X", "-q"])
    assert done.exit_code == 0 and done.output.startswith(
        "same: rsu/X says the same in all 80 calls"
    )
    monkeypatch.setattr(units, "RoadsideUnit", Shifted)
    done = runner.invoke(app, ["replay", str(plain.log_path), "--unit", "rsu/X", "-q"])
    assert done.exit_code == 1 and done.output.startswith("DIFFERENT: rsu/X says something else from tick 30")  # fmt: skip
