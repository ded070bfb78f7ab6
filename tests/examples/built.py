"""The units of `examples/`, built the way their README says, once for all tests, under `build/examples` (git ignores it).

A missing tool skips the test with its name; a build that fails for another reason than the registry fails the test.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OUT = ROOT / "build" / "examples"
PROTOS = ROOT / "protocols" / "v1"
_NETWORK = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|E40[34]|E5\d\d|ENOTCACHED|ENETUNREACH|network"
)


def node_folder() -> Path:
    """A copy of `examples/node-unit` with its packages."""
    return node_packages(EXAMPLES / "node-unit", OUT / "node-unit")


def node_packages(source: Path, folder: Path) -> Path:
    """`folder`: a copy of an npm project with the packages of its lock file; skips where there is no npm or no registry."""
    _need("node", "npm")
    with _alone():
        folder.mkdir(parents=True, exist_ok=True)
        lock = (source / "package-lock.json").read_bytes()
        # `npm ci` removes the folder, and the stamp with it.
        stamp = folder / "node_modules" / ".installed"
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))  # fmt: skip
        if not stamp.is_file() or stamp.read_bytes() != lock:
            done = run(["npm", "ci", "--no-audit", "--no-fund"], folder)
            if done.returncode and _NETWORK.search(done.stderr):
                pytest.skip(f"npm cannot reach its registry: {done.stderr.strip()[:300]}")
            assert done.returncode == 0, done.stderr
            stamp.write_bytes(lock)
    return folder


def node_fleet() -> list[str]:
    """The command that starts the Node.js unit."""
    return ["node", str(node_folder() / "fleet.js"), "--protos", str(PROTOS)]


def cpp_fleet() -> list[str]:
    """The command that starts the C++ unit; its build must not warn."""
    _need("make", "g++", "pkg-config", "protoc")
    for package in ("libzmq", "protobuf"):
        if subprocess.run(["pkg-config", "--exists", package], check=False).returncode:
            pytest.skip(f"no headers of {package} here; tests/install.sh gets them")
    out = OUT / "cpp-unit"
    with _alone():
        done = run(["make", "-s", "-j2", f"BUILD={out}", "CXX=g++", "CXXFLAGS=-O1 -Werror"], EXAMPLES / "cpp-unit")  # fmt: skip
        assert done.returncode == 0, done.stderr
    return [str(out / "fleet-unit")]


def _need(*tools: str) -> None:
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} here; tests/install.sh gets them")


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a folder, without what `make test` would tell an inner make."""
    env = {
        name: value for name, value in os.environ.items() if name != "MAKEFLAGS"
    }  # of `make test`
    return subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, env=env
    )  # fmt: skip


@contextmanager
def _alone() -> Iterator[None]:
    """Two pytest workers must not build the same thing at the same time."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
