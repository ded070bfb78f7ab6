"""Which code ran: the commit of a source checkout, for the log header."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path


@cache
def commit() -> str:
    """Short commit hash with `+` for local changes; empty when this is not a checkout or git is absent."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def software() -> str:
    """Name, version and commit, for the other side of a wire."""
    return f"icv {metadata.version('icv')} {commit()}".strip()


def _git(root: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *args], capture_output=True, text=True, timeout=5, check=True
    )
    return done.stdout.strip()
