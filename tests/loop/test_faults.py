"""A run with faults is an experiment like any other: the same bytes wherever its units live, judged at the end, explained by its log."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols import codec
from protocols.errors import ConfigError, UnitError
from protocols.messages import Light
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from scenarios.fault_spec import FAULT_KINDS
from scenarios.load import check_scene, load_scene
from scenarios.verdict import Outcome
from sim.carrier import Carrier
from sim.compose import RunOptions, run_scene
from sim.judge_log import judge_log
from sim.log.reader import LogReader
from sim.radio.fates import Fate
from sim.rerun import replay_log
from tests.loop.run_once import ordered
from tests.support.fault_scene import EVERY_KIND, random_faults, run, scene

S = 1_000_000_000


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The run with a fault of every kind, units in this process."""
    return run(scene(EVERY_KIND), tmp_path_factory.mktemp("every"))


def log_of(outcome: Any) -> LogReader:
    return LogReader.open(outcome.log_path)


def test_the_scene_has_every_kind() -> None:
    assert {fault["kind"] for fault in EVERY_KIND} == set(FAULT_KINDS)


def test_a_run_with_every_kind_of_fault_has_the_same_digest_in_any_order_of_units(
    every: Any, tmp_path: Path
) -> None:
    for order in ("reversed", "shuffled"):
        again = run(scene(EVERY_KIND), tmp_path / order, order=ordered(order))
        assert again.digest == every.digest
    assert run(scene(()), tmp_path / "none").digest != every.digest


def test_a_run_with_every_kind_of_fault_has_the_same_digest_with_units_as_processes(
    every: Any, tmp_path: Path
) -> None:
    assert run(scene(EVERY_KIND), tmp_path, carrier=Carrier()).digest == every.digest


def test_a_run_with_faults_is_replayed_and_judged_again_from_its_log(
    every: Any, tmp_path: Path
) -> None:
    answer = replay_log(every.log_path, tmp_path)
    assert answer.same, answer.message
    assert judge_log(every.log_path).outcome == every.verdict.outcome


def test_the_log_says_when_every_fault_begins_and_ends(every: Any) -> None:
    found = {
        (event.kind, int(event.values["value"])): (event.t_ns / S, event.text)
        for event in log_of(every).events()
        if event.kind.startswith("fault_")
    }
    for index, fault in enumerate(EVERY_KIND):
        at_s, text = found.pop(("fault_started", index))
        assert at_s == fault["at_s"]
        assert text.startswith(f"faults.{index}: {fault['kind']}")
        if "until_s" in fault:
            assert found.pop(("fault_ended", index))[0] == fault["until_s"]
    assert not found


def test_the_vehicle_of_a_crashed_unit_keeps_its_command_then_brakes_to_a_standstill(
    tmp_path: Path,
) -> None:
    fault = {"kind": "crash", "unit": "obu/b", "at_s": 1.0}
    log = log_of(run(scene([fault], flow=False), tmp_path))
    trace = log.traces("b")
    # Last answered at 0.98 s; the watchdog speaks at 1.18 s.
    (watchdog,) = [event for event in log.events() if event.kind == "watchdog"]
    assert watchdog.t_ns == 1_180_000_000 and watchdog.subject == str(trace.id)
    command = trace.command_accel_mps2
    assert len(set(command[98:118].tolist())) == 1
    assert set(command[119:].tolist()) == {-3.0}
    # With the brake built up (lag well below 0.5 s) 3 m/s in a second, and standing ever after.
    drop = trace.speed_mps[200] - trace.speed_mps[300]
    assert drop == pytest.approx(3.0, abs=0.05)
    assert np.all(trace.speed_mps[600:] == 0.0)
    assert "v2x/bsm" not in {m.topic for m in log.messages(t0_ns=S) if m.sender == "obu/b"}


def test_a_crashed_unit_that_comes_back_has_lost_its_memory(tmp_path: Path) -> None:
    fault = {"kind": "crash", "unit": "rsu/X", "at_s": 2.0, "until_s": 4.05}
    log = log_of(run(scene([fault], duration_s=6.0, flow=False), tmp_path))
    # MAP goes out once a second from a unit's first call on: at 0 s, 1 s; then by the fresh unit's own count from 4.1 s on.
    stamps = [m.t_ns / S for m in log.messages("v2x/map")]
    assert stamps == pytest.approx([0.0, 1.0, 4.1, 5.1])


