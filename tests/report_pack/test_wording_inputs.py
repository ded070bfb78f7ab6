"""What is wrong with a scene, a road, an address or a CARLA server can end up in a page: it has its Chinese, and helps in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from protocols.errors import IcvError
from roadside.signals import SignalPlan
from scenarios.criteria import kinds
from scenarios.fault_spec import FAULT_KINDS
from scenarios.load import load_scene
from scenarios.mistakes import wrong_value
from scenarios.spec import SceneSpec
from sim.compose import run_scene
from sim.report import wording
from sim.report.find import find_log
from vehicle.onboard import OnboardConfig

ROOT = Path(__file__).parents[2]
ERRORS = {"ConfigError", "RoadError", "InfrastructureError", "LogError", "UnitError"}
# Rooms and folders whose errors can end a run, and so stand in result.json, a suite's page and the list of runs. Not: commands.
IN_PAGES = (
    "protocols",
    "vehicle",
    "roadside",
    "scenarios",
    "sim/faults",
    "sim/radio",
    "sim/sensors",
    "sim/traffic",
    "sim/carla/backend",
    "sim/log",
    "sim/report/pack",
)
FILES = (
    "compose",
    "config",
    "demand",
    "loop",
    "ports",
    "route_line",
    "tap",
    "unit_processes",
    "units",
)
# Said by other processes or about arguments, before there is a run.
APART = (
    "protocols/zmq_unit.py",
    "scenarios/roads/catalogue.py",
    "scenarios/formats/opendrive/export.py",
    "sim/log/replay.py",
    "sim/carla/backend/agreement.py",
)
ENGLISH = re.compile(
    r"\b(?:expected|found|unknown|known|the|is|are|not|has|must|and|or|of|one|with|needs|does|answers|at least|at most)\b"
)


def unsaid(path: Path) -> Iterator[str]:
    """Errors raised with a text of their own, which no catalogue knows."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            not isinstance(node, ast.Raise)
            or not isinstance(node.exc, ast.Call)
            or not node.exc.args
        ):
            continue
        name, text = getattr(node.exc.func, "id", ""), node.exc.args[0]
        is_plain = isinstance(text, ast.JoinedStr | ast.BinOp) or (
            isinstance(text, ast.Constant) and isinstance(text.value, str)
        )
        if name in ERRORS and is_plain:
            yield f"{path.relative_to(ROOT)}:{node.lineno}"


def test_errors_that_can_stand_in_a_page_are_said() -> None:
    paths = [path for room in IN_PAGES for path in sorted((ROOT / room).rglob("*.py"))]
    paths += [ROOT / "sim" / f"{name}.py" for name in FILES]
    left = [
        place
        for path in paths
        if str(path.relative_to(ROOT)) not in APART
        for place in unsaid(path)
    ]
    assert left == [], (
        "raise these with say(...), and put their Chinese into sim/report/zh_inputs.toml"
    )


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for item in annotation.model_fields.values():
            yield from models(item.annotation)
    for inner in get_args(annotation):
        yield from models(inner)


def tables() -> list[type[BaseModel]]:
    roots = [SceneSpec, SignalPlan, OnboardConfig, *FAULT_KINDS.values(), *kinds().values()]
    return list(dict.fromkeys(model for root in roots for model in models(root)))


@pytest.mark.parametrize("model", tables(), ids=lambda model: model.__name__)
def test_every_wrong_value_of_every_key_is_said_in_both_languages(model: type[BaseModel]) -> None:
    wrong: list[Any] = [
        "5 km/h",
        "",
        -1e9,
        1e12,
        0.5,
        float("inf"),
        [],
        [1] * 99,
        {},
        {"a": "b"},
        None,
    ]
    seen = 0
    for key in model.model_fields:
        for value in wrong:
            try:
                model.model_validate({key: value})
            except ValidationError as problem:
                errors = problem.errors(include_url=False)
            else:
                continue
            for error in errors:
                if error["type"] in ("missing", "extra_forbidden") or error["type"].startswith(
                    "union_tag"
                ):
                    continue
                path = ".".join(map(str, error["loc"]))
                english = wrong_value("a.toml", path, error)
                chinese = wording.chinese(english)
                assert chinese is not None, english
                assert not ENGLISH.search(chinese), (english, chinese)
                assert "Input should" not in english and "unable to parse" not in english
                seen += 1
    assert seen or not model.model_fields


