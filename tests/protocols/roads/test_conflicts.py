"""Conflict areas against point clouds, and who waits on junctions drawn by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from protocols.roads import _conflict_kernels
from protocols.roads import conflicts as conflicts_module
from protocols.roads.conflicts import find_conflicts
from protocols.roads.network import ConflictKind, Conflicts, RightOfWay, UserClass
from tests.support.naive_roads import Strip, arc, body_overlap, flat_lanes, line

HALF_M = 1.4  # body half width of `protocols.roads.conflicts`
YIELD, EQUAL, PRIORITY = RightOfWay.YIELD, RightOfWay.EQUAL, RightOfWay.PRIORITY


def row_of(conflicts: Conflicts, a: int, b: int) -> int | None:
    rows = range(int(conflicts.start[a]), int(conflicts.start[a + 1]))
    return next((row for row in rows if conflicts.other[row] == b), None)


def right_of_way(conflicts: Conflicts, a: int, b: int) -> RightOfWay:
    row = row_of(conflicts, a, b)
    assert row is not None
    return RightOfWay(conflicts.right_of_way[row])


def test_two_roads_at_a_right_angle_meet_over_their_body_widths() -> None:
    strips = [Strip(line((-20, 0), (20, 0))), Strip(line((0, -15), (0, 15)))]
    conflicts = find_conflicts(*flat_lanes(strips))
    assert conflicts.other.tolist() == [1, 0]
    # Bodies 2.8 m wide: the eastbound one is inside from x = -1.4 to 1.4, 20 m along its lane.
    assert conflicts.s_in_m == pytest.approx([18.6, 13.6])
    assert conflicts.s_out_m == pytest.approx([21.4, 16.4])
    assert conflicts.other_in_m == pytest.approx([13.6, 18.6])
    assert conflicts.other_out_m == pytest.approx([16.4, 21.4])
    assert set(conflicts.kind.tolist()) == {ConflictKind.CROSSING}


def test_a_crossing_at_45_degrees_takes_a_longer_way() -> None:
    strips = [Strip(line((-20, 0), (20, 0))), Strip(line((-15, -15), (15, 15), 7.0))]
    conflicts = find_conflicts(*flat_lanes(strips))
    # Two strips of half width h under 45 degrees: the rhombus reaches h (1 + sqrt 2) either way.
    reach_m = HALF_M * (1 + 2**0.5)
    assert conflicts.s_in_m[0] == pytest.approx(20 - reach_m)
    assert conflicts.s_out_m[0] == pytest.approx(20 + reach_m)


def test_the_sampling_step_does_not_move_the_conflict_of_straight_lanes() -> None:
    coarse = [Strip(line((-20, 1), (20, 3), 40)), Strip(line((3, -15), (0, 15), 40))]
    fine = [Strip(line((-20, 1), (20, 3), 0.5)), Strip(line((3, -15), (0, 15), 0.5))]
    a, b = find_conflicts(*flat_lanes(coarse)), find_conflicts(*flat_lanes(fine))
    assert a.s_in_m == pytest.approx(b.s_in_m, abs=1e-9)
    assert a.other_out_m == pytest.approx(b.other_out_m, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_curved_bodies_overlap_where_a_cloud_of_points_says(seed: int) -> None:
    draw = np.random.default_rng(seed)
    ways = []
    for _ in range(2):
        turn = draw.uniform(40, 110) * draw.choice([-1, 1])
        begin = draw.uniform(-180, 180)
        centre = (draw.uniform(-8, 8), draw.uniform(-8, 8))
        ways.append(arc(centre, draw.uniform(9, 22), begin, begin + turn, num=120))
    widths = draw.uniform(2.0, 4.0, 2)
    halves = [min(HALF_M, width / 2 - 0.05) for width in widths]
    strips = [Strip(way, width_m=width) for way, width in zip(ways, widths, strict=True)]
    conflicts = find_conflicts(*flat_lanes(strips))
    expected = [
        body_overlap(ways[0], ways[1], halves[0], halves[1]),
        body_overlap(ways[1], ways[0], halves[1], halves[0]),
    ]
    if expected[0] is None or expected[1] is None:
        assert conflicts.other.size == 0
        return
    for a in (0, 1):
        row = row_of(conflicts, a, 1 - a)
        assert row is not None
        # The cloud has a 4 cm grain, and a bend's polygon and its band differ at the corners.
        assert conflicts.s_in_m[row] == pytest.approx(expected[a][0], abs=0.25)
        assert conflicts.s_out_m[row] == pytest.approx(expected[a][1], abs=0.25)


def test_neighbours_and_distant_lanes_do_not_meet() -> None:
    strips = [
        Strip(line((0, 0), (30, 0)), road=0, section=0, odr_id=-1, width_m=2.5),
        Strip(line((0, -2.5), (30, -2.5)), road=0, section=0, odr_id=-2, width_m=2.5),
        Strip(line((0, 2.8), (30, 2.8)), width_m=3.0),  # bodies 2.8 m wide just touch
        Strip(line((0, 40), (30, 40))),
    ]
    assert find_conflicts(*flat_lanes(strips)).other.size == 0


def test_lanes_of_pedestrians_are_left_out() -> None:
    strips = [
        Strip(line((-20, 0), (20, 0))),
        Strip(line((0, -15), (0, 15)), permission=int(UserClass.PEDESTRIAN)),
    ]
    assert find_conflicts(*flat_lanes(strips)).other.size == 0


def test_lanes_to_one_lane_merge_and_lanes_from_one_lane_diverge() -> None:
    strips = [
        Strip(line((-20, 0), (20, 0)), before=(3,), after=(4,)),
        Strip(arc((20, -20), 20, 180, 90), before=(5,), after=(4,)),  # from the south, right turn
        Strip(arc((-20, -20), 20, 90, 0), before=(3,), after=(6,)),  # right turn to the south
        Strip(line((-50, 0), (-20, 0)), junction=-1),
        Strip(line((20, 0), (50, 0)), junction=-1),
        Strip(line((0, -50), (0, -20)), junction=-1),
        Strip(line((0, -20), (0, -50)), junction=-1),
    ]
    conflicts = find_conflicts(*flat_lanes(strips))
    merge, diverge = row_of(conflicts, 0, 1), row_of(conflicts, 0, 2)
    assert merge is not None and diverge is not None
    assert conflicts.kind[merge] == ConflictKind.MERGING
    assert conflicts.s_out_m[merge] == pytest.approx(40.0)
    assert conflicts.right_of_way[merge] == PRIORITY  # straight on before the turn
    assert right_of_way(conflicts, 1, 0) == YIELD
    assert conflicts.kind[diverge] == ConflictKind.DIVERGING
    assert conflicts.s_in_m[diverge] == pytest.approx(0.0)
    assert conflicts.right_of_way[diverge] == EQUAL


def crossroads() -> list[Strip]:
    """Right-hand traffic; 0 east straight, 1 west straight, 2 east's left turn, 3 west's right turn,

    4 north straight, 5 west's left turn.
    """
    return [
        Strip(line((-20, -2), (20, -2))),
        Strip(line((20, 2), (-20, 2))),
        Strip(arc((-20, 20), 22, -90, 0)),  # (-20, -2) to (2, 20)
        Strip(arc((20, 20), 18, -90, -180)),  # (20, 2) to (2, 20)
        Strip(line((2, -20), (2, 20))),
        Strip(arc((20, -20), 22, 90, 180)),  # (20, 2) to (-2, -20)
    ]


def test_a_left_turn_waits_for_oncoming_traffic() -> None:
    conflicts = find_conflicts(*flat_lanes(crossroads()))
    assert right_of_way(conflicts, 2, 1) == YIELD
    assert right_of_way(conflicts, 1, 2) == PRIORITY
    assert right_of_way(conflicts, 2, 3) == YIELD  # the oncoming right turn
    assert right_of_way(conflicts, 3, 2) == PRIORITY


def test_equal_straight_ways_are_left_to_the_right_hand_rule() -> None:
    conflicts = find_conflicts(*flat_lanes(crossroads()))
    assert right_of_way(conflicts, 0, 4) == EQUAL
    assert right_of_way(conflicts, 4, 1) == EQUAL


def test_straight_on_goes_before_a_turn_from_the_side() -> None:
    conflicts = find_conflicts(*flat_lanes(crossroads()))
    assert right_of_way(conflicts, 2, 4) == YIELD
    assert right_of_way(conflicts, 4, 3) == PRIORITY


def mirrored(strip: Strip) -> Strip:
    return replace(strip, xy=[(x, -y) for x, y in strip.xy], odr_id=1)


def test_left_hand_traffic_is_the_mirror_image() -> None:
    right = find_conflicts(*flat_lanes(crossroads()))
    left = find_conflicts(*flat_lanes([mirrored(strip) for strip in crossroads()]))
    assert left.other.tolist() == right.other.tolist()
    assert left.right_of_way.tolist() == right.right_of_way.tolist()
    assert left.s_in_m == pytest.approx(right.s_in_m, abs=1e-9)


def test_turning_the_whole_junction_changes_nothing() -> None:
    c, s = np.cos(2.0), np.sin(2.0)
    turned = [
        replace(strip, xy=[(c * x - s * y + 900.0, s * x + c * y - 70.0) for x, y in strip.xy])
        for strip in crossroads()
    ]
    a, b = find_conflicts(*flat_lanes(crossroads())), find_conflicts(*flat_lanes(turned))
    assert a.other.tolist() == b.other.tolist()
    assert a.right_of_way.tolist() == b.right_of_way.tolist()
    assert a.s_in_m == pytest.approx(b.s_in_m, abs=1e-6)


def test_a_sign_outranks_the_turning_rules_and_a_priority_record_outranks_the_sign() -> None:
    signs = np.zeros(6, dtype=np.uint8)
    signs[1] = 2  # the westbound straight way has a yield sign
    lanes, points, junctions = flat_lanes(crossroads())
    signed = find_conflicts(lanes, points, junctions, sign_kind=signs)
    assert right_of_way(signed, 1, 2) == YIELD
    assert right_of_way(signed, 2, 1) == PRIORITY
    assert right_of_way(signed, 2, 3) == YIELD  # neither has a sign: turning rules
    recorded = find_conflicts(
        lanes, points, junctions, priority=np.asarray([[1, 2]], np.int32), sign_kind=signs
    )
    assert right_of_way(recorded, 1, 2) == PRIORITY
    assert right_of_way(recorded, 1, 4) == YIELD


def test_a_priority_record_may_name_the_incoming_roads() -> None:
    strips = crossroads()
    strips[0] = replace(strips[0], before=(6,))
    strips[4] = replace(strips[4], before=(7,))
    strips += [
        Strip(line((-50, -2), (-20, -2)), junction=-1),
        Strip(line((2, -50), (2, -20)), junction=-1),
    ]
    lanes, points, junctions = flat_lanes(strips)
    conflicts = find_conflicts(
        lanes, points, junctions, priority=np.asarray([[7, 6]], dtype=np.int32)
    )
    assert right_of_way(conflicts, 0, 4) == YIELD
    assert right_of_way(conflicts, 4, 0) == PRIORITY


def test_a_sign_on_the_approach_counts_for_the_way_it_leads_to() -> None:
    strips = crossroads()
    strips[4] = replace(strips[4], before=(6,))
    strips.append(Strip(line((2, -50), (2, -20)), junction=-1))
    signs = np.zeros(7, dtype=np.uint8)
    signs[6] = 1
    conflicts = find_conflicts(*flat_lanes(strips), sign_kind=signs)
    assert right_of_way(conflicts, 4, 0) == YIELD
    assert right_of_way(conflicts, 4, 2) == YIELD


def test_every_row_has_its_mirror_row() -> None:
    conflicts = find_conflicts(*flat_lanes(crossroads()))
    for a in range(6):
        for row in range(conflicts.start[a], conflicts.start[a + 1]):
            b = int(conflicts.other[row])
            twin = row_of(conflicts, b, a)
            assert twin is not None
            assert conflicts.s_in_m[twin] == conflicts.other_in_m[row]
            assert conflicts.s_out_m[twin] == conflicts.other_out_m[row]
            assert conflicts.right_of_way[twin] == 2 - conflicts.right_of_way[row]


def test_the_compiled_kernel_equals_its_python_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes, points, junctions = flat_lanes(crossroads())
    compiled = find_conflicts(lanes, points, junctions)
    plain = SimpleNamespace(overlaps=_conflict_kernels.overlaps.py_func)
    monkeypatch.setattr(conflicts_module, "_conflict_kernels", plain)
    twin = find_conflicts(lanes, points, junctions)
    assert compiled.other.size > 10
    assert compiled.other.tolist() == twin.other.tolist()
    # A fused multiply-add may differ in the last bit; nothing may be larger than that.
    np.testing.assert_allclose(compiled.s_in_m, twin.s_in_m, rtol=0, atol=1e-12)
    np.testing.assert_allclose(compiled.s_out_m, twin.s_out_m, rtol=0, atol=1e-12)