def test_a_hung_unit_that_comes_back_has_kept_its_memory(tmp_path: Path) -> None:
    fault = {"kind": "hang", "unit": "rsu/X", "at_s": 2.05, "until_s": 2.95}
    log = log_of(run(scene([fault], duration_s=6.0, flow=False), tmp_path))
    stamps = [m.t_ns / S for m in log.messages("v2x/map")]
    assert stamps == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    spat = {round(m.t_ns / S, 1) for m in log.messages("v2x/spat")}
    assert not spat & {2.1, 2.5, 2.9} and {2.0, 3.0} <= spat


def test_lights_of_a_silent_unit_freeze_then_flash(tmp_path: Path) -> None:
    fault = {"kind": "crash", "unit": "rsu/X", "at_s": 3.0}
    log = log_of(run(scene([fault], duration_s=6.0, flow=False), tmp_path))
    shown = list(log.signals())
    before = [light for t_ns, light in shown if t_ns < 4 * S]
    after = [light for t_ns, light in shown if t_ns >= 4 * S]
    off = {int(Light.FLASHING_YELLOW), int(Light.DARK)}
    assert not set(before[-1].tolist()) & off
    assert len(after) == 1 and set(after[0].tolist()) == off


def test_what_a_slow_unit_sends_is_as_old_as_it_is_slow(tmp_path: Path) -> None:
    fault = {"kind": "slow", "unit": "rsu/X", "at_s": 1.0, "until_s": 3.0, "delay_s": 0.5}
    log = log_of(run(scene([fault], duration_s=5.0, flow=False), tmp_path))
    age = {
        round(m.t_ns / S, 1): (m.t_ns - codec.decode("v2x/spat", m.data).t_ns) / S  # type: ignore[union-attr]
        for m in log.messages("v2x/spat")
    }
    assert age[0.9] == age[4.0] == 0.0
    assert {age[t] for t in (1.5, 2.0, 3.0)} == {0.5}
    assert not set(age) & {1.0, 1.2, 1.4}


def test_a_partition_and_garbage_stand_in_the_fates_and_nobody_hears(tmp_path: Path) -> None:
    faults = [
        {"kind": "partition", "at_s": 1.0, "until_s": 2.0, "groups": [["obu/a"], ["obu/b", "rsu/X"]]},
        {"kind": "garbage", "unit": "obu/b", "at_s": 3.0, "until_s": 4.0},
    ]  # fmt: skip
    outcome = run(scene(faults, duration_s=5.0), tmp_path)
    log = log_of(outcome)
    kept_apart: Counter[tuple[str, str]] = Counter()
    for fates in log.fates(S, 2 * S):
        first = 0
        for k, sender in enumerate(fates.senders):
            rows = slice(first, first + int(fates.num_rows[k]))
            first = rows.stop
            for r, receiver in enumerate(fates.receivers):
                if (fates.fate[rows, r] == Fate.PARTITION).any():
                    kept_apart[sender, receiver] += 1
                    assert not (fates.fate[rows, r] == Fate.DELIVERED).any()
    assert set(kept_apart) == {
        ("obu/a", "obu/b"), ("obu/a", "rsu/X"), ("obu/b", "obu/a"), ("rsu/X", "obu/a"),
    }  # fmt: skip
    garbled = [
        fates.fate[k]
        for fates in log.fates(3 * S, 4 * S)
        for k in range(fates.fate.shape[0])
        if len(fates.senders) == fates.fate.shape[0] and fates.senders[k] == "obu/b"
    ]
    assert garbled and all(set(row.tolist()) <= {0, int(Fate.GARBLED)} for row in garbled)
    # No undecodable bytes among the messages; a note each instead.
    assert not [m for m in log.messages(t0_ns=3 * S, t1_ns=4 * S) if m.sender == "obu/b" and m.topic == "v2x/bsm"]  # fmt: skip
    notes = [n for n in log.notes(3 * S, 4 * S) if any(k == "garbled/v2x/bsm" for k, _ in n.values)]
    assert len(notes) == 10


