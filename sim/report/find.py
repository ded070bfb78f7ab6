"""Which log a path means: a file, or the one log in the folder of a run."""

from __future__ import annotations

from pathlib import Path

from protocols.errors import InputError
from protocols.sentence import say

LOG_NAME = "run.mcap"


def find_log(path: Path) -> Path:
    """The log at or in `path`; InputError says what is there instead."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(
            say("{file}: no such file or folder; give a log (*.mcap) or a run's folder.", file=path)
        )  # fmt: skip
    if (path / LOG_NAME).is_file():
        return path / LOG_NAME
    logs = sorted(item for item in path.glob("*.mcap") if item.is_file())
    if len(logs) == 1:
        return logs[0]
    if logs:
        names = ", ".join(item.name for item in logs[:8])
        raise InputError(
            say("{folder}: {count:d} logs in it and none is {log}; name one of them: {names}.", folder=path, count=len(logs), log=LOG_NAME, names=names)
        )  # fmt: skip
    runs = [str(item.parent) for item in sorted(path.glob(f"*/{LOG_NAME}"))[:8]]
    if runs:
        raise InputError(
            say("{folder}: a folder of runs, expected one run; name one of them: {names}. `icv view {folder}` shows all.", folder=path, names=", ".join(runs))
        )  # fmt: skip
    raise InputError(
        say("{folder}: no log in it; give a log (*.mcap) or a run's folder.", folder=path)
    )
