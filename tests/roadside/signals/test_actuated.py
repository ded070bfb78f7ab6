"""Actuated control: gaps, maxima, skipped stages, rest in green, push buttons, and forecasts that come true."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from protocols.messages import Light
from roadside.signals import Forecaster
from tests.roadside.signals.crossroads_plans import STEP_NS, Drive, group, plan

R, Y, G = int(Light.RED), int(Light.YELLOW), int(Light.GREEN_PROTECTED)


def seconds(drive: Drive, start: float, end: float, occupied=(), pressed=()):
    """Drive from `start` to before `end` with the same demand."""
    for step in range(round(start * 10), round(end * 10)):
        drive.step(step * STEP_NS, occupied, pressed)


def test_green_rests_while_nobody_else_waits():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 300, ("E.through",))
    assert drive.changes("E.through") == [(0.0, G)]


def test_gap_ends_the_green_three_seconds_after_the_last_vehicle():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 12, ("E.through", "N.through"))  # last seen at 11.9 s
    seconds(drive, 12, 30)
    assert drive.changes("E.through") == [(0.0, G), (14.9, Y), (17.9, R)]
    # Left turns had no demand: after 3 s yellow and 2 s all-red comes NS at once.
    assert drive.changes("N.through") == [(0.0, R), (19.9, G)]
    assert drive.changes("E.left") == [(0.0, R)]


def test_steady_traffic_is_cut_at_the_maximum_after_the_first_call():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 20, ("E.through",))
    seconds(drive, 20, 70, ("E.through", "N.left"))
    # The call comes at 20 s, the maximum of 40 s runs from there.
    assert drive.changes("E.through")[:2] == [(0.0, G), (60.0, Y)]


def test_minimum_green_holds_without_any_traffic():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 0.1, ("S.through",))
    seconds(drive, 0.1, 30)
    assert drive.changes("E.through")[1] == (7.0, Y)


def test_push_button_is_served_with_full_walk_and_clearance():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 0.1, (), ("E.ped",))
    seconds(drive, 0.1, 40, ("W.left",))
    # EW ends at its minimum of 7 s; W.left has called, runs from 12 s and is cut at the end of its maximum only.
    assert drive.changes("W.left")[:2] == [(0.0, R), (12.0, G)]
    seconds(drive, 40, 120)
    walk = drive.changes("E.ped")
    assert [light for _, light in walk] == [R, G, Y, R]
    assert walk[2][0] - walk[1][0] == 5.0
    assert np.isclose(walk[3][0] - walk[2][0], 11.7)


def test_push_button_during_rest_in_the_own_stage_walks_at_once():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 50)
    seconds(drive, 50, 50.1, (), ("N.ped",))
    seconds(drive, 50.1, 80)
    assert drive.changes("N.ped") == [(0.0, R), (50.0, G), (55.0, Y), (66.7, R)]


def test_group_without_loops_is_served_in_every_cycle():
    drive = Drive(plan("actuated"))
    drive.has_detector[group("S.left")] = False
    seconds(drive, 0, 60)
    assert G in [light for _, light in drive.changes("S.left")]


def test_likely_ends_come_true_within_half_a_second_in_95_of_100():
    """Forecasts made in the last three seconds before a change, under random traffic."""
    rng = np.random.default_rng(7)
    drive = Drive(plan("actuated"))
    forecaster = Forecaster(drive.controller)
    names = [f"{leg}.{kind}" for leg in "ENWS" for kind in ("left", "through")]
    said, rows, bounds_hold = [], [], 0
    for step in range(12_000):
        t_ns = step * STEP_NS
        # Gap times of a moderately busy junction: platoons of passages 1.5-4 s apart.
        occupied = tuple(n for n in names if rng.random() < (0.04 if "left" in n else 0.06))
        pressed = ("N.ped",) if rng.random() < 0.003 else ()
        rows.append(drive.step(t_ns, occupied, pressed))
        said.append(forecaster.forecast())
    table = np.array(rows)
    for k in range(12):
        changes = np.flatnonzero(np.diff(table[:, k])) + 1
        for begin, end in pairwise(changes):
            lows = [said[n][k].min_end_ns for n in range(begin, end)]
            assert all(low is None or low <= end * STEP_NS for low in lows)  # a promise, all along
    errors = []
    for k in range(12):
        changes = np.flatnonzero(np.diff(table[:, k])) + 1
        for at in changes:
            for n in range(max(0, at - 30), at):
                row = said[n][k]
                if table[n, k] != table[at - 1, k]:
                    continue
                assert row.likely_end_ns is not None
                errors.append(abs(row.likely_end_ns - at * STEP_NS) / 1e9)
                low, high = row.min_end_ns, row.max_end_ns
                assert low is not None
                if low <= at * STEP_NS and (high is None or at * STEP_NS <= high):
                    bounds_hold += 1
    assert len(errors) > 5000
    assert np.percentile(errors, 95) <= 0.5
    assert bounds_hold >= 0.99 * len(errors)


def test_demand_of_a_stage_is_forgotten_once_it_has_been_served():
    drive = Drive(plan("actuated"))
    seconds(drive, 0, 0.1, ("N.through",))
    seconds(drive, 0.1, 200)
    # One call: EW 7 s, NS from 12 s on, and there it rests.
    assert drive.changes("N.through") == [(0.0, R), (12.0, G)]
    assert drive.changes("E.left") == [(0.0, R)]
