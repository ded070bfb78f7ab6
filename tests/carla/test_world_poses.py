"""Poses: what hangs on an actor goes where the wheel's own transforms say; boxes meet as rectangles do; records read back."""

from __future__ import annotations

import math

import carla
import numpy as np
import pytest

from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server import columns as c
from sim.carla.server.attach import Attachments, relative
from sim.carla.server.snapshot import Snapshots
from sim.carla.server.table import Table
from sim.carla.wire.streams import RECORD, RECORD_BYTES

RNG = np.random.default_rng(20)
POSES = [
    (1.0, 2.0, 3.0, 0.0, 90.0, 0.0),
    (-40.0, 7.0, 0.5, 0.0, -135.0, 0.0),
    (0.0, 0.0, 0.0, 30.0, 10.0, -20.0),
    (0.0, 0.0, 0.0, 90.0, 25.0, 0.0),  # straight up
    *(tuple(row) for row in RNG.uniform(-1, 1, (12, 6)) * (100, 100, 10, 89, 180, 180)),
]


def matrix(pose: tuple[float, ...]) -> np.ndarray:
    """The wheel's matrix of a pose: the oracle."""
    x, y, z, pitch, yaw, roll = pose
    return np.array(
        carla.Transform(carla.Location(x, y, z), carla.Rotation(pitch, yaw, roll)).get_matrix()
    )


def two(parent: tuple[float, ...], attachment: int = 0) -> tuple[Table, Attachments, int, int]:
    table = Table()
    hanging = Attachments(table)
    carrier, child = table.add(1, c.VEHICLE), table.add(2, c.SENSOR)
    table.f[carrier, :6] = parent
    table.i[child, c.PARENT] = 1
    table.i[child, c.ATTACHMENT] = attachment
    hanging.attach(2, 1)
    return table, hanging, carrier, child


@pytest.mark.parametrize("parent", POSES)
@pytest.mark.parametrize("rel", POSES[::3])
def test_a_child_stands_where_the_product_of_the_wheels_matrices_puts_it(parent, rel):
    table, hanging, _, child = two(parent)
    table.f[child, c.REL_X : c.REL_ROLL + 1] = rel
    hanging.follow()
    found = matrix(tuple(map(float, table.f[child, :6])))
    assert np.allclose(
        found, matrix(parent) @ matrix(rel), atol=2e-4
    )  # the wheel counts in float32
    assert -180.0 < table.f[child, c.YAW] <= 180.0


@pytest.mark.parametrize("parent", POSES)
def test_a_teleported_child_hangs_where_it_was_put(parent):
    table, hanging, _, child = two(parent)
    put = (5.0, -6.0, 7.0, 12.0, -77.0, 33.0)
    table.f[child, :6] = put
    relative(table, child, 0)
    hanging.follow()
    assert np.allclose(table.f[child, :6], put, atol=1e-9)


def test_a_chain_of_three_follows_in_one_go_and_an_arm_ignores_pitch_and_roll():
    table, hanging, carrier, child = two((10.0, 0.0, 0.0, 20.0, 90.0, 5.0), attachment=1)
    grandchild = table.add(3, c.SENSOR)
    table.i[grandchild, c.PARENT] = 2
    hanging.attach(3, 2)
    table.f[child, c.REL_X] = 2.0
    table.f[grandchild, c.REL_Z] = 1.0
    hanging.follow()
    assert np.allclose(table.f[child, :6], (10.0, 2.0, 0.0, 0.0, 90.0, 0.0))
    assert np.allclose(table.f[grandchild, :6], (10.0, 2.0, 1.0, 0.0, 90.0, 0.0))
    hanging.forget(3)
    hanging.forget(2)
    table.f[carrier, c.X] = 50.0
    hanging.follow()
    assert table.f[child, c.X] == 10.0


def car(table: Table, actor: int, x: float, y: float, yaw: float) -> int:
    row = table.add(actor, c.VEHICLE)
    table.f[row, [c.X, c.Y, c.YAW]] = x, y, yaw
    table.f[row, c.EXT_X : c.EXT_Z + 1] = 2.0, 1.0, 0.8
    table.f[row, c.BOX_Z] = 0.8
    table.i[row, c.COLLIDES] = 1
    return row


@pytest.mark.parametrize(
    ("x", "y", "yaw", "z", "is_blocked"),
    [
        (3.9, 0.0, 0.0, 0.8, True),
        (4.1, 0.0, 0.0, 0.8, False),
        (0.0, 1.9, 0.0, 0.8, True),
        (0.0, 2.1, 0.0, 0.8, False),
        (3.0, 2.0, 45.0, 0.8, True),
        # corner to corner: circles and upright boxes overlap, the rectangles do not
        (3.6, 2.75, -45.0, 0.8, False),
        (0.0, 0.0, 0.0, 5.0, False),  # a bridge above
    ],
)
def test_a_place_is_taken_where_the_rectangles_overlap(x, y, yaw, z, is_blocked):
    table = Table()
    row = car(table, 1, 0.0, 0.0, 0.0)
    box = np.array((x, y, z, yaw, 2.0, 1.0, 0.8))
    found = kernels.blocked(table.f, table.i, table.high, np.zeros((0, 9)), box)
    assert found == (row if is_blocked else table.high)
    wall = np.array([[0.0, 0.0, 0.8, 0.0, 2.0, 1.0, 0.8, 4.0, 7.0]])
    found = kernels.blocked(table.f, table.i, 0, wall, box)
    assert found == (-1 if is_blocked else 0)


