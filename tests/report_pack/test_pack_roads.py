"""Roads for drawing: edges where the network has them, ranges where the radio model puts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenarios.formats.opendrive import read
from sim import compose
from sim.radio.channel import RangeLossChannel, SentRows, Stations
from sim.radio.fates import Fate
from sim.radio.params import IdealParams, RangeLossParams
from sim.report.outlines import lane_edges
from sim.report.pack import roads

LIBRARY = Path(roads.__file__).parents[3] / "scenarios" / "roads"


@pytest.mark.parametrize("name", ["brt_corridor", "smart_island"])
def test_thinned_edges_stay_within_a_hand_of_the_lanes(name: str) -> None:
    net = read(LIBRARY / f"{name}.xodr")
    shown = roads.roads(net)
    assert len(shown["lanes"]) == net.num_lanes
    edges = lane_edges(net)
    start = net.lanes.point_start
    total = 0
    for lane, item in enumerate(shown["lanes"]):
        assert len(item["left"]) == len(item["right"]) >= 2
        for side, full in zip(("left", "right"), edges, strict=True):
            line = np.array(item[side])
            for point in full[start[lane] : start[lane + 1]]:
                assert _gap(line, point) <= roads.CHORD_M + 0.01
        total += len(item["left"])
    assert total < net.points.x_m.size / 3
    kinds = {item["kind"] for item in shown["lanes"]}
    assert {"junction", "sidewalk"} <= kinds and ("bus" in kinds) == (name == "brt_corridor")
    assert len(shown["groups"]) == len(net.groups.id) and len(shown["crossings"]) == len(net.crossings.id)  # fmt: skip
    assert all(len(station["poly"]) >= 3 and station["name"] for station in shown["stations"])


def _gap(line: np.ndarray, point: np.ndarray) -> float:
    """Distance from a point to a line of straight pieces."""
    a, b = line[:-1], line[1:]
    d = b - a
    along = np.clip(((point - a) * d).sum(1) / np.maximum((d * d).sum(1), 1e-12), 0.0, 1.0)
    return float(np.hypot(*(a + along[:, None] * d - point).T).min())


def test_a_stop_line_lies_across_its_lane() -> None:
    net = read(LIBRARY / "brt_corridor.xodr")
    for item in roads.roads(net)["stop_lines"]:
        width = float(np.hypot(*(np.array(item["a"]) - np.array(item["b"]))))
        assert 1.9 < width < 5.0 and -1 <= item["group"] < len(net.groups.id)


def test_marks_are_the_drivers_left_and_right() -> None:
    net = read(LIBRARY / "brt_corridor.xodr")
    shown = roads.roads(net)["lanes"]
    pairs = 0
    for lane in range(net.num_lanes):
        right = int(net.lanes.right[lane])
        if right >= 0:  # the same line between two lanes, seen from either
            assert shown[lane]["marks"][1] == shown[right]["marks"][0]
            pairs += 1
    assert pairs > 50


@pytest.mark.parametrize(
    "params",
    [RangeLossParams(), RangeLossParams(tx_power_dbm=10.0), RangeLossParams(max_range_m=120.0)],
)
def test_range_is_where_the_channel_stops_hearing(params: RangeLossParams) -> None:
    reach = roads.range_m(params)
    channel = RangeLossChannel(
        RangeLossParams(**{n: getattr(params, n) for n in params.__slots__} | {"shadow_std_db": 0.0}), 1
    )  # fmt: skip
    at = np.array([reach, reach + 1.5])
    rows = np.arange(2, dtype=np.uint32) + 1
    cars = Stations(rows, at, np.zeros(2), np.full(2, roads.VEHICLE_HEIGHT_M))
    pole = Stations(np.array([99], np.uint32), np.zeros(1), np.zeros(1), np.array([roads.RSU_HEIGHT_M]))  # fmt: skip
    fate, _ = channel.fates(SentRows(cars, rows, rows * 0 + 200, np.full(2, 5, np.uint8)), pole, 0)
    assert fate[0, 0] in (Fate.DELIVERED, Fate.PROPAGATION)
    assert fate[1, 0] in (Fate.BELOW_SENSITIVITY, Fate.OUT_OF_RANGE)
    assert roads.RSU_HEIGHT_M == compose.RSU_HEIGHT_M


def test_an_ideal_radio_has_its_own_range_or_none() -> None:
    assert roads.range_m(IdealParams()) == 0.0
    assert roads.range_m(IdealParams(max_range_m=300.0)) == 300.0
