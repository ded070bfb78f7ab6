"""Two rings and their barriers: who runs beside whom, when phases end, what a plan may say. Times are worked out by hand.

Change between conflicting phases: 3 s yellow and 2 s all-red. Minimum 7 s, passage 3 s, maximum 40 s.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from pydantic import ValidationError

from protocols.errors import ConfigError
from protocols.messages import Light
from roadside.signals import SignalPlan, compile_plan
from roadside.signals.phasetable import phase_table
from tests.roadside.signals.deep_plans import (
    BARRIERS,
    PHASES,
    SPLITS,
    Drive,
    coordinated,
    network,
    ring_plan,
)

R, Y, G = int(Light.RED), int(Light.YELLOW), int(Light.GREEN_PROTECTED)
EW = ("E.through", "W.through")
AM = [{"at_s": 0.0, "run": "am"}]


def test_each_ring_leaves_its_left_turn_by_itself_and_both_cross_the_barrier_together():
    drive = Drive(ring_plan())
    drive.seconds(0.1, ("E.left", "W.left", *EW, "N.left", "S.through"))
    drive.seconds(12.0, ("W.left",))  # only the other left turn goes on
    drive.seconds(60.0)
    # E.left gaps out at its minimum of 7 s, W.left 3 s after its last vehicle at 11.9 s.
    assert drive.changes("E.left")[:2] == [(0.0, G), (7.0, Y)]
    assert drive.changes("W.left")[:2] == [(0.0, G), (14.9, Y)]
    # W.through follows E.left in ring 1, E.through follows W.left in ring 2, each after its own change.
    assert drive.changes("W.through")[:2] == [(0.0, R), (12.0, G)]
    assert drive.changes("E.through")[:2] == [(0.0, R), (19.9, G)]
    # At the barrier W.through waits, green, for the minimum of E.through: 26.9 s.
    assert drive.changes("W.through")[2] == (26.9, Y)
    assert drive.changes("E.through")[2] == (26.9, Y)
    assert drive.changes("N.left")[1] == (31.9, G)
    assert drive.monitor.violations == []


@pytest.mark.parametrize(("dual", "expected"), [(True, G), (False, R)])
def test_dual_entry_gives_green_to_the_ring_nobody_called(dual, expected):
    drive = Drive(ring_plan(dual_entry=dual))
    drive.seconds(0.1, ("S.through",))
    drive.seconds(20.0)
    # The call for S.through comes while phases 2 and 6 rest; beside it 8 (N.through) has no call.
    assert drive.lights[-1][1][_k("S.through")] == G
    assert drive.lights[-1][1][_k("N.through")] == expected


def _k(name: str) -> int:
    from tests.roadside.signals.crossroads_plans import group

    return group(name)


def test_steady_traffic_is_cut_at_the_maximum_after_the_first_conflicting_call():
    drive = Drive(ring_plan())
    drive.seconds(20.0, EW)
    drive.seconds(70.0, (*EW, "N.through"))
    assert drive.changes("E.through")[:2] == [(0.0, G), (60.0, Y)]


def test_an_earlier_left_turn_has_another_turn_while_nobody_waits_behind_the_barrier():
    drive = Drive(ring_plan())
    drive.seconds(20.0, EW)
    drive.seconds(20.1, ("E.left", *EW))
    drive.seconds(30.0, ("E.through",))
    drive.seconds(60.0, EW)
    # Ring 1 goes from W.through (gap 3 s after 20.0 s) to E.left and back; E.through stays green all along.
    assert drive.changes("E.left") == [(0.0, R), (28.0, G), (35.0, Y), (38.0, R)]
    assert drive.changes("E.through") == [(0.0, G)]
    assert drive.monitor.violations == []


@pytest.mark.parametrize(("recall", "end"), [("min", 7.0), ("max", 40.0), ("ped", 16.7)])
def test_recalls_call_for_the_minimum_the_maximum_or_the_walk(recall, end):
    drive = Drive(ring_plan(recalls={"2": recall, "6": recall, "4": "min"}))
    drive.seconds(60.0)
    assert drive.changes("E.through")[:2] == [(0.0, G), (end, Y)]


def test_a_phase_whose_loop_fails_is_recalled():
    drive = Drive(ring_plan(operation={"stuck_on_s": 60.0}))
    drive.seconds(200.0, ("N.through",))  # its loop is stuck
    assert drive.cabinet.detectors.failed[_k("N.through")]
    drive.seconds(400.0, (*EW, "N.through"))
    # Recalled to its maximum of 40 s, it takes turns with the busy main road: 90 s a cycle.
    starts = [t for t, light in drive.changes("N.through") if light == G]
    assert [b - a for a, b in pairwise(starts)][-1:] == [90.0]


def test_coordinated_phases_hold_until_their_yield_point_and_others_are_forced_off():
    drive = Drive(ring_plan(plans=[coordinated()], schedule=AM))
    drive.seconds(160.0, tuple(f"{leg}.{kind}" for leg in "ENWS" for kind in ("left", "through")))
    # From 0 s: lefts 15 s (10 s green), through 27 s (22 s), N/S lefts 13 s, N/S through 25 s.
    assert drive.changes("E.left")[:3] == [(0.0, G), (10.0, Y), (13.0, R)]
    assert drive.changes("E.through")[1:3] == [(15.0, G), (37.0, Y)]
    assert drive.changes("N.left")[1:3] == [(42.0, G), (50.0, Y)]
    assert drive.changes("S.through")[1:3] == [(55.0, G), (75.0, Y)]
    assert drive.changes("E.left")[3] == (80.0, G)


def test_time_that_others_do_not_use_goes_to_the_coordinated_phases():
    drive = Drive(ring_plan(plans=[coordinated()], schedule=AM))
    drive.seconds(30.0)
    drive.seconds(30.1, ("N.left",))
    drive.seconds(160.0)
    # Yield at 37 s, N.left 42 s to its gap at 49 s, back to the main road at 54 s, 26 s before its own time.
    assert drive.changes("N.left")[1:3] == [(42.0, G), (49.0, Y)]
    assert drive.changes("E.through")[3:5] == [(40.0, R), (54.0, G)]


def test_a_call_that_no_longer_fits_waits_for_the_next_cycle():
    drive = Drive(ring_plan(plans=[coordinated()], schedule=AM))
    drive.seconds(39.0)
    # N.left has to be forced off at 50 s; called at 39 s it could begin at 44 s and would have 6 s, less than 7 s.
    drive.seconds(39.1, ("N.left",))
    drive.seconds(160.0)
    assert drive.changes("N.left")[1][0] == 122.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"split_s": {**SPLITS, "2": 25.0}}, "between barriers 0 and 1 the rings last 40.0 s and 42.0 s"),
        ({"cycle_s": 90.0}, "cycle_s = 90.0 s, but the splits add up to 80.0 s"),
        ({"split_s": {**SPLITS, "1": 11.0, "2": 31.0}}, "phase '1' has 11.0 s, but needs 7.0 s"),
        ({"coordinated": ("4",)}, "'4' is no phase of the first part"),
        ({"split_s": {"1": 40.0}}, "expected one split for every phase"),
    ],
)  # fmt: skip
def test_a_plan_that_does_not_add_up_is_refused_with_a_sentence(changes, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        phase_table(network(), ring_plan(plans=[{**coordinated(), **changes}]), "signals.0")


def test_phases_of_two_rings_that_conflict_are_found_in_the_map():
    # 1 (E.left) opposes W.through: with 5 and 6 exchanged for one another, 1 would run beside W.through.
    phases = [
        {"name": n, "groups": {"6": PHASES["2"], "2": PHASES["6"]}.get(n, g)}
        for n, g in PHASES.items()
    ]
    wrong = SignalPlan.model_validate(
        {
            "junction": "X",
            "mode": "ring_barrier",
            "rings": {"phases": phases, "barriers": BARRIERS},
        }
    )
    with pytest.raises(ConfigError, match=r"\('1\+6'\) gives green to .*, whose paths conflict"):
        compile_plan(network(), wrong)


@pytest.mark.parametrize(
    ("rings", "sentence"),
    [
        ({"barriers": [[["1", "2"], ["5"]]]}, "barriers have to hold every phase once; found '3'"),
        ({"barriers": [[["1", "2"], ["5", "6"]], [["3", "4", "7", "8"]]]}, "one list for each ring"),
        ({"barriers": [*BARRIERS, [[], []]]}, "holds no phase at all"),
    ],
)  # fmt: skip
def test_barriers_that_make_no_sense_are_refused(rings, sentence):
    phases = [{"name": n, "groups": g} for n, g in PHASES.items()]
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        SignalPlan.model_validate(
            {"junction": "X", "mode": "ring_barrier", "rings": {"phases": phases, **rings}}
        )


def test_stages_and_rings_do_not_go_together():
    with pytest.raises(ValidationError, match="go together"):
        SignalPlan.model_validate({"junction": "X", "mode": "ring_barrier"})
