"""Planted failures in the library's scenes, each of another kind: what is left fails for the same reason, and every actor left is needed.

A pedestrian is hit, a signal's SPAT lies, radio fails, a unit hangs, two faults have to come together, a phase of a signal plan decides, a
parameter is bad, time is up, a roadside unit dies of what it hears, a swept scene of a suite fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.messages import Light, Spat
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from roadside.unit import RoadsideUnit
from scenarios.load import find_map, load_scene
from sim import units
from sim.cli import app
from sim.shrink.actors import actors, scene_of
from sim.shrink.run import shrink
from sim.shrink.source import written
from sim.shrink.trial import Trials
from vehicle.onboard import OnboardUnit

pytestmark = pytest.mark.long
NS = 1_000_000_000
Accel = Callable[[dict[str, int], Now, Inbox], float | None]


def driven(accel: Accel, patch: pytest.MonkeyPatch) -> None:
    """Whoever is automated drives with what `accel` says, where it says something; it has a memory."""

    class Broken(OnboardUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            memory = self.__dict__.setdefault("memory", {})
            value = accel(memory, now, inbox) if out.vehicle is not None else None
            if out.vehicle is not None and value is not None:
                out.vehicle = replace(out.vehicle, accel_mps2=value)
            return out

    patch.setattr(units, "OnboardUnit", Broken)


def blind(memory: dict[str, int], now: Now, inbox: Inbox) -> float | None:
    return 1.0 if now.t_ns < 5 * NS else 0.0


def brakes_without_both(memory: dict[str, int], now: Now, inbox: Inbox) -> float | None:
    """Hard, where neither SPAT nor GNSS has come for a second."""
    if any(item.topic == "v2x/spat" for item in inbox.messages):
        memory["heard"] = now.t_ns
    if inbox.readings.gnss is not None:
        memory["located"] = now.t_ns
    since = max(memory.get("heard", now.t_ns), memory.get("located", now.t_ns))
    return -6.0 if now.t_ns - since > NS else None


def lying_head(patch: pytest.MonkeyPatch) -> None:
    """SPAT says green whatever the lamps show."""

    class Broken(RoadsideUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            for k, item in enumerate(out.transmissions):
                if isinstance(item.message, Spat):
                    phases = tuple(replace(p, light=Light.GREEN_PROTECTED) for p in item.message.phases)  # fmt: skip
                    out.transmissions[k] = replace(
                        item, message=replace(item.message, phases=phases)
                    )
            return out

    patch.setattr(units, "RoadsideUnit", Broken)


def dies_of_traffic(patch: pytest.MonkeyPatch) -> None:
    """The unit at J2 dies of a message of the fleet, with an address in its last words."""

    class Broken(RoadsideUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            if self.name == "rsu/J2" and any(item.sender == "fleet" for item in inbox.messages):
                raise LookupError(f"no track of {object()}")
            return super().on_tick(now, inbox)

    patch.setattr(units, "RoadsideUnit", Broken)


@dataclass(frozen=True, slots=True)
class Plant:
    """What is planted where, and who has to be left."""

    scene: str
    settings: tuple[str, ...]
    wanted: str
    left: dict[str, int]
    plant: Callable[[pytest.MonkeyPatch], None] = field(default=lambda patch: None)
    keeps: str = ""  # in the written text


NEAR_J1 = ("vehicles.bus1.depart_s=0", "vehicles.bus1.start_s_m=320", "vehicles.bus1.stops=[]", "vehicles.bus1.speed_mps=8")  # fmt: skip
SPAT_LOST = (
    '{kind="message_loss", at_s=0.0, share=1.0, topics=["v2x/spat"], receivers=["obu/bus1"]}'
)
LOST_AND_BLIND = (
    '{kind="message_loss", at_s=4.0, until_s=12.0, share=1.0, topics=["v2x/spat"]}, '
    '{kind="sensor_loss", unit="obu/bus1", sensor="gnss", at_s=5.0, until_s=9.0}'
)
DECOY = '{kind="clock_offset", unit="fleet", at_s=3.0, offset_s=0.1}'
PLANTS = {
    "pedestrian": Plant("smart_island", ("duration_s=20", "vehicles.shuttle1.stops=[]", "vehicles.shuttle1.speed_mps=5", "demand.walkers.students.crossings=[]", "demand.walkers.students.path=[[-320.0,161.7],[-200.0,161.7]]", "demand.walkers.students.per_hour=900"), "no_collision", {"vehicle": 1, "walker": 1}, lambda patch: driven(lambda m, n, i: 1.5 if n.t_ns < 4 * NS else 0.0, patch)),
    "head": Plant("brt_corridor", ("duration_s=30", *NEAR_J1, "signals.0.offset_s=60"), "no_red_light", {"vehicle": 1, "roadside": 1}, lying_head, keeps="offset_s = 60"),
    "radio": Plant("brt_corridor", ("duration_s=40", *NEAR_J1, f"faults=[{SPAT_LOST}, {DECOY}]"), "arrival", {"vehicle": 1, "roadside": 1, "fault": 1}, keeps="v2x/spat"),
    "hang": Plant("brt_corridor", ("duration_s=14", f'faults=[{DECOY}, {{kind="hang", unit="rsu/J3", at_s=7.0, until_s=9.0}}]'), "message_periods/spat", {"roadside": 1, "fault": 1}),
    "two faults": Plant("brt_corridor", ("duration_s=16", *NEAR_J1, f"faults=[{DECOY}, {LOST_AND_BLIND}]"), "emergencies", {"vehicle": 1, "fault": 2, "roadside": 1}, lambda patch: driven(brakes_without_both, patch)),
    "phase": Plant("brt_corridor", ("duration_s=30", *NEAR_J1, "signals.0.offset_s=60"), "no_red_light", {"vehicle": 1}, lambda patch: driven(blind, patch), keeps="offset_s = 60"),
    "parameter": Plant("brt_corridor", ("duration_s=30", "vehicles.bus1.depart_s=0", "onboard.planning.max_accel_mps2=3", "onboard.driving.accel_mps2=2.5"), "comfort/bus1 a_x", {"vehicle": 1}, keeps="accel_mps2 = 2.5"),
    "time": Plant("smart_island", ("duration_s=60", "vehicles.shuttle1.arrive_by_s=20", "vehicles.shuttle1.stops=[]", 'vehicles.shuttle1.destination_lane="1/0/-1"', "vehicles.shuttle1.destination_s_m=80"), "arrival", {"vehicle": 1}, keeps="arrive_by_s = 20"),
    "unit": Plant("brt_corridor", ("duration_s=20",), "rsu/J2", {"roadside": 1, "traffic": 1}, dies_of_traffic),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_left_of_a_library_scene_is_to_blame(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = PLANTS[name]
    planted.plant(monkeypatch)
    loaded = load_scene(planted.scene, planted.settings)
    road = find_map(loaded.spec, loaded.path.parent)
    found = shrink(loaded.spec, road.parent, wanted=planted.wanted)
    assert found.is_minimal
    assert planted.wanted in str(found.reason)
    path = tmp_path / "far" / "from" / "here.toml"
    written(path, found, loaded.spec, road, "run.mcap")
    assert planted.keeps in path.read_text()
    assert path.stat().st_size < loaded.path.stat().st_size
    small = load_scene(path).spec
    trials = Trials(path.parent, 100)
    assert found.reason in trials.reasons(small)
    left = actors(small)
    assert Counter(actor.what for actor in left) == Counter(planted.left), [str(a) for a in left]
    for actor in left:
        assert found.reason not in trials.reasons(scene_of(small, set(left) - {actor})), str(actor)


def test_a_swept_scene_of_a_suite_is_shrunk_from_its_log(tmp_path: Path) -> None:
    """The log's header holds what the sweep and the command line have set."""
    runner = CliRunner()
    sweep = 'schema_version = 1\nname = "s"\n[[scenes]]\nscene = "smart_island"\n[scenes.sweep]\nkind = "grid"\n[scenes.sweep.axes]\n'
    sweep += '"vehicles.shuttle1.arrive_by_s" = [5.0, 9.0]\n'
    (tmp_path / "suite.toml").write_text(sweep)
    settings = [word for one in ("duration_s=10", 'criteria=[{kind="arrival"}, {kind="signal_rules"}]') for word in ("--set", one)]  # fmt: skip
    done = runner.invoke(app, ["suite", str(tmp_path / "suite.toml"), "-j", "1", "--out", str(tmp_path / "runs"), *settings])  # fmt: skip
    logs = sorted((tmp_path / "runs").rglob("run.mcap"))
    assert len(logs) == 2, done.output
    for log, by_s in zip(logs, ("5.0", "9.0"), strict=True):
        out = tmp_path / f"small{by_s}.toml"
        done = runner.invoke(app, ["shrink", str(log), "--out", str(out), "-q"])
        assert done.exit_code == 0, done.output
        assert [actor.name for actor in actors(load_scene(out).spec)] == ["shuttle1"]
