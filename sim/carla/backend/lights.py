"""Signals on the CARLA server: every light shows what our controllers say; CARLA's own cycle is stopped.

Lights are found by the id of their OpenDRIVE signal. CARLA knows lights for vehicles (type 1000001) only: heads for pedestrians are
not shown. A server that made no light for one of our signals is told nothing for it; `missing` names those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from protocols.messages import Light
from protocols.roads.network import U8, RoadNetwork
from sim.carla.backend.session import Session

VEHICLE_LIGHT = "1000001"  # OpenDRIVE signal type, as CARLA reads it
_STATE = {
    Light.RED: "Red", Light.FLASHING_RED: "Red", Light.YELLOW: "Yellow", Light.FLASHING_YELLOW: "Yellow",
    Light.GREEN_PERMISSIVE: "Green", Light.GREEN_PROTECTED: "Green", Light.DARK: "Off", Light.UNSPECIFIED: "Off",
}  # fmt: skip


@dataclass(slots=True)
class ShownLights:
    """`light` (H,) is the world's array of group states."""

    session: Session
    net: RoadNetwork
    light: U8
    missing: list[str] = field(default_factory=list)
    _actors: list[list[Any]] = field(default_factory=list)  # by group
    _last: U8 | None = None

    def __post_init__(self) -> None:
        session, signals = self.session, self.net.signals
        by_id = {}
        for actor in session.world.get_actors().filter("traffic.traffic_light*"):
            by_id[actor.get_opendrive_id()] = actor
        self._actors = [[] for _ in self.net.groups.id]
        for k, name in enumerate(signals.id):
            group = int(signals.group[k])
            if group < 0 or signals.type[k] != VEHICLE_LIGHT:
                continue
            actor = by_id.get(name)
            if actor is None:
                self.missing.append(name)
            else:
                self._actors[group].append(actor)
        if by_id:
            session.world.freeze_all_traffic_lights(True)

    def show(self) -> None:
        """Tells the server of the groups that changed."""
        carla, now = self.session.carla, self.light
        changed = range(len(self._actors))
        if self._last is not None:
            changed = np.flatnonzero(self._last != now).tolist()  # type: ignore[assignment]
        for group in changed:
            if group < len(self._actors):
                state = getattr(carla.TrafficLightState, _STATE[Light(int(now[group]))])
                for actor in self._actors[group]:
                    actor.set_state(state)
        self._last = now.copy()
