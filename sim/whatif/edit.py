"""What an edit is, and how it is written.

    M             TOPIC:SENDER:SEQ        one message, by its sender's sequence number        v2x/rsm:rsu/J2:812
                  TOPIC:SENDER@T          the first one sent at or after T seconds            v2x/vir:obu/bus1@42.5
                  TOPIC:SENDER@T1..T2     every one sent at T1 <= t < T2                      v2x/spat:rsu/J1@10..12
                  ...->RECEIVER           for this receiver only                              v2x/rsm:rsu/J2:812->obu/bus1
    drop          M
    delay         M=+200ms                or s; up to 600 s
    corrupt       M.FIELD=VALUE           FIELD+=VALUE adds; M.bits=N flips N bits of the wire bytes; plain M flips 8
    forge         TOPIC:SENDER@T:{json}   or the name of a JSON file; ->RECEIVER before the colon

`T` counts seconds of simulation time. Times are looked at while the edited run goes on, so they also meet what a unit sends only
because of an earlier edit; sequence numbers mean the message that carries them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocols import topics
from protocols.errors import InputError
from protocols.simtime import NS_PER_MS, NS_PER_S

MAX_TEXT = 200_000  # characters of one edit, JSON included
MAX_T_S = 86_400.0  # as long as a scene may be
MAX_DELAY_S = 600.0
MAX_BITS = 4096
DEFAULT_BITS = 8

_SELECTOR = re.compile(
    r"(?P<topic>[^:@]+):(?P<sender>[^@]+?)"
    r"(?::(?P<seq>\d{1,20})|@(?P<start>\d{1,6}(?:\.\d{1,9})?)(?:\.\.(?P<end>\d{1,6}(?:\.\d{1,9})?))?)"
    r"(?:->(?P<receiver>[^=:]+?))?"
)
_FIELD = re.compile(
    r"\.(?P<field>[A-Za-z_]\w*(?:\[(?:\d{1,6}|\*)\])?(?:\.[A-Za-z_]\w*(?:\[(?:\d{1,6}|\*)\])?)*)(?P<add>\+?)=(?P<value>.*)",
    re.S,
)
_DELAY = re.compile(r"=\+?(?P<amount>\d{1,9}(?:\.\d{1,9})?)(?P<unit>ms|s)")
MAX_SEQ = (1 << 32) - 1  # as the log has them
_HELP = "a message is written TOPIC:SENDER:SEQ, TOPIC:SENDER@T or TOPIC:SENDER@T1..T2, each with ->RECEIVER or without"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which messages: by `seq`, or the first from `start_ns` on, or all in [start_ns, end_ns)."""

    topic: str
    sender: str
    seq: int | None = None
    start_ns: int = 0
    end_ns: int | None = None
    receiver: str | None = None  # None: all

    @property
    def is_single(self) -> bool:
        """Whether it means one message."""
        return self.end_ns is None

    def holds(self, t_ns: int, topic: str, sender: str, seq: int) -> bool:
        """Whether a message sent at `t_ns` is meant (a first one: or comes after the first)."""
        if topic != self.topic or sender != self.sender:
            return False
        if self.seq is not None:
            return seq == self.seq
        return t_ns >= self.start_ns and (self.end_ns is None or t_ns < self.end_ns)

    def __str__(self) -> str:
        """As it is written."""
        if self.seq is not None:
            where = f":{self.seq}"
        else:
            where = f"@{_seconds(self.start_ns)}"
            if self.end_ns is not None:
                where += f"..{_seconds(self.end_ns)}"
        return f"{self.topic}:{self.sender}{where}" + (f"->{self.receiver}" if self.receiver else "")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drop:
    """The messages are sent, and nobody hears them."""

    which: Selector
    kind = "drop"

    def __str__(self) -> str:
        """As it is written."""
        return str(self.which)


