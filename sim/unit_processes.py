"""The units of a run as child processes: started, watched, ended. What they print goes to `<folder>/<unit>.txt`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from protocols.sentence import say

GRACE_S = 5.0  # after End, until a process is killed


class UnitProcesses:
    """One `icv unit` process for each name."""

    def __init__(self, folder: Path, keys: Path | None = None) -> None:
        self._folder = folder
        self._keys = keys
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._outputs: list[IO[bytes]] = []

    def start(self, names: Iterable[str], address: str) -> None:
        """Start them all; they join by themselves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # One thread each: the units share the cores with the world.
        env = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
        for name in names:
            command = [sys.executable, "-m", "sim.cli", "unit", name, "--connect", address]
            if self._keys is not None:
                command += ["--keys", str(self._keys)]
            output = self._path(name).open("wb")
            self._outputs.append(output)
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
            )

    def pid(self, name: str) -> int:
        """The process of a unit."""
        return self._running[name].pid

    def death(self, name: str) -> str | None:
        """Why the process of `name` is gone, with its last line; None while it runs or when it is not ours."""
        process = self._running.get(name)
        code = process.poll() if process is not None else None
        if code is None:
            return None
        how = say("exit code {code:d}", code=code)
        if code < 0:
            how = say("signal {signal:s}", signal=signal.Signals(-code).name)
        lines = self._path(name).read_text(errors="replace").strip().splitlines()
        if lines:
            how = say("{how!s}: {line}", how=how, line=lines[-1][:300])
        return say("{how!s} (all of it in {file})", how=how, file=self._path(name))

    def close(self) -> None:
        """Waits a moment for those that were told the end, kills the others."""
        for process in self._running.values():
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for output in self._outputs:
            output.close()

    def kill(self) -> None:
        """Ends all at once, stopped ones too: the run has failed."""
        for process in self._running.values():
            process.kill()
        self.close()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace('/', '-')}.txt"
