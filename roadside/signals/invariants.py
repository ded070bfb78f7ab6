"""Referee of the phase rules: watches the lights of a junction and says which rule was broken when.

The monitor shares no code with the controller: it is told the rules as plain numbers (`phase_rules` reads them from a plan
and the road network) and sees only the lights. Rules: minimum green
(walk for pedestrians), yellow of the right length between green and red, no green without red before it, conflicting groups
never green together and an intergreen between them, no red longer than the cap, no green longer than its maximum while others
wait; flashing and dark begin from red, in all groups at once, and end in red, which lasts before the first green. Lights are
sampled, so times are exact up to one step; `step_ns` is the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from roadside.signals.config import SignalPlan, practice
from roadside.signals.layout import JunctionLayout
from roadside.signals.timing import compile_plan

_PROTECTED, _PERMISSIVE = int(Light.GREEN_PROTECTED), int(Light.GREEN_PERMISSIVE)
_RED, _YELLOW = int(Light.RED), int(Light.YELLOW)
_GREENS = (_PROTECTED, _PERMISSIVE)
_OFF = (int(Light.DARK), int(Light.FLASHING_RED), int(Light.FLASHING_YELLOW))
_FLASHES = _OFF[1:]
RULES = (
    "min_green", "yellow", "sequence", "conflict", "intergreen", "max_red", "max_green", "flash", "start_up",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PhaseRules:
    """What the lights of G groups must keep to; stamps in ns. Pairs are of local group numbers."""

    min_green_ns: tuple[int, ...]
    yellow_ns: tuple[int, ...]  # pedestrians: clearance
    max_red_ns: int | None
    never_together: frozenset[tuple[int, int]]  # whatever they show; both orders are listed
    gives_way: frozenset[tuple[int, int]]  # (a, b): a may share green with b only while permissive
    clearance_ns: dict[tuple[int, int], int]  # (a, b): least time from red of a to green of b
    max_green_ns: tuple[
        int | None, ...
    ] = ()  # longest green while another group waits; empty: none
    start_red_ns: int = 0  # least red between flashing or dark and the first green


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `other` is the second group where two are involved, else -1."""

    t_ns: int
    rule: str  # one of RULES
    group: int
    other: int
    found_ns: int
    expected_ns: int


