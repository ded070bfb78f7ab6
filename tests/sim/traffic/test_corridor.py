"""The BRT corridor with its own demand and fixed-time signals: nobody touched, no red run, no car in a bus lane, everybody arrives."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import scenarios
from protocols.judging import EventKind
from protocols.messages import Light
from protocols.roads.network import U8, LaneType, RoadNetwork
from roadside.signals.bank import FixedTimeBank
from roadside.signals.config import SignalPlan
from scenarios.formats.opendrive import read
from scenarios.spec import SceneSpec
from sim.collision import Collisions
from sim.demand import resolve_lanes
from sim.rows import RowAllocator
from sim.state import Control, empty_states, empty_statics
from sim.traffic import Flow, Traffic, TrafficConfig, WalkerFlow
from sim.traffic import _kernels as k
from sim.traffic.config import KINDS
from sim.traffic.referee import TrafficReferee

ROOM = Path(scenarios.__file__).parent


def config(net: RoadNetwork, spec: SceneSpec, end_s: float) -> TrafficConfig:
    """The scene's demand, ending at `end_s`."""
    flows = []
    for f in spec.demand.flows:
        user = KINDS[next(iter(f.mix))][1]
        goals: list[tuple[int, float]] = []
        for text, weight in f.destinations.items():
            found = resolve_lanes(net, text, False, user, f.name)
            goals += [(lane, weight / len(found)) for lane in found]
        starts = [n for text in f.origins for n in resolve_lanes(net, text, True, user, f.name)]
        flows.append(
            Flow(f.name, tuple(starts), tuple(goals), f.vehicles_per_hour, tuple(f.mix.items()), end_s=end_s)
        )  # fmt: skip
    names = list(net.crossings.id)
    walkers = [
        WalkerFlow(f.name, f.per_hour, tuple(names.index(c) for c in f.crossings), f.path, f.kind, end_s=end_s)
        for f in spec.demand.walkers
    ]  # fmt: skip
    return TrafficConfig(tuple(flows), tuple(walkers))


@dataclass(slots=True)
class Outcome:
    """What the referees saw."""

    events: Counter[EventKind] = field(default_factory=Counter)
    touched: set[tuple[int, int]] = field(default_factory=set)
    longest_halt_s: float = 0.0
    cars_in_bus_lanes: int = 0
    most_present: int = 0


def drive(minutes: float, drain_min: float, seed: int) -> tuple[Traffic, Outcome]:
    """Demand for `minutes`, then `drain_min` more for everybody to arrive."""
    net = read(ROOM / "roads" / "brt_corridor.xodr")
    with (ROOM / "library" / "brt_corridor.toml").open("rb") as file:
        spec = SceneSpec.model_validate(tomllib.load(file))
    plans = [SignalPlan.model_validate({**s, "priority": {"enabled": False}}) for s in spec.signals]
    bank = FixedTimeBank(net, plans, 10)

    def lights(t_ns: int) -> U8:
        out = np.full(len(net.groups.id), int(Light.DARK), dtype=np.uint8)
        out[bank.group] = bank.lights(t_ns)
        return out

    capacity = 512
    states, statics = empty_states(capacity), empty_statics(capacity)
    traffic = Traffic(net, config(net, spec, minutes * 60), seed, states, statics, RowAllocator(capacity))  # fmt: skip
    referee, collisions = TrafficReferee(net, states, statics), Collisions()
    bus_lane = net.lanes.type == int(LaneType.BUS)
    out = Outcome()
    for step in range(round((minutes + drain_min) * 600)):
        t_ns = step * 100_000_000
        if step > minutes * 600 and not states.valid.any():
            break
        traffic.step(t_ns, lights(t_ns))
        out.events.update(e.kind for e in referee.observe(t_ns + 100_000_000, lights(t_ns + 100_000_000)))  # fmt: skip
        vehicles = traffic.mine
        out.most_present = max(out.most_present, int(vehicles.sum()))
        for a, b in collisions.find(states, statics).tolist():
            if vehicles[a] or vehicles[b]:
                out.touched.add((int(states.id[a]), int(states.id[b])))
        on = vehicles & (states.lane >= 0)
        out.cars_in_bus_lanes += int(bus_lane[states.lane[on]].sum())
        out.longest_halt_s = max(out.longest_halt_s, float(traffic.vf[:capacity][vehicles, k.WAIT].max(initial=0)))  # fmt: skip
    return traffic, out


def check(traffic: Traffic, out: Outcome) -> None:
    """What must hold for any length of run."""
    assert out.touched == set()
    assert out.events[EventKind.RED_LIGHT] == 0
    assert out.events[EventKind.BUS_LANE] == 0
    assert out.cars_in_bus_lanes == 0
    assert traffic.num_waiting == 0
    assert traffic.counts()["present"] == 0  # everybody arrived: no gridlock
    assert traffic.num_diverted <= 0.005 * traffic.num_spawned
    # No wait at a light longer than two cycles of 105 s.
    assert out.longest_halt_s < 210.0
    assert (traffic.statics.control[traffic.states.valid] == int(Control.TRAFFIC)).sum() == 0


def test_ten_minutes_on_the_corridor_are_clean_and_everybody_arrives() -> None:
    traffic, out = drive(10.0, 20.0, seed=1)
    check(traffic, out)
    assert out.most_present >= 80
    assert len(traffic.trips) > 350
    # Control delay at one signal of red share 0.6 and cycle 105 s is about 30 s (HCM 2010, uniform delay, eq. 18-20);
    # a journey meets at most four, and people may be told to wait outside for a few seconds.
    motor = [t for t in traffic.trips if t.kind != "bicycle"]
    assert 15.0 < float(np.mean([t.delay_s for t in motor])) < 120.0


@pytest.mark.long
def test_an_hour_on_the_corridor_is_clean_and_everybody_arrives() -> None:
    traffic, out = drive(60.0, 25.0, seed=2)
    check(traffic, out)
    flow_vph = len(traffic.trips)
    # Demand: 2 x 620 + 8 x 150 + 2 x 60 = 2560 vehicles in the hour; Poisson, sigma 51.
    assert abs(flow_vph - 2560) < 4 * 51
