"""Plans by the clock, transitions, modes, commands: what a cabinet does when it is told to do something else."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from protocols.errors import CodecError
from protocols.messages import Light
from roadside.signals import (
    Forecaster,
    SignalControllerUnit,
    SignalPlan,
    signal_forecaster,
    signal_machine,
)
from roadside.signals.cabinet import Act, Cabinet, Command
from roadside.signals.greenwave import band_s, one_way, two_way
from roadside.signals.outlook import Outlook
from tests.roadside.signals.crossroads_plans import STEP_NS, controller, group, network, plan
from tests.roadside.signals.deep_plans import Drive, cabinet, coordinated, ring_plan, timed

DARK, R, FR, G, Y, FY = (
    int(Light.DARK), int(Light.RED), int(Light.FLASHING_RED), int(Light.GREEN_PROTECTED),
    int(Light.YELLOW), int(Light.FLASHING_YELLOW),
)  # fmt: skip
QUIET = [False] * 12
REMOTE = {"remote": True, "commit_s": 4.0}


@pytest.mark.parametrize("offset_s", [0.0, 17.3, 64.0])
def test_a_cabinet_shows_and_foretells_what_the_plain_controller_does(offset_s):
    """The same fixed plan on both machines, which share no code: lights, their ages and forecasts are equal."""
    plain, deep = controller(plan(offset_s=offset_s)), cabinet(plan(offset_s=offset_s))
    old, new = Forecaster(plain), Outlook(deep)
    for step in range(2 * 840):
        t_ns = step * STEP_NS
        assert plain.step(t_ns, QUIET, QUIET).tolist() == deep.step(t_ns, QUIET, QUIET).tolist()
        assert plain.since_ns == deep.since_ns
        if step % 13 == 0:
            assert old.forecast() == new.forecast()


def test_plain_plans_keep_their_plain_controller_and_others_get_a_cabinet():
    assert not isinstance(signal_machine(network(), plan()), Cabinet)
    assert not isinstance(signal_machine(network(), plan("actuated")), Cabinet)
    with pytest.raises(ValueError, match="build its machine with signal_machine"):
        controller(ring_plan())
    for deep in (plan(plans=[timed()]), plan(operation={}), ring_plan()):
        assert isinstance(signal_machine(network(), deep), Cabinet)
        assert not deep.is_clockwork
    assert isinstance(signal_forecaster(cabinet(ring_plan())), Outlook)
    assert isinstance(SignalControllerUnit(network(), ring_plan(), 100).controller, Cabinet)


def test_running_ahead_by_events_is_the_same_as_step_by_step():
    """The forecast's copy jumps from event to event; the original walks. Nothing may fall between two events."""
    for deep in (
        plan(plans=[timed(offset_s=30.0)], schedule=[{"at_s": 100.0, "run": "long"}]),
        ring_plan(plans=[coordinated()], schedule=[{"at_s": 0.0, "run": "am"}]),
        plan(operation={"start_up": ("flash", "all_red")}, schedule=[{"at_s": 90.0, "run": "dark"}]),
    ):  # fmt: skip
        walks, jumps = Drive(deep), cabinet(deep)
        loops = walks.has_detector
        walks.step()
        jumps.step(0, QUIET, QUIET, (), loops)
        told: dict[int, list[int]] = {0: list(jumps.light)}
        while jumps.t_ns < 400 * 10 * STEP_NS:
            jumps.advance(jumps.next_event_ns())
            told[jumps.t_ns] = list(jumps.light)
        walks.seconds(400.0)
        shown = told[0]
        for t_ns, light in walks.lights:
            shown = told.get(t_ns, shown)
            assert light == shown, f"at {t_ns / 1e9} s"


def starts(drive: Drive, name: str = "E.through") -> list[float]:
    """Seconds at which greens began."""
    return [t for t, light in drive.changes(name) if light == G]


