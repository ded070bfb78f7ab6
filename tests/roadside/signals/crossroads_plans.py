"""Plans of the four-leg test junction, and how tests drive its controller.

Fixed plan: EW 26 s, EW left 10 s, NS 20 s, NS left 8 s of green, each followed by 3 s yellow and 2 s all-red: cycle 84 s.
Stages begin at 0, 31, 46 and 71 s of the cycle. Walks: 14 m at 1.2 m/s is a clearance of 11.7 s.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from protocols.roads.network import RoadNetwork
from roadside.signals import Controller, PriorityRequest, SignalPlan, compile_plan, junction_layout
from tests.support.crossroads import crossroads

STEP_NS = 100_000_000
CYCLE_S = 84.0
STAGES = (
    ("ew", ("E.through", "W.through", "N.ped", "S.ped"), 26.0),
    ("ew_left", ("E.left", "W.left"), 10.0),
    ("ns", ("N.through", "S.through", "E.ped", "W.ped"), 20.0),
    ("ns_left", ("N.left", "S.left"), 8.0),
)


@cache
def network() -> RoadNetwork:
    """The junction, read once per process."""
    return crossroads()


@cache
def group(name: str) -> int:
    """Local group number of `E.through` and the like."""
    return junction_layout(network(), 0).group_name.index(name)


def plan(mode: str = "fixed", **changes: Any) -> SignalPlan:
    """The plan above, with `changes` over it."""
    stages = [
        {"name": n, "groups": g, "green_s": s, "min_green_s": min(7.0, s), "max_green_s": 40.0}
        for n, g, s in STAGES
    ]
    return SignalPlan.model_validate({"junction": "X", "mode": mode, "stages": stages, **changes})


def priority(**changes: Any) -> dict[str, Any]:
    """Bus priority for the through movements of E and W."""
    return {"enabled": True, "groups": ("E.through", "W.through"), **changes}


def controller(signal_plan: SignalPlan, t0_ns: int = 0) -> Controller:
    """A controller of the junction."""
    return Controller(compile_plan(network(), signal_plan), t0_ns)


class Drive:
    """Steps a controller through time with loops on every vehicle group and no traffic, unless told."""

    def __init__(self, signal_plan: SignalPlan) -> None:
        """Nobody on the loops yet."""
        self.controller = controller(signal_plan)
        layout = self.controller.timing.layout
        self.size = layout.num_groups
        self.has_detector = [not is_ped for is_ped in layout.is_pedestrian.tolist()]
        self.lights: list[tuple[int, list[int]]] = []
        self.said: list[Any] = []  # forecasts, where a test writes them down

    def step(
        self,
        t_ns: int,
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
        light = self.controller.step(t_ns, on, push, requests, self.has_detector).tolist()
        self.lights.append((t_ns, light))
        return light

    def changes(self, name: str) -> list[tuple[float, int]]:
        """(seconds, light) of every change of one group, the first light included."""
        k, out = group(name), []
        for t_ns, light in self.lights:
            if not out or out[-1][1] != light[k]:
                out.append((t_ns / 1e9, light[k]))
        return out
