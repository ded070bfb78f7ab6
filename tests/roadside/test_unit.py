"""The roadside unit as others hear it: SPAT, MAP, RSM, answers to requests, lights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.messages import (
    ActorKind,
    Light,
    Maneuver,
    Map,
    RequestStatus,
    RoadsideCoordination,
    RoadsideSafety,
    Spat,
    VehicleIntention,
)
from protocols.participant import Inbox, Outbox, Received
from protocols.sensing import CrossingDemand, Detectors, ObjectList, Readings
from protocols.simtime import Now
from roadside.signals import SignalControllerUnit
from roadside.unit import RoadsideUnit
from tests.roadside.signals.crossroads_plans import network, plan, priority

NS = 1_000_000_000


def unit(**changes) -> RoadsideUnit:
    """A unit at the test junction, 10 ms ticks."""
    return RoadsideUnit("rsu/X", network(), [plan(**changes)], tick_ms=10)


def tick(rsu, t_ns: int, messages=(), **readings) -> Outbox:
    """One call with what arrived."""
    return rsu.on_tick(Now(t_ns // 10_000_000, t_ns), Inbox(tuple(messages), Readings(**readings)))


def sent(out: Outbox, kind: type) -> list:
    """Messages of one type in an outbox."""
    return [t.message for t in out.transmissions if isinstance(t.message, kind)]


def phase(name: str) -> int:
    """Phase id of a group: its network index plus one."""
    return network().groups.name.index(name) + 1


def vir(t_ns: int, eta_s: float, **changes) -> Received:
    """A request for E.through."""
    fields = {
        "t_ns": t_ns, "station_id": 42, "request_id": 1, "node_id": 1, "from_lane": "", "to_lane": "",
        "phase_id": phase("E.through"), "distance_m": 100.0, "eta_ns": round(eta_s * NS),
        "lateness_s": 0.0, "is_cancel": False,
    }  # fmt: skip
    message = VehicleIntention(**{**fields, **changes})
    return Received("v2x/vir", "obu/bus", 0, t_ns, t_ns, message)


def test_spat_is_sent_ten_times_a_second_and_map_once():
    rsu = unit()
    assert rsu.period_ticks == 10
    outs = [tick(rsu, k * NS // 10) for k in range(100)]
    assert [len(sent(out, Spat)) for out in outs] == [1] * 100
    assert [k for k, out in enumerate(outs) if sent(out, Map)] == list(range(0, 100, 10))
    assert {t.topic for out in outs for t in out.transmissions} == {"v2x/spat", "v2x/map"}


def test_lights_leave_the_unit_when_they_change_and_match_its_spat():
    rsu, shown = unit(), {}
    changes = 0
    for k in range(900):
        out = tick(rsu, k * NS // 10)
        if out.signals is not None:
            changes += 1
            shown.update(zip(out.signals.group.tolist(), out.signals.light.tolist(), strict=True))
        (spat,) = sent(out, Spat)
        assert {p.phase_id - 1: int(p.light) for p in spat.phases} == shown
    assert 12 <= changes <= 16


def test_spat_counts_down_to_the_change():
    rsu = unit()
    for k in range(100):
        (spat,) = sent(tick(rsu, k * NS // 10), Spat)
    through = next(p for p in spat.phases if p.phase_id == phase("E.through"))
    assert (through.light, through.start_ns) == (Light.GREEN_PROTECTED, 0)
    assert through.likely_end_ns == 26 * NS
    crossing = next(p for p in spat.phases if p.phase_id == phase("N.through"))
    assert crossing.light == Light.RED
    assert (crossing.next_green_start_ns, crossing.next_green_end_ns) == (46 * NS, 66 * NS)


def test_map_shows_approach_lanes_up_to_their_stop_lines():
    (sign,) = sent(tick(unit(), 0), Map)
    assert (sign.node_id, sign.name) == (1, "X")
    assert (sign.x_m, sign.y_m) == pytest.approx((0.0, 0.0), abs=0.1)
    lanes = {lane.lane: lane for lane in sign.lanes}
    assert sorted(lanes) == [f"{road}/0/{lane}" for road in (1, 2, 3, 4) for lane in (1, 2)]
    # Leg E lies along +x; its lane 2 comes in at y = 1.5 * 3.5 m towards -x, stop line at x = 20 + 8 m.
    lane = lanes["1/0/2"]
    assert (lane.stop_x_m, lane.stop_y_m) == pytest.approx((28.0, 5.25), abs=0.01)
    assert abs(lane.stop_yaw_rad) == pytest.approx(np.pi, abs=1e-6)
    assert (lane.point_x_m[0], lane.point_x_m[-1]) == pytest.approx((170.0, 28.0), abs=0.01)
    assert len(lane.point_x_m) == 2  # straight
    assert lane.speed_limit_mps == pytest.approx(50 / 3.6)
    moves = {m.maneuver: m.phase_id for m in lane.movements}
    assert moves == {
        Maneuver.STRAIGHT: phase("E.through"), Maneuver.RIGHT: phase("E.through"),
    }  # fmt: skip
    assert [m.maneuver for m in lanes["1/0/1"].movements] == [Maneuver.LEFT]


def test_map_follows_curves_within_half_a_metre():
    """The corridor's arterial bends; every sampled point of an approach lane lies close to the MAP line."""
    from pathlib import Path

    from roadside.map_message import build_map
    from roadside.signals import junction_layout
    from scenarios.formats.opendrive import read

    path = Path(__file__).resolve().parents[2] / "scenarios" / "roads" / "brt_corridor.xodr"
    net = read(path)
    keys = {net.lane_key(lane): lane for lane in range(net.num_lanes)}
    most = 0
    for junction in range(4):
        sign = build_map(net, junction_layout(net, junction), junction + 1)
        for lane in sign.lanes:
            row = keys[lane.lane]
            own = slice(net.lanes.point_start[row], net.lanes.point_start[row + 1])
            px, py = np.array(lane.point_x_m), np.array(lane.point_y_m)
            most = max(most, px.size)
            assert 2 <= px.size <= 31
            for x, y in zip(net.points.x_m[own], net.points.y_m[own], strict=True):
                ahead = np.hypot(x - lane.stop_x_m, y - lane.stop_y_m)
                if (
                    ahead > 150.0
                    or (x - lane.stop_x_m) * np.cos(lane.stop_yaw_rad)
                    + (y - lane.stop_y_m) * np.sin(lane.stop_yaw_rad)
                    > 0.0
                ):
                    continue  # beyond the part that is sent, or past the stop line
                dx, dy = np.diff(px), np.diff(py)
                along = ((x - px[:-1]) * dx + (y - py[:-1]) * dy) / (dx**2 + dy**2)
                along = np.clip(along, 0.0, 1.0)
                away = np.hypot(px[:-1] + along * dx - x, py[:-1] + along * dy - y).min()
                assert away <= 0.51, (lane.lane, x, y)
    assert most > 2  # some approach bends


