"""Which messages mattered to the outcome: the run is done again without them, in groups that are halved where they matter.

First every (topic, sender) as a whole; where that matters, the last messages before the run parts, and the single messages of
topics sent on occasion. Then, best first, a group that matters is halved; where neither half matters as the whole does, its messages matter jointly (periodic ones do: the next comes
100 ms later), and the group is trimmed from both ends while it still does. Every step is the same for any number of workers:
rounds have a fixed width and answers are taken in order.

What counts, in this order: another verdict; criteria that flip; their figures, as shares of their limits, and where driven vehicles
went. Of groups that change the verdict, or flip as many criteria, the one with the fewest messages comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from protocols.errors import NothingRanError
from protocols.topics import Keep, topic
from sim.log.reader import LogReader
from sim.whatif.candidates import Group, heard_groups
from sim.whatif.work import Crew, Mattered, make_bench

WIDTH = 4  # groups halved, or trimmed, in one round
RARE = 8  # of a topic and sender: so few messages are tried one by one
SUSPECTS = 2  # messages before the parting that are tried one by one
MARGIN = 0.01  # figures that change by less than this share of their limits, and vehicles that
APART_M = 1.0  # stay nearer than this, are no reason to look closer
KEPT = 0.5  # of the whole's change: so much has to remain in a part


class Level(IntEnum):
    """How much a group matters."""

    NOTHING = 0  # the same run
    TRACE = 1  # another run, the same but for trifles
    FIGURES = 2
    CRITERIA = 3
    VERDICT = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One group and what its loss did. `is_joint`: neither half of it does the same."""

    group: Group
    mattered: Mattered
    is_joint: bool = False

    @property
    def level(self) -> Level:
        """How much it matters."""
        return level(self.mattered)

    @property
    def weight(self) -> float:
        """Change of figures and places, within a level."""
        return weight(self.mattered)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What was found. `entries` best first; `tried` all runs; `left` groups that the budget did not reach."""

    entries: tuple[Entry, ...]
    tried: tuple[Entry, ...]
    left: tuple[Group, ...]
    runs: int
    num_messages: int
    outcome: str


def level(found: Mattered) -> Level:
    """How much it matters."""
    if found.is_verdict_changed:
        return Level.VERDICT
    if found.flipped:
        return Level.CRITERIA
    if found.margin >= MARGIN or found.apart_m >= APART_M:
        return Level.FIGURES
    return Level.NOTHING if found.parted_ns is None else Level.TRACE


def weight(found: Mattered) -> float:
    """Change of figures in shares of their limits, and 1 for every 100 m that a vehicle is elsewhere."""
    return found.margin + found.apart_m / 100.0


def rank(
    log: Path, *, topics: Collection[str] = (), window: tuple[int, int] | None = None, budget: int = 64,
    jobs: int = 1, progress: Callable[[int], None] | None = None,
) -> Ranking:  # fmt: skip
    """The messages of the run in `log` by how much they mattered. `window`: sent in [from, to) ns; `budget`: runs at most.

    LogError when the log cannot be run again; NothingRanError when nobody heard a message that could be tried.
    """
    with TemporaryDirectory(prefix="icv-what-if-") as folder:
        bench = make_bench(log, Path(folder))
        groups = heard_groups(LogReader.open(log), bench.source.header.tick_ns, topics, window)
        if not groups:
            raise NothingRanError(
                f"{log}: nobody heard a message of the topics and time asked for, so there is nothing to rank."
            )
        with Crew(bench, min(jobs, budget)) as crew:
            search = _Search(crew, budget, progress or (lambda runs: None))
            search.control()
            search.begin(groups)
            search.halve()
            search.trim()
    entries = _ranked(search.entries)
    return Ranking(
        tuple(entries),
        tuple(search.entries.values()),
        tuple(search.left),
        search.runs,
        sum(len(group.items) for group in groups),
        bench.before.outcome,
    )


@dataclass(slots=True)
class _Search:
    crew: Crew
    budget: int
    progress: Callable[[int], None]
    runs: int = 0
    entries: dict[Group, Entry] = field(default_factory=dict)
    left: list[Group] = field(default_factory=list)

    def control(self) -> None:
        """The run without an edit, which has to equal the recording: LogError otherwise."""
        self.crew.weigh([()], self._count)

    def begin(self, groups: list[Group]) -> None:
        """Every topic and sender; of those that matter the messages just before the run parts; rare messages one by one."""
        self._try(groups)
        self._try([suspect for group in groups for suspect in self._suspects(group)])
        rare = [g for g in groups if topic(g.topic).keep == Keep.ALL or len(g.items) <= RARE]
        rare = [g for g in rare if 1 < len(g.items) <= RARE]
        self._try([g.part(k, k + 1) for g in rare for k in range(len(g.items))])

    def _suspects(self, group: Group) -> list[Group]:
        """The last messages before the run without the group parts: what was used first is among them."""
        entry = self.entries.get(group)
        if entry is None or entry.level < Level.FIGURES or entry.mattered.parted_ns is None:
            return []
        parted_ns = entry.mattered.parted_ns
        end = sum(item.t_ns < parted_ns for item in group.items)
        return [group.part(k, k + 1) for k in range(max(end - SUSPECTS, 0), end)]

    def halve(self) -> None:
        """Halves what matters, best first, until nothing or no run is left."""
        done: set[Group] = set()
        while self.runs < self.budget:
            open_ = [
                e for g, e in self.entries.items() if g not in done and not g.is_single and e.level >= Level.FIGURES
            ]  # fmt: skip
            if not open_:
                return
            best = max(entry.level for entry in open_)
            batch = sorted((e for e in open_ if e.level == best), key=_urgency)[:WIDTH]
            done.update(entry.group for entry in batch)
            self._try([half for entry in batch for half in entry.group.halves()])
            for entry in batch:
                halves = [self.entries.get(half) for half in entry.group.halves()]
                if all(half is not None for half in halves):
                    is_joint = not any(half is not None and _keeps(half, entry) for half in halves)
                    self.entries[entry.group] = Entry(entry.group, entry.mattered, is_joint)

    def trim(self) -> None:
        """Takes messages from both ends of joint groups as long as the rest does the same, by bisection."""
        joint = [e for e in self.entries.values() if e.is_joint and e.level >= Level.CRITERIA]
        whole = [e for e in joint if not any(e.group.holds(other.group) for other in joint)]
        for entry in sorted(whole, key=_urgency)[:WIDTH]:
            best = entry
            for is_left in (True, False):
                best = self._trim_side(best, is_left)
            if best is not entry:
                self.entries[best.group] = Entry(best.group, best.mattered, True)

    def _trim_side(self, entry: Entry, is_left: bool) -> Entry:
        best, group = entry, entry.group
        keeps, loses = 0, len(group.items)  # messages taken away: known to keep, known to lose
        while loses - keeps > 1 and self.runs < self.budget:
            middle = (keeps + loses) // 2
            end = len(group.items)
            part = group.part(middle, end) if is_left else group.part(0, end - middle)
            self._try([part])
            found = self.entries.get(part)
            if found is not None and _keeps(found, entry):
                keeps, best = middle, found
            else:
                loses = middle
        return best

    def _try(self, groups: list[Group]) -> None:
        fresh = [group for group in dict.fromkeys(groups) if group not in self.entries]
        room = max(self.budget - self.runs, 0)
        self.left += [group for group in fresh[room:] if group not in self.left]
        fresh = fresh[:room]
        answers = self.crew.weigh([group.edits() for group in fresh], self._count)
        for group, mattered in zip(fresh, answers, strict=True):
            self.entries[group] = Entry(group, mattered)

    def _count(self) -> None:
        self.runs += 1
        self.progress(self.runs)


def _keeps(part: Entry, whole: Entry) -> bool:
    """Whether losing the part does what losing the whole does."""
    if part.level != whole.level:
        return part.level > whole.level
    if whole.level == Level.FIGURES:
        return part.weight >= KEPT * whole.weight
    return True


def _urgency(entry: Entry) -> tuple[float, float, float, tuple[int, str, str, int, int, int]]:
    """Order of looking closer, and of the ranking: small first."""
    group = entry.group
    size = len(group.items)
    if entry.level >= Level.CRITERIA:
        flips = 0 if entry.level == Level.VERDICT else -len(entry.mattered.flipped)
        return (-entry.level + flips / 1000.0, size, -entry.weight, group.order)
    return (-entry.level, -entry.weight, size, group.order)


def _ranked(entries: dict[Group, Entry]) -> list[Entry]:
    """Best first, without those whose effect a part of them has alone, and without those that had none."""
    rows = [entry for entry in entries.values() if entry.level > Level.NOTHING]
    alone = [
        entry
        for entry in rows
        if not any(entry.group.holds(other.group) and _keeps(other, entry) for other in rows)
    ]
    return sorted(alone, key=_urgency)
