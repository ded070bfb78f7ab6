"""Junction parts that both maps share: connecting roads, stop lines, crosswalks, stations."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from scenarios.roads.model import (
    Connection,
    Controller,
    Cubic,
    Junction,
    Lane,
    Map,
    Mark,
    Road,
    Section,
    Signal,
    Thing,
    blend,
)
from scenarios.roads.plan import join, length

CROSSWALK_WIDTH_M = 4.0
CROSSWALK_CENTRE_M = 3.5  # from the junction's edge
STOP_LINE_M = (
    7.0  # from the junction's edge: 1.5 m before the crosswalk (GB 5768.3 asks for 1 to 3)
)


@dataclass(frozen=True, slots=True)
class Leg:
    """A road that touches a junction with its end (`at_end`) or its start."""

    road: Road
    at_end: bool

    @property
    def sign(self) -> int:
        """Sign of the ids of lanes that run into the junction."""
        return -1 if self.at_end else 1

    def s_m(self, from_junction_m: float) -> float:
        """Road s of a place that far from the junction's edge."""
        return self.road.length_m - from_junction_m if self.at_end else from_junction_m


def connect(
    road_map: Map,
    junction: Junction,
    road_id: str,
    way: tuple[Leg, int, Leg, int],
    kind: str,
    speed_kmh: float,
    z_m: float,
) -> None:
    """Add one connecting road with one lane: from leg and lane to leg and lane."""
    from_leg, from_lane, to_leg, to_lane = way
    start, width_in = from_leg.road.lane_end(from_lane, from_leg.at_end)
    end, width_out = to_leg.road.lane_end(to_lane, to_leg.at_end)
    plan = join(start, end)
    over_m = length(plan)
    # Smooth, so that the centre line leaves and arrives along the lanes it joins.
    width: tuple[Cubic, ...] = (Cubic(0.0, width_in),)
    if width_out != width_in:
        width = blend(0.0, over_m, width_in, width_out)[:1]
    road_map.roads.append(
        Road(
            id=road_id,
            name=f"{junction.name} {from_leg.road.id}/{from_lane} to {to_leg.road.id}/{to_lane}",
            plan=plan,
            sections=(
                Section(
                    0.0,
                    (Lane(-1, kind, width, (Mark("none"),), before=from_lane, after=to_lane),),
                    Mark("none"),
                ),
            ),
            speed_kmh=speed_kmh,
            junction=junction.id,
            before=("road", from_leg.road.id, "end" if from_leg.at_end else "start"),
            after=("road", to_leg.road.id, "end" if to_leg.at_end else "start"),
            elevation=(Cubic(0.0, z_m),),
        )
    )
    junction.connections.append(Connection(from_leg.road.id, road_id, from_lane))


def group(road_map: Map, junction: Junction | None, group_id: str, name: str) -> Controller:
    """Add a signal group, in the junction's charge if there is one."""
    controller = Controller(group_id, name)
    road_map.controllers.append(controller)
    if junction is not None:
        junction.controllers.append(group_id)
    return controller


def head(controller: Controller, leg: Leg, number: int, lanes: tuple[int, int]) -> None:
    """A signal head at the stop line of approach lanes `lanes` (from, to); `number` tells them apart."""
    low, high = min(lanes), max(lanes)
    t_inner, _ = leg.road.edges_m(low if leg.sign > 0 else high, leg.at_end)
    t_outer, width_m = leg.road.edges_m(high if leg.sign > 0 else low, leg.at_end)
    signal_id = f"{controller.id}{number}"
    leg.road.signals.append(
        Signal(
            id=signal_id,
            name=controller.name,
            s_m=leg.s_m(STOP_LINE_M),
            t_m=(t_inner + t_outer + leg.sign * width_m) / 2,
            orientation="+" if leg.at_end else "-",
            lanes=(low, high),
        )
    )
    controller.signals.append(signal_id)


def crosswalk(
    controller: Controller | None, leg: Leg, object_id: str, sidewalk: int, extra: int = 0
) -> None:
    """A crosswalk over a leg between its sidewalks, with heads on either.

    Sidewalks are lanes `sidewalk` and -(`sidewalk` + `extra`).
    """
    right, _ = leg.road.edges_m(-sidewalk - extra, leg.at_end)
    left, _ = leg.road.edges_m(sidewalk, leg.at_end)
    span_m = left - right + 1.0  # half a metre onto either sidewalk
    s_m = leg.s_m(CROSSWALK_CENTRE_M)
    leg.road.objects.append(
        Thing(
            id=object_id,
            name=object_id,
            type="crosswalk",
            s_m=s_m,
            t_m=(left + right) / 2,
            length_m=span_m,
            width_m=CROSSWALK_WIDTH_M,
            hdg_rad=pi / 2,
            data=(("icv.signal_group", controller.id),) if controller else (),
            has_outline=True,
        )
    )
    if controller is None:
        return
    for number, lane_id in ((1, -sidewalk - extra), (2, sidewalk)):
        signal_id = f"{controller.id}{number}"
        leg.road.signals.append(
            Signal(
                id=signal_id,
                name=controller.name,
                s_m=s_m,
                t_m=right - 1.0 if lane_id < 0 else left + 1.0,
                orientation="none",
                lanes=(lane_id, lane_id),
                type="1000002",
                z_offset_m=2.5,
            )
        )
        controller.signals.append(signal_id)


def station(
    road: Road,
    object_id: str,
    name: str,
    span_m: tuple[float, float],
    t_m: float,
    width_m: float,
    lanes: tuple[int, ...],
    *,
    extra: tuple[tuple[str, str], ...] = (),
) -> None:
    """A platform over road s `span_m`; fronts stop 4 m before its end in travel direction.

    Two lanes mean an island, where the fronts of both directions stop at the middle: the buses
    then stand on different halves of the platform.
    """
    start_m, end_m = span_m
    is_island = len(lanes) > 1
    stop_m = (start_m + end_m) / 2 if is_island else end_m - 4.0 if lanes[0] < 0 else start_m + 4.0
    data: list[tuple[str, str]] = [("icv.stop_s", f"{stop_m:.3f}".rstrip("0").rstrip("."))]
    if is_island:
        data.append(("icv.island", "1"))
    road.objects.append(
        Thing(
            id=object_id,
            name=name,
            type="busStop",
            subtype="platform",
            s_m=(start_m + end_m) / 2,
            t_m=t_m,
            length_m=end_m - start_m,
            width_m=width_m,
            height_m=0.3,
            orientation="none" if is_island else ("+" if lanes[0] < 0 else "-"),
            lanes=tuple((lane, lane) for lane in lanes),
            data=(*data, *extra),
            has_outline=True,
        )
    )
