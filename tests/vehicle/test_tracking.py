"""One thing is one track, whoever saw it; two things stay two, also when they meet or vanish for a while."""

from __future__ import annotations

import numpy as np
from pytest import approx

from protocols.messages import BasicSafetyBatch, RoadsideSafety
from protocols.sensing import ObjectList
from vehicle.dynamics import vehicle_params
from vehicle.fusion import Estimate, FusionConfig, Tracker, Tracks, _kernels
from vehicle.fusion.tracking import BSM, OWN_SENSOR, RSM

BUS = vehicle_params("articulated_bus_18m")
STEP_NS = 100_000_000


def own(x: float = 0.0, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0) -> Estimate:
    return Estimate(x, y, yaw, speed, 0.0, 0.0)


def seen(
    t_ns: int, *rows: tuple[float, float, float, float], kind: int = 1, size: tuple[float, float] = (4.5, 1.8),
    frame: Estimate | None = None, world: bool = True,
) -> ObjectList:  # fmt: skip
    """Rows x, y, vx, vy in the world; given in the body frame of `frame` unless `world`."""
    table = np.array(rows, float).reshape(-1, 4)
    yaw = np.arctan2(table[:, 3], table[:, 2])
    x, y, vx, vy = table.T
    if not world:
        assert frame is not None
        c, s = np.cos(frame.yaw_rad), np.sin(frame.yaw_rad)
        dx, dy = x - frame.x_m, y - frame.y_m
        x, y, vx, vy, yaw = (
            c * dx + s * dy,
            c * dy - s * dx,
            c * vx + s * vy,
            c * vy - s * vx,
            yaw - frame.yaw_rad,
        )
    n = len(rows)
    return ObjectList(
        t_ns, world, x, y, yaw, vx, vy, np.full(n, size[0]), np.full(n, size[1]), np.full(n, kind, np.uint8),
        np.full(n, 0.2),
    )  # fmt: skip


def bsm(t_ns: int, station: int, x: float, y: float, yaw: float, speed: float) -> BasicSafetyBatch:
    """A 4.5 m car whose origin lies 0.95 m before its rear bumper."""

    def one(value: float) -> np.ndarray:
        return np.array([value])

    return BasicSafetyBatch(
        t_ns, np.array([station], np.uint32), np.array([1], np.uint8), one(x), one(y), one(0.0), one(yaw), one(speed),
        one(0.0), one(0.0), one(4.5), one(1.8), one(0.95), np.zeros(1, np.uint32),
    )  # fmt: skip


def rsm(t_ns: int, x: float, y: float, yaw: float, speed: float, kind: int = 1, size: tuple[float, float] = (4.5, 1.8)) -> RoadsideSafety:  # fmt: skip
    def one(value: float) -> np.ndarray:
        return np.array([value])

    return RoadsideSafety(
        t_ns, 1, np.array([9], np.uint32), np.array([kind], np.uint8), one(x), one(y), one(yaw), one(speed),
        one(size[0]), one(size[1]), one(0.3), one(0.09), one(0.0), one(0.09), one(0.3), one(1.0),
    )  # fmt: skip


def make() -> Tracker:
    return Tracker(FusionConfig(), BUS, 77)


def test_sensor_bsm_and_rsm_of_one_car_are_one_track() -> None:
    tracker = make()
    tracks: Tracks | None = None
    for k in range(20):
        t = k * STEP_NS
        x = 20.0 + 10.0 * t * 1e-9
        tracker.add_objects(seen(t, (x, 5.0, 10.0, 0.0)), own())
        # BSM origin: 4.5 / 2 - 0.95 = 1.30 m behind the centre; reported 40 ms old
        tracker.add_bsm(bsm(t - 40_000_000, 3, x - 1.30 - 0.4, 5.3, 0.0, 10.0))
        tracker.add_rsm(rsm(t - 100_000_000, x - 1.0 + 0.4, 4.8, 0.0, 10.0))
        tracks = tracker.update(t, own(), 0.0)
        assert tracks.id.size <= 1
    assert tracks is not None
    assert tracks.source.tolist() == [OWN_SENSOR | BSM | RSM]
    assert tracks.station_id.tolist() == [3]
    assert tracks.x_m[0] == approx(39.0, abs=0.3)
    assert tracks.vx_mps[0] == approx(10.0, abs=0.2)


