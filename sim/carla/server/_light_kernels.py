"""Loops of `lights.py`: the cycles of the lights, and which light and speed limit hold for each vehicle.

Zones are boxes on lanes, in CARLA's frame: x, y, z, cos yaw, sin yaw, half length, half width, head. Cells and segments are those
of `protocols.roads.matching` (our frame: y points the other way).
"""

from __future__ import annotations

import math
from typing import Any

from protocols.jit import helper, kernel
from sim.carla.server import columns as c

GREEN, YELLOW, RED = 2, 1, 0  # TrafficLightState
STAGE_STATE = (GREEN, YELLOW, RED)  # order of a controller's stages
LAST_STAGE = 2
SPENT_S = 1e-9  # a timer this near to 0 has run out: 200 steps of 0.05 s are 10 s

BRAKE_MPS2 = (
    6.0  # a vehicle that could not stop short of a zone with more than this is in it already
)
SIDE_M = 0.3  # a vehicle's middle may be this far beside the zone
ABOVE_M = 3.0
ALIGNED = 0.5  # cosine between vehicle and lane
LEFT_BEHIND_M = 45.0  # a light this far away no longer holds a vehicle, whatever it shows
STEP_M = 1.0  # a vehicle's speed limit is looked up anew after this way
TURN_M = 3.0  # by which a lane in the opposite direction counts as farther away
DEFAULT_KMH = 30.0  # what CARLA's vehicles start with


@helper
def _show(controller: int, state: int, head_controller: Any, head_state: Any) -> None:
    for h in range(head_controller.size):
        if head_controller[h] == controller:
            head_state[h] = state


@helper
def _begin(
    group: int, stage: int, timer: Any, elapsed: Any, at: Any,
    controller_stage: Any, times: Any, head_controller: Any, head_state: Any,
) -> None:  # fmt: skip
    """Let the current controller of a group enter a stage."""
    controller = at[group]
    controller_stage[controller] = stage
    timer[group] = times[controller, stage]
    elapsed[group] = 0.0
    _show(controller, STAGE_STATE[stage], head_controller, head_state)


@kernel
def reset(
    group: int, first: Any, timer: Any, elapsed: Any, at: Any,
    controller_stage: Any, times: Any, head_controller: Any, head_state: Any,
) -> None:  # fmt: skip
    """All heads of a group red, then its first controller green."""
    for controller in range(first[group], first[group + 1]):
        controller_stage[controller] = LAST_STAGE
        _show(controller, RED, head_controller, head_state)
    at[group] = first[group]
    if first[group] < first[group + 1]:
        _begin(group, 0, timer, elapsed, at, controller_stage, times, head_controller, head_state)


@kernel
def step(
    dt_s: float, first: Any, frozen: Any, timer: Any, elapsed: Any, at: Any,
    controller_stage: Any, times: Any, head_controller: Any, head_group: Any, head_state: Any,
    head_row: Any, f: Any, i: Any,
) -> None:  # fmt: skip
    """Advance every group that is not frozen; write state, times and flags of the heads' rows."""
    for group in range(first.size - 1):
        if frozen[group] or first[group] == first[group + 1]:
            continue
        timer[group] -= dt_s
        elapsed[group] += dt_s
        if timer[group] > SPENT_S:
            continue
        stage = controller_stage[at[group]]
        if stage == LAST_STAGE:
            at[group] += 1
            if at[group] == first[group + 1]:
                at[group] = first[group]
            stage = -1
        _begin(
            group, stage + 1, timer, elapsed, at, controller_stage, times, head_controller, head_state
        )  # fmt: skip
    for h in range(head_row.size):
        row = head_row[h]
        if row < 0:
            continue
        group, controller = head_group[h], head_controller[h]
        i[row, c.LIGHT_STATE] = head_state[h]
        i[row, c.FROZEN] = frozen[group]
        f[row, c.ELAPSED_S] = elapsed[group]
        f[row, c.GREEN_S] = times[controller, 0]
        f[row, c.YELLOW_S] = times[controller, 1]
        f[row, c.RED_S] = times[controller, 2]


@helper
def _head_of(ids: Any, actor: int) -> int:
    """Index of an actor in the ascending `ids`, -1 when it is not there."""
    a, b = 0, ids.size
    while a < b:
        m = (a + b) >> 1
        if ids[m] < actor:
            a = m + 1
        else:
            b = m
    return a if a < ids.size and ids[a] == actor else -1


