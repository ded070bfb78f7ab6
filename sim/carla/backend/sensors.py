"""GNSS, IMU and lidar of our vehicles that are sensors of the CARLA server: fitted from our parameters, read in step with the ticks.

`[carla] sensors` of a scene names which; their readings take the place of those of our own models, in our frames and units, with the
same periods. Everything else stays ours. Every tick brings one measurement of each sensor, of exactly that tick; one that is late
beyond the server's time limit, or comes out of step, ends the run. CARLA's sensors are mounted at the body's origin, under the
rear axle, where our GNSS and IMU are thought to be as well, so that no lever arm is left to take out; the lidar is on the roof.
What CARLA's sensors have no attribute for is added here from the run's own streams: the accelerometer's bias, the error of the heading.
"""

from __future__ import annotations

import math
import tomllib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import numpy as np

from protocols import streams
from protocols.errors import ConfigError, InfrastructureError
from protocols.frames import wrap_angle
from protocols.roads.network import F64, RoadNetwork
from protocols.sensing import FixQuality, Gnss, Imu, ObjectList
from protocols.sentence import phrase, say
from protocols.simtime import Now, ticks
from scenarios.spec import SceneSpec
from sim.carla.backend.lidar import ScannedObjects, attributes, known_things, lidar_params
from sim.carla.backend.session import Session
from sim.carla.frames import flip_y, pitch_to_ours
from sim.ports import DEFAULT_SENSORS, sensor_params
from sim.sensors.environment import constellation, make_environment
from sim.sensors.params import GnssParams, ImuParams, ObjectParams
from sim.sensors.surroundings import walls_of
from sim.state import ActorStates
from sim.world import UnitVehicle

SEED_BITS = 0x7FFFFFFF  # `noise_seed` is a signed 32-bit number on the server


@dataclass(frozen=True, slots=True)
class Carrier:
    """One of our vehicles on the server."""

    vehicle: UnitVehicle
    actor: int
    ahead_m: float  # from our origin to the server's
    top_m: float  # of whatever body the server has for it
    length_m: float
    width_m: float


class Feed:
    """One sensor on the server; its measurements wait here, a bounded number of them, until their tick is read."""

    def __init__(self, name: str, sensor: Any, most: int) -> None:
        self.name = name  # "gnss of bus1"
        self.ident: int = sensor.id
        self._sensor = sensor
        self._waiting: Queue[Any] = Queue(most)
        sensor.listen(self._arrived)

    def _arrived(self, data: Any) -> None:
        """On the client's own thread; what finds no room is lost, and its tick is missed by who reads."""
        try:
            self._waiting.put_nowait(data)
        except Full:
            return

    def of(self, frame: int, limit_s: float) -> Any:
        """The measurement of `frame`, or None when it does not come. Older ones are thrown away."""
        while True:
            try:
                data = self._waiting.get(timeout=limit_s)
            except Empty:
                return None
            if data.frame == frame:
                return data
            if data.frame > frame:  # this one was lost on the way
                return None

    def stop(self) -> None:
        """Hears nothing any more."""
        self._sensor.stop()


class Globe:
    """From the server's latitude and longitude to our metres, through the client's own map.

    No assumption is made of the projection: 0.9.16 lets latitude grow to the south (CARLA's y), and so does the map of its client.
    """

    def __init__(self, carla: Any, road: Any) -> None:
        self._carla, self._road = carla, road
        a, b = self._degrees(0.0, 0.0), self._degrees(100.0, 100.0)
        self.metres_per_degree = (100.0 / abs(b[0] - a[0]), 100.0 / abs(b[1] - a[1]))

    def _degrees(self, x: float, y: float) -> tuple[float, float]:
        there = self._road.transform_to_geolocation(self._carla.Location(x, y, 0.0))
        return there.latitude, there.longitude

    def ours(self, latitude: float, longitude: float, altitude: float) -> tuple[float, float, float]:  # fmt: skip
        """x, y, z in our world."""
        there = self._carla.GeoLocation(latitude, longitude, altitude)
        place = self._road.geolocation_to_transform(there)
        return float(place.x), flip_y(float(place.y)), float(altitude)