def test_two_tracks_of_one_car_grow_together() -> None:
    tracker = make()
    # the radio is first, 1.5 m off to the side, beyond any gate of a precise detection: two tracks at first
    for k in range(3):
        t = k * STEP_NS
        tracker.add_bsm(bsm(t, 3, 30.0, 2.4, 0.0, 0.0))
        tracker.update(t, own(), 0.0)
    for k in range(3, 12):
        t = k * STEP_NS
        tracker.add_objects(seen(t, (31.3, 0.9, 0.0, 0.0)), own())
        tracker.add_bsm(bsm(t, 3, 30.0, 1.5, 0.0, 0.0))
        tracks = tracker.update(t, own(), 0.0)
    assert tracks.id.size == 1
    assert tracks.station_id.tolist() == [3]


def test_crossing_paths_keep_their_tracks() -> None:
    # two pedestrians walk through each other's line, passing 0.8 m apart
    tracker = make()
    ids: list[tuple[int, int]] = []
    for k in range(60):
        t = k * STEP_NS
        a = (20.0, -4.0 + 1.4 * t * 1e-9, 0.0, 1.4)
        b = (20.8, 4.0 - 1.4 * t * 1e-9, 0.0, -1.4)
        tracker.add_objects(seen(t, *((a, b) if k % 2 else (b, a)), kind=9, size=(0.5, 0.5)), own())
        tracks = tracker.update(t, own(), 0.0)
        if k > 5:
            assert tracks.id.size == 2
            north = tracks.id[np.argmax(tracks.vy_mps)]
            south = tracks.id[np.argmin(tracks.vy_mps)]
            ids.append((int(north), int(south)))
    assert len(set(ids)) == 1


def test_an_established_track_survives_an_occlusion_of_a_second() -> None:
    tracker = make()
    seen_ids = set()
    for k in range(40):
        t = k * STEP_NS
        if not 15 <= k < 25:
            tracker.add_objects(seen(t, (20.0 + 0.8 * k, 3.0, 8.0, 0.0)), own())
        tracks = tracker.update(t, own(), 0.0)
        if k >= 2:
            seen_ids.update(tracks.id.tolist())
            assert tracks.x_m[0] == approx(20.0 + 0.8 * k, abs=0.3)
        if k == 20:
            assert tracks.age_ns.tolist() == [600_000_000]
    assert len(seen_ids) == 1


def test_what_is_gone_is_forgotten() -> None:
    tracker = make()
    for k in range(10):
        tracker.add_objects(seen(k * STEP_NS, (20.0, 3.0, 0.0, 0.0)), own())
        tracker.update(k * STEP_NS, own(), 0.0)
    assert tracker.update(20 * STEP_NS, own(), 0.0).id.size == 1
    assert tracker.update(26 * STEP_NS, own(), 0.0).id.size == 0  # 1.7 s unseen


def test_a_single_detection_is_no_track_yet() -> None:
    tracker = make()
    tracker.add_objects(seen(0, (20.0, 3.0, 0.0, 0.0)), own())
    assert tracker.update(0, own(), 0.0).id.size == 0


