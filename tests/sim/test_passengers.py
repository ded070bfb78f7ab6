"""People at stations: how long doors stay busy, who gets off where, whose draws are whose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.passengers import Cabin, PassengerParams, make_cabin

S = 1_000_000_000
HOUR = 3600 * S
NOBODY = PassengerParams(
    boarding_per_hour=0.0,
    alighting_share=0.0,
    door_dead_time_s=4.0,
    boarding_s=1.6,
    alighting_s=1.2,
    channels=4,
    capacity=120,
)


def cabin(*stations: int, on_call: bool = False, **changes: float) -> Cabin:
    """A cabin that serves `stations` in order."""
    return make_cabin("bus", replace(NOBODY, **changes), [(s, on_call) for s in stations], 1)  # type: ignore[arg-type]


def until_done(bus: Cabin, opened_s: float, station: int) -> float:
    """Opens the doors and says for how many seconds they stay busy (10 ms steps)."""
    t_ns = round(opened_s * S)
    bus.update(t_ns, -1, station)
    while not bus.reading(t_ns, -1).is_boarding_done:
        t_ns += S // 100
        bus.update(t_ns, -1, station)
    return t_ns / S - opened_s


def test_doors_that_nobody_uses_are_busy_for_the_dead_time():
    assert until_done(cabin(0, 1), 10.0, 0) == pytest.approx(4.0)


def test_nine_people_board_through_four_channels_in_three_rounds():
    bus = cabin(0, 1)
    bus.stops[0].waiting = 9
    assert until_done(bus, 10.0, 0) == pytest.approx(4.0 + 3 * 1.6)
    assert bus.reading(20 * S, -1).num_passengers == 9


def test_alighting_comes_before_boarding_and_both_take_their_rounds():
    bus = cabin(0, 1, 2)
    bus.riders[1] = 5  # two rounds of four channels
    bus.stops[1].waiting = 4  # one round
    bus.next_stop = 1
    assert until_done(bus, 50.0, 1) == pytest.approx(4.0 + 2 * 1.2 + 1.6)
    assert bus.reading(60 * S, -1).num_passengers == 4


def test_no_more_board_than_there_are_places():
    bus = cabin(0, 1, capacity=6)
    bus.stops[0].waiting = 10
    until_done(bus, 0.0, 0)
    assert (bus.reading(30 * S, -1).num_passengers, bus.stops[0].waiting) == (6, 4)


def test_places_of_those_who_get_off_are_free_for_those_who_get_on():
    bus = cabin(0, 1, 2, capacity=6)
    bus.riders[1], bus.riders[2], bus.next_stop = 2, 4, 1
    bus.stops[1].waiting = 5
    until_done(bus, 0.0, 1)
    assert (bus.reading(30 * S, -1).num_passengers, bus.stops[1].waiting) == (6, 3)


def test_who_comes_running_while_doors_are_open_is_taken_along():
    bus = cabin(0, 1)
    until_done(bus, 0.0, 0)
    bus.stops[0].waiting = 1
    bus.update(10 * S, -1, 0)
    assert not bus.reading(11 * S, -1).is_boarding_done
    assert bus.reading(round(11.6 * S), -1).is_boarding_done
    assert bus.reading(12 * S, -1).num_passengers == 1


def test_everybody_gets_off_at_the_last_stop_and_nobody_on():
    bus = cabin(0, 1, boarding_per_hour=10_000.0)
    bus.update(HOUR // 2, -1, 0)
    assert bus.reading(HOUR // 2, -1).num_passengers == 120
    bus.update(HOUR // 2 + 60 * S, 0, -1)
    bus.update(HOUR, -1, 1)
    assert bus.reading(HOUR, -1).num_passengers == 0
    assert bus.stops[1].waiting == 0, "nobody waits where the line ends"


def test_a_line_that_serves_a_station_twice_lets_riders_off_at_the_second_visit():
    bus = cabin(7, 8, 7)
    bus.stops[
        0
    ].waiting = 3  # with alighting_share 0 they ride to the end, which is station 7 again
    until_done(bus, 0.0, 7)
    bus.update(20 * S, 0, -1)
    until_done(bus, 60.0, 8)
    assert bus.reading(70 * S, -1).num_passengers == 3
    bus.update(80 * S, 0, -1)
    until_done(bus, 120.0, 7)
    assert bus.reading(130 * S, -1).num_passengers == 0


def test_riders_of_a_stop_that_was_passed_get_off_at_the_next():
    bus = cabin(0, 1, 2)
    bus.riders[1], bus.next_stop = 2, 1
    until_done(bus, 100.0, 2)
    assert bus.reading(110 * S, -1).num_passengers == 0


def arrivals(bus: Cabin, stop: int) -> list[int]:
    """Waiting people at `stop`, minute by minute."""
    out = []
    for minute in range(120):
        bus.arrive(minute * 60 * S)
        out.append(bus.stops[stop].waiting)
    return out


def test_another_station_or_vehicle_changes_nobody_elses_arrivals():
    alone = arrivals(cabin(3, 5, 9, boarding_per_hour=60.0), 1)
    assert arrivals(cabin(3, 4, 5, 9, boarding_per_hour=60.0), 2) == alone
    other = make_cabin("bus2", replace(NOBODY, boarding_per_hour=60.0), [(5, False), (9, False)], 1)
    assert arrivals(other, 0) != alone
    assert arrivals(cabin(3, 5, 9, boarding_per_hour=60.0), 1) == alone


def test_two_visits_of_one_station_have_arrivals_of_their_own():
    bus = cabin(5, 8, 5, 9, boarding_per_hour=60.0)
    assert arrivals(bus, 0) != arrivals(cabin(5, 8, 5, 9, boarding_per_hour=60.0), 2)


def test_arrivals_are_as_many_as_the_rate_says():
    bus = cabin(0, 1, boarding_per_hour=60.0)
    bus.arrive(100 * HOUR)
    assert abs(bus.stops[0].waiting - 6000) < 4 * 6000**0.5  # four sigma of a Poisson count
    nobody = cabin(0, 1)
    nobody.arrive(100 * HOUR)
    assert nobody.stops[0].waiting == 0


def test_an_on_call_stop_is_asked_for_only_when_somebody_waits_or_rides_for_it():
    bus = make_cabin("bus", NOBODY, [(0, False), (1, True), (2, False)], 1)
    quiet = bus.reading(S, 0)
    assert (quiet.is_stop_requested, quiet.waiting_stations, bus.wanted()) == (False, (), [])
    bus.stops[0].waiting = 4  # waiting at an ordinary stop is no request
    assert bus.reading(S, 0).waiting_stations == ()
    bus.stops[1].waiting = 1
    assert (bus.reading(S, 0).waiting_stations, bus.wanted()) == ((1,), [1])
    assert not bus.reading(S, 0).is_stop_requested
    bus.stops[1].waiting, bus.riders[1] = 0, 2
    assert bus.reading(S, 0).is_stop_requested and bus.wanted() == [1]
    until_done(bus, 10.0, 1)
    bus.stops[1].waiting = 3  # the bus has been there: too late
    assert bus.reading(30 * S, 0).waiting_stations == () and bus.wanted() == []


def test_doors_opened_where_no_stop_is_let_nobody_through():
    bus = cabin(0, 1)
    bus.stops[0].waiting = 5
    assert until_done(bus, 0.0, -1) == pytest.approx(4.0)
    assert bus.reading(10 * S, -1).num_passengers == 0