class _Gnss:
    """Fixes of a sensor.other.gnss."""

    kind, blueprint = "gnss", "sensor.other.gnss"

    def __init__(self, p: GnssParams, where: str, seed: int, name: str, tick_ms: int, globe: Globe, doubt: Mapping[str, float]) -> None:  # fmt: skip
        self.period = ticks(p.period_ms, tick_ms, f"{where}.gnss.period_ms")
        self._globe, self._quality = globe, FixQuality(p.best_quality)
        geometry = constellation(p.constellation)["geometry_factor"]
        white, slow = geometry * p.white_sigma_m, geometry * p.bias_sigma_m
        self._sigma = math.hypot(white, slow)
        self._doubt_m = doubt["doubt_sigma"] * self._sigma + doubt["doubt_m"]
        # A slow error is one constant of the run here: CARLA's bias cannot be changed once the sensor is there.
        draw = streams.generator(seed, f"carla/gnss/{name}").standard_normal(3)
        per = (*globe.metres_per_degree, 1.0 / p.height_factor if p.height_factor > 0.0 else math.inf)  # fmt: skip
        self.attributes: dict[str, float] = {}
        for k, axis in enumerate(("lat", "lon", "alt")):
            self.attributes[f"noise_{axis}_stddev"] = white / per[k]
            self.attributes[f"noise_{axis}_bias"] = slow * float(draw[k]) / per[k]
        self._is_checked = False

    def read(self, t_ns: int, data: Any) -> Gnss:
        x, y, z = self._globe.ours(data.latitude, data.longitude, data.altitude)
        if not self._is_checked:
            at = data.transform.location
            away = math.hypot(x - at.x, y - flip_y(float(at.y)))
            if not away <= self._doubt_m:
                raise InfrastructureError(
                    say(
                        "the CARLA server's GNSS says a place {away:.2f} m from where the sensor is, expected at most "
                        "{doubt_m:.2f} m: server and client do not read the map's geoReference alike",
                        away=away, doubt_m=self._doubt_m,
                    )
                )  # fmt: skip
            self._is_checked = True
        return Gnss(t_ns, x, y, z, self._sigma, self._quality)


class _Imu:
    """Readings of a sensor.other.imu."""

    kind, blueprint = "imu", "sensor.other.imu"

    def __init__(self, p: ImuParams, where: str, seed: int, name: str, tick_ms: int, gravity_mps2: float) -> None:  # fmt: skip
        self.period = ticks(p.period_ms, tick_ms, f"{where}.imu.period_ms")
        self._gravity, self._yaw_sigma = gravity_mps2, p.yaw_sigma_rad
        self._draws = streams.generator(seed, f"carla/imu/{name}")
        accel, rate = self._draws.standard_normal(2).tolist()
        self._bias = p.accel_bias_sigma_mps2 * accel
        self.attributes = {f"noise_accel_stddev_{axis}": p.accel_sigma_mps2 for axis in "xyz"}
        self.attributes |= {f"noise_gyro_stddev_{axis}": p.yaw_rate_sigma_radps for axis in "xyz"}
        self.attributes["noise_gyro_bias_z"] = p.yaw_rate_bias_sigma_radps * rate

    def read(self, t_ns: int, data: Any) -> Imu:
        # The two antennas that give the heading give the pitch too: with it gravity's part along the body is taken out.
        pitch = pitch_to_ours(float(data.transform.rotation.pitch))  # nose down
        accel = float(data.accelerometer.x) + self._gravity * math.sin(pitch)
        heading = 0.5 * math.pi - float(data.compass)  # the compass turns clockwise from north
        heading += self._yaw_sigma * float(self._draws.standard_normal())
        return Imu(t_ns, accel + self._bias, -float(data.gyroscope.z), wrap_angle(heading))


