"""`icv replay LOG --unit NAME`: builds the unit as a run does, calls it with its recorded inboxes, and compares what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile

from protocols.bus import Bus, InProcessBus
from protocols.errors import LogError
from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from scenarios.fault_spec import UnitFaultSpec
from scenarios.formats.opendrive import read
from scenarios.spec import SceneSpec
from sim.compose import BACKEND, CARLA
from sim.config import resolve
from sim.diff.first import FirstDifference
from sim.faults import Faults, make_faults
from sim.log.reader import LogReader
from sim.log.replay import load
from sim.recorded import recorded_scene, with_own_units
from sim.unit_replay.inboxes import Inboxes, from_world, recorded
from sim.unit_replay.said import Record, difference, read_record
from sim.units import Units
from sim.whatif.apply import MARK


@dataclass(frozen=True, slots=True)
class UnitAnswer:
    """Whether a unit says what it said. `same` None: as far as its inbox is known it does."""

    name: str
    same: bool | None
    calls: int  # how often it was called
    first: FirstDifference | None
    others: int  # ticks that differ besides the first; counted where the inbox was recorded
    message: str

    @property
    def exit_code(self) -> int:
        """0 the same, 1 not the same, 3 not known to the end."""
        return {True: 0, False: 1, None: 3}[self.same]


def replay_unit(
    path: Path, name: str, *, recover: bool = False, progress: Callable[[float], None] | None = None
) -> UnitAnswer:  # fmt: skip
    """Calls unit `name` of the log at `path` once more, alone. ConfigError lists the units there are."""
    run = load(path, recover)
    header, log = run.header, LogReader.open(path, recover)
    if MARK in header.versions:
        raise LogError(
            f"{path} was recorded with edited messages; a unit can be replayed alone from a plain run only."
        )
    spec, map_path = recorded_scene(
        header.config_json, header.map_digest, f"{path} (header)", path.resolve().parent
    )
    outside = spec.bus.external
    spec, stood_in = with_own_units(spec)
    alone = _Alone(spec, map_path, name)  # an unknown name shows at once
    with TemporaryFile() as file:
        inboxes = recorded(log, name)
        if inboxes is None:
            if header.versions.get(BACKEND) == CARLA:
                raise LogError(
                    f"{path} was driven by a CARLA server's physics, which cannot be run again to know what {name} heard. Run the "
                    f"scene again with `--set 'record.inbox=[\"{name}\"]'`, and its log will tell."
                )
            inboxes = from_world(name, spec, map_path.parent, run, file, progress)
        answer = alone.answer(inboxes, read_record(log, name), int(run.digests.tick.size))
    more = "" if run.lost is None else f"; {run.lost}"
    if stood_in and not inboxes.is_recorded:
        more = f", {stood_in}{more}"
    elif name in outside:
        more = f"; {name} came from outside in the recording, this is icv's own{more}"
    return replace(answer, message=answer.message + more)


class _Alone:
    """The unit, with the faults of the scene that befall it, and nobody else."""

    def __init__(self, spec: SceneSpec, map_path: Path, name: str) -> None:
        net = read(map_path)
        units = Units(resolve(spec, map_path.parent, net))
        unit = units.build(name)
        mine = tuple(f for f in spec.faults if isinstance(f, UnitFaultSpec) and f.unit == name)
        if name == "fleet" and any(f.kind == "slow" for f in mine):
            raise LogError(
                "fleet answers late in this run, and what it then says depends on who has left: it cannot be replayed alone."
            )
        actors = {f"obu/{vehicle.name}": k + 1 for k, vehicle in enumerate(spec.vehicles)}
        self.name = name
        self.tick_ns = spec.tick_ms * 1_000_000
        self.faults: Faults | None = make_faults(
            spec.model_copy(update={"faults": mine}), units.makers, actors, net
        )
        bus: Bus = InProcessBus([unit], None, {name: units.makers[name]})
        self.bus = bus if self.faults is None else self.faults.bus(bus)

    def answer(self, inboxes: Inboxes, record: Record, ticks: int) -> UnitAnswer:
        """Calls it tick by tick; stops at the first difference unless later inboxes are known.

        `ticks`: as many have a digest. What a log that broke off has behind them may not be all that was said.
        """
        first: FirstDifference | None = None
        calls = others = tick = 0
        last = ticks if inboxes.departure is None else inboxes.departure.tick + 1
        for now, inbox in inboxes.each():
            if now.tick >= ticks:
                break
            for between in range(tick, now.tick):  # late answers and the watchdog act between calls
                found = self._step(Now(between, between * self.tick_ns), {}, record)
                first, others = first or found, others + (first is not None and found is not None)
            if first is not None and not inboxes.is_recorded:
                break
            tick, calls = now.tick + 1, calls + 1
            found = self._step(now, {self.name: inbox}, record)
            others += first is not None and found is not None
            first = first or found
        for between in range(tick, last if first is None else 0):
            found = self._step(Now(between, between * self.tick_ns), {}, record)
            if found is not None and (first is None or found.tick < first.tick):
                first = found
        return self._conclusion(inboxes, calls, first, others)

    def _step(self, now: Now, inboxes: dict[str, Inbox], record: Record) -> FirstDifference | None:
        outbox = self.bus.exchange(now, inboxes).get(self.name)
        if outbox is None:
            known = record.said.get(now.t_ns)
            return None if known is None else difference(record, now, Outbox(), self._garbles(now))
        return difference(record, now, outbox, self._garbles(now))

    def _garbles(self, now: Now) -> bool:
        return self.faults is not None and self.faults.messages.is_garbled(self.name, now.t_ns)

    def _conclusion(
        self, inboxes: Inboxes, calls: int, first: FirstDifference | None, others: int
    ) -> UnitAnswer:
        source = (
            "its recorded inboxes" if inboxes.is_recorded else "the inboxes of the recorded run"
        )
        left = inboxes.departure
        if first is not None:
            who = f"{first.topic}.{first.field} = {first.b}, expected {first.a}"
            message = f"{self.name} says something else from tick {first.tick} (t={first.t_ns / 1e9:.2f} s) on: {who}"
            message += f", and in {others} more ticks" if others else ""
            return UnitAnswer(self.name, False, calls, first, others, message)
        if left is not None:
            message = (
                f"{self.name} says the same up to tick {left.tick}; there the world itself leaves the recording ({left}), so what "
                "the unit heard afterwards is not known. Record with record.inbox to be able to tell"
            )
            return UnitAnswer(self.name, None, calls, None, 0, message)
        return UnitAnswer(
            self.name, True, calls, None, 0, f"{self.name} says the same in all {calls} calls, alone on {source}"
        )  # fmt: skip
