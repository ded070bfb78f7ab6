"""V2X sensors: the struct the client reads, when a vehicle speaks, who hears it."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest

from sim.carla.server import columns as c
from tests.carla.test_sensors import Stage

SURE = {"use_etsi_fading": "False", "custom_fading_stddev": 0}


def pair(distance: float, **given: Any) -> tuple[Stage, Any, Any]:
    """Two cars `distance` apart that face east, each with a CAM sensor on its roof."""
    stage = Stage()
    stage.put(1, (0.0, 0.0, 0.0))
    stage.put(2, (distance, 0.0, 0.0))
    attributes = {**SURE, **given}
    one = stage.eye("sensor.other.v2x", (0.0, 0.0, 2.0), identity=901, parent=1, **attributes)
    two = stage.eye("sensor.other.v2x", (distance, 0.0, 2.0), identity=902, parent=2, **attributes)
    return stage, one, two


def cam(body: bytes) -> tuple[float, tuple[int, ...]]:
    """Power, and the struct's 57 words."""
    assert len(body) == 464
    return struct.unpack_from("<f", body)[0], struct.unpack_from("<57q", body, 8)


def test_a_message_says_where_how_fast_and_how_large_its_sender_is() -> None:
    stage, _, two = pair(50.0)
    f = stage.table.f[stage.table.row_of[1]]
    f[c.VX], f[c.AX], f[c.WZ] = 12.34, -2.5, 10.0
    stage.table.i[stage.table.row_of[1], c.LAMPS] = 2 | 32  # low beam, left indicator
    power, w = cam(stage.see(two)[0])
    assert w[:3] == (1, 2, 1)  # version, CAM, the vehicle's id
    assert w[3] == 50  # ms
    assert w[4] == 5  # passenger car
    assert (w[5], w[6]) == (347500000, 1136200000)
    assert w[12] == 1
    assert w[13] == 900  # east
    assert (w[15], w[17]) == (1234, 0)
    assert (w[18], w[20]) == (40, 20)  # 4.0 m x 2.0 m
    assert (w[21], w[34], w[37]) == (-25, 0, 0)  # gravity is not an acceleration of the car
    assert w[26] == -1000  # to the right
    assert (w[50], w[51]) == (1, 0)
    assert w[52] == 0b10100000
    assert w[46:50] == (0,) * 4  # vectors of the client's process stay empty
    assert w[53:57] == (0,) * 4
    # Free space, which is more than WINNER+ B1 here: 20 lg(4 pi 50 m 5.9 GHz / c) = 81.8 dB.
    assert power == pytest.approx(21.5 + 10.0 - 81.8, abs=0.05)


def test_the_sender_does_not_hear_itself_and_both_hear_each_other() -> None:
    stage, one, two = pair(50.0)
    stage.frame = 10
    stage.view.advance(11, 0.55, 0.05)
    heard = [cam(s.sample(stage.view)[0])[1][2] for s in (one, two)]
    assert heard == [2, 1]


def test_out_of_range_and_too_weak_is_silence() -> None:
    stage, _, two = pair(120.0, filter_distance=100)
    assert stage.see(two) == []
    stage, _, two = pair(120.0, filter_distance=200)
    assert len(stage.see(two)) == 1
    stage, _, two = pair(120.0, receiver_sensitivity=-50)
    assert stage.see(two) == []


def test_channels_do_not_hear_each_other() -> None:
    stage, _, two = pair(50.0)
    other = stage.eye("sensor.other.v2x", (50.0, 0.0, 2.0), identity=903, parent=2, channel_id="B", **SURE)  # fmt: skip
    stage.view.advance(1, 0.05, 0.05)
    assert len(two.sample(stage.view)) == 1
    assert other.sample(stage.view) == []


def spoken(stage: Stage, listener: Any, frames: int) -> list[int]:
    """Frames in which the listener heard something."""
    return [k for k in range(frames) if stage.see(listener)]


def test_a_parked_car_speaks_once_a_second_and_a_fast_one_when_it_has_moved() -> None:
    stage, _, two = pair(50.0)
    assert spoken(stage, two, 61) == [0, 20, 40, 60]
    stage, _, two = pair(50.0)
    heard = []
    row = stage.table.row_of[1]
    stage.table.f[row, c.VX] = 15.0
    for k in range(40):
        stage.table.f[row, c.X] = 0.75 * k  # 4 m take 5.3 steps
        heard.append(bool(stage.see(two)))
    assert np.diff(np.flatnonzero(heard)).tolist() == [6] * 6
    stage, _, two = pair(50.0, fixed_rate="True", gen_cam_min=0)
    assert spoken(stage, two, 5) == [0, 1, 2, 3, 4]


