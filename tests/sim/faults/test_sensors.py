"""Sensors that are lost, frozen or off: what a unit gets, and that nothing else changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.sensing import Gnss, Imu, ObjectList, Odometry, Readings
from scenarios.fault_spec import SensorBiasSpec, SensorFreezeSpec, SensorLossSpec
from sim.faults.sensors import FaultyPort, biased, check_sensor, fitted
from sim.faults.windows import window
from tests.support.fault_scene import scene

TICK_NS = 10_000_000


def objects(t_ns: int, sensor: str = "", x_m: float = 0.0) -> ObjectList:
    one = np.array([x_m])
    return ObjectList(
        t_ns, False, one, one, np.array([3.0]), one, one, one, one, np.array([1], np.uint8), one, sensor
    )  # fmt: skip


class Every:
    """A port whose GNSS is due in every second tick, the rest in every one; x is the tick."""

    def sample(self, tick: int, t_ns: int) -> Readings:
        return Readings(
            gnss=Gnss(t_ns, float(tick), 0.0, 0.0, 0.1) if tick % 2 == 0 else None,
            imu=Imu(t_ns, 0.0, 0.0, 3.0),
            odometry=Odometry(t_ns, 5.0, 0.0, 0.0),
            detections=(objects(t_ns, "lidar/roof", tick), objects(t_ns, "radar/front", tick)),
        )


def readings(spec: Any, num: int = 9) -> list[Readings]:
    port = FaultyPort(Every(), {spec.sensor: [window(0, spec)]})
    return [port.sample(tick, tick * TICK_NS) for tick in range(num)]


def test_a_lost_sensor_delivers_nothing_for_as_long_as_it_says() -> None:
    got = readings(SensorLossSpec(kind="sensor_loss", unit="obu/a", sensor="imu", at_s=0.03, until_s=0.05))  # fmt: skip
    assert [r.imu is not None for r in got] == [True] * 3 + [False] * 2 + [True] * 4
    assert all(r.odometry is not None for r in got)


def test_a_frozen_sensor_repeats_its_last_reading_with_its_old_stamp_when_one_is_due() -> None:
    got = readings(SensorFreezeSpec(kind="sensor_freeze", unit="obu/a", sensor="gnss", at_s=0.03, until_s=0.07))  # fmt: skip
    seen = {tick: (r.gnss.t_ns // TICK_NS, r.gnss.x_m) for tick, r in enumerate(got) if r.gnss}
    assert seen == {0: (0, 0.0), 2: (2, 2.0), 4: (2, 2.0), 6: (2, 2.0), 8: (8, 8.0)}


def test_a_sensor_frozen_from_the_start_has_nothing_to_repeat() -> None:
    got = readings(SensorFreezeSpec(kind="sensor_freeze", unit="obu/a", sensor="imu", at_s=0.0))
    assert not any(r.imu for r in got)


def test_a_bias_is_added_and_angles_stay_in_range() -> None:
    spec = SensorBiasSpec(kind="sensor_bias", unit="obu/a", sensor="imu", at_s=0.02, yaw_rad=0.5, accel_mps2=-1.0)  # fmt: skip
    got = readings(spec)
    assert got[1].imu == Imu(TICK_NS, 0.0, 0.0, 3.0)
    assert got[2].imu is not None
    assert got[2].imu.accel_mps2 == -1.0
    assert got[2].imu.yaw_rad == pytest.approx(3.5 - 2 * math.pi)
    listed = biased(objects(0, x_m=1.0), {"x_m": 2.0, "yaw_rad": 0.5})
    assert listed.x_m.tolist() == [3.0] and listed.yaw_rad[0] == pytest.approx(3.5 - 2 * math.pi)
    assert listed.y_m.tolist() == [1.0]


def test_single_sensors_fail_by_their_name() -> None:
    loss = readings(SensorLossSpec(kind="sensor_loss", unit="obu/a", sensor="lidar/roof", at_s=0.02))  # fmt: skip
    assert [item.sensor for item in loss[1].detections] == ["lidar/roof", "radar/front"]
    assert [item.sensor for item in loss[2].detections] == ["radar/front"]
    frozen = readings(SensorFreezeSpec(kind="sensor_freeze", unit="obu/a", sensor="radar/front", at_s=0.04))  # fmt: skip
    assert [item.x_m[0] for item in frozen[8].detections] == [8.0, 3.0]


def test_of_two_faults_of_a_sensor_the_first_counts() -> None:
    loss = SensorLossSpec(kind="sensor_loss", unit="obu/a", sensor="imu", at_s=0.02, until_s=0.03)
    freeze = SensorFreezeSpec(kind="sensor_freeze", unit="obu/a", sensor="imu", at_s=0.01)
    port = FaultyPort(Every(), {"imu": [window(0, loss), window(1, freeze)]})
    got = [port.sample(tick, tick * TICK_NS).imu for tick in range(4)]
    assert [None if imu is None else imu.t_ns // TICK_NS for imu in got] == [0, 0, None, 0]


def test_every_unit_has_the_sensors_that_are_fitted() -> None:
    spec = scene([])
    assert fitted(spec, "obu/a") == ("gnss", "imu", "objects", "odometry")
    assert fitted(spec, "rsu/X") == ("crossings", "detectors", "objects")
    assert fitted(spec, "fleet") == ("fleet",)
    assert fitted(spec, "rsu/signals") == ()
    assert fitted(spec, "rsu/signals-3") == ("crossings", "detectors")
    table = {"objects": False, "extra": [{"kind": "lidar", "name": "roof"}]}
    bare = spec.vehicles[0].model_copy(update={"sensors": table})
    changed = spec.model_copy(update={"vehicles": (bare, spec.vehicles[1])})
    assert fitted(changed, "obu/a") == ("gnss", "imu", "lidar/roof", "odometry")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"kind": "sensor_loss", "sensor": "sonar"}, r"faults\.3\.sensor: obu/a has no sensor 'sonar'; it has gnss, imu"),
        ({"kind": "sensor_bias", "sensor": "imu", "x_m": 1.0}, r"faults\.3\.x_m: 'imu' does not measure that"),
    ],
)  # fmt: skip
def test_a_sensor_or_quantity_that_is_not_there_is_named(
    fault: dict[str, Any], sentence: str
) -> None:
    spec = scene([fault | {"unit": "obu/a", "at_s": 0.0}])
    with pytest.raises(ConfigError, match=sentence):
        check_sensor(spec, "faults.3", spec.faults[0])  # type: ignore[arg-type]
