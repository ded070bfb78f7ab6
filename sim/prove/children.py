"""The processes of a proof: each run is one, several at a time, and when the proof is stopped all of them end and nothing is left.

A child that is asked to stop (SIGTERM) ends its own units and hosts first; one that does not within `GRACE_S` is killed. Each has a
scratch folder that is ours, so that it goes whatever became of the child.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

GRACE_S = 5.0


class Stopped(Exception):
    """The proof is over; no child starts any more."""


@dataclass(slots=True)
class Children:
    """Safe for several threads."""

    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)
    _is_over: bool = False

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> tuple[int, str]:
        """Exit code of `python ARGUMENTS`, and what it said on stderr."""
        with self._lock:
            if self._is_over:
                raise Stopped
            child = subprocess.Popen(
                [sys.executable, *arguments], env=env, cwd=cwd,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            self._running.add(child)
        try:
            said = child.communicate()[1]
        except BaseException:  # the main thread waits here when the proof is stopped
            self.stop()
            raise
        finally:
            with self._lock:
                self._running.discard(child)
        if self._is_over:
            raise Stopped
        return child.returncode, said.decode(errors="replace")

    def stop(self) -> None:
        """All end: asked first, then killed. Returns when they are gone."""
        with self._lock:
            self._is_over = True
            running = tuple(self._running)
        for child in running:
            child.terminate()
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_S)
            child.kill()
            child.wait()


def scratch() -> TemporaryDirectory[str]:
    """A folder for what children need while they run. Its name is short: sockets lie in it."""
    return TemporaryDirectory(prefix="icv-prove-", ignore_cleanup_errors=True)
