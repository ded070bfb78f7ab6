"""A mission on the corridor map becomes one path with its events in the right places; the fleet unit forwards its columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest import approx

import scenarios.roads
from protocols.errors import RoadError
from protocols.participant import Inbox
from protocols.roads.network import RoadNetwork
from protocols.roads.routing import find_lane
from protocols.sensing import FleetReading, Readings
from protocols.simtime import Now
from scenarios.formats.opendrive import read
from vehicle.driving import Corridor, Mission, StopTask, build_corridor
from vehicle.dynamics import vehicle_params
from vehicle.fleet import FleetUnit

BUS = vehicle_params("articulated_bus_18m")


@pytest.fixture(scope="module")
def net() -> RoadNetwork:
    return read(Path(scenarios.roads.__file__).parent / "brt_corridor.xodr")


@pytest.fixture(scope="module")
def corridor(net: RoadNetwork) -> Corridor:
    rows = [i for i, key in enumerate(net.stations.id) if key.endswith(".east")]
    last = int(net.stations.lane[rows[-1]])
    mission = Mission(
        find_lane(net, "1/0/-2"), 60.0, tuple(StopTask(row) for row in rows), last, float(net.lanes.length_m[last]) - 5.0
    )  # fmt: skip
    return build_corridor(net, mission, BUS, 90.0)


def test_the_path_is_smooth_and_as_long_as_its_chords(corridor: Corridor) -> None:
    path = corridor.path
    chord = np.hypot(np.diff(path.x_m), np.diff(path.y_m))
    assert chord == approx(np.full(chord.size, 0.5), abs=0.01)
    assert np.abs(np.diff(path.yaw_rad)).max() < 0.02
    along = np.arctan2(np.diff(path.y_m), np.diff(path.x_m))
    middle = 0.5 * (path.yaw_rad[1:] + path.yaw_rad[:-1])
    assert np.abs((along - middle + np.pi) % (2 * np.pi) - np.pi).max() < 0.01


def test_events_lie_where_the_network_says(corridor: Corridor, net: RoadNetwork) -> None:
    # the run-up of 40 m before the start at 60 m
    assert corridor.start_s_m == approx(40.0)
    for station in corridor.stations:
        row = station.task.station
        lane = int(net.stations.lane[row])
        points = slice(int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1]))
        x = np.interp(net.stations.stop_s_m[row], net.points.s_m[points], net.points.x_m[points])
        y = np.interp(net.stations.stop_s_m[row], net.points.s_m[points], net.points.y_m[points])
        assert corridor.path.at(station.s_m)[:2] == approx((x, y), abs=0.05)
    assert all(line.group >= 0 for line in corridor.lines)
    for line, junction in zip(corridor.lines, corridor.junctions, strict=True):
        assert junction.s_line_m == approx(line.s_m)
        assert line.s_m < junction.s_in_m < junction.s_out_m
        assert line.from_lane in line.to_lanes
    s = [e.s_in_m for e in corridor.crossings]
    assert s == sorted(s) and len(s) >= len(corridor.junctions)


def test_conflict_approaches_count_down_to_their_area(corridor: Corridor) -> None:
    conflicts = [c for j in corridor.junctions for c in j.conflicts]
    assert conflicts
    for conflict in conflicts:
        dist = conflict.approach.dist_m
        assert dist.max() <= 90.0 + 1e-6
        assert dist.min() == approx(-conflict.approach.inside_m, abs=1e-6)
        assert conflict.s_in_m < conflict.s_out_m


def test_a_station_that_does_not_exist_is_named(net: RoadNetwork) -> None:
    lane = find_lane(net, "1/0/-2")
    with pytest.raises(RoadError, match="station 999"):
        build_corridor(net, Mission(lane, 60.0, (StopTask(999),), lane, 200.0), BUS, 90.0)


def test_the_fleet_unit_sends_one_batch_of_what_it_reads() -> None:
    unit = FleetUnit()
    assert (unit.name, unit.period_ticks) == ("fleet", 10)
    column = np.array([1.0, 2.0])
    reading = FleetReading(
        50, np.array([4, 9], np.uint32), np.array([1, 4], np.uint8), *(column + i for i in range(10)),
        np.array([0, 1], np.uint32),
    )  # fmt: skip
    out = unit.on_tick(Now(10, 100_000_000), Inbox((), Readings(fleet=reading)))
    assert [t.topic for t in out.transmissions] == ["v2x/bsm"]
    message = out.transmissions[0].message
    for name in FleetReading.__slots__:
        assert np.array_equal(getattr(message, name), getattr(reading, name)), name
    assert unit.on_tick(Now(20, 200_000_000), Inbox((), Readings())).transmissions == []
