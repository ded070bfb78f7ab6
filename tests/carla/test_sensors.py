"""What all sensors share: when they are due, what attributes they refuse, axes. And the small worlds the other tests stand in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import carla
import numpy as np
import pytest

from scenarios.formats.opendrive.read import read
from sim.carla.server import columns as c
from sim.carla.server import ground as grounds
from sim.carla.server.sensors import SILENT, View, make
from sim.carla.server.sensors.scene import axes
from sim.carla.server.table import Table

ROADS = Path(__file__).parents[2] / "scenarios" / "roads"


class Stage:
    """A table on a ground, with a sensor that hangs on nothing unless told."""

    def __init__(
        self, ground: Any = None, statics: Any = None, net: Any = None, seed: int = 1
    ) -> None:
        self.table = Table()
        boxes = np.zeros((0, 9)) if statics is None else np.array(statics, dtype=np.float64)
        self.view = View(
            self.table, ground or grounds.flat(), boxes, net, seed, self.actor, geo=(34.75, 113.62)
        )
        self.frame = 0

    def actor(self, identity: int) -> Any:
        """Stands in for the wire's struct: encoded as an array it is recognised by its id."""
        return [identity]

    def put(
        self, identity: int, at: tuple[float, float, float], *, kind: int = c.VEHICLE, tag: int = 14, yaw: float = 0.0,
        half: tuple[float, float, float] = (2.0, 1.0, 0.75), velocity: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> int:  # fmt: skip
        """An actor whose box stands on its origin."""
        row = self.table.add(identity, kind)
        f = self.table.f[row]
        f[c.X : c.Z + 1], f[c.YAW] = at, yaw
        f[c.EXT_X : c.EXT_Z + 1], f[c.BOX_Z] = half, half[2]
        f[c.VX : c.VZ + 1] = velocity
        self.table.i[row, c.TAG] = tag
        return row

    def eye(
        self, blueprint: str, at: tuple[float, float, float] = (0.0, 0.0, 1.7), *, identity: int = 900, parent: int = 0,
        pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0, **attributes: Any,
    ) -> Any:  # fmt: skip
        """A sensor at a world pose."""
        row = self.table.add(identity, c.SENSOR)
        self.table.f[row, c.X : c.ROLL + 1] = (*at, pitch, yaw, roll)
        self.table.i[row, c.PARENT] = parent
        return make(row, identity, blueprint, {k: str(v) for k, v in attributes.items()}, self.view)

    def see(self, sensor: Any, *, delta_s: float = 0.05, contacts: Any = None) -> list[bytes]:
        """One more frame."""
        self.frame += 1
        self.view.advance(self.frame, self.frame * delta_s, delta_s, contacts)
        bodies: list[bytes] = sensor.sample(self.view)
        return bodies


def corridor() -> tuple[Any, Any]:
    """The network of a library map and its ground."""
    net = read(ROADS / "brt_corridor.xodr")
    return net, grounds.from_network(net)


@pytest.mark.parametrize("turn", [(0.0, 30.0, 0.0), (12.0, -75.0, 5.0), (-40.0, 170.0, -20.0)])
def test_axes_are_those_of_the_client(turn: tuple[float, float, float]) -> None:
    rotation = carla.Rotation(pitch=turn[0], yaw=turn[1], roll=turn[2])
    matrix = np.array(carla.Transform(carla.Location(), rotation).get_matrix())
    assert np.allclose(axes(*turn), matrix[:3, :3].T, atol=1e-6)


def test_first_event_is_at_once_and_then_every_sensor_tick() -> None:
    stage = Stage()
    sensor = stage.eye("sensor.other.gnss", sensor_tick=0.1)
    elapsed = 7.0
    due = []
    for _ in range(9):
        due.append(sensor.due(elapsed))
        elapsed += 0.05  # accumulates rounding like a running clock
    assert due == [True, False] * 4 + [True]


def test_a_tick_that_is_no_multiple_of_the_step_keeps_its_mean_rate() -> None:
    sensor = Stage().eye("sensor.other.gnss", sensor_tick=0.12)
    count = sum(sensor.due(0.05 * k) for k in range(241))  # 12 s
    assert count == 101


def test_without_sensor_tick_every_frame_is_due() -> None:
    sensor = Stage().eye("sensor.other.imu")
    assert all(sensor.due(0.05 * k) for k in range(5))


@pytest.mark.parametrize(
    ("blueprint", "name", "value"),
    [
        ("sensor.camera.rgb", "image_size_x", "0"),
        ("sensor.camera.rgb", "image_size_y", "9" * 400),
        ("sensor.camera.rgb", "fov", "nan"),
        ("sensor.camera.depth", "fov", "180"),
        ("sensor.lidar.ray_cast", "channels", "-3"),
        ("sensor.lidar.ray_cast", "range", "inf"),
        ("sensor.lidar.ray_cast", "dropoff_general_rate", "1.5"),
        ("sensor.other.gnss", "noise_seed", "x"),
        ("sensor.other.radar", "horizontal_fov", "200"),
        ("sensor.other.v2x", "scenario", "moon"),
    ],
)
def test_a_hostile_attribute_is_refused_with_its_name(
    blueprint: str, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match=name):
        Stage().eye(blueprint, **{name: value})


def test_a_huge_image_and_a_huge_lidar_do_not_take_the_memory() -> None:
    stage = Stage()
    with pytest.raises(ValueError, match="16384 x 16384"):
        stage.eye("sensor.camera.rgb", image_size_x=16384, image_size_y=16384)
    lidar = stage.eye("sensor.lidar.ray_cast", identity=901, channels=4096, points_per_second=1e9)
    assert len(stage.see(lidar, delta_s=10.0)[0]) < 100e6


def test_client_side_sensors_have_no_stream_and_a_reason() -> None:
    stage = Stage()
    for k, blueprint in enumerate(SILENT):
        assert stage.eye(blueprint, identity=100 + k) is None
        assert len(SILENT[blueprint]) > 20
    assert set(SILENT) == {"sensor.other.lane_invasion", "sensor.other.rss"}


def test_every_sensor_of_the_library_is_made_or_explained() -> None:
    from sim.carla.server import blueprints

    stage = Stage()
    ids = [b.id for b in blueprints.library() if b.id.startswith("sensor.")]
    assert len(ids) >= 18
    for k, blueprint in enumerate(ids):
        found = blueprints.find(blueprint)
        assert found is not None
        given = {a.id: a.value for a in found.attributes if a.id != "role_name"}
        assert (stage.eye(blueprint, identity=100 + k, **given) is None) == (blueprint in SILENT)


def test_statics_that_are_switched_off_are_seen_no_more() -> None:
    stage = Stage(statics=[[10.0, 0.0, 2.0, 0.0, 1.0, 1.0, 2.0, 3.0, 77.0]])
    sensor = stage.eye("sensor.other.obstacle", distance=20.0)
    assert len(stage.see(sensor)) == 1
    stage.view.statics = np.zeros((0, 9))
    assert stage.see(sensor) == []


def weather(**values: float) -> SimpleNamespace:
    """The wire's weather, as far as cameras read it."""
    return SimpleNamespace(
        **{"sun_altitude_angle": 45.0, "sun_azimuth_angle": 0.0, "cloudiness": 0.0, "fog_density": 0.0, **values}
    )  # fmt: skip
