"""In which order things happen inside a tick, so that no difference can follow from a later one.

What a fault begins, the state of the world, events, messages, plans, commands, notes, what became of the messages.
"""

from __future__ import annotations

from sim.diff.model import Finding, Kind

_PHASES = {
    "truth/trace": 1, "truth/world": 1, "truth/signal": 1, "truth/actor": 2, "truth/event": 3,
    "log/inbox": 3, "obu/plan": 5, "cmd/signal": 6, "log/note": 7, "log/radio": 8, "log/result": 10,
}  # fmt: skip
STATES = ("truth/trace", "truth/world", "truth/actor")
_PART_PHASE = {"truth": 1, "message": 4, "command": 6}


def covers(part: str, found: Finding) -> bool:
    """Whether a finding is about something that goes into this part of the digest."""
    if found.is_of_file:
        return False
    if part == "message":
        return found.topic.startswith("v2x/")
    if part == "command":
        return found.kind is Kind.COMMAND or found.topic == "cmd/signal"
    return found.topic in STATES and found.kind is not Kind.COMMAND


def phase(found: Finding) -> int:
    """Place of a finding in the order of a tick."""
    if found.topic == "truth/event" and "fault" in found.a + found.b:
        return 0
    if found.field == "seq":
        return 9  # follows from a message that is missing
    if found.kind is Kind.UNRECORDED:
        return _PART_PHASE.get(found.field, 9)
    if found.kind is Kind.COMMAND:
        return 6
    return _PHASES.get(found.topic, 4)


def causal_order(found: Finding) -> tuple[int | str, ...]:
    """Sorts findings so that none can be caused by a later one; no two are alike."""
    return (
        found.t_ns, phase(found), found.topic, found.sender, found.seq,
        found.row, found.entity, found.receiver, found.kind.value, found.field,
    )  # fmt: skip


def is_command(found: Finding) -> bool:
    """Whether it is about what a vehicle was told."""
    return found.kind is Kind.COMMAND or found.field.startswith("command_")


def is_answer(found: Finding) -> bool:
    """Whether a unit made it."""
    if found.field == "seq":
        return False
    return found.topic.startswith(("v2x/", "obu/", "cmd/")) or found.kind is Kind.COMMAND
