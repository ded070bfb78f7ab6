"""What a comparison of two logs hands out: findings, the table, the chain that leads from the first cause on.

`a` is the reference, `b` the log that is held against it. Times are simulation time in ns; a tick is `t_ns` divided by a's tick.
Values are texts, ready to be shown; `-` stands where one side has nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sim.log.header import RunHeader

NOTHING = "-"


class Kind(Enum):
    """What sort of difference it is."""

    CONFIGURATION = "configuration"  # a key of the scene, the seed among them
    MAP = "map"  # another road file
    VERSION = "version"  # the same scene run by other code
    MESSAGE = "message"  # a field of a message
    MISSING = "missing"  # a record that only a has
    EXTRA = "extra"  # a record that only b has
    DELAYED = "delayed"  # the same message sent or heard at another time
    FATE = "fate"  # heard in one log, lost in the other, or lost for another reason
    ORDER = "order"  # the same records in another order
    DRIFT = "drift"  # a number that leaves slowly
    EARLY_END = "early end"
    LATE_START = "late start"
    PLAN = "plan"
    COMMAND = "command"
    STATE = "state"
    SIGNAL = "signal"
    EVENT = "event"
    NOTE = "note"
    RESULT = "result"  # the verdict, and nothing else
    UNRECORDED = "unrecorded"  # only the digests differ
    DAMAGED = "damaged"  # a part of a file cannot be read


OF_TOPIC = {
    "obu/plan": Kind.PLAN,
    "cmd/signal": Kind.COMMAND,
    "cmd/vehicle": Kind.COMMAND,
    "truth/signal": Kind.SIGNAL,
    "truth/event": Kind.EVENT,
    "log/note": Kind.NOTE,
    "log/radio": Kind.FATE,
    "log/result": Kind.RESULT,
    "log/header": Kind.CONFIGURATION,
}


def kind_of(topic: str, name: str = "") -> Kind:
    """The kind of a difference in field `name` of a record of `topic`."""
    if topic.startswith("v2x/"):
        return Kind.MESSAGE
    if name.startswith("command_"):
        return Kind.COMMAND
    return OF_TOPIC.get(topic, Kind.STATE if topic.startswith("truth/") else Kind.MESSAGE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference."""

    kind: Kind
    tick: int
    t_ns: int
    topic: str
    sender: str  # unit that sent it, or whose vehicle it is; empty: the simulation
    field: str
    a: str
    b: str
    seq: int = -1  # of the message, in a where it is there
    row: int = -1  # of the column
    entity: str = ""  # whose row: "actor 17", "track 4097", "phase 3"
    by: float | None = None  # b minus a, where both are numbers
    other: int = -1  # DELAYED: when b has it, ns; ORDER: seq of b at the same place
    receiver: str = ""  # of a fate
    is_tolerated: bool = False
    is_of_file: bool = False  # ORDER: of places in the file, which no run depends on

    def where(self) -> str:
        """Topic, field and row as one word."""
        row = f"[{self.row}]" if self.row >= 0 else ""
        return f"{self.topic}.{self.field}{row}" if self.field else self.topic


def unit_of(found: Finding) -> str:
    """The unit behind a finding; traces carry the vehicle's name alone."""
    if found.topic == "truth/trace" and "/" not in found.sender:
        return f"obu/{found.sender}"
    return found.sender


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain: a difference and how it follows from the one before."""

    relation: str  # key of sim.diff.words: "root", "heard", "plan", ...
    finding: Finding
    unit: str = ""  # who
    t_ns: int = -1  # when, where it is not the finding's own time


@dataclass(slots=True)
class FieldRow:
    """All differences in one field of one topic."""

    topic: str
    field: str
    values: int = 0  # differing values beyond tolerance
    records: int = 0
    tolerated: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_tick: int = -1
    max_where: str = ""
    first: Finding | None = None
    senders: Counter[str] = dataclasses.field(default_factory=Counter)
    entities: Counter[str] = dataclasses.field(default_factory=Counter)
    has_many: bool = False  # more than can be counted by name: `entities` is empty
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)  # why values were tolerated


def ranked(counts: Counter[str], number: int) -> list[tuple[str, int]]:
    """The most frequent names with their counts; of equally frequent ones the first by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:number]


@dataclass(slots=True)
class TopicRow:
    """How the records of one topic compare."""

    topic: str
    in_a: int = 0
    in_b: int = 0
    differing: int = 0
    missing: int = 0
    extra: int = 0
    delayed: int = 0
    swapped: int = 0
    renumbered: int = 0
    tolerated: int = 0
    outside: int = 0  # before or after the part that both logs have
    first_tick: int = -1

    @property
    def is_same(self) -> bool:
        """Nothing differs beyond tolerance."""
        return not (self.differing or self.missing or self.extra or self.delayed or self.swapped)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key of the configuration that differs. `is_context`: about the machine, cannot change the run."""

    key: str
    a: str
    b: str
    is_context: bool = False
    reaches: str = "run"  # what it can change: run, length, verdict, recording
    from_s: float = 0.0  # nothing before that time can follow from it
    is_known: bool = True  # this version has such a key; else it may be another's default


@dataclass(frozen=True, slots=True)
class Point:
    """One record of the series around the first difference."""

    t_ns: int
    a: float | str | None
    b: float | str | None


@dataclass(slots=True)
class LogFacts:
    """What is to be said of one log."""

    path: Path
    header: RunHeader
    bytes: int
    lost: str | None = None
    damaged: list[tuple[int, int]] = dataclasses.field(
        default_factory=list
    )  # spans of time in ns, both ends in
    unread_ns: list[int] = dataclasses.field(default_factory=list)  # blocks of digests, stamps
    start_ns: int = 0
    end_ns: int = 0  # of the last thing recorded
    ticks: int = 0  # with a digest
    has_result: bool = False
    is_thin: bool = False  # digests only
    outcome: str = ""
    broken: str = ""  # why it broke off, where it says so itself


@dataclass(slots=True)
class Difference:
    """Everything about two logs."""

    a: LogFacts
    b: LogFacts
    cause: Finding | None  # the first cause; None: the same
    first: Finding | None  # the first difference in what was recorded
    chain: list[Link]
    keys: list[KeyChange]
    versions: list[KeyChange]
    topics: list[TopicRow]
    fields: list[FieldRow]
    firsts: list[Finding]  # the first difference of every topic and sender, in causal order
    series: list[Point]
    remarks: list[tuple[str, dict[str, str]]]  # (key of sim.diff.words, values)
    tolerated: Counter[str]  # reason -> number of values
    digest_tick: int = -1  # first tick with another digest

    @property
    def is_same(self) -> bool:
        """No difference of the run beyond tolerance."""
        return self.cause is None
