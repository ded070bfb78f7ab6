"""A command that is stopped says by what, ends with 130, and leaves neither a temporary folder nor a process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from scenarios.load import load_scene
from sim.compose import RunOptions, run_scene
from sim.stopping import interrupt, name_of, stoppable


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that takes a while to be ranked."""
    loaded = load_scene(Path("smart_island"), ["duration_s=20"])
    folder = tmp_path_factory.mktemp("log")
    run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False))
    return folder / "run.mcap"


def belonging_to(folder: Path) -> list[str]:
    """Processes that have `folder` for temporary files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={folder}\0".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if line]


SHRINK = ("shrink", "smart_island", "--duration", "30", "--out", "small.toml")
PROVE = ("prove", "smart_island", "--duration", "600", "--out", "proof", "--only", "two")
UNITS = ("prove", "smart_island", "--duration", "20", "--out", "proof", "--only", "processes")
VIEW = ("view", "--live", "tcp://127.0.0.1:1", "--no-browser")
long = pytest.mark.long


@pytest.mark.parametrize(
    ("words", "number", "is_group", "seen"),
    [
        (SHRINK, signal.SIGTERM, False, "icv-shrink-*"),
        pytest.param(SHRINK, signal.SIGINT, False, "icv-shrink-*", marks=long),
        (PROVE, signal.SIGTERM, False, "icv-prove-*/plain"),
        (PROVE, signal.SIGINT, True, "icv-prove-*/plain"),  # as from a terminal: to everybody
        (UNITS, signal.SIGTERM, False, "icv-prove-*/processes"),
        pytest.param(UNITS, signal.SIGINT, True, "icv-prove-*/processes", marks=long),
        (("what-if", "LOG", "--rank"), signal.SIGTERM, False, "icv-what-if-*/run-*"),
        (("what-if", "LOG", "--rank", "-j", "2"), signal.SIGTERM, True, "icv-what-if-*/0/run-*"),
        pytest.param(("what-if", "LOG", "--rank", "-j", "2"), signal.SIGINT, False, "icv-what-if-*/0/run-*", marks=long),
        (VIEW, signal.SIGTERM, False, "icv-live-*"),
    ],
)  # fmt: skip
def test_a_command_that_is_stopped_leaves_nothing(
    words: tuple[str, ...], number: signal.Signals, is_group: bool, seen: str, log: Path, tmp_path: Path
) -> None:  # fmt: skip
    temporary, here = tmp_path / "t", tmp_path / "here"
    temporary.mkdir()
    here.mkdir()
    command = [sys.executable, "-m", "sim.cli", *(str(log) if word == "LOG" else word for word in words)]  # fmt: skip
    with subprocess.Popen(
        command, cwd=here, env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 60.0
        while not list(temporary.glob(seen)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(0.3)
        (os.killpg if is_group else os.kill)(process.pid, number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
    assert f"icv: stopped by {name}; " in said and "Traceback" not in said, said
    assert list(temporary.iterdir()) == []
    end = time.monotonic() + 5.0
    while belonging_to(temporary):
        assert time.monotonic() < end, belonging_to(temporary)
        time.sleep(0.05)


@pytest.mark.parametrize("is_group", [True, pytest.param(False, marks=long)])
def test_a_suite_that_is_terminated_while_it_warms_up_leaves_nothing(
    is_group: bool, tmp_path: Path
) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    command = [sys.executable, "-m", "sim.cli", "suite", "smart_island", "--out", "out"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "TMPDIR": str(temporary)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        end = time.monotonic() + 60.0
        while not list(temporary.glob("icv-warm-*")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        (os.killpg if is_group else os.kill)(process.pid, signal.SIGTERM)
        said, wrong = process.communicate(timeout=30)
    assert process.returncode == 130, wrong
    assert "stopped by SIGTERM after " in said and "Ctrl-C" not in said + wrong
    assert "Traceback" not in wrong, wrong
    end = time.monotonic() + 20.0  # the server of workers may first come to the end of its warm-up
    while belonging_to(temporary) or list(temporary.glob("icv-*")):
        assert time.monotonic() < end, belonging_to(temporary)
        time.sleep(0.05)


def test_both_signals_interrupt_and_say_which_and_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")):
        with pytest.raises(KeyboardInterrupt) as stopped, stoppable():
            signal.raise_signal(number)
        assert name_of(stopped.value) == name == name_of(interrupt(number))
    assert name_of(KeyboardInterrupt()) == "Ctrl-C"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("moments", [("made",), ("run",), ("going",), ("made", "going"), ("run", "going")])  # fmt: skip
def test_a_warm_up_leaves_no_folder_whenever_it_is_stopped(
    moments: tuple[str, ...], tmp_path: Path
) -> None:
    """Signals while the folder is made, while the scene runs, and while the folder goes; one more while it goes already."""
    code = f"""
        import os, signal, tempfile
        made, going = tempfile.mkdtemp, tempfile.TemporaryDirectory._rmtree.__func__
        def stop(moment):
            if moment in {moments!r}:
                os.kill(os.getpid(), signal.SIGTERM)
        def make(*args, **kwargs):
            folder = made(*args, **kwargs)
            stop("made")
            return folder
        def go(cls, name, *args, **kwargs):
            stop("going")
            return going(cls, name, *args, **kwargs)
        tempfile.mkdtemp, tempfile.TemporaryDirectory._rmtree = make, classmethod(go)
        import sim.compose
        run = sim.compose.run_scene
        def run_scene(*args, **kwargs):
            stop("run")
            return run(*args, **kwargs)
        sim.compose.run_scene = run_scene
        import sim.suite.warmed
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "")
    assert list(tmp_path.glob("icv-*")) == []
