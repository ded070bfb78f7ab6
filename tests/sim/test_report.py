"""result.json, the verdict table and the picture."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from protocols.judging import RunFacts
from protocols.messages import Light
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive import read
from scenarios.sample import map_scene
from scenarios.verdict import CriterionResult, decide
from sim.report.data import LightSpan, RouteSignal, RunPicture, VehiclePicture
from sim.report.draw import draw_run
from sim.report.palette import latin
from sim.report.plan_view import STRIP_HALF_M, straighten
from sim.report.result import as_table, write_result
from sim.report.tables import verdict_table

ROADS = Path(__file__).parents[2] / "scenarios" / "roads"
SPEC = map_scene(Path("town.xodr"), seed=3)
FACTS = RunFacts(
    300.0, {"bus1": 1}, {"bus1": 250.0}, {"v2x/spat": 1200, "v2x/bsm": 90_000}, {"v2x/spat": 3600}, {"rsu/J1 v2x/spat": 100.0},
    3, 2, {"bus1": 12.5}, 20.0, 60.0, {"spawned": 100.0, "arrived": 90.0, "peak": 40.0},
)  # fmt: skip
VERDICT = decide(
    [CriterionResult("no_collision", False, "1 collision", 1.0, 0.0, "", 83.2, "lane 1/0/-1")],
    {
        "bus1": {
            "travel_time_s": 250.0,
            "distance_m": 2000.0,
            "signal_delay_s": 12.5,
            "jerk_p95": 0.41,
        }
    },
)


@pytest.fixture(scope="module")
def corridor() -> RoadNetwork:
    return read(ROADS / "brt_corridor.xodr")


def drive(net: RoadNetwork, **more) -> VehiclePicture:
    """A drive along the first bus lane, 5 Hz, 10 m/s."""
    lane = int(np.flatnonzero(net.lanes.type == 18)[0])
    a, b = int(net.lanes.point_start[lane]), int(net.lanes.point_start[lane + 1])
    p = net.points
    t = np.arange(0.0, float(p.s_m[b - 1]) / 10.0, 0.2)
    s = 10.0 * t
    x, y = (np.interp(s, p.s_m[a:b], c[a:b]) for c in (p.x_m, p.y_m))
    return VehiclePicture("bus1", t, x, y, np.full(t.size, 10.0), s, **more)


def test_result_json_is_the_same_but_for_its_timing(tmp_path):
    one = as_table(
        SPEC, VERDICT, FACTS, digest="ab", map_digest="cd", log="run.mcap", timing={"wall_s": 1.0}
    )
    two = as_table(
        SPEC, VERDICT, FACTS, digest="ab", map_digest="cd", log="run.mcap", timing={"wall_s": 2.0}
    )
    texts = []
    for name, table in (("a.json", one), ("b.json", two)):
        content = json.loads(write_result(tmp_path / name, table).read_text(encoding="utf-8"))
        assert content.pop("timing")
        texts.append(json.dumps(content))
    assert texts[0] == texts[1]
    content = json.loads(texts[0])
    assert (content["outcome"], content["exit_code"], content["seed"]) == ("fail", 1, 3)
    assert content["criteria"][0]["where"] == "lane 1/0/-1"
    assert content["facts"]["messages_sent"]["v2x/bsm"] == 90_000
    assert {"python", "numba", "icv"} <= set(content["versions"])


def test_result_json_has_no_nan(tmp_path):
    odd = decide([], {"bus1": {"a": math.nan, "b": math.inf, "c": 1 / 3}})
    path = write_result(tmp_path / "r.json", as_table(SPEC, odd))
    numbers = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)["vehicles"][
        "bus1"
    ]
    assert numbers == {"a": None, "b": None, "c": 0.333333333}


def test_the_table_tells_the_numbers_that_matter():
    out = io.StringIO()
    timing = {"planner_ms_mean": 2.345, "realtime_factor": 31.0}
    Console(file=out, width=160).print(verdict_table(SPEC, VERDICT, FACTS, timing))
    text = out.getvalue()
    for words in (
        "FAIL", "no_collision", "1 collision", "4 min 10.0 s", "2.00 km", "12.5 s", "0.41 m/s3", "90,000", "1,200 / 3,600",
        "2 of 3", "2.35 ms", "31.0x",
    ):  # fmt: skip
        assert words in text, words


def test_a_picture_of_a_drive_shows_its_lights_and_stations(corridor, tmp_path):
    spans = (
        LightSpan(0, 10, Light.GREEN_PROTECTED),
        LightSpan(10, 13, Light.YELLOW),
        LightSpan(13, 40, Light.RED),
    )
    vehicle = drive(
        corridor, signals=(RouteSignal(200.0, "J1", spans),), stations=((100.0, "Xihuan"),), dwells=((10.0, 14.0, 100.0),),
        grants=((12.0, 200.0, "extension"),), background_t_s=np.arange(20.0), background_s_m=np.arange(20.0) * 9,
        background_id=np.zeros(20),
    )  # fmt: skip
    run = RunPicture(
        "Corridor", "pass", "all criteria passed", corridor, 40.0, (vehicle,), (("rsu1", 0.0, 0.0),)
    )
    pixels = imread(draw_run(run, tmp_path / "run.png"))[:, :, :3]
    assert pixels.shape[1] > 1800
    for colour in ("#d8433b", "#35a35a", "#efb32f"):  # red, green and yellow bars are there
        rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        assert np.count_nonzero(np.abs(pixels - rgb).max(axis=2) < 0.01) > 50, colour


def test_a_picture_without_a_vehicle_is_a_map(corridor, tmp_path):
    run = RunPicture(
        "Only traffic",
        "fail",
        "no",
        corridor,
        40.0,
        background_x_m=np.zeros(3),
        background_y_m=np.zeros(3),
    )
    assert imread(draw_run(run, tmp_path / "run.png")).std() > 0.02


def test_a_vehicle_that_never_moved_can_be_drawn(corridor, tmp_path):
    still = VehiclePicture(
        "bus1", np.arange(5.0), np.zeros(5), np.zeros(5), np.zeros(5), np.zeros(5)
    )
    run = RunPicture("Still", "fail", "no", corridor, 5.0, (still,))
    assert draw_run(run, tmp_path / "run.png").stat().st_size > 10_000


def test_the_same_run_gives_the_same_picture_bytes(corridor, tmp_path):
    run = RunPicture("Corridor", "pass", "ok", corridor, 40.0, (drive(corridor),))
    one, two = (draw_run(run, tmp_path / name).read_bytes() for name in ("1.png", "2.png"))
    assert one == two


def test_chinese_text_falls_back_to_latin(corridor, tmp_path):
    assert latin("Xihuan 西环") == "Xihuan"
    assert latin("郑州快速公交走廊", "run") == "run"
    run = RunPicture(
        "郑州快速公交",
        "pass",
        "通过",
        corridor,
        40.0,
        (drive(corridor, stations=((50.0, "西环"),)),),
    )
    draw_run(run, tmp_path / "run.png")  # a missing glyph would warn, and warnings are errors here


def test_straightening_keeps_distance_and_offset(corridor):
    vehicle = drive(corridor)
    k = vehicle.x_m.size // 2
    heading = np.arctan2(
        vehicle.y_m[k + 1] - vehicle.y_m[k - 1], vehicle.x_m[k + 1] - vehicle.x_m[k - 1]
    )
    for left_m in (0.0, 3.5, -7.0):
        point = np.array(
            [[vehicle.x_m[k] - left_m * np.sin(heading), vehicle.y_m[k] + left_m * np.cos(heading)]]
        )
        ((along, left),) = straighten(vehicle, point)
        assert along == pytest.approx(vehicle.route_s_m[k], abs=0.5)
        assert left == pytest.approx(left_m, abs=0.1)
    far = np.array(
        [
            [
                vehicle.x_m[k] - 4 * STRIP_HALF_M * np.sin(heading),
                vehicle.y_m[k] + 4 * STRIP_HALF_M * np.cos(heading),
            ]
        ]
    )
    assert np.isnan(straighten(vehicle, far)).all()
