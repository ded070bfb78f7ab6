"""What a newcomer may rely on: lock files without addresses, modules of a readable size, no time and no chance below the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("protocols", "vehicle", "roadside", "scenarios", "sim")
MAX_LINES = 500
MAX_KERNEL_LINES = (
    650  # a kernel may call kernels of its own file only, so what belongs together stays together
)
GENERATED = ("_pb2.py", "_pb2.pyi")
# Where time is measured for people; it never reaches the log's digest.
MAY_READ_THE_CLOCK = (
    "sim/bench/", "sim/timing.py", "sim/compose.py",
    "sim/commands/",  # the command line itself
    "sim/viewer/",  # shows what was recorded: sockets with time limits, how old a log is
    # Sockets have time limits, and an asynchronous CARLA server keeps real time.
    "sim/carla/server/connection.py", "sim/carla/server/serve.py", "sim/carla/server/transport.py",
)  # fmt: skip
CLOCKS = {
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
}


def modules() -> list[Path]:
    """Every module written by hand."""
    return [
        path
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if not path.name.endswith(GENERATED) and "__pycache__" not in path.parts
    ]


def calls(tree: ast.AST) -> list[tuple[str, str, int]]:
    """(owner, name, line) of calls written as owner.name(...)."""
    return [
        (
            node.func.value.id
            if isinstance(node.func.value, ast.Name)
            else ast.unparse(node.func.value),
            node.func.attr,
            node.lineno,
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def unseeded(source: str) -> list[int]:
    """Lines that draw from a global generator, or make one without a seed."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, name = ast.unparse(node.func.value), node.func.attr
        if owner in ("random", "secrets", "uuid", "np.random", "numpy.random"):
            makes_one = name in ("Generator", "Philox", "SeedSequence", "default_rng", "Random")
            if not makes_one or not (node.args or node.keywords):
                lines.append(node.lineno)
    return lines


def clock_reads(source: str) -> list[int]:
    """Lines that read the wall clock or the processor's."""
    found = [
        line for owner, name, line in calls(ast.parse(source)) if owner == "time" and name in CLOCKS
    ]
    return found + [
        line
        for owner, name, line in calls(ast.parse(source))
        if name in ("now", "utcnow", "today") and "date" in owner
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.lock")), ids=lambda p: p.name)
def test_lock_files_hold_names_versions_and_hashes_only(path):
    lines = path.read_text().splitlines()
    assert len(lines) > 100
    for line in lines:
        assert re.fullmatch(
            r"[a-z0-9-]+==[A-Za-z0-9.+]+( ; [^/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line
        ), line


def test_modules_stay_readable():
    long = {}
    for path in modules():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > (MAX_KERNEL_LINES if path.stem.endswith("_kernels") else MAX_LINES):
            long[str(path.relative_to(ROOT))] = lines
    assert not long


def test_every_module_says_what_it_answers():
    mute = [
        str(p.relative_to(ROOT))
        for p in modules()
        if (text := p.read_text(encoding="utf-8")).strip()
        and not ast.get_docstring(ast.parse(text))
    ]
    assert not mute


def test_nothing_draws_without_a_seed():
    found = {
        str(p.relative_to(ROOT)): lines
        for p in modules()
        if (lines := unseeded(p.read_text(encoding="utf-8")))
    }
    assert not found


def test_nothing_below_the_command_line_reads_the_clock():
    found = {}
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(MAY_READ_THE_CLOCK) and (
            lines := clock_reads(path.read_text(encoding="utf-8"))
        ):
            found[name] = lines
    assert not found


@pytest.mark.parametrize(
    "planted",
    [
        "import numpy as np\nx = np.random.default_rng()",
        "import random\nx = random.random()",
        "import numpy as np\nnp.random.normal()",
    ],
)
def test_a_planted_unseeded_draw_is_caught(planted):
    assert unseeded(planted) == [2]
    assert unseeded("import numpy as np\nx = np.random.default_rng(7)") == []


def test_a_planted_clock_is_caught():
    assert clock_reads("import time\nt = time.perf_counter()") == [2]
    assert clock_reads("import datetime\nt = datetime.datetime.now()") == [2]


def test_nothing_unpickles_or_evaluates():
    for path in modules():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) pickle\b", text, re.M), path
        assert not re.search(r"(?<![\w.])(eval|exec)\(", text), path