def test_a_fleet_without_its_sensor_has_nothing_to_send(tmp_path: Path) -> None:
    fault = {"kind": "sensor_loss", "unit": "fleet", "sensor": "fleet", "at_s": 5.0, "until_s": 6.0}
    log = log_of(run(scene([fault]), tmp_path))
    sent = {round(m.t_ns / S, 1) for m in log.messages("v2x/bsm") if m.sender == "fleet"}
    assert {4.9, 6.0} <= sent and not sent & {5.0, 5.5, 5.9}


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "sensor_freeze", "unit": "fleet", "sensor": "fleet", "at_s": 10.0},
        {"kind": "slow", "unit": "fleet", "delay_s": 5.0, "at_s": 0.0},
    ],
    ids=["frozen", "slow"],
)
def test_nobody_sends_for_a_vehicle_that_has_left(fault: dict[str, Any], tmp_path: Path) -> None:
    log = log_of(run(scene([fault], duration_s=32.0), tmp_path))
    left = {int(e.subject): e.t_ns for e in log.events() if e.kind == "arrived"}
    sent: dict[int, int] = {}
    for m in log.messages("v2x/bsm"):
        if m.sender == "fleet":
            ids = codec.decode("v2x/bsm", m.data).station_id.tolist()  # type: ignore[union-attr]
            sent |= dict.fromkeys(ids, m.t_ns)
    gone = set(left) & set(sent)
    assert gone and all(sent[actor] <= left[actor] for actor in gone)


MISTAKES = [
    ({"kind": "crash", "unit": "obu/c"}, r"^faults\.1\.unit: no unit 'obu/c' in this scene\. Nearest known: obu/b, obu/a"),
    ({"kind": "slow", "unit": "obu/a", "delay_s": 0.015}, r"^faults\.1\.delay_s: found 0\.015; expected a whole number of 10 ms"),
    ({"kind": "message_loss", "share": 0.5, "senders": ["obu/a", "x"]}, r"^faults\.1\.senders\.1: no unit 'x'"),
    ({"kind": "message_loss", "share": 0.5, "receivers": ["x"]}, r"^faults\.1\.receivers\.0: no unit 'x'"),
    ({"kind": "message_delay", "delay_s": 0.5, "topics": ["cmd/signal"]}, r"^faults\.1\.topics\.0: 'cmd/signal' is not sent on the air"),
    ({"kind": "partition", "groups": [["obu/a"], ["x"]]}, r"^faults\.1\.groups\.1\.0: no unit 'x'"),
    ({"kind": "sensor_loss", "unit": "rsu/X", "sensor": "gnss"}, r"^faults\.1\.sensor: rsu/X has no sensor 'gnss'; it has crossings"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "sentence"), MISTAKES)