def test_own_body_in_rsm_and_own_echo_are_no_obstacles() -> None:
    tracker = make()
    me = own(100.0, 50.0, 1.0)
    joint = 0.4
    rear = 1.0 - joint
    rear_x = 100.0 - 1.75 * np.cos(1.0) - 3.8 * np.cos(rear)
    rear_y = 50.0 - 1.75 * np.sin(1.0) - 3.8 * np.sin(rear)
    for k in range(5):
        t = k * STEP_NS
        tracker.update(t, me, joint) if k == 0 else None
        tracker.add_rsm(
            rsm(t, 100.0 + 3.4 * np.cos(1.0), 50.0 + 3.4 * np.sin(1.0), 1.0, 0.0, kind=5)
        )
        tracker.add_rsm(rsm(t, rear_x, rear_y, rear, 0.0, kind=5))
        tracker.add_bsm(bsm(t, 77, 100.0, 50.0, 1.0, 0.0))
        assert tracker.update(t, me, joint).id.size == 0
    # a pedestrian reported at the same place is not the bus
    tracker.add_rsm(rsm(5 * STEP_NS, 104.0, 50.0, 0.0, 0.0, kind=9, size=(0.5, 0.5)))
    assert tracker.update(5 * STEP_NS, me, joint).id.size == 1


def test_body_frame_detections_land_in_the_world() -> None:
    me = own(10.0, -5.0, 2.2, 6.0)
    tracker = make()
    for k in range(3):
        tracker.add_objects(seen(k * STEP_NS, (25.0, 8.0, 0.0, 0.0), frame=me, world=False), me)
        tracks = tracker.update(k * STEP_NS, me, 0.0)
    assert (tracks.x_m[0], tracks.y_m[0]) == approx((25.0, 8.0), abs=1e-9)


def test_the_order_of_detections_does_not_matter() -> None:
    rng = np.random.default_rng(8)
    rows = [
        (float(x), float(y), float(v), 0.0)
        for x, y, v in rng.uniform((5, -20, 0), (100, 20, 12), (30, 3))
    ]
    results = []
    for seed in (None, 1):
        tracker = make()
        for k in range(6):
            t = k * STEP_NS
            now = [(x + v * 0.1 * k, y, v, 0.0) for x, y, v, _ in rows]
            if seed is not None:
                now = [now[i] for i in np.random.default_rng(seed + k).permutation(30)]
            tracker.add_objects(seen(t, *now), own())
            tracks = tracker.update(t, own(), 0.0)
        results.append(sorted(zip(tracks.x_m.tolist(), tracks.y_m.tolist(), strict=True)))
    assert np.array(results[0]) == approx(np.array(results[1]), abs=1e-12)
    assert len(results[0]) == 30


def test_the_kernel_is_its_own_python() -> None:
    rng = np.random.default_rng(5)
    cfg = np.array((1.5, 0.5, 3.5, 1.0, 1.2, 1.5e9, 0.45e9, 160.0))
    own_row = np.array((0.0, 0.0, 0.2, 0.1, 8.55, 1.75, 1.275, 1.75, 7.64))
    tables = [(np.zeros((16, 10)), np.zeros((16, 8), np.int64)) for _ in range(2)]
    next_id = [1, 1]
    for k in range(12):
        n = 8
        det = np.column_stack((rng.uniform(-30, 30, (n, 2)), rng.normal(size=(n, 2)), rng.uniform(-3, 3, n),
                               np.full(n, 4.5), np.full(n, 1.8), np.full(n, 0.3), np.zeros(n)))  # fmt: skip
        deti = np.column_stack(
            (rng.integers(1, 10, n), np.repeat([1, 2, 4], [3, 3, 2]), [0, 0, 0, 5, 6, 7, 0, 0])
        ).astype(np.int64)
        group = np.array([0, 3, 6, 8], np.int64)
        for j, kernel in enumerate((_kernels.track, _kernels.track.py_func)):
            f, g = tables[j]
            next_id[j] = kernel(
                f, g, det, deti, group, k * STEP_NS, 0.1, cfg, own_row, next_id[j], np.zeros(n, np.bool_),
                np.zeros(16, np.bool_), np.zeros(64), np.zeros((64, 2), np.int64),
            )  # fmt: skip
    assert next_id[0] == next_id[1]
    assert tables[0][0].tolist() == tables[1][0].tolist()
    assert tables[0][1].tolist() == tables[1][1].tolist()
