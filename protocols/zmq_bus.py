"""The bus over ZeroMQ: units in other processes or languages, in counted lock-step (`unit.proto` draws the conversation).

One ROUTER socket; a unit is a DEALER that says Hello. `gather` waits until every expected unit is there. One exchange sends the
due units their Tick and waits until all have answered or the time limit is over. A unit that dies, hangs, answers for another
tick or with nonsense ends the run with a UnitError that names unit and tick. Peers are told apart by the connection they came
on, never by what they claim: nobody can answer for somebody else. Strangers are refused and cannot disturb.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Final

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from protocols.bus import check_outbox, nonsense, where
from protocols.errors import CodecError, ConfigError, UnitError
from protocols.participant import Inbox, Outbox
from protocols.sentence import phrase, say
from protocols.simtime import Now
from protocols.unit_wire import PROTOCOL, decode_answer, encode_tick, parse_from_unit
from protocols.v1 import unit_pb2
from protocols.zmq_net import Keys, limit, require_keys

_MAX_PARTS: Final = 4
_GRACE, _GRACE_S = (
    20,
    0.02,
)  # looks, and the time between two, until a process that lost its connection is known as dead
_LOOKS: Final = 60  # before a wait falls asleep: about 0.1 ms, what a unit on this machine takes to answer a small tick
_let_others_run: Final[Callable[[], None]] = getattr(os, "sched_yield", lambda: None)
MAX_STRAYS: Final = 1_000  # frames of strangers that are answered in a run; more are dropped unread


@dataclass(frozen=True, slots=True)
class Limits:
    """Wall time a unit gets, seconds."""

    join_s: float = 60.0  # until all units have said Hello
    first_answer_s: float = 120.0  # a unit may compile its kernels
    answer_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Greeting:
    """What every unit is told when it joins."""

    scenario: str = ""
    epoch_ns: int = 0
    tick_ns: int = 10_000_000
    config_json: str = ""
    map_digest: str = ""


@dataclass(slots=True)
class _Peer:
    name: str
    period_ticks: int
    identity: bytes = b""  # empty: has not joined
    software: str = ""
    has_answered: bool = False
    joined: int = field(default=-1)


class ZmqBus:
    """Units behind a ROUTER socket on `address`. `units`: name -> call period in ticks.

    `clock` counts nanoseconds, monotonic; it only bounds waiting. `death` says why a unit's process is gone, or None;
    it is asked while waiting. `context` is needed for `inproc://` only.
    """

    def __init__(
        self,
        address: str,
        units: Mapping[str, int],
        clock: Callable[[], int],
        *,
        greeting: Greeting | None = None,
        limits: Limits | None = None,
        keys: Keys | None = None,
        death: Callable[[str], str | None] | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        require_keys(address, keys)
        self._peers = {name: _Peer(name, period) for name, period in sorted(units.items())}
        self._periods = tuple((peer.name, peer.period_ticks) for peer in self._peers.values())
        self._by_identity: dict[bytes, _Peer] = {}
        self._clock = clock
        self._death = death
        self._limits = limits or Limits()
        self._greeting = greeting or Greeting()
        self._num_strays = 0
        self._is_own_context = context is None
        self._context = context or zmq.Context()
        self._guard: ThreadAuthenticator | None = None
        self._socket = self._context.socket(zmq.ROUTER)
        limit(self._socket, address)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            if keys is not None:
                self._encrypt(keys)
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                say("address {address!r} cannot be listened on: {why!s}.", address=address, why=error)
            ) from error  # fmt: skip
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        return tuple(self._peers)

    @property
    def software(self) -> dict[str, str]:
        """What each unit says it is."""
        return {peer.name: peer.software for peer in self._peers.values()}

    def due(self, tick: int) -> tuple[str, ...]:
        """Units to be called at `tick`, sorted."""
        return tuple(name for name, period in self._periods if tick % period == 0)

    def gather(self) -> None:
        """Waits until every unit has joined; UnitError names those that did not, or one that cannot take part."""
        end = self._clock() + int(self._limits.join_s * 1e9)
        while missing := [p.name for p in self._peers.values() if not p.identity]:
            self._look_for_deaths(missing, phrase("before it joined"))
            if self._clock() >= end:
                raise UnitError(
                    say(
                        "unit {units} did not join {address} within {join_s:g} s. Start it with `icv unit {first} --connect "
                        "{address}`, or give it longer (bus.join_s)",
                        units=", ".join(missing), address=self.address, join_s=self._limits.join_s, first=missing[0],
                    )
                )  # fmt: skip
            frames = self._receive()
            if frames is not None:
                self._greet(frames)

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """Sends every unit in `inboxes` its tick and waits for all answers; outboxes by name, sorted."""
        waiting: dict[str, _Peer] = {}
        for name in sorted(inboxes):
            peer = self._peers.get(name)
            if peer is None or not peer.identity:
                raise UnitError(
                    say("no unit {name!r} on this bus; units are {names}", name=name, names=", ".join(self.names))
                )  # fmt: skip
            self._send(peer, encode_tick(now, inboxes[name]), now)
            waiting[name] = peer
        limits = self._limits
        begun = self._clock()
        answers: dict[str, Outbox] = {}
        while waiting:
            frames = self._receive()
            if frames is not None:
                self._take(frames, now, waiting, answers)
            else:
                when = say("at tick {tick:d} (t={t_s:.2f} s)", tick=now.tick, t_s=now.t_s)
                self._look_for_deaths(waiting, when)
            waited_s = (self._clock() - begun) * 1e-9
            for name, peer in waiting.items():
                allowed = limits.answer_s if peer.has_answered else limits.first_answer_s
                if waited_s > allowed:
                    raise UnitError(
                        say(
                            "{where!s} did not answer within {allowed_s:g} s. It hangs, has lost its connection, or needs longer "
                            "(bus.answer_s). The log up to this tick is whole",
                            where=where(name, now), allowed_s=allowed,
                        )
                    )  # fmt: skip
        return dict(sorted(answers.items()))

    def reset(self, now: Now, name: str) -> None:
        """Tells the unit to start over; it has the time of a first answer for it, because it may build its maps again."""
        peer = self._peers.get(name)
        if peer is None or not peer.identity:
            raise UnitError(
                say("no unit {name!r} on this bus; units are {names}", name=name, names=", ".join(self.names))
            )  # fmt: skip
        frame = unit_pb2.ToUnit(reset=unit_pb2.Reset()).SerializeToString()
        self._send(peer, frame, now)
        peer.has_answered = False

    def end(self, outcome: str) -> None:
        """Tells every unit that the run is over."""
        frame = unit_pb2.ToUnit(end=unit_pb2.End(outcome=outcome)).SerializeToString()
        for peer in self._peers.values():
            if peer.identity:
                try:
                    self._socket.send_multipart((peer.identity, frame), zmq.NOBLOCK)
                except zmq.ZMQError:
                    continue  # it has left already

    def close(self) -> None:
        """Lets go of socket and units."""
        self._socket.close(200)  # the last words get 0.2 s
        if self._guard is not None:
            self._guard.stop()
        if self._is_own_context:
            self._context.term()

    # frames -------------------------------------------------------------------------------------------------------------

    def _receive(self) -> list[bytes] | None:
        socket = self._socket
        frames = self._first_awake() or self._first_asleep()
        if frames is None:
            return None
        frames.append(socket.recv())  # a ROUTER's first frame never comes alone
        while socket.rcvmore:
            more = socket.recv()
            if len(frames) < _MAX_PARTS:  # enough to see that it is not ours
                frames.append(more)
        return frames

    def _first_awake(self) -> list[bytes] | None:
        """A quick answer costs less than falling asleep and being woken; whoever else wants the core gets it between two looks."""
        socket = self._socket
        for _ in range(_LOOKS):
            try:
                return [socket.recv(zmq.NOBLOCK)]
            except zmq.Again:
                _let_others_run()
        return None

    def _first_asleep(self) -> list[bytes] | None:
        try:
            return [self._socket.recv()]
        except zmq.Again:
            return None

    def _send(self, peer: _Peer, frame: bytes, now: Now) -> None:
        try:
            self._socket.send(peer.identity, zmq.NOBLOCK | zmq.SNDMORE)
            self._socket.send(frame, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            why = self._why_gone(peer.name)
            raise UnitError(
                say(
                    "{where!s} is gone: {why!s}. The log up to this tick is whole",
                    where=where(peer.name, now), why=why or error,
                )
            ) from error  # fmt: skip

    def _take(
        self, frames: list[bytes], now: Now, waiting: dict[str, _Peer], answers: dict[str, Outbox]
    ) -> None:
        peer = self._by_identity.get(frames[0])
        if peer is None:
            self._greet(frames)
            return
        name = peer.name
        if len(frames) != 2:
            raise UnitError(
                say("{where!s} sent {count} frames, expected one", where=where(name, now), count=len(frames) - 1)
            )  # fmt: skip
        try:
            message = parse_from_unit(frames[1])
            body = message.WhichOneof("body")
            if body == "failed":
                raise UnitError(
                    say("{where!s} gave up: {why}", where=where(name, now), why=message.failed.reason[:300])
                )  # fmt: skip
            if body == "hello":
                raise UnitError(
                    say("{where!s} said Hello again; it must have started over", where=where(name, now))
                )  # fmt: skip
            answer = message.answer
            if answer.tick != now.tick or name not in waiting:
                words = phrase("{where!s} answered for tick {tick}, expected this one")
                if name not in waiting:
                    words = phrase("{where!s} answered for tick {tick} though nothing was asked")
                raise UnitError(say(words, where=where(name, now), tick=answer.tick))
            outbox = decode_answer(answer)
        except CodecError as error:
            raise UnitError(nonsense(name, now, error)) from error
        check_outbox(name, now, outbox)
        peer.has_answered = True
        del waiting[name]
        answers[name] = outbox

    def _why_gone(self, name: str) -> str | None:
        """What became of a unit whose connection has just ended: its process may take a moment to be known as dead."""
        if self._death is None:
            return None
        for _ in range(_GRACE):
            why = self._death(name)
            if why is not None:
                return why
            Event().wait(_GRACE_S)
        return None

    def _look_for_deaths(self, names: Mapping[str, _Peer] | list[str], when: str) -> None:
        if self._death is None:
            return
        for name in names:
            why = self._death(name)
            if why is not None:
                raise UnitError(
                    say(
                        "unit {unit} died {when!s}: {why!s}. The log up to this tick is whole", unit=name, when=when, why=why
                    )
                )  # fmt: skip

    # joining ------------------------------------------------------------------------------------------------------------

    def _greet(self, frames: list[bytes]) -> None:
        """A frame from somebody who has not joined: a Hello of an expected unit, or a stranger's."""
        self._num_strays += 1
        if self._num_strays > MAX_STRAYS + len(self._peers):
            return
        try:
            message = parse_from_unit(frames[1]) if len(frames) == 2 else None
        except CodecError as error:
            self._refuse(frames[0], f"{error}. Expected FromUnit with a Hello")
            return
        if message is None or not message.HasField("hello"):
            self._refuse(frames[0], "expected one frame, a FromUnit with a Hello")
            return
        hello = message.hello
        peer = self._peers.get(hello.unit)
        if hello.protocol != PROTOCOL:
            sentence = (
                f"unit {hello.unit[:64]!r} speaks version {hello.protocol} of the unit protocol, this simulation speaks {PROTOCOL}; "
                f"use an icv of the same version on both sides"
            )
            self._refuse(frames[0], sentence)
            if peer is not None and not peer.identity:
                raise UnitError(sentence)
            return
        if peer is None:
            known = ", ".join(self._peers)
            self._refuse(
                frames[0], f"no unit {hello.unit[:64]!r} is expected here; units are {known}"
            )
            return
        if peer.identity:
            self._refuse(frames[0], f"unit {hello.unit!r} has joined already")
            return
        peer.identity, peer.software = frames[0], hello.software[:256]
        self._by_identity[frames[0]] = peer
        g = self._greeting
        welcome = unit_pb2.Welcome(
            protocol=PROTOCOL, unit=peer.name, scenario=g.scenario, epoch_ns=g.epoch_ns, tick_ns=g.tick_ns,
            period_ticks=peer.period_ticks, answer_within_ns=int(self._limits.answer_s * 1e9),
            config_json=g.config_json, map_digest=g.map_digest,
        )  # fmt: skip
        self._reply(frames[0], unit_pb2.ToUnit(welcome=welcome))

    def _refuse(self, identity: bytes, reason: str) -> None:
        refused = unit_pb2.Refused(protocol=PROTOCOL, reason=reason[:500])
        self._reply(identity, unit_pb2.ToUnit(refused=refused))

    def _reply(self, identity: bytes, message: unit_pb2.ToUnit) -> None:
        try:
            self._socket.send_multipart((identity, message.SerializeToString()), zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # who left before the answer does not need it

    def _encrypt(self, keys: Keys) -> None:
        self._guard = ThreadAuthenticator(self._context)
        self._guard.start()
        self._guard.configure_curve(domain="*", location=str(keys.folder))
        self._socket.curve_secretkey = keys.secret
        self._socket.curve_publickey = keys.public
        self._socket.curve_server = True
