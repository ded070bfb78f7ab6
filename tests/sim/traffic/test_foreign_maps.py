"""Maps that others drew: default traffic runs through each without contact and without a red light run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protocols.errors import RoadError
from protocols.judging import EventKind
from protocols.messages import Light
from protocols.roads.network import U8
from roadside.signals.bank import FixedTimeBank
from scenarios.formats.opendrive import read
from scenarios.sample import map_scene
from sim.collision import Collisions
from sim.config import resolve
from sim.rows import RowAllocator
from sim.state import empty_states, empty_statics
from sim.traffic import Traffic
from sim.traffic.referee import TrafficReferee

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"
FILES = sorted({p.read_bytes(): p for p in sorted(CORPORA.rglob("*.xodr"))}.values())
REFUSED: dict[str, str] = {}
"""File name and words of the refusal; at present every map takes traffic."""
MINUTES = {"Town06.xodr": 5, "multi_intersections.xodr": 5, "star.xodr": 3, "tunnels.xodr": 3}
"""Longer runs for maps whose conflicts show late: ways of many short lanes, roads across each other, lanes of no width."""

pytestmark = pytest.mark.skipif(not FILES, reason="../shared/corpora is absent")


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parts[len(CORPORA.parts)]}-{p.stem}")
def test_default_traffic_touches_nobody_and_runs_no_red_light(path: Path) -> None:
    net = read(path)
    if path.name in REFUSED:
        with pytest.raises(RoadError, match=REFUSED[path.name]):
            resolve(map_scene(path), path.parent, net)
        return
    plan = resolve(map_scene(path), path.parent, net)
    bank = FixedTimeBank(net, list(plan.plans.values()), 10) if plan.plans else None

    def lights(t_ns: int) -> U8:
        out = np.full(len(net.groups.id), int(Light.DARK), dtype=np.uint8)
        if bank is not None:
            out[bank.group] = bank.lights(t_ns)
        return out

    states, statics = empty_states(512), empty_statics(512)
    traffic = Traffic(net, plan.traffic, 1, states, statics, RowAllocator(512))
    referee, collisions = TrafficReferee(net, states, statics), Collisions()
    touched: set[tuple[str, str]] = set()
    red = []
    speeds = []
    for step in range(600 * MINUTES.get(path.name, 1)):
        t_ns = (step + 1) * 100_000_000
        traffic.step(step * 100_000_000, lights(step * 100_000_000))
        red += [e for e in referee.observe(t_ns, lights(t_ns)) if e.kind is EventKind.RED_LIGHT]
        if step % 2 == 0:
            for a, b in collisions.find(states, statics).tolist():
                touched.add((net.lane_key(int(states.lane[a])), net.lane_key(int(states.lane[b]))))
            speeds += states.speed_mps[states.valid].tolist()
    assert touched == set()
    assert red == []
    assert traffic.num_spawned > 0
    assert np.mean(speeds) > 2.0
