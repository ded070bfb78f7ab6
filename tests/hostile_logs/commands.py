"""Every command that takes a log, put to one log in a process of its own that may neither grow, nor take long, nor write elsewhere.

`python -m tests.hostile_logs.commands GOOD.mcap DIR` warms up with a good log (imports, compiled kernels), then answers requests: a line
of JSON in ({"log", "folder", "only"}), a line out (a list of outcomes). Each request is served in a forked child, so a crash, a
runaway loop or a bomb ends the child alone, and nothing that one log left behind reaches the next.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CPU_S = (
    10.0  # of one command, of its own thread and others; wall time says little on a busy machine
)
GROWTH_MB = 350  # above what the warm process holds; a command of its own starts with 100 to 150
LIMIT_MB = 900  # of address space on top, where an allocation fails
MAX_SECTIONS = 200  # fetched from the viewer


@dataclass
class Outcome:
    """What a command did with a log."""

    command: str
    code: int  # negative: ended by that signal
    out: str = ""
    err: str = ""
    cpu_s: float = 0.0
    grown_mb: float = 0.0
    wrote: list[str] = field(default_factory=list)  # outside of its folder


def arguments(good: Path, log: Path, folder: Path) -> dict[str, list[str]]:
    """Command lines by name; what they write goes into `folder`."""
    a, b, f = str(log), str(good), str(folder)
    return {
        "report": ["report", a, "--out", f"{f}/report.html"],
        "report-two": ["report", b, a, "--out", f"{f}/two.html"],
        "view": ["view", a, "--no-browser", "--port", "0"],
        "diff": ["diff", a, b, "--html", f"{f}/diff.html", "--json", f"{f}/diff.json"],
        "diff-back": ["diff", b, a],
        "agreement": ["agreement", a, b, "--json", f"{f}/agreement.json"],
        "agreement-back": ["agreement", b, a],
        "baseline": ["baseline", "check", str(good.parent / "golden"), "--from", a],
        "what-if": ["what-if", a, "--drop", "v2x/spat:rsu/library@0.5..1.5", "--out", f"{f}/edited", "--json"],
        "rank": ["what-if", a, "--rank", "--budget", "1", "--out", f"{f}/ranked"],
        "replay": ["replay", a, "--out", f"{f}/again"],
        "recover": ["replay", a, "--recover", "-q"],
        "unit": ["replay", a, "--unit", "obu/shuttle1", "--recover"],
        "shrink": ["shrink", a, "--out", f"{f}/small.toml", "--runs", "2"],
        "judge": [],
        "perception": [],
    }  # fmt: skip


def main() -> None:
    """Serves until stdin ends."""
    good, folder = Path(sys.argv[1]), Path(sys.argv[2])
    requests, replies = sys.stdin, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _prepare(folder)
    warm = [_one(name, good, good, folder) for name in arguments(good, good, folder)]
    print(json.dumps([asdict(item) for item in warm]), file=replies, flush=True)
    for line in requests:
        print(json.dumps(_in_child(json.loads(line), good)), file=replies, flush=True)


def _in_child(request: dict[str, Any], good: Path) -> list[dict[str, Any]]:
    """Outcomes of one request, from a child that may die of it."""
    log, folder = Path(request["log"]), Path(request["folder"])
    ends = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ends[0])
        with os.fdopen(ends[1], "w") as pipe:
            for name in request.get("only") or arguments(good, log, folder):
                print(json.dumps({"begun": name}), file=pipe, flush=True)
                print(json.dumps(asdict(_one(name, good, log, folder))), file=pipe, flush=True)
        os._exit(0)
    os.close(ends[1])
    with os.fdopen(ends[0]) as pipe:
        said = [json.loads(line) for line in pipe]
    _, status = os.waitpid(child, 0)
    found = [item for item in said if "begun" not in item]
    if os.WIFSIGNALED(status):
        found.append(asdict(Outcome(said[-1].get("begun", "?"), -os.WTERMSIG(status))))
    return found


def _prepare(folder: Path) -> None:
    """Limits and habits that all commands share."""
    import sim.viewer.server

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    tempfile.tempdir = str(folder / "tmp")
    # One arena: each thread's own would reserve address space that nobody uses.
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(-8, 1)
    made = sim.viewer.server.make_server
    sim.viewer.server.make_server = lambda app: _Visited(made(app))  # type: ignore[assignment,return-value]


def _one(name: str, good: Path, log: Path, folder: Path) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    tempfile.tempdir = str(folder / "tmp")
    os.chdir(folder)
    sys.stdin = io.StringIO()
    before = _reset_peak()
    _watch.begin(folder)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT_MB * 2**20, hard))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.alarm(120)  # for what waits without working
    began = time.process_time()
    try:
        code, out, err = _run(name, good, log, folder)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    spent = time.process_time() - began
    return Outcome(name, code, out, err, spent, _peak_mb() - before, _watch.end())


def _run(name: str, good: Path, log: Path, folder: Path) -> tuple[int, str, str]:
    if name in _DIRECT:
        return _direct(_DIRECT[name], log)
    from typer.testing import CliRunner

    from sim.cli import app

    out = io.StringIO()
    with contextlib.redirect_stderr(out):  # of threads, and of what the runner does not catch
        result = CliRunner().invoke(app, arguments(good, log, folder)[name])
    err = result.stderr + out.getvalue()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        err += "".join(traceback.format_exception(result.exception))
    return result.exit_code, result.stdout, err


def _direct(function: Callable[[Path], object], log: Path) -> tuple[int, str, str]:
    """What has no command of its own: exit code and sentence as the command line would give them."""
    from protocols.errors import IcvError
    from protocols.sentence import one_line

    try:
        return 0, repr(function(log))[:500], ""
    except IcvError as error:
        return error.exit_code, "", f"icv: {one_line(str(error))}"
    except Exception:
        return 3, "", traceback.format_exc()


def _judge(log: Path) -> object:
    from sim.judge_log import judge_log

    return judge_log(log).outcome


def _perception(log: Path) -> object:
    from sim.perception_score import read_run

    return sorted(read_run(log, 150.0))


_DIRECT = {"judge": _judge, "perception": _perception}


class _Visited:
    """The viewer's server with one visitor: the page, the list, the manifest, its sections, some messages; then it is told to stop."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def run(self, sockets: Sequence[Any]) -> None:
        """As `uvicorn.Server.run`, from another thread, since signals belong to the first."""
        thread = threading.Thread(target=self._server.run, kwargs={"sockets": list(sockets)})
        thread.start()
        while not self._server.started and thread.is_alive():
            time.sleep(0.002)
        try:
            self._visit(sockets[0].getsockname()[1])
        finally:
            self._server.should_exit = True
            thread.join()

    def _visit(self, port: int) -> None:
        from tests.viewer_server.serving import Client

        client = Client(port)
        for path in ("/", "/viewer.js", "/api/runs"):
            _expect(client, path, 200)
        (line,) = client.get("/api/runs").json()
        run = f"/api/run/{line['id']}"
        manifest = _expect(client, f"{run}/manifest", 200, 422)
        if manifest.status != 200:
            return
        for key in list(manifest.json()["sections"])[:MAX_SECTIONS]:
            _expect(client, f"{run}/section/{key}", 200, 422)
        for row in (0, 1, 5, 10**9):
            _expect(client, f"{run}/message?block=0&row={row}", 200, 404, 422)