class PhaseMonitor:
    """Feed every sample of the lights in order; collect `violations`."""

    def __init__(self, rules: PhaseRules, step_ns: int = 0) -> None:
        """Nothing is known about the time before the first sample, so its first intervals are not judged."""
        self.rules = rules
        self.violations: list[Violation] = []
        self._step_ns = step_ns
        size = len(rules.min_green_ns)
        self._groups = range(size)
        self._light: list[int] | None = None
        self._since = [0] * size
        self._is_known = [False] * size  # whether the running interval began under our eyes
        self._red_ns: list[int | None] = [None] * size  # when the group last turned red
        self._wait_ns: list[int | None] = [None] * size
        self._has_reported_red = [False] * size
        self._contested_ns: list[int | None] = [None] * size  # green while another group waits
        self._has_reported_green = [False] * size
        self._off_ns: int | None = None  # last sample with any group flashing or dark
        self._is_mixed = False
        self._together: set[tuple[int, int]] = set()

    def step(
        self, t_ns: int, lights: Sequence[int], waiting: Sequence[bool] | None = None
    ) -> list[Violation]:
        """Judge one sample, (G,) `Light`; returns what it newly broke.

        `waiting`: (G,) groups with somebody waiting; red counts only while they wait (always, when None).
        """
        before = len(self.violations)
        now = [int(light) for light in lights]
        old = self._light
        if old is None:
            self._since = [t_ns] * len(now)
        else:
            for k in self._groups:
                if now[k] != old[k]:
                    self._change(t_ns, k, old[k], now[k])
        self._light = now
        self._judge_greens(t_ns, now, old)
        self._judge_reds(t_ns, now, waiting)
        self._judge_longest(t_ns, now, waiting)
        self._judge_flashing(t_ns, now, old)
        return self.violations[before:]

    def _report(
        self, t_ns: int, rule: str, group: int, other: int = -1, found: int = 0, expected: int = 0
    ) -> None:
        self.violations.append(Violation(t_ns, rule, group, other, found, expected))

    def _change(self, t_ns: int, k: int, old: int, new: int) -> None:
        """Group `k` went from `old` to `new`."""
        rules, lasted = self.rules, t_ns - self._since[k]
        if old in _GREENS and new in _GREENS:
            return  # protected and permissive are one green
        allowed = {
            _RED: (*_GREENS, *_OFF),
            _YELLOW: (_RED,),
            _PROTECTED: (_YELLOW,),
            _PERMISSIVE: (_YELLOW,),
            **dict.fromkeys(_OFF, (*_OFF, _RED)),
        }
        if old in allowed and new not in allowed[old]:
            self._report(t_ns, "sequence", k)
        if self._is_known[k]:
            if old in _GREENS and lasted + self._step_ns < rules.min_green_ns[k]:
                self._report(t_ns, "min_green", k, -1, lasted, rules.min_green_ns[k])
            if old == _YELLOW and abs(lasted - rules.yellow_ns[k]) > self._step_ns:
                self._report(t_ns, "yellow", k, -1, lasted, rules.yellow_ns[k])
        self._since[k], self._is_known[k] = t_ns, True
        if new == _RED:
            self._red_ns[k] = t_ns

    def _judge_greens(self, t_ns: int, now: list[int], old: list[int] | None) -> None:
        """Conflicts among greens, and intergreens of those that have just turned green."""
        green = [k for k in self._groups if now[k] in _GREENS]
        rules = self.rules
        together: set[tuple[int, int]] = set()
        for n, a in enumerate(green):
            for b in green[n + 1 :]:
                if (
                    (a, b) in rules.never_together
                    or ((a, b) in rules.gives_way and now[a] != _PERMISSIVE)
                    or ((b, a) in rules.gives_way and now[b] != _PERMISSIVE)
                ):
                    together.add((a, b))
        for a, b in sorted(together - self._together):
            self._report(t_ns, "conflict", a, b)
        self._together = together
        if old is None:
            return
        for b in green:
            if old[b] in _GREENS:
                continue
            for a in self._groups:
                if (a, b) not in rules.never_together or (a, b) not in rules.clearance_ns:
                    continue
                least, red = rules.clearance_ns[a, b], self._red_ns[a]
                if now[a] == _YELLOW:
                    self._report(t_ns, "intergreen", b, a, 0, least)
                elif red is not None and now[a] == _RED and t_ns - red + self._step_ns < least:
                    self._report(t_ns, "intergreen", b, a, t_ns - red, least)

    def _judge_reds(self, t_ns: int, now: list[int], waiting: Sequence[bool] | None) -> None:
        cap = self.rules.max_red_ns
        if cap is None:
            return
        for k in self._groups:
            if now[k] != _RED or (waiting is not None and not waiting[k]):
                self._wait_ns[k], self._has_reported_red[k] = None, False
                continue
            since = self._wait_ns[k]
            if since is None:
                self._wait_ns[k] = t_ns
            elif t_ns - since > cap + self._step_ns and not self._has_reported_red[k]:
                self._has_reported_red[k] = True
                self._report(t_ns, "max_red", k, -1, t_ns - since, cap)

    def _judge_longest(self, t_ns: int, now: list[int], waiting: Sequence[bool] | None) -> None:
        """Greens that go on while others wait; who waits has to be told."""
        longest = self.rules.max_green_ns
        if waiting is None or not longest:
            return
        for k in self._groups:
            most = longest[k]
            is_contested = any(waiting[b] for b in self._groups if b != k)
            if most is None or now[k] not in _GREENS or not is_contested:
                self._contested_ns[k], self._has_reported_green[k] = None, False
                continue
            since = self._contested_ns[k]
            if since is None:
                self._contested_ns[k] = t_ns
            elif t_ns - since > most + self._step_ns and not self._has_reported_green[k]:
                self._has_reported_green[k] = True
                self._report(t_ns, "max_green", k, -1, t_ns - since, most)

    def _judge_flashing(self, t_ns: int, now: list[int], old: list[int] | None) -> None:
        """Flashing beside steady green or yellow, and greens too soon after it."""
        off = [k for k in self._groups if now[k] in _FLASHES]  # a single dark head is a lamp fault
        if all(light in _OFF for light in now):
            off = list(self._groups)
        steady = [k for k in self._groups if now[k] in (*_GREENS, _YELLOW)]
        is_mixed = bool(off and steady)
        if is_mixed and not self._is_mixed:
            self._report(t_ns, "flash", off[0], steady[0])
        self._is_mixed = is_mixed
        if off:
            self._off_ns = t_ns
        elif self._off_ns is not None and old is not None:
            # The last sample that flashed was one step before the first red.
            red_ns = t_ns - self._off_ns
            if steady:
                if red_ns + self._step_ns < self.rules.start_red_ns:
                    self._report(t_ns, "start_up", steady[0], -1, red_ns, self.rules.start_red_ns)
                self._off_ns = None


