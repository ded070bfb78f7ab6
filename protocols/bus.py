"""The bus: hands every due unit its inbox and brings back its outbox. `InProcessBus` calls units of this process.

One exchange is one tick. A unit that raises, or answers with something that is not a valid outbox, becomes a UnitError that
names unit and tick: an infrastructure error, not a verdict. Units cannot see each other's answers within a tick, so the order
of calls cannot matter; tests pass other orders to prove it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from protocols import topics
from protocols.errors import IcvError, UnitError, said
from protocols.messages import BasicSafetyBatch, Message, Plan, SignalCommand, VehicleCommand
from protocols.participant import Inbox, Outbox, Participant, Transmission
from protocols.sentence import say
from protocols.simtime import Now
from protocols.wire import MAX_TEXT

MAX_TRANSMISSIONS = 256  # of one unit in one tick; a unit that sends more is broken
MAX_NOTES = 256

Order = Callable[[Sequence[str]], Iterable[str]]


class Bus(Protocol):
    """Carries inboxes to units and outboxes back, in lock-step."""

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        ...

    def due(self, tick: int) -> tuple[str, ...]:
        """Units to be called at `tick`, sorted."""
        ...

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """Calls every unit in `inboxes`; outboxes by name, sorted. UnitError names unit and tick."""
        ...

    def reset(self, now: Now, name: str) -> None:
        """The unit `name` starts over: a fresh one, nothing remembered. Between exchanges; UnitError names unit and tick."""
        ...

    def close(self) -> None:
        """Lets go of the units."""
        ...


class InProcessBus:
    """Units as plain objects of this process. `order` permutes the calls (for tests); default: sorted by name.

    `makers` build units anew, by name; only units that have one can be reset.
    """

    def __init__(
        self,
        participants: Iterable[Participant],
        order: Order | None = None,
        makers: Mapping[str, Callable[[], Participant]] | None = None,
    ) -> None:
        self._units: dict[str, Participant] = {}
        for unit in sorted(participants, key=lambda unit: unit.name):
            if unit.name in self._units:
                raise UnitError(
                    say("two units are called {name!r}; names must be unique", name=unit.name)
                )
            topics.sender_kind(unit.name)
            if unit.period_ticks < 1:
                raise UnitError(say("{name}: period_ticks = {ticks}, expected >= 1", name=unit.name, ticks=unit.period_ticks))  # fmt: skip
            self._units[unit.name] = unit
        self._names = tuple(self._units)
        self._periods = tuple((name, unit.period_ticks) for name, unit in self._units.items())
        self._order = order
        self._makers = dict(makers or {})

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        return self._names

    def due(self, tick: int) -> tuple[str, ...]:
        """Units to be called at `tick`, sorted."""
        return tuple(name for name, period in self._periods if tick % period == 0)

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """Calls every unit in `inboxes`; outboxes by name, sorted. UnitError names unit and tick."""
        names: Iterable[str] = sorted(inboxes)
        if self._order is not None:
            names = self._order(list(names))
        answers = {name: self._call(name, now, inboxes[name]) for name in names}
        return dict(sorted(answers.items()))

    def reset(self, now: Now, name: str) -> None:
        """Puts a fresh unit in the place of `name`; UnitError when nobody knows how to make one, or it fails."""
        make = self._makers.get(name)
        if make is None:
            raise UnitError(
                say("{where!s} cannot start over: nobody knows how to make it", where=where(name, now))
            )  # fmt: skip
        try:
            self._units[name] = make()
        except Exception as error:
            raise UnitError(
                say(
                    "{where!s} could not start over: {what}. The log up to this tick is whole; the cause follows",
                    where=where(name, now), what=said(error),
                )
            ) from error  # fmt: skip

    def close(self) -> None:
        """Nothing to let go of."""

    def _call(self, name: str, now: Now, inbox: Inbox) -> Outbox:
        unit = self._units.get(name)
        if unit is None:
            raise UnitError(
                say("no unit {name!r} on this bus; units are {names}", name=name, names=", ".join(self._names))
            )  # fmt: skip
        try:
            outbox = unit.on_tick(now, inbox)
        except Exception as error:
            raise UnitError(
                say(
                    "{where!s} raised {what}. The log up to this tick is whole; the cause follows",
                    where=where(name, now), what=said(error),
                )
            ) from error  # fmt: skip
        check_outbox(name, now, outbox)
        return outbox


def where(name: str, now: Now) -> str:
    """`unit obu/bus1 at tick 412 (t=4.12 s)`."""
    return say(
        "unit {unit} at tick {tick:d} (t={t_s:.2f} s)", unit=name, tick=now.tick, t_s=now.t_s
    )


def check_outbox(name: str, now: Now, outbox: Outbox) -> None:
    """UnitError unless the answer has the right types, finite numbers, and topics the unit's kind may use.

    Columns are checked when they are encoded (`protocols.codec`), so each value is looked at once.
    """
    if not isinstance(outbox, Outbox):
        raise UnitError(
            say(
                "{where!s} answered {what}, expected an Outbox", where=where(name, now), what=type(outbox).__name__
            )
        )  # fmt: skip
    try:
        kind = topics.sender_kind(name)
        if len(outbox.transmissions) > MAX_TRANSMISSIONS:
            raise UnitError(
                say(
                    "{where!s} sent {number:d} messages, expected at most {allowed:d}",
                    where=where(name, now), number=len(outbox.transmissions), allowed=MAX_TRANSMISSIONS,
                )
            )  # fmt: skip
        for item in outbox.transmissions:
            _check_transmission(name, now, kind, item)
        if outbox.vehicle is not None:
            _check_vehicle(name, now, kind, outbox.vehicle)
        if outbox.signals is not None:
            _check_signals(name, now, kind, outbox.signals)
        if outbox.plan is not None:
            _check_type(name, now, "plan", outbox.plan, Plan)
            _allowed(name, now, kind, "obu/plan")
        if outbox.notes:
            _check_notes(name, now, outbox.notes)
    except UnitError:
        raise
    except (IcvError, TypeError, ValueError, AttributeError) as error:
        raise UnitError(nonsense(name, now, error)) from error


def nonsense(name: str, now: Now, why: object) -> str:
    """What there is to say of an answer that cannot be."""
    return say("{where!s} answered nonsense: {why}", where=where(name, now), why=why)


def _check_transmission(name: str, now: Now, kind: topics.Sender, item: Transmission) -> None:
    row = topics.topic(item.topic)
    if not row.is_on_air or row.message is None:
        raise UnitError(
            say(
                "{where!s} put {topic!r} on the air; it is no radio topic", where=where(name, now), topic=item.topic
            )
        )  # fmt: skip
    _allowed(name, now, kind, item.topic)
    _check_type(name, now, item.topic, item.message, row.message)
    if isinstance(item.message, BasicSafetyBatch) and kind != topics.Sender.FLEET:
        rows = item.message.station_id.size
        if rows != 1:
            raise UnitError(
                say(
                    "{where!s} sent a {topic} of {rows} vehicles, expected its own one",
                    where=where(name, now), topic=item.topic, rows=rows,
                )
            )  # fmt: skip
    if not 0 <= item.message.t_ns <= now.t_ns:
        raise UnitError(
            say(
                "{where!s}: {topic} is stamped {t_ns:d} ns, expected 0..{now_ns:d} (measured, so not in the future)",
                where=where(name, now), topic=item.topic, t_ns=item.message.t_ns, now_ns=now.t_ns,
            )
        )  # fmt: skip


def _check_vehicle(name: str, now: Now, kind: topics.Sender, command: VehicleCommand) -> None:
    _check_type(name, now, "vehicle", command, VehicleCommand)
    _allowed(name, now, kind, "cmd/vehicle")
    if not (math.isfinite(command.accel_mps2) and math.isfinite(command.steer_rad)):
        raise UnitError(
            say(
                "{where!s} commands accel_mps2 = {accel_mps2}, steer_rad = {steer_rad}; expected finite numbers",
                where=where(name, now), accel_mps2=command.accel_mps2, steer_rad=command.steer_rad,
            )
        )  # fmt: skip
    if command.open_doors not in (-1, 0, 1):
        raise UnitError(
            say("{where!s} commands open_doors = {open_doors}, expected -1, 0 or 1", where=where(name, now), open_doors=command.open_doors)
        )  # fmt: skip


def _check_signals(name: str, now: Now, kind: topics.Sender, command: SignalCommand) -> None:
    _check_type(name, now, "signals", command, SignalCommand)
    _allowed(name, now, kind, "cmd/signal")
    if command.group.shape != command.light.shape or command.group.ndim != 1:
        raise UnitError(
            say(
                "{where!s} commands {groups} groups with {lights} lights, expected equally long columns",
                where=where(name, now), groups=command.group.shape, lights=command.light.shape,
            )
        )  # fmt: skip
    if command.group.size and int(command.group.min()) < 0:
        raise UnitError(
            say("{where!s} commands group {group}", where=where(name, now), group=int(command.group.min()))
        )  # fmt: skip
    if np.unique(command.group).size != command.group.size:
        raise UnitError(say("{where!s} commands a signal group twice", where=where(name, now)))


def _check_notes(name: str, now: Now, notes: list[tuple[str, float]]) -> None:
    if len(notes) > MAX_NOTES:
        raise UnitError(
            say("{where!s} wrote {count} notes, expected at most {allowed}", where=where(name, now), count=len(notes), allowed=MAX_NOTES)
        )  # fmt: skip
    for key, value in notes:
        if not isinstance(key, str) or len(key) > MAX_TEXT or not math.isfinite(value):
            raise UnitError(
                say(
                    "{where!s}: note {key!r} = {value}, expected a short name and a finite number",
                    where=where(name, now), key=key, value=value,
                )
            )  # fmt: skip


def _allowed(name: str, now: Now, kind: topics.Sender, topic: str) -> None:
    row = topics.topic(topic)
    if kind not in row.senders:
        who = ", ".join(sorted(sender.value for sender in row.senders))
        raise UnitError(
            say(
                "{where!s} may not send {topic!r}; it belongs to {owner}", where=where(name, now), topic=topic, owner=who
            )
        )  # fmt: skip


def _check_type(name: str, now: Now, what: str, message: Message, expected: type[Message]) -> None:
    if type(message) is not expected:
        raise UnitError(
            say(
                "{where!s}: {what} is a {found}, expected {expected}",
                where=where(name, now), what=what, found=type(message).__name__, expected=expected.__name__,
            )
        )  # fmt: skip
