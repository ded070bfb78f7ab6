"""The referee of the lights: a planted violation is an event that a reader understands."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.judging import Event, EventKind
from protocols.messages import Light
from sim.signal_watch import RULES, SignalWatch
from tests.support.corridor import corridor_net, resolved

STEP = 100_000_000
GREEN, YELLOW, RED = Light.GREEN_PROTECTED, Light.YELLOW, Light.RED


def show(*phases: tuple[float, dict[str, Light]]) -> list[Event]:
    """Shows groups of J1 by name for so many seconds each, all others red; every event."""
    net = corridor_net()
    plan = next(p for p in resolved().plans.values() if p.junction == "J1")
    watch = SignalWatch(net, [plan])
    light = np.full(len(net.groups.id), RED, dtype=np.uint8)
    said: list[Event] = []
    t_ns = 0
    for lasts_s, lights in phases:
        light[:] = RED
        for name, value in lights.items():
            light[net.groups.name.index(f"J1.{name}")] = value
        for _ in range(round(lasts_s * 10)):
            said += watch.observe(t_ns, light)
            t_ns += STEP
    return said


def test_phases_as_planned_are_silent():
    assert show(
        (5, {}), (30, {"bus_east": GREEN}), (3, {"bus_east": YELLOW}), (10, {}),
        (38, {"side_north": GREEN}), (3, {"side_north": YELLOW}), (5, {}),
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("phases", "rule", "sentence"),
    [
        (((5, {}), (3, {"bus_east": GREEN}), (3, {"bus_east": YELLOW}), (1, {})), "min_green",
         "J1.bus_east was green for 3.0 s, at least "),
        (((5, {}), (30, {"bus_east": GREEN}), (1, {"bus_east": YELLOW}), (1, {})), "yellow",
         "J1.bus_east was yellow for 1.0 s instead of 3.0 s"),
        (((5, {}), (30, {"bus_east": GREEN}), (1, {})), "sequence",
         "J1.bus_east changed to a light that must not follow the one before"),
        (((5, {}), (1, {"bus_east": GREEN, "side_north": GREEN})), "conflict", " were green together"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_an_event_that_names_group_and_figures(phases, rule, sentence):
    event = show(*phases)[0]
    net = corridor_net()
    assert event.kind == EventKind.SIGNAL_RULE and RULES[int(event.value)] == rule
    assert sentence in event.text, event.text
    assert net.groups.name[event.other] in event.text


def test_a_green_too_soon_after_the_other_s_red_names_both():
    said = show(
        (5, {}), (30, {"bus_east": GREEN}), (3, {"bus_east": YELLOW}), (0.2, {}), (5, {"side_north": GREEN})
    )  # fmt: skip
    (event,) = [e for e in said if RULES[int(e.value)] == "intergreen" and "bus_east" in e.text]
    assert event.text.startswith("J1.side_north turned green 0.2 s after J1.bus_east turned red, ")
    assert event.t_ns == round((5 + 30 + 3 + 0.2) * 1e9)


def test_a_red_beyond_the_promised_longest_is_told_once():
    said = [e for e in show((300, {})) if RULES[int(e.value)] == "max_red"]
    groups = [e.other for e in said]
    assert len(groups) == len(set(groups))
    assert all("has been red for" in e.text for e in said)


def test_between_its_steps_the_watch_does_not_look():
    net = corridor_net()
    watch = SignalWatch(net, list(resolved().plans.values()))
    both = np.full(len(net.groups.id), GREEN, dtype=np.uint8)
    assert watch.observe(10_000_000, both) == []
    assert watch.observe(100_000_000, both) != []
