"""Short runs, their reports and a viewer's server, made once for all tests of the page; and the browser that looks at them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.report.html import write_report
from tests.report_pack.test_pack_hostile import evil
from tests.support.browser import launched, require_browser
from tests.viewer_browser.processes import Process, icv, serving_address
from tests.viewer_browser.viewer_page import ViewerPage

# The bus leaves at once; in the second run its unit falls silent for four seconds, and the bus brakes hard.
_DRIVING = ("duration_s=22", "vehicles.0.depart_s=2")
_SILENT = 'faults=[{kind="crash",unit="obu/bus1",at_s=8.0,until_s=12.0}]'
_RUNS = (
    ("plain", "brt_corridor", _DRIVING),
    ("silent", "brt_corridor", (*_DRIVING, _SILENT)),
    ("island", "smart_island", ("duration_s=20",)),
)
_OLD = (1_700_000_000, 1_700_000_000)  # a log written to just now would count as one of a run in progress  # fmt: skip


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/ (three runs and a log that broke off) and reports/; shared by all workers of a test run."""
    require_browser()
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    root = base / "viewer_browser"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait until it is made
        if not (root / "made").exists():
            _make(root)
            (root / "made").touch()
    return root


def _make(root: Path) -> None:
    runs, reports = root / "runs", root / "reports"
    reports.mkdir(parents=True)
    for name, scene, overrides in _RUNS:
        loaded = load_scene(Path(scene), overrides)
        options = RunOptions(picture=False)
        log = run_scene(loaded.spec, loaded.path.parent, runs / name, options=options).log_path
        write_report(log, reports / f"{name}.html")
    logs = {name: runs / name / "run.mcap" for name, _, _ in _RUNS}
    write_report(logs["plain"], reports / "compared.html", logs["silent"])
    write_report(logs["plain"], reports / "maps.html", logs["island"])
    whole = logs["plain"].read_bytes()
    (runs / "cut.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    write_report(runs / "cut.mcap", reports / "cut.html")
    write_report(logs["plain"], reports / "ended.html", runs / "cut.mcap")
    (root / "evil").mkdir()
    evil(root / "evil")
    write_report(root / "evil" / "run.mcap", reports / "evil.html")
    for path in runs.rglob("*.mcap"):
        os.utime(path, _OLD)


@pytest.fixture(scope="session")
def screens() -> Path:
    """Where pictures of the page and figures are kept for people to look at; not part of the source."""
    folder = Path(__file__).parents[2] / "build" / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def server(root: Path) -> Iterator[str]:
    """Address of `icv view` of the folder of runs."""
    with icv("view", str(root / "runs"), "--port", "0", "--no-browser") as process:
        yield serving_address(process)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts `icv` with arguments; ended with the test."""
    started: list[Any] = []

    def begin(*arguments: str) -> Process:
        started.append(icv(*arguments))
        return started[-1].__enter__()  # type: ignore[no-any-return]

    yield begin
    for one in reversed(started):
        one.__exit__(None, None, None)


@pytest.fixture
def look(browser: Browser, screens: Path) -> Iterator[Callable[..., ViewerPage]]:
    """Opens a page by its file or address; when the test is over, nothing may have gone wrong in it."""
    opened: list[ViewerPage] = []

    def open_page(where: Path | str, **options: Any) -> ViewerPage:
        opened.append(ViewerPage(browser, where, screens, **options))
        return opened[-1]

    yield open_page
    for one in opened:
        one.end()


@pytest.fixture
def report(root: Path, look: Callable[..., ViewerPage]) -> Callable[..., ViewerPage]:
    """Opens a report by its name: plain, silent, island, compared, maps, ended, cut, evil; `at` is what follows the `#`."""

    def open_report(name: str, at: str = "", **options: Any) -> ViewerPage:
        address = (root / "reports" / f"{name}.html").as_uri()
        options.setdefault("offline", True)
        return look(address + at, **options)

    return open_report
