"""The controller as an object table: what can be read, what can be written, what is refused, and that it stays safe."""

from __future__ import annotations

import re

import pytest

from protocols.errors import CodecError
from protocols.messages import Light
from roadside.signals.objects import ObjectTable, object_rows
from tests.roadside.signals.crossroads_plans import group, plan
from tests.roadside.signals.deep_plans import Drive, coordinated, ring_plan, timed

REMOTE = {"remote": True, "commit_s": 4.0}
R, G = int(Light.RED), int(Light.GREEN_PROTECTED)


def table(**changes) -> tuple[Drive, ObjectTable]:
    """A fixed plan with a second one, under remote control."""
    drive = Drive(plan(plans=[timed(offset_s=10.0)], operation=REMOTE, **changes))
    return drive, ObjectTable(drive.cabinet)


def test_every_object_has_an_address_of_its_own_a_source_and_a_confidence():
    rows = object_rows()
    assert len({row.address for row in rows}) == len(rows) >= 45
    assert {row.confidence for row in rows} == {"reported", "recalled"}
    assert all(row.source and row.what for row in rows)


def test_every_readable_object_answers_for_its_first_and_last_element():
    drive = Drive(
        ring_plan(
            plans=[coordinated()],
            schedule=[{"at_s": 0.0, "run": "am"}],
            operation=REMOTE,
        )
    )
    drive.seconds(20.0)
    objects = ObjectTable(drive.cabinet)
    sizes = {"one": 1, "group": 12, "stage": 8, "plan": 1, "ring": 2, "entry": 1, "pair": 144, "plan_stage": 8}  # fmt: skip
    for row in object_rows():
        size = sizes[row.element]
        if "r" in row.access:
            for element in (1, size):
                assert isinstance(objects.get(*row.address, element), (int, str))
        with pytest.raises(CodecError, match=f"found element {size + 1}; expected 1 to {size}"):
            if "r" in row.access:
                objects.get(*row.address, size + 1)
            else:
                objects.set(*row.address, 1, size + 1)


def test_values_are_those_of_the_plan_in_tenths_of_a_second():
    drive, objects = table()
    drive.seconds(5.0)
    assert objects.get(9, 1, 0) == 2
    assert [objects.get(9, 2, 1, n) for n in (1, 2)] == ["base", "long"]
    assert [objects.get(9, 2, 2, n) for n in (1, 2)] == [840, 1040]
    assert objects.get(9, 3, 1, 1) == 310  # split of the first stage of the base plan
    assert objects.get(4, 2, 0x1B, group("E.through") + 1) == 70
    assert objects.get(13, 1, 1) == 0x21  # fixed cycle
    assert objects.get(13, 2, 1) == 1
    assert objects.get(13, 2, 2) == 49
    assert objects.get(13, 3, 1, group("E.through") + 1) == 0x20
    assert objects.get(13, 3, 1, group("N.through") + 1) == 0x10
    mask = objects.get(7, 1, 1, group("E.through") + 1)
    assert isinstance(mask, int)
    assert mask >> group("N.through") & 1
    assert not mask >> group("W.through") & 1


def test_a_mode_and_a_plan_that_are_set_come_through_the_safe_transitions():
    drive, objects = table()
    drive.seconds(20.0)
    objects.set(17, 1, 4, 0x31)
    drive.seconds(60.0)
    assert objects.get(13, 1, 1) == 0x31
    objects.set(17, 1, 4, 0x20)
    objects.set(17, 1, 3, 2)
    drive.seconds(400.0)
    assert objects.get(13, 1, 2) == 2
    assert objects.get(17, 1, 3) == 2
    assert drive.monitor.violations == []


def test_an_offset_that_is_set_is_met_by_the_usual_transition():
    drive, objects = table()
    drive.seconds(20.0)
    objects.set(9, 2, 3, 200, element=1)
    drive.seconds(900.0)
    assert objects.get(9, 2, 3, 1) == 200
    starts = [t for t, light in drive.changes("E.through") if light == G]
    assert starts[-1] % 84.0 == 20.0
    assert drive.monitor.violations == []


def test_a_forced_stage_is_held_until_another_value_and_force_off_and_skip_act_once():
    drive, objects = table()
    drive.seconds(5.0)
    objects.set(17, 1, 2, 1)
    drive.seconds(150.0)
    assert objects.get(17, 1, 2) == 1
    assert drive.changes("E.through") == [(0.0, G)]
    objects.set(17, 1, 2, 0)
    objects.set(18, 1, 2, 2)  # leave the left turns out
    drive.seconds(190.0)
    lefts = [t for t, light in drive.changes("E.left") if light == G]
    assert lefts == []
    objects.set(18, 1, 1, 3)
    drive.seconds(400.0)
    assert drive.monitor.violations == []


def test_a_detector_taken_out_of_use_is_recalled():
    drive = Drive(plan("actuated", operation=REMOTE))
    objects = ObjectTable(drive.cabinet)
    drive.seconds(20.0)
    assert objects.get(5, 2, 1, group("N.left") + 1) == 0
    objects.set(5, 2, 2, 1, element=group("N.left") + 1)
    drive.seconds(60.0)
    assert objects.get(5, 2, 1, group("N.left") + 1) == 1
    assert [light for _, light in drive.changes("N.left")][:2] == [R, G]
    assert objects.get(16, 1, 1) == 1 << group("N.left")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda o: o.get(4, 9, 9), "found class 4 object 9 attribute 9; expected one of 1.0 phase.count"),
        (lambda o: o.get(40, 1, 1), "expected one of the classes [1, 2, 3, 4"),
        (lambda o: o.get(18, 1, 1), "control.force_off: found a query; expected a set"),
        (lambda o: o.set(9, 2, 2, 900), "plan.cycle: found a set; expected a query"),
        (lambda o: o.set(9, 2, 3, 840), "plan.offset: found 840; expected 0 to 839"),
        (lambda o: o.set(17, 1, 4, 0x77), "control.mode: found 0x77; expected one of 0x20 normal, 0x31 flash_yellow"),
        (lambda o: o.set(17, 1, 3, 0), "control.plan: found 0; expected 1 to 2"),
        (lambda o: o.set(18, 1, 2, 5), "control.skip: found 5; expected 1 to 4"),
        (lambda o: o.set(5, 2, 2, 2), "detector.disable: found 2; expected 0 to 1"),
    ],
)  # fmt: skip
def test_what_does_not_exist_or_fit_is_refused_with_found_and_expected(call, sentence):
    _, objects = table()
    with pytest.raises(CodecError, match=re.escape(sentence)):
        call(objects)