@dataclass(frozen=True, slots=True)
class Delay:
    """The messages arrive `by_ns` later."""

    which: Selector
    by_ns: int
    kind = "delay"

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.which}=+{_seconds(self.by_ns)}s"


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The messages arrive changed: a field set (or added to), or bits of the wire bytes flipped."""

    which: Selector
    field: str = ""  # "": bits
    value: str = ""
    is_added: bool = False
    bits: int = 0
    kind = "corrupt"

    def __str__(self) -> str:
        """As it is written."""
        if not self.field:
            return f"{self.which}.bits={self.bits}"
        return f"{self.which}.{self.field}{'+' if self.is_added else ''}={self.value}"


@dataclass(frozen=True, slots=True)
class Forge:
    """A message that `sender` never made goes on the air from its antenna, at the first tick at or after `start_ns`."""

    topic: str
    sender: str
    start_ns: int
    json: str
    receiver: str | None = None
    kind = "forge"

    def __str__(self) -> str:
        """As it is written."""
        to = f"->{self.receiver}" if self.receiver else ""
        return f"{self.topic}:{self.sender}@{_seconds(self.start_ns)}{to}:{self.json}"


Edit = Drop | Delay | Corrupt | Forge


def parse(kind: str, text: str, may_read_files: bool = True) -> Edit:
    """The edit written as `text` after `--kind`; InputError says what is wrong with it.

    `may_read_files` False: a forged message has its JSON in the text.
    """
    if len(text) > MAX_TEXT:
        raise InputError(
            f"--{kind}: {len(text)} characters, expected at most {MAX_TEXT}; forge from a file instead."
        )
    text = text.strip()
    if kind == "forge":
        return _forge(text, may_read_files)
    if kind not in _READERS:
        raise InputError(f"edit '{kind}': expected one of {', '.join((*_READERS, 'forge'))}.")
    return _READERS[kind](text)


def parse_window(text: str) -> tuple[int, int]:
    """`T1..T2` in seconds as (from, to) in ns; InputError otherwise."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,9})?)\.\.(\d{1,6}(?:\.\d{1,9})?)", text.strip())
    span = (_ns(match[1]), _ns(match[2])) if match is not None else (0, 0)
    if span[1] <= span[0]:
        raise InputError(f"--window {_short(text)}: expected T1..T2 in seconds, T2 after T1.")
    return span


def selector(text: str, option: str) -> Selector:
    """The messages written as `text`, nothing after them."""
    which, rest = _select(text, option)
    if rest:
        raise InputError(f"--{option} {_short(text)}: '{_short(rest)}' is too much; {_HELP}.")
    return which


def _select(text: str, option: str) -> tuple[Selector, str]:
    """The selector at the start of `text`, and what comes after it."""
    match = None
    rests: tuple[str, ...] = (r"$", _FIELD.pattern + r"$", _DELAY.pattern + r"$", r"(?=:)")
    if option == "delay":  # has no field: a dot belongs to the receiver's name
        rests = (_DELAY.pattern + r"$", r"=.*$", *rests)
    for rest in rests:
        match = re.match(f"{_SELECTOR.pattern}(?P<rest>{_bare(rest)})", text, re.S)
        if match is not None:
            break
    if match is None:
        raise InputError(f"--{option} {_short(text)}: {_HELP}.")
    topic, start, end = match["topic"], match["start"], match["end"]
    _check_topic(topic, option)
    start_ns = _ns(start) if start is not None else 0
    end_ns = _ns(end) if end is not None else None
    if max(start_ns, end_ns or 0) > MAX_T_S * NS_PER_S:
        raise InputError(f"--{option} {_short(text)}: times are seconds up to {MAX_T_S:.0f}.")
    if end_ns is not None and end_ns <= start_ns:
        raise InputError(
            f"--{option} {_short(text)}: the window ends at {end} s, not after its start at {start} s."
        )
    seq = int(match["seq"]) if match["seq"] is not None else None
    if seq is not None and seq > MAX_SEQ:
        raise InputError(f"--{option} {_short(text)}: sequence numbers go up to {MAX_SEQ}.")
    which = Selector(topic, match["sender"], seq, start_ns, end_ns, match["receiver"])
    return which, text[match.start("rest") :]