def _expect(client: Any, path: str, *allowed: int) -> Any:
    answer = client.get(path)
    if answer.status not in allowed:
        raise RuntimeError(f"GET {path} gave {answer.status}: {answer.content[:500]!r}")
    return answer


class _Watch:
    """Files that are opened for writing, made, moved or removed outside of a folder; other programs that are started."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._seen: list[str] = []
        sys.addaudithook(self._hear)

    def begin(self, folder: Path) -> None:
        """From now on only `folder` is free."""
        self._seen = []
        self._folder = os.path.realpath(folder)

    def end(self) -> list[str]:
        """What was not."""
        self._folder = None
        return self._seen

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._folder is None:
            return
        if event == "open":
            path, mode, flags = args
            if isinstance(path, int) or not (
                set(mode or "") & set("wax+") or (flags or 0) & _WRITES
            ):
                return
            self._look(event, path)
        elif event in _CHANGES:
            for path in args[: _CHANGES[event]]:
                self._look(event, path)
        elif event in _STARTS and "git" not in str(args[:2]):  # that says which commit this is
            self._seen.append(f"{event} {args[:2]}")

    def _look(self, event: str, path: Any) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        place = os.path.realpath(os.fsdecode(path))
        is_free = place == "/dev/null" or "__pycache__" in place or "/.cache/" in place
        if (
            not is_free
            and not place.startswith(str(self._folder) + os.sep)
            and place != self._folder
        ):
            self._seen.append(f"{event} {place}")


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.symlink": 2, "os.link": 2, "os.truncate": 1,
    "os.chmod": 1, "os.utime": 1, "shutil.rmtree": 1, "shutil.move": 2, "shutil.copyfile": 0,
}  # fmt: skip
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
_watch = _Watch()


def _reset_peak() -> float:
    """Peak memory counts anew, from what is held now, MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
