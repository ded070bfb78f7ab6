"""Ring plans, plans by the clock and modes for the four-leg test junction, and how tests drive a cabinet.

NEMA numbering, main road east-west: 2 and 6 through from E and W, 5 and 1 the left turns that oppose them (5 with 2, 1 with 6),
4 and 8 through from N and S, 7 and 3 their lefts. Ring 1: 1 2 | 3 4. Ring 2: 5 6 | 7 8. E.left opposes W.through, so phase 1
(E.left) may run beside 5 (W.left) or 2 (E.through: same approach) and never beside 6 (W.through).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from roadside.signals import PhaseMonitor, PriorityRequest, SignalPlan, phase_rules
from roadside.signals.cabinet import Cabinet
from roadside.signals.outlook import Outlook
from roadside.signals.phasetable import phase_table
from tests.roadside.signals.crossroads_plans import STEP_NS, group, network, plan

NS = 1_000_000_000
PHASES = {
    "2": ("W.through", "N.ped", "S.ped"), "6": ("E.through", "N.ped", "S.ped"),
    "1": ("E.left",), "5": ("W.left",),
    "4": ("S.through", "E.ped", "W.ped"), "8": ("N.through", "E.ped", "W.ped"),
    "3": ("N.left",), "7": ("S.left",),
}  # fmt: skip
BARRIERS = [[["1", "2"], ["5", "6"]], [["3", "4"], ["7", "8"]]]
# 1 (E.left) before 2 (W.through), its opponent, in ring 1; 5 (W.left) before 6 (E.through) in ring 2.
SPLITS = {"1": 15.0, "2": 27.0, "5": 15.0, "6": 27.0, "3": 13.0, "4": 25.0, "7": 13.0, "8": 25.0}


def ring_plan(**changes: Any) -> SignalPlan:
    """Eight phases in two rings."""
    recalls = changes.pop("recalls", {})
    phases = [
        {"name": n, "groups": g, "min_green_s": 7.0, "max_green_s": 40.0, "recall": recalls.get(n, "none")}
        for n, g in PHASES.items()
    ]  # fmt: skip
    rings = {"phases": phases, "barriers": BARRIERS, "dual_entry": changes.pop("dual_entry", True)}
    return SignalPlan.model_validate(
        {"junction": "X", "mode": "ring_barrier", "rings": rings, **changes}
    )


def coordinated(name: str = "am", cycle: float = 80.0, **changes: Any) -> dict[str, Any]:
    """A plan of the eight phases with 2 and 6 coordinated; a longer cycle goes to their splits."""
    splits = {**SPLITS, "2": 27.0 + cycle - 80.0, "6": 27.0 + cycle - 80.0}
    return {
        "name": name, "cycle_s": cycle, "split_s": splits, "coordinated": ("2", "6"), **changes,
    }  # fmt: skip


def timed(name: str = "long", ew: float = 51.0, **changes: Any) -> dict[str, Any]:
    """A fixed plan of the four stages of `crossroads_plans`, with another split of the first one (31 s)."""
    splits = {"ew": ew, "ew_left": 15.0, "ns": 25.0, "ns_left": 13.0}
    return {"name": name, "cycle_s": ew + 53.0, "split_s": splits, **changes}


def cabinet(signal_plan: SignalPlan, t0_ns: int = 0) -> Cabinet:
    """A cabinet of the junction."""
    return Cabinet(phase_table(network(), signal_plan), t0_ns)


class Drive:
    """Steps a cabinet with loops on every vehicle group, watches it, and writes its lights and forecasts down."""

    def __init__(self, signal_plan: SignalPlan, with_forecast: bool = False) -> None:
        """Nobody on the loops yet."""
        self.cabinet = cabinet(signal_plan)
        self.outlook = Outlook(self.cabinet) if with_forecast else None
        layout = self.cabinet.table.layout
        self.size = layout.num_groups
        self.has_detector = [not is_ped for is_ped in layout.is_pedestrian.tolist()]
        self.monitor = PhaseMonitor(phase_rules(network(), signal_plan))
        self.lights: list[tuple[int, list[int]]] = []
        self.said: list[Any] = []
        self.t_ns = 0

    def step(
        self,
        occupied: tuple[str, ...] = (),
        pressed: tuple[str, ...] = (),
        requests: tuple[PriorityRequest, ...] = (),
    ) -> list[int]:
        """One step; names of groups with traffic and with pushed buttons."""
        on, push = [False] * self.size, [False] * self.size
        for name in occupied:
            on[group(name)] = True
        for name in pressed:
            push[group(name)] = True
        return self.raw(on, push, requests)

    def raw(self, on: list[bool], push: list[bool], requests: tuple[PriorityRequest, ...] = ()):
        """One step with flags by group."""
        t_ns = self.t_ns
        light = self.cabinet.step(t_ns, on, push, requests, self.has_detector).tolist()
        self.monitor.step(t_ns, light)
        self.lights.append((t_ns, light))
        if self.outlook is not None:
            self.said.append(self.outlook.forecast())
        self.t_ns += STEP_NS
        return light

    def seconds(self, until_s: float, occupied: tuple[str, ...] = (), pressed=()) -> None:
        """Until before `until_s` with the same demand."""
        while self.t_ns < round(until_s * 10) * STEP_NS:
            self.step(occupied, pressed)

    def changes(self, name: str) -> list[tuple[float, int]]:
        """(seconds, light) of every change of one group, the first light included."""
        k, out = group(name), []
        for t_ns, light in self.lights:
            if not out or out[-1][1] != light[k]:
                out.append((t_ns / 1e9, light[k]))
        return out


def spat_errors(drive: Any, window: int = 30) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Errors of the likely end in the last `window` steps before each change; errors of all certain ends; how many changes
    fell outside what was announced as bounds; number of announcements judged."""
    table = np.array([light for _, light in drive.lights])
    likely, certain, outside, count = [], [], 0, 0
    steps = len(table)
    for k in range(drive.size):
        change = np.flatnonzero(np.diff(table[:, k])) + 1
        previous = 0
        for at in change:
            for n in range(previous, at):
                row, truth = drive.said[n][k], int(at) * STEP_NS
                count += 1
                outside += row.min_end_ns is not None and truth < row.min_end_ns
                outside += row.max_end_ns is not None and truth > row.max_end_ns
                if row.min_end_ns is not None and row.min_end_ns == row.max_end_ns:
                    certain.append(abs(row.min_end_ns - truth) / 1e9)
                if n >= at - window:
                    said = row.likely_end_ns
                    likely.append(99.0 if said is None else abs(said - truth) / 1e9)
            previous = at
        for n in range(previous, steps):  # certain, but nothing happened before the end
            row = drive.said[n][k]
            if row.max_end_ns is not None and row.max_end_ns < (steps - 1) * STEP_NS:
                outside += 1
                if row.min_end_ns == row.max_end_ns:
                    certain.append(99.0)
    return np.array(likely), np.array(certain), outside, count


__all__ = [
    "Drive", "cabinet", "coordinated", "group", "network", "plan", "ring_plan", "spat_errors", "timed",
]  # fmt: skip
