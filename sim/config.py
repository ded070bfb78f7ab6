"""A scene resolved: every section checked by the room that owns it, against the road network, before anything moves.

Errors are ConfigError/RoadError with the key path in the scene file. `resolved_json` is what the log header keeps: enough to build
the same run again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from protocols.errors import ConfigError, IcvError
from protocols.roads.network import RoadNetwork, UserClass
from protocols.sentence import say
from roadside.signals import SignalPlan, check_plan
from roadside.signals.phases import default_plans
from scenarios.load import find_map, keys_at
from scenarios.mistakes import unknown_key, wrong_value
from scenarios.spec import SceneSpec, VehicleSpec
from sim.demand import default_flows, resolve_lanes
from sim.radio.params import IdealParams, RangeLossParams, from_table
from sim.route_line import station_row
from sim.sensors.environment import make_environment
from sim.traffic import Flow, TrafficConfig, WalkerFlow
from sim.traffic.config import KINDS
from vehicle.dynamics import VehicleParams, vehicle_params
from vehicle.onboard import OnboardConfig

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ResolvedVehicle:
    """One automated vehicle, checked."""

    spec: VehicleSpec
    params: VehicleParams
    onboard: OnboardConfig


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everything a run is built from."""

    spec: SceneSpec
    map_path: Path
    net: RoadNetwork
    vehicles: tuple[ResolvedVehicle, ...]
    plans: dict[int, SignalPlan]  # junction index -> plan
    roadside: tuple[tuple[int, ...], ...]  # junction indices of each roadside unit
    traffic: TrafficConfig
    radio: IdealParams | RangeLossParams


def resolve(spec: SceneSpec, base: Path, net: RoadNetwork) -> Resolved:
    """Check `spec` against `net`; `base` is the folder its paths start from."""
    plans = _plans(spec, net)
    roadside = tuple(
        _junctions(net, unit.junctions, f"roadside.{k}.junctions", plans)
        for k, unit in enumerate(spec.roadside)
    )
    _one_unit_a_junction(spec, net, roadside)
    make_environment(spec.environment, net)  # checked here; each port makes its own
    return Resolved(
        spec=spec,
        map_path=find_map(spec, base),
        net=net,
        vehicles=tuple(_vehicle(spec, k) for k in range(len(spec.vehicles))),
        plans=plans,
        roadside=roadside,
        traffic=_traffic(spec, net),
        radio=from_table(spec.radio),
    )


def resolved_json(spec: SceneSpec, map_path: Path) -> str:
    """The whole scene with every default written out, and where its map was."""
    table = {"scene": spec.model_dump(mode="json"), "map_path": str(map_path.resolve())}
    return json.dumps(table, sort_keys=True, ensure_ascii=False)


def _model(kind: type[Model], table: dict[str, Any], where: str) -> Model:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        place = f"{where}.{key}" if key else where
        table_place, _, own = place.rpartition(".")
        if first["type"] == "extra_forbidden":
            text = unknown_key(table_place, own, keys_at(kind, first["loc"]))
        elif first["type"] == "missing":
            text = say("{where!s}: key '{key}' is missing.", where=table_place, key=own)
        else:
            text = wrong_value(place, "", first)
        if error.error_count() > 1:
            text = say("{problem!s} ({number:d} more like it in this file.)", problem=text, number=error.error_count() - 1)  # fmt: skip
        raise ConfigError(text) from None


def _vehicle(spec: SceneSpec, k: int) -> ResolvedVehicle:
    vehicle = spec.vehicles[k]
    where = f"vehicles.{k}"
    try:
        params = vehicle_params(vehicle.type)
    except ConfigError as error:
        raise ConfigError(say("{scene}: {what!s}", scene=f"{where}.type", what=error)) from None
    both = _merged(spec.onboard, vehicle.onboard)
    return ResolvedVehicle(vehicle, params, _model(OnboardConfig, both, f"{where}.onboard"))


def _merged(low: dict[str, JsonValue], high: dict[str, JsonValue]) -> dict[str, Any]:
    """`high` over `low`, tables merged key by key."""
    out: dict[str, Any] = dict(low)
    for key, value in high.items():
        under = out.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            out[key] = _merged(under, value)
        else:
            out[key] = value
    return out


def _junction(net: RoadNetwork, name: str, where: str) -> int:
    for names in (net.junctions.id, net.junctions.name):
        if name in names:
            return names.index(name)
    known = ", ".join(n or i for n, i in zip(net.junctions.name, net.junctions.id, strict=True))
    raise ConfigError(
        say(
            "{where}: junction '{name}' is not on road network '{network}'. Known: {names}.",
            where=where, name=name, network=net.name, names=known or "none",
        )
    )  # fmt: skip


def _junctions(
    net: RoadNetwork, names: tuple[str, ...], where: str, plans: dict[int, SignalPlan]
) -> tuple[int, ...]:
    found = tuple(_junction(net, name, f"{where}.{k}") for k, name in enumerate(names))
    for k, junction in enumerate(found):
        if junction in found[:k]:
            raise ConfigError(say("{where}: junction '{name}' is named twice.", where=f"{where}.{k}", name=names[k]))  # fmt: skip
        if junction not in plans:
            raise ConfigError(
                say(
                    "{where}: junction '{name}' has no signals, so a roadside unit has nothing to run there. Name a signalised "
                    "junction, or add [[signals]] for it.",
                    where=f"{where}.{k}", name=names[k],
                )
            )  # fmt: skip
    return found


