"""One filled-in sample of every message, with every field away from its default."""

from __future__ import annotations

import numpy as np

from protocols.messages import (
    BasicSafetyBatch,
    Equipment,
    Light,
    Maneuver,
    Map,
    MapLane,
    MapMovement,
    Message,
    Obstacles,
    ObstacleType,
    Participants,
    PhaseState,
    Plan,
    Polygon,
    RequestStatus,
    RoadsideCoordination,
    RoadsideSafety,
    SensorSharing,
    SharedSource,
    SignalCommand,
    Spat,
    VehicleCommand,
    VehicleIntention,
)


def bsm(rows: int, seed: int = 1) -> BasicSafetyBatch:
    """A batch of `rows` vehicles with random numbers."""
    draw = np.random.default_rng(seed)
    floats = [draw.normal(scale=100.0, size=rows) for _ in range(10)]
    return BasicSafetyBatch(
        1_234_567_890,
        draw.integers(1, 2**32 - 1, rows, dtype=np.uint32),
        draw.integers(0, 10, rows, dtype=np.uint8),
        *floats,
        draw.integers(0, 128, rows, dtype=np.uint32),
    )


def samples() -> dict[str, Message]:
    """By topic."""
    five = np.linspace(-2.0, 7.5, 5)
    return {
        "v2x/bsm": bsm(7),
        "v2x/spat": Spat(
            2_000_000_000,
            42,
            "J1",
            (
                PhaseState(1, Light.GREEN_PROTECTED, 10, 20, 30, 25, None, None),
                PhaseState(2, Light.RED, 0, None, None, None, 0, 2**62),
            ),
            True,
        ),
        "v2x/map": Map(
            3,
            42,
            "路口一",
            -12.5,
            1e6,
            (
                MapLane(
                    "5/0/-1",
                    3.5,
                    None,
                    129,
                    1.0,
                    -2.0,
                    3.0,
                    (0.0, 1.5),
                    (0.0, -0.25),
                    (
                        MapMovement("9/0/-1", Maneuver.LEFT, 3),
                        MapMovement("8/0/-1", Maneuver.STRAIGHT, 0),
                    ),
                ),
                MapLane("5/0/-2", 3.25, 16.7, 1, 0.0, 0.0, 0.0, (), (), ()),
            ),
        ),
        "v2x/rsm": RoadsideSafety(
            4,
            42,
            np.arange(5, dtype=np.uint32),
            np.array([1, 5, 9, 8, 0], np.uint8),
            *(five * k for k in range(1, 13)),
        ),
        "v2x/ssm": SensorSharing(
            10,
            Equipment.OBU,
            77,
            1.5,
            -2.5,
            6.0,
            (Polygon(five, -five), Polygon(five[:4], five[1:])),
            Participants(
                np.arange(5, dtype=np.uint32),
                np.array([1, 5, 9, 8, 0], np.uint8),
                np.linspace(0.0, 1.0, 5),
                np.arange(3, 8, dtype=np.uint8),
                *(five * k for k in range(1, 13)),
            ),
            Obstacles(
                np.array([2**32 - 1, 7], np.uint32),
                np.array([ObstacleType.UNKNOWN_SOFT, ObstacleType.ROCKFALL], np.uint8),
                np.array([0.5, 0.25]),
                np.array([SharedSource.LIDAR, SharedSource.RADAR], np.uint8),
                *(five[:2] * k for k in range(1, 13)),
            ),
        ),
        "v2x/vir": VehicleIntention(5, 77, 3, 42, "a/0/-1", "b/0/-1", 4, 120.5, 6, -30.0, True),
        "v2x/rsc": RoadsideCoordination(
            6, 42, 77, 3, RequestStatus.REJECTED, 4, 2**40, "side street waits too long"
        ),
        "cmd/vehicle": VehicleCommand(7, -1.5, 0.25, -1, 33),
        "cmd/signal": SignalCommand(
            8, np.array([0, 3, 70_000], np.int32), np.array([2, 5, 6], np.uint8)
        ),
        "obu/plan": Plan(9, 0.1, five, -five, five / 10, five**2, "dock", 500, -0.5, "stop line"),
    }
