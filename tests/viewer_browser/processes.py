"""`icv` as a process of its own, as a user starts it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Process = subprocess.Popen[str]
START_S = 60.0  # on a busy machine
_ADDRESS = re.compile(r"http://\S+/")


@contextmanager
def icv(*arguments: str) -> Iterator[Process]:
    """A running `icv`; ended as by Ctrl-C, which must do."""
    command = Path(sys.executable).with_name("icv")
    process = subprocess.Popen(
        [str(command), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(2)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()


def serving_address(process: Process) -> str:
    """What `icv view` prints first."""
    assert process.stdout is not None
    watch = threading.Timer(START_S, process.kill)
    watch.start()
    line = process.stdout.readline()
    watch.cancel()
    found = _ADDRESS.match(line)
    assert found is not None, f"icv view said {line!r}"
    return found[0]
