"""A bus whose units may crash, hang, be slow or have a wrong clock, whatever carries them: it wraps any `protocols.bus.Bus`.

The wrapper stands on the simulation's side, so a run is the same with units in this process and elsewhere. For each unit and tick:

    crashed   its inbox is lost, what it had on the way too; when that is over the bus resets it: a fresh unit, no memory
    hangs     it is not called; its receive buffer keeps what comes first (`HELD_MESSAGES`, `HELD_BYTES`), its sensors' newest reading
              replaces older ones; the first call afterwards brings what was kept
    clock     it is called with its own time (`sim.faults.clocks`) and may stamp up to that
    slow      its answer takes effect `delay_s` later; answers never overtake one another

A crash counts before a hang; of two slow faults at once the one written first counts. Who is silent is the watchdog's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocols.bus import Bus
from protocols.participant import Inbox, Outbox, Received
from protocols.simtime import NS_PER_S, Now
from scenarios.fault_spec import CrashSpec, HangSpec, SlowSpec
from sim.faults.clocks import UnitClock
from sim.faults.watchdog import Watchdog
from sim.faults.windows import Window, first

HELD_MESSAGES = 4_096
HELD_BYTES = 1_048_576  # payload, as a socket's receive buffer


@dataclass(slots=True)
class UnitFaults:
    """What befalls one unit, and what that needs to remember."""

    crash: list[Window[CrashSpec]] = field(default_factory=list)
    hang: list[Window[HangSpec]] = field(default_factory=list)
    slow: list[Window[SlowSpec]] = field(default_factory=list)
    clock: UnitClock | None = None  # None: it is right
    _is_down: bool = False
    _held: list[Received] = field(default_factory=list)
    _held_bytes: int = 0
    _is_full: bool = False
    _late: deque[tuple[int, Outbox]] = field(default_factory=deque)  # (takes effect at, answer)

    def must_reset(self, t_ns: int) -> bool:
        """Goes on to `t_ns`; whether the unit comes back from a crash now."""
        was_down, self._is_down = self._is_down, first(self.crash, t_ns) is not None
        if self._is_down and not was_down:
            self._late.clear()
            self._forget()
        return was_down and not self._is_down

    def take(self, t_ns: int, inbox: Inbox) -> Inbox | None:
        """What the unit is called with at a tick it is due; None: it is not called."""
        if self._is_down:
            return None
        if first(self.hang, t_ns) is not None:
            for item in inbox.messages:
                self._hold(item)
            return None
        if self._held:
            inbox = Inbox((*self._held, *inbox.messages), inbox.readings)
        self._forget()
        return inbox

    def answered(self, t_ns: int, outbox: Outbox) -> None:
        """Takes an answer on its way."""
        spec = first(self.slow, t_ns)
        due_ns = t_ns if spec is None else t_ns + round(spec.delay_s * NS_PER_S)
        if self._late:
            due_ns = max(due_ns, self._late[-1][0])
        self._late.append((due_ns, outbox))

    def arrived(self, t_ns: int) -> Outbox | None:
        """Answers that take effect now, as one."""
        due: list[Outbox] = []
        while self._late and self._late[0][0] <= t_ns:
            due.append(self._late.popleft()[1])
        return merged(due) if due else None

    def _hold(self, item: Received) -> None:
        # Once something did not fit, nothing later does: a buffer has no gaps before its end.
        size = len(item.data)
        if (
            self._is_full
            or len(self._held) >= HELD_MESSAGES
            or self._held_bytes + size > HELD_BYTES
        ):
            self._is_full = True
            return
        self._held.append(item)
        self._held_bytes += size

    def _forget(self) -> None:
        self._held, self._held_bytes, self._is_full = [], 0, False


class FaultyBus:
    """`bus` with `faults` by unit; see the module's head."""

    def __init__(self, bus: Bus, faults: Mapping[str, UnitFaults], watchdog: Watchdog) -> None:
        self._bus = bus
        self._faults = dict(sorted(faults.items()))
        self._watchdog = watchdog

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        return self._bus.names

    def due(self, tick: int) -> tuple[str, ...]:
        """Units whose sensors and radio are read at `tick`, whether they are able to take it or not."""
        return self._bus.due(tick)

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """Calls the units that can be called; what takes effect now by name, sorted."""
        t_ns = now.t_ns
        for name, faults in self._faults.items():
            if faults.must_reset(t_ns):
                self._bus.reset(now, name)
        by_clock: dict[int, dict[str, Inbox]] = {}  # what the unit's clock shows -> inboxes
        for name, inbox in inboxes.items():
            mine = self._faults.get(name)
            taken = inbox if mine is None else mine.take(t_ns, inbox)
            if taken is None:
                continue
            shown_ns = t_ns
            if mine is not None and mine.clock is not None:
                shown_ns, taken = mine.clock.show(t_ns), mine.clock.dated(taken)
            by_clock.setdefault(shown_ns, {})[name] = taken
        answers: dict[str, Outbox] = {}
        for shown_ns, part in sorted(by_clock.items()):
            answers |= self._bus.exchange(Now(now.tick, shown_ns), part)
        for name, faults in self._faults.items():
            if name in answers:
                faults.answered(t_ns, answers.pop(name))
            outbox = faults.arrived(t_ns)
            if outbox is not None:
                answers[name] = outbox
        self._watchdog.watch(t_ns, answers)
        return dict(sorted(answers.items()))

    def reset(self, now: Now, name: str) -> None:
        """The unit `name` starts over."""
        self._bus.reset(now, name)

    def close(self) -> None:
        """Lets go of the units."""
        self._bus.close()


def merged(outboxes: Sequence[Outbox]) -> Outbox:
    """Answers that take effect in the same tick: everything sent, in order; of commands and plans the newest."""
    if len(outboxes) == 1:
        return outboxes[0]
    out = Outbox()
    for item in outboxes:
        out.transmissions += item.transmissions
        out.notes += item.notes
        out.vehicle = item.vehicle or out.vehicle
        out.signals = item.signals or out.signals
        out.plan = item.plan or out.plan
    return out
