"""The background on the CARLA server: vehicles and people that our own traffic model moves, shown as actors without physics.

Actors are spawned when somebody appears, teleported each step, destroyed when they leave. A server may refuse a place (a stand-in
larger than the vehicle it shows); then it is tried again a little later, and counted in `refused`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protocols.messages import ActorKind
from protocols.roads.network import Bool
from sim.carla.backend.session import Session
from sim.state import ActorStates, ActorStatics, Control

RETRY_STEPS = 50
STILL_M, STILL_RAD = 0.002, 0.0005  # a body that has moved less is not sent again


@dataclass(slots=True)
class _Shown:
    actor: int  # the server's id; 0: not there yet
    ahead_m: float  # from our origin to the server's, along the body
    x: float = math.inf  # as last sent
    y: float = math.inf
    yaw: float = math.inf
    wait: int = 0


@dataclass(slots=True)
class Background:
    """Keeps the server's picture of the background equal to ours."""

    session: Session
    states: ActorStates
    statics: ActorStatics
    blueprints: dict[ActorKind, Any]
    refused: int = 0
    _by_id: dict[int, _Shown] = field(default_factory=dict)  # our actor id ->

    def commands(self) -> list[Any]:
        """What the server has to be told this step."""
        carla, states = self.session.carla, self.states
        seen: set[int] = set()
        out: list[Any] = []
        rows = np.flatnonzero(self._moved_by_us())
        for row in rows.tolist():
            ident = int(states.id[row])
            seen.add(ident)
            shown = self._by_id.get(ident)
            if shown is None:
                shown = self._by_id[ident] = _Shown(0, self._ahead(row))
            x, y = states.x_m.item(row), states.y_m.item(row)
            yaw = states.yaw_rad.item(row)
            if shown.actor == 0:
                continue
            moved = abs(x - shown.x) + abs(y - shown.y) > STILL_M
            if moved or abs(yaw - shown.yaw) > STILL_RAD:
                shown.x, shown.y, shown.yaw = x, y, yaw
                out.append(carla.command.ApplyTransform(shown.actor, self._transform(row, shown)))
        for ident in [known for known in self._by_id if known not in seen]:
            shown = self._by_id.pop(ident)
            if shown.actor:
                out.append(carla.command.DestroyActor(shown.actor))
        return out

    def spawn(self, t_ns: int) -> None:
        """Those that are not there yet."""
        carla, states = self.session.carla, self.states
        rows, wanted = [], []
        for row in np.flatnonzero(self._moved_by_us()).tolist():
            shown = self._by_id.get(int(states.id[row]))
            if shown is None or shown.actor:
                continue
            if shown.wait:
                shown.wait -= 1
                continue
            blueprint = self.blueprints.get(ActorKind(int(self.statics.kind[row])))
            if blueprint is None:
                continue
            spawn = carla.command.SpawnActor(blueprint, self._transform(row, shown))
            still = carla.command.SetSimulatePhysics(carla.command.FutureActor, False)
            wanted.append(spawn.then(still))
            rows.append(row)
        if not wanted:
            return
        for row, answer in zip(rows, self.session.batch(wanted, t_ns), strict=True):
            shown = self._by_id[int(states.id[row])]
            if answer.has_error():
                self.refused += 1
                shown.wait = RETRY_STEPS
            else:
                shown.actor = answer.actor_id

    def close(self) -> None:
        """Takes everybody away."""
        carla = self.session.carla
        gone = [carla.command.DestroyActor(s.actor) for s in self._by_id.values() if s.actor]
        self._by_id.clear()
        if gone:
            self.session.batch(gone)

    def _moved_by_us(self) -> Bool:
        mine: Bool = self.states.valid & (self.statics.control != Control.UNIT)
        return mine

    def _ahead(self, row: int) -> float:
        statics = self.statics
        return float(0.5 * statics.length_m[row] - statics.rear_overhang_m[row])

    def _transform(self, row: int, shown: _Shown) -> Any:
        states = self.states
        return transform(
            self.session.carla, states.x_m.item(row), states.y_m.item(row), states.z_m.item(row),
            states.yaw_rad.item(row), shown.ahead_m, self._lift(row),
        )  # fmt: skip

    def _lift(self, row: int) -> float:
        """A walker's origin is its middle, a vehicle's is on the ground."""
        is_person = int(self.statics.kind[row]) == ActorKind.PEDESTRIAN
        return 0.5 * float(self.statics.height_m[row]) if is_person else 0.0


def transform(
    carla: Any, x: float, y: float, z: float, yaw_rad: float, ahead_m: float, lift_m: float
) -> Any:
    """CARLA's transform of a body whose origin (ours) is at (x, y, z)."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    place = carla.Location(x + ahead_m * cos, -(y + ahead_m * sin), z + lift_m)
    return carla.Transform(place, carla.Rotation(0.0, -math.degrees(yaw_rad), 0.0))
