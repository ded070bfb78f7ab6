"""Our own maps: written again to the same bytes, joined exactly, and good to drive on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import RoadError
from protocols.roads.network import LaneType, RightOfWay, RoadNetwork, UserClass
from protocols.roads.routing import cost_to_go, find_lane, route
from scenarios.formats import opendrive
from scenarios.roads import MAPS, path_of, write_all

CORRIDOR_ENTRIES = {
    "west": ("1/0/-4", "1/0/-5"),
    "east": ("5/1/4", "5/1/5"),
    **{f"north {n}": (f"2{n}/0/2", f"2{n}/0/3") for n in (1, 2, 4)},
    "north 3": ("23/0/4", "23/0/5"),
    **{f"south {n}": (f"3{n}/0/2", f"3{n}/0/3") for n in (1, 2, 3, 4)},
}
CORRIDOR_EXITS = {
    "west": ("1/0/4", "1/0/5"),
    "east": ("5/1/-4", "5/1/-5"),
    **{f"north {n}": (f"2{n}/0/-2", f"2{n}/0/-3") for n in (1, 2, 4)},
    "north 3": ("23/0/-4", "23/0/-5"),
    **{f"south {n}": (f"3{n}/0/-2", f"3{n}/0/-3") for n in (1, 2, 3, 4)},
}


@pytest.fixture(scope="module")
def corridor() -> RoadNetwork:
    return opendrive.read(path_of("brt_corridor"))


@pytest.fixture(scope="module")
def island() -> RoadNetwork:
    return opendrive.read(path_of("smart_island"))


def test_written_again_the_files_are_the_same_bytes(tmp_path: Path) -> None:
    for path in write_all(tmp_path):
        assert path.read_bytes() == path_of(path.stem).read_bytes(), (
            f"{path.name} is not what its generator writes; run `python -m scenarios.roads`"
        )


def test_an_unknown_map_is_named_with_those_we_have() -> None:
    with pytest.raises(RoadError, match="'nowhere' is not one of ours; we have brt_corridor"):
        path_of("nowhere")


@pytest.mark.parametrize("name", sorted(MAPS))
def test_every_lane_ends_where_its_successors_begin(name: str) -> None:
    net = opendrive.read(path_of(name))
    lanes, points = net.lanes, net.points
    owner = np.repeat(np.arange(net.num_lanes), np.diff(lanes.next_start))
    end, begin = lanes.point_start[owner + 1] - 1, lanes.point_start[lanes.next]
    gap_m = np.hypot(points.x_m[end] - points.x_m[begin], points.y_m[end] - points.y_m[begin])
    turn = points.yaw_rad[end] - points.yaw_rad[begin]
    assert owner.size > 40
    assert gap_m.max() < 0.01
    assert np.abs(points.z_m[end] - points.z_m[begin]).max() < 0.01
    assert np.rad2deg(np.abs((turn + np.pi) % (2 * np.pi) - np.pi)).max() < 0.1
    assert np.abs(points.width_m[end] - points.width_m[begin]).max() < 0.01
    assert net.notes == ()


@pytest.mark.parametrize("name", sorted(MAPS))
def test_motor_lanes_bend_no_tighter_than_a_bus_can_turn(name: str) -> None:
    net = opendrive.read(path_of(name))
    lane_of_point = np.repeat(np.arange(net.num_lanes), np.diff(net.lanes.point_start))
    for kind, radius_m in ((LaneType.DRIVING, 12.0), (LaneType.BUS, 20.0)):
        curvature = np.abs(net.points.curvature_per_m[net.lanes.type[lane_of_point] == kind])
        assert curvature.max(initial=0.0) < 1 / radius_m


def test_the_corridor_is_what_the_scenes_expect(corridor: RoadNetwork) -> None:
    roads = corridor.roads
    outside = [k for k in range(len(roads.id)) if roads.junction[k] < 0]
    arterial_m = sum(float(roads.length_m[k]) for k in outside if len(roads.id[k]) == 1)
    assert arterial_m > 3000.0
    assert all(roads.length_m[k] > 250.0 for k in outside)
    assert corridor.junctions.name == ("J1", "J2", "J3", "J4")
    assert corridor.junctions.is_signalised.all()
    assert len(set(corridor.stations.id)) == 10  # S1, S2, S4, S5 twice, island S3, terminal T
    island = np.asarray(corridor.stations.is_island)
    assert [corridor.stations.id[k] for k in np.flatnonzero(island)] == ["S3", "S3"]
    assert set(corridor.stations.door_side[island].tolist()) == {1}
    assert set(corridor.stations.door_side[~island].tolist()) == {-1}
    assert set(corridor.lanes.type[corridor.stations.lane].tolist()) == {LaneType.BUS}
    assert (corridor.stations.s1_m - corridor.stations.s0_m > 60.0).all()
    # Platforms are level ground for docking: no bend beside them nor 30 m before them.
    for row in range(island.size):
        lane = int(corridor.stations.lane[row])
        part = slice(corridor.lanes.point_start[lane], corridor.lanes.point_start[lane + 1])
        s_m = corridor.points.s_m[part]
        near = (s_m > corridor.stations.s0_m[row] - 30) & (s_m < corridor.stations.s1_m[row])
        assert np.abs(corridor.points.curvature_per_m[part][near]).max() < 1e-6


def test_the_arterial_is_never_steeper_than_two_percent(corridor: RoadNetwork) -> None:
    rise = np.diff(corridor.points.z_m) / np.maximum(np.diff(corridor.points.s_m), 1e-6)
    inside = np.diff(corridor.points.s_m) > 0  # not from one lane to the next
    assert 0.01 < np.abs(rise[inside]).max() < 0.02


def test_every_car_entry_reaches_every_other_leg_on_car_lanes_only(corridor: RoadNetwork) -> None:
    admits = (corridor.lanes.permission & np.uint32(UserClass.PASSENGER)) != 0
    assert not (admits & (corridor.lanes.type == LaneType.BUS)).any()
    for exit_leg, exits in CORRIDOR_EXITS.items():
        for key in exits:
            cost_s = cost_to_go(corridor, [find_lane(corridor, key)], UserClass.PASSENGER)
            for entry_leg, entries in CORRIDOR_ENTRIES.items():
                for entry in entries:
                    reached = np.isfinite(cost_s[find_lane(corridor, entry)])
                    assert reached == (entry_leg != exit_leg), f"{entry} to {key}"
                    # 600 s is the price of one change across a solid mark: none is needed.
                    if reached:
                        assert cost_s[find_lane(corridor, entry)] < 600.0, f"{entry} to {key}"


def test_a_bus_passes_all_stations_of_its_direction_without_leaving_the_bus_lane(
    corridor: RoadNetwork,
) -> None:
    for start, goal, stations in (
        ("1/0/-2", "5/1/-2", ("1/0/-2", "2/1/-2", "3/1/-2", "4/1/-2", "5/1/-2")),
        ("5/1/2", "1/0/2", ("5/1/2", "4/1/2", "3/1/2", "2/1/2", "1/0/2")),
    ):
        a, b = find_lane(corridor, start), find_lane(corridor, goal)
        way = route(corridor, a, 0.0, b, float(corridor.lanes.length_m[b]), UserClass.BUS)
        keys = [corridor.lane_key(int(lane)) for lane in way.lanes]
        assert [key for key in keys if key in stations] == list(stations)
        assert not way.is_change.any()
        assert set(corridor.lanes.type[way.lanes].tolist()) == {LaneType.BUS}
        # Reference line 3172.5 m of blocks plus 3 junctions of 48 m and one of 60 m: 3376.5 m.
        assert way.length_m == pytest.approx(3376.5, abs=5.0)


def test_the_left_turn_at_j3_to_the_terminal_is_for_buses_only(corridor: RoadNetwork) -> None:
    terminal = find_lane(corridor, "23/0/-2")
    start = find_lane(corridor, "1/0/-2")
    way = route(corridor, start, 0.0, terminal, 200.0, UserClass.BUS)
    assert "3/2/-2" in [corridor.lane_key(int(lane)) for lane in way.lanes]
    assert way.is_change.sum() == 1  # from the bus lane into its turning pocket
    for entries in CORRIDOR_ENTRIES.values():
        with pytest.raises(RoadError, match="does not admit passenger"):
            route(corridor, find_lane(corridor, entries[0]), 0, terminal, 0, UserClass.PASSENGER)
    # Only the turning pocket leads there: no other movement enters the bus lane of road 23.
    before = corridor.lanes.prev[
        corridor.lanes.prev_start[terminal] : corridor.lanes.prev_start[terminal + 1]
    ]
    assert len(before) == 1
    turn = int(before[0])
    assert corridor.lanes.permission[turn] & np.uint32(UserClass.PASSENGER) == 0


def test_the_stages_of_the_handbook_do_not_cross(corridor: RoadNetwork) -> None:
    """docs/roads.md: within a stage, lanes of two groups meet only where one of them turns."""
    group_of: dict[int, str] = {}
    stops = corridor.stop_lines
    for row in np.flatnonzero(stops.group >= 0):
        lane = int(stops.lane[row])
        for after in corridor.lanes.next[
            corridor.lanes.next_start[lane] : corridor.lanes.next_start[lane + 1]
        ]:
            if stops.to_lane[row] in (-1, after):
                group_of[int(after)] = corridor.groups.name[stops.group[row]]
    connecting = np.flatnonzero(corridor.lanes.junction >= 0)
    assert set(connecting.tolist()) == set(group_of)  # every movement has a signal
    stages = [
        ("bus_east", "bus_west", "main_east_through", "main_west_through"),
        ("main_east_left", "main_west_left", "bus_left"),
        ("side_north", "bus_north"),
    ]
    conflicts = corridor.conflicts
    for a in connecting.tolist():
        junction, label = group_of[a].split(".")
        for row in range(conflicts.start[a], conflicts.start[a + 1]):
            other = group_of[int(conflicts.other[row])]
            if conflicts.kind[row] == 2 or other == group_of[a]:
                continue
            for stage in stages:
                assert not (label in stage and other.split(".")[1] in stage), (
                    f"{group_of[a]} meets {other}"
                )
            if {label, other.split(".")[1]} == {"side_north", "side_south"}:
                # Left turns give way, so that both may run together.
                assert conflicts.right_of_way[row] != RightOfWay.EQUAL
        assert junction in corridor.junctions.name


def test_signal_groups_carry_the_names_of_the_handbook(corridor: RoadNetwork) -> None:
    for number in (1, 2, 3, 4):
        for label in [
            "bus_east",
            "bus_west",
            "main_east_through",
            "main_west_through",
            "main_east_left",
            "main_west_left",
            "side_north",
            "side_south",
            "ped_west",
            "ped_east",
            "ped_north",
            "ped_south",
        ]:
            k = corridor.groups.name.index(f"J{number}.{label}")
            assert corridor.junctions.name[corridor.groups.junction[k]] == f"J{number}"
    assert {"J3.bus_left", "J3.bus_north"} <= set(corridor.groups.name)
    for row, crossing in enumerate(corridor.crossings.id):
        group = int(corridor.crossings.group[row])
        assert corridor.groups.name[group] == crossing.replace("walk", "ped")


def test_the_shuttle_can_drive_both_rounds_and_out_of_the_gate(island: RoadNetwork) -> None:
    for keys in (
        ("4/0/1", "1/0/-1", "2/0/-1", "2/2/-1", "3/0/-1", "4/0/-1"),
        ("4/0/1", "3/0/1", "2/2/1", "2/0/1", "1/0/1", "4/0/-1"),
    ):
        lanes = [find_lane(island, key) for key in keys]
        total_m = 0.0
        for a, b in pairwise(lanes):
            total_m += route(island, a, 0.0, b, 0.0, UserClass.SHUTTLE).length_m
        assert 1500.0 < total_m - island.lanes.length_m[lanes[0]] < 2100.0
    assert island.lanes.speed_mps[island.lanes.type == LaneType.DRIVING].max() <= 40 / 3.6 + 1e-9


def test_side_roads_of_the_island_give_way_to_the_loop(island: RoadNetwork) -> None:
    conflicts, lanes = island.conflicts, island.lanes
    checked = 0
    for a in np.flatnonzero(lanes.junction >= 0).tolist():
        from_a = island.roads.id[lanes.road[lanes.prev[lanes.prev_start[a]]]]
        for row in range(conflicts.start[a], conflicts.start[a + 1]):
            b = int(conflicts.other[row])
            from_b = island.roads.id[lanes.road[lanes.prev[lanes.prev_start[b]]]]
            if conflicts.kind[row] != 2 and from_a in "45" and from_b in "123":
                assert conflicts.right_of_way[row] == RightOfWay.YIELD
                checked += 1
    assert checked >= 9  # three junctions, at least three meetings each


def test_the_island_has_what_its_scenes_need(island: RoadNetwork) -> None:
    assert set(island.stations.id) == {
        "Gate", "Library", "Library.cw", "Lab", "Clinic", "Dorm", "Dorm.cw",
    }  # fmt: skip
    assert set(island.stations.door_side.tolist()) == {-1}
    assert (
        island.objects.type.count("sharedSpace"),
        island.objects.type.count("parkingSpace"),
    ) == (
        1,
        10,
    )
    signalised = [island.crossings.id[k] for k in np.flatnonzero(island.crossings.group >= 0)]
    assert signalised == ["library.walk"]
    # No platform stands on the cycle lanes of section 2/1.
    assert not any(island.lane_key(int(lane)).startswith("2/1") for lane in island.stations.lane)


@pytest.mark.parametrize("name", sorted(MAPS))
def test_carla_puts_our_lanes_where_we_do(name: str) -> None:
    carla = pytest.importorskip("carla", reason="the carla wheel is a development extra")
    net = opendrive.read(path_of(name))
    # carla.Map drives on type "driving" only; elsewhere its answers are about another lane.
    text = path_of(name).read_text(encoding="utf-8").replace('type="bus"', 'type="driving"')
    carla_map = carla.Map(name, text)
    motor = np.isin(net.lanes.type, (LaneType.DRIVING, LaneType.BUS))
    draw = np.random.default_rng(7)
    worst_m = worst_rad = 0.0
    for lane in draw.permutation(np.flatnonzero(motor))[:150].tolist():
        road = int(net.lanes.road[lane])
        part = slice(net.lanes.point_start[lane], net.lanes.point_start[lane + 1])
        k = int(draw.integers(1, part.stop - part.start - 1)) + part.start
        there = carla_map.get_waypoint_xodr(
            int(net.roads.id[road]), int(net.lanes.odr_id[lane]), float(net.points.road_s_m[k])
        ).transform
        # carla's y axis points south and its yaw turns clockwise.
        worst_m = max(
            worst_m,
            float(
                np.hypot(
                    there.location.x - net.points.x_m[k], -there.location.y - net.points.y_m[k]
                )
            ),
            abs(there.location.z - net.points.z_m[k]),
        )
        turn = -np.deg2rad(there.rotation.yaw) - net.points.yaw_rad[k]
        worst_rad = max(worst_rad, abs(float(np.angle(np.exp(1j * turn)))))
    assert worst_m < 0.01
    assert np.rad2deg(worst_rad) < 0.1


def test_the_crossing_between_junctions_makes_no_junction_signalised(island: RoadNetwork) -> None:
    assert not island.junctions.is_signalised.any()
    assert island.groups.name == ("X1.road", "X1.ped")
    assert island.groups.junction.tolist() == [-1, -1]
    lanes = [island.lane_key(int(lane)) for lane in island.stop_lines.lane]
    held = dict(zip(lanes, island.stop_lines.group.tolist(), strict=True))
    assert held == {"1/0/1": 0, "1/0/-1": 0, "4/0/1": -1, "5/0/1": -1, "5/2/-1": -1}
