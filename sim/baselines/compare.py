"""What differs between two golden summaries of one scene: which topic first, which criterion, which figure by how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sim.baselines.model import NUM_MARKS, Criterion, Summary, TopicSum
from sim.baselines.tolerances import Kind, Tolerances


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same; `excuse` is the reason in the tolerances for which it does not count."""

    kind: str  # outcome, criterion, topic, metric, digest
    name: str
    old: Any
    new: Any
    text: str
    excuse: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, those that count first; `notes` say what else is not as it was (scene, road file, versions)."""

    differences: tuple[Difference, ...]
    first: str = ""  # which topics differ first, and when
    notes: tuple[str, ...] = ()
    first_topics: tuple[str, ...] = field(default=())

    @property
    def is_same(self) -> bool:
        """Whether nothing differs that counts."""
        return all(item.excuse for item in self.differences)


def compare_summaries(old: Summary, new: Summary, tolerances: Tolerances) -> Comparison:
    """`new` beside the golden `old`."""
    stem = old.stem
    found: list[Difference] = []
    if old.outcome != new.outcome:
        text = f"outcome {old.outcome} -> {new.outcome}: {new.sentence}"
        found.append(Difference("outcome", "", old.outcome, new.outcome, text))
    found += _criteria(old, new, tolerances)
    topics = _topics(old, new, tolerances)
    if old.digest != new.digest:
        text = f"digest {old.digest or '-'} -> {new.digest or '-'}"
        excuse = next((tolerances.use(e) for e in tolerances.find(stem, "digest")), "")
        found.append(Difference("digest", "", old.digest, new.digest, text, excuse))
    found += topics
    found += _metrics(old, new, tolerances)
    found.sort(key=lambda item: bool(item.excuse))  # stable
    first, names = _first(old, new)
    return Comparison(tuple(found), first, tuple(_notes(old, new)), names)


def _criteria(old: Summary, new: Summary, tolerances: Tolerances) -> list[Difference]:
    out = []
    for name in sorted(old.criteria | new.criteria):
        one, two = old.criteria.get(name), new.criteria.get(name)
        if one == two:
            continue
        if one is None or two is None:
            text = f"criterion {name}: {'is new' if one is None else 'is gone'}"
            out.append(Difference("criterion", name, _dump(one), _dump(two), text))
            continue
        parts = []
        if one.passed != two.passed:
            parts.append("passed -> FAILED" if one.passed else "failed -> passed")
        if (one.limit, one.unit) != (two.limit, two.unit):
            parts.append(f"limit {_figure(one.limit)} -> {_figure(two.limit)} {two.unit}".rstrip())
        excuse = ""
        if one.value != two.value:
            parts.append(_moved(one.value, two.value, two.unit))
            if len(parts) == 1:
                excuse = _excuse(tolerances, old.stem, "criterion", name, one.value, two.value)
        out.append(
            Difference("criterion", name, _dump(one), _dump(two), f"criterion {name}: {', '.join(parts)}", excuse)
        )  # fmt: skip
    return out


def _metrics(old: Summary, new: Summary, tolerances: Tolerances) -> list[Difference]:
    out = []
    for name in sorted(old.metrics | new.metrics):
        one, two = old.metrics.get(name), new.metrics.get(name)
        if name not in old.metrics or name not in new.metrics:
            word = "is new" if name not in old.metrics else "is gone"
            text = f"metric {name}: {word} ({_figure(two if name in new.metrics else one)})"
            out.append(Difference("metric", name, one, two, text))
        elif one != two:
            excuse = _excuse(tolerances, old.stem, "metric", name, one, two)
            out.append(Difference("metric", name, one, two, f"metric {name}: {_moved(one, two)}", excuse))  # fmt: skip
    return out


def _topics(old: Summary, new: Summary, tolerances: Tolerances) -> list[Difference]:
    out = []
    for name in _by_time(old, new):
        one, two = old.topics.get(name), new.topics.get(name)
        if one is None or two is None:
            held = two or one
            assert held is not None
            text = (
                f"topic {name}: {'is new' if one is None else 'is gone'} ({held.messages} messages)"
            )
        else:
            counts = [
                f"{a} -> {b} {what}" if a != b else f"{b} {what}"
                for a, b, what in ((one.messages, two.messages, "messages"), (one.bytes, two.bytes, "bytes"))
            ]  # fmt: skip
            text = f"topic {name}: other bytes {_when(_part(one, two), old.duration_s)} ({', '.join(counts)})"
        excuse = ""
        for entry in tolerances.find(old.stem, "topic", name):
            a, b = one or _NOTHING, two or _NOTHING
            is_free = entry.absolute is None and entry.relative is None
            if is_free or (
                entry.is_within(a.messages, b.messages) and entry.is_within(a.bytes, b.bytes)
            ):
                excuse = tolerances.use(entry)
                break
        out.append(Difference("topic", name, _dump(one), _dump(two), text, excuse))
    return out


def _first(old: Summary, new: Summary) -> tuple[str, tuple[str, ...]]:
    """Which topics differ first, and in which part of the run."""
    order = _by_time(old, new)
    if not order:
        return "", ()
    parts = {name: _part(old.topics.get(name), new.topics.get(name)) for name in order}
    earliest = parts[order[0]]
    names = tuple(name for name in order if parts[name] == earliest)
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"first in {shown}, {_when(earliest, old.duration_s)}", names


def _by_time(old: Summary, new: Summary) -> list[str]:
    """Topics that differ, by the part of the run in which they begin to."""
    names = [
        name
        for name in sorted(old.topics | new.topics)
        if old.topics.get(name) != new.topics.get(name)
    ]
    return sorted(names, key=lambda name: _part(old.topics.get(name), new.topics.get(name)))


def _part(one: TopicSum | None, two: TopicSum | None) -> int:
    """The first sixteenth of the run in which two topics differ."""
    zero = ["0" * 8] * NUM_MARKS
    a, b = (item.marks.split() if item else zero for item in (one, two))
    return next((k for k in range(NUM_MARKS) if a[k] != b[k]), NUM_MARKS - 1)


def _when(part: int, duration_s: float) -> str:
    step = duration_s / NUM_MARKS
    return f"from between {part * step:.6g} and {(part + 1) * step:.6g} s on"


def _notes(old: Summary, new: Summary) -> list[str]:
    out = []
    changed = [
        name
        for name in sorted(old.sections | new.sections)
        if old.sections.get(name) != new.sections.get(name)
    ]
    if changed:
        out.append(f"the scene is not the same: {', '.join(changed)}")
    if old.duration_s != new.duration_s:
        out.append(f"duration {old.duration_s:g} s -> {new.duration_s:g} s")
    if old.map_digest != new.map_digest:
        out.append(f"the road file is not the same: SHA-256 {old.map_digest[:16]} -> {new.map_digest[:16]}")  # fmt: skip
    moved = [
        f"{name} {old.versions.get(name, '-')} -> {new.versions.get(name, '-')}"
        for name in sorted(old.versions | new.versions)
        if old.versions.get(name) != new.versions.get(name)
    ]
    if moved:
        out.append(f"versions: {', '.join(moved)}")
    if old.commit != new.commit:
        out.append(f"commits {old.commit or 'unknown'} -> {new.commit or 'unknown'}")
    return out


def _excuse(
    tolerances: Tolerances, stem: str, kind: Kind, name: str, old: float | None, new: float | None
) -> str:
    if old is None or new is None:
        return ""
    for entry in tolerances.find(stem, kind, name):
        if entry.is_within(old, new):
            return tolerances.use(entry)
    return ""


def _moved(old: float | None, new: float | None, unit: str = "") -> str:
    text = f"{_figure(old)} -> {_figure(new)} {unit}".rstrip()
    if old is None or new is None:
        return text
    share = f", {100 * (new - old) / abs(old):+.3g}%" if old else ""
    return f"{text} ({new - old:+.6g}{share})"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.9g}"


def _dump(item: TopicSum | Criterion | None) -> Any:
    return None if item is None else item.model_dump(mode="json")


_NOTHING = TopicSum(messages=0, bytes=0, digest="0" * 16, marks=" ".join(["0" * 8] * NUM_MARKS))