def test_map_object_is_built_once():
    rsu = unit()
    first, second = sent(tick(rsu, 0), Map), sent(tick(rsu, NS), Map)
    assert second[0].lanes is first[0].lanes
    assert second[0].t_ns == NS


def test_request_is_answered_carried_out_and_noted():
    rsu = unit(priority=priority())
    ends = []
    answers = []
    for k in range(400):
        t_ns = k * NS // 10
        heard = [vir(t_ns, 30.0)] if 150 <= k <= 300 and k % 10 == 0 else []
        out = tick(rsu, t_ns, heard)
        answers += sent(out, RoadsideCoordination)
        (spat,) = sent(out, Spat)
        ends.append((t_ns, next(p for p in spat.phases if p.phase_id == phase("E.through"))))
        if answers and len(answers) == 1 and sent(out, RoadsideCoordination):
            assert spat.is_priority_active
            assert [name for name, _ in out.notes] == ["priority/X/42/granted_extension"]
    assert len(answers) >= 15
    first = answers[0]
    assert (first.status, first.phase_id, first.station_id, first.until_ns) == (
        RequestStatus.GRANTED_EXTENSION, phase("E.through"), 42, 32 * NS,
    )  # fmt: skip
    # SPAT tells the new end at once, and that is when the light changes.
    assert ends[149][1].likely_end_ns == 26 * NS
    assert {p.likely_end_ns for t, p in ends[150:320]} == {32 * NS}
    assert ends[320][1].light == Light.YELLOW


