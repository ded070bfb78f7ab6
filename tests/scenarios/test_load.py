"""Scene files: what is read, what overrides do, and one clear sentence for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protocols.errors import ConfigError
from scenarios.load import apply_overrides, find_map, library, load_scene
from scenarios.sample import map_scene

SCENE = """
name = "small"
duration_s = 60
seed = 5

[map]
file = "roads.xodr"

[[vehicles]]
name = "bus1"
type = "bus_12m"
start_lane = "1/0/-1"
destination_lane = "2/0/-1"

[[criteria]]
kind = "comfort"
vehicles = ["bus1"]
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SCENE, encoding="utf-8")
    return path


def sentence(path: Path, *overrides: str) -> str:
    """The message of the ConfigError that loading raises."""
    with pytest.raises(ConfigError) as caught:
        load_scene(path, overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)


def edited(scene: Path, old: str, new: str) -> Path:
    """The scene with one piece of text replaced."""
    text = scene.read_text(encoding="utf-8")
    assert old in text
    scene.write_text(text.replace(old, new), encoding="utf-8")
    return scene


def test_a_scene_is_read_as_written(scene):
    loaded = load_scene(scene)
    assert (loaded.spec.name, loaded.spec.seed, loaded.spec.vehicles[0].type) == (
        "small",
        5,
        "bus_12m",
    )
    assert loaded.text == SCENE and loaded.path == scene


@pytest.mark.parametrize(
    ("override", "pick", "value"),
    [
        ("seed=9", lambda s: s.seed, 9),
        ("map.file=other.xodr", lambda s: s.map.file, "other.xodr"),
        ('title="a = b"', lambda s: s.title, "a = b"),
        ("vehicles.0.depart_s=30.5", lambda s: s.vehicles[0].depart_s, 30.5),
        ("vehicles.bus1.type=shuttle", lambda s: s.vehicles[0].type, "shuttle"),
        ("vehicles.0.start_lane=7/1/-2", lambda s: s.vehicles[0].start_lane, "7/1/-2"),
        ("onboard.planner.horizon_s=4.0", lambda s: s.onboard, {"planner": {"horizon_s": 4.0}}),
        ("default_signals=false", lambda s: s.default_signals, False),
        ("criteria=[]", lambda s: s.criteria, ()),
    ],
)  # fmt: skip
def test_an_override_sets_one_value(scene, override, pick, value):
    assert pick(load_scene(scene, [override]).spec) == value


def test_later_overrides_win_and_the_file_stays_as_it_is(scene):
    assert load_scene(scene, ["seed=1", "seed=2"]).spec.seed == 2
    assert scene.read_text(encoding="utf-8") == SCENE


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed = 5", "sead = 5", ["unknown key 'sead'", "Nearest known: seed"]),
        ('type = "bus_12m"', 'type = "bus_12m"\ndepart = 3', ["'vehicles.0.depart'", "depart_s"]),
        ("duration_s = 60", "", ["'duration_s' is missing"]),
        ("duration_s = 60", 'duration_s = "long"', ["duration_s: found 'long'", "expected a bare number, in s"]),
        ("duration_s = 60", "duration_s = -1", ["duration_s: found -1", "greater than 0"]),
        ("duration_s = 60", "duration_s = nan", ["duration_s: found nan", "finite"]),
        ('"1/0/-1"', '"one"', ["vehicles.0.start_lane: found 'one'", "road/section/lane"]),
        ('kind = "comfort"', 'kind = "comfrt"', ["criteria.0.kind: no criterion 'comfrt'", "comfort"]),
        ('kind = "comfort"', "", ["criteria.0", "'kind' is missing"]),
        ('kind = "comfort"', 'kind = "comfort"\njerk = 1', ["unknown key 'criteria.0.jerk'", "jerk_mps3"]),
        ('kind = "comfort"', 'kind = "comfort"\njerk_mps3 = 0', ["criteria.0.jerk_mps3: found 0"]),
        ('vehicles = ["bus1"]', 'vehicles = ["bus2"]', ["criteria.0.vehicles", "no vehicle 'bus2'", "bus1"]),
        ("seed = 5", "seed = ", ["not valid TOML", "line 4"]),
        ("seed = 5", "seed = 5\nseed = 6", ["not valid TOML", "line 5"]),
    ],
)  # fmt: skip
def test_each_mistake_gets_a_sentence_with_file_and_key(scene, old, new, words):
    text = sentence(edited(scene, old, new))
    assert str(scene) in text
    for word in words:
        assert word in text
    assert "\n" not in text


