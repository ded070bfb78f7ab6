"""Who takes part in a scene, one by one, and the scene without some of them.

An actor is an automated vehicle, a roadside unit, one vehicle or person of a background flow (by its number in the order of
departure), or a fault. What points at somebody who is gone goes too: the faults of a unit, its name in lists of senders.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from scenarios.fault_spec import MessageDelaySpec, MessageLossSpec, PartitionSpec
from scenarios.spec import FlowSpec, SceneSpec, WalkerFlowSpec
from sim.traffic.demand import Departures


class Actor(NamedTuple):
    """One that can be taken away; `number` of a departure or of a fault in the scene's list, else -1."""

    what: str  # vehicle, roadside, traffic, walker, fault
    name: str  # of the vehicle, the unit or the flow; the fault's kind
    number: int = -1

    def __str__(self) -> str:
        """For people."""
        return f"{self.what} {self.name}" + (f" {self.number}" if self.number >= 0 else "")


def actors(spec: SceneSpec) -> list[Actor]:
    """All of them, in the order of the scene file."""
    out = [Actor("vehicle", v.name) for v in spec.vehicles]
    out += [Actor("roadside", r.name) for r in spec.roadside]
    for flow in spec.demand.flows:
        out += [Actor("traffic", flow.name, n) for n in departures(spec, flow)]
    for walkers in spec.demand.walkers:
        out += [Actor("walker", walkers.name, n) for n in departures(spec, walkers)]
    return out + [Actor("fault", fault.kind, k) for k, fault in enumerate(spec.faults)]


def departures(spec: SceneSpec, flow: FlowSpec | WalkerFlowSpec) -> list[int]:
    """Numbers of a flow's departures that fall into the run."""
    is_even = isinstance(flow, FlowSpec) and flow.process == "even"
    per_hour = flow.vehicles_per_hour if isinstance(flow, FlowSpec) else flow.per_hour
    stream = Departures(
        flow.name, per_hour, flow.start_s, flow.end_s, is_even, spec.seed, flow.only
    )
    return [item.number for item in stream.due(spec.duration_s)]


def groups(everybody: Sequence[Actor]) -> list[tuple[Actor, ...]]:
    """`everybody` in pieces worth taking away at once: whole flows, single others."""
    out: dict[tuple[str, str, int], list[Actor]] = {}
    for actor in everybody:
        is_one = actor.what not in ("traffic", "walker")
        out.setdefault((actor.what, actor.name, actor.number if is_one else -1), []).append(actor)
    return [tuple(group) for group in out.values()]


def scene_of(spec: SceneSpec, kept: Collection[Actor]) -> SceneSpec:
    """`spec` with nobody but `kept`. A flow of which nobody is left goes, unless default traffic would come in its place."""
    here = set(kept)
    vehicles = tuple(v for v in spec.vehicles if Actor("vehicle", v.name) in here)
    roadside = tuple(r for r in spec.roadside if Actor("roadside", r.name) in here)
    flows = [_only(flow, "traffic", here) for flow in spec.demand.flows]
    peopled = [flow for flow in flows if flow.only]
    if not peopled and not vehicles:  # a scene without both gets traffic that nobody wrote
        peopled = flows[:1]
    walkers = [_only(flow, "walker", here) for flow in spec.demand.walkers]
    gone = {f"obu/{v.name}" for v in spec.vehicles} | {f"rsu/{r.name}" for r in spec.roadside}
    gone -= {f"obu/{v.name}" for v in vehicles} | {f"rsu/{r.name}" for r in roadside}
    if not peopled or not (vehicles or roadside):
        gone.add("fleet")
    faults = [
        _without(fault, gone)
        for k, fault in enumerate(spec.faults)
        if Actor("fault", fault.kind, k) in here
    ]
    demand = spec.demand.model_copy(
        update={"flows": tuple(peopled), "walkers": tuple(w for w in walkers if w.only)}
    )
    return spec.model_copy(
        update={
            "vehicles": vehicles,
            "roadside": roadside,
            "demand": demand,
            "faults": tuple(fault for fault in faults if fault is not None),
        }
    )


def _only(flow: Any, what: str, here: Collection[Actor]) -> Any:
    numbers = tuple(sorted(a.number for a in here if a.what == what and a.name == flow.name))
    return flow.model_copy(update={"only": numbers})


def _without(fault: Any, gone: Collection[str]) -> Any:
    """`fault` where the units `gone` are not; None when nothing is left of it."""
    if isinstance(fault, PartitionSpec):
        groups_left = [tuple(u for u in group if u not in gone) for group in fault.groups]
        groups_left = [group for group in groups_left if group]
        return fault.model_copy(update={"groups": tuple(groups_left)}) if len(groups_left) > 1 else None  # fmt: skip
    if isinstance(fault, MessageLossSpec | MessageDelaySpec):
        lists = {key: tuple(u for u in getattr(fault, key) if u not in gone) for key in ("senders", "receivers")}  # fmt: skip
        if any(getattr(fault, key) and not left for key, left in lists.items()):
            return None  # an empty list would mean everybody
        return fault.model_copy(update=lists)
    return None if fault.unit in gone else fault
