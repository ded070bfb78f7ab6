"""Who may use a lane: bus lanes by type and by rule, allow and deny, old and new spelling."""

from pathlib import Path

import pytest

from protocols.roads.network import MOTOR, UserClass
from scenarios.formats.opendrive import read
from tests.support import xodr

BUS_ONLY = UserClass.BUS | UserClass.EMERGENCY
EVERYONE = MOTOR | UserClass.BICYCLE


def admitted(tmp_path: Path, access: str, kind: str = "driving") -> UserClass:
    path = xodr.write(tmp_path, xodr.road(sections=xodr.section("", xodr.lane(-1, access, kind))))
    return UserClass(int(read(path).lanes.permission[0]))


def test_a_bus_lane_is_the_same_by_type_by_old_rule_and_by_new_rule(tmp_path: Path) -> None:
    old = '<access sOffset="0" rule="allow" restriction="bus"/>'
    new = '<access sOffset="0" rule="allow"><restriction type="bus"/></access>'
    assert admitted(tmp_path, "", "bus") == BUS_ONLY
    assert admitted(tmp_path, old) == BUS_ONLY
    assert admitted(tmp_path, new) == BUS_ONLY


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("driving", EVERYONE),
        ("biking", UserClass.BICYCLE),
        ("sidewalk", UserClass.PEDESTRIAN),
        ("walking", UserClass.PEDESTRIAN),
        ("shared", UserClass.BICYCLE | UserClass.PEDESTRIAN),
        ("taxi", UserClass.TAXI | UserClass.EMERGENCY),
        ("tram", UserClass.TRAM),
        ("median", UserClass(0)),
        ("mwyEntry", MOTOR),
    ],
)
def test_lane_type_alone(tmp_path: Path, kind: str, classes: UserClass) -> None:
    assert admitted(tmp_path, "", kind) == classes


@pytest.mark.parametrize(
    ("access", "classes"),
    [
        ('<access rule="deny" restriction="truck"/>', EVERYONE & ~UserClass.TRUCK),
        ('<access restriction="pedestrian"/>', EVERYONE),  # 1.4: denies who was not there
        ('<access restriction="bicycle"/>', EVERYONE & ~UserClass.BICYCLE),
        ('<access rule="deny" restriction="none"/>', EVERYONE),
        ('<access rule="allow" restriction="none"/>', EVERYONE),
        ('<access rule="allow" restriction="simulator"/>', UserClass(0)),
        ('<access rule="allow" restriction="autonomous traffic"/>', UserClass.SHUTTLE | UserClass.EMERGENCY),
        ('<access rule="allow" restriction="autonomousTraffic"/>', UserClass.SHUTTLE | UserClass.EMERGENCY),
        ('<access rule="allow" restriction="bicycle"/>', UserClass.BICYCLE),
        (
            '<access rule="allow"><restriction type="bus"/><restriction type="taxi"/></access>',
            BUS_ONLY | UserClass.TAXI,
        ),
        (
            '<access rule="allow" restriction="bus"/><access rule="allow" restriction="taxi"/>',
            BUS_ONLY | UserClass.TAXI,
        ),
        (
            '<access rule="allow" restriction="bus"/><access rule="deny" restriction="emergency"/>',
            UserClass.BUS,
        ),
    ],
)  # fmt: skip
def test_access_rules(tmp_path: Path, access: str, classes: UserClass) -> None:
    assert admitted(tmp_path, access) == classes


def test_rules_may_open_a_lane_that_its_type_closes(tmp_path: Path) -> None:
    shuttle = '<access rule="allow" restriction="autonomousTraffic"/>'
    walkers = '<access rule="allow" restriction="pedestrian"/>'
    found = admitted(tmp_path, shuttle + walkers, "shared")
    assert found == UserClass.SHUTTLE | UserClass.PEDESTRIAN | UserClass.EMERGENCY


def test_rule_over_most_of_the_lane_counts_and_is_noted(tmp_path: Path) -> None:
    access = (
        '<access sOffset="0" rule="deny" restriction="truck"/>'
        '<access sOffset="30" rule="allow" restriction="bus"/>'
    )
    path = xodr.write(tmp_path, xodr.road(sections=xodr.section("", xodr.lane(-1, access))))
    net = read(path)
    assert UserClass(int(net.lanes.permission[0])) == BUS_ONLY  # 70 m of 100 m
    assert any("changes along a lane" in note for note in net.notes)


def test_unknown_names_close_nothing_and_are_noted(tmp_path: Path) -> None:
    access = '<access rule="allow" restriction="hovercraft"/>'
    path = xodr.write(tmp_path, xodr.road(sections=xodr.section("", xodr.lane(-1, access, "levitation"))))  # fmt: skip
    net = read(path)
    assert any("'hovercraft'" in note for note in net.notes)
    assert any("'levitation'" in note for note in net.notes)
    assert admitted(tmp_path, access) == EVERYONE
