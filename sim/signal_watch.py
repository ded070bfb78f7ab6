"""The referee of the lights: watches what the groups really show and reports every broken phase rule as an event.

The rules are those each junction's plan promises; the monitor is `roadside.signals.invariants`, which shares no code with the
controllers. Looks every 100 ms, the step of all controllers.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.judging import Event, EventKind
from protocols.roads.network import I32, U8, RoadNetwork
from protocols.sentence import phrase, say
from roadside.signals import SignalPlan, compile_plan
from roadside.signals.invariants import RULES, PhaseMonitor, Violation, phase_rules

_RULES = {
    "min_green": phrase("{own} was green for {found_s:.1f} s, at least {expected_s:.1f} s are promised"),
    "yellow": phrase("{own} was yellow for {found_s:.1f} s instead of {expected_s:.1f} s"),
    "sequence": phrase("{own} changed to a light that must not follow the one before"),
    "conflict": phrase("{own} and {other} were green together"),
    "intergreen": phrase("{own} turned green {found_s:.1f} s after {other} turned red, {expected_s:.1f} s are needed"),
    "max_red": phrase("{own} has been red for {found_s:.1f} s, at most {expected_s:.1f} s are promised"),
    "max_green": phrase("{own} has been green for {found_s:.1f} s while others wait, at most {expected_s:.1f} s are promised"),
    "flash": phrase("{own} flashes or is dark while {other} shows a steady green or yellow"),
    "start_up": phrase("{own} turned green {found_s:.1f} s after flashing, {expected_s:.1f} s of red are promised"),
}  # fmt: skip

STEP_NS = 100_000_000


class SignalWatch:
    """One monitor per junction with a plan."""

    def __init__(self, net: RoadNetwork, plans: Sequence[SignalPlan]) -> None:
        self._net = net
        self._monitors = [
            (compile_plan(net, plan).layout.group, PhaseMonitor(phase_rules(net, plan)))
            for plan in plans
        ]

    def observe(self, t_ns: int, light: U8) -> list[Event]:
        """New violations at this tick; the dark first tick is not judged."""
        if t_ns % STEP_NS or t_ns == 0:
            return []
        out: list[Event] = []
        for group, monitor in self._monitors:
            for broken in monitor.step(t_ns, light[group].tolist()):
                own = int(group[broken.group])
                out.append(
                    Event(
                        t_ns,
                        EventKind.SIGNAL_RULE,
                        0,
                        own,
                        -1,
                        float(RULES.index(broken.rule)),
                        self._sentence(broken, group),
                    )
                )
        return out

    def _sentence(self, broken: Violation, group: I32) -> str:
        names = self._net.groups.name
        own = names[int(group[broken.group])]
        other = names[int(group[broken.other])] if broken.other >= 0 else ""
        found_s, expected_s = broken.found_ns / 1e9, broken.expected_ns / 1e9
        return say(
            _RULES[broken.rule], own=own, other=other, found_s=found_s, expected_s=expected_s
        )
