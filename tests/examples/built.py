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
    _need("node", "npm")
    folder = OUT / "node-unit"
    with _alone():
        folder.mkdir(parents=True, exist_ok=True)
        lock = (EXAMPLES / "node-unit" / "package-lock.json").read_bytes()
        stamp = (
            folder / "node_modules" / ".installed"
        )  # `npm ci` removes the folder, and the stamp with it
        for name in ("package.json", "package-lock.json", "unit.js", "fleet.js"):
            shutil.copyfile(EXAMPLES / "node-unit" / name, folder / name)
        if not stamp.is_file() or stamp.read_bytes() != lock:
            done = _run(["npm", "ci", "--no-audit", "--no-fund"], folder)
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
        done = _run(["make", "-s", "-j2", f"BUILD={out}", "CXX=g++", "CXXFLAGS=-O1 -Werror"], EXAMPLES / "cpp-unit")  # fmt: skip
        assert done.returncode == 0, done.stderr
    return [str(out / "fleet-unit")]


def _need(*tools: str) -> None:
    lacking = [tool for tool in tools if shutil.which(tool) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} here; tests/install.sh gets them")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
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
