"""What a light asks for: pass, stop, ease off; fresh, stale and unheard SPAT; the dilemma at yellow."""

from __future__ import annotations

from math import inf

import pytest
from pytest import approx

from protocols.messages import Light, Maneuver, Map, MapLane, MapMovement, PhaseState, Spat
from vehicle.driving import DrivingConfig
from vehicle.driving.corridor import LineEvent
from vehicle.driving.signals import SignalBoard, Verdict, advise, seconds_to_cover

CONFIG = DrivingConfig()
S = 1_000_000_000
LINE = LineEvent(200.0, 3, 0, "1/0/-2", ("1/0/-2", "100/0/-1", "2/0/-2"))


def phase(
    light: Light, start_s: float = 0.0, end_s: float | None = None, likely_s: float | None = None,
    next_green_s: float | None = None,
) -> PhaseState:  # fmt: skip
    def ns(value: float | None) -> int | None:
        return None if value is None else int(value * S)

    return PhaseState(
        7, light, int(start_s * S), ns(end_s), ns(end_s), ns(likely_s), ns(next_green_s), None
    )


def movement_map(*pairs: tuple[str, str, int]) -> Map:
    lanes = tuple(
        MapLane(
            a, 3.5, None, 0, 0.0, 0.0, 0.0, (0.0,), (0.0,), (MapMovement(b, Maneuver.STRAIGHT, p),)
        )
        for a, b, p in pairs
    )
    return Map(0, 11, "J", 0.0, 0.0, lanes)


def test_the_phase_is_that_of_the_own_movement() -> None:
    board = SignalBoard()
    board.hear_map(
        movement_map(
            ("1/0/-2", "101/0/-1", 6), ("1/0/-3", "100/0/-1", 5), ("1/0/-2", "100/0/-1", 7)
        )
    )
    board.hear_spat(Spat(5 * S, 11, "J", (phase(Light.GREEN_PROTECTED),), False))
    assert board.movement(LINE) == (11, 7, "100/0/-1")
    found = board.phase(LINE, 5 * S, 0.5)
    assert found is not None and found.light == Light.GREEN_PROTECTED


def test_a_lone_phase_holds_a_crossing_in_mid_block() -> None:
    board = SignalBoard()
    board.hear_map(movement_map(("1/0/-2", "1/0/-2x", 7)))
    assert board.movement(LINE) == (11, 7, "2/0/-2")


def test_a_line_that_map_forgot_has_the_phase_of_its_group() -> None:
    line = LineEvent(200.0, 3, 0, "1/0/-1", ("1/0/-1",), (("1/0/1", ""),))
    board = SignalBoard()
    assert board.movement(line) is None
    board.hear_map(movement_map(("1/0/1", "1002/0/-1", 7), ("1/0/1", "1003/0/-1", 7)))
    # two ways on from the twin, one phase; hear_map lists it once per lane row
    assert board.movement(line) == (11, 7, "1/0/-1")