def _drop(text: str) -> Drop:
    return Drop(selector(text, "drop"))


def _delay(text: str) -> Delay:
    which, rest = _select(text, "delay")
    match = _DELAY.fullmatch(rest)
    if match is None and rest.startswith("="):
        raise InputError(
            f"--delay {_short(text)}: found '{_short(rest)}', expected =+200ms or =+0.2s."
        )
    if match is None:
        raise InputError(f"--delay {_short(text)}: expected M=+200ms or M=+0.2s, where {_HELP}.")
    by_ns = round(float(match["amount"]) * (NS_PER_MS if match["unit"] == "ms" else NS_PER_S))
    if not 0 < by_ns <= MAX_DELAY_S * NS_PER_S:
        raise InputError(
            f"--delay {_short(text)}: expected more than nothing and at most {MAX_DELAY_S:.0f} s."
        )
    return Delay(which, by_ns)


def _corrupt(text: str) -> Corrupt:
    which, rest = _select(text, "corrupt")
    if not rest:
        return Corrupt(which, bits=DEFAULT_BITS)
    match = _FIELD.fullmatch(rest)
    if match is None:
        raise InputError(
            f"--corrupt {_short(text)}: expected M.FIELD=VALUE or M.bits=N, where {_HELP}."
        )
    field, value = match["field"], match["value"].strip()
    if field == "bits":
        if not re.fullmatch(r"\d{1,4}", value) or not 1 <= int(value) <= MAX_BITS:
            raise InputError(
                f"--corrupt {_short(text)}: bits = '{_short(value)}', expected 1..{MAX_BITS}."
            )
        return Corrupt(which, bits=int(value))
    return Corrupt(which, field, value, match["add"] == "+")


def _forge(text: str, may_read_files: bool) -> Forge:
    which, rest = _select(text, "forge")
    if not rest.startswith(":") or which.seq is not None or not which.is_single:
        raise InputError(
            f"--forge {_short(text)}: expected TOPIC:SENDER@T:{{json}} or TOPIC:SENDER@T:FILE.json."
        )
    body = rest[1:].strip()
    if not body.startswith("{") and not may_read_files:
        raise InputError(f"--forge {_short(text)}: expected TOPIC:SENDER@T:{{json}}.")
    if not body.startswith("{"):
        path = Path(body)
        try:
            body = path.read_text(encoding="utf-8") if path.stat().st_size <= MAX_TEXT else ""
        except (OSError, ValueError) as error:
            raise InputError(
                f"--forge {_short(text)}: '{_short(body)}' is neither JSON nor a file that can be read ({error})."
            ) from error
        if not body:
            raise InputError(f"--forge: {path} is empty or larger than {MAX_TEXT} bytes.")
    return Forge(which.topic, which.sender, which.start_ns, body.strip(), which.receiver)


_READERS: dict[str, Callable[[str], Edit]] = {"drop": _drop, "delay": _delay, "corrupt": _corrupt}


def _check_topic(name: str, option: str) -> None:
    known = sorted(name for name, row in topics.TOPICS.items() if row.is_on_air)
    if name not in known:
        what = "is not sent on the air" if name in topics.TOPICS else "does not exist"
        raise InputError(
            f"--{option}: topic '{_short(name)}' {what}; those sent on the air are {', '.join(known)}."
        )


def _ns(seconds: str) -> int:
    """Exact: 0.1 s is 100,000,000 ns."""
    whole, _, part = seconds.partition(".")
    return int(whole) * NS_PER_S + int(part.ljust(9, "0") or 0)


def _seconds(t_ns: int) -> str:
    """The inverse, as short as it goes."""
    whole, part = divmod(t_ns, NS_PER_S)
    return f"{whole}.{part:09d}".rstrip("0").rstrip(".")


def _bare(pattern: str) -> str:
    """The pattern without names, which a pattern may use only once."""
    return re.sub(r"\?P<\w+>", "?:", pattern)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
