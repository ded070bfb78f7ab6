"""Supervision of loops: a loop that is always or never occupied counts as failed, and its groups are recalled instead.

NEMA TS 2 names these diagnostics maximum presence and no activity. A controller serves vehicle groups without working loops in
every cycle and runs their phases to the maximum, so a broken loop costs time but never a green.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from roadside.signals.durations import steps_ns
from roadside.signals.operation import OperationPlan


class DetectorWatch:
    """Health of the loops of G groups."""

    def __init__(self, size: int, operation: OperationPlan, t0_ns: int) -> None:
        """All loops are sound until they have been silent or stuck for long enough."""
        self._stuck_ns = steps_ns(operation.stuck_on_s)
        self._silent_ns = steps_ns(operation.silent_s)
        self._free_ns = [t0_ns] * size  # last time not occupied
        self._busy_ns = [t0_ns] * size  # last time occupied
        self.failed = [False] * size
        self.forced = [False] * size  # declared failed from outside

    def fork(self) -> DetectorWatch:
        """An independent copy, for looking ahead."""
        twin = object.__new__(DetectorWatch)
        twin.__dict__.update({name: copy(value) for name, value in self.__dict__.items()})
        return twin

    def check(
        self, t_ns: int, occupied: Sequence[bool], has_detector: Sequence[bool] | None
    ) -> tuple[list[bool], list[bool]]:
        """(G,) occupancy and presence of loops to believe."""
        size = len(self.failed)
        wired = [False] * size if has_detector is None else has_detector
        for k in range(size):
            if occupied[k]:
                self._busy_ns[k] = t_ns
            else:
                self._free_ns[k] = t_ns
            is_stuck = self._stuck_ns > 0 and t_ns - self._free_ns[k] >= self._stuck_ns
            is_silent = (
                self._silent_ns > 0 and wired[k] and t_ns - self._busy_ns[k] >= self._silent_ns
            )
            self.failed[k] = is_stuck or is_silent or self.forced[k]
        believed = [bool(o) and not f for o, f in zip(occupied, self.failed, strict=True)]
        present = [bool(w) and not f for w, f in zip(wired, self.failed, strict=True)]
        return believed, present
