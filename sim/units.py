"""The units of a scene, built one by one from its resolved configuration: the same wherever it is asked.

A run builds all of them; `icv unit NAME` builds one, in its own process, from the configuration it is welcomed with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from protocols.errors import ConfigError
from protocols.messages import Polygon
from protocols.participant import Participant
from protocols.sentence import say
from roadside.map_message import junction_centre
from roadside.signals import FixedTimeBank, SignalControllerUnit, SignalPlan
from roadside.unit import RoadsideUnit, Sharing
from scenarios.spec import RoadsideSpec
from sim.config import Resolved, ResolvedVehicle
from sim.ports import DEFAULT_SENSORS, POLE_SENSORS, sensor_params
from sim.route_line import RouteLine, build_route_line
from sim.sensors.coverage import coverage
from sim.sensors.detections import ON_POLE, fitted
from vehicle.driving import Mission, StopTask
from vehicle.fleet import FleetUnit
from vehicle.onboard import OnboardUnit

Make = Callable[[], Participant]


@dataclass(slots=True)
class Units:
    """How each unit of a scene is made. Names: `obu/<vehicle>`, `rsu/<name>`, controllers without a roadside unit, `fleet`."""

    resolved: Resolved
    makers: dict[str, Make] = field(default_factory=dict)
    roadside: dict[str, int] = field(
        default_factory=dict
    )  # rsu with an antenna -> its row in the scene
    controllers: dict[str, int] = field(default_factory=dict)  # wired controller -> junction

    def __post_init__(self) -> None:
        for k, item in enumerate(self.resolved.vehicles):
            self.makers[f"obu/{item.spec.name}"] = partial(self.onboard, item, k)
        self._roadside()
        has_antennas = self.resolved.vehicles or self.roadside
        if has_antennas and self.resolved.traffic.flows:  # otherwise nobody could hear them
            self.makers["fleet"] = partial(FleetUnit, "fleet", self.resolved.spec.tick_ms)

    def build(self, name: str) -> Participant:
        """The unit called `name`; ConfigError lists the names there are."""
        make = self.makers.get(name)
        if make is None:
            raise ConfigError(
                say(
                    "scene {scene} has no unit '{name}'; its units are {names}.",
                    scene=self.resolved.spec.name, name=name, names=", ".join(sorted(self.makers)),
                )
            )  # fmt: skip
        return make()

    def onboard(
        self, item: ResolvedVehicle, index: int, line: RouteLine | None = None
    ) -> OnboardUnit:
        """The on-board unit of the scene's vehicle `index`. Automated vehicles are the first actors, numbered from 1."""
        spec, net = item.spec, self.resolved.net
        if line is None:
            line = build_route_line(net, spec, item.params.user_class, f"vehicles.{index}")
        mission = Mission(
            start_lane=int(line.lanes[0]),
            start_s_m=spec.start_s_m,
            stops=tuple(
                StopTask(p.index, s.arrive_s, s.depart_s, s.min_dwell_s, s.on_call)
                for p, s in zip(line.stations, spec.stops, strict=True)
            ),
            destination_lane=int(line.lanes[-1]),
            destination_s_m=line.length_m - float(line.begin_m[-1]),
            depart_s=spec.depart_s,
        )
        region: tuple[Polygon, ...] = ()
        if "ssm" in item.onboard.share:
            objects = sensor_params(spec.sensors, f"vehicles.{spec.name}", DEFAULT_SENSORS)["objects"]  # fmt: skip
            ahead = 0.0 if objects is None else min(objects.mount_x_m, item.params.front_x_m)
            region = coverage(objects, (ahead, 0.0), ())  # what the on-board unit listens to
        return OnboardUnit(
            f"obu/{spec.name}", index + 1, net, item.params, item.onboard, mission, self.resolved.spec.tick_ms, region,
        )  # fmt: skip

    def _roadside(self) -> None:
        resolved, spec, net = self.resolved, self.resolved.spec, self.resolved.net
        left: dict[int, SignalPlan] = dict(resolved.plans)
        for k, (unit, junctions) in enumerate(zip(spec.roadside, resolved.roadside, strict=True)):
            name = f"rsu/{unit.name}"
            plans = [left.pop(j) for j in junctions]
            self.roadside[name] = k
            self.makers[name] = partial(self._roadside_unit, name, plans, unit, junctions[0])
        fixed = [p for p in left.values() if p.is_clockwork]
        if fixed:
            self.makers["rsu/signals"] = partial(
                FixedTimeBank, net, fixed, spec.tick_ms, "rsu/signals"
            )
        for junction, plan in left.items():
            if plan not in fixed:
                name = f"rsu/signals-{net.junctions.id[junction]}"
                self.controllers[name] = junction
                self.makers[name] = partial(SignalControllerUnit, net, plan, spec.tick_ms, name)

    def _roadside_unit(
        self, name: str, plans: list[SignalPlan], unit: RoadsideSpec, junction: int
    ) -> RoadsideUnit:
        net = self.resolved.net
        region: tuple[Polygon, ...] = ()
        if "ssm" in unit.share:
            where = f"roadside.{unit.name}"
            centre = junction_centre(net, junction)
            place = (
                centre[0] if unit.x_m is None else unit.x_m,
                centre[1] if unit.y_m is None else unit.y_m,
            )
            extra = fitted(unit.sensors.get("extra", ()), f"{where}.sensors.extra", ON_POLE)
            objects = sensor_params(unit.sensors, where, POLE_SENSORS)["objects"]
            region = coverage(objects, place, extra, place)
        return RoadsideUnit(
            name, net, plans, self.resolved.spec.tick_ms, x_m=unit.x_m, y_m=unit.y_m,
            sharing=Sharing(unit.share, unit.ssm_period_ms, region),
        )  # fmt: skip
