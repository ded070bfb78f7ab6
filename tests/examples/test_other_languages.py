"""The units of `examples/` are units like any other: the same bytes, the same digest, and honest about how they end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from protocols import codec, zmq_bus
from protocols.errors import UnitError
from protocols.participant import Inbox, Outbox
from protocols.sensing import FleetReading, Readings
from protocols.simtime import Now
from protocols.unit_wire import decode_answer
from protocols.v1 import bsm_pb2, envelope_pb2, sensing_pb2, unit_pb2
from protocols.zmq_bus import Limits, ZmqBus
from protocols.zmq_net import SERVER_NAME, Keys, load_keys, make_keys
from sim.log.reader import LogReader
from tests.examples.built import EXAMPLES, PROTOS, ROOT, cpp_fleet, node_fleet, node_folder
from vehicle.fleet import FleetUnit

DURATION_S = 20.0
LIMITS = Limits(join_s=60.0, first_answer_s=30.0, answer_s=10.0)
_BUILD: dict[str, Callable[[], list[str]]] = {"node": node_fleet, "cpp": cpp_fleet}


@pytest.fixture(scope="session", params=sorted(_BUILD))
def fleet(request: pytest.FixtureRequest) -> list[str]:
    """The command that starts a unit `fleet`, without its address."""
    return _BUILD[request.param]()


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was printed."""
    output, _ = process.communicate(timeout=30.0)
    return process.returncode, output


@contextmanager
def bus_for_fleet(keys: Keys | None = None) -> Iterator[ZmqBus]:
    bus = ZmqBus("tcp://127.0.0.1:*", {"fleet": 1}, time.monotonic_ns, limits=LIMITS, keys=keys)
    try:
        yield bus
    finally:
        bus.close()


def reading(t_ns: int, rows: int, seed: int) -> FleetReading:
    """Rows of any size, with the numbers on which writers of bytes differ: -0.0, the smallest and the largest."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(0.0, 1e3, (10, rows)) * 10.0 ** rng.integers(-12, 12, (10, rows))
    special = (-0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1, -1.0 / 3.0)
    columns[:, : len(special)] = np.array(special)[:rows]
    station_id = rng.integers(0, 2**32, rows, np.uint32)
    kind = rng.integers(1, 10, rows, np.uint8)
    flags = np.full(rows, 2**32 - 1, np.uint32)
    names = [name for name in FleetReading.__slots__ if name.endswith(("_m", "_rad", "mps", "mps2", "radps"))]  # fmt: skip
    return FleetReading(
        t_ns=t_ns, station_id=station_id, kind=kind, flags=flags, **dict(zip(names, columns, strict=True))
    )  # fmt: skip


# bytes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "curve"])
def test_the_bytes_are_those_of_the_unit_in_python(
    fleet: list[str], is_encrypted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []  # as they came, before anything of ours has read them

    def spy(answer: object) -> Outbox:
        sent.extend(item.payload for item in answer.send)  # type: ignore[attr-defined]
        return decode(answer)  # type: ignore[arg-type]

    decode = decode_answer
    monkeypatch.setattr(zmq_bus, "decode_answer", spy)
    keys, more = None, []
    if is_encrypted:
        make_keys(tmp_path, ("fleet",))
        keys, more = load_keys(tmp_path, SERVER_NAME), ["--keys", str(tmp_path)]
    python = FleetUnit()
    expected: list[bytes] = []
    # Stamps beyond 2^53 do not fit into a double; tick 0 is all defaults; a reading may be empty or absent.
    stamps = (0, 10_000_000, 2**53 + 1, 2**63 - 1)
    with bus_for_fleet(keys) as bus, started([*fleet, "--connect", bus.address, *more]) as unit:
        bus.gather()
        for tick, t_ns in enumerate(stamps):
            for rows in (1, 6, 80, 0, None):
                readings = Readings(fleet=reading(t_ns, rows, tick)) if rows is not None else Readings()  # fmt: skip
                inbox, now = Inbox((), readings), Now(tick, t_ns)
                bus.exchange(now, {"fleet": inbox})
                expected += [
                    codec.encode(item.message) for item in python.on_tick(now, inbox).transmissions
                ]
        bus.end("pass")
        assert ended(unit) == (0, "fleet: the run has ended: pass\n")
    assert len(expected) == 3 * len(stamps)
    assert sent == expected


# how it ends -------------------------------------------------------------------------------------------------------------


def test_a_refused_unit_says_why(fleet: list[str]) -> None:
    with bus_for_fleet() as bus, started([*fleet, "--connect", bus.address]) as first:
        bus.gather()
        with started([*fleet, "--connect", bus.address, "--name", "rsu/X"]) as second:
            while second.poll() is None:
                bus.exchange(Now(0, 0), {"fleet": Inbox((), Readings())})
            code, output = ended(second)
        assert (code, output) == (
            3, "rsu/X: refused: no unit 'rsu/X' is expected here; units are fleet\n",
        )  # fmt: skip
        assert first.poll() is None


def test_a_unit_notices_that_the_simulation_has_gone(fleet: list[str]) -> None:
    with bus_for_fleet() as bus, started([*fleet, "--connect", bus.address]) as unit:
        bus.gather()
        bus.exchange(Now(0, 0), {"fleet": Inbox((), Readings())})
        bus.close()
        code, output = ended(unit)
    assert code == 3
    assert "has gone away" in output


def test_a_unit_without_a_simulation_says_so(fleet: list[str]) -> None:
    with started([*fleet, "--connect", "tcp://127.0.0.1:9", "--join", "0.5"]) as unit:
        code, output = ended(unit)
    assert code == 3
    assert "no simulation answered at tcp://127.0.0.1:9" in output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--connect"),
        (["--speed", "1"], 2, "--speed"),
        (["--connect", "tcp://127.0.0.1:9", "--join", "soon"], 2, "--join soon: expected seconds"),
        (["--connect", "nowhere"], 3, "nowhere"),
        (["--connect", "tcp://127.0.0.1:9", "--keys", "/nonexistent"], 3, "icv.key"),
    ],
)
def test_wrong_arguments_are_named(
    fleet: list[str], arguments: list[str], code: int, words: str
) -> None:
    with started([*fleet, *arguments]) as unit:
        found, output = ended(unit)
    assert (found, words in output) == (code, True), output


@pytest.mark.parametrize(
    ("misdeed", "sentence"),
    [
        ("wrong tick", r"answered for tick 4, expected this one"),
        ("throws", r"gave up: RangeError: gain / 0"),
        ("strange topic", r"gave up: Error: topic v2x/cam does not exist"),
        ("wrong type", r"gave up: Error: BasicSafetyBatch: x_m: number\[\] expected"),
        ("not allowed", r"may not send 'v2x/spat'"),
    ],
)
def test_misconduct_in_javascript_is_named_like_any_other(misdeed: str, sentence: str) -> None:
    folder = node_folder()
    with bus_for_fleet() as bus, started(misbehaving(folder, bus.address, misdeed, 3)):
        bus.gather()
        with pytest.raises(UnitError, match=rf"unit fleet at tick 3 .*{sentence}"):
            for tick in range(10):
                bus.exchange(Now(tick, tick * 10_000_000), {"fleet": Inbox((), Readings())})


def misbehaving(folder: Path, address: str, misdeed: str, at_tick: int) -> list[str]:
    script = Path(__file__).with_name("misbehave.js")
    return ["node", str(script), str(folder), address, str(PROTOS), misdeed, str(at_tick)]


# whole runs --------------------------------------------------------------------------------------------------------------


def icv_run(out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "sim.cli", "run", "brt_corridor", "--duration", str(DURATION_S), "--out", str(out),
        "--no-picture", "--quiet", *more,
    ]  # fmt: skip


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300.0,
        stdin=subprocess.DEVNULL,
    )


def with_external_fleet(out: Path, unit: list[str], add_address: bool) -> tuple[subprocess.CompletedProcess[str], int, str]:  # fmt: skip
    """`icv run` whose fleet is `unit`; the finished run, the unit's exit code and output."""
    with tempfile.TemporaryDirectory(prefix="icv-") as folder:  # a socket's path must be short
        address = f"ipc://{folder}/bus"
        command = [*unit, "--connect", address] if add_address else [part.replace("ADDRESS", address) for part in unit]  # fmt: skip
        with started(command) as process:
            done = run(icv_run(out, "--bus", "zmq", "--set", 'bus.external=["fleet"]', "--listen", address))  # fmt: skip
            code, output = ended(process)
    return done, code, output