def test_a_turn_of_more_than_four_degrees_is_told_at_once() -> None:
    stage, _, two = pair(50.0)
    stage.see(two)
    stage.see(two)
    stage.table.f[stage.table.row_of[1], c.YAW] = 5.0
    assert cam(stage.see(two)[0])[1][13] == 950
    assert stage.see(two) == []


def test_the_low_frequency_container_comes_every_half_second() -> None:
    stage, _, two = pair(50.0, fixed_rate="True")
    heard = [stage.see(two) for _ in range(22)]
    assert [cam(h[0])[1][50] for h in heard if h] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_shadowing_loses_some_messages_and_the_seed_decides_which() -> None:
    def heard(seed: int) -> list[int]:
        stage = Stage(seed=seed)
        stage.put(1, (0.0, 0.0, 0.0))
        stage.put(2, (550.0, 0.0, 0.0))
        given = {
            "fixed_rate": "True",
            "gen_cam_min": 0,
            "scenario": "urban",
            "filter_distance": 2000,
        }
        stage.eye("sensor.other.v2x", (0.0, 0.0, 1.6), identity=901, parent=1, **given)
        two = stage.eye("sensor.other.v2x", (550.0, 0.0, 1.6), identity=902, parent=2, **given)
        return spoken(stage, two, 200)

    first = heard(1)
    assert 5 < len(first) < 195
    assert heard(1) == first
    assert heard(2) != first


def test_custom_messages_arrive_once_with_their_sender() -> None:
    stage = Stage()
    stage.put(1, (0.0, 0.0, 0.0))
    stage.put(2, (50.0, 0.0, 0.0))
    one = stage.eye("sensor.other.v2x_custom", (0.0, 0.0, 2.0), identity=901, parent=1, **SURE)
    two = stage.eye("sensor.other.v2x_custom", (50.0, 0.0, 2.0), identity=902, parent=2, **SURE)
    assert stage.see(two) == []
    one.send("hello")
    one.send("x" * 300)
    (body,) = stage.see(two)
    assert len(body) == 2 * 136
    assert struct.unpack_from("<3q", body, 8) == (1, 0, 1)
    assert body[32:132].rstrip(b"\0") == b"hello"
    assert body[136 + 32 : 136 + 132] == b"x" * 99 + b"\0"
    assert stage.see(two) == []


def test_a_station_whose_actor_is_gone_is_silent() -> None:
    stage, one, two = pair(50.0)
    assert len(stage.see(two)) == 1
    stage.table.remove(901)
    stage.table.add(77, c.PROP)  # its row has another owner
    for _ in range(25):
        assert stage.see(two) == []
    assert list(stage.view.air.stations) == [902]
    one.close()


def test_a_flood_of_custom_messages_is_cut_off() -> None:
    stage = Stage()
    stage.put(2, (5.0, 0.0, 0.0))
    one = stage.eye("sensor.other.v2x_custom", **SURE)
    two = stage.eye("sensor.other.v2x_custom", (5.0, 0.0, 2.0), identity=902, parent=2, **SURE)
    for _ in range(5000):
        one.send("spam")
    assert 900 * 136 < len(stage.see(two)[0]) <= 1000 * 136


def test_noise_of_the_message_is_drawn_per_message() -> None:
    stage, _, two = pair(50.0, fixed_rate="True", gen_cam_min=0, noise_vel_stddev_x=0.5)
    stage.table.f[stage.table.row_of[1], c.VX] = 10.0
    speeds = np.array([cam(stage.see(two)[0])[1][15] / 100.0 for _ in range(500)])
    assert speeds.mean() == pytest.approx(10.0, abs=4 * 0.5 / math.sqrt(500))
    assert speeds.std() == pytest.approx(0.5, rel=0.15)


def test_with_a_sensor_tick_an_empty_report_is_sent_too() -> None:
    stage = Stage()
    lonely = stage.eye("sensor.other.v2x", sensor_tick=1.0)
    assert stage.see(lonely) == [b""]
    assert stage.see(stage.eye("sensor.other.v2x_custom", identity=901)) == []
