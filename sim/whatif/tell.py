"""What an edited run says on the terminal: plain lines, the answer first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from sim.whatif.again import Again
from sim.whatif.apply import Effect
from sim.whatif.closeness import Closest
from sim.whatif.edit import Corrupt, Edit
from sim.whatif.outcome import Comparison, criterion_words, finite, number
from sim.whatif.rank import Entry, Level, Ranking

_SHOWN = 12  # figures of one vehicle


def lines(edits: Sequence[Edit], again: Again, found: Comparison) -> list[str]:
    """Everything about one edited run."""
    out = [_verdict(found)]
    if edits:
        out.append("edits")
        out += [f"  {edit.kind} {_short(edit)}: {effect_words(edit, effect)}" for edit, effect in zip(edits, again.effects, strict=True)]  # fmt: skip
    if found.criteria:
        out.append("criteria that changed")
        out += [f"  {criterion_words(change)}" for change in found.criteria]
    moved = [
        f"  {name}: {key} {number(x)} -> {number(y)}"
        for name, rows in found.numbers.items()
        for key, (x, y) in list(rows.items())[:_SHOWN]
    ]
    if moved:
        out += ["vehicles", *moved]
    if found.first is not None:
        out += [text for name, pair in found.closest.items() for text in _closest(name, *pair)]
    return [*out, *_apart(found)]


def ranking_lines(found: Ranking, shown: int = 20) -> list[str]:
    """The ranking: place, what was lost, what became of the run."""
    head = f"{found.num_messages} messages were heard by somebody; {found.runs} runs; verdict as recorded: {found.outcome}"
    out = [head]
    rows = [entry for entry in found.entries if entry.level > Level.TRACE]
    if not rows and not found.left:
        out.append("no message mattered: without any one sender's, the outcome is the same")
    elif not rows:
        out.append(
            f"nothing can be said yet: of {len(found.tried)} groups tried none mattered, others were not tried"
        )
    for place, entry in enumerate(rows[:shown], 1):
        mattered, size = entry.mattered, len(entry.group.items)
        what = (
            "1 message"
            if size == 1
            else f"{size} messages{', only together' if entry.is_joint else ''}"
        )
        out.append(
            f"{place:>3}. {entry.group}  ({what}, from {entry.group.items[0].t_ns / 1e9:.2f} s)"
        )
        out.append(f"     {_mattered(found.outcome, entry)}")
        said = [text for text in mattered.changes if text.partition(":")[0] in mattered.flipped]
        out += [f"     {text}" for text in (said or mattered.changes)[:3]]
    if len(rows) > shown:
        out.append(f"     and {len(rows) - shown} more (--json has all)")
    trifles = sum(entry.level == Level.TRACE for entry in found.entries)
    same = sum(entry.level == Level.NOTHING for entry in found.tried)
    out.append(
        f"of the groups tried, {same} changed nothing at all and {trifles} nothing worth telling"
    )
    if found.left:
        out.append(
            f"{len(found.left)} groups were not tried: the budget is spent; first {found.left[0]}. Give more with --budget."
        )
    return out


def ranking_table(found: Ranking) -> dict[str, Any]:
    """For programs."""
    return {
        "outcome": found.outcome,
        "messages_heard": found.num_messages,
        "runs": found.runs,
        "ranking": [_entry(entry) for entry in found.entries],
        "tried": [_entry(entry) for entry in found.tried],
        "not_tried": [str(group) for group in found.left],
    }


def effects_table(edits: Sequence[Edit], effects: Sequence[Effect]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "kind": edit.kind,
            "edit": str(edit),
            "messages": effect.messages,
            "receptions": effect.receptions,
            "garbled": effect.garbled,
            "after_the_end": effect.never,
            "unchanged": effect.unchanged,
            "first": [
                {"t_s": item.t_ns / 1e9, "topic": item.topic, "sender": item.sender, "seq": item.seq}
                for item in effect.first
            ],
        }
        for edit, effect in zip(edits, effects, strict=True)
    ]  # fmt: skip


def effect_words(edit: Edit, effect: Effect) -> str:
    """What became of one edit."""
    if not effect.messages:
        return "met no message (the run had parted from the recording, or ended, before)"
    first = effect.first[0]
    what = "1 message" if effect.messages == 1 else f"{effect.messages} messages"
    text = f"{what}, first number {first.seq} at {first.t_ns / 1e9:.2f} s; "
    if not effect.receptions and not effect.unchanged:
        return text + "nobody would have heard it" if edit.kind != "forge" else text + "nobody hears it"  # fmt: skip
    word = {"drop": "lost", "delay": "late", "corrupt": "changed", "forge": "made"}[edit.kind]
    text += f"{effect.receptions} reception{'s' if effect.receptions != 1 else ''} {word}"
    if effect.never:
        text += f", {effect.never} of them after the end of the run"
    if effect.garbled:
        text += f", {effect.garbled} of them could not decode it and lost it"
    if effect.unchanged:
        field = f" {edit.field}" if isinstance(edit, Corrupt) else ""
        text += f"; {effect.unchanged} messages had no{field} to change"
    return text


def _verdict(found: Comparison) -> str:
    a, b = found.before, found.after
    if found.is_verdict_changed:
        return f"VERDICT CHANGED: {a.outcome} -> {b.outcome}: {b.sentence}"
    if found.first is None and not found.truth_ticks:
        return f"the same run, byte by byte: {a.outcome}, digest {b.digest}"
    flipped = [change.name for change in found.criteria if change.is_flipped]
    more = f", but {', '.join(flipped)} came out otherwise" if flipped else ""
    return f"the same verdict: {a.outcome}{more}"


def _closest(name: str, before: Closest, after: Closest) -> Iterable[str]:
    if (before.gap_m, before.ttc_s) == (after.gap_m, after.ttc_s):
        return
    yield (
        f"  {name}: smallest gap {_at(before.gap_m, before.gap_at_s, before.gap_to, 'm')} -> "
        f"{_at(after.gap_m, after.gap_at_s, after.gap_to, 'm')}"
    )
    yield (
        f"  {name}: smallest time to collision {_at(before.ttc_s, before.ttc_at_s, before.ttc_to, 's')} -> "
        f"{_at(after.ttc_s, after.ttc_at_s, after.ttc_to, 's')}"
    )


def _at(value: float, t_s: float, other: int, unit: str) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:.2f} {unit} (at {t_s:.1f} s, actor {other})"


def _apart(found: Comparison) -> list[str]:
    if found.first is None:
        return []
    out = [str(found.first)]
    if not found.truth_ticks:
        return [*out, "the world is the same in every tick: only messages or commands differ"]
    share = f"the world differs in {found.truth_ticks} of {found.num_ticks} ticks, driven vehicles by up to {found.apart_m:.2f} m"  # fmt: skip
    if found.met_ns is None:
        return [*out, f"{share}; the runs do not meet again"]
    return [*out, f"{share}; from {found.met_ns / 1e9:.2f} s on it is the same again"]


def _mattered(before: str, entry: Entry) -> str:
    found = entry.mattered
    if found.failure:
        return f"{before} -> {found.outcome}: {found.failure}"
    words = (
        f"{before} -> {found.outcome}"
        if found.is_verdict_changed
        else f"verdict as before: {found.outcome}"
    )
    parted = "" if found.parted_ns is None else f"; the run parts at {found.parted_ns / 1e9:.2f} s"
    return f"{words}; figures change by {100 * found.margin:.1f} % of their limits, vehicles by {found.apart_m:.1f} m{parted}"


def _entry(entry: Entry) -> dict[str, Any]:
    group, found = entry.group, entry.mattered
    return {
        "drop": [str(edit) for edit in group.edits()],
        "topic": group.topic,
        "sender": group.sender,
        "from_s": group.start_ns / 1e9,
        "to_s": group.end_ns / 1e9,
        "messages": len(group.items),
        "only_together": entry.is_joint,
        "level": entry.level.name.lower(),
        "outcome": found.outcome,
        "flipped": list(found.flipped),
        "changes": list(found.changes),
        "margin": finite(found.margin),
        "apart_m": finite(found.apart_m),
        "parted_s": None if found.parted_ns is None else found.parted_ns / 1e9,
        "failure": found.failure,
    }


def _short(edit: Edit) -> str:
    text = str(edit)
    return text if len(text) <= 100 else text[:97] + "..."
