"""Each criterion passes and fails where a person would say so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest import approx

from protocols.judging import Event, EventKind, RunFacts
from scenarios.criteria import Judge, kinds
from scenarios.criteria.judge import _CHECKERS
from scenarios.load import check_scene
from scenarios.verdict import Outcome
from tests.support.traces import cut, trace

BUS, CAR, VAN = 1, 17, 18


def scene(*criteria, stops=3, **extra):
    """A scene with one bus and the criteria asked for."""
    vehicle = {
        "name": "bus1", "type": "articulated_bus_18m", "start_lane": "1/0/-1", "destination_lane": "2/0/-1",
        "stops": [{"station": f"S{k}", "on_call": k == 2} for k in range(stops)],
    } | extra  # fmt: skip
    return check_scene(
        {"name": "t", "duration_s": 600.0, "map": {"file": "m.xodr"}, "vehicles": [vehicle], "criteria": list(criteria)},
        "test",
    )  # fmt: skip


def judge(criterion, *heard, facts=None, **extra):
    """Results by name for one criterion after events and blocks."""
    listener = Judge(scene(criterion, **extra), {"bus1": BUS}, lane_key=lambda lane: f"{lane}/0/-1")
    for item in heard:
        (listener.on_event if isinstance(item, Event) else listener.on_trace)(item)
    verdict = listener.finish(facts or RunFacts(600.0, {"bus1": BUS}))
    return {result.name: result for result in verdict.results}


def event(kind, t_s=1.0, actor=BUS, **more):
    """An event at `t_s`."""
    return Event(round(t_s * 1e9), EventKind[kind], actor, **more)


def test_every_kind_has_its_checker():
    assert set(kinds()) == set(_CHECKERS)


@pytest.mark.parametrize(
    ("who", "passed"), [("under_test", False), ("background", True), ("any", False)]
)
def test_a_collision_belongs_to_both_sides(who, passed):
    hit = event("COLLISION", 83.2, actor=CAR, other=BUS, value=3.1)
    result = judge({"kind": "no_collision", "who": who}, hit)["no_collision"]
    assert result.passed is passed
    if not passed:
        assert (result.value, result.limit, result.t_s) == (1.0, 0.0, approx(83.2))
        assert "vehicle 17 with bus1 at 3.1 m/s" in result.sentence


def test_a_collision_among_others_is_not_the_vehicles_under_test():
    hit = event("COLLISION", actor=CAR, other=VAN, value=2.0)
    assert judge({"kind": "no_collision"}, hit)["no_collision"].passed
    assert not judge({"kind": "background_clean"}, hit)["background_clean"].passed


def test_red_light_and_its_grace():
    late = event("RED_LIGHT", 40.0, lane=5, value=0.4)
    assert not judge({"kind": "no_red_light"}, late)["no_red_light"].passed
    assert judge({"kind": "no_red_light", "grace_s": 0.5}, late)["no_red_light"].passed
    assert not judge({"kind": "no_red_light", "grace_s": 0.3}, late)["no_red_light"].passed
    assert "lane 5/0/-1" in judge({"kind": "no_red_light"}, late)["no_red_light"].sentence


@pytest.mark.parametrize("kind", ["BUS_LANE", "OFF_ROAD"])
def test_lane_rules_hear_both_events(kind):
    assert not judge({"kind": "lane_rules"}, event(kind, lane=4))["lane_rules"].passed
    assert judge({"kind": "lane_rules"}, event(kind, actor=CAR))["lane_rules"].passed


def test_background_names_what_was_broken_most():
    heard = [
        event("BUS_LANE", actor=CAR, lane=2),
        event("BUS_LANE", actor=VAN),
        event("RED_LIGHT", actor=VAN),
    ]
    result = judge({"kind": "background_clean"}, *heard)["background_clean"]
    assert result.value == 3.0
    assert "2 bus_lane" in result.sentence and "1 red_light" in result.sentence
    assert judge({"kind": "background_clean", "max_count": 3}, *heard)["background_clean"].passed


def test_a_broken_phase_rule_fails():
    assert judge({"kind": "signal_rules"})["signal_rules"].passed
    broken = event("SIGNAL_RULE", 12.0, actor=0, other=4, value=2)
    result = judge({"kind": "signal_rules"}, broken)["signal_rules"]
    assert not result.passed and "group 4, rule 2" in result.sentence


def test_speed_limit_reports_the_worst_moment():
    speed = np.full(1000, 13.0)
    speed[700] = 14.6  # 0.71 over 13.89 for one tick, at 7.00 s
    result = judge({"kind": "speed_limit"}, trace(10.0, speed_mps=speed, limit_mps=13.89))[
        "speed_limit/bus1"
    ]
    assert not result.passed
    assert (result.value, result.t_s) == (approx(0.71), approx(7.0))
    lenient = judge(
        {"kind": "speed_limit", "tolerance_mps": 0.8}, trace(10.0, speed_mps=speed, limit_mps=13.89)
    )
    assert lenient["speed_limit/bus1"].passed


def test_no_posted_limit_cannot_be_broken():
    block = trace(1.0, speed_mps=50.0, limit_mps=math.inf)
    assert judge({"kind": "speed_limit"}, block)["speed_limit/bus1"].passed


def served(station, t_s, offset_m=0.1, gap_m=0.05):
    """Events of one served station."""
    return [
        event("STOPPED_AT_STATION", t_s, other=station, value=offset_m),
        event("DOORS_OPENED", t_s + 1, other=station, value=gap_m),
        event("DOORS_CLOSED", t_s + 15, other=station, value=14.0),
    ]


def test_stations_served_inside_the_window():
    results = judge({"kind": "station_stops"}, *served(0, 10), *served(1, 90, -0.25, -0.07))
    # Three stops planned, one of them on call: two have to be served.
    assert (
        results["station_stops/bus1 served"].value,
        results["station_stops/bus1 served"].limit,
    ) == (2, 2)
    assert all(result.passed for result in results.values())
    assert results["station_stops/bus1 along"].value == approx(0.25)
    assert results["station_stops/bus1 gap"].value == approx(0.07)


def test_a_station_outside_the_window_fails_with_its_figure():
    results = judge({"kind": "station_stops"}, *served(0, 10), *served(1, 90, offset_m=0.31))
    assert not results["station_stops/bus1 along"].passed
    assert results["station_stops/bus1 along"].t_s == approx(91.0)
    results = judge({"kind": "station_stops"}, *served(0, 10, gap_m=-0.09), *served(1, 90))
    assert not results["station_stops/bus1 gap"].passed


def test_creeping_forward_before_the_doors_open_is_allowed():
    heard = [event("STOPPED_AT_STATION", 8, other=0, value=-2.0), *served(0, 12), *served(1, 90)]
    assert judge({"kind": "station_stops"}, *heard)["station_stops/bus1 along"].passed


def test_a_missed_or_unserved_station_fails():
    results = judge({"kind": "station_stops"}, *served(0, 10))
    assert not results["station_stops/bus1 served"].passed
    missed = event("MISSED_STATION", 50.0, other=1)
    results = judge({"kind": "station_stops", "min_served": 1}, *served(0, 10), missed)
    assert not results["station_stops/bus1 served"].passed
    assert results["station_stops/bus1 served"].t_s == approx(50.0)


def test_doors_open_while_rolling_fail():
    rolling = trace(5.0, speed_mps=0.3, doors=-1)
    result = judge({"kind": "station_stops"}, *served(0, 1), *served(1, 30), rolling)[
        "station_stops/bus1 doors"
    ]
    assert not result.passed and result.value == approx(0.3)
    still = trace(5.0, speed_mps=0.0, doors=-1)
    assert judge({"kind": "station_stops"}, still)["station_stops/bus1 doors"].passed


def test_comfort_fails_on_share_and_on_cap():
    calm = judge({"kind": "comfort"}, trace(60.0, accel_mps2=0.8))
    assert all(result.passed for result in calm.values())
    hard = judge({"kind": "comfort"}, trace(60.0, accel_mps2=-1.3))  # above 1.2 all the time
    assert not hard["comfort/bus1 a_x"].passed
    accel = np.zeros(6000)
    accel[3000:3050] = 2.4  # half a second: 0.8 % of the drive, but above the cap of 2.0
    jolt = judge({"kind": "comfort"}, trace(60.0, accel_mps2=accel))["comfort/bus1 a_x"]
    assert not jolt.passed and jolt.value > 2.0


def test_a_vehicle_that_never_drove_has_no_comfort():
    assert not judge({"kind": "comfort"}, trace(60.0, speed_mps=0.0))["comfort/bus1 a_x"].passed


def test_an_emergency_braking_fails_unless_allowed():
    accel = np.zeros(6000)
    accel[3000:3200] = -4.0
    block = trace(60.0, accel_mps2=accel)
    assert not judge({"kind": "comfort"}, block)["comfort/bus1 emergencies"].passed
    assert judge({"kind": "comfort", "max_emergencies": 1}, block)[
        "comfort/bus1 emergencies"
    ].passed


def test_arrival_before_the_deadline():
    facts = RunFacts(600.0, {"bus1": BUS}, arrived_s={"bus1": 480.0})
    assert judge({"kind": "arrival"}, facts=facts)["arrival/bus1"].passed
    assert not judge({"kind": "arrival", "by_s": 470.0}, facts=facts)["arrival/bus1"].passed
    assert not judge({"kind": "arrival"}, facts=facts, arrive_by_s=479.0)["arrival/bus1"].passed
    assert not judge({"kind": "arrival"}, facts=RunFacts(600.0))["arrival/bus1"].passed


def test_timetable_is_tighter_for_early_than_for_late():
    on_time = [
        event("LEFT_STATION", 60, other=0, value=-59.0),
        event("LEFT_STATION", 90, other=1, value=299.0),
    ]
    assert all(result.passed for result in judge({"kind": "timetable"}, *on_time).values())
    early = judge({"kind": "timetable"}, event("LEFT_STATION", 60, other=0, value=-61.0))
    assert not early["timetable/bus1 early"].passed and early["timetable/bus1 late"].passed
    late = judge({"kind": "timetable"}, event("LEFT_STATION", 60, other=0, value=301.0))
    assert not late["timetable/bus1 late"].passed
    unplanned = judge({"kind": "timetable"}, event("LEFT_STATION", 60, other=0, value=math.nan))
    assert not unplanned["timetable/bus1"].passed


def test_priority_and_side_streets():
    facts = RunFacts(
        600.0,
        priority_requests=4,
        priority_granted=3,
        side_street_delay_s=41.0,
        side_street_max_wait_s=250.0,
    )
    assert judge({"kind": "priority_granted", "min_granted": 3}, facts=facts)[
        "priority_granted"
    ].passed
    assert not judge({"kind": "priority_granted", "min_granted": 4}, facts=facts)[
        "priority_granted"
    ].passed
    sides = judge({"kind": "side_street_delay"}, facts=facts)
    assert sides["side_street_delay mean"].passed and not sides["side_street_delay longest"].passed


def test_message_periods_judge_the_slowest_sender():
    facts = RunFacts(
        600.0,
        max_gap_ms={"rsu/J1 v2x/spat": 100.0, "rsu/J2 v2x/spat": 510.0, "rsu/J1 v2x/map": 1000.0},
    )
    results = judge({"kind": "message_periods"}, facts=facts)
    assert not results["message_periods/spat"].passed
    assert results["message_periods/spat"].where == "rsu/J2"
    assert results["message_periods/map"].passed
    silent = judge({"kind": "message_periods", "max_gap_ms": {"RSM": 100.0}}, facts=facts)
    assert silent["message_periods/rsm"].sentence == "nobody sent RSM"
    assert not silent["message_periods/rsm"].passed


def test_traffic_flow_asks_only_for_what_the_scene_asks():
    facts = RunFacts(600.0, traffic={"arrived": 120.0, "peak": 83.0, "mean_speed_mps": 7.5})
    results = judge({"kind": "traffic_flow", "min_arrived": 100, "min_peak": 90}, facts=facts)
    assert results["traffic_flow/arrived"].passed and not results["traffic_flow/peak"].passed
    assert "traffic_flow/mean_speed_mps" not in results


def test_gridlock_is_a_long_time_without_departures_while_there_is_traffic():
    come = [event("SPAWNED", t, actor=100 + t) for t in range(10)]
    leave = [event("ARRIVED", 200.0, actor=100), event("ARRIVED", 590.0, actor=101)]
    result = judge({"kind": "no_gridlock"}, *come, *leave)["no_gridlock"]
    # Five inside from 4 s on; 196 s to the first departure, then 390 s to the second.
    assert not result.passed and result.value == approx(390.0) and result.t_s == approx(590.0)
    assert judge({"kind": "no_gridlock", "quiet_s": 400.0}, *come, *leave)["no_gridlock"].passed
    assert judge({"kind": "no_gridlock", "min_inside": 11}, *come, *leave)["no_gridlock"].passed


def test_gridlock_lasts_to_the_end_of_the_run():
    come = [event("SPAWNED", t, actor=100 + t) for t in range(10)]
    result = judge({"kind": "no_gridlock"}, *come)["no_gridlock"]
    assert not result.passed and result.value == approx(596.0)


def test_numbers_of_a_trip():
    # 10 s at 10 m/s, 20 s at a red light, 5 s driving, 15 s at a station with doors open, 10 s driving.
    pieces = [(10, 10.0, 0), (20, 0.0, 0), (5, 10.0, 0), (15, 0.0, -1), (10, 10.0, 0)]
    speed = np.concatenate([np.full(d * 100, v) for d, v, _ in pieces])
    doors = np.concatenate([np.full(d * 100, o) for d, _, o in pieces])
    block = trace(60.0, speed_mps=speed, doors=doors)
    closed = event("DOORS_CLOSED", 50.0, other=0, value=15.0)
    for sizes in ([6000], [333, 1]):
        listener = Judge(scene({"kind": "no_collision"}), {"bus1": BUS})
        for part in cut(block, sizes):
            listener.on_trace(part)
        listener.on_event(closed)
        facts = RunFacts(60.0, arrived_s={"bus1": 60.0}, signal_delay_s={"bus1": 21.5})
        numbers = listener.finish(facts).numbers["bus1"]
        assert numbers["travel_time_s"] == approx(60.0)
        assert numbers["distance_m"] == approx(250.0, abs=0.2)
        assert numbers["stops_on_the_way"] == 1
        assert numbers["standing_s"] == approx(20.0, abs=0.02)
        assert (numbers["stations"], numbers["dwell_s"], numbers["signal_delay_s"]) == (
            1,
            15.0,
            21.5,
        )


def test_no_criterion_means_nothing_was_judged():
    verdict = Judge(scene(), {"bus1": BUS}).finish(RunFacts(600.0))
    assert (verdict.outcome, verdict.exit_code) == (Outcome.NOTHING_RAN, 4)
