"""What a picture is drawn from stays bounded, and its spans are those that were shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.judging import Event, EventKind
from protocols.messages import Light
from sim.loop import Loop
from sim.picture import MAX_FRAMES, MAX_SPANS, MAX_TRACE, PictureCollector, beside
from sim.report.data import RunPicture
from sim.state import Control
from tests.support.corridor import EMPTY, corridor_net, wired

STEP = 200_000_000
GREEN, YELLOW, RED = int(Light.GREEN_PROTECTED), int(Light.YELLOW), int(Light.RED)


@pytest.fixture
def quiet() -> Loop:
    return wired(*EMPTY)


def collector(loop: Loop) -> PictureCollector:
    return PictureCollector(loop.world.net, loop.world.vehicles)


def feed(loop: Loop, picture: PictureCollector, t_ns: int) -> None:
    world = loop.world
    picture.observe(t_ns, world.states, world.statics, world.light)


def finish(loop: Loop, picture: PictureCollector, duration_s: float) -> RunPicture:
    nothing: dict[str, Any] = {"title": "", "outcome": "", "sentence": "", "subtitle": ""}
    return picture.finish(
        **nothing, duration_s=duration_s, rsus=(), states=loop.world.states,
        statics=loop.world.statics, arrive_by_s={},
    )  # fmt: skip


def test_a_hundred_thousand_samples_stay_below_the_caps(quiet: Loop):
    picture, world = collector(quiet), quiet.world
    bus = world.vehicles[0]
    states, statics = world.states, world.statics
    for row in range(5, 15):  # ten cars on the bus's first lane
        states.valid[row], states.id[row] = True, row
        states.lane[row], states.s_m[row] = bus.line.lanes[0], 10.0 * row
        statics.control[row] = int(Control.TRAFFIC)
    group = int(world.net.stop_lines.group[bus.line.signals[0].index])
    item = picture._vehicles[0]
    most = [0, 0, 0]
    for k in range(100_000):
        world.light[group] = GREEN if k // 2 % 2 else RED
        feed(quiet, picture, k * STEP)
        most = [
            max(a, b)
            for a, b in zip(
                most, (len(item.trace), len(item.background), len(item.spans[0])), strict=True
            )
        ]
    assert most[0] <= MAX_TRACE + 1 and most[1] <= MAX_FRAMES + 1 and most[2] <= MAX_SPANS
    assert len(item.trace) > MAX_TRACE // 4 and len(item.background) > MAX_FRAMES // 4
    drawn = finish(quiet, picture, 20_000.0).vehicles[0]
    assert drawn.t_s[0] == 0.0 and drawn.t_s[-1] > 19_990.0, "thinned, not cut off"
    gaps = np.diff(drawn.t_s)
    assert gaps.min() == pytest.approx(gaps.max()), "evenly spaced"
    assert np.unique(drawn.background_id).size == 10
    assert drawn.background_t_s[-1] > 19_900.0


def test_spans_of_a_light_follow_one_another_without_gap(quiet: Loop):
    picture, world = collector(quiet), quiet.world
    group = int(world.net.stop_lines.group[world.vehicles[0].line.signals[1].index])
    for k in range(500):  # 100 s: dark 10 s, green 40 s, yellow 3 s, red to the end
        t_s = k * 0.2
        world.light[group] = (
            0 if t_s < 9.9 else GREEN if t_s < 49.9 else YELLOW if t_s < 52.9 else RED
        )
        feed(quiet, picture, k * STEP)
    drawn = finish(quiet, picture, 100.0).vehicles[0]
    spans = [
        (round(a, 3), round(b, 3), light) for a, b, light in map(_plain, drawn.signals[1].spans)
    ]
    assert spans == [(10.0, 50.0, GREEN), (50.0, 53.0, YELLOW), (53.0, 100.0, RED)]
    assert drawn.signals[0].spans == (), "that light stayed dark"


def _plain(span: Any) -> tuple[float, float, int]:
    first, second, light = (getattr(span, name) for name in type(span).__slots__)
    return first, second, light


def test_a_dwell_lasts_from_doors_open_to_doors_closed_where_the_vehicle_stood(quiet: Loop):
    picture = collector(quiet)
    quiet.world.vehicles[0].referee.route_s_m = 216.0
    picture.on_event(Event(20_000_000_000, EventKind.DOORS_OPENED, 1))
    picture.on_event(Event(25_000_000_000, EventKind.DOORS_CLOSED, 99))  # somebody else's
    picture.on_event(Event(33_000_000_000, EventKind.DOORS_CLOSED, 1))
    picture.on_event(Event(40_000_000_000, EventKind.DOORS_CLOSED, 1))  # never opened
    assert finish(quiet, picture, 60.0).vehicles[0].dwells == ((20.0, 33.0, 216.0),)


def test_a_grant_is_drawn_at_the_next_light_ahead(quiet: Loop):
    picture = collector(quiet)
    referee = quiet.world.vehicles[0].referee
    for t_s, here, value in ((10, 100.0, 1.0), (60, 500.0, 2.0)):
        referee.route_s_m = here
        picture.on_event(Event(t_s * 1_000_000_000, EventKind.PRIORITY_GRANTED, 1, 4, value=value))
    assert finish(quiet, picture, 90.0).vehicles[0].grants == (
        (10.0, pytest.approx(413.0), "extension"),
        (60.0, pytest.approx(1172.0), "early green"),
    )


def test_lanes_beside_the_route_share_its_ruler_and_oncoming_ones_do_not(quiet: Loop):
    net = corridor_net()
    line = quiet.world.vehicles[0].line
    begin = {net.lane_key(k): v for k, v in enumerate(beside(net, line)) if np.isfinite(v)}
    assert begin["1/0/-2"] == begin["1/0/-4"] == -60.0
    assert begin["2/0/-4"] == pytest.approx(468.0)
    assert not [key for key in begin if not key.split("/")[2].startswith("-")]


def test_a_scene_without_automated_vehicles_collects_nothing():
    loop = wired("vehicles=[]", "criteria=[]", *EMPTY)
    picture = collector(loop)
    for k in range(10):
        feed(loop, picture, k * STEP)
    assert finish(loop, picture, 2.0).vehicles == ()