class _Lidar:
    """Objects of a sensor.lidar.ray_cast."""

    kind, blueprint = "objects", "sensor.lidar.ray_cast"

    def __init__(
        self, p: ObjectParams, where: str, spec: SceneSpec, net: RoadNetwork, table: Mapping[str, Any], carrier: Carrier,
        states: ActorStates,
    ) -> None:  # fmt: skip
        self.period = ticks(p.period_ms, spec.tick_ms, f"{where}.objects.period_ms")
        p = replace(p, mount_x_m=min(p.mount_x_m, carrier.vehicle.params.front_x_m))
        self._carrier, self._states = carrier, states
        self._margin = float(table["own_margin_m"])
        self.up_m = max(p.height_m, carrier.top_m + float(table["roof_gap_m"]))
        self.params = lidar_params(p, table, self.up_m, self.period)
        environment, tick_s = make_environment(spec.environment, net), spec.tick_ms / 1000.0
        self.attributes = attributes(self.params, environment, self.period, tick_s)
        known = known_things(net, table["known"])
        self._scans = ScannedObjects(self.params, environment, walls_of(net.objects), known, tick_s, table)  # fmt: skip
        self._turn: deque[Any] = deque(maxlen=self.period)

    def keep(self, data: Any) -> None:
        """A part of the turn."""
        self._turn.append(data)

    def read(self, t_ns: int, data: Any) -> ObjectList:
        return self._scans.objects(t_ns, tuple(self._turn), self._body())

    def _body(self) -> F64:
        """(B, 6) own sections in the body frame, with a margin; the second by the angle of the joint, which a vehicle measures."""
        carrier, p, margin = self._carrier, self._carrier.vehicle.params, self._margin
        boxes = [(carrier.ahead_m, 0.0, 1.0, 0.0, 0.5 * carrier.length_m + margin, 0.5 * carrier.width_m + margin)]  # fmt: skip
        if p.is_articulated:
            hitch = self._states.hitch_rad.item(carrier.vehicle.row)
            cos, sin, half = math.cos(hitch), -math.sin(hitch), 0.5 * p.rear_length_m
            boxes.append((p.hitch_x_m - half * cos, -half * sin, cos, sin, half + margin, 0.5 * p.width_m + margin))  # fmt: skip
        return np.array(boxes)


_Model = _Gnss | _Imu | _Lidar


class VehicleSensors:
    """Those of one vehicle; what `sim.ports.VehiclePort` asks."""

    def __init__(self, carrier: Carrier, models: Sequence[_Model]) -> None:
        self.carrier, self.models = carrier, models
        self.feeds: list[Feed] = []
        self._now: list[Any] = [None for _ in models]

    @property
    def kinds(self) -> frozenset[str]:
        """Which fields of `Readings` they fill."""
        return frozenset(m.kind for m in self.models)

    def keep(self, k: int, data: Any) -> None:
        """What sensor `k` has measured at the end of the step."""
        model = self.models[k]
        self._now[k] = data
        if isinstance(model, _Lidar):
            model.keep(data)

    def sample(self, now: Now) -> dict[str, Any]:
        """Readings that are due, by field of `Readings`."""
        return {
            m.kind: m.read(now.t_ns, data)
            for m, data in zip(self.models, self._now, strict=True)
            if now.tick % m.period == 0 and data is not None
        }


