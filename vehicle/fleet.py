"""The fleet unit: BSM of all background vehicles that carry an on-board unit, as one batch."""

from __future__ import annotations

from protocols.messages import BasicSafetyBatch
from protocols.participant import Inbox, Outbox, Transmission
from protocols.simtime import Now, ticks


class FleetUnit:
    """Turns each `FleetReading` into one `BasicSafetyBatch`, 10 Hz."""

    def __init__(self, name: str = "fleet", tick_ms: int = 10, period_ms: int = 100) -> None:
        self._name = name
        self._period_ticks = ticks(period_ms, tick_ms, "fleet period_ms")

    @property
    def name(self) -> str:
        """Unit name."""
        return self._name

    @property
    def period_ticks(self) -> int:
        """Base ticks per batch."""
        return self._period_ticks

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """One batch per reading; nothing when nobody is equipped."""
        out = Outbox()
        reading = inbox.readings.fleet
        if reading is not None and reading.station_id.size:
            out.transmissions.append(
                Transmission(
                    "v2x/bsm",
                    BasicSafetyBatch(
                        reading.t_ns, reading.station_id, reading.kind, reading.x_m, reading.y_m, reading.z_m,
                        reading.yaw_rad, reading.speed_mps, reading.accel_mps2, reading.yaw_rate_radps,
                        reading.length_m, reading.width_m, reading.rear_overhang_m, reading.flags,
                    ),
                )
            )  # fmt: skip
        return out
