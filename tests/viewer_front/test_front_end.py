"""The page's own checks, with Node.js: types, unit tests, and that what the package ships is what its source builds to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.examples import built

ROOT = Path(__file__).parents[2]
SOURCE, SHIPPED = ROOT / "sim" / "viewer" / "web", ROOT / "sim" / "viewer" / "static"
OUT = ROOT / "build" / "viewer"


@pytest.fixture(scope="module")
def web() -> Path:
    """A copy of the source with its packages; it builds beside itself, as the source does."""
    return built.node_packages(SOURCE, OUT / "web")


def test_types_and_unit_tests(web: Path) -> None:
    for command in (["npx", "tsc", "--noEmit"], ["npx", "vitest", "run"]):
        done = built.run(command, web)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_what_is_shipped_is_what_the_source_builds_to(web: Path) -> None:
    done = built.run(["npx", "vite", "build"], web)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    names = sorted(path.name for path in SHIPPED.iterdir())
    assert names == sorted(path.name for path in (OUT / "static").iterdir())
    other = [n for n in names if (SHIPPED / n).read_bytes() != (OUT / "static" / n).read_bytes()]
    assert not other, "run `npm run build` in sim/viewer/web and commit sim/viewer/static"
    shutil.rmtree(OUT / "static")
