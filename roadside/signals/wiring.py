"""How loops and push buttons of a junction reach its controller: readings in, one flag per signal group out."""

from __future__ import annotations

import numpy as np

from protocols.roads.network import I32, RoadNetwork
from protocols.sensing import Readings
from roadside.signals.layout import JunctionLayout, groups_of_detectors


class Wiring:
    """Keeps the last state of every loop; a loop that was passed since the last reading counts as occupied once."""

    def __init__(self, net: RoadNetwork, layout: JunctionLayout) -> None:
        """Nothing is wired yet; the first reading tells which loops there are."""
        self._net = net
        self._layout = layout
        size = layout.num_groups
        self.occupied: list[bool] = [False] * size
        self.pressed: list[bool] = [False] * size
        self.has_detector: list[bool] = [False] * size
        self._lane: I32 | None = None
        self._groups: list[tuple[int, ...]] = []
        self._count: list[int] = []

    def take(self, readings: Readings) -> None:
        """Update `occupied`, `pressed` and `has_detector`, (G,) by local group."""
        size = self._layout.num_groups
        loops = readings.detectors
        if loops is not None:
            if self._lane is None or not np.array_equal(loops.lane, self._lane):
                self._lane = loops.lane.copy()
                self._groups = groups_of_detectors(self._net, self._layout, loops.lane)
                self._count = loops.count.tolist()
                self.has_detector = [False] * size
                for groups in self._groups:
                    for k in groups:
                        self.has_detector[k] = True
            self.occupied = [False] * size
            count = loops.count.tolist()
            for n, is_occupied in enumerate(loops.is_occupied.tolist()):
                if is_occupied or count[n] != self._count[n]:
                    for k in self._groups[n]:
                        self.occupied[k] = True
            self._count = count
        if readings.crossings is not None:
            self.pressed = [False] * size
            demand = readings.crossings
            for crossing, is_pressed in zip(
                demand.crossing.tolist(), demand.is_pressed.tolist(), strict=True
            ):
                k = self._layout.crossing_group.get(crossing, -1)
                if is_pressed and k >= 0:
                    self.pressed[k] = True
