"""A search that cannot go on, or that was given the wrong thing, says so; what never happened does not shrink to nobody at all."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from protocols.errors import InputError, NothingRanError, UnitError
from protocols.judging import RunFacts
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from roadside.unit import RoadsideUnit
from scenarios.fault_spec import MessageLossSpec
from scenarios.load import check_scene, load_scene
from scenarios.spec import SceneSpec
from scenarios.verdict import CriterionResult, Outcome, Verdict
from sim import units
from sim.cli import app
from sim.compose import RunOptions, run_scene
from sim.shrink.actors import actors, scene_of
from sim.shrink.reason import reason_of_error, reasons_of
from sim.shrink.run import shrink
from sim.shrink.simpler import candidates
from sim.shrink.source import failing_scene
from sim.shrink.text import map_file, scene_text
from sim.shrink.trial import Trials
from sim.traffic import engine
from sim.traffic.walkers import Walkers
from tests.shrink.plants import COMFORT, crossing, with_road

BIAS = {"kind": "sensor_bias", "unit": "obu/a", "sensor": "gnss", "at_s": 0.0, "x_m": 4.0}


def icv(*words: object) -> Result:
    return CliRunner().invoke(app, ["shrink", *map(str, words)])


def biased(seconds: float = 12.0) -> SceneSpec:
    return crossing([COMFORT], [BIAS], duration_s=seconds)


def scene_file(folder: Path, spec: SceneSpec) -> Path:
    with_road(folder)
    path = folder / "scene.toml"
    path.write_text(scene_text(spec, ""))
    return path


def recorded(folder: Path, spec: SceneSpec) -> Path:
    base = with_road(folder)
    return run_scene(spec, base, folder / "run", options=RunOptions(picture=False)).log_path


# what an error says ---------------------------------------------------------------------------------------------------


def broken_unit(says: Callable[[Now], str], patch: pytest.MonkeyPatch) -> None:
    class Broken(RoadsideUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            if now.t_ns >= 300_000_000:
                raise IndexError(says(now))
            return super().on_tick(now, inbox)

    patch.setattr(units, "RoadsideUnit", Broken)


def test_an_address_or_a_control_character_in_an_error_is_no_other_reason_and_no_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: nothing could be taken away, since each run has other addresses; then the file was no TOML."""
    kept = []  # so that the next object lies elsewhere

    def says(now: Now) -> str:
        kept.append(object())
        return f"no row for {kept[-1]!r} \x01\x1b[31m\x7f\x85 at {now.t_ns}"

    broken_unit(says, monkeypatch)
    scene = scene_file(tmp_path, crossing([{"kind": "signal_rules"}], duration_s=2.0))
    done = icv(scene, "--out", tmp_path / "small.toml", "-q")
    assert done.exit_code == 0, done.output
    small = load_scene(tmp_path / "small.toml").spec
    assert [actor.name for actor in actors(small)] == ["X"]
    assert small.duration_s < 0.5


def test_addresses_are_numbers() -> None:
    def reason(address: str) -> object:
        return reason_of_error(
            UnitError(f"unit rsu/X raised KeyError: <Track object at {address}>")
        )

    assert reason("0x7f43236f2690") == reason("0x55d0AB")


def test_an_exception_without_a_tick_cuts_time_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Walkers):
        ticks = 0

        def advance(self, dt_s: float) -> None:
            self.ticks += 1
            if self.ticks > 120:
                raise ZeroDivisionError("division by zero")
            super().advance(dt_s)

    monkeypatch.setattr(engine, "Walkers", Broken)
    found = shrink(crossing([{"kind": "signal_rules"}], duration_s=9.0), with_road(tmp_path))
    assert found.is_minimal
    assert found.reason.name == "ZeroDivisionError"
    assert 1.2 <= found.after[1] <= 2.1


# what never happened --------------------------------------------------------------------------------------------------


def outage(duration_s: float = 25.0) -> SceneSpec:
    """Car a hears no SPAT and waits at its light for ever."""
    lost = {"kind": "message_loss", "at_s": 0.0, "share": 1.0, "topics": ["v2x/spat"], "receivers": ["obu/a"]}  # fmt: skip
    spec = crossing([{"kind": "arrival", "vehicles": ["a"]}], [lost], duration_s)
    return scene_of(spec, [one for one in actors(spec) if one.what not in ("traffic", "walker")])


def test_a_radio_outage_is_not_shrunk_to_a_scene_in_which_nobody_sends(tmp_path: Path) -> None:
    """Found: the roadside unit and the outage went, since a car that nobody tells of its light does not arrive either."""
    base = with_road(tmp_path)
    found = shrink(outage(), base)
    assert found.is_minimal
    assert "never, stood before S.through: no signal heard, rsu/X tells it" in found.reason.detail
    left = actors(found.spec)
    assert sorted(actor.what for actor in left) == ["fault", "roadside", "vehicle"]
    trials = Trials(base, 10)
    for actor in left:
        without = trials.reasons(scene_of(found.spec, set(left) - {actor}))
        assert found.reason not in without, str(actor)


