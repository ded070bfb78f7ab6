"""The referee of one vehicle, on a body moved by hand along the corridor: lights, stations, doors, lanes, traces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocols.judging import Event, EventKind
from protocols.messages import Light
from protocols.roads.network import UserClass
from protocols.roads.routing import find_lane
from scenarios.spec import StopSpec, VehicleSpec
from sim.referee import Referee, speed_limit
from sim.route_line import build_route_line
from sim.state import empty_states
from tests.support.corridor import corridor_net

S = 1_000_000_000
STATION = "Xihuan eastbound"  # 276 m along 1/0/-2, so 216 m along the ruler; platform on the right
LEFT, RIGHT = 1, -1
FREE_MPS = 60 / 3.6  # posted on 1/0/-2 and in front of J1


class Hand:
    """Moves a body along the route and keeps what the referee says."""

    def __init__(self, *stops: StopSpec, depart_s: float = 0.0) -> None:
        net = corridor_net()
        spec = VehicleSpec(
            name="bus1", type="articulated_bus_18m", start_lane="1/0/-2", start_s_m=60.0,
            destination_lane="2/0/-2", destination_s_m=60.0, stops=stops,
        )  # fmt: skip
        self.line = build_route_line(net, spec, UserClass.BUS, "vehicles.0")
        self.referee = Referee(net, "bus1", 7, 0, UserClass.BUS, self.line, stops, depart_s)
        self.states = empty_states(1)
        self.light = np.full(len(net.groups.id), Light.GREEN_PROTECTED, dtype=np.uint8)
        self.red_since_ns = np.zeros(self.light.size)
        self.t_ns = 0

    def at(
        self, route_s_m: float, speed_mps: float = 0.0, doors: int = 0, d_m: float = 0.0
    ) -> list[Event]:
        """One tick with the front at `route_s_m`; what was said."""
        if abs(route_s_m - self.referee.route_s_m) > 50.0:
            self.referee.route_s_m = (
                route_s_m  # carried there, not driven: progress does not jump by itself
            )
        k = int(np.searchsorted(self.line.begin_m, route_s_m, side="right")) - 1
        self.states.lane[0] = self.line.lanes[k]
        self.states.s_m[0] = route_s_m - self.line.begin_m[k]
        return self.on(speed_mps, doors, d_m)

    def on(self, speed_mps: float = 0.0, doors: int = 0, d_m: float = 0.0) -> list[Event]:
        """One tick where the body is."""
        states = self.states
        states.speed_mps[0], states.doors[0], states.d_m[0] = speed_mps, doors, d_m
        self.referee.observe(self.t_ns, 0.01, states, self.light, self.red_since_ns)
        self.t_ns += S // 100
        said = list(self.referee.events)
        self.referee.events.clear()
        return said

    def drive(self, to_m: float, speed_mps: float) -> list[Event]:
        """Ticks at constant speed until `to_m`."""
        said: list[Event] = []
        here = self.referee.route_s_m
        while here < to_m:
            here += speed_mps * 0.01
            said += self.at(here, speed_mps)
        return said


def kinds(events: list[Event]) -> list[EventKind]:
    return [event.kind for event in events]


def j1_bus() -> int:
    return corridor_net().groups.name.index("J1.bus_east")


def test_passing_a_stop_line_at_red_is_an_event_with_the_age_of_the_red():
    hand = Hand()
    hand.at(400.0, 10.0)
    hand.t_ns = 50 * S
    hand.light[j1_bus()], hand.red_since_ns[j1_bus()] = Light.RED, 42.0 * S
    assert hand.at(412.9, 10.0) == []
    (event,) = hand.at(413.1, 10.0)  # 320 m + 93 m
    assert (event.kind, event.actor, event.other) == (EventKind.RED_LIGHT, 7, j1_bus())
    assert event.value == pytest.approx(8.01) and event.text == "J1.bus_east"
    assert event.lane == find_lane(corridor_net(), "1/1/-2")
    assert hand.at(413.3, 10.0) == [], "told once"


@pytest.mark.parametrize("light", [Light.GREEN_PROTECTED, Light.GREEN_PERMISSIVE, Light.YELLOW])
def test_passing_a_stop_line_at_green_or_yellow_is_no_event(light):
    hand = Hand()
    hand.light[:] = Light.RED
    hand.light[j1_bus()] = light  # all others are red: only the own group counts
    assert hand.drive(430.0, 15.0) == []


def test_red_that_begins_after_the_front_has_passed_is_no_event():
    hand = Hand()
    hand.drive(414.0, 15.0)
    hand.light[:] = Light.RED
    assert hand.drive(430.0, 15.0) == []


@pytest.mark.parametrize(("halt_m", "offset_m"), [(216.3, 0.3), (215.2, -0.8)])
def test_a_stop_past_the_stop_point_is_positive_and_short_of_it_negative(halt_m, offset_m):
    hand = Hand(StopSpec(station=STATION))
    assert hand.drive(200.0, 10.0) == []
    assert hand.at(halt_m) == []
    stopped, opened = hand.at(halt_m, doors=RIGHT, d_m=0.12)
    assert (stopped.kind, stopped.text) == (EventKind.STOPPED_AT_STATION, STATION)
    assert stopped.value == pytest.approx(offset_m)
    assert opened.kind == EventKind.DOORS_OPENED and opened.value == 0.12
    assert stopped.other == opened.other == 0


def test_dwell_and_departure_are_measured_from_doors_and_timetable():
    hand = Hand(StopSpec(station=STATION, depart_s=30.0))
    hand.at(216.0)
    hand.t_ns = 20 * S
    hand.on(doors=RIGHT)
    hand.t_ns = 33 * S
    (closed,) = hand.on()
    assert (closed.kind, closed.value) == (EventKind.DOORS_CLOSED, pytest.approx(13.0))
    assert hand.at(216.1, 0.4) == []
    hand.t_ns = 35 * S
    (left,) = hand.at(216.5, 0.6)
    assert (left.kind, left.value) == (EventKind.LEFT_STATION, pytest.approx(5.0))
    assert hand.drive(300.0, 10.0) == [], "served and left: nothing more to say"


def test_a_departure_without_a_planned_time_is_not_compared_with_one():
    hand = Hand(StopSpec(station=STATION))
    hand.at(216.0)
    hand.on(doors=RIGHT)
    said = hand.on() + hand.at(216.5, 0.6)
    assert kinds(said) == [EventKind.DOORS_CLOSED, EventKind.LEFT_STATION]
    assert math.isnan(said[1].value)


@pytest.mark.parametrize(
    ("where_m", "speed_mps", "doors", "words"),
    [
        (216.0, 0.3, RIGHT, "doors opened while moving"),
        (216.0, 0.0, LEFT, "doors opened on the wrong side"),
        (100.0, 0.0, RIGHT, "doors opened away from every station"),
    ],
)
def test_doors_that_should_have_stayed_closed_are_a_fault(where_m, speed_mps, doors, words):
    hand = Hand(StopSpec(station=STATION))
    hand.at(where_m)
    fault = hand.on(speed_mps, doors)[-1]
    assert (fault.kind, fault.text) == (EventKind.DOOR_FAULT, words)
    assert hand.on(speed_mps, doors) == [], "told once"


def test_doors_that_change_sides_without_closing_are_judged_again():
    hand = Hand(StopSpec(station=STATION))
    hand.at(216.0)
    hand.on(doors=RIGHT)
    said = hand.on(doors=LEFT)
    assert kinds(said)[0] == EventKind.DOORS_CLOSED
    assert kinds(said)[-1] == EventKind.DOOR_FAULT and said[-1].text.endswith("wrong side")


def test_doors_opened_well_are_no_fault():
    hand = Hand(StopSpec(station=STATION))
    hand.at(216.0)
    assert EventKind.DOOR_FAULT not in kinds(hand.on(doors=RIGHT))


def test_driving_past_a_station_is_a_miss_thirty_metres_later():
    hand = Hand(StopSpec(station=STATION))
    assert hand.drive(245.8, 12.0) == []
    (missed,) = hand.drive(247.0, 12.0)
    assert (missed.kind, missed.other, missed.text) == (EventKind.MISSED_STATION, 0, STATION)


def test_an_on_call_station_is_missed_only_when_it_was_asked_for_in_time():
    for asked_at_m, expected in ((None, []), (50.0, [EventKind.MISSED_STATION]), (100.0, [])):
        hand = Hand(StopSpec(station=STATION, on_call=True))
        if asked_at_m is not None:
            hand.drive(asked_at_m, 12.0)
            hand.referee.call(0)
        assert kinds(hand.drive(260.0, 12.0)) == expected, asked_at_m


def test_leaving_every_lane_is_told_once_until_the_next_time():
    hand = Hand()
    hand.at(100.0, 5.0)
    hand.states.lane[0] = -1
    (event,) = hand.on(5.0)
    assert event.kind == EventKind.OFF_ROAD
    assert hand.on(5.0) == []
    assert hand.at(101.0, 5.0) == []
    hand.states.lane[0] = -1
    assert kinds(hand.on(5.0)) == [EventKind.OFF_ROAD]


def test_a_lane_that_does_not_admit_the_vehicle_is_an_event():
    net = corridor_net()
    hand = Hand()
    hand.at(100.0, 5.0)
    forbidden = next(
        k for k in range(net.num_lanes)
        if net.lane_key(k).startswith("1/0/-") and not int(net.lanes.permission[k]) & UserClass.BUS
    )  # fmt: skip
    hand.states.lane[0] = forbidden
    (event,) = hand.on(5.0)
    assert (event.kind, event.lane) == (EventKind.BUS_LANE, forbidden)


def test_hard_braking_is_told_at_its_beginning():
    hand = Hand()
    hand.at(100.0, 10.0)
    hand.states.accel_mps2[0] = -4.5
    (event,) = hand.on(10.0)
    assert (event.kind, event.value) == (EventKind.HARD_BRAKING, 4.5)
    assert hand.on(10.0) == []
    hand.states.accel_mps2[0] = -1.0
    assert hand.on(10.0) == []


def test_standing_at_the_destination_is_an_arrival():
    hand = Hand()
    hand.drive(hand.line.length_m - 1.0, 10.0)
    (event,) = hand.on(0.0)
    assert event.kind == EventKind.ARRIVED
    assert hand.referee.arrived_s == event.value
    assert hand.on(0.0) == []


def test_progress_does_not_go_back():
    hand = Hand()
    hand.at(150.0)
    hand.at(149.0)
    assert hand.referee.route_s_m == 150.0


def test_traces_hold_every_tick_once_whatever_the_length():
    hand = Hand()
    for k in range(107):
        hand.at(10.0 + 0.1 * k, 10.0)
    hand.referee.flush()
    hand.referee.flush()
    blocks = hand.referee.blocks
    assert [block.t_ns.size for block in blocks] == [50, 50, 7]
    t_ns = np.concatenate([block.t_ns for block in blocks])
    assert np.array_equal(t_ns, np.arange(107) * 1e7)
    s = np.concatenate([block.route_s_m for block in blocks])
    assert s == pytest.approx(10.0 + 0.1 * np.arange(107))
    assert {block.name for block in blocks} == {"bus1"} and {block.actor for block in blocks} == {7}
    limits = np.concatenate([block.speed_limit_mps for block in blocks])
    assert limits == pytest.approx(np.full(107, FREE_MPS))


def test_driving_at_the_limit_past_a_green_light_costs_no_delay():
    hand = Hand()
    hand.drive(460.0, FREE_MPS + 0.05)
    assert hand.referee.signal_delay_s == 0.0


def test_standing_ten_seconds_at_a_stop_line_costs_ten_seconds():
    hand = Hand()
    hand.drive(410.0, FREE_MPS + 0.05)
    for _ in range(1000):
        hand.on(0.0)
    hand.drive(460.0, FREE_MPS + 0.05)
    assert hand.referee.signal_delay_s == pytest.approx(10.0, abs=0.01)


def test_half_the_free_speed_costs_half_the_time():
    hand = Hand()
    hand.at(300.0, FREE_MPS + 0.05)  # 113 m before the stop line
    for k in range(200):
        hand.at(300.0 + k * 0.0833, FREE_MPS / 2)
    assert hand.referee.signal_delay_s == pytest.approx(1.0, abs=0.01)


def test_far_from_a_light_slow_driving_costs_nothing():
    hand = Hand()
    hand.drive(200.0, 8.0)  # J1's line is at 413 m, its zone begins 150 m before
    assert hand.referee.signal_delay_s == 0.0


def test_waiting_for_the_departure_is_no_delay():
    hand = Hand(depart_s=5.0)
    hand.at(300.0)
    while hand.t_ns < 5 * S:
        hand.on(0.0)
    assert hand.referee.signal_delay_s == 0.0
    for _ in range(100):
        hand.on(0.0)
    assert hand.referee.signal_delay_s == pytest.approx(1.0)


def test_standing_at_the_destination_costs_no_delay():
    hand = Hand()
    hand.drive(hand.line.length_m - 1.0, FREE_MPS + 0.05)
    hand.on(0.0)
    arrived_s = hand.referee.signal_delay_s
    for _ in range(500):
        hand.on(0.0)
    assert hand.referee.signal_delay_s == arrived_s


def test_time_at_a_platform_before_the_light_is_no_delay():
    hand = Hand(StopSpec(station=STATION))
    hand.at(216.2)  # 0.2 m past the stop point, doors still closed
    for _ in range(100):
        hand.on(0.0)
    hand.on(0.0, RIGHT)
    for _ in range(100):
        hand.on(0.0, RIGHT)
    for _ in range(100):
        hand.on(0.0)  # closed, waits for the planned departure
    assert hand.referee.signal_delay_s == 0.0


def test_the_posted_limit_is_the_one_in_force_at_the_place():
    net = corridor_net()
    assert speed_limit(net, find_lane(net, "1/0/-2"), 100.0) == pytest.approx(FREE_MPS)
    assert speed_limit(net, find_lane(net, "1/0/-2"), 0.0) == pytest.approx(FREE_MPS)