def test_a_ray_meets_a_turned_box_at_its_face_and_nothing_behind_its_end():
    table = Table()
    row = car(table, 1, 10.0, 0.0, 90.0)  # now 1 m towards the ray
    table.i[row, c.TAG] = 14
    t, tag = np.empty(4), np.empty(4, dtype=np.int64)
    start = np.array((0.0, 0.0, 0.8))
    none = np.zeros((0, 9))
    assert (
        kernels.rays(table.f, table.i, 1, none, start, np.array((20.0, 0.0, 0.0)), 4, t, tag) == 1
    )
    assert math.isclose(t[0], 9.0 / 20.0)
    assert tag[0] == 14
    assert kernels.rays(table.f, table.i, 1, none, start, np.array((8.9, 0.0, 0.0)), 4, t, tag) == 0
    assert kernels.rays(table.f, table.i, 1, none, start, np.array((0.0, 0.0, 9.0)), 4, t, tag) == 0


def test_a_record_of_every_kind_reads_back_as_the_sheet_lays_it_out():
    table = Table()
    shots = Snapshots(table)
    kinds = (c.VEHICLE, c.WALKER, c.LIGHT, c.SIGN, c.PROP)
    for number, kind in enumerate(kinds):
        row = table.add(number + 7, kind)
        table.f[row, : c.AZ + 1] = np.arange(15) + 100 * number
        table.f[row, c.THROTTLE : c.BRAKE + 1] = 0.25, -0.5, 0.75
        table.f[row, c.SPEED_LIMIT_KMH] = 50.0
        table.f[row, c.WALK_X : c.WALK_SPEED + 1] = 0.0, 1.0, 0.5, 1.5
        table.f[row, c.GREEN_S : c.ELAPSED_S + 1] = 10.0, 3.0, 2.0, 1.25
        table.i[row, [c.GEAR, c.REVERSE, c.HAS_LIGHT, c.LIGHT_ID]] = -1, 1, 1, 70000
        table.i[row, [c.LIGHT_STATE, c.POLE, c.FROZEN, c.JUMP]] = 2, 5, 1, 1
        shots.label(row, f"sign-{number}")
    table.remove(9)
    table.add(20, c.LIGHT)
    shots.label(2, "later")
    _, body = shots.pack(1, 0.0, 0.05, 0)
    assert len(body) == 5 * RECORD_BYTES
    rows = np.frombuffer(body, RECORD)
    assert rows["id"].tolist() == [7, 8, 20, 10, 11]
    assert rows["state"].tolist() == [1] * 5
    assert rows["transform"][1].tolist() == [100, 101, 102, 103, 104, 105]
    assert rows["velocity"][1].tolist() == [106, 107, 108]
    assert rows["angular_velocity"][1].tolist() == [109, 110, 111]
    assert rows["acceleration"][1].tolist() == [112, 113, 114]
    v = rows[0]
    assert (v["throttle"], v["steer"], v["brake"], v["speed_limit"]) == (0.25, -0.5, 0.75, 50.0)
    assert (v["gear"], v["reverse"], v["hand_brake"], v["has_light"]) == (-1, 1, 0, 1)
    assert (v["light_id"], v["light_state"]) == (70000, 2)
    w = rows[1]
    assert w["walk_direction"].tolist() == [0.0, 1.0, 0.5]
    assert (w["walk_speed"], w["jump"]) == (1.5, 1)
    assert rows[2]["sign_id"] == b"later"
    assert rows[2]["green_time"] == 0.0  # a new row is a clear row
    assert rows[3]["sign_id"] == b"sign-3"
    assert body[4 * RECORD_BYTES + 65 :] == bytes(54)


def test_light_times_are_in_the_record():
    table = Table()
    shots = Snapshots(table)
    row = table.add(1, c.LIGHT)
    table.f[row, c.GREEN_S : c.ELAPSED_S + 1] = 10.0, 3.0, 2.0, 1.25
    table.i[row, [c.LIGHT_STATE, c.POLE, c.FROZEN]] = 1, 5, 1
    t = np.frombuffer(shots.pack(1, 0.0, 0.05, 0)[1], RECORD)[0]
    assert (t["green_time"], t["yellow_time"], t["red_time"], t["elapsed_time"]) == (10, 3, 2, 1.25)
    assert (t["pole_index"], t["is_frozen"], t["signal_state"]) == (5, 1, 1)


def test_a_snapshot_grows_with_the_table_and_keeps_its_labels():
    table = Table()
    shots = Snapshots(table)
    shots.label(table.add(1, c.SIGN), "first")
    for actor in range(2, 300):
        table.add(actor, c.VEHICLE)
    rows = np.frombuffer(shots.pack(1, 0.0, 0.05, 0)[1], RECORD)
    assert rows["id"].tolist() == list(range(1, 300))
    assert rows[0]["sign_id"] == b"first"