def test_request_may_name_lanes_instead_of_a_phase():
    rsu = unit(priority=priority())
    (sign,) = sent(tick(rsu, 0), Map)
    lane = next(lane for lane in sign.lanes if lane.lane == "1/0/2")
    heard = vir(NS // 10, 30.0, phase_id=0, from_lane=lane.lane, to_lane=lane.movements[0].to_lane)
    (answer,) = sent(tick(rsu, NS // 10, [heard]), RoadsideCoordination)
    assert (answer.status, answer.phase_id) == (RequestStatus.GRANTED_EXTENSION, phase("E.through"))


def test_request_for_nothing_that_is_here_is_refused_and_for_another_node_ignored():
    rsu = unit(priority=priority())
    (answer,) = sent(tick(rsu, 0, [vir(0, 30.0, phase_id=99)]), RoadsideCoordination)
    assert answer.status == RequestStatus.REJECTED
    assert answer.reason == "no vehicle signal group 99 here"
    assert sent(tick(rsu, NS // 10, [vir(0, 30.0, node_id=5)]), RoadsideCoordination) == []


def test_loops_and_buttons_reach_an_actuated_controller():
    net = network()
    keys = {net.lane_key(lane): lane for lane in range(net.num_lanes)}
    lanes = np.array(
        [keys[f"{road}/0/{lane}"] for road in (1, 2, 3, 4) for lane in (1, 2)], np.int32
    )
    machine = SignalControllerUnit(net, plan("actuated"), tick_ms=10)
    north = net.groups.name.index("N.left")
    walk = net.crossings.id.index("E.walk")
    shown = {}
    for k in range(400):
        count = np.zeros(8, dtype=np.uint32)
        count[2] = k >= 5  # leg N, lane 1: passed between two readings, never seen standing
        loops = Detectors(k * NS // 10, lanes, np.zeros(8, dtype=np.bool_), count)
        push = CrossingDemand(k * NS // 10, np.array([walk], np.int32), np.array([k == 8]))
        out = tick(machine, k * NS // 10, detectors=loops, crossings=push)
        if out.signals is not None:
            shown[k] = dict(
                zip(out.signals.group.tolist(), out.signals.light.tolist(), strict=True)
            )
    # Calls at 0.5 and 0.8 s. EW keeps its minimum of 7 s, then 5 s of change; NS walks 5 s and clears 11.7 s, then 5 s.
    assert min(k for k, lights in shown.items() if lights[north] == Light.GREEN_PROTECTED) == 337
    crossing = net.groups.name.index("E.ped")
    assert min(k for k, lights in shown.items() if lights[crossing] == Light.GREEN_PROTECTED) == 120


def test_rsm_carries_the_tracks_of_what_is_seen():
    rsu = unit()
    out = None
    for k in range(20):
        x = np.array([50.0 - k, -30.0])
        zero = np.zeros(2)
        seen = ObjectList(
            k * NS // 10, True, x, np.array([5.0, -5.0]), np.array([np.pi, 0.0]), np.array([-10.0, 0.0]), zero,
            np.array([4.6, 12.0]), np.array([1.8, 2.55]), np.array([1, 4], np.uint8), zero + 0.3,
        )  # fmt: skip
        out = tick(rsu, k * NS // 10, objects=seen)
    (rsm,) = sent(out, RoadsideSafety)
    assert rsm.t_ns == 19 * NS // 10 and rsm.node_id == 1
    assert rsm.kind.tolist() == [ActorKind.BUS, ActorKind.CAR]  # numbers go by place, not by row
    assert rsm.x_m == pytest.approx([-30.0, 31.0], abs=0.2)
    assert rsm.speed_mps == pytest.approx([0.0, 10.0], abs=0.2)
    assert (rsm.sigma_m < 0.3).all()
    assert (rsm.cov_xx_m2 * rsm.cov_yy_m2 > rsm.cov_xy_m2**2).all()
    assert rsm.age_s == pytest.approx([1.9, 1.9])
    assert rsm.track_id.tolist() == [1 << 20 | 1, 1 << 20 | 2]


def test_two_units_with_the_same_inputs_say_the_same():
    def run() -> list:
        rsu = unit(priority=priority())
        out = []
        for k in range(300):
            heard = [vir(k * NS // 10, 30.0)] if k >= 150 and k % 10 == 0 else []
            out.append(tick(rsu, k * NS // 10, heard).transmissions)
        return [dataclasses.asdict(t.message) for row in out for t in row]

    assert run() == run()


def test_a_unit_without_a_junction_or_with_two_plans_for_one_is_refused():
    with pytest.raises(ConfigError, match="serves no junction"):
        RoadsideUnit("rsu/X", network(), [], tick_ms=10)
    with pytest.raises(ConfigError, match="two plans for one junction"):
        RoadsideUnit("rsu/X", network(), [plan(), plan()], tick_ms=10)
    with pytest.raises(ValueError, match="not a whole number"):
        RoadsideUnit("rsu/X", network(), [plan()], tick_ms=30)