def test_a_name_that_does_not_exist_is_said_by_its_key_before_anything_runs(
    fault: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run(scene([EVERY_KIND[0], fault | {"at_s": 1.0}]), tmp_path)
    assert not (tmp_path / "run.mcap").exists()


WRONG = [
    ({"kind": "crsh", "unit": "obu/a"}, r"faults\.0\.kind: no fault 'crsh'\. Nearest known: crash"),
    ({"unit": "obu/a"}, r"faults\.0: key 'kind' is missing; one of crash, hang"),
    ({"kind": "crash"}, r"key 'faults\.0\.unit' is missing"),
    ({"kind": "crash", "unit": "obu/a", "untl_s": 3}, r"unknown key 'faults\.0\.untl_s'\. Nearest known: until_s"),
    ({"kind": "crash", "unit": "obu/a", "until_s": 1.0}, r"faults\.0: until_s = 1 is not after at_s = 1"),
    ({"kind": "slow", "unit": "obu/a", "delay_s": 0}, r"faults\.0\.delay_s: found 0; expected greater than 0"),
    ({"kind": "clock_offset", "unit": "obu/a", "offset_s": 0}, r"faults\.0: offset_s = 0 is a clock that is right"),
    ({"kind": "sensor_bias", "unit": "obu/a", "sensor": "gnss"}, r"faults\.0: a bias needs one of x_m"),
    ({"kind": "partition", "groups": [["obu/a"], ["obu/a"]]}, r"faults\.0: groups: 'obu/a' is named twice"),
    ({"kind": "partition", "groups": [["obu/a"], []]}, r"faults\.0: groups: an empty group"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "sentence"), WRONG)
def test_what_a_fault_cannot_be_is_said_by_its_key(fault: dict[str, Any], sentence: str) -> None:
    table = scene([]).model_dump(mode="json")
    with pytest.raises(ConfigError, match=sentence):
        check_scene(table | {"faults": [fault | {"at_s": 1.0}]}, "here")


def test_faults_are_set_from_the_command_line_too(tmp_path: Path) -> None:
    fault = '{ kind = "crash", unit = "obu/bus1", at_s = 1.0 }'
    loaded = load_scene(Path("brt_corridor"), (f"faults=[{fault}]", "duration_s=2"))
    outcome = run_scene(
        loaded.spec, loaded.path.parent, tmp_path, options=RunOptions(picture=False)
    )
    kinds = [event.kind for event in log_of(outcome).events()]
    assert kinds.count("fault_started") == 1 and kinds.count("watchdog") == 1


def test_a_unit_that_breaks_down_in_earnest_is_still_an_infrastructure_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim import units
    from vehicle.fleet import FleetUnit

    class Mortal(FleetUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            if now.tick == 300:
                raise RuntimeError("out of luck")
            return super().on_tick(now, inbox)

    monkeypatch.setattr(units, "FleetUnit", Mortal)
    with pytest.raises(UnitError, match=r"unit fleet at tick 300 .*out of luck"):
        run(scene(EVERY_KIND), tmp_path)
    assert log_of_path(tmp_path).digests().tick.size == 300


def test_a_unit_whose_numbers_cannot_be_on_the_wire_is_an_infrastructure_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sim import units
    from vehicle.fleet import FleetUnit

    class Wild(FleetUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            if now.tick >= 300:
                for item in out.transmissions:
                    item.message.speed_mps[:] = np.nan
            return out

    monkeypatch.setattr(units, "FleetUnit", Wild)
    with pytest.raises(UnitError, match=r"unit fleet at tick 3\d\d .*nonsense.*speed_mps"):
        run(scene(EVERY_KIND), tmp_path)


def log_of_path(folder: Path) -> LogReader:
    return LogReader.open(folder / "run.mcap")


# the campaign ------------------------------------------------------------------------------------------------------------


def campaign(seeds: range, folder: Path) -> Counter[str]:
    """Random faults, seed by seed; how the runs ended. Anything but a verdict or a named error of a unit is raised."""
    duration_s = 4.0
    ends: Counter[str] = Counter()
    for seed in seeds:
        faults = random_faults(random.Random(seed), duration_s)
        spec = scene(faults, duration_s, seed=seed)
        begun = time.monotonic()
        try:
            outcome = run(spec, folder)
        except UnitError as error:
            assert "tick" in str(error) and any(f"unit {name}" in str(error) for name in ("obu/", "rsu/", "fleet"))  # fmt: skip
            ends["infrastructure error"] += 1
        else:
            assert outcome.verdict.outcome in (Outcome.PASS, Outcome.FAIL), (seed, faults)
            ends[outcome.verdict.outcome.value] += 1
            assert json.loads(outcome.result_path.read_text())["outcome"] == outcome.verdict.outcome.value  # fmt: skip
        assert time.monotonic() - begun < 60.0, f"seed {seed} took too long: {faults}"
        log = log_of_path(folder)
        started = [e for e in log.events() if e.kind == "fault_started"]
        if log.result() is not None:
            assert log.digests().tick.size == duration_s * 100
            # what begins in the last tick or later is not seen any more
            assert len(started) == sum(fault["at_s"] <= duration_s - 0.01 for fault in faults), seed
        for _ in log.fates():
            pass
    return ends


def test_a_dozen_random_sets_of_faults_end_in_a_verdict_with_a_readable_log(tmp_path: Path) -> None:
    ends = campaign(range(12), tmp_path)
    assert sum(ends.values()) == 12 and not ends["infrastructure error"]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_random_sets_of_faults_end_in_a_verdict_with_a_readable_log(
    tmp_path: Path,
) -> None:
    ends = campaign(range(1000, 2000), tmp_path)
    assert sum(ends.values()) == 1000 and not ends["infrastructure error"], ends
