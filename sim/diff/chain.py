"""From the first difference on: who heard it, what it planned, commanded and did, and how the run ended.

Every step is a difference that was really found, later than the one before it, and tied to it by what the log says: a message by its
fates (who heard it, and when), plan and command by their unit, a state by its vehicle. What sensors saw is not recorded; such a step is
marked as seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.diff.air import Air
from sim.diff.causal import is_answer, is_command
from sim.diff.model import NOTHING, Finding, Kind, Link, unit_of
from sim.diff.radio import TOPIC as RADIO
from sim.diff.side import Side
from sim.diff.table import Record, Table
from sim.diff.trace import TOPIC as TRACE
from sim.diff.trace import actor_of

_AFTERMATH = ("truth/event", "log/result", "log/note", "log/digest")
_TRACKS = ("v2x/rsm", "v2x/ssm")  # messages that say what their sender tracks
_LENGTH = 12  # links at most
_WINDOW_NS = (
    3_000_000_000  # how long after it was sent a message is looked for in receivers' answers
)
_MESSAGES = 400  # differing messages of a stream looked at


def follow(a: Side, b: Side, table: Table, first: Finding, findings: list[Finding]) -> list[Link]:
    """The links after `first`."""
    return _Follower(a, b, table, findings).run(first)


@dataclass(slots=True)
class _Follower:
    a: Side
    b: Side
    table: Table
    findings: list[Finding]
    visited: set[str] = field(default_factory=set)
    air: Air = field(init=False)
    origin: Finding | None = None

    def __post_init__(self) -> None:
        self.air = Air(self.a, self.b)

    def run(self, first: Finding) -> list[Link]:
        links: list[Link] = []
        at: Finding | None = first
        self.origin = first
        while at is not None and len(links) < _LENGTH:
            step = self._step(at)
            if any(link.finding is at for link in step[1:]):
                break
            links += step
            at = step[-1].finding if step else None
            if at is not None and at.kind is Kind.STATE and at.topic == "truth/trace":
                links += self._after_state(at)
                break
        outcome = next(
            (f for f in self.findings if f.topic == "log/result" and f.field == "outcome"), None
        )
        if outcome is None:
            outcome = next(
                (f for f in self.findings if f.topic == "log/result" and f.field == "sentence"),
                None,
            )
        if outcome is None:
            outcome = self._result("outcome") or self._result("sentence")
        if outcome is not None and outcome is not first:
            links.append(Link("verdict", outcome))
        return links

    def _result(self, name: str) -> Finding | None:
        row = self.table.fields.get(("log/result", name))
        return row.first if row is not None else None

    def _step(self, at: Finding) -> list[Link]:
        """What follows directly."""
        if at.is_of_file:
            return []
        if at.topic == RADIO:
            return self._lost(at)
        if at.topic == TRACE and at.kind in (Kind.MISSING, Kind.EXTRA):
            return self._absent(at)
        if at.topic.startswith("v2x/"):
            is_own = any(
                f.t_ns == at.t_ns
                and unit_of(f) == at.sender
                and (f.topic == "obu/plan" or is_command(f))
                for f in self.findings
            )  # the sender itself is otherwise already, not only what it says
            return (
                self._answers(at.sender, at.t_ns)
                if is_own and not self.visited
                else self._heard(at)
            )
        if at.topic == "log/note" and "what_if" in at.a + at.b:
            return self._after_fault(at)
        if at.topic in ("obu/plan", "cmd/signal", "log/note") or is_command(at):
            return self._consequence(at)
        if at.topic == "truth/event" and "fault" in at.a + at.b:
            return self._after_fault(at)
        if at.topic in (
            "truth/trace",
            "truth/world",
            "truth/actor",
            "truth/signal",
            "truth/event",
            "log/digest",
        ):
            return self._seen(at)
        return []

    # -- messages ------------------------------------------------------------------------------------------------

    def _heard(self, *said: Finding) -> list[Link]:
        """The unit whose answer to a differing message of these streams is the earliest; of two that it heard, the later one."""
        self.visited |= {at.sender for at in said}
        best: tuple[int, int, str, Finding] | None = None
        for at in said:
            for unit, answer in self._first_answers(at.t_ns).items():
                if unit in self.visited:
                    continue
                heard = self._hearing(at, unit, answer)
                if heard is not None and (best is None or (answer.t_ns, -heard[0]) < best[:2]):
                    best = (answer.t_ns, -heard[0], unit, heard[1])
        if best is None:
            return []
        _, t_ns, unit, message = best
        t_ns = -t_ns
        answers = self._answers(unit, min(at.t_ns for at in said))
        return [Link("heard", message, unit, t_ns), *answers] if answers else []

    def _absent(self, at: Finding) -> list[Link]:
        """A vehicle that only one log has: who heard what it said, else who saw it."""
        unit = unit_of(at)
        self.visited.add(unit)
        said = [
            f for f in self.findings
            if f.sender == unit and f.topic.startswith("v2x/") and f.kind is at.kind and f.t_ns >= at.t_ns
        ]  # fmt: skip
        return (self._heard(*said) if said else []) or self._seen(at)

    def _first_answers(self, after_ns: int) -> dict[str, Finding]:
        out: dict[str, Finding] = {}
        for found in self.findings:
            if found.t_ns > after_ns and found.sender and is_answer(found):
                before = out.get(unit_of(found))
                if before is None or found.t_ns < before.t_ns:
                    out[unit_of(found)] = found
        return out

    def _hearing(self, at: Finding, unit: str, answer: Finding) -> tuple[int, Finding] | None:
        """(when, message) of the last differing message of `at`'s stream that `unit` heard before its answer."""
        records = self.table.messages.get((at.topic, at.sender), [])
        near = [r for r in records if answer.t_ns - _WINDOW_NS <= r.t_ns < answer.t_ns][-_MESSAGES:]
        first = [Record(at.sender, at.t_ns, at.seq)]
        if answer.t_ns - at.t_ns <= _WINDOW_NS:
            order = [*first, *reversed(near)]
        else:
            order = [*reversed(near), *first]
        for record in order:
            when = self.air.delivered(at.topic, record, unit)
            if when is not None and when <= answer.t_ns:
                same = record.t_ns == at.t_ns and record.seq == at.seq
                tick = record.t_ns // self.table.tick_ns
                message = (
                    at
                    if same
                    else Finding(
                        at.kind,
                        tick,
                        record.t_ns,
                        at.topic,
                        at.sender,
                        at.field,
                        "",
                        "",
                        record.seq,
                    )
                )
                return when, message
        return None

    def _lost(self, at: Finding) -> list[Link]:
        """The receiver whose answer to what became of the messages is the earliest."""
        found = [f for f in self.findings if f.topic == RADIO and f.receiver and f.t_ns >= at.t_ns]
        best: tuple[int, int, Finding] | None = None
        for item in found:
            answer = self._first_answers(item.t_ns).get(item.receiver)
            if answer is not None and (best is None or (answer.t_ns, -item.t_ns) < best[:2]):
                best = (answer.t_ns, -item.t_ns, item)
        if best is None:
            return []
        item = best[2]
        links = self._answers(item.receiver, item.t_ns + 1)
        if item is at or not links:
            return links
        return [Link("late" if item.kind is Kind.DELAYED else "fate", item, item.receiver), *links]

    def _after_fault(self, at: Finding) -> list[Link]:
        """The first thing that a fault or an edit changed."""
        later = (
            f for f in self.findings if f.t_ns >= at.t_ns and f.field != "seq"
        )  # in causal order
        found = next((f for f in later if f.topic not in _AFTERMATH), None)
        return [] if found is None else [Link("follows", found, unit_of(found))]

    # -- inside a unit -------------------------------------------------------------------------------------------

    def _answers(self, unit: str, after_ns: int) -> list[Link]:
        """What a unit did otherwise from then on: plan, command, message, in the order of causes."""
        self.visited.add(unit)
        mine = [
            f for f in self.findings if f.sender == unit and f.t_ns >= after_ns and is_answer(f)
        ]
        mine += [f for f in self._commands(unit) if f.t_ns >= after_ns]
        for topic, relation in (("obu/plan", "plan"), ("cmd/signal", "command")):
            found = min((f for f in mine if f.topic == topic), key=lambda f: f.t_ns, default=None)
            if found is not None:
                fused = self._fused(unit, after_ns, found.t_ns)
                return [*fused, Link(relation, found, unit), *self._consequence(found)]
        command = min(
            (f for f in mine if f.kind is Kind.COMMAND), key=lambda f: f.t_ns, default=None
        )
        if command is not None:
            return [Link("command", command, unit), *self._consequence(command)]
        message = min(
            (f for f in mine if f.topic.startswith("v2x/")), key=lambda f: f.t_ns, default=None
        )
        if message is not None:
            return [Link("message", message, unit)]
        return []

    def _fused(self, unit: str, from_ns: int, to_ns: int) -> list[Link]:
        """What the unit tracked otherwise by then, where it tells others what it tracks."""
        told = [
            f for f in self.findings
            if f.sender == unit and f.topic in _TRACKS and from_ns <= f.t_ns <= to_ns and f.entity and f is not self.origin
        ]  # fmt: skip
        found = min(told, key=lambda f: f.t_ns, default=None)
        return [Link("fused", found, unit)] if found is not None else []

    def _commands(self, unit: str) -> list[Finding]:
        return [f for f in self.findings if f.kind is Kind.COMMAND and unit_of(f) == unit]

    def _consequence(self, at: Finding) -> list[Link]:
        """From a plan to the command, from a command to the state."""
        unit = unit_of(at)
        self.visited.add(unit)
        if at.topic == "obu/plan":
            commands = [f for f in self._commands(unit) if f.t_ns >= at.t_ns]
            command = min(commands, key=lambda f: f.t_ns, default=None)
            return (
                [Link("command", command, unit), *self._consequence(command)]
                if command is not None
                else []
            )
        if at.topic == "cmd/signal":
            lights = [f for f in self.findings if f.kind is Kind.SIGNAL and f.t_ns >= at.t_ns]
            light = min(lights, key=lambda f: f.t_ns, default=None)
            return [Link("signal", light)] if light is not None else []
        if is_command(at):
            states = [
                f for f in self.findings
                if f.topic == "truth/trace" and f.kind is not Kind.COMMAND and unit_of(f) == unit and f.t_ns > at.t_ns
            ]  # fmt: skip
            state = min(states, key=lambda f: f.t_ns, default=None)
            return [Link("state", state, unit)] if state is not None else []
        return []

    # -- the world -----------------------------------------------------------------------------------------------

    def _seen(self, at: Finding) -> list[Link]:
        """The first unit that answers to a state of the world otherwise."""
        answers = {
            u: f
            for u, f in self._first_answers(at.t_ns - 1).items()
            if u not in self.visited and u != "fleet"
        }
        if not answers:
            return []
        unit, answer = min(
            answers.items(),
            key=lambda pair: (pair[1].t_ns, not pair[0].startswith("obu/"), pair[0]),
        )
        rest = self._answers(unit, answer.t_ns)
        return [Link("seen", at, unit, answer.t_ns), *rest] if rest else []

    def _after_state(self, at: Finding) -> list[Link]:
        """The first event of this vehicle that only one run has, or that differs."""
        mine = f" of {actor_of(self.a, at.sender, at.t_ns)}"
        for found in self.findings:
            if found.topic == "truth/event" and found.t_ns >= at.t_ns:
                text = found.b if found.a == NOTHING else found.a
                if text.partition(":")[0].endswith(mine):
                    return [Link("event", found)]
        return []
