"""Traffic-light actors that show the scene's signal groups, found by their OpenDRIVE signal ids.

A client that sets a light takes its signal group over, one that freezes a light takes its whole junction over, until it is reset or
freezing ends: then the scene's plan goes on. Times that a client sets are kept and read back, but the plan has its own.
"""

from __future__ import annotations

import numpy as np

from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from sim.carla.server import columns as c
from sim.carla.server.lights import Ints, LightPlan, Lights
from sim.carla.server.scene.signals import Signals
from sim.carla.server.table import Table
from sim.carla.wire.structs import TrafficLightState

SHOWN = {
    Light.RED: TrafficLightState.RED,
    Light.FLASHING_RED: TrafficLightState.RED,
    Light.YELLOW: TrafficLightState.YELLOW,
    Light.FLASHING_YELLOW: TrafficLightState.YELLOW,
    Light.GREEN_PERMISSIVE: TrafficLightState.GREEN,
    Light.GREEN_PROTECTED: TrafficLightState.GREEN,
    Light.DARK: TrafficLightState.OFF,
    Light.UNSPECIFIED: TrafficLightState.OFF,
}
MEANT: dict[int, Light] = {
    TrafficLightState.RED: Light.RED,
    TrafficLightState.YELLOW: Light.YELLOW,
    TrafficLightState.GREEN: Light.GREEN_PERMISSIVE,  # whoever is turned green by hand still gives way
}
_STATE = np.array([int(SHOWN[light]) for light in Light], np.int64)


class SceneLights(Lights):
    """`Lights` whose states come from `Signals`."""

    def __init__(self, plan: LightPlan, net: RoadNetwork, signals: Signals) -> None:
        group_of = {
            name: int(net.signals.group[k])
            for k, name in enumerate(net.signals.id)
            if int(net.signals.group[k]) >= 0
        }
        self._signals = signals
        self._signal_group: Ints = np.array(
            [group_of.get(head.sign_id, -1) for head in plan.heads], np.int64
        )
        self._known = np.flatnonzero(self._signal_group >= 0)
        self._version, self._is_stale = -1, True
        self._since_ns = self._lit = np.zeros(0, np.int64)
        super().__init__(plan)

    def step(self, table: Table, dt_s: float) -> None:
        """What the groups show now, and for how long they have."""
        if self._row.size:
            self._write(table, dt_s)

    def _write(self, table: Table, dt_s: float) -> None:
        signals, row = self._signals, self._row
        if self._is_stale or signals.version != self._version:
            self._read()
            self._is_stale, self._version = False, signals.version
            table.i[row, c.LIGHT_STATE] = self._state
            table.i[row, c.FROZEN] = self._frozen[self._group]
            table.f[row[:, None], (c.GREEN_S, c.YELLOW_S, c.RED_S)] = self._times[self._controller]
            self._since_ns = signals.since_ns[self._signal_group[self._known]]
            self._lit = row[self._known]
        table.f[self._lit, c.ELAPSED_S] = (signals.now_ns - self._since_ns) / 1e9

    def _read(self) -> None:
        self._is_stale = True
        self._state[:] = int(TrafficLightState.OFF)
        self._state[self._known] = _STATE[self._signals.light[self._signal_group[self._known]]]

    def _places(self, junction: int) -> list[int]:
        """One signal group of each place that the lights of a junction's group stand for."""
        mine = np.flatnonzero((self._group == junction) & (self._signal_group >= 0))
        return sorted({int(g) for g in self._signal_group[mine]})

    def set_state(self, actor: int, state: int) -> None:
        """From now on its signal group shows this."""
        group = int(self._signal_group[self._head(actor)])
        if group >= 0:
            wanted = MEANT.get(state, Light.DARK)
            self._signals.hold(group, wanted)
            self._read()

    def set_times(
        self, actor: int, *, green_s: float | None = None, yellow_s: float | None = None, red_s: float | None = None
    ) -> None:  # fmt: skip
        """Kept and read back; the plan has its own."""
        super().set_times(actor, green_s=green_s, yellow_s=yellow_s, red_s=red_s)
        self._is_stale = True

    def freeze(self, actor: int, is_frozen: bool) -> None:
        """Its junction stays as it is, or goes back to the plan."""
        self._freeze(int(self._group[self._head(actor)]), is_frozen)

    def freeze_all(self, is_frozen: bool) -> None:
        """All junctions stay as they are, or go back to their plans."""
        for junction in range(self._frozen.size):
            self._freeze(junction, is_frozen)

    def _freeze(self, junction: int, is_frozen: bool) -> None:
        self._frozen[junction] = int(is_frozen)
        for group in self._places(junction):
            if is_frozen:
                self._signals.hold_place(group)
            else:
                self._signals.let_go(group)
        self._read()

    def _reset(self, group: int) -> None:
        self._freeze(group, False)
