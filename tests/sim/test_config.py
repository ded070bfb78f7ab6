"""What is wrong with a scene is said in one sentence that names the key, before anything is run or written."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocols.errors import ConfigError, InputError
from scenarios.load import load_scene
from sim.cli import app
from sim.compose import RunOptions, run_scene
from tests.support.corridor import resolved

CASES = [
    # (override, the sentence begins with, and holds)
    ('vehicles.0.type="tank"', "vehicles.0.type:", "expected one of articulated_bus_18m"),
    ("onboard.driving.prioritty=true", "vehicles.0.onboard.driving:", "unknown key 'prioritty'. Nearest known: priority"),
    ("onboard={ driving = 3 }", "vehicles.0.onboard.driving:", "found 3"),
    ("vehicles.0.onboard={ wings = 2 }", "vehicles.0.onboard:", "unknown key 'wings'. Nearest known: driving"),
    ('roadside.0.junctions=["J9"]', "roadside.0.junctions.0:", "Known: J1, J2, J3, J4"),
    ('roadside.0.junctions=["J1", "J1"]', "roadside.0.junctions.1:", "named twice"),
    ('roadside.1.junctions=["J1"]', "roadside.1.junctions:", "already belongs to roadside unit 'J1'"),
    ('signals.0.junction="J9"', "signals.0.junction:", "Known: J1"),
    ('signals.1.junction="J1"', "signals.1:", "two plans"),
    ("signals.0.stages.0.green_s=-1", "signals.0.stages.0.green_s:", "found -1"),
    ('signals.0.stages.0.groups=["nope"]', "signals.0", "stages[0].groups[0]: 'nope'"),
    ("signals.0.priority.max_early_s=\"soon\"", "signals.0.priority.max_early_s:", "'soon'"),
    ("demand.flows.0.mix={ tank = 1.0 }", "demand.flows.0 ('west').mix:", "'tank'"),
    ("demand.flows.0.mix={}", "demand.flows.0 ('west').mix:", "not all zero"),
    ("demand.flows.0.mix={ car = -1.0 }", "demand.flows.0 ('west').mix:", "-1"),
    ('demand.flows.0.destinations={ "road:5" = 0.0 }', "demand.flows.0 ('west').destinations:", "not all zero"),
    ('demand.flows.0.destinations={ "road:99" = 1.0 }', "demand.flows.0 ('west').destinations:", "'99'"),
    ('demand.flows.0.origins=["1/0/9"]', "demand.flows.0 ('west').origins:", "'1/0/9'"),
    ('demand.flows.0.stops=["Nowhere"]', "demand.flows.0 ('west').stops:", "Known: Beiguan terminal"),
    ('demand.walkers.0.crossings=["zebra"]', "demand.walkers.0.crossings:", "J1.walk_west"),
    ('radio.model="laser"', "radio.model:", "'ideal' or 'range_loss'"),
    ("radio.nois_dbm=1", "radio.nois_dbm:", "noise_dbm"),
    ('radio.noise_dbm="low"', "radio.noise_dbm:", "expected a number"),
    ("radio.noise_dbm=true", "radio.noise_dbm:", "expected a number"),
    ('radio.preset="fog"', "radio.preset:", "umh_m4"),
    ('radio={ model = "ideal", preset = "default" }', "radio.preset:", "'range_loss'"),
]  # fmt: skip


@pytest.mark.parametrize(("override", "key", "words"), CASES)
def test_a_mistake_in_a_section_is_named_by_its_key(override: str, key: str, words: str):
    with pytest.raises(ConfigError) as caught:
        resolved(override)
    text = str(caught.value)
    assert text.startswith(key) and words in text, text
    assert "\n" not in text and caught.value.exit_code == 2


LATE = [
    # what only building the run can find
    ('vehicles.0.start_lane="9/9/-9"', "vehicles.0.start_lane: Lane '9/9/-9'"),
    ("vehicles.0.start_s_m=9999", "vehicles.0.start_s_m: found 9999"),
    ('vehicles.0.destination_lane="1/0/2"', "vehicles.0.destination_lane: No way for bus"),
    ('vehicles.0.stops.0.station="Nowhere"', "vehicles.0.stops.0.station: station 'Nowhere'"),
    ('vehicles.0.stops.0.station="Xihuan westbound"', "vehicles.0.stops.0 (station 'Xihuan westbound'): No way"),
    ('vehicles.0.sensors.lidar="x"', "vehicles.bus1.sensors.lidar: unknown sensor"),
    ("vehicles.0.sensors.gnss=3", "vehicles.bus1.sensors.gnss: found 3"),
    ('vehicles.0.sensors.gnss="best"', "vehicles.bus1: sensor preset gnss.'best'"),
    ('vehicles.0.sensors.gnss={ white_sigma_m = "a" }', "vehicles.bus1.sensors.gnss.white_sigma_m = 'a'"),
    ("vehicles.0.sensors.gnss={ white_sigma_m = true }", "vehicles.bus1.sensors.gnss.white_sigma_m = True"),
    ("vehicles.0.sensors.gnss={ white_sigma_m = -1 }", "vehicles.bus1: sensors.gnss.white_sigma_m = -1"),
    ('roadside.0.sensors.objects="x"', "roadside.J1: sensor preset objects.'x'"),
    ("record.truth_period_ms=15", "brt_corridor, tick_ms = 10: record.truth_period_ms = 15 ms"),
    ("tick_ms=7", "brt_corridor, tick_ms = 7: "),
    ('epoch_utc="2026-13-45T00:30:00Z"', "epoch_utc: found '2026-13-45T00:30:00Z'"),
    ('epoch_utc="1960-05-18T00:30:00Z"', "epoch_utc: found '1960-05-18T00:30:00Z'"),
    ('map.file="nowhere.xodr"', "map.file: no road file 'nowhere.xodr'"),
]  # fmt: skip


@pytest.mark.parametrize(("override", "words"), LATE)
def test_a_mistake_found_while_building_leaves_no_log_behind(
    tmp_path: Path, override: str, words: str
):
    loaded = load_scene(Path("brt_corridor"), (override, "duration_s=1"))
    with pytest.raises(InputError) as caught:
        run_scene(loaded.spec, loaded.path.parent, tmp_path, options=RunOptions(picture=False))
    assert str(caught.value).startswith(words), str(caught.value)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_vehicle_s_onboard_table_goes_over_the_scene_s_key_by_key():
    both = resolved(
        "onboard={ driving = { priority = false } }",
        "vehicles.0.onboard={ control_period_ms = 40 }",
    ).vehicles[0].onboard  # fmt: skip
    assert both.driving.priority is False and both.control_period_ms == 40
    own = resolved(
        "onboard={ driving = { priority = false } }",
        "vehicles.0.onboard={ driving = { priority = true } }",
    ).vehicles[0].onboard  # fmt: skip
    assert own.driving.priority is True


def test_junctions_without_a_plan_of_their_own_get_a_default_one():
    scene = resolved("signals=[]")
    assert len(scene.plans) == 4
    with pytest.raises(
        ConfigError, match=r"roadside\.0\.junctions\.0: junction 'J1' has no signals"
    ):
        resolved("signals=[]", "default_signals=false")


def test_the_order_in_which_weights_are_written_does_not_matter():
    one = resolved('demand.flows.0.destinations={ "road:5" = 2.0, "road:21" = 1.0 }')
    two = resolved('demand.flows.0.destinations={ "road:21" = 1.0, "road:5" = 2.0 }')
    assert one.traffic == two.traffic


def test_the_command_says_it_in_one_line_with_code_two(tmp_path: Path):
    result = CliRunner().invoke(
        app, ["run", "brt_corridor", "--set", "vehicles.0.stops.0.station=Nowhere", "--out", str(tmp_path / "here"), "-q"]
    )  # fmt: skip
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("icv: ")]
    assert "vehicles.0.stops.0.station: station 'Nowhere'" in line
    assert "Traceback" not in result.output
    assert not list(tmp_path.rglob("*.mcap"))
