"""The scene's traffic and people as actors: made when they come, moved every tick, destroyed when they go.

Each is a blueprint of `sim/carla/backend/stand_ins.toml` with the size that our traffic model gives it, so that bumpers are where
drivers believe them to be. Physics does not move them (SIMULATE is 0), but it sees them move: they are put where they are between a
step's motion and its contacts.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from protocols.messages import ActorKind, BsmFlag
from protocols.roads.network import Bool
from sim.carla.server import blueprints
from sim.carla.server import columns as c
from sim.carla.server.actors import INITIAL_LIMIT_KMH
from sim.carla.server.blueprints import Blueprint
from sim.carla.server.scene import _pose_kernels as kernels
from sim.carla.server.table import Ints
from sim.carla.wire import structs
from sim.state import ActorStates, ActorStatics

if TYPE_CHECKING:
    from sim.carla.server.world import World

ROLE = "traffic"  # attribute role_name
LAMPS = {
    BsmFlag.BRAKE: 8,
    BsmFlag.RIGHT_INDICATOR: 16,
    BsmFlag.LEFT_INDICATOR: 32,
}  # in VehicleLightState
MASKS: Ints = np.array(
    [sum(lamp for bit, lamp in LAMPS.items() if flags & bit) for flags in range(16)], np.int64
)
NO_PAIRS: Ints = np.zeros((0, 3), np.int64)


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody of ours and the actor that shows them."""

    ident: int  # ours
    row: int  # of the table
    actor: int


