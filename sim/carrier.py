"""A run whose units live in other processes: the bus over ZeroMQ, the processes that are ours, and how long exchanges take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from protocols.zmq_bus import Greeting, Limits, ZmqBus
from protocols.zmq_net import SERVER_NAME, load_keys
from scenarios.spec import SceneSpec
from scenarios.verdict import Outcome
from sim.log.header import RunHeader
from sim.timing import Clock, Durations
from sim.unit_processes import UnitProcesses

LOOPBACK = "tcp://127.0.0.1:*"  # any free port


@dataclass(frozen=True, slots=True)
class Carrier:
    """Where units join. `keys`: folder of CURVE keys, needed for addresses that others can reach.

    `starts`: whether units that the scene does not call external are started as processes of this machine.
    """

    listen: str = LOOPBACK
    keys: Path | None = None
    starts: bool = True


class CarrierBus:
    """`protocols.bus.Bus` over ZeroMQ with the unit processes of a run."""

    def __init__(
        self, carrier: Carrier, periods: Mapping[str, int], spec: SceneSpec, header: RunHeader, clock: Clock
    ) -> None:  # fmt: skip
        self._carrier = carrier
        self._own = [name for name in sorted(periods) if name not in spec.bus.external]
        self._processes: UnitProcesses | None = None
        self._clock = clock
        self._exchanges = Durations()
        self._is_over = False
        limits = Limits(spec.bus.join_s, spec.bus.first_answer_s, spec.bus.answer_s)
        greeting = Greeting(header.scenario, header.epoch_ns, header.tick_ns, header.config_json, header.map_digest)  # fmt: skip
        keys = load_keys(carrier.keys, SERVER_NAME) if carrier.keys is not None else None
        self._bus = ZmqBus(
            carrier.listen, periods, clock, greeting=greeting, limits=limits, keys=keys, death=self._death,
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """All units, sorted."""
        return self._bus.names

    @property
    def address(self) -> str:
        """Where units join."""
        return self._bus.address

    @property
    def processes(self) -> UnitProcesses | None:
        """Those that are ours, once started."""
        return self._processes

    def open(self, folder: Path) -> None:
        """Starts our units and waits until all have joined."""
        if self._carrier.starts and self._own:
            self._processes = UnitProcesses(folder, self._carrier.keys)
            self._processes.start(self._own, self._bus.address)
        self._bus.gather()

    def due(self, tick: int) -> tuple[str, ...]:
        """Units to be called at `tick`, sorted."""
        return self._bus.due(tick)

    def exchange(self, now: Now, inboxes: Mapping[str, Inbox]) -> dict[str, Outbox]:
        """One tick; UnitError names unit and tick."""
        if not inboxes:
            return {}
        begun = self._clock()
        outboxes = self._bus.exchange(now, inboxes)
        self._exchanges.add(self._clock() - begun)
        return outboxes

    def reset(self, now: Now, name: str) -> None:
        """The unit `name` starts over, in the process it has."""
        self._bus.reset(now, name)

    def end(self, outcome: str) -> None:
        """Tells the units that the run is over."""
        self._is_over = outcome != Outcome.INFRASTRUCTURE_ERROR.value
        self._bus.end(outcome)

    def close(self) -> None:
        """Lets go of socket and processes."""
        self._bus.close()
        if self._processes is not None:
            if self._is_over:
                self._processes.close()
            else:  # one of them may hang or be stopped
                self._processes.kill()

    def figures(self) -> dict[str, float]:
        """Wall time of exchanges."""
        return {
            "bus_ms_mean": self._exchanges.mean_ms,
            "bus_ms_p99": self._exchanges.quantile_ms(0.99),
        }

    def _death(self, name: str) -> str | None:
        return self._processes.death(name) if self._processes is not None else None