@helper
def _zone_of(
    zone: Any, lo: int, hi: int, entry: Any, state: Any,
    x: float, y: float, z: float, ux: float, uy: float, half: float, ahead: float,
) -> Any:  # fmt: skip
    """Nearest zone that the vehicle is in, or cannot stop before: (zone or -1, whether it truly touches it)."""
    found, touches, nearest = -1, False, math.inf
    for e in range(lo, hi):
        k = entry[e]
        cx, cy = zone[k, 3], zone[k, 4]
        along = ux * cx + uy * cy
        if along < ALIGNED:
            continue
        dx, dy = x - zone[k, 0], y - zone[k, 1]
        u, v = dx * cx + dy * cy, dy * cx - dx * cy
        v -= u * (uy * cx - ux * cy) / along  # where the vehicle's axis crosses the zone
        if abs(v) > zone[k, 6] + SIDE_M or abs(z - zone[k, 2]) > ABOVE_M:
            continue
        rear, front = u - half * along, u + half * along
        if rear > zone[k, 5]:
            continue
        inside = front >= -zone[k, 5]
        if not inside and (state[int(zone[k, 7])] == GREEN or front + ahead < -zone[k, 5]):
            continue
        if -u < nearest:
            found, touches, nearest = k, inside, -u
    return found, touches


@kernel
def locate(
    f: Any, i: Any, high: int,
    x0: float, y0: float, cell: float, nx: int, ny: int,
    zone: Any, zone_start: Any, zone_entry: Any,
    head_id: Any, head_state: Any, head_x: Any, head_y: Any,
    segment: Any, limit_kmh: Any, cell_start: Any, cell_entry: Any, seen: Any,
) -> None:  # fmt: skip
    """HAS_LIGHT, LIGHT_ID, LIGHT_STATE and SPEED_LIMIT_KMH of every vehicle.

    A vehicle that comes into a zone whose light is not green is held by it until it is green; one that came in on green is not.
    LIGHT_ID with HAS_LIGHT 0 remembers the latter. `seen` (rows, 3) remembers who was last looked up where.
    """
    for row in range(high):
        if i[row, c.KIND] != c.VEHICLE or i[row, c.ID] == 0:
            continue
        x, y, z = f[row, c.X], f[row, c.Y], f[row, c.Z]
        a, b = (x - x0) / cell, (-y - y0) / cell
        inside = 0.0 <= a < nx and 0.0 <= b < ny
        k = int(a) * ny + int(b) if inside else -1
        # --- light
        lo, hi = 0, 0
        if inside:
            lo, hi = zone_start[k], zone_start[k + 1]
        if hi > lo or i[row, c.LIGHT_ID] != 0:
            head = _head_of(head_id, i[row, c.LIGHT_ID])
            held = i[row, c.HAS_LIGHT] == 1 and head >= 0 and head_state[head] != GREEN
            if held:
                dx, dy = x - head_x[head], y - head_y[head]
                held = dx * dx + dy * dy < LEFT_BEHIND_M * LEFT_BEHIND_M
            if not held:
                yaw = f[row, c.YAW] * (math.pi / 180.0)
                ux, uy = math.cos(yaw), math.sin(yaw)
                v = max(f[row, c.VX] * ux + f[row, c.VY] * uy, 0.0)
                found, touches = _zone_of(
                    zone, lo, hi, zone_entry, head_state,
                    x, y, z, ux, uy, f[row, c.EXT_X], 0.5 * v * v / BRAKE_MPS2,
                )  # fmt: skip
                was = head if i[row, c.LIGHT_ID] != 0 else -1
                head = int(zone[found, 7]) if found >= 0 else -1
                passing = head >= 0 and (head == was or head_state[head] == GREEN)
                held = head >= 0 and not passing
                i[row, c.LIGHT_ID] = head_id[head] if held or (passing and touches) else 0
            i[row, c.HAS_LIGHT] = 1 if held else 0
            i[row, c.LIGHT_STATE] = head_state[head] if held else GREEN
        else:
            i[row, c.HAS_LIGHT] = 0
            i[row, c.LIGHT_STATE] = GREEN
        # --- speed limit
        dx, dy = x - seen[row, 1], y - seen[row, 2]
        known = seen[row, 0] == i[row, c.ID]
        if known and dx * dx + dy * dy < STEP_M * STEP_M:
            continue
        if not known and f[row, c.SPEED_LIMIT_KMH] <= 0.0:
            f[row, c.SPEED_LIMIT_KMH] = DEFAULT_KMH
        seen[row, 0] = i[row, c.ID]
        seen[row, 1] = x
        seen[row, 2] = y
        if not inside:
            continue
        turn = -f[row, c.YAW] * (math.pi / 180.0)
        best, hit = math.inf, -1
        for e in range(cell_start[k], cell_start[k + 1]):
            s = cell_entry[e]
            if limit_kmh[s] <= 0.0:
                continue
            px, py = x - segment[s, 0], -y - segment[s, 1]
            t = min(1.0, max(0.0, (px * segment[s, 3] + py * segment[s, 4]) * segment[s, 6]))
            ex, ey = px - t * segment[s, 3], py - t * segment[s, 4]
            ez = z - segment[s, 2] - t * segment[s, 5]
            w = ex * ex + ey * ey + ez * ez
            if w >= best:
                continue
            w += TURN_M * TURN_M * 0.5 * (1.0 - math.cos(turn - segment[s, 7]))
            if w < best:
                best, hit = w, s
        if hit >= 0:
            f[row, c.SPEED_LIMIT_KMH] = limit_kmh[hit]