class Bodies:
    """One episode's actors. Rows of `states` under `is_guest` belong to clients."""

    def __init__(
        self, world: World, states: ActorStates, statics: ActorStatics, is_guest: Bool
    ) -> None:
        self._world, self._states, self._statics = world, states, statics
        self._is_guest = is_guest
        self._ident = np.zeros(states.valid.size, np.int64)  # who was there at the last update
        self._shown: dict[int, Shown] = {}  # by our row
        self._pairs = NO_PAIRS
        self._masks: Ints = np.zeros(0, np.int64)
        self._lost = 0
        self._owner: Ints = np.zeros(world.table.capacity, np.int64)

    def update(self, high: int) -> list[int]:
        """Actors for our rows below `high` as they are now; rows whose actor a client took away or over since the last time."""
        lost = self._drop_lost() if self._lost else []
        states = self._states
        now = np.where(states.valid[:high] & ~self._is_guest[:high], states.id[:high], 0)
        before = self._ident[:high]
        if not np.array_equal(now, before):
            changed = np.flatnonzero(now != before)
            for row in changed.tolist():
                gone = self._shown.pop(row, None)
                if gone is not None:
                    self._forget(gone)
                    self._world.destroy(gone.actor)
            fresh = [self._spawn(row) for row in changed.tolist() if now[row]]
            before[:] = now
            self._pair()
            if fresh:
                self._place(np.array(fresh, np.int64))
        self._lamps()
        return lost

    def place(self) -> None:
        """Poses and velocities of everybody, as our traffic has them."""
        if self._pairs.shape[0]:
            self._lost = self._place(self._pairs)

    def take_back(self) -> None:
        """Whoever is still there is moved by us again."""
        i = self._world.table.i
        for shown in self._shown.values():
            if i[shown.row, c.ID] == shown.actor:
                i[shown.row, c.SIMULATE] = 0

    def owner(self) -> Ints:
        """By row of the table: the actor of ours that sits there, 0 where none does."""
        missing = self._world.table.capacity - self._owner.size
        if missing:
            self._owner = np.concatenate((self._owner, np.zeros(missing, np.int64)))
        return self._owner

    # ---- inside

    def _place(self, pairs: Ints) -> int:
        st, sc, table = self._states, self._statics, self._world.table
        lost: int = kernels.place(
            pairs, table.f, table.i,
            st.x_m, st.y_m, st.z_m, st.yaw_rad, st.speed_mps, st.accel_mps2, st.yaw_rate_radps,
            st.hitch_rad, sc.length_m, sc.rear_overhang_m, sc.height_m, sc.hitch_x_m,
            sc.rear_length_m,
        )  # fmt: skip
        return lost

    def _spawn(self, row: int) -> tuple[int, int, int]:
        world, sc = self._world, self._statics
        kind = ActorKind(int(sc.kind[row]))
        blueprint = stand_in(kind)
        attributes = blueprint.defaults()
        ident = int(self._states.id[row])
        if "role_name" in attributes:
            attributes["role_name"] = ROLE
        colours = blueprint.attribute("color")
        if colours is not None and colours.recommended:
            attributes["color"] = colours.recommended[ident % len(colours.recommended)]
        at = world.actors.place(blueprint.kind, blueprint.tag)
        f, i = world.table.f[at], world.table.i[at]
        is_walker = blueprint.kind == c.WALKER
        half = 0.5 * float(sc.height_m[row])
        f[c.EXT_X : c.EXT_Z + 1] = (
            0.5 * sc.total_length_m[row], 0.5 * sc.width_m[row], half,
        )  # fmt: skip
        f[c.BOX_Z] = 0.0 if is_walker else half
        f[c.MASS] = blueprint.mass_kg
        f[c.SPEED_LIMIT_KMH] = 0.0 if is_walker else INITIAL_LIMIT_KMH
        i[[c.COLLIDES, c.GRAVITY]] = 1
        i[c.LIGHT_STATE] = int(structs.TrafficLightState.GREEN)
        one = world.actors.enlist(at, blueprint, _wire(blueprint, attributes), attributes)
        world.plant.add(at, blueprint)
        self._shown[row] = Shown(ident, at, one.id)
        self.owner()[at] = one.id
        return row, at, one.id

    def _forget(self, gone: Shown) -> None:
        owner = self.owner()
        if owner[gone.row] == gone.actor:
            owner[gone.row] = 0

    def _pair(self) -> None:
        rows = sorted(self._shown)
        self._pairs = (
            np.array([(r, self._shown[r].row, self._shown[r].actor) for r in rows], np.int64)
            if rows
            else NO_PAIRS
        )
        self._masks = np.full(len(rows), -1, np.int64)

    def _drop_lost(self) -> list[int]:
        """Destroyed by a client, or given to physics by one: no longer ours."""
        i = self._world.table.i
        lost = []
        for row, shown in sorted(self._shown.items()):
            if i[shown.row, c.ID] != shown.actor or i[shown.row, c.SIMULATE] != 0:
                lost.append(row)
                self._forget(self._shown.pop(row))
        self._lost = 0
        self._pair()
        return lost

    def _lamps(self) -> None:
        """Brake lights and indicators, where they changed."""
        masks = MASKS[self._states.flags[self._pairs[:, 0]] & 15]
        changed = np.flatnonzero(masks != self._masks)
        if changed.size:
            actors, lamps = self._pairs[changed, 2].tolist(), masks[changed].tolist()
            for actor, mask in zip(actors, lamps, strict=True):
                self._world.actors.set_lamps(actor, mask)
            self._masks = masks


@cache
def _stand_ins() -> dict[str, list[str]]:
    text = (files("sim.carla.backend") / "stand_ins.toml").read_text(encoding="utf-8")
    table: dict[str, list[str]] = tomllib.loads(text)["background"]
    return table


@cache
def stand_in(kind: ActorKind) -> Blueprint:
    """The blueprint that shows one of that kind; a car where the table has none."""
    table = _stand_ins()
    for name in (*table.get(kind.name, ()), *table[ActorKind.CAR.name]):
        found = blueprints.find(name)
        if found is not None:
            return found
    raise LookupError(f"stand_ins.toml names no blueprint of ours for {kind.name}")


def _wire(blueprint: Blueprint, attributes: dict[str, str]) -> structs.ActorDescription:
    known = {a.id: a.type for a in blueprint.attributes}
    uid = blueprints.library().index(blueprint) + 1
    return structs.ActorDescription(
        uid,
        blueprint.id,
        [structs.ActorAttributeValue(name, known[name], text) for name, text in attributes.items()],
    )
