"""The script that reads a log with Foxglove's own packages, ready to be called; skips where there is no Node.js or no registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.examples import built

ROOT = Path(__file__).parents[2]
Read = Callable[..., Any]


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with the script and its packages."""
    return built.node_packages(Path(__file__).parent / "node", ROOT / "build" / "log_readers")


@pytest.fixture(scope="session")
def read(node: Path) -> Read:
    """What the script prints of a log, or its complaint."""

    def call(log: Path, *arguments: str, fails: bool = False) -> Any:
        done = built.run(["node", "read_log.mjs", str(log), *arguments], node)
        if fails:
            assert (done.returncode, done.stdout) == (1, ""), done.stdout[:1000]
            assert done.stderr.count("\n") == 1, done.stderr
            return done.stderr
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return call
