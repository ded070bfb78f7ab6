"""Runs that the tests of packs share: recorded once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.report.html import write_report
from sim.report.pack.meta import as_json
from sim.viewer.opened import OpenRun
from tests.report_pack.held import Held
from tests.report_pack.shown import Shown
from tests.support import fault_scene


def _library(scene: str, overrides: tuple[str, ...], folder: Path) -> Path:
    loaded = load_scene(Path(scene), overrides)
    options = RunOptions(picture=False)
    return run_scene(loaded.spec, loaded.path.parent, folder, options=options).log_path


@pytest.fixture(scope="session")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corridor from the bus's departure on: two blocks, four roadside units, an articulated bus that drives."""
    overrides = ("duration_s=40", "vehicles.0.depart_s=2")
    return _library("brt_corridor", overrides, tmp_path_factory.mktemp("corridor"))


@pytest.fixture(scope="session")
def island(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The island: a shuttle among people on foot and on bicycles."""
    return _library("smart_island", ("duration_s=40",), tmp_path_factory.mktemp("island"))


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A junction where every kind of fault happens, among them messages that are lost and messages that come late; a slow bus
    drives ahead of one car."""
    spec = fault_scene.scene(list(fault_scene.EVERY_KIND), duration_s=33.0, seed=3)
    ahead = {"name": "bus", "type": "articulated_bus_18m", "start_s_m": 60.0, "speed_mps": 3.0}
    spec = spec.model_copy(
        update={"vehicles": (*spec.vehicles, spec.vehicles[1].model_copy(update=ahead))}
    )
    return fault_scene.run(spec, tmp_path_factory.mktemp("faulty")).log_path


@pytest.fixture(scope="session")
def garbled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A junction where one car sends garbage for two seconds."""
    fault = {"kind": "garbage", "unit": "obu/a", "at_s": 2.0, "until_s": 4.0}
    folder = tmp_path_factory.mktemp("garbled")
    return fault_scene.run(fault_scene.scene([fault]), folder).log_path


class Served(Shown):
    """A run as the viewer's server shows it: the truth as densely as the log has it, everything else ten times a second."""

    frame_ms, said_ms = 100, 100

    @classmethod
    def of(cls, log: Path) -> Served:
        run = OpenRun(log)
        manifest = json.loads(as_json(run.manifest))
        sections = {key: run.section(key) for key in manifest["sections"]}
        return cls(manifest, {key: data for key, data in sections.items() if data is not None})


@pytest.fixture(scope="session", params=["corridor", "island", "faulty", "faulty served"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Held, Shown]:
    """A run's log and its report, each read without the other's code; of one also what the server shows."""
    name, _, is_served = request.param.partition(" ")
    log: Path = request.getfixturevalue(name)
    if is_served:
        return Held(log), Served.of(log)
    out = tmp_path_factory.mktemp("shown") / "report.html"
    write_report(log, out)
    return Held(log), Shown.in_report(out)