def test_stale_spat_is_no_spat() -> None:
    board = SignalBoard()
    board.hear_map(movement_map(("1/0/-2", "100/0/-1", 7)))
    board.hear_spat(Spat(5 * S, 11, "J", (phase(Light.GREEN_PROTECTED),), False))
    assert board.phase(LINE, 5 * S + S // 2, 0.5) is not None
    assert board.phase(LINE, 5 * S + S // 2 + 1, 0.5) is None
    assert advise(None, 80.0, 10.0, 14.0, 0, False, CONFIG).verdict == Verdict.STOP


def test_an_older_report_does_not_replace_a_newer_one() -> None:
    board = SignalBoard()
    board.hear_map(movement_map(("1/0/-2", "100/0/-1", 7)))
    board.hear_spat(Spat(5 * S, 11, "J", (phase(Light.RED),), False))
    board.hear_spat(Spat(4 * S, 11, "J", (phase(Light.GREEN_PROTECTED),), False))
    found = board.phase(LINE, 5 * S, 0.5)
    assert found is not None and found.light == Light.RED


@pytest.mark.parametrize("light", [Light.RED, Light.UNSPECIFIED])
def test_red_and_unknown_stop(light: Light) -> None:
    assert advise(phase(light), 60.0, 12.0, 14.0, 0, False, CONFIG).verdict == Verdict.STOP


def test_green_that_lasts_is_passed_and_green_that_ends_is_not() -> None:
    # 100 m at 10 m/s: with acceleration to 14 m/s arrival after 4.44 s + (100 - 53.3) / 14 = 7.78 s
    assert (
        advise(
            phase(Light.GREEN_PROTECTED, likely_s=8.0), 100.0, 10.0, 14.0, 0, False, CONFIG
        ).verdict
        == Verdict.PASS
    )
    late = advise(phase(Light.GREEN_PROTECTED, likely_s=5.0), 100.0, 10.0, 14.0, 0, False, CONFIG)
    assert late.verdict == Verdict.STOP
    # too near to stop gently: goes on and lets the yellow decide
    near = advise(phase(Light.GREEN_PROTECTED, likely_s=0.5), 40.0, 10.0, 14.0, 0, False, CONFIG)
    assert near.verdict == Verdict.PASS


@pytest.mark.parametrize(
    ("distance_m", "speed_mps", "verdict", "why"),
    [
        (80.0, 13.0, Verdict.STOP, "66.7 m at 1.5 m/s2 and 0.8 s"),
        (35.0, 13.0, Verdict.PASS, "passes after 2.7 s, inside 3 s of yellow"),
        (44.0, 13.0, Verdict.STOP, "3.4 s away, and 26.7 m at 3.5 m/s2 suffice"),
        (24.0, 13.0, Verdict.PASS, "no brake suffices"),
    ],
)
def test_the_dilemma_at_yellow(
    distance_m: float, speed_mps: float, verdict: Verdict, why: str
) -> None:
    advice = advise(phase(Light.YELLOW, end_s=3.0), distance_m, speed_mps, 14.0, 0, False, CONFIG)
    assert advice.verdict == verdict, why
    assert advice.is_committed == (verdict == Verdict.PASS)


def test_who_is_committed_passes_whatever_the_light_does() -> None:
    assert advise(phase(Light.RED), 2.0, 12.0, 14.0, 0, True, CONFIG).verdict == Verdict.PASS


def test_easing_off_reaches_the_brake_point_as_green_comes() -> None:
    advice = advise(phase(Light.RED, next_green_s=20.0), 200.0, 12.0, 14.0, 0, False, CONFIG)
    v = advice.cap_mps
    # v (20 + 1 margin) + v^2 / 1.8 = 200
    assert v * 21.0 + v * v / 1.8 == approx(200.0)
    assert advise(phase(Light.RED), 200.0, 12.0, 14.0, 0, False, CONFIG).cap_mps == inf
    slow = advise(phase(Light.RED, next_green_s=90.0), 200.0, 12.0, 14.0, 0, False, CONFIG)
    assert slow.cap_mps == CONFIG.glosa_min_mps


def test_dark_heads_mean_stop_first() -> None:
    assert (
        advise(phase(Light.DARK), 60.0, 9.0, 14.0, 0, False, CONFIG).verdict
        == Verdict.STOP_THEN_YIELD
    )
    assert (
        advise(phase(Light.FLASHING_YELLOW), 60.0, 9.0, 14.0, 0, False, CONFIG).verdict
        == Verdict.YIELD
    )


def test_time_to_cover_a_distance() -> None:
    assert seconds_to_cover(0.0, 5.0, 10.0, 1.0) == 0.0
    assert seconds_to_cover(100.0, 10.0, 10.0, 1.0) == approx(10.0)
    assert seconds_to_cover(8.0, 0.0, 10.0, 1.0) == approx(4.0)  # a t^2 / 2
    assert seconds_to_cover(100.0, 0.0, 10.0, 1.0) == approx(15.0)  # 50 m in 10 s, 50 m in 5 s