def test_several_mistakes_are_counted(scene):
    edited(scene, "seed = 5", "seed = -5\ntick_ms = 0")
    assert "1 more" in sentence(scene)


def test_two_vehicles_of_one_name_are_refused(scene):
    block = SCENE[SCENE.index("[[vehicles]]") : SCENE.index("[[criteria]]")]
    edited(scene, "[[criteria]]", block + "[[criteria]]")
    assert "name 'bus1' is used twice" in sentence(scene)


def test_a_criterion_about_vehicles_needs_a_vehicle(scene):
    assert "the scene has none" in sentence(scene, "vehicles=[]", "criteria=[{kind='comfort'}]")
    assert 'who = "background"' in sentence(
        scene, "vehicles=[]", "criteria=[{kind='no_collision'}]"
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "expected key=value"),
        ("=3", "expected key=value"),
        ("duration_s={", "not a TOML value"),
        ("vehicles.bus9.depart_s=1", "entries are bus1"),
        ("vehicles.7.depart_s=1", "entries are bus1"),
        ("seed.x=1", "cannot be set"),
        ("sed=3", "unknown key 'sed'"),
    ],
)
def test_a_bad_override_is_named(scene, override, words):
    text = sentence(scene, override)
    assert words in text and f"--set {override}" in text


def test_a_missing_scene_names_the_library(tmp_path):
    assert "brt_corridor" in sentence(tmp_path / "brt_corridoor.toml")
    assert "is a folder" in sentence(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('share = ["cam"]', "roadside.0.share.0"),
        ('share = ["ssm", "ssm"]', "`share` names a message twice"),
        ("ssm_period_ms = 150", "roadside.0.ssm_period_ms"),
    ],
)
def test_what_a_roadside_unit_cannot_share_is_refused(scene, line, words):
    unit = f'[[roadside]]\nname = "J1"\njunctions = ["J1"]\n{line}\n\n[[criteria]]'
    assert words in sentence(edited(scene, "[[criteria]]", unit))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(b"name = '\xff\xfe'")
    assert "not UTF-8" in sentence(path)


def test_library_scenes_load_by_name():
    assert {"brt_corridor", "smart_island"} <= set(library())
    for name, path in library().items():
        loaded = load_scene(name)
        assert loaded.path == path and loaded.spec.name == name
        assert find_map(loaded.spec, path.parent).is_file()
        assert loaded.spec.criteria, f"{name} judges nothing"


def test_the_map_beside_the_scene_goes_before_the_library(scene):
    with pytest.raises(ConfigError, match=r"map\.file: no road file 'roads\.xodr'"):
        find_map(load_scene(scene).spec, scene.parent)
    (scene.parent / "roads.xodr").write_text("<OpenDRIVE/>")
    assert find_map(load_scene(scene).spec, scene.parent) == scene.parent / "roads.xodr"
    spec = load_scene(scene, ["map.file=brt_corridor.xodr"]).spec
    assert find_map(spec, scene.parent).name == "brt_corridor.xodr"


def test_a_bare_map_becomes_a_scene(tmp_path):
    spec = map_scene(tmp_path / "town 01.xodr", seed=4, duration_s=20.0)
    assert (spec.name, spec.seed, spec.duration_s) == ("town_01", 4, 20.0)
    assert Path(spec.map.file) == tmp_path / "town 01.xodr"
    assert apply_overrides(spec, ["seed=8"], "town").seed == 8


def test_a_scene_survives_json_so_that_a_log_header_can_hold_it(scene):
    spec = load_scene(scene).spec
    again = type(spec).model_validate(json.loads(spec.model_dump_json()))
    assert again == spec
