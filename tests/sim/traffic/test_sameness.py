"""Determinism, independence of flows, and compiled kernels against their Python form."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocols.errors import ConfigError, RoadError
from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from sim.rows import RowAllocator
from sim.traffic import Flow, TrafficConfig, WalkerFlow, _decide_kernels, _kernels
from sim.traffic.config import driver_class
from sim.traffic.demand import Departures, pick
from sim.traffic.tables import check_columns
from tests.support.naive_traffic import World, world
from tests.support.roads_small import crossing, straight

KERNELS = {
    _kernels: ("link", "unlink", "unclaim", "release", "remove", "safe_speed", "drop_back", "push_back",
               "change_lanes", "locate", "advance"),
    _decide_kernels: ("safe_speed", "travel_s", "junction_limit", "gate", "claim_place", "signal_code",
                      "light_is_red", "decide"),
}  # fmt: skip


def demand(net: RoadNetwork, *more: Flow) -> TrafficConfig:
    w = world(net)
    mix = (("car", 0.7), ("truck", 0.2), ("articulated_bus", 0.1))
    flows = tuple(
        Flow(a, (w.lane(f"{a}/0/-1"), w.lane(f"{a}/0/-2")),
             ((w.lane(f"{b}/0/-1"), 1.0), (w.lane(f"{b}/0/-2"), 1.0)), 500.0, mix)
        for a, b in (("w", "e"), ("s", "n"))
    )  # fmt: skip
    return TrafficConfig(flows + more)


def digest(w: World, seconds: float) -> str:
    """Chained hash of the whole state, under lights that change every 20 s."""
    out = hashlib.sha256()
    for n in range(round(seconds * 10)):
        lights = np.full(len(w.net.groups.id), int(Light.RED), dtype=np.uint8)
        if lights.size:
            lights[(n // 200) % lights.size] = (
                Light.GREEN_PROTECTED if n % 200 < 150 else Light.YELLOW
            )
        w.run(0.1, lights)
        for name in (
            "valid",
            "id",
            "x_m",
            "y_m",
            "yaw_rad",
            "speed_mps",
            "hitch_rad",
            "lane",
            "s_m",
            "flags",
        ):
            out.update(np.ascontiguousarray(getattr(w.states, name)).tobytes())
    return out.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    net = crossing(tmp_path, is_signalised=True, lanes=2)
    runs = [digest(world(net, demand(net), seed=s), 120.0) for s in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_compiled_kernels_equal_their_python_form_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = [crossing(tmp_path, is_signalised=True, lanes=2), crossing(tmp_path)]
    configs = [demand(nets[0]), TrafficConfig(
        (Flow("w", (0,), ((int(nets[1].lanes.next[nets[1].lanes.next[0]]), 1.0),), 900.0),)
    )]  # fmt: skip
    fast = [digest(world(n, c), 60.0) for n, c in zip(nets, configs, strict=True)]
    for module, names in KERNELS.items():
        for name in names:
            kernel: Any = getattr(module, name)
            monkeypatch.setattr(
                module, name, getattr(kernel, "py_func", kernel)
            )  # helpers are plain
    with np.errstate(over="ignore"):  # the hash of the recycling draw wraps around on purpose
        slow = [digest(world(n, c), 60.0) for n, c in zip(nets, configs, strict=True)]
    assert fast == slow


def test_a_further_flow_changes_no_draw_of_the_others(tmp_path: Path) -> None:
    net = crossing(tmp_path, lanes=2)
    extra = Flow("another", (0,), ((int(net.lanes.next[net.lanes.next_start[0]]), 1.0),), 300.0)
    plain, more = world(net, demand(net)), world(net, demand(net, extra))
    for n in range(2):
        a = plain.traffic.departures[n].due(1800.0)
        b = more.traffic.departures[n].due(1800.0)
        assert a == b
        assert len(a) > 100


def test_departures_are_poisson_with_the_mean_asked_for() -> None:
    stream = Departures("x", 720.0, 0.0, None, False, 9)
    gaps = np.diff([d.t_s for d in stream.due(20_000.0)])
    # 4000 gaps of 5 s: the mean is good to 5 / sqrt(4000) = 0.08 s; an exponential's deviation equals its mean.
    assert gaps.mean() == pytest.approx(5.0, abs=0.32)
    assert gaps.std() == pytest.approx(5.0, abs=0.5)
    even = Departures("y", 720.0, 10.0, 30.0, True, 9)
    assert [d.t_s for d in even.due(100.0)] == [12.5, 17.5, 22.5, 27.5]


def test_shares_pick_by_weight() -> None:
    assert [pick([1.0, 0.0, 3.0], share) for share in (0.0, 0.24, 0.26, 0.999)] == [0, 0, 2, 2]


def test_rows_come_back_and_ids_do_not() -> None:
    rows = RowAllocator(2)
    assert [rows.take(), rows.take(), rows.take()] == [(0, 1), (1, 2), None]
    rows.give_back(0)
    assert rows.take() == (0, 3)
    assert rows.num_free == 0


def test_both_kernel_files_agree_on_the_columns() -> None:
    assert check_columns()


def test_who_finds_no_room_waits_outside_and_enters_later(tmp_path: Path) -> None:
    net = straight(tmp_path, 60.0, speed_mps=3.0)
    w = world(net, TrafficConfig((Flow("many", (0,), ((0, 1.0),), 3600.0, end_s=60.0),)))
    w.run(60.0)
    assert w.traffic.num_waiting > 5
    counted = w.traffic.counts()
    assert counted["spawned"] == counted["present"] + counted["arrived"]
    w.run(300.0)
    assert w.traffic.num_waiting == 0
    assert w.traffic.counts()["present"] == 0
    assert all(t.start_s >= t.wanted_s for t in w.traffic.trips)


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (Flow("a", (0,), ((0, 1.0),), 10.0, (("tank", 1.0),)), ("'a'", "tank", "car")),
        (Flow("b", (), ((0, 1.0),), 10.0), ("'b'", "origin")),
        (Flow("c", (0,), ((0, -1.0),), 10.0), ("'c'", "weights")),
        (Flow("d", (0,), ((0, 1.0),), -5.0), ("'d'", "vehicles_per_hour")),
    ],
)
def test_a_flow_that_makes_no_sense_is_refused_by_name(flow: Flow, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as error:
        TrafficConfig((flow,))
    assert all(word in str(error.value) for word in words)


def test_two_flows_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="'x'"):
        TrafficConfig((Flow("x", (0,), ((0, 1.0),), 1.0),), (WalkerFlow("x", 1.0, (0,)),))


def test_a_class_that_no_origin_admits_is_refused_with_the_lane(tmp_path: Path) -> None:
    net = straight(tmp_path, 300.0, lanes=("bus",))
    with pytest.raises(RoadError, match="1/0/-1"):
        world(net, TrafficConfig((Flow("cars", (0,), ((0, 1.0),), 10.0),)))


def test_every_class_has_sourced_numbers() -> None:
    assert driver_class("articulated_bus").length_m == 18.0
    with pytest.raises(ConfigError, match="tank"):
        driver_class("tank")
