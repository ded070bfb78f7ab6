"""Foxglove Studio itself, the last version that its makers published as a package, opens our logs in a real browser and draws the run.

Not by its word: the coloured pixels of its picture are turned back into metres and compared with the run's own records.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from numpy.typing import NDArray
from playwright.sync_api import Browser

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.log.records import Actors, WorldSample
from tests.examples import built
from tests.log_readers.studio_page import StudioPage, launched_with_gl, served
from tests.support.browser import require_browser

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
DURATION_S, HEIGHT_M, INSIDE_M = 40, 60.0, 22.0  # seen; and of that, where nothing lies over it
PATIENCE_S = 90  # 56 MB of script, on a machine that may be busy
_PAPER = (243, 243, 243)
Pixels = NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """What the records say of one moment: boxes (4, 2) in the world by actor, those of the bus, and a middle to look at."""

    t_s: float
    boxes: dict[int, list[NDArray[np.float64]]]
    bus: NDArray[np.float64]
    middle: tuple[float, float]


@pytest.fixture(scope="module")
def site() -> Path:
    """The application, as npm has it."""
    require_browser()
    return built.node_packages(Path(__file__).parent / "studio", ROOT / "build" / "log_studio")


@pytest.fixture(scope="module")
def logs(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the corridor, and what is left of it after two thirds of the bytes."""
    loaded = load_scene(Path("brt_corridor"), (f"duration_s={DURATION_S}", "vehicles.0.depart_s=2"))
    folder = tmp_path_factory.mktemp("run")
    whole = run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False)).log_path.read_bytes()  # fmt: skip
    (folder / "cut.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    return folder


@pytest.fixture(scope="module")
def address(site: Path, logs: Path) -> Iterator[str]:
    with served(site, logs) as address:
        yield address


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    with launched_with_gl() as browser:
        yield browser


def test_the_scene_is_drawn_where_the_run_was(browser: Browser, address: str, logs: Path) -> None:
    reader = LogReader.open(logs / "run.mcap")
    scene = max(_scenes(reader), key=lambda one: len(one.boxes))
    assert len(scene.boxes) >= 3  # the bus and others
    studio = _open(browser, address, logs / "run.mcap", scene)
    picture = _drawn(studio, scene)
    _keep(studio, "foxglove_studio")
    for boxes in scene.boxes.values():
        for box in boxes:
            assert _filled(studio, picture, box) > 0.9
            aside = box + np.array([0.0, 1.3 * np.ptp(box[:, 1])])
            if not any(_near(aside, other) for many in scene.boxes.values() for other in many):
                assert _filled(studio, picture, aside) < 0.3  # road: lines at most
    # What it lists: all topics with their types, nothing wrong.
    text = studio.text()
    for name, topic in sorted(_channels(logs / "run.mcap")):
        assert f"{topic}\n{name}\n" in text
    studio.page.get_by_text("Problems").click()
    studio.page.get_by_text("No problems found").wait_for()
    # One of our own messages, unfolded by the schema in the log.
    assert "icv.v1.Spat" in text
    assert "is_priority_active" in text
    studio.close()


def test_it_plays(browser: Browser, address: str, logs: Path) -> None:
    scenes = [one for one in _scenes(LogReader.open(logs / "run.mcap")) if one.t_s >= 12.0]
    studio = _open(browser, address, logs / "run.mcap", scenes[0])
    _drawn(studio, scenes[0])
    first = _front(studio)
    studio.page.get_by_title("Play", exact=True).click()
    _until(lambda: _front(studio) > first + 5.0, "the bus does not move")
    studio.close()


def test_a_log_that_breaks_off_is_drawn_too(browser: Browser, address: str, logs: Path) -> None:
    reader = LogReader.open(logs / "cut.mcap", recover=True)
    scene = next(one for one in _scenes(reader) if one.t_s >= 10.0)
    studio = _open(browser, address, logs / "cut.mcap", scene)
    _drawn(studio, scene)
    studio.page.get_by_text("Problems").click()
    studio.page.get_by_text("This file is unindexed").wait_for()
    _keep(studio, "foxglove_studio_cut")
    studio.close("Expected MCAP magic")  # it says so, and reads on as a stream


def _scenes(reader: LogReader) -> Iterator[Scene]:
    """Moments with a scene in the log, the bus in the middle; only boxes that are seen whole."""
    actors = reader.actors()
    (bus,) = actors.id[actors.rear_length_m > 0].tolist()
    for sample in reader.world():
        if sample.t_ns % 500_000_000 or sample.t_ns < 5_000_000_000:
            continue
        boxes = dict(_boxes(sample, actors))
        middle = np.concatenate(boxes[bus]).mean(axis=0)
        seen = {
            actor: many for actor, many in boxes.items() if np.abs(np.concatenate(many) - middle).max() < INSIDE_M
        }  # fmt: skip
        yield Scene(sample.t_ns / 1e9, seen, np.concatenate(boxes[bus]), (float(middle[0]), float(middle[1])))  # fmt: skip


def _boxes(sample: WorldSample, actors: Actors) -> Iterator[tuple[int, list[NDArray[np.float64]]]]:
    """Sections of every actor from its records: the origin, sizes and the angle at the joint."""
    row_of = {int(actor): k for k, actor in enumerate(actors.id)}
    for k, actor in enumerate(sample.id.tolist()):
        row = row_of[actor]
        origin = np.array([sample.x_m[k], sample.y_m[k]])
        yaw, half = float(sample.yaw_rad[k]), float(actors.width_m[row]) / 2
        back = -float(actors.rear_overhang_m[row])
        many = [_box(origin, yaw, back, back + float(actors.length_m[row]), half)]
        if actors.rear_length_m[row] > 0:
            joint = origin + float(actors.hitch_x_m[row]) * np.array([math.cos(yaw), math.sin(yaw)])
            turn = yaw - float(sample.hitch_rad[k])
            many.append(_box(joint, turn, -float(actors.rear_length_m[row]), 0.0, half))
        yield actor, many


def _box(
    at: NDArray[np.float64], yaw: float, back: float, front: float, half: float
) -> NDArray[np.float64]:
    along = np.array([math.cos(yaw), math.sin(yaw)])
    left = np.array([-along[1], along[0]])
    return np.array([at + x * along + y * left for x, y in ((back, -half), (front, -half), (front, half), (back, half))])  # fmt: skip


def _open(browser: Browser, address: str, log: Path, scene: Scene) -> StudioPage:
    epoch = LogReader.open(log, recover=True).header().epoch_ns / 1e9
    moment = datetime.datetime.fromtimestamp(epoch + scene.t_s, tz=datetime.UTC)
    at = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z"
    return StudioPage(browser, address, log.name, at, scene.middle, HEIGHT_M)


def _drawn(studio: StudioPage, scene: Scene) -> Pixels:
    """The picture, once the bus is in it; its edges are where the records have them."""
    _until(lambda: bool(_blue(studio.scene()).sum() > 1000), "the bus is not drawn")
    picture = studio.scene()
    found = studio.world_of(picture, _blue(picture))
    # Black edges are drawn around a box: a pixel, 8 cm.
    assert found.min(axis=0) == pytest.approx(scene.bus.min(axis=0), abs=0.25)
    assert found.max(axis=0) == pytest.approx(scene.bus.max(axis=0), abs=0.25)
    return picture


def _blue(picture: Pixels) -> NDArray[np.bool_]:
    """The colour of driven vehicles, in whatever light."""
    return np.asarray(picture[..., 2] - picture[..., 0] > 80)


def _front(studio: StudioPage) -> float:
    picture = studio.scene()
    blue = _blue(picture)
    return float(studio.world_of(picture, blue)[:, 0].max()) if blue.any() else -math.inf


def _filled(studio: StudioPage, picture: Pixels, box: NDArray[np.float64]) -> float:
    """Share of the pixels in the inner part of a box that are not paper."""
    inner = box.mean(axis=0) + 0.8 * (box - box.mean(axis=0))
    every = np.ones(picture.shape[:2], bool)
    at = studio.world_of(picture, every)
    inside = np.ones(len(at), bool)
    for a, b in zip(inner, np.roll(inner, -1, axis=0), strict=True):
        d = b - a
        inside &= d[0] * (at[:, 1] - a[1]) - d[1] * (at[:, 0] - a[0]) >= 0
    colours = picture.reshape(-1, 3)[inside]
    return float((np.abs(colours - _PAPER).max(axis=1) > 30).mean())


def _near(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    apart = np.abs(one.mean(axis=0) - other.mean(axis=0))
    return bool((apart < (np.ptp(one, axis=0) + np.ptp(other, axis=0)) / 2).all())


def _channels(log: Path) -> set[tuple[str, str]]:
    """(schema, topic)."""
    with log.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    return {(summary.schemas[c.schema_id].name, c.topic) for c in summary.channels.values()}


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.5)


def _keep(studio: StudioPage, name: str) -> None:
    """A picture for people to look at; not part of the source."""
    folder = ROOT / "build" / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    studio.page.screenshot(path=folder / f"{name}.png")