@pytest.fixture(scope="session")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the run with all units in one process."""
    out = tmp_path_factory.mktemp("inproc")
    done = run(icv_run(out))
    assert done.returncode in (0, 1), done.stderr  # twenty seconds are too short to pass
    return str(json.loads((out / "result.json").read_text())["digest"])


def test_a_run_with_the_unit_has_the_digest_of_the_run_in_one_process(
    fleet: list[str], digest: str, tmp_path: Path
) -> None:
    done, code, output = with_external_fleet(tmp_path, fleet, add_address=True)
    assert done.returncode in (0, 1), done.stderr
    assert (code, output) == (0, "fleet: the run has ended: fail\n")
    assert json.loads((tmp_path / "result.json").read_text())["digest"] == digest
    log = LogReader.open(tmp_path / "run.mcap")
    batches = [m for m in log.messages("v2x/bsm") if m.sender == "fleet"]
    assert len(batches) > 10 * (DURATION_S - 2.0) / 2.0


def test_a_run_ends_with_exit_code_3_and_names_the_unit_that_answers_the_wrong_tick(
    tmp_path: Path,
) -> None:
    unit = misbehaving(node_folder(), "ADDRESS", "wrong tick", 300)
    done, code, _ = with_external_fleet(tmp_path, unit, add_address=False)
    assert done.returncode == 3
    assert re.search(r"unit fleet at tick 300 \(t=3\.00 s\) answered for tick 301", done.stderr)
    assert code != 2
    assert LogReader.open(tmp_path / "run.mcap").header().scenario == "brt_corridor"


# what is written ---------------------------------------------------------------------------------------------------------


def test_the_page_names_every_field_of_the_conversation_and_of_the_readings() -> None:
    page = (ROOT / "docs" / "messages.md").read_text()
    section = page[page.index("## Over a wire") : page.index("## V2X messages")]
    described = set(re.findall(r"`(\w+)`", section))
    batch = set(
        bsm_pb2.BasicSafetyBatch.DESCRIPTOR.fields_by_name
    )  # the fleet's table is the BSM's
    files = (unit_pb2, sensing_pb2, envelope_pb2)
    fields = {
        field.name
        for file in files
        for message in file.DESCRIPTOR.message_types_by_name.values()
        if message.name not in ("FromUnit", "ToUnit", "FleetReading")  # named as steps
        for field in message.fields
    }
    assert fields - described == set()
    assert set(sensing_pb2.FleetReading.DESCRIPTOR.fields_by_name) == batch


# the repository ----------------------------------------------------------------------------------------------------------


def test_the_lock_file_pins_by_hash_and_names_no_registry() -> None:
    lock = (EXAMPLES / "node-unit" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all("integrity" in row for name, row in packages.items() if name)
    wanted = json.loads((EXAMPLES / "node-unit" / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
