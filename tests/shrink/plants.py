"""Eleven planted failures in a crossing full of people who have nothing to do with them, and who is to blame for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.messages import Light
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from roadside.unit import RoadsideUnit
from scenarios.load import check_scene
from scenarios.spec import SceneSpec
from sim import units
from sim.traffic import engine
from sim.traffic.walkers import Walkers
from tests.support.crossroads import crossroads_xml
from vehicle.fleet import FleetUnit
from vehicle.onboard import OnboardUnit

Plant = Callable[[pytest.MonkeyPatch], None]
DECOYS: tuple[dict[str, Any], ...] = (
    {"kind": "message_loss", "at_s": 1.0, "share": 0.2},
    {"kind": "sensor_loss", "unit": "obu/b", "sensor": "imu", "at_s": 2.0, "until_s": 4.0},
    {"kind": "clock_offset", "unit": "fleet", "at_s": 1.0, "offset_s": -0.05},
    {"kind": "partition", "at_s": 3.0, "until_s": 5.0, "groups": [["obu/a"], ["obu/b", "rsu/X"]]},
)


def crossing(
    criteria: Sequence[dict[str, Any]],
    faults: Sequence[dict[str, Any]] = (),
    duration_s: float = 12.0,
) -> SceneSpec:
    """Two cars under test, a roadside unit, traffic from three sides, walkers, and faults that do no harm."""
    flow = {
        "destinations": {"road:1": 1.0, "road:2": 1.0, "road:3": 1.0},
        "mix": {"car": 0.5, "van": 0.5},
    }
    flows = [
        {"name": name, "origins": [f"road:{road}"], **flow, "vehicles_per_hour": 1200.0}
        for name, road in (("east", 1), ("north", 2), ("west", 3))
    ]
    cars = [
        {
            "name": name, "type": "car", "start_lane": start, "start_s_m": 15.0, "destination_lane": end,
            "destination_s_m": 120.0, "speed_mps": 8.0,
        }
        for name, start, end in (("a", "4/0/2", "2/0/-2"), ("b", "3/0/2", "1/0/-2"))
    ]  # fmt: skip
    return check_scene(
        {
            "name": "crossing", "duration_s": duration_s, "map": {"file": "crossroads.xodr"}, "vehicles": cars,
            "roadside": [{"name": "X", "junctions": ["X"]}],
            "demand": {
                "flows": flows,
                "walkers": [{"name": "people", "per_hour": 3000.0, "crossings": ["E.walk", "W.walk"]}],
            },
            "environment": {"rain_mmph": 2.0}, "radio": {"model": "range_loss"},
            "criteria": [*criteria, {"kind": "signal_rules"}], "faults": [*DECOYS[:2], *faults, *DECOYS[2:]],
        },
        "tests.shrink.plants",
    )  # fmt: skip


def _b_stands_before_a(spec: SceneSpec) -> SceneSpec:
    a, b = spec.vehicles
    place = {
        "start_lane": a.start_lane,
        "start_s_m": 60.0,
        "destination_lane": a.destination_lane,
        "speed_mps": 0.0,
        "depart_s": 90.0,
    }
    return spec.model_copy(update={"vehicles": (a, b.model_copy(update=place))})


def with_road(folder: Path) -> Path:
    """`folder` with the road file of the crossing in it."""
    (folder / "crossroads.xodr").write_text(crossroads_xml(), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Failure:
    """One planted failure: the scene, what is planted, part of the reason, and who has to remain."""

    name: str
    spec: SceneSpec
    plant: Plant
    wanted: str
    left: Counter[str]


def _nothing(patch: pytest.MonkeyPatch) -> None:
    """The fault is in the scene."""


def _fleet(patch: pytest.MonkeyPatch) -> None:
    """The fleet's unit cannot cope with three vehicles."""

    class Broken(FleetUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            fleet = inbox.readings.fleet
            if fleet is not None and fleet.station_id.size >= 3:
                raise ValueError(f"cannot hold {fleet.station_id.size} vehicles")
            return super().on_tick(now, inbox)  # type: ignore[no-any-return]

    patch.setattr(units, "FleetUnit", Broken)


def _hears_b(patch: pytest.MonkeyPatch) -> None:
    """The roadside unit dies of a message from obu/b."""

    class Broken(RoadsideUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            for item in inbox.messages:
                if item.sender == "obu/b" and item.topic == "v2x/bsm" and now.t_ns > 4_000_000_000:
                    raise KeyError(item.seq)
            return super().on_tick(now, inbox)

    patch.setattr(units, "RoadsideUnit", Broken)


def _button(patch: pytest.MonkeyPatch) -> None:
    """The roadside unit dies when somebody presses a button."""

    class Broken(RoadsideUnit):
        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            crossings = inbox.readings.crossings
            if crossings is not None and crossings.is_pressed.any():
                raise RuntimeError(f"no idea of crossing {int(crossings.crossing[0])}")
            return super().on_tick(now, inbox)

    patch.setattr(units, "RoadsideUnit", Broken)


def _lights(patch: pytest.MonkeyPatch) -> None:
    """The roadside unit cuts every green as soon as it has heard of a vehicle of the fleet."""

    class Broken(RoadsideUnit):
        has_heard = False

        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            self.has_heard |= any(item.sender == "fleet" for item in inbox.messages)
            if self.has_heard and out.signals is not None:
                light = np.full_like(out.signals.light, int(Light.RED))
                out.signals = replace(out.signals, light=light)
            return out

    patch.setattr(units, "RoadsideUnit", Broken)


def _driver(accel: Callable[[Any, Now, Inbox], float | None]) -> Plant:
    """Car a is driven with what `accel` says, where it says something."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        class Broken(OnboardUnit):
            def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
                out = super().on_tick(now, inbox)
                if self.name == "obu/a" and out.vehicle is not None:
                    value = accel(self, now, inbox)
                    if value is not None:
                        out.vehicle = replace(out.vehicle, accel_mps2=value)
                return out

        patch.setattr(units, "OnboardUnit", Broken)

    return plant


def _blind(unit: Any, now: Now, inbox: Inbox) -> float | None:
    return 1.0


def _scared_of(topic: str, sender: str) -> Callable[[Any, Now, Inbox], float | None]:
    """Brakes hard for a second when it hears that."""
    until: dict[int, int] = {}

    def accel(unit: Any, now: Now, inbox: Inbox) -> float | None:
        heard = any(item.topic == topic and item.sender == sender for item in inbox.messages)
        if heard and now.t_ns > 3_000_000_000:
            until.setdefault(id(unit), now.t_ns + 1_000_000_000)
        return -5.0 if now.t_ns < until.get(id(unit), 0) else None

    return accel


def _racer(patch: pytest.MonkeyPatch) -> None:
    class Broken(OnboardUnit):
        has_map = False

        def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
            out = super().on_tick(now, inbox)
            self.has_map |= any(item.topic == "v2x/map" for item in inbox.messages)
            if self.name == "obu/a" and out.vehicle is not None and self.has_map:
                out.vehicle = replace(out.vehicle, accel_mps2=3.0)
            return out

    patch.setattr(units, "OnboardUnit", Broken)


def _walkers(patch: pytest.MonkeyPatch) -> None:
    """The world itself breaks when two people walk while a van is about."""

    class Broken(Walkers):
        def advance(self, dt_s: float) -> None:
            on = self.statics.kind[self.states.valid]
            if self.row.size >= 2 and (on == 2).any():
                raise ZeroDivisionError("division by zero")
            super().advance(dt_s)

    patch.setattr(engine, "Walkers", Broken)


COMFORT = {"kind": "comfort", "vehicles": ["a"]}
PLANTED: tuple[Failure, ...] = (
    Failure("bias", crossing([COMFORT], [{"kind": "sensor_bias", "unit": "obu/a", "sensor": "gnss", "at_s": 0.0, "x_m": 4.0}]), _nothing, "comfort/a emergencies", Counter(vehicle=1, fault=1)),
    Failure("crash", crossing([COMFORT], [{"kind": "crash", "unit": "obu/a", "at_s": 3.0, "until_s": 9.0}]), _nothing, "comfort/a emergencies", Counter(vehicle=1, fault=1)),
    Failure("lights", crossing([]), _lights, "signal_rules", Counter(traffic=1, roadside=1)),
    Failure("collision", _b_stands_before_a(crossing([{"kind": "no_collision"}])), _driver(_blind), "no_collision", Counter(vehicle=2)),
    Failure("fleet", crossing([{"kind": "no_collision"}]), _fleet, "fleet", Counter(traffic=3, antenna=1)),
    Failure("hears", crossing([{"kind": "no_collision"}]), _hears_b, "rsu/X", Counter(vehicle=1, roadside=1)),
    Failure("button", crossing([{"kind": "no_collision"}]), _button, "rsu/X", Counter(walker=1, roadside=1)),
    Failure("red", crossing([{"kind": "no_red_light"}]), _driver(_blind), "no_red_light", Counter(vehicle=1)),
    Failure("scared", crossing([COMFORT]), _driver(_scared_of("v2x/bsm", "obu/b")), "comfort/a emergencies", Counter(vehicle=2)),
    Failure("racer", crossing([{"kind": "speed_limit", "vehicles": ["a"]}]), _racer, "speed_limit/a", Counter(vehicle=1, roadside=1)),
    Failure("world", crossing([{"kind": "no_collision"}]), _walkers, "ZeroDivisionError", Counter(walker=2, traffic=1)),
)  # fmt: skip