@pytest.mark.parametrize(("method", "cycles"), [("shortway", 6), ("dwell", 9)])
def test_a_plan_change_comes_into_step_within_its_shares_and_breaks_no_rule(method, cycles):
    # From the base plan (84 s, offset 0) to 104 s with offset 40 s, at the first cycle after 200 s.
    deep = plan(
        plans=[timed(offset_s=40.0)],
        schedule=[{"at_s": 200.0, "run": "long"}],
        transition={"method": method},
    )
    drive = Drive(deep)
    drive.seconds(1800.0)
    assert drive.monitor.violations == []
    begun = starts(drive)
    assert begun[:4] == [0.0, 84.0, 168.0, 252.0]
    late = [round((t - 40.0) % 104.0, 1) for t in begun[3:]]
    assert late[cycles:] == [0.0] * len(late[cycles:])
    lengths = [b - a for a, b in pairwise(begun[3:])]
    # At most 20 % longer or 17 % shorter than 104 s; dwelling never shortens.
    assert max(lengths) <= 104.0 * 1.2 + 0.05
    assert min(lengths) >= (104.0 if method == "dwell" else 104.0 * 0.83) - 0.05
    assert (
        late[0] == 4.0
    )  # 252 s is 4 s behind 40 + 2 x 104 s: shortway goes back, dwell all the way round


def test_the_day_repeats_where_it_is_said_to():
    deep = plan(
        plans=[timed()],
        schedule=[{"at_s": 6 * 3600.0, "run": "long"}, {"at_s": 22 * 3600.0, "run": "base"}],
        operation={"is_daily": True, "day_start_s": 21.9 * 3600.0},
    )
    day = cabinet(deep)
    day.step(0, QUIET, QUIET)
    assert day.plan_name == "long"
    while day.t_ns < 1200 * 10**9:  # 22:14
        day.advance(day.next_event_ns())
    assert day.plan_name == "base"
    while day.t_ns < 9 * 3600 * 10**9:  # the next morning
        day.advance(day.next_event_ns())
    assert day.plan_name == "long"


def test_start_up_flashes_then_is_red_then_begins():
    drive = Drive(plan(operation={"start_up": ("flash", "all_red")}))
    drive.seconds(60.0)
    # GB 25280 order: 10 s flashing yellow, 5 s all red. 15 s behind its offset, the first cycle gives up 14.2 s (17 %), of
    # which the first stage with 9.3 of 16.6 s above the floors carries 7.9 s and what rounding leaves, 0.2 s.
    assert drive.changes("E.through")[:4] == [(0.0, FY), (10.0, R), (15.0, G), (32.9, Y)]
    assert drive.changes("N.ped")[:3] == [(0.0, DARK), (10.0, R), (15.0, G)]
    assert drive.monitor.violations == []


@pytest.mark.parametrize(("mode", "main", "side"), [
    ("flash_yellow", FY, FY), ("flash_red", FY, FR), ("dark", DARK, DARK),
])  # fmt: skip
def test_modes_begin_and_end_in_all_red(mode, main, side):
    deep = plan(
        operation={"red_flash_groups": ("N.through", "S.through", "N.left", "S.left")},
        schedule=[{"at_s": 10.0, "run": mode}, {"at_s": 60.0, "run": "normal"}],
    )
    drive = Drive(deep)
    drive.seconds(100.0)
    assert drive.monitor.violations == []
    # At 10 s people on the N crossing walk (since 0 s): clearance 11.7 s, yellow 3 s, all-red 2 s.
    assert drive.changes("E.through")[:4] == [(0.0, G), (21.7, Y), (24.7, R), (26.8, main)]
    assert drive.changes("N.through")[1] == (26.8, side)
    assert drive.changes("E.through")[4:6] == [(60.0, R), (65.0, G)]


