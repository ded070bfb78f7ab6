"""Traffic lights and signs: what stands where on a map, and how the lights cycle and hold vehicles.

As CARLA does it (public sources of its `TrafficLightManager`, `TrafficLightGroup`, `TrafficLightController`): one group per
junction, one controller per `<controller>` of the road file; the controllers of a group take turns, each green, yellow, red, while
all others are red. A state that a client sets stays until the controller's next stage. Times belong to a controller, freezing and the
elapsed time to a group. A light's trigger box lies on the lanes it holds, short of the stop line, 0.9 lane widths wide; x of the
light's frame points to the right across them.

Different from it: a vehicle is held by the zone of the lane that its middle is in, and a fast one from where it would have to brake
with 6 m/s2 to stop short of it. Stop signs hold nobody: CARLA's Traffic Manager ignores them too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads.geometry import lane_pose
from protocols.roads.matching import build_index, match
from protocols.roads.network import MOTOR, RoadNetwork, UserClass
from scenarios.formats.opendrive.place import signal_meaning
from sim.carla import frames
from sim.carla.server import _light_kernels as kernels
from sim.carla.server import columns as c
from sim.carla.server.table import Table
from sim.carla.wire import structs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Vector = tuple[float, float, float]
Times = Vector

MAX_SIGNALS = 5000
GREEN_S, YELLOW_S, RED_S = 10.0, 3.0, 2.0  # CARLA's defaults (TrafficLightController.h)
BOX_SHARE = 0.9  # of half a lane's width: half a trigger box's length and width
BOX_HALF_HEIGHT_M = 1.5
ZONE_REACH_M = 45.0  # cells within this of a zone list it: a vehicle is looked up by its middle, and looks ahead
HEAD_HALF_M = (0.2, 0.2, 0.5)  # the housing of a light
HEAD_ABOVE_M = 2.7  # where the file says no height
SIGN_REACH_M = 15.0  # a sign farther from any lane has its box where it stands


@dataclass(frozen=True, slots=True)
class Head:
    """One light or sign as an actor; the box in its own frame."""

    blueprint_id: str
    kind: int  # columns.LIGHT or columns.SIGN
    transform: structs.Transform
    sign_id: str
    box_centre: Vector
    box_extent: Vector
    group: int = (
        -1
    )  # lights: index of the junction's group, of the controller, of the pole in its group
    controller: int = -1
    pole: int = 0
    light_box: structs.BoundingBox | None = None


@dataclass(frozen=True, slots=True)
class LightPlan:
    """Lights and signs of a map, and the tables that `locate` reads."""

    heads: tuple[Head, ...]  # lights
    signs: tuple[Head, ...]
    first: Int32  # (G + 1,) controllers of each group
    times: Floats  # (C, 3) green, yellow, red
    zones: Floats  # (Z, 8) x, y, z, cos yaw, sin yaw, half length, half width, head
    zone_start: Int32  # (cells + 1,) CSR into zone_entry
    zone_entry: Int32
    x0_m: float  # the grid of protocols.roads.matching, our frame
    y0_m: float
    cell_m: float
    nx: int
    ny: int
    segment: Floats
    limit_kmh: Floats  # (segments,), 0 where no motor vehicle drives
    cell_start: Int32
    cell_entry: Int32


def plan(net: RoadNetwork, times: dict[str, tuple[float, float, float]] | None = None) -> LightPlan:
    """Lights and signs of `net`; `times` by controller id replace the defaults."""
    if len(net.signals.id) > MAX_SIGNALS or net.stop_lines.lane.size > MAX_SIGNALS:
        raise RoadError(f"{net.name}: {len(net.signals.id)} signals, at most {MAX_SIGNALS} are served. Split the map.")  # fmt: skip
    index = build_index(net)
    groups = _vehicle_groups(net)
    # Groups of one junction take turns; one without a junction stands for itself.
    order = sorted(groups, key=lambda g: (_junction_key(net, g), g))
    keys = [_junction_key(net, g) for g in order]
    starts = [k for k in range(len(order)) if k == 0 or keys[k] != keys[k - 1]]
    first = np.array([*starts, len(order)] if order else [0], np.int32)
    zones, heads = _heads(net, order, first)
    zone_rows = np.array(zones, np.float64).reshape(-1, 8)
    zone_start, zone_entry = _zone_cells(zone_rows, (index.x0_m, index.y0_m, index.cell_m, index.nx, index.ny))  # fmt: skip
    given = times or {}
    table = [given.get(net.groups.id[g], (GREEN_S, YELLOW_S, RED_S)) for g in order]
    return LightPlan(
        tuple(heads),
        tuple(_signs(net)),
        first,
        np.array(table, np.float64).reshape(-1, 3),
        zone_rows,
        zone_start,
        zone_entry,
        index.x0_m,
        index.y0_m,
        index.cell_m,
        index.nx,
        index.ny,
        index.segment,
        _limits(net),
        index.cell_start,
        index.entry,
    )


def _junction_key(net: RoadNetwork, group: int) -> tuple[int, int]:
    junction = int(net.groups.junction[group])
    return (0, junction) if junction >= 0 else (1, group)


def _meaning(net: RoadNetwork, signal: int) -> str:
    s = net.signals
    return signal_meaning({"type": s.type[signal], "country": s.country[signal]})


def _vehicle_groups(net: RoadNetwork) -> list[int]:
    """Groups with a head that is neither for people on foot nor for lanes without motor traffic (cycle tracks) only."""
    s, lines = net.signals, net.stop_lines
    wheeled = {int(g) for q, g in enumerate(s.group) if g >= 0 and _meaning(net, q) != "pedestrian_light"}  # fmt: skip
    motor = _is_motor(net)[lines.lane]
    return sorted(g for g in wheeled if motor[lines.group == g].any() or not (lines.group == g).any())  # fmt: skip


def _is_motor(net: RoadNetwork) -> npt.NDArray[np.bool_]:
    return np.asarray((net.lanes.permission & np.uint32(int(MOTOR))) != 0)


def _zone(net: RoadNetwork, lane: int, s_m: float) -> list[float]:
    """Box on `lane` whose far edge is at s; without a head yet."""
    rows = slice(int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1]))
    width = float(np.interp(s_m, net.points.s_m[rows], net.points.width_m[rows]))
    half = max(BOX_SHARE * 0.5 * width, 0.3)
    at = lane_pose(net, lane, min(max(s_m - half, 0.0), float(net.lanes.length_m[lane])), 0.0)
    yaw = -float(at.yaw_rad[0])
    return [float(at.x_m[0]), float(frames.flip_y(at.y_m)[0]), float(at.z_m[0]), math.cos(yaw), math.sin(yaw), half, half, -1.0]  # fmt: skip


def _group_zones(net: RoadNetwork, group: int) -> list[tuple[int, list[float]]]:
    """(road, box) of every lane that a group holds.

    A stop line for some of the ways on from its lane lies on the connecting lane, where only that traffic passes, unless all
    ways on wait for the same group.
    """
    lines, lanes = net.stop_lines, net.lanes
    out: list[tuple[int, list[float]]] = []
    done: set[int] = set()
    held = (lines.group == group) & (lines.kind == 0) & _is_motor(net)[lines.lane]
    for row in np.flatnonzero(held):
        lane, to_lane = int(lines.lane[row]), int(lines.to_lane[row])
        road = int(lanes.road[lane])
        if to_lane >= 0:
            own = (lines.lane == lane) & (lines.group == group)
            ways = set(lanes.next[lanes.next_start[lane] : lanes.next_start[lane + 1]].tolist())
            if ways - set(lines.to_lane[own].tolist()):
                half = 0.5 * BOX_SHARE * float(net.points.width_m[lanes.point_start[to_lane]])
                out.append((road, _zone(net, to_lane, 2.0 * half)))
                continue
        if lane not in done:
            done.add(lane)
            out.append((road, _zone(net, lane, float(lines.s_m[row]))))
    return out


def _heads(net: RoadNetwork, order: list[int], first: Int32) -> tuple[list[list[float]], list[Head]]:  # fmt: skip
    signals = net.signals
    zones: list[list[float]] = []
    heads: list[Head] = []
    members: dict[int, list[int]] = {}
    for q, g in enumerate(signals.group):
        if _meaning(net, q) != "pedestrian_light":
            members.setdefault(int(g), []).append(q)
    for controller, group in enumerate(order):
        junction_group = int(np.searchsorted(first, controller, side="right")) - 1
        mine = members[group]
        held = _group_zones(net, group)
        where = np.array([[signals.x_m[q], -signals.y_m[q]] for q in mine])
        given: dict[int, list[list[float]]] = {q: [] for q in mine}
        for road, box in held:
            gap = np.hypot(where[:, 0] - box[0], where[:, 1] - box[1])
            gap = gap + np.where(signals.road[mine] == road, 0.0, 1e6)
            q = int(np.argmin(gap))
            given[mine[q]].append(box)
            zones.append([*box[:7], float(len(heads) + q)])
        for q in mine:
            boxes = given[q] or [box for _, box in held][:1]
            heads.append(
                _head(
                    net,
                    q,
                    boxes,
                    junction_group,
                    controller,
                    controller - int(first[junction_group]),
                )
            )
    return zones, heads


def _head(
    net: RoadNetwork, q: int, boxes: list[list[float]], group: int, controller: int, pole: int
) -> Head:
    signals = net.signals
    x, y, z = (
        float(signals.x_m[q]),
        frames.flip_y(float(signals.y_m[q])),
        float(signals.z_m[q]),
    )
    if boxes:
        travel = math.degrees(math.atan2(boxes[0][4], boxes[0][3]))
    else:
        travel = frames.yaw_to_carla(float(signals.yaw_rad[q])) + 180.0
    yaw = frames.wrap_deg(travel + 90.0)
    centre, extent = _around(boxes, (x, y, z), yaw)
    up = z if z - (boxes[0][2] if boxes else z) > 1.0 else z + HEAD_ABOVE_M
    lamp = structs.BoundingBox(
        structs.Location(x, y, up),
        structs.Vector3D(*HEAD_HALF_M),
        structs.Rotation(0.0, yaw, 0.0),
        0,
    )
    return Head(
        "traffic.traffic_light",
        c.LIGHT,
        _transform(x, y, z, yaw),
        signals.id[q],
        centre,
        extent,
        group,
        controller,
        pole,
        lamp,
    )


def _transform(x: float, y: float, z: float, yaw: float) -> structs.Transform:
    return structs.Transform(structs.Location(x, y, z), structs.Rotation(0.0, yaw, 0.0))


def _around(boxes: list[list[float]], at: Vector, yaw_deg: float) -> tuple[Vector, Vector]:
    """Centre and half sizes, in the frame of an actor at `at`, of the box around `boxes`."""
    if not boxes:
        return (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)
    co, si = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    rows: list[Vector] = []
    for x, y, z, cx, cy, length, width, _ in boxes:
        for a in (-length, length):
            for b in (-width, width):
                dx, dy = x + a * cx - b * cy - at[0], y + a * cy + b * cx - at[1]
                rows.append((dx * co + dy * si, dy * co - dx * si, z - at[2]))
    low, high = np.min(rows, axis=0), np.max(rows, axis=0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    return (
        (float(middle[0]), float(middle[1]), float(middle[2]) + BOX_HALF_HEIGHT_M),
        (float(half[0]), float(half[1]), float(half[2]) + BOX_HALF_HEIGHT_M),
    )


def _signs(net: RoadNetwork) -> list[Head]:
    """Stop, yield and speed limit signs; each has its box on the lane beside it."""
    signals = net.signals
    rows: list[tuple[int, str]] = []
    for q in range(len(signals.id)):
        if signals.is_dynamic[q]:
            continue
        meaning = _meaning(net, q)
        if meaning in ("stop", "yield"):
            rows.append((q, f"traffic.{meaning}"))
        elif meaning == "speed_limit" and signals.has_value[q]:
            kmh = round(float(signals.value[q]) * frames.KMH_PER_MPS)
            rows.append((q, f"traffic.speed_limit.{kmh}"))
    if not rows:
        return []
    which = [q for q, _ in rows]
    travel = signals.yaw_rad[which] + np.pi
    near = match(
        build_index(net),
        signals.x_m[which],
        signals.y_m[which],
        travel,
        permission=UserClass(int(MOTOR)),
        max_distance_m=SIGN_REACH_M,
    )
    out: list[Head] = []
    for k, (q, blueprint) in enumerate(rows):
        boxes = [_zone(net, int(near.lane[k]), float(near.s_m[k]))] if near.valid[k] else []
        at = (float(signals.x_m[q]), frames.flip_y(float(signals.y_m[q])), float(signals.z_m[q]))
        yaw = frames.wrap_deg(frames.yaw_to_carla(float(travel[k])) + 90.0)
        centre, extent = _around(boxes, at, yaw)
        out.append(Head(blueprint, c.SIGN, _transform(*at, yaw), signals.id[q], centre, extent))
    return out


def _zone_cells(zones: Floats, grid: tuple[float, float, float, int, int]) -> tuple[Int32, Int32]:
    """CSR of the zones within reach of each cell."""
    x0, y0, cell, nx, ny = grid
    owner: list[Ints] = []
    which: list[Ints] = []
    for k, zone in enumerate(zones):
        x, y = zone[0], -zone[1]
        a = np.arange(max(0, int((x - ZONE_REACH_M - x0) / cell)), min(nx, int((x + ZONE_REACH_M - x0) / cell) + 1))  # fmt: skip
        b = np.arange(max(0, int((y - ZONE_REACH_M - y0) / cell)), min(ny, int((y + ZONE_REACH_M - y0) / cell) + 1))  # fmt: skip
        dx, dy = x0 + (a + 0.5) * cell - x, y0 + (b + 0.5) * cell - y
        # Ahead of the zone nobody is held by it anew: cells more than a long vehicle beyond it are left out.
        u = dx[:, None] * zone[3] - dy[None, :] * zone[4]
        keep = (np.hypot(dx[:, None], dy[None, :]) <= ZONE_REACH_M) & (u < 15.0)
        cells = (a[:, None] * ny + b[None, :])[keep].astype(np.int64)
        owner.append(cells)
        which.append(np.full(cells.size, k, np.int64))
    start = np.zeros(nx * ny + 1, np.int32)
    if not owner:
        return start, np.zeros(0, np.int32)
    cells, entry = np.concatenate(owner), np.concatenate(which)
    start[1:] = np.cumsum(np.bincount(cells, minlength=nx * ny))
    return start, entry[np.argsort(cells, kind="stable")].astype(np.int32)


def _limits(net: RoadNetwork) -> Floats:
    """(P,) speed limit where each centre-line segment begins, km/h."""
    lanes, points, pieces = net.lanes, net.points, net.speed_limits
    lane = np.repeat(np.arange(net.num_lanes), np.diff(lanes.point_start))
    out = np.where(lanes.has_speed, lanes.speed_mps * frames.KMH_PER_MPS, kernels.DEFAULT_KMH)[lane]
    for k in np.flatnonzero(np.diff(lanes.speed_start) > 1):
        rows = slice(int(lanes.point_start[k]), int(lanes.point_start[k + 1]))
        own = slice(int(lanes.speed_start[k]), int(lanes.speed_start[k + 1]))
        at = np.searchsorted(pieces.s_m[own], points.s_m[rows] + 1e-6, side="right") - 1
        limit = pieces.speed_mps[own][np.maximum(at, 0)] * frames.KMH_PER_MPS
        out[rows] = np.where(at >= 0, limit, out[rows])
    out[~_is_motor(net)[lane]] = 0.0
    return np.ascontiguousarray(out)


class Lights:
    """The lights of an episode. `actors` says what to spawn; `bind` takes the ids, in that order, once it is spawned."""

    def __init__(self, plan: LightPlan) -> None:
        self.plan = plan
        heads = plan.heads
        groups = plan.first.size - 1
        self._times = plan.times.copy()
        self._timer = np.zeros(groups)
        self._elapsed = np.zeros(groups)
        self._frozen = np.zeros(groups, np.int64)
        self._at = np.zeros(groups, np.int64)
        self._stage = np.zeros(plan.times.shape[0], np.int64)
        self._controller = np.array([h.controller for h in heads], np.int64)
        self._group = np.array([h.group for h in heads], np.int64)
        self._state = np.zeros(len(heads), np.int64)
        self._row = np.full(len(heads), -1, np.int64)
        self._id = np.zeros(len(heads), np.int64)
        self._head_x, self._head_y = self._middles()
        self._head_of: dict[int, int] = {}
        self._seen = np.zeros((0, 3))
        self.reset_all()

    def _middles(self) -> tuple[Floats, Floats]:
        """Middle of each head's trigger box, world."""
        x, y = np.zeros(len(self.plan.heads)), np.zeros(len(self.plan.heads))
        for k, head in enumerate(self.plan.heads):
            at, yaw = head.transform.location, math.radians(head.transform.rotation.yaw)
            bx, by, _ = head.box_centre
            x[k] = at.x + bx * math.cos(yaw) - by * math.sin(yaw)
            y[k] = at.y + bx * math.sin(yaw) + by * math.cos(yaw)
        return x, y

    def actors(self) -> tuple[Head, ...]:
        """Every light, then every sign."""
        return (*self.plan.heads, *self.plan.signs)

    def bind(self, table: Table, ids: Sequence[int]) -> None:
        """Say which actors `actors()` became; ids ascend. Writes the lights' columns."""
        mine = list(ids[: len(self.plan.heads)])
        if len(mine) != len(self.plan.heads) or mine != sorted(set(mine)):
            raise ValueError(f"{len(self.plan.heads)} ascending ids expected, got {len(mine)}")
        self._id = np.array(mine, np.int64)
        self._head_of = {actor: k for k, actor in enumerate(mine)}
        self._row = np.array([table.row_of[actor] for actor in mine], np.int64)
        for k, row in enumerate(self._row):
            table.i[row, c.POLE] = self.plan.heads[k].pole
            table.i[row, c.GROUP] = self.plan.heads[k].group
        self._write(table, 0.0)

    def step(self, table: Table, dt_s: float) -> None:
        """Let dt pass: states, times and flags of the lights' rows."""
        if self._row.size:
            self._write(table, dt_s)

    def _write(self, table: Table, dt_s: float) -> None:
        kernels.step(
            dt_s, self.plan.first, self._frozen, self._timer, self._elapsed, self._at,
            self._stage, self._times, self._controller, self._group, self._state,
            self._row, table.f, table.i,
        )  # fmt: skip

    def locate(self, table: Table) -> None:
        """HAS_LIGHT, LIGHT_ID, LIGHT_STATE and SPEED_LIMIT_KMH of every vehicle."""
        if self._seen.shape[0] < table.capacity:
            grown = np.zeros((table.capacity, 3))
            grown[: self._seen.shape[0]] = self._seen
            self._seen = grown
        p = self.plan
        kernels.locate(
            table.f, table.i, table.high, p.x0_m, p.y0_m, p.cell_m, p.nx, p.ny,
            p.zones, p.zone_start, p.zone_entry, self._id, self._state, self._head_x, self._head_y,
            p.segment, p.limit_kmh, p.cell_start, p.cell_entry, self._seen,
        )  # fmt: skip

    def _head(self, actor: int) -> int:
        head = self._head_of.get(actor)
        if head is None:
            raise RoadError(f"Actor {actor} is not a traffic light of this map.")
        return head

    def state(self, actor: int) -> int:
        """What it shows, a TrafficLightState."""
        return int(self._state[self._head(actor)])

    def set_state(self, actor: int, state: int) -> None:
        """Shown until its controller's next stage, or for good while frozen."""
        self._state[self._head(actor)] = state

    def set_times(
        self, actor: int, *, green_s: float | None = None, yellow_s: float | None = None, red_s: float | None = None
    ) -> None:  # fmt: skip
        """Times of its controller, from the next stage on."""
        row = self._times[self._controller[self._head(actor)]]
        for k, value in enumerate((green_s, yellow_s, red_s)):
            if value is not None:
                row[k] = max(float(value), 0.0)

    def freeze(self, actor: int, is_frozen: bool) -> None:
        """Stop or go on with the cycle of its junction."""
        self._frozen[self._group[self._head(actor)]] = int(is_frozen)

    def freeze_all(self, is_frozen: bool) -> None:
        """Stop or go on with every cycle."""
        self._frozen[:] = int(is_frozen)

    def reset_group(self, actor: int) -> None:
        """Begin the cycle of its junction anew."""
        self._reset(int(self._group[self._head(actor)]))

    def reset_all(self) -> None:
        """Begin every cycle anew."""
        for group in range(self._timer.size):
            self._reset(group)

    def _reset(self, group: int) -> None:
        kernels.reset(
            group, self.plan.first, self._timer, self._elapsed, self._at,
            self._stage, self._times, self._controller, self._state,
        )  # fmt: skip

    def group(self, actor: int) -> list[int]:
        """All lights of its junction, itself included."""
        mine = self._group[self._head(actor)]
        return [int(a) for a in self._id[self._group == mine]]

    def boxes(self, actor: int) -> list[structs.BoundingBox]:
        """Its housing, in the world."""
        box = self.plan.heads[self._head(actor)].light_box
        return [] if box is None else [box]
