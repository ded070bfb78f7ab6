"""The ruler of an automated vehicle's route: progress without jumps, stop lines and stations where they are."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.errors import ConfigError, RoadError
from protocols.roads.network import UserClass
from protocols.roads.routing import find_lane
from scenarios.spec import StopSpec, VehicleSpec
from sim.route_line import RouteLine, build_route_line
from tests.support.corridor import corridor_net


def spec(start: str, start_s_m: float, end: str, end_s_m: float, *stops: str) -> VehicleSpec:
    return VehicleSpec(
        name="v", type="car", start_lane=start, start_s_m=start_s_m, destination_lane=end,
        destination_s_m=end_s_m, stops=tuple(StopSpec(station=name) for name in stops),
    )  # fmt: skip


def line(vehicle: VehicleSpec, who: UserClass = UserClass.BUS) -> RouteLine:
    return build_route_line(corridor_net(), vehicle, who, "vehicles.0")


def test_the_ruler_adds_up_the_lanes_of_the_bus():
    bus = line(spec("1/0/-2", 60.0, "2/0/-2", 40.0, "Xihuan eastbound"))
    # 320 m to the end of 1/0, 100 m of 1/1, 48 m over the junction, 40 m of 2/0
    assert bus.length_m == pytest.approx(320.0 + 100.0 + 48.0 + 40.0)
    (station,) = bus.stations
    assert station.route_s_m == pytest.approx(276.0 - 60.0)
    (signal,) = bus.signals
    assert (signal.name, signal.route_s_m) == ("J1.bus_east", pytest.approx(320.0 + 93.0))


def test_progress_is_monotone_and_without_jumps_along_every_lane_of_the_corridor():
    net = corridor_net()
    bus = line(spec("1/0/-2", 0.0, "5/1/-2", 400.0))
    last = 0.0
    for lane in bus.lanes.tolist():
        for s in np.arange(0.0, float(net.lanes.length_m[lane]), 0.5):
            now = bus.progress(lane, float(s), last)
            assert last - 1e-9 <= now <= last + 0.51, (net.lane_key(lane), s)
            last = now
    assert last == pytest.approx(bus.length_m, abs=21.0)  # the last lane was driven to its end


def changing() -> RouteLine:
    """A car that has to change from the outer to the inner lane before J1."""
    return line(spec("1/0/-5", 10.0, "2/0/-4", 40.0), UserClass.PASSENGER)


def test_a_lane_change_does_not_move_progress():
    net, car = corridor_net(), changing()
    at = next(k for k in range(1, car.lanes.size) if car.begin_m[k] == car.begin_m[k - 1])
    before, after = int(car.lanes[at - 1]), int(car.lanes[at])
    assert net.lanes.road[before] == net.lanes.road[after] and before != after
    for s in (5.0, 40.0, 90.0):
        here = car.progress(before, s, float(car.begin_m[at]) + s)
        assert car.progress(after, s, here) == pytest.approx(here)
        assert car.progress(before, s + 0.5, here) == pytest.approx(here + 0.5)


def test_only_the_stop_line_of_the_lane_that_reaches_the_junction_counts():
    net = corridor_net()
    turning = line(spec("1/1/-4", 5.0, "21/0/-2", 50.0), UserClass.PASSENGER)
    changes = [
        k for k in range(1, turning.lanes.size) if turning.begin_m[k] == turning.begin_m[k - 1]
    ]
    assert changes, "this route should need a lane change"
    assert [place.name for place in turning.signals] == ["J1.main_east_left"]
    assert net.lane_key(turning.signals[0].lane) == "1/1/-3"


def test_a_lane_off_the_route_leaves_progress_where_it_was():
    bus = line(spec("1/0/-2", 60.0, "2/0/-2", 40.0))
    assert bus.progress(find_lane(corridor_net(), "1/0/-4"), 200.0, 77.0) == 77.0


def test_progress_does_not_jump_to_a_place_far_away_on_the_route():
    bus = line(spec("1/0/-2", 60.0, "2/0/-2", 40.0))
    assert bus.progress(find_lane(corridor_net(), "2/0/-2"), 10.0, 5.0) == 5.0


def test_of_two_platforms_with_one_name_the_one_on_the_way_is_served():
    east = line(spec("1/0/-2", 60.0, "5/1/-2", 380.0, "Zijingshan")).stations[0]
    west = line(spec("5/1/2", 60.0, "1/0/2", 300.0, "Zijingshan")).stations[0]
    names = [corridor_net().lane_key(place.lane) for place in (east, west)]
    assert names == ["3/1/-2", "3/1/2"]


@pytest.mark.parametrize(
    ("vehicle", "words"),
    [
        (spec("9/9/-9", 0.0, "2/0/-2", 1.0), "vehicles.0.start_lane: Lane '9/9/-9' is not on"),
        (spec("1/0/-2", 400.0, "2/0/-2", 1.0), "vehicles.0.start_s_m: found 400, but lane 1/0/-2 is 380.00 m"),
        (spec("1/0/-2", 0.0, "9/0/-2", 1.0), "vehicles.0.destination_lane: Lane '9/0/-2' is not on"),
        (spec("1/0/-2", 0.0, "1/0/2", 1.0), "vehicles.0.destination_lane: No way for bus"),
        (spec("1/0/-2", 0.0, "2/0/-2", 999.0), "vehicles.0.destination_lane: Travel distance 999.00 m"),
        (spec("1/0/-2", 0.0, "2/0/-2", 1.0, "Nowhere"), "vehicles.0.stops.0.station: station 'Nowhere'"),
        (spec("1/0/-2", 300.0, "2/0/-2", 1.0, "Xihuan eastbound"), "vehicles.0.stops.0 (station 'Xihuan eastbound')"),
    ],
)  # fmt: skip
def test_what_cannot_be_reached_is_named_by_its_key(vehicle: VehicleSpec, words: str):
    with pytest.raises((ConfigError, RoadError)) as caught:
        line(vehicle)
    assert str(caught.value).startswith(words), str(caught.value)
    assert caught.value.exit_code == 2
