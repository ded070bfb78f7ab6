"""Collects, while a run goes on, what its picture is drawn from; bounded memory however long the run is.

Traces are thinned, background vehicles are sampled on the rulers of automated vehicles, lights are kept as spans. When a
buffer is full, every second sample is dropped and the sampling interval doubles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from protocols.judging import Event, EventKind
from protocols.roads.network import F64, I32, U8, RoadNetwork
from protocols.simtime import NS_PER_S
from sim.report.data import LightSpan, RouteSignal, RunPicture, VehiclePicture
from sim.route_line import RouteLine
from sim.state import ActorStates, ActorStatics, Control
from sim.world import UnitVehicle

TRACE_STEP_NS = NS_PER_S // 5
BACKGROUND_STEP_NS = NS_PER_S
MAX_TRACE = 20_000
MAX_FRAMES = 1_500  # background samples, each of all vehicles
MAX_SPANS = 4_000  # light changes kept per stop line


@dataclass(slots=True)
class _Vehicle:
    vehicle: UnitVehicle
    begin_m: F64  # (L,) ruler value at the start of each lane beside the route; nan elsewhere
    trace: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    background: list[tuple[float, F64, F64]] = field(default_factory=list)
    spans: list[list[LightSpan]] = field(default_factory=list)
    shown: list[tuple[float, int]] = field(default_factory=list)
    dwells: list[tuple[float, float, float]] = field(default_factory=list)
    grants: list[tuple[float, float, str]] = field(default_factory=list)
    opened: tuple[float, float] | None = None


class PictureCollector:
    """Feed it every tick; `finish` gives the picture."""

    def __init__(self, net: RoadNetwork, vehicles: tuple[UnitVehicle, ...]) -> None:
        self._net = net
        self._vehicles = [_Vehicle(v, beside(net, v.line)) for v in vehicles]
        self._trace_step = TRACE_STEP_NS
        self._background_step = BACKGROUND_STEP_NS
        for item in self._vehicles:
            item.spans = [[] for _ in item.vehicle.line.signals]
            item.shown = [(0.0, 0) for _ in item.vehicle.line.signals]

    def observe(self, t_ns: int, states: ActorStates, statics: ActorStatics, light: U8) -> None:
        """One tick of truth; cheap unless a sample is due."""
        if t_ns % self._trace_step:
            return
        t_s = t_ns / NS_PER_S
        for item in self._vehicles:
            row, referee = item.vehicle.row, item.vehicle.referee
            item.trace.append(
                (
                    t_s,
                    float(states.x_m[row]),
                    float(states.y_m[row]),
                    float(states.speed_mps[row]),
                    referee.route_s_m,
                )
            )
            self._lights(item, t_s, light)
        if t_ns % self._background_step == 0:
            self._background(t_s, states, statics)
        if self._vehicles and len(self._vehicles[0].trace) > MAX_TRACE:
            self._trace_step *= 2
            for item in self._vehicles:
                del item.trace[1::2]

    def _lights(self, item: _Vehicle, t_s: float, light: U8) -> None:
        for k, place in enumerate(item.vehicle.line.signals):
            now = int(light[self._net.stop_lines.group[place.index]])
            since, was = item.shown[k]
            if now != was:
                if was and len(item.spans[k]) < MAX_SPANS:
                    item.spans[k].append(LightSpan(since, t_s, was))
                item.shown[k] = (t_s, now)

    def _background(self, t_s: float, states: ActorStates, statics: ActorStatics) -> None:
        rows = np.flatnonzero(
            states.valid & (statics.control == Control.TRAFFIC) & (states.lane >= 0)
        )
        for item in self._vehicles:
            begin = item.begin_m[states.lane[rows]]
            on = rows[np.isfinite(begin)]
            place = item.begin_m[states.lane[on]] + states.s_m[on]
            item.background.append((t_s, states.id[on].astype(np.float64), place))
        if self._vehicles and len(self._vehicles[0].background) > MAX_FRAMES:
            self._background_step *= 2
            for item in self._vehicles:
                del item.background[1::2]

    def on_event(self, event: Event) -> None:
        """Dwells and grants."""
        t_s = event.t_ns / NS_PER_S
        for item in self._vehicles:
            if event.actor != item.vehicle.actor:
                continue
            here = item.vehicle.referee.route_s_m
            if event.kind == EventKind.DOORS_OPENED:
                item.opened = (t_s, here)
            elif event.kind == EventKind.DOORS_CLOSED and item.opened is not None:
                item.dwells.append((item.opened[0], t_s, item.opened[1]))
                item.opened = None
            elif event.kind == EventKind.PRIORITY_GRANTED and len(item.grants) < MAX_SPANS:
                ahead = [p.route_s_m for p in item.vehicle.line.signals if p.route_s_m > here]
                what = "extension" if event.value == 1.0 else "early green"
                item.grants.append((t_s, ahead[0] if ahead else here, what))

    def finish(
        self,
        *,
        title: str,
        outcome: str,
        sentence: str,
        subtitle: str,
        duration_s: float,
        rsus: tuple[tuple[str, float, float], ...],
        states: ActorStates,
        statics: ActorStatics,
        arrive_by_s: dict[str, float | None],
    ) -> RunPicture:
        """Everything collected, as arrays."""
        rest = states.valid & (statics.control != Control.UNIT)
        return RunPicture(
            title=title,
            outcome=outcome,
            sentence=sentence,
            subtitle=subtitle,
            network=self._net,
            duration_s=duration_s,
            vehicles=tuple(
                self._vehicle(item, duration_s, arrive_by_s.get(item.vehicle.name))
                for item in self._vehicles
            ),
            rsus=rsus,
            background_x_m=states.x_m[rest].copy(),
            background_y_m=states.y_m[rest].copy(),
        )

    def _vehicle(
        self, item: _Vehicle, duration_s: float, arrive_by_s: float | None
    ) -> VehiclePicture:
        line = item.vehicle.line
        trace = np.asarray(item.trace, dtype=np.float64).reshape(-1, 5)
        signals = []
        for k, place in enumerate(line.signals):
            since, was = item.shown[k]
            spans = [*item.spans[k], LightSpan(since, duration_s, was)] if was else item.spans[k]
            signals.append(RouteSignal(place.route_s_m, place.name, tuple(spans)))
        times = [np.full(ids.size, t) for t, ids, _ in item.background]
        empty = [np.zeros(0)]
        return VehiclePicture(
            name=item.vehicle.name,
            t_s=trace[:, 0],
            x_m=trace[:, 1],
            y_m=trace[:, 2],
            speed_mps=trace[:, 3],
            route_s_m=trace[:, 4],
            signals=tuple(signals),
            stations=tuple((p.route_s_m, p.name) for p in line.stations),
            dwells=tuple(item.dwells),
            grants=tuple(item.grants),
            background_t_s=np.concatenate(times or empty),
            background_s_m=np.concatenate([s for _, _, s in item.background] or empty),
            background_id=np.concatenate([ids for _, ids, _ in item.background] or empty),
            route_length_m=line.length_m,
            arrive_by_s=arrive_by_s,
        )


def beside(net: RoadNetwork, line: RouteLine) -> F64:
    """(L,) ruler value where each lane of the route, or beside it in the same direction, begins; nan elsewhere."""
    out = np.full(net.num_lanes, np.nan)
    for lane, begin in zip(line.lanes.tolist(), line.begin_m.tolist(), strict=True):
        for step in (net.lanes.left, net.lanes.right):
            at: int = lane
            while (at >= 0 and np.isnan(out[at])) or at == lane:
                out[at] = begin
                at = _next(step, at)
    return out


def _next(step: I32, lane: int) -> int:
    return int(step[lane])