def test_commands_act_after_the_commit_time_and_say_what_they_do_not_know():
    drive = Drive(plan(plans=[timed()], operation=REMOTE))
    drive.seconds(5.0)
    drive.cabinet.command(Command(Act.FORCE_OFF, "ew"))
    drive.seconds(60.0)
    # Given at 4.9 s (the last step), it acts at 8.9 s: people clear until 20.6 s.
    assert drive.changes("N.ped")[1] == (8.9, Y)
    assert drive.changes("E.through")[1][0] == pytest.approx(20.6)
    for wrong, sentence in (
        (Command(Act.RUN, "noon"), "found 'noon'; expected a mode or plan: normal, flash_yellow"),
        (Command(Act.HOLD, "9"), "found phase '9'; expected one of ew, ew_left, ns, ns_left"),
    ):
        with pytest.raises(CodecError, match=re.escape(sentence)):
            drive.cabinet.command(wrong)
    with pytest.raises(CodecError, match="takes no commands"):
        cabinet(plan(operation={})).command(Command(Act.RUN, "dark"))


def test_hold_keeps_a_phase_and_skip_leaves_it_out_once():
    drive = Drive(plan("actuated", operation=REMOTE))
    drive.seconds(0.1)
    drive.cabinet.command(Command(Act.HOLD, "ew"))
    drive.seconds(100.0, ("N.through", "N.left"))
    assert drive.changes("E.through") == [(0.0, G)]
    drive.cabinet.command(Command(Act.RELEASE, "ew"))
    drive.cabinet.command(Command(Act.SKIP, "ns"))
    drive.seconds(120.0, ("N.through", "N.left"))
    assert drive.changes("E.through")[1] == (103.9, Y)
    assert starts(drive, "N.left") == [108.9]
    assert starts(drive, "N.through") == []


def test_a_commanded_plan_change_never_breaks_what_is_certain():
    drive = Drive(plan(plans=[timed(offset_s=50.0)], operation=REMOTE), with_forecast=True)
    certain: dict[tuple[int, int], int] = {}
    for step in range(6000):
        drive.step()
        if step in (1500, 3300):
            drive.cabinet.command(Command(Act.RUN, "long" if step == 1500 else "base"))
        for k, row in enumerate(drive.said[-1]):
            if row.min_end_ns is not None and row.min_end_ns == row.max_end_ns:
                begun = drive.cabinet.since_ns[k]
                assert certain.setdefault((k, begun), row.min_end_ns) == row.min_end_ns
    assert len(certain) > 200


def test_a_green_wave_meets_green_at_every_junction():
    # 500 m at 10 m/s are 50 s: offsets 0, 50, 100 and 150 mod 80 = 70 s.
    assert one_way((0.0, 500.0, 1000.0, 1500.0), 10.0, 80.0) == (0.0, 50.0, 20.0, 70.0)
    offsets = one_way((0.0, 430.0, 900.0), 12.0, 90.0, first_s=5.0)
    assert band_s(offsets, (0.0, 430.0, 900.0), 12.0, 90.0, (40.0, 35.0, 40.0)) == pytest.approx(
        35.0
    )
    # 400 m at 10 m/s are half a cycle of 80 s: alternating offsets serve both directions with the full band.
    wave = two_way((0.0, 400.0, 800.0), 10.0, 80.0, (40.0, 40.0, 40.0))
    assert wave.offset_s == (0.0, 40.0, 0.0)
    assert wave.outbound_s == wave.inbound_s == pytest.approx(40.0)
    with pytest.raises(ValueError, match="expected both to be above 0"):
        one_way((0.0,), 0.0, 80.0)


def test_forced_detectors_are_recalled_and_found_in_the_watch():
    drive = Drive(plan("actuated", operation={"silent_s": 30.0}))
    drive.seconds(60.0)
    # Without traffic anywhere every loop is silent for 30 s: all phases are recalled, the junction cycles.
    assert all(drive.cabinet.detectors.failed[k] for k in (group("N.through"), group("E.left")))
    drive.seconds(200.0)
    assert len(starts(drive, "N.left")) >= 1


def test_the_examples_of_the_handbook_are_plans():
    """Every TOML block of docs/signals.md has the keys of a plan, and their values are valid."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "signals.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        body = block if block.startswith("[[signals]]") else "[[signals]]\n" + block
        (table,) = tomllib.loads(body)["signals"]
        for key, value in table.items():
            field = SignalPlan.model_fields[key]
            if key == "rings":
                value["barriers"] = [[["1", "2"]]]  # the example leaves six phases out
            TypeAdapter(field.annotation).validate_python(value)
