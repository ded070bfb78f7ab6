"""The runs that a viewer offers: the logs in a folder, or one log, with what a list shows of each.

A run's id is made from its place in the folder: the same after a restart, safe in an address, and never a path.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

from protocols.errors import IcvError
from protocols.sentence import phrase
from sim.report import wording
from sim.report.pack import meta
from sim.report.pack.source import Source
from sim.viewer.opened import OpenRun

MAX_LOGS = 5_000
MAX_ENTRIES = 200_000  # files and folders looked at
MAX_OPEN = 3  # runs that stay open
FRESH_S = 60.0  # a log without its end that was written to this recently is a run in progress


@dataclass(frozen=True, slots=True)
class _Known:
    """What a log was when it was last looked at."""

    size: int
    modified_ns: int
    line: dict[str, Any]


class Shelf:
    """Logs at or below `root`. Safe for several threads."""

    def __init__(self, root: Path, road_file: Path | None = None, live: Path | None = None) -> None:
        self._root = root
        self._road_file = road_file
        self._live = live  # a log that is known to be still written
        self._lock = Lock()
        self._paths: dict[str, Path] = {}
        self._known: dict[str, _Known] = {}
        self._open: OrderedDict[str, tuple[tuple[int, int], OpenRun]] = OrderedDict()

    def lines(self) -> list[dict[str, Any]]:
        """One line for each run, newest first."""
        with self._lock:
            self._find()
            paths = dict(self._paths)
        lines = [(self._line(ident, path)) for ident, path in paths.items()]
        return sorted(lines, key=lambda line: (line["modified"], line["id"]), reverse=True)

    def open(self, ident: str) -> OpenRun | None:
        """The run of an id, opened; None when there is none. LogError when it cannot be read."""
        with self._lock:
            if ident not in self._paths:
                self._find()
            path = self._paths.get(ident)
            if path is None or not path.is_file():
                return None
            stat = path.stat()
            stamp = (stat.st_size, stat.st_mtime_ns)
            known = self._open.get(ident)
            if known is not None and (known[0] == stamp or known[1].is_live):
                self._open.move_to_end(ident)
                return known[1]
            patience_s = None if path == self._live else FRESH_S
            run = OpenRun(path, self._road_file, self._is_live(path), patience_s)
            self._open[ident] = (stamp, run)
            self._open.move_to_end(ident)
            while len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
            return run

    def check(self) -> None:
        """LogError when the one log that is offered cannot be read; a folder is not looked at. It stays open for the first page."""
        if self._root.is_file():
            self.open(run_id(self._root, self._root))

    def live_id(self) -> str | None:
        """The run in progress, or the last one that was."""
        if self._live is not None:
            return run_id(self._root, self._live)
        return next((line["id"] for line in self.lines() if line["live"]), None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _find(self) -> None:
        found: dict[str, Path] = {}
        if self._root.is_file():
            found[run_id(self._root, self._root)] = self._root
        seen = 0
        for folder, folders, files in os.walk(self._root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            seen += len(files) + 1
            for name in sorted(files):
                if name.endswith(".mcap") and len(found) < MAX_LOGS:
                    path = Path(folder) / name
                    found[run_id(self._root, path)] = path
            if seen > MAX_ENTRIES:
                break
        self._paths = found

    def _is_live(self, path: Path) -> bool:
        if path == self._live:
            return True
        return time.time() - path.stat().st_mtime < FRESH_S

    def _line(self, ident: str, path: Path) -> dict[str, Any]:
        try:
            stat = path.stat()
        except OSError:
            why = phrase("the log is gone")
            return _unreadable(ident, path.name, 0, 0, why, wording.chinese(why) or "")
        known = self._known.get(ident)
        if known is not None and (known.size, known.modified_ns) == (
            stat.st_size,
            stat.st_mtime_ns,
        ):
            return known.line
        where = str(path.relative_to(self._root)) if path != self._root else path.name
        try:
            line = self._summary(ident, path, where, stat)
        except (IcvError, OSError) as error:
            text = str(error)
            chinese = (wording.chinese(text) or "").replace(f"{path}：", "")
            text = text.replace(f"{path}: ", "")
            line = _unreadable(ident, where, stat.st_size, stat.st_mtime_ns, text, chinese)
        if not line["live"]:
            self._known[ident] = _Known(stat.st_size, stat.st_mtime_ns, line)
        return line

    def _summary(self, ident: str, path: Path, where: str, stat: os.stat_result) -> dict[str, Any]:
        source = Source.open(path)
        result = meta.result_table(path, source.result_json())
        about = meta.about(
            source.header, result, source.lost, broken="" if result else source.broken()
        )
        return {
            "id": ident,
            "path": where,
            "scenario": about["scenario"],
            "seed": about["seed"],
            "outcome": about["outcome"],
            "sentence": about["sentence"],
            "sentence_zh": wording.chinese(about["sentence"]) or "",
            "digest": about["digest"],
            "duration_s": round(source.end_ns / 1e9, 2),
            "size": stat.st_size,
            **_times(stat.st_mtime_ns),
            "live": source.lost is not None and self._is_live(path),
        }


def run_id(root: Path, path: Path) -> str:
    """Id of the run whose log is `path`: readable, unique in the folder, made of letters, digits and `-`."""
    place = path.relative_to(root) if path != root else Path(path.name)
    digest = blake2b(os.fsencode(place), digest_size=6).hexdigest()
    name = place.parent.name if place.name == "run.mcap" and place.parent.name else place.stem
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:32]
    return f"{readable}-{digest}" if readable else digest


def _times(modified_ns: int) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(modified_ns / 1e9, UTC)
    text = stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"modified": text, "modified_utc": text}


def _unreadable(
    ident: str, where: str, size: int, modified_ns: int, why: str, why_zh: str = ""
) -> dict[str, Any]:
    return {
        "id": ident, "path": where, "scenario": where, "seed": 0, "outcome": "unreadable", "sentence": why,
        "sentence_zh": why_zh, "digest": "", "duration_s": 0.0, "size": size, **_times(modified_ns), "live": False,
    }  # fmt: skip