def failed(name: str, spec: SceneSpec, **facts: Any) -> str:
    result = CriterionResult(name, False, "", 0.0, 1.0)
    (found,) = reasons_of(Verdict(Outcome.FAIL, "", (result,)), RunFacts(12.0, **facts), spec)
    return found.detail


def test_who_was_there_belongs_to_what_nobody_did() -> None:
    spec = crossing([])
    nobody = spec.model_copy(update={"vehicles": (), "roadside": ()})
    cars = spec.model_copy(update={"roadside": ()})
    assert failed("priority_granted", spec) == "nobody asked of vehicles and roadside units"
    assert len({failed("priority_granted", s) for s in (spec, nobody, cars)}) == 3
    assert failed("message_periods/spat", spec) != failed("message_periods/spat", nobody)
    few, many = ({"traffic": {"spawned": n, "arrived": 0.0}} for n in (3.0, 40.0))
    assert failed("traffic_flow/arrived", spec, **few) != failed("traffic_flow/arrived", spec, **many)  # fmt: skip


def test_traffic_that_is_counted_stays(tmp_path: Path) -> None:
    """Found: too few arrived was shrunk to an empty road."""
    spec = crossing([{"kind": "traffic_flow", "min_arrived": 900}], duration_s=3.0)
    found = shrink(spec, with_road(tmp_path), budget=60)
    traffic = [actor for actor in actors(spec) if actor.what == "traffic"]
    assert [actor for actor in actors(found.spec) if actor.what == "traffic"] == traffic
    assert not [actor for actor in actors(found.spec) if actor.what == "walker"]


def test_a_fault_of_some_messages_never_becomes_one_of_all() -> None:
    """Found: the outage of SPAT became an outage of everything."""
    fault = {"kind": "message_loss", "at_s": 0.0, "share": 1.0, "topics": ["v2x/spat", "v2x/map"], "senders": ["rsu/X"]}  # fmt: skip
    spec = crossing([], [fault])
    number = next(k for k, one in enumerate(spec.faults) if one.kind == "message_loss" and one.share == 1.0)  # fmt: skip
    lists = [
        (one.topics, one.senders)
        for what, small in candidates(spec)
        if what.startswith(f"faults.{number}.") and isinstance(one := small.faults[number], MessageLossSpec)
    ]  # fmt: skip
    assert (("v2x/map",), ("rsu/X",)) in lists
    assert (("v2x/spat",), ("rsu/X",)) in lists
    assert all(topics and senders for topics, senders in lists)


# the wrong thing ------------------------------------------------------------------------------------------------------


def test_a_scene_that_cannot_be_run_is_told_so_and_not_that_it_passes(tmp_path: Path) -> None:
    base = with_road(tmp_path)
    spec = biased(2.0)
    a = spec.vehicles[0].model_copy(update={"start_lane": "99/0/-1"})
    with pytest.raises(InputError, match="'99/0/-1' is not on road network"):
        shrink(spec.model_copy(update={"vehicles": (a, *spec.vehicles[1:])}), base)
    with pytest.raises(NothingRanError, match=r"has no \[\[criteria\]\]"):
        shrink(spec.model_copy(update={"criteria": ()}), base)


def test_a_place_that_cannot_be_written_is_told_before_the_search(tmp_path: Path) -> None:
    scene = scene_file(tmp_path, biased())
    (tmp_path / "small.toml.part").mkdir()  # holds for the superuser too
    done = icv(scene, "--out", tmp_path / "small.toml")
    assert done.exit_code == 3
    assert "small.toml.part: " in done.stderr
    assert "runs:" not in done.stderr


def test_a_log_of_a_run_that_passed_is_told_without_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = recorded(tmp_path, crossing([{"kind": "signal_rules"}], duration_s=0.5))

    def no_run(*_: object, **__: object) -> None:
        raise AssertionError("ran")

    monkeypatch.setattr("sim.shrink.trial.run_scene", no_run)
    done = icv(log, "--out", tmp_path / "small.toml")
    assert done.exit_code == 2
    assert f"{log}: the run passed" in done.stderr