SCENE = (ROOT / "scenarios/library/smart_island.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("was", "became", "english", "chinese"),
    [
        ("start_s_m = 200.0", 'start_s_m = "200 m"', "vehicles.0.start_s_m: found '200 m'; expected a bare number, in m.",
         "vehicles.0.start_s_m：取值为 '200 m'；应为不带单位的数值，单位固定为 m。"),
        ('"3/0/-1"', '"3"', "vehicles.0.start_lane: found '3'; expected a lane, written road/section/lane, such as 1/0/-2.",
         "vehicles.0.start_lane：取值为 '3'；应为车道，写作 道路/路段/车道，如 1/0/-2。"),
        ("walker_clearance_m = 4.0", "walker_clearence_m = 4.0",
         "vehicles.0.onboard.driving: unknown key 'walker_clearence_m'. Nearest known: walker_clearance_m",
         "vehicles.0.onboard.driving：未知的键“walker_clearence_m”。相近的已知键：walker_clearance_m"),
        ("walker_clearance_m = 4.0", "walker_clearance_m = '4 m'",
         "vehicles.0.onboard.driving.walker_clearance_m: found '4 m'; expected a bare number, in m.",
         "vehicles.0.onboard.driving.walker_clearance_m：取值为 '4 m'；应为不带单位的数值，单位固定为 m。"),
        ('"clinic.walk"', '"clinc.walk"', "crossing 'clinc.walk' is not on road network 'smart_island'. Known: library.walk",
         "路网“smart_island”中没有人行横道“clinc.walk”。已知：library.walk"),
        ("mix = { bicycle = 1.0 }", "mix = { bycicle = 1.0 }", "unknown vehicle class 'bycicle'; known: car", "未知的车辆类别“bycicle”；已知：car"),
        ('model = "range_loss"', 'model = "range-loss"', "unknown radio model 'range-loss'; expected 'ideal' or 'range_loss'",
         "未知的无线模型 'range-loss'；可取 'ideal' 或 'range_loss'"),
        ('origins = ["4/0/1"]', 'origins = ["road:99"]', "road '99' is not on road network 'smart_island'. Nearest ids: ", "中没有道路“99”。相近的编号："),
        ("seed = 1", "seed = 1\ntick_ms = 7", "onboard.control_period_ms = 20 ms is not a whole number of 7 ms ticks",
         "smart_island，步长 tick_ms = 7：onboard.control_period_ms = 20 ms 不是步长的整数倍；步长为 7 ms"),
        ('name = "plaza-back"', 'name = "plaza-across"', "demand.walkers: name 'plaza-across' is used twice; names must differ.",
         "demand.walkers：名称“plaza-across”重复；名称不得相同。"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_scene_is_told_in_both_languages(
    was: str, became: str, english: str, chinese: str, tmp_path: Path
) -> None:
    assert was in SCENE
    file = tmp_path / "scene.toml"
    file.write_text(SCENE.replace(was, became, 1), encoding="utf-8")
    with pytest.raises(IcvError) as caught:
        run_scene(load_scene(file, ["duration_s=0.1"]).spec, tmp_path, tmp_path / "out")
    said = str(caught.value)
    assert english in said
    translated = wording.chinese(said)
    assert translated is not None and chinese in translated
    assert not ENGLISH.search(translated.replace(str(file), ""))


def test_a_folder_of_runs_names_them(tmp_path: Path) -> None:
    with pytest.raises(
        IcvError, match=r"no log in it; give a log \(\*\.mcap\) or a run's folder\."
    ):
        find_log(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.mcap").touch()
    with pytest.raises(
        IcvError, match=rf"name one of them: {tmp_path}/a, {tmp_path}/b\. `icv view"
    ):
        find_log(tmp_path)
