"""The referee is checked: every rule, planted as broken, is caught and nothing else is reported."""

from __future__ import annotations

import pytest

from protocols.messages import Light
from roadside.signals import PhaseMonitor, PhaseRules

R, Y, G, P, DARK = (
    int(Light.RED), int(Light.YELLOW), int(Light.GREEN_PROTECTED), int(Light.GREEN_PERMISSIVE),
    int(Light.DARK),
)  # fmt: skip
S = 1_000_000_000
# Groups: 0 and 1 cross; 2 is a left turn that gives way to 0.
RULES = PhaseRules(
    min_green_ns=(6 * S, 6 * S, 6 * S),
    yellow_ns=(3 * S, 3 * S, 3 * S),
    max_red_ns=30 * S,
    never_together=frozenset({(0, 1), (1, 0)}),
    gives_way=frozenset({(2, 0)}),
    clearance_ns={(0, 1): 2 * S, (1, 0): 2 * S},
)


def judge(*blocks: tuple[int, int, int, int]) -> list[tuple[str, int, int]]:
    """Feed blocks of (seconds, light of 0, 1, 2), one sample a second; (rule, group, other) of what was broken."""
    monitor, second = PhaseMonitor(RULES), 0
    for seconds, *lights in blocks:
        for _ in range(seconds):
            monitor.step(second * S, lights)
            second += 1
    return [(v.rule, v.group, v.other) for v in monitor.violations]


# A lawful minute: everything red, 0 with permissive 2, change, 1, change.
LAWFUL = [
    (2, R, R, R), (8, G, R, P), (3, Y, R, Y), (2, R, R, R), (8, R, G, R), (3, R, Y, R), (2, R, R, R),
]  # fmt: skip


def test_lawful_lights_are_not_reported():
    assert judge(*LAWFUL, *LAWFUL) == []


@pytest.mark.parametrize(
    ("at", "block", "expected"),
    [
        (1, (5, G, R, P), [("min_green", 0, -1), ("min_green", 2, -1)]),
        (2, (2, Y, R, Y), [("yellow", 0, -1), ("yellow", 2, -1)]),
        (2, (4, Y, R, Y), [("yellow", 0, -1), ("yellow", 2, -1)]),
        (3, (1, R, R, R), [("intergreen", 1, 0)]),
        (1, (8, G, R, G), [("conflict", 0, 2)]),
        (4, (8, G, G, R), [("conflict", 0, 1), ("sequence", 0, -1)]),
        (6, (40, R, R, R), [("max_red", 0, -1), ("max_red", 2, -1), ("max_red", 1, -1)]),
        (2, (3, R, R, Y), [("sequence", 0, -1)]),  # green straight to red
        (0, (2, Y, R, R), [("sequence", 0, -1)]),  # yellow to green
    ],
)
def test_each_rule_is_caught_when_broken(at, block, expected):
    blocks = [*LAWFUL]
    blocks[at] = block
    assert judge(*blocks) == expected


def test_yellow_of_one_and_green_of_the_other_is_an_intergreen_of_nothing():
    assert ("intergreen", 1, 0) in judge((2, R, R, R), (8, G, R, R), (2, Y, R, R), (8, Y, G, R))


def test_red_counts_only_while_somebody_waits_where_that_is_told():
    monitor = PhaseMonitor(RULES)
    for second in range(100):
        monitor.step(second * S, (R, R, R), (second >= 60, False, False))
    # Group 0 waits from 60 s on: 30 s are over after 90 s, and it is said once.
    assert [(v.t_ns // S, v.rule, v.group) for v in monitor.violations] == [(91, "max_red", 0)]


def test_a_green_seen_from_its_middle_is_not_judged_too_short():
    assert judge((3, G, R, R), (3, Y, R, R), (2, R, R, R)) == []


def test_dark_heads_are_not_green():
    assert judge((5, DARK, G, R), (3, DARK, Y, R), (2, DARK, R, R)) == []