def test_a_log_that_other_code_recorded_is_not_shrunk_for_another_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: what fails now, whatever it is, was taken for what the log failed for."""

    def told(criteria: list[dict[str, Any]]) -> Result:
        spec = crossing(criteria, [BIAS], duration_s=3.0)
        log = recorded(tmp_path, spec)
        table = json.loads(log.with_name("result.json").read_text())
        for row in table["criteria"]:
            row["passed"] = row["name"] != "signal_rules"
        monkeypatch.setattr("sim.log.reader.LogReader.result", lambda _: json.dumps(table))
        return icv(log, "--out", tmp_path / "small.toml", "--runs", "3")

    done = told([])
    assert done.exit_code == 2, done.output
    assert "does not fail" in done.stderr
    assert "The run in the log failed for signal_rules, and does not with this code (commit" in done.stderr  # fmt: skip
    done = told([{"kind": "arrival", "by_s": 1.0}])
    assert done.exit_code == 2, done.output
    assert "fails for arrival/a" in done.stderr
    assert "with --reason" in done.stderr
    assert not (tmp_path / "small.toml").exists()


def test_a_log_is_shrunk_for_what_it_failed_for_first(tmp_path: Path) -> None:
    log = recorded(tmp_path, biased())
    done = icv(log, "--out", tmp_path / "small.toml", "--runs", "2")
    assert done.exit_code == 0, done.output
    first = next(row["name"] for row in json.loads(log.with_name("result.json").read_text())["criteria"] if not row["passed"])  # fmt: skip
    assert f"fails for {first}" in done.stdout


def test_another_road_file_for_a_log_is_the_one_that_is_written(tmp_path: Path) -> None:
    log = recorded(tmp_path, biased(1.0))
    other = tmp_path / "other.xodr"
    other.write_text((tmp_path / "crossroads.xodr").read_text() + "<!-- other -->")
    spec, road = failing_scene(str(log), [f'map.file="{other}"'])
    assert road == other
    assert spec.map.file == str(other)


def test_a_library_road_is_named_in_full_where_another_of_its_name_lies_beside(tmp_path: Path) -> None:  # fmt: skip
    road = load_scene("smart_island").path.parents[1] / "roads" / "smart_island.xodr"
    assert map_file(road, road.parent, tmp_path) == "smart_island.xodr"
    (tmp_path / "smart_island.xodr").touch()
    assert (tmp_path / map_file(road, road.parent, tmp_path)).resolve() == road.resolve()


def test_the_longest_name_of_a_scene_still_gets_its_ending(tmp_path: Path) -> None:
    spec = biased(2.0).model_copy(update={"name": "n" * 64})
    done = icv(scene_file(tmp_path, spec), "--library", tmp_path / "scenes", "--set", 'criteria=[{kind="arrival"}]', "--runs", 1)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [path.stem for path in (tmp_path / "scenes").iterdir()] == ["n" * 60 + "-min"]


# stopped --------------------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_smallest_scene_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found: an hour of search was lost."""
    scene = scene_file(tmp_path, biased())
    ran = []

    def run_then_stop(*words: Any, **more: Any) -> Any:
        ran.append(words)
        if len(ran) == 6:
            signal.raise_signal(signal.SIGINT)
        return run_scene(*words, **more)

    monkeypatch.setattr("sim.shrink.trial.run_scene", run_then_stop)
    out = tmp_path / "small.toml"
    done = icv(scene, "--out", out)
    assert done.exit_code == 130, done.output
    assert len(ran) == 6  # nothing is run after that
    assert "the search was stopped: this is the smallest scene so far" in done.stdout
    assert "stopped by Ctrl-C" in done.stderr
    small = load_scene(out).spec
    assert small.duration_s < biased().duration_s
    assert "the search was cut short" in out.read_text()
    assert not list(tmp_path.glob("*.part"))


def test_ctrl_c_before_anything_was_found_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("sim.shrink.trial.run_scene", stop)
    done = icv(scene_file(tmp_path, biased()), "--out", tmp_path / "small.toml")
    assert done.exit_code == 130
    assert not (tmp_path / "small.toml").exists()


def test_a_full_disk_is_the_machines_fault_and_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "run.mcap")

    monkeypatch.setattr("sim.shrink.trial.run_scene", full)
    with pytest.raises(OSError, match="No space left"):
        shrink(biased(), with_road(tmp_path))


def test_a_log_that_broke_off_is_shrunk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_unit(lambda now: "gone", monkeypatch)
    spec = crossing([{"kind": "signal_rules"}], duration_s=2.0)
    with pytest.raises(UnitError):
        run_scene(spec, with_road(tmp_path), tmp_path / "run", options=RunOptions(picture=False))
    log = tmp_path / "run" / "run.mcap"
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(log.read_bytes()[:-200])
    done = icv(cut, "--out", tmp_path / "small.toml", "-q")
    assert done.exit_code == 0, done.output
    assert "fails for rsu/X" in done.stdout


def test_a_comment_is_plain_text_whatever_it_says() -> None:
    spec = biased()
    text = scene_text(spec, "a\r\x00\x1b[2J\nb\x0bc\u2028d")
    assert text.startswith("# a")
    assert check_scene(tomllib.loads(text), "text") == spec