class ServedSensors:
    """All of a run. `attach` puts them on the vehicles; afterwards `collect` after every tick of the server."""

    def __init__(
        self, session: Session, spec: SceneSpec, net: RoadNetwork, states: ActorStates, carriers: Sequence[Carrier]
    ) -> None:  # fmt: skip
        self._session = session
        table = tomllib.loads((Path(__file__).parent / "sensors.toml").read_text())
        self._wait = table["wait"]
        self.grace_ticks = int(self._wait["grace_ticks"])
        self.by_name: dict[str, VehicleSensors] = {}
        wanted = frozenset(spec.carla.sensors)
        if not wanted:
            return
        if "gnss" in wanted and (spec.environment.sky or spec.environment.rtcm.outage):
            raise ConfigError(
                say(
                    "carla.sensors has 'gnss' and [environment] has a sky or an outage of corrections: CARLA's receiver "
                    "knows neither. Leave one of them out.",
                )
            )  # fmt: skip
        globe = Globe(session.carla, session.world.get_map())
        gravity = float(session.world.get_imui_sensor_gravity())
        for carrier in carriers:
            name = carrier.vehicle.name
            given = next(v.sensors for v in spec.vehicles if v.name == name)
            where, models = f"vehicles.{name}", list[_Model]()
            p = sensor_params(given, where, DEFAULT_SENSORS)
            if "gnss" in wanted and p["gnss"] is not None:
                models.append(_Gnss(p["gnss"], where, spec.seed, name, spec.tick_ms, globe, table["gnss"]))  # fmt: skip
            if "imu" in wanted and p["imu"] is not None:
                models.append(_Imu(p["imu"], where, spec.seed, name, spec.tick_ms, gravity))
            if "lidar" in wanted and p["objects"] is not None:
                models.append(_Lidar(p["objects"], where, spec, net, table["lidar"], carrier, states))  # fmt: skip
            for model in models:
                model.attributes["noise_seed"] = streams.key(spec.seed, f"carla/noise/{model.kind}/{name}") & SEED_BITS  # fmt: skip
            self.by_name[name] = VehicleSensors(carrier, models)

    @property
    def warm_ticks(self) -> int:
        """Ticks that `attach` has to be followed by before all of them have something to say."""
        models = [m for one in self.by_name.values() for m in one.models]
        if not models:
            return 0
        turns = [m.period for m in models if isinstance(m, _Lidar)]
        return self.grace_ticks + max(turns, default=1)

    def attach(self) -> None:
        """Every sensor is on its vehicle and sends from the next tick on."""
        session = self._session
        try:
            library = session.world.get_blueprint_library()
            for one in self.by_name.values():
                parent = session.world.get_actor(one.carrier.actor)
                for model in one.models:
                    one.feeds.append(self._fit(one.carrier, model, library, parent))
        except (RuntimeError, IndexError) as error:
            raise InfrastructureError(
                say("the CARLA server at {address} did not take a sensor: {why!s}", address=session.target.address, why=error)
            ) from error  # fmt: skip

    def _fit(self, carrier: Carrier, model: _Model, library: Any, parent: Any) -> Feed:  # fmt: skip
        carla = self._session.carla
        blueprint = library.find(model.blueprint)
        blueprint.set_attribute("role_name", f"{carrier.vehicle.name}.{model.kind}")
        for key, value in model.attributes.items():
            # Without an exponent: not every server's reader of numbers is ours.
            text = f"{value:d}" if isinstance(value, int) else f"{value:.15f}"
            blueprint.set_attribute(key, text)
        at, turned = carla.Location(x=-carrier.ahead_m), carla.Rotation()
        if isinstance(model, _Lidar):
            p = model.params
            at = carla.Location(p.x_m - carrier.ahead_m, flip_y(p.y_m), p.z_m)
            turned = carla.Rotation(0.0, -math.degrees(p.yaw_rad), 0.0)
        sensor = self._session.world.spawn_actor(blueprint, carla.Transform(at, turned), parent)
        return Feed(f"{model.blueprint} of {carrier.vehicle.name}", sensor, self._wait["most_waiting"])  # fmt: skip

    def collect(self, snapshot: Any, tick: int, t_ns: int, is_new: bool = False) -> None:
        """What every sensor measured in the server's step that `snapshot` is of, our step `tick` from `t_ns` on. `is_new`: some may
        be silent still."""
        limit_s = float(self._wait["grace_s"]) if is_new else self._session.target.answer_s
        for one in self.by_name.values():
            for k, feed in enumerate(one.feeds):
                data = None
                is_there = snapshot.find(feed.ident) is not None
                if is_there:
                    data = feed.of(snapshot.frame, limit_s)
                if data is not None:
                    one.keep(k, data)
                elif not (is_new and is_there):
                    what = phrase("is gone")
                    if is_there:
                        what = say("sent nothing within {limit_s:g} s", limit_s=limit_s)
                    raise InfrastructureError(
                        say(
                            "the CARLA server at {address}: {name} {what!s} at tick {tick} (t={t_s:.2f} s). The log up to "
                            "this tick is whole",
                            address=self._session.target.address, name=feed.name, what=what, tick=tick, t_s=t_ns / 1e9,
                        )
                    )  # fmt: skip

    def close(self) -> None:
        """Takes them off the server, if it is still there."""
        carla, feeds = self._session.carla, [f for one in self.by_name.values() for f in one.feeds]
        for feed in feeds:
            feed.stop()
        for one in self.by_name.values():
            one.feeds.clear()
        if feeds:
            self._session.batch([carla.command.DestroyActor(feed.ident) for feed in feeds])
