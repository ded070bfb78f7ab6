"""Which log a path means: a file, or the one log in the folder of a run."""

from __future__ import annotations

from pathlib import Path

from protocols.errors import InputError

LOG_NAME = "run.mcap"


def find_log(path: Path) -> Path:
    """The log at or in `path`; InputError says what is there instead."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; give a log (*.mcap) or a run's folder.")
    if (path / LOG_NAME).is_file():
        return path / LOG_NAME
    logs = sorted(item for item in path.glob("*.mcap") if item.is_file())
    if len(logs) == 1:
        return logs[0]
    found = ", ".join(item.name for item in logs[:8]) or "none"
    raise InputError(
        f"{path}: no {LOG_NAME} in it and {len(logs)} other logs ({found}); name one of them."
    )
