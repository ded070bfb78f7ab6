"""The loop: one tick after the other, in the order every promise rests on.

1 world exposes the state at tick k; 2 sensors that are due sample it; 3-4 what the radio has delivered is put into inboxes;
5 units answer; 6 truth, messages and commands go into the digest and the log; 7 the world advances. What is sent in tick k is
heard in tick k+1 at the earliest. The loop knows the participant interface, never a concrete unit; `sim.compose` wires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from protocols import codec, topics
from protocols.bus import Bus, nonsense, where
from protocols.errors import CodecError, IcvError, UnitError
from protocols.judging import Event, EventKind, RunFacts
from protocols.messages import (
    BasicSafetyBatch,
    Message,
    RequestStatus,
    RoadsideCoordination,
    SignalCommand,
    VehicleCommand,
    VehicleIntention,
)
from protocols.participant import Inbox, Outbox, Transmission
from protocols.roads.network import U32
from protocols.sensing import Readings
from protocols.sentence import say
from protocols.simtime import NS_PER_MS, NS_PER_S, Now
from scenarios.criteria import Judge
from sim.faults import Faults
from sim.log.digest import DigestChain
from sim.log.replay import ReplayCheck
from sim.log.silent import SilentLog
from sim.log.writer import LogWriter
from sim.pace import RealTime
from sim.picture import PictureCollector
from sim.radio.air import Air, take_rows
from sim.radio.channel import Stations
from sim.radio.fates import Fate, TickFates
from sim.referee import Referee
from sim.signal_watch import SignalWatch
from sim.whatif.apply import Edited, Forged
from sim.world import HeadlessWorld

NOWHERE_M = 1e9
FORGED_HEIGHT_M = (
    1.5  # antenna of a vehicle that only a forged message knows; it stands where it claims to
)
MAX_REASON = 4000  # characters of why a run broke off that its log keeps
LIGHTS_NS = 100_000_000  # controllers step this often, so lights cannot change in between


class Port(Protocol):
    """The sensors of one unit."""

    def sample(self, tick: int, t_ns: int) -> Readings:
        """What is due at this tick."""
        ...


@dataclass(frozen=True, slots=True)
class Antenna:
    """A unit on the air: fixed at a place, or moving with a row of the state."""

    station_id: int
    height_m: float
    row: int  # -1: fixed
    x_m: float = 0.0
    y_m: float = 0.0


@dataclass(slots=True)
class Loop:
    """One run. Built by `sim.compose`."""

    world: HeadlessWorld
    bus: Bus
    air: Air
    ports: Mapping[str, Port]
    antennas: Mapping[str, Antenna]  # who hears; senders without one are batches of vehicles
    due: Mapping[str, tuple[str, ...]]  # by unit: topics that are never to fall silent
    log: LogWriter | SilentLog
    judge: Judge
    picture: PictureCollector | None
    watch: SignalWatch
    truth_period_ticks: int
    facts: RunFacts
    check: ReplayCheck | None = None  # a recording that this run must equal
    pace: RealTime | None = None  # None: as fast as it goes
    faults: Faults | None = None  # of the scene; bus, air and ports have theirs already
    lap: Callable[[], Mapping[str, float]] | None = None  # what units cost since last asked, ms
    edits: Edited | None = None  # what becomes of single messages; the air has it already
    chain: DigestChain = field(default_factory=DigestChain)
    _seq: dict[str, int] = field(default_factory=dict)
    _last_sent: dict[str, int] = field(default_factory=dict)
    _requests: set[tuple[int, int]] = field(default_factory=set)
    _granted: set[tuple[int, int, int]] = field(default_factory=set)
    _last_digest: int = 0
    _names: tuple[str, ...] = ()
    _receivers: Stations | None = None

    def run(self, num_ticks: int, progress: Callable[[float], None] | None) -> int:
        """Runs `num_ticks` ticks; the digest of the last one. Errors pass through after the log is flushed."""
        world = self.world
        for tick in range(num_ticks):
            now = Now(tick, tick * world.tick_ns)
            if self.pace is not None:
                self.pace.wait(now.t_ns)
            if progress is not None and now.t_ns % NS_PER_S == 0:
                progress(now.t_ns / NS_PER_S)
            try:
                self._tick(now)
            except IcvError as error:
                self._tell_broken(now, error)
                raise
        self._close_gaps(num_ticks * world.tick_ns)
        if progress is not None:
            progress(num_ticks * world.tick_ns / NS_PER_S)
        return self._last_digest

    def _tell_broken(self, now: Now, error: IcvError) -> None:
        """The log says itself why it ends here; result.json may be gone when somebody asks."""
        why = (
            str(error)[:MAX_REASON].encode("utf-8", "replace").decode()
        )  # half a surrogate cannot be stored
        # The log itself may be what failed; the error that ended the run matters more.
        with suppress(IcvError, OSError):
            self.log.event(now.t_ns, EventKind.RUN_BROKEN.name.lower(), "0", why)

    def _tick(self, now: Now) -> None:
        world, tick, t_ns = self.world, now.tick, now.t_ns
        self._observe(now)
        outboxes = self.bus.exchange(
            now,
            {
                name: Inbox(self.air.collect(name, now), self._read(name, tick, t_ns))
                for name in self.bus.due(tick)
            },
        )
        self._transmit(now, outboxes)
        commands, signals = self._commands(now, outboxes)
        for vehicle in world.vehicles:
            command = commands.get(vehicle.unit, vehicle.command)
            self.log.command(vehicle.name, command)
        if tick % self.truth_period_ticks == 0:
            self.log.world(t_ns, world.states, world.statics)
        self.chain.truth(world.states)
        digest = self.chain.close_tick(tick)
        self.log.digest(digest)
        if self.lap is not None and tick and t_ns % NS_PER_S == 0:
            self.log.timing(t_ns, self.lap())
        self._last_digest = digest.digest
        if self.check is not None:
            self.check.feed(digest)
        world.step(t_ns, commands, signals)

    # 1 what is there ------------------------------------------------------------------------------------------

    def _observe(self, now: Now) -> None:
        world, t_ns = self.world, now.t_ns
        dt_s = world.tick_ns / NS_PER_S
        for vehicle in world.vehicles:
            referee = vehicle.referee
            referee.observe(t_ns, dt_s, world.states, world.light, world.red_since_ns)
            for event in referee.events:
                self.tell(event)
            referee.events.clear()
            if referee.blocks:
                self._traces(referee)
        for event in world.events:
            self.tell(event)
        world.events.clear()
        for event in self.watch.observe(t_ns, world.light):
            self.tell(event)
        if self.faults is not None:
            for event in self.faults.events(t_ns):
                self.tell(event)
        if t_ns % LIGHTS_NS == 0:
            self.log.signals(t_ns, world.light)
        if self.picture is not None:
            self.picture.observe(t_ns, world.states, world.statics, world.light)

    def _traces(self, referee: Referee) -> None:
        for block in referee.blocks:
            self.judge.on_trace(block)
            self.log.trace(block)
        referee.blocks.clear()

    def close_traces(self) -> None:
        """What referees still hold goes to judge and log: at the end of a run, or when it broke off."""
        for vehicle in self.world.vehicles:
            vehicle.referee.flush()
            self._traces(vehicle.referee)

    def tell(self, event: Event) -> None:
        """One event to judge, picture and log."""
        self.judge.on_event(event)
        if self.picture is not None:
            self.picture.on_event(event)
        self.log.event(
            event.t_ns,
            event.kind.name.lower(),
            str(event.actor),
            event.text,
            {"other": event.other, "lane": event.lane, "value": event.value},
        )

    def _read(self, name: str, tick: int, t_ns: int) -> Readings:
        port = self.ports.get(name)
        return port.sample(tick, t_ns) if port is not None else _NOTHING

    # 3 radio ----------------------------------------------------------------------------------------------------

    def _transmit(self, now: Now, outboxes: Mapping[str, Outbox]) -> None:
        is_any = False
        for name, outbox in outboxes.items():
            for item in outbox.transmissions:
                is_any = True
                self._send(now, name, item)
            if outbox.plan is not None:
                data = _encoded(name, now, outbox.plan)
                self._record("obu/plan", name, now.t_ns, data)
            if outbox.notes:
                self.log.notes(name, now.t_ns, outbox.notes)
        if self.edits is not None:
            for forged in self.edits.forged(now.t_ns):
                is_any = True
                self._forge(now, forged)
        if not is_any:
            return
        stations = self._stations()
        fates = self.air.propagate(now, self._names, stations)
        if fates is not None:
            self.log.fates(fates)
            self._count(fates)
        if self.edits is not None:
            for sender, note, seq in self.edits.notes():
                self.log.notes(sender, now.t_ns, [(note, float(seq))])

    def _send(self, now: Now, name: str, item: Transmission) -> None:
        if self.faults is not None and isinstance(item.message, BasicSafetyBatch) and name not in self.antennas:  # fmt: skip
            batch = self._without_departed(item.message)
            if not batch.station_id.size:
                return
            item = Transmission(item.topic, batch)
        data = _encoded(name, now, item.message)
        is_garbled = self.faults is not None and self.faults.messages.is_garbled(name, now.t_ns)
        if self.faults is not None and is_garbled:
            data = self.faults.messages.garbled(name, now.t_ns, item.topic, data)
        antenna = self.antennas.get(name)
        if antenna is not None:
            x, y = self._place(antenna)
            origin = Stations(
                np.array([antenna.station_id], np.uint32),
                np.array([x]), np.array([y]), np.array([antenna.height_m]),
            )  # fmt: skip
            rows = 1
        else:
            if not isinstance(item.message, BasicSafetyBatch):
                raise UnitError(
                    say(
                        "{where!s} sent {topic} but has no antenna; only roadside units of the scene have one",
                        where=where(name, now), topic=item.topic,
                    )
                )  # fmt: skip
            origin = self._fleet(item.message.station_id)
            rows = origin.id.size
        seq = self.air.send(name, item.topic, item.message, data, origin)
        if is_garbled:  # no message of its topic, so not in its topic's channel; the fates have it
            self.log.notes(name, now.t_ns, [(f"garbled/{item.topic}", float(seq))])
        else:
            self.log.message(item.topic, name, seq, now.t_ns, data)
        self.chain.message(name, item.topic, seq, data)
        facts = self.facts
        facts.messages_sent[item.topic] = facts.messages_sent.get(item.topic, 0) + rows
        key = f"{name} {item.topic}"
        last = self._last_sent.get(key)
        if last is not None and topics.topic(item.topic).period_ms is not None:
            gap_ms = (now.t_ns - last) / NS_PER_MS
            facts.max_gap_ms[key] = max(facts.max_gap_ms.get(key, 0.0), gap_ms)
        self._last_sent[key] = now.t_ns
        if not is_garbled:
            self._priority(now, item)

    def _close_gaps(self, end_ns: int) -> None:
        """Who fell silent for good, or never spoke, has a gap that ends with the run, unless it is a vehicle that has left the world."""
        facts, valid = self.facts, self.world.states.valid
        for name, wanted in self.due.items():
            row = self.antennas[name].row
            if row >= 0 and not valid[row]:
                continue
            for topic in wanted:
                key = f"{name} {topic}"
                gap_ms = (end_ns - self._last_sent.get(key, 0)) / NS_PER_MS
                if gap_ms > max(topics.topic(topic).period_ms or 0, facts.max_gap_ms.get(key, 0.0)):
                    facts.max_gap_ms[key] = gap_ms

    def _forge(self, now: Now, item: Forged) -> None:
        """What its sender never made: on the air and in the log, but not in the digest of what units do."""
        message, antenna = item.message, self.antennas.get(item.sender)
        rows = message.station_id.size if isinstance(message, BasicSafetyBatch) else 1
        if antenna is not None:
            x, y = self._place(antenna)
            origin = Stations(
                np.full(rows, antenna.station_id, np.uint32),
                np.full(rows, x), np.full(rows, y), np.full(rows, antenna.height_m),
            )  # fmt: skip
        else:
            assert isinstance(message, BasicSafetyBatch), "checked before the run"
            height = np.full(rows, FORGED_HEIGHT_M)
            origin = Stations(message.station_id, message.x_m, message.y_m, height)
        self.air.send(item.sender, item.topic, message, item.data, origin, item.seq)
        self.log.message(item.topic, item.sender, item.seq, now.t_ns, item.data)

    def _priority(self, now: Now, item: Transmission) -> None:
        message = item.message
        if isinstance(message, VehicleIntention) and not message.is_cancel:
            self._requests.add((message.station_id, message.request_id))
            self.facts.priority_requests = len(self._requests)
        elif isinstance(message, RoadsideCoordination) and message.status in _GRANTS:
            key = (message.node_id, message.station_id, message.request_id)
            if key not in self._granted:
                self._granted.add(key)
                self.facts.priority_granted = len(self._granted)
                value = _GRANTS[message.status]
                self.tell(
                    Event(
                        now.t_ns,
                        EventKind.PRIORITY_GRANTED,
                        message.station_id,
                        message.node_id,
                        value=value,
                        text=message.reason,
                    )
                )

    def _stations(self) -> Stations:
        """Everybody who can hear, where they are now."""
        antennas = self.antennas
        if self._receivers is None:
            self._names = tuple(antennas)
            self._receivers = Stations(
                np.array([a.station_id for a in antennas.values()], np.uint32),
                np.array([a.x_m for a in antennas.values()]),
                np.array([a.y_m for a in antennas.values()]),
                np.array([a.height_m for a in antennas.values()]),
            )
        states, out = self.world.states, self._receivers
        for k, antenna in enumerate(antennas.values()):
            if antenna.row >= 0:
                out.x_m[k], out.y_m[k] = states.x_m[antenna.row], states.y_m[antenna.row]
        return out

    def _place(self, antenna: Antenna) -> tuple[float, float]:
        if antenna.row < 0:
            return antenna.x_m, antenna.y_m
        states = self.world.states
        return float(states.x_m[antenna.row]), float(states.y_m[antenna.row])

    def _fleet(self, ids: U32) -> Stations:
        """Where the vehicles of a batch stand (truth: radio is physics)."""
        states = self.world.states
        rows = np.flatnonzero(states.valid)
        if not rows.size:
            nowhere = np.full(ids.size, NOWHERE_M)
            return Stations(ids, nowhere, nowhere, np.zeros(ids.size))
        order = rows[np.argsort(states.id[rows], kind="stable")]
        at = order[np.minimum(np.searchsorted(states.id[order], ids), order.size - 1)]
        height = self.world.statics.height_m[at]
        # Who has left the world, or never was in it, is heard by nobody.
        x = np.where(states.id[at] == ids, states.x_m[at], NOWHERE_M)
        return Stations(ids, x, states.y_m[at], height)

    def _without_departed(self, batch: BasicSafetyBatch) -> BasicSafetyBatch:
        """A batch that a fault has made late without the vehicles that have left meanwhile: nobody sends for them."""
        states = self.world.states
        is_here = np.isin(batch.station_id, states.id[states.valid])
        return batch if is_here.all() else take_rows(batch, np.flatnonzero(is_here))

    def _count(self, fates: TickFates) -> None:
        ends = np.cumsum(fates.num_rows, dtype=np.int64)  # a batch may have no row
        total = np.concatenate(([0], np.cumsum((fates.fate == Fate.DELIVERED).sum(axis=1))))
        heard = total[ends] - total[ends - fates.num_rows]
        counts = self.facts.messages_heard
        for topic, number, rows in zip(
            fates.topics, heard.tolist(), fates.num_rows.tolist(), strict=True
        ):
            if rows:
                counts[topic] = counts.get(topic, 0) + number

    # 5 commands --------------------------------------------------------------------------------------------------

    def _commands(
        self, now: Now, outboxes: Mapping[str, Outbox]
    ) -> tuple[dict[str, VehicleCommand], list[SignalCommand]]:
        vehicles: dict[str, VehicleCommand] = {}
        signals: list[SignalCommand] = []
        for name, outbox in outboxes.items():
            if outbox.vehicle is not None:
                vehicles[name] = outbox.vehicle
                self.chain.command(name, outbox.vehicle)
            if outbox.signals is not None:
                signals.append(outbox.signals)
                data = _encoded(name, now, outbox.signals)
                self.chain.command(name, outbox.signals)
                self._record("cmd/signal", name, now.t_ns, data)
        return vehicles, signals

    def _record(self, topic: str, name: str, t_ns: int, data: bytes) -> None:
        key = f"{name} {topic}"
        seq = self._seq.get(key, 0)
        self._seq[key] = seq + 1
        self.log.message(topic, name, seq, t_ns, data)


def _encoded(name: str, now: Now, message: Message) -> bytes:
    """Wire bytes of what a unit gave; UnitError when a value cannot be on the wire, for that is the unit's fault and no bad input."""
    try:
        return codec.encode(message)
    except CodecError as error:
        raise UnitError(nonsense(name, now, error)) from error


_NOTHING = Readings()
_GRANTS = {RequestStatus.GRANTED_EXTENSION: 1.0, RequestStatus.GRANTED_EARLY_GREEN: 2.0}
