"""The command `icv`: exit codes, one sentence per mistake, nothing recorded lost, help without delay."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner, Result

from protocols.errors import LogError, UnitError
from sim.carrier import Carrier
from sim.cli import app
from sim.log.reader import LogReader
from sim.report.console import Progress
from tests.support.fake_compose import FakeCompose

ROADS = Path(__file__).parents[2] / "scenarios" / "roads"


@pytest.fixture
def compose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCompose:
    fake = FakeCompose()
    monkeypatch.setitem(sys.modules, "sim.compose", fake)
    monkeypatch.setitem(sys.modules, "sim.rerun", fake)
    monkeypatch.chdir(tmp_path)
    return fake


def icv(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, list(arguments))


def one_sentence(result: Result) -> str:
    """What went to stderr: exactly one line, from icv."""
    lines = result.stderr.strip().splitlines()
    said = [line for line in lines if line.startswith("icv: ")]
    assert len(said) == 1, lines
    assert "Traceback" not in result.output
    return said[0]


def test_help_imports_nothing_heavy():
    # A budget in seconds would flicker on a busy machine; what costs the time is importing these.
    code = (
        "import sys; from typer.testing import CliRunner; from sim.cli import app; r = CliRunner().invoke(app, ['--help']);"
        "assert r.exit_code == 0, r.output;"
        "print([m for m in ('numpy', 'numba', 'pydantic', 'rich', 'matplotlib', 'scipy', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_command():
    text = icv("--help").output
    for command in (
        "run",
        "replay",
        "unit",
        "keys",
        "map",
        "bench",
        "doctor",
        "scenarios",
        "schema",
        "carla-server",
        "agreement",
    ):
        assert f"  {command} " in text


def test_help_fits_a_terminal_and_cuts_no_sentence(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = re.findall(r"^  (\S+)  ", icv("--help").output.split("Commands:")[1], re.MULTILINE)
    assert names[0] == "run" and len(names) >= 20
    groups = [name for name in names if "Commands:" in icv(name, "--help").output]
    assert groups == ["baseline", "keys", "map", "scenarios"]
    for line in [(), *((name,) for name in names)]:
        text = icv(*line, "--help").output
        assert max(map(len, text.splitlines())) <= 80, line
        assert not re.search(r"\w\.\.\.$", text.partition("Commands:")[2], re.MULTILINE), line
    assert "130" in icv("--help").output


def test_whose_physics_drives_is_passed_on_and_wrong_words_are_refused(compose):
    assert icv("run", "brt_corridor", "--no-picture").exit_code == 0
    assert compose.options.carla is None
    line = ("run", "brt_corridor", "--no-picture", "--backend", "carla", "--carla", ":3000")
    assert icv(*line).exit_code == 0
    assert compose.options.carla.address == "127.0.0.1:3000"
    for words in (
        ("--backend", "unity"),
        ("--carla", "x:2000"),
        ("--backend", "carla", "--carla", "x:99999"),
    ):
        said = icv("run", "brt_corridor", *words)
        assert said.exit_code == 2 and words[-2] in said.output


def test_where_units_live_is_passed_on_and_wrong_words_are_refused(compose, tmp_path):
    assert icv("run", "brt_corridor", "--no-picture").exit_code == 0
    assert (compose.options.carrier, compose.options.tap, compose.options.realtime) == (
        None,
        "",
        False,
    )
    where = (
        "--bus",
        "zmq",
        "--listen",
        "ipc:///tmp/x",
        "--keys",
        "k",
        "--realtime",
        "--tap",
        "ipc:///tmp/y",
    )
    assert icv("run", "brt_corridor", "--no-picture", *where).exit_code == 0
    assert compose.options.carrier == Carrier("ipc:///tmp/x", Path("k"))
    assert (compose.options.tap, compose.options.realtime) == ("ipc:///tmp/y", True)
    assert icv("run", "brt_corridor", "--bus", "tin").exit_code == 2
    assert icv("run", "brt_corridor", "--listen", "ipc:///tmp/x").exit_code == 2


def test_keys_are_made_once_and_a_unit_without_them_is_told_what_to_do(tmp_path):
    folder = str(tmp_path / "keys")
    made = icv("keys", "new", folder, "rsu/J1")
    assert made.exit_code == 0
    assert (tmp_path / "keys" / "rsu-J1.key_secret").is_file()
    again = icv("keys", "new", folder, "rsu/J1")
    assert again.exit_code == 2
    assert "exists already" in one_sentence(again)
    bare = icv("unit", "rsu/J1", "--connect", "tcp://192.0.2.1:5555")
    assert bare.exit_code == 2
    assert "icv keys new" in one_sentence(bare)
    absent = icv("unit", "obu/x", "--connect", "tcp://192.0.2.1:5555", "--keys", folder)
    assert absent.exit_code == 2
    assert "obu-x.key_secret: no such key file" in one_sentence(absent)


def test_the_map_cache_goes_where_it_was_asked_to(compose, tmp_path):
    assert icv("run", "brt_corridor", "--no-picture").exit_code == 0
    assert compose.options.cache_dir is None
    assert icv("run", "brt_corridor", "--no-picture", "--map-cache", "maps").exit_code == 0
    assert compose.options.cache_dir == Path("maps")


@pytest.mark.parametrize(("passes", "code"), [(True, 0), (False, 1)])
def test_the_verdict_is_the_exit_code(compose, passes, code):
    compose.passes = passes
    result = icv("run", "brt_corridor", "--no-picture")
    assert result.exit_code == code
    assert ("PASS" if passes else "FAIL") in result.stdout
    assert "run.mcap" in result.stdout and "icv replay" in result.stdout


def test_options_reach_the_scene(compose):
    icv(
        "run",
        "brt_corridor",
        "--seed",
        "7",
        "--duration",
        "12",
        "--set",
        "default_signals=false",
        "-q",
    )
    ((spec, base, out),) = compose.ran
    assert (spec.seed, spec.duration_s, spec.default_signals) == (7, 12.0, False)
    assert base.name == "library" and out == Path("runs/brt_corridor-seed7")


def test_a_second_run_does_not_overwrite_the_first(compose):
    icv("run", "brt_corridor", "-q")
    icv("run", "brt_corridor", "-q")
    assert [str(out) for _, _, out in compose.ran] == [
        "runs/brt_corridor-seed1",
        "runs/brt_corridor-seed1-2",
    ]


def test_a_bare_map_is_run_with_traffic(compose):
    xodr = ROADS / "smart_island.xodr"
    assert icv("run", "--map", str(xodr), "--seed", "3", "--duration", "20", "-q").exit_code == 0
    spec = compose.ran[0][0]
    assert (spec.name, spec.seed, spec.duration_s, spec.map.file) == (
        "smart_island",
        3,
        20.0,
        str(xodr),
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "no_such.toml"), "no such scene file"),
        (("run", "brt_corridor", "--set", "sed=3"), "unknown key 'sed'"),
        (("run", "brt_corridor", "--set", "seed"), "expected key=value"),
        (("run", "--map", "none.xodr"), "no such road file"),
        (("map", "info", "none.xodr"), "none.xodr"),
        (("scenarios", "lanes", "nowhere"), "no such scene file"),
        (("bench", "nothing"), "no such bench"),
    ],
)
def test_bad_input_is_one_sentence_and_code_two(compose, arguments, words):
    result = icv(*arguments)
    assert result.exit_code == 2
    assert words in one_sentence(result)
    assert not compose.ran and not Path("runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "a.toml", "--map", "b.xodr"), ("run", "x", "--seed", "many"), ("fly",)],
)
def test_wrong_usage_is_code_two(compose, arguments):
    assert icv(*arguments).exit_code == 2


def test_a_unit_that_dies_is_an_infrastructure_error_and_the_log_stays(compose):
    compose.error = UnitError("obu/bus1 answered nonsense at tick 12")
    result = icv("run", "brt_corridor", "--out", "here")
    assert result.exit_code == 3
    assert (
        "obu/bus1 answered nonsense at tick 12" in result.stderr
        and "the log up to here is in here" in result.stderr
    )
    assert Path("here/run.mcap").read_bytes() == b"half a log"
    assert json.loads(Path("here/result.json").read_text())["outcome"] == "infrastructure_error"


def test_a_fault_of_ours_is_told_in_a_sentence_without_traceback(compose):
    compose.error = ZeroDivisionError("division by zero\nsecond line")
    result = icv("run", "brt_corridor", "--out", "here")
    assert result.exit_code == 3
    assert "ZeroDivisionError: division by zero. This is a fault of icv" in result.stderr
    assert "second line" not in result.stderr and "Traceback" not in result.output
    assert isinstance(
        icv("--debug", "run", "brt_corridor", "--out", "here").exception, ZeroDivisionError
    )


def test_ctrl_c_is_clean(compose):
    compose.error = KeyboardInterrupt()
    result = icv("run", "brt_corridor", "--out", "here")
    assert result.exit_code == 130
    assert "stopped by Ctrl-C" in one_sentence(result)
    assert Path("here/run.mcap").exists()


def test_ctrl_c_ends_a_real_run_with_a_log_that_can_be_read(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sim.cli",
        "run",
        "smart_island",
        "--duration",
        "3000",
        "--out",
        str(tmp_path),
    ]
    run = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=tmp_path
    )
    log = tmp_path / "run.mcap"
    try:
        for _ in range(3600):  # until something is recorded: compiling may come first
            if log.exists() and log.stat().st_size > 200_000:
                break
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        stderr = run.communicate(timeout=120)[1]
    finally:
        run.kill()
    assert run.returncode == 130, stderr
    assert "stopped by Ctrl-C" in stderr and "Traceback" not in stderr
    reader = LogReader.open(log)
    assert reader.header().scenario == "smart_island"
    assert reader.digests().tick.size > 10


def test_ctrl_c_that_a_compiler_swallowed_ends_the_run_at_the_next_second():
    with pytest.raises(KeyboardInterrupt), Progress("t", 10.0, True) as progress:
        with contextlib.suppress(KeyboardInterrupt):  # as a callback of the compiler does
            signal.raise_signal(signal.SIGINT)
        progress(1.0)


def test_being_terminated_cleans_up_like_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Progress("t", 10.0, True):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_replay_says_same_or_different(compose):
    assert (icv("replay", "a.mcap").exit_code, icv("replay", "a.mcap", "-q").stdout) == (
        0,
        "same: as recorded\n",
    )
    compose.same = False
    result = icv("replay", "a.mcap")
    assert result.exit_code == 1 and "DIFFERENT: left the record at tick 412" in result.stdout
    compose.error = LogError("a.mcap: truncated header")
    assert icv("replay", "a.mcap").exit_code == 2


def test_replay_never_overwrites_the_recording(compose, tmp_path):
    (tmp_path / "run").mkdir()
    log = tmp_path / "run" / "run.mcap"
    log.write_bytes(b"recorded")
    result = icv("replay", str(log), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2 and "the recording itself" in one_sentence(result)
    assert log.read_bytes() == b"recorded"


def test_a_place_that_cannot_be_written_is_not_called_a_fault_of_ours(compose, tmp_path):
    (tmp_path / "file").touch()
    result = icv("replay", "a.mcap", "--out", "file")
    assert result.exit_code == 3
    said = one_sentence(result)
    assert "file: File exists" in said and "Give another one" in said and "fault of icv" not in said


def test_map_info_and_check():
    result = icv("map", "info", str(ROADS / "brt_corridor.xodr"))
    assert result.exit_code == 0
    assert "4, 4 with signals" in result.stdout and "Zijingshan" in result.stdout
    assert icv("map", "check", str(ROADS / "brt_corridor.xodr")).exit_code == 0


def test_map_check_finds_lanes_that_do_not_meet(tmp_path):
    tree = etree.parse(ROADS / "smart_island.xodr")
    road = next(
        r
        for r in tree.iter("road")
        if r.get("junction") != "-1" and r.find(".//lane[@type='driving']") is not None
    )
    for geometry in road.iter("geometry"):
        geometry.set("x", repr(float(geometry.get("x", "0")) + 5.0))
    broken = tmp_path / "broken.xodr"
    tree.write(broken)
    result = icv("map", "check", str(broken))
    assert result.exit_code == 1, result.output
    assert "Linked lanes are 5.0" in result.stdout and f"{road.get('id')}/0/" in result.stdout


def test_map_export_writes_what_carla_can_drive_on(tmp_path):
    out = tmp_path / "derived.xodr"
    result = icv("map", "export", str(ROADS / "brt_corridor.xodr"), str(out))
    assert result.exit_code == 0 and "bus to driving" in result.stdout
    text = out.read_text(encoding="utf-8")
    assert 'type="bus"' not in text and 'type="driving"' in text


def test_map_info_for_programs():
    table = json.loads(icv("map", "info", "--json", str(ROADS / "brt_corridor.xodr")).stdout)
    assert table["signalised_junctions"] == 4


def test_lanes_of_a_scene_are_listed():
    result = icv("scenarios", "lanes", "brt_corridor")
    assert result.exit_code == 0
    bus = next(line for line in result.stdout.splitlines() if line.startswith("1/0/-2 "))
    assert " bus " in bus and "passenger" not in bus
    assert "brt_corridor" in icv("scenarios", "list").stdout


def test_schema_knows_the_criteria():
    schema = json.loads(icv("schema").stdout)
    kinds = {
        d["properties"]["kind"].get("const")
        for d in schema["$defs"].values()
        if "kind" in d.get("properties", {})
    }
    assert {"comfort", "no_collision", "station_stops"} <= kinds


def test_doctor_finds_what_is_needed():
    result = icv("doctor")
    assert result.exit_code == 0, result.stdout
    assert "icv can run here." in result.stdout and "numba" in result.stdout


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch):
    import sim.doctor

    monkeypatch.setattr(
        sim.doctor, "requirements", lambda extra="": ["no-such-package"] if not extra else []
    )
    result = icv("doctor")
    assert result.exit_code == 3
    assert (
        "MISSING packages" in result.stdout
        and "no-such-package; `make run` installs" in result.stdout
    )


def test_version():
    assert icv("--version").stdout.startswith("icv 0.")


@pytest.mark.parametrize("end", ["| head -0", "> /dev/full", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_who_does_not_listen_does_not_change_a_verdict(end: str, tmp_path: Path) -> None:
    """No stop of this bus in 2 s: a fail, whether anybody reads so or not."""
    line = f"{sys.executable} -m sim.cli run smart_island --duration 2 --no-picture -q --out {tmp_path} {end}"  # fmt: skip
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    full = "icv: standard output: No space left on device.\n"
    assert done.stderr == (full if "full" in end else "")


def test_a_folder_of_a_run_stands_for_its_log(tmp_path: Path) -> None:
    once = tmp_path / "once"
    assert icv("run", "smart_island", "--duration", "2", "--no-picture", "-q", "--out", str(once)).exit_code == 1  # fmt: skip
    log = str(once / "run.mcap")
    for words in (("diff", "{}", log), ("replay", "{}"), ("what-if", "{}"), ("agreement", "{}", log)):  # fmt: skip
        found = icv(*(word.format(once) for word in words))
        assert found.exit_code == 0, found.output
        assert found.output == icv(*(word.format(log) for word in words)).output
    with_no_log = tmp_path / "empty"
    with_no_log.mkdir()
    refused = icv("replay", str(with_no_log))
    assert refused.exit_code == 2 and "no log in it" in refused.output