def phase_rules(net: RoadNetwork, plan: SignalPlan) -> PhaseRules:
    """The rules that `plan` promises for its junction; groups are local, in the order of `Timing.layout.group`.

    The red cap is `priority.side_max_red_s`, and there is none where priority is off. ConfigError as in `compile_plan`.
    """
    timing = compile_plan(net, plan)
    layout = timing.layout
    size = layout.num_groups
    served = _greens_of(plan, layout)
    minimum, yellow = [], []
    for k in range(size):
        seconds = min(least for groups, least, _ in served if k in groups)
        is_walker = bool(layout.is_pedestrian[k])
        minimum.append(timing.walk_ns[k] if is_walker else round(seconds * 1e9))
        yellow.append(timing.clear_ns[k] if is_walker else round(plan.yellow_s * 1e9))
    never = frozenset((int(a), int(b)) for a, b in np.argwhere(layout.exclusive))
    clearance = {pair: round(plan.all_red_s * 1e9) for pair in sorted(never)}
    for item in plan.intergreens:
        a, b = (layout.local(name, "intergreens") for name in (item.from_group, item.to_group))
        changing = 0 if layout.is_pedestrian[a] else round(plan.yellow_s * 1e9)
        longer = round(item.intergreen_s * 1e9) - changing
        clearance[a, b] = max(clearance.get((a, b), 0), longer)
    # A plan that changes at run time may be longer for a while; its grants keep the cap all the same.
    has_cap = plan.priority.enabled and plan.is_plain
    cap = round(plan.priority.side_max_red_s * 1e9) if has_cap else None
    return PhaseRules(
        min_green_ns=tuple(minimum),
        yellow_ns=tuple(yellow),
        max_red_ns=cap,
        never_together=never,
        gives_way=frozenset((int(a), int(b)) for a, b in np.argwhere(layout.must_yield) if a != b),
        clearance_ns=clearance,
        max_green_ns=_longest_greens(plan, layout, served),
        start_red_ns=round(plan.operation.start_all_red_s * 1e9) if plan.operation else 0,
    )


def _greens_of(
    plan: SignalPlan, layout: JunctionLayout
) -> list[tuple[frozenset[int], float, float]]:
    """Groups, minimum and maximum in seconds of everything that `plan` can show green."""
    stages = plan.stages if plan.rings is None else plan.rings.phases
    rows = [(s.groups, s.min_green_s, s.max_green_s) for s in stages]
    extra = plan.priority.insert
    if extra is not None:
        rows.append((extra.groups, min(extra.green_s, practice("min_green_s")), extra.green_s))
    return [
        (frozenset(layout.local(name, "groups") for name in names), least, most)
        for names, least, most in rows
    ]


def _longest_greens(
    plan: SignalPlan, layout: JunctionLayout, served: list[tuple[frozenset[int], float, float]]
) -> tuple[int | None, ...]:
    """Maximum greens, where one stage alone decides: actuated stages without any plan, vehicles that one of them serves."""
    if plan.mode != "actuated" or plan.plans:
        return ()
    extension = plan.priority.max_extension_s if plan.priority.enabled else 0.0
    out: list[int | None] = []
    for k in range(layout.num_groups):
        homes = [(groups, most) for groups, _, most in served if k in groups]
        alone = len(homes) == 1 and not any(layout.is_pedestrian[b] for b in homes[0][0])
        out.append(round((homes[0][1] + extension) * 1e9) if alone else None)
    return tuple(out)
