"""What a re-run needs from a log, and the check it feeds tick by tick.

recorded = load(path)                 configuration text, seed, digests
check = ReplayCheck(recorded)
... for every tick of the re-run: check.feed(chain.close_tick(tick))
check.finish()                        -> None, or the first tick that differs with what differed
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from protocols.errors import LogError
from sim.log.digest import TickDigest
from sim.log.header import RunHeader
from sim.log.reader import LogReader
from sim.log.records import Digests


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as its log tells it."""

    header: RunHeader
    digests: Digests
    result_json: str | None
    lost: str | None


@dataclass(frozen=True, slots=True)
class Departure:
    """The first tick at which a re-run left its recording; `parts` of truth, message, command."""

    tick: int
    parts: tuple[str, ...]

    def __str__(self) -> str:
        """A phrase for a sentence."""
        return f"tick {self.tick}: {' and '.join(self.parts)}"


def load(path: Path, recover: bool = False) -> Recorded:
    """Header, digests and result of the log at `path`; LogError as `LogReader.open`, and where no tick is left to compare."""
    log = LogReader.open(path, recover)
    found = Recorded(log.header(), log.digests(), log.result(), log.lost)
    if found.lost is not None and not found.digests.tick.size:
        raise LogError(
            f"{path}: {found.lost}; it broke off before its first digests, so nothing of it can be compared. "
            "Run the scene again with `icv run`."
        )
    return found


class ReplayCheck:
    """Compares a re-run's digests with the recorded ones as they come."""

    def __init__(self, recorded: Recorded) -> None:
        self._digests = recorded.digests
        self._is_whole = recorded.lost is None
        self._row = 0
        self.departure: Departure | None = None

    def feed(self, digest: TickDigest) -> bool:
        """The next tick; False from the first difference on."""
        if self.departure is not None:
            return False
        known, row = self._digests, self._row
        if row >= known.tick.size:
            if self._is_whole:
                self.departure = Departure(digest.tick, ("ticks after the recording's end",))
            return self.departure is None
        self._row = row + 1
        if int(known.digest[row]) != digest.digest or int(known.tick[row]) != digest.tick:
            parts = tuple(
                name
                for name in ("truth", "message", "command")
                if int(getattr(known, name)[row]) != getattr(digest, name)
            )
            self.departure = Departure(digest.tick, parts or ("history",))
        return self.departure is None

    def finish(self) -> Departure | None:
        """None when every recorded tick came again and nothing else."""
        if self.departure is None and self._row < self._digests.tick.size:
            missing = int(self._digests.tick[self._row])
            self.departure = Departure(missing, ("the re-run ended before the recording",))
        return self.departure
