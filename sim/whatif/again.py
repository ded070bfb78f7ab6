"""Runs the scene of a log again with edits, closed loop, from its start.

Nothing is taken from the recording but scene, seed and road file: everybody drives, sees and talks anew, and because runs are
the same by seed, the new one equals the recording up to the first edit. That is checked; a recording that cannot be run
again (another version, a CARLA server's physics) is refused and not compared with something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols import topics
from protocols.errors import CodecError, InfrastructureError, InputError, LogError
from scenarios.spec import SceneSpec
from sim.compose import BACKEND, CARLA, RunOptions, run_scene
from sim.log.header import RunHeader
from sim.log.reader import LogReader
from sim.log.records import LoggedMessage
from sim.log.replay import Departure, Recorded, ReplayCheck
from sim.recorded import recorded_scene, with_own_units
from sim.versions import commit
from sim.whatif import rewrite
from sim.whatif.apply import Edited, Effect, marked
from sim.whatif.edit import Corrupt, Edit, Forge, Selector

NEAR = 5  # messages shown where none was meant


@dataclass(frozen=True, slots=True)
class Source:
    """A recorded run that can be run again."""

    log: Path
    header: RunHeader
    recorded: Recorded
    spec: SceneSpec
    base: Path  # folder its paths start from
    earlier: tuple[Edit, ...]  # edits that the recording itself was made with
    stood_in: str = ""  # a phrase: our units that run in the places of those from outside


@dataclass(frozen=True, slots=True)
class Again:
    """One run with edits. `failure`: the sentence of a unit or carrier that broke, "" when the run came to its end."""

    log: Path
    effects: tuple[Effect, ...]
    departure: Departure | None  # where the run left the recording; None: nowhere
    failure: str


def open_source(log: Path) -> Source:
    """The run in `log`; LogError when it cannot be done again or never came to its end."""
    reader = LogReader.open(log)
    header = reader.header()
    if header.versions.get(BACKEND) == CARLA:
        raise LogError(
            f"{log} was driven by a CARLA server's physics, which its header cannot bring back; "
            "run the scene headless and edit that log."
        )
    result = reader.result()
    if result is None:
        raise LogError(
            f"{log}: the run never came to its end, so there is no outcome to compare with; run it again first "
            "(`icv replay --recover --out DIR`) and edit that log."
        )
    spec, map_path = recorded_scene(
        header.config_json, header.map_digest, f"{log} (header)", log.resolve().parent
    )
    spec, stood_in = with_own_units(spec)
    recorded = Recorded(header, reader.digests(), result, reader.lost)
    return Source(log, header, recorded, spec, map_path.parent, marked(header, str(log)), stood_in)


def run_again(
    source: Source,
    edits: Sequence[Edit],
    out: Path,
    *,
    progress: Callable[[float], None] | None = None,
) -> Again:
    """The run of `source` with `edits` into `out`. LogError when it leaves the recording before an edit can have done so."""
    edited = Edited((*source.earlier, *edits), source.spec.seed, _last_ns(source))
    check = ReplayCheck(source.recorded)
    options = RunOptions(picture=False, check=check, edits=edited if edited.edits else None)
    failure = ""
    try:
        run_scene(source.spec, source.base, out, progress=progress, options=options)
        check.finish()
    except (
        InfrastructureError
    ) as error:  # a unit broke on what it was told: an outcome like any other
        failure = str(error)
    mine = tuple(edited.effects[len(source.earlier) :])
    _check_departure(source, edits, mine, check.departure)
    return Again(out / "run.mcap", mine, check.departure, failure)


def check_control(
    source: Source, again: Again, folder: Path, progress: Callable[[float], None] | None = None
) -> None:
    """LogError where `again` may have parted from the recording because other code ran, and not because of its edits.

    Where the code may be another than the recording's (or ran another maker's units), and only there, the scene is run without
    edits too, in `folder`.
    """
    if again.departure is None and not again.failure:
        return
    here, header = commit(), source.header
    is_same_code = bool(here) and not here.endswith("+") and here == header.commit
    if is_same_code and not source.stood_in:
        return
    plain = run_again(source, (), folder, progress=progress)
    if plain.failure:
        raise LogError(
            f"{source.log} cannot be run again: without any edit this version breaks off: {plain.failure} "
            f"{_who(source)}"
        )


def _who(source: Source) -> str:
    """Who made the recording, who is asked to make it again, and what to do."""
    stood_in = f", {source.stood_in}" if source.stood_in else ""
    return (
        f"The log was written by commit {source.header.commit or 'unknown'}, this is {commit() or 'unknown'}{stood_in}; "
        "record the scene anew with `icv run` and edit that log."
    )


def _check_departure(
    source: Source, edits: Sequence[Edit], effects: Sequence[Effect], departure: Departure | None
) -> None:
    if departure is None:
        return
    header = source.header
    struck = [effect.first[0].t_ns for effect in effects if effect.first]
    first_ns = min(struck) if struck else None
    if first_ns is not None and departure.tick * header.tick_ns > first_ns:
        return
    why = "no edit met a message" if first_ns is None else f"the first edit is at {first_ns / 1e9:.2f} s"  # fmt: skip
    raise LogError(
        f"{source.log} cannot be run again: this version leaves the recording at {departure} "
        f"(t={departure.tick * header.tick_ns / 1e9:.2f} s), but {why if edits else 'nothing was edited'}. {_who(source)}"
    )


def check_edits(source: Source, edits: Sequence[Edit]) -> list[int]:
    """How many recorded messages each edit means (0 for forges). InputError, with the nearest, where an edit means none.

    A field that none of them has, or a value that none takes, is an InputError too.
    """
    reader = LogReader.open(source.log)
    counts = []
    for edit in edits:
        if isinstance(edit, Forge):
            if edit.start_ns > _last_ns(source):
                raise InputError(
                    f"--forge {str(edit)[:80]}: the last tick of the run is at {_last_ns(source) / 1e9:g} s."
                )
            counts.append(0)
            continue
        count = 0
        refused: CodecError | None = (
            None  # of the first message, unless another one takes the change
        )
        is_open = isinstance(edit, Corrupt) and bool(edit.field)
        for message in matching(reader, edit.which):
            count += 1
            if is_open and isinstance(edit, Corrupt):
                try:
                    rewrite.with_field(message.decode(), edit.field, edit.value, edit.is_added)
                    refused, is_open = None, False
                except CodecError as error:
                    refused = refused or error
        if not count:
            raise InputError(_near(reader, edit.kind, edit.which))
        if refused is not None:
            raise InputError(f"--corrupt {str(edit)[:120]}: {refused}.") from refused
        counts.append(count)
    return counts


def _last_ns(source: Source) -> int:
    """When its last tick is."""
    tick_ns = source.header.tick_ns
    return (round(source.spec.duration_s * 1e9 / tick_ns) - 1) * tick_ns


def matching(reader: LogReader, which: Selector) -> Iterator[LoggedMessage]:
    """Recorded messages that `which` means."""
    for message in reader.messages(which.topic, which.start_ns, which.end_ns or np.iinfo(np.int64).max):  # fmt: skip
        if which.holds(message.t_ns, message.topic, message.sender, message.seq):
            yield message
            if which.is_single:
                return


def _near(reader: LogReader, kind: str, which: Selector) -> str:
    """The sentence about messages that do not exist, with those that come nearest."""
    head = f"--{kind} {which}: no such message in {reader.path}"
    senders: dict[str, list[tuple[int, int]]] = {}
    carriers: dict[int, str] = {}  # of the number that was asked for: the topic it has
    for message in reader.messages():
        if message.topic == which.topic:
            senders.setdefault(message.sender, []).append((message.seq, message.t_ns))
        is_named = message.sender == which.sender and message.seq == which.seq
        if is_named and topics.topic(message.topic).is_on_air:
            carriers[message.seq] = message.topic
    if which.sender not in senders:
        if not senders:
            return f"{head}; nobody sent {which.topic} in this run."
        return f"{head}; {which.topic} was sent by {', '.join(sorted(senders))}."
    rows = senders[which.sender]
    if which.seq is not None:
        seq = which.seq
        near = sorted(sorted(rows, key=lambda row: (abs(row[0] - seq), row[0]))[:NEAR])
        other = f" (number {seq} of {which.sender} is a {carriers[seq]})" if seq in carriers else ""
    else:
        start_ns, other = which.start_ns, ""
        near = sorted(sorted(rows, key=lambda row: (abs(row[1] - start_ns), row[0]))[:NEAR])
    shown = ", ".join(f"{seq} (at {t_ns / 1e9:.2f} s)" for seq, t_ns in near)
    return f"{head}{other}; nearest of {which.sender}'s {len(rows)}: {shown}."
