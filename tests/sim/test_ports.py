"""What a unit gets from the world has gone through a sensor: noise, no ids, only what belongs to it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from protocols.messages import ActorKind
from protocols.sensing import CabinReading, Gnss, Imu, ObjectList, Odometry
from scenarios.spec import SceneSpec
from sim.loop import Loop
from sim.ports import FleetPort, VehiclePort, sensor_params
from sim.state import Control
from tests.support.corridor import EMPTY, corridor_net, resolved, wired


def add_car(loop: Loop, row: int, actor: int, x_m: float, y_m: float) -> None:
    """A background car at a place."""
    states, statics = loop.world.states, loop.world.statics
    states.valid[row], states.id[row] = True, actor
    states.x_m[row], states.y_m[row] = x_m, y_m
    states.lane[row] = -1
    statics.kind[row], statics.control[row] = int(ActorKind.CAR), int(Control.TRAFFIC)
    statics.length_m[row], statics.width_m[row], statics.height_m[row] = 4.6, 1.8, 1.5
    statics.wheelbase_m[row], statics.rear_overhang_m[row] = 2.7, 0.9
    statics.total_length_m[row] = 4.6


@pytest.fixture
def quiet() -> Loop:
    """The corridor with the bus alone."""
    return wired(*EMPTY)


def test_the_bus_does_not_read_its_true_place_and_what_it_reads_scatters(quiet: Loop):
    world, port = quiet.world, quiet.ports["obu/bus1"]
    row = world.vehicles[0].row
    fixes = []
    for tick in range(500):
        reading = port.sample(tick, tick * 10_000_000)
        if reading.gnss is not None:
            fixes.append((reading.gnss.x_m, reading.gnss.y_m))
    error = np.asarray(fixes) - (world.states.x_m[row], world.states.y_m[row])
    assert len(fixes) >= 20
    assert np.all(error != 0.0), "the truth came through"
    assert np.unique(error[:, 0]).size == len(fixes), "noise that repeats is no noise"
    assert 0.001 < error.std() < 0.2  # RTK: centimetres


def test_readings_hold_no_identity():
    for kind in (Gnss, Imu, Odometry, ObjectList, CabinReading):
        named = [field.name for field in fields(kind) if "id" in field.name.split("_")]
        assert named == []


def test_a_car_seen_by_the_bus_is_a_measurement(quiet: Loop):
    world = quiet.world
    row = world.vehicles[0].row
    yaw = float(world.states.yaw_rad[row])
    x = float(world.states.x_m[row]) + 30.0 * np.cos(yaw)
    y = float(world.states.y_m[row]) + 30.0 * np.sin(yaw)
    add_car(quiet, 5, 77, x, y)
    world.states.yaw_rad[5] = yaw
    seen = []
    for tick in range(100):
        reading = quiet.ports["obu/bus1"].sample(tick, tick * 10_000_000)
        if reading.objects is not None:
            seen += list(zip(reading.objects.x_m, reading.objects.y_m, strict=True))
    ahead = np.asarray([x for x, _ in seen])
    # Origin under the rear axle of either body: the car's middle lies 4.6 / 2 - 0.9 = 1.4 m before its own.
    assert ahead.size >= 5
    assert np.all(np.abs(ahead - 31.4) < 1.0)
    assert np.all(ahead != 31.4) and np.unique(ahead).size == ahead.size


def test_a_sensor_that_is_not_fitted_reads_nothing():
    loop = wired(*EMPTY, "vehicles.0.sensors={ objects = false, gnss = false }")
    seen = [loop.ports["obu/bus1"].sample(tick, tick * 10_000_000) for tick in range(100)]
    assert all(r.objects is None and r.gnss is None for r in seen)
    assert any(r.imu is not None for r in seen) and any(r.odometry is not None for r in seen)


def test_a_roadside_unit_without_object_sensor_still_has_its_loops():
    loop = wired(*EMPTY, "roadside.0.sensors={ objects = false }")
    reading = loop.ports["rsu/J1"].sample(0, 0)
    assert reading.objects is None
    assert reading.detectors is not None and reading.detectors.lane.size > 0
    assert loop.ports["rsu/J2"].sample(0, 0).objects is not None


def test_loops_and_buttons_of_a_roadside_unit_belong_to_its_junction(quiet: Loop):
    net = corridor_net()
    lanes: list[set[int]] = []
    for name in ("J1", "J2", "J3", "J4"):
        reading = quiet.ports[f"rsu/{name}"].sample(0, 0)
        assert reading.detectors is not None and reading.crossings is not None
        for lane in reading.detectors.lane.tolist():
            rows = range(int(net.stop_lines.start[lane]), int(net.stop_lines.start[lane + 1]))
            groups = [net.groups.name[int(net.stop_lines.group[k])] for k in rows]
            assert all(group.startswith(f"{name}.") for group in groups), net.lane_key(lane)
        lanes.append(set(reading.detectors.lane.tolist()))
        names = [net.crossings.id[int(k)] for k in reading.crossings.crossing]
        assert names and all(crossing.startswith(f"{name}.") for crossing in names)
    assert sum(len(some) for some in lanes) == len(set.union(*lanes)), "a loop belongs to one unit"


def test_roadside_sensors_are_read_ten_times_a_second(quiet: Loop):
    due = [
        tick
        for tick in range(50)
        if quiet.ports["rsu/J1"].sample(tick, tick * 10_000_000).detectors is not None
    ]
    assert due == [0, 10, 20, 30, 40]


def equipped(loop: Loop, share: float, actors: range, seed: int = 1) -> set[int]:
    """Ids of those of `actors` who report, when `share` of all is equipped."""
    loop.world.states.valid[10:] = False
    for row, actor in enumerate(actors, start=10):
        add_car(loop, row, actor, 10.0 * row, 0.0)
    spec = resolved(f"demand.equipped_share={share}", f"seed={seed}").spec
    reading = FleetPort(loop.world, spec).sample(0, 0).fleet
    assert reading is not None
    return set(reading.station_id.tolist())


def test_the_equipped_share_is_kept(quiet: Loop):
    everybody = range(100, 1100)
    assert equipped(quiet, 1.0, everybody) == set(everybody)
    assert equipped(quiet, 0.0, everybody) == set()
    assert abs(len(equipped(quiet, 0.3, everybody)) - 300) < 60  # four sigma of 1000 draws


def test_who_is_equipped_does_not_depend_on_who_else_is_there(quiet: Loop):
    many, few = equipped(quiet, 0.3, range(100, 1100)), equipped(quiet, 0.3, range(400, 700))
    assert few == {actor for actor in many if 400 <= actor < 700}
    assert equipped(quiet, 0.3, range(100, 1100), seed=2) != many
    assert many < equipped(quiet, 0.6, range(100, 1100)), "a larger share only adds"


def test_fleet_reports_are_measurements_of_motor_vehicles_only():
    loop = wired()
    assert isinstance(loop.ports["fleet"], FleetPort)
    add_car(loop, 10, 500, 100.0, 50.0)
    add_car(loop, 11, 501, 120.0, 50.0)
    loop.world.statics.kind[11] = int(ActorKind.BICYCLE)
    add_car(loop, 12, 502, 140.0, 50.0)
    loop.world.statics.control[12] = int(Control.WALKER)
    reading = loop.ports["fleet"].sample(0, 0).fleet
    assert reading is not None and reading.station_id.tolist() == [500]
    gap = np.hypot(reading.x_m[0] - 100.0, reading.y_m[0] - 50.0)
    assert 0.0 < gap < 10.0


def test_the_cabin_is_read_ten_times_a_second_when_the_bus_has_passengers(quiet: Loop):
    port = quiet.ports["obu/bus1"]
    assert isinstance(port, VehiclePort)
    with_cabin = [t for t in range(30) if port.sample(t, t * 10_000_000).cabin is not None]
    assert with_cabin == [0, 10, 20]


def test_a_table_changes_only_what_it_names():
    defaults = {"gnss": "rtk"}
    plain = sensor_params({}, "v", defaults)["gnss"]
    changed = sensor_params({"gnss": {"white_sigma_m": 0.5}}, "v", defaults)["gnss"]
    assert changed.white_sigma_m == 0.5 != plain.white_sigma_m
    assert changed.bias_time_s == plain.bias_time_s
    other = sensor_params({"gnss": {"preset": "standard"}}, "v", defaults)["gnss"]
    assert other == sensor_params({"gnss": "standard"}, "v", defaults)["gnss"] != plain


def test_noise_of_one_vehicle_does_not_depend_on_other_vehicles_sensors(quiet: Loop):
    spec: SceneSpec = resolved(*EMPTY).spec
    vehicle = quiet.world.vehicles[0]
    alone = VehiclePort(quiet.world, vehicle, {}, spec).sample(0, 0).gnss
    blind = VehiclePort(quiet.world, vehicle, {"objects": False}, spec).sample(0, 0).gnss
    assert alone == blind