def _one_unit_a_junction(
    spec: SceneSpec, net: RoadNetwork, roadside: tuple[tuple[int, ...], ...]
) -> None:
    owner: dict[int, int] = {}
    for k, junctions in enumerate(roadside):
        for junction in junctions:
            first = owner.setdefault(junction, k)
            if first != k:
                raise ConfigError(
                    say(
                        "roadside.{k}.junctions: junction '{junction}' already belongs to roadside unit '{unit}'; one unit "
                        "runs a junction's signals.",
                        k=k, junction=net.junctions.name[junction] or net.junctions.id[junction],
                        unit=spec.roadside[first].name,
                    )
                )  # fmt: skip


def _plans(spec: SceneSpec, net: RoadNetwork) -> dict[int, SignalPlan]:
    plans: dict[int, SignalPlan] = {}
    for k, table in enumerate(spec.signals):
        where = f"signals.{k}"
        plan = _model(SignalPlan, dict(table), where)
        junction = _junction(net, plan.junction, f"{where}.junction")
        if junction in plans:
            raise ConfigError(
                say("{where}: junction '{name}' has two plans; keep one per junction.", where=where, name=plan.junction)
            )  # fmt: skip
        try:
            check_plan(net, plan, where)
        except IcvError as error:
            text = str(error)
            if not text.startswith(where):
                text = say("{scene}: {what!s}", scene=where, what=text)
            raise ConfigError(text) from error
        plans[junction] = plan
    if spec.default_signals:
        done = [net.junctions.id[junction] for junction in plans]
        for plan in default_plans(net, done):
            plans[_junction(net, plan.junction, "default signals")] = plan
    return plans


def _traffic(spec: SceneSpec, net: RoadNetwork) -> TrafficConfig:
    flows = list(spec.demand.flows)
    if not flows and not spec.vehicles:
        flows = list(default_flows(net))
    return TrafficConfig(
        flows=tuple(
            _flow(net, flow, f"demand.flows.{k} ('{flow.name}')") for k, flow in enumerate(flows)
        ),
        walkers=tuple(
            WalkerFlow(
                name=walkers.name,
                per_hour=walkers.per_hour,
                crossings=tuple(
                    _crossing(net, c, f"demand.walkers.{k}.crossings") for c in walkers.crossings
                ),
                path=walkers.path,
                kind=walkers.kind,
                start_s=walkers.start_s,
                end_s=walkers.end_s,
                only=walkers.only,
            )
            for k, walkers in enumerate(spec.demand.walkers)
        ),
    )


def _flow(net: RoadNetwork, flow: Any, where: str) -> Flow:
    if not flow.mix or min(flow.mix.values()) < 0 or sum(flow.mix.values()) <= 0:
        raise ConfigError(
            say("{where}.mix: found {mix}; expected classes with shares >= 0 that are not all zero.", where=where, mix=flow.mix)
        )  # fmt: skip
    if min(flow.destinations.values()) < 0 or sum(flow.destinations.values()) <= 0:
        raise ConfigError(
            say(
                "{where}.destinations: found {destinations}; expected weights >= 0 that are not all zero.",
                where=where, destinations=flow.destinations,
            )
        )  # fmt: skip
    unknown = [kind for kind in flow.mix if kind not in KINDS]
    if unknown:
        raise ConfigError(
            say("{where}.mix: unknown vehicle class '{kind}'; known: {names}.", where=where, kind=unknown[0], names=", ".join(KINDS))
        )  # fmt: skip
    who = UserClass(0)
    for kind in flow.mix:
        who |= KINDS[kind][1]
    first = KINDS[min(flow.mix)][1]
    origins = [
        lane
        for text in flow.origins
        for lane in resolve_lanes(net, text, True, first, f"{where}.origins")
    ]
    destinations = [
        (tuple(resolve_lanes(net, text, False, first, f"{where}.destinations")), weight)
        for text, weight in sorted(flow.destinations.items())  # never the order of writing
    ]
    stops = tuple(station_row(net, name, f"{where}.stops")[0] for name in flow.stops)
    return Flow(
        name=flow.name,
        origins=tuple(origins),
        destinations=tuple(destinations),
        vehicles_per_hour=flow.vehicles_per_hour,
        mix=tuple(sorted(flow.mix.items())),
        start_s=flow.start_s,
        end_s=flow.end_s,
        process=flow.process,
        stops=stops,
        dwell_s=flow.dwell_s,
        only=flow.only,
    )


def _crossing(net: RoadNetwork, name: str, where: str) -> int:
    if name in net.crossings.id:
        return net.crossings.id.index(name)
    known = ", ".join(net.crossings.id[:12]) or "none"
    raise ConfigError(
        say(
            "{where}: crossing '{name}' is not on road network '{network}'. Known: {names}.",
            where=where, name=name, network=net.name, names=known,
        )
    )  # fmt: skip
