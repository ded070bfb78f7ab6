"""Runs a scene with one thing changed in flight, so that the change has consequences: what no header tells.

The bus's answer of one unit at one tick is changed before the loop sees it (a field of a message, a message left out or sent later, a
command), or the state of one actor after the world has moved.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from protocols.bus import InProcessBus
from protocols.participant import Outbox, Transmission
from protocols.simtime import Now
from sim.traffic._kernels import V
from sim.world import HeadlessWorld
from tests.diff.mutate import TICK, Planted

Edit = Callable[[Now, dict[str, Outbox]], dict[str, Outbox]]


@dataclass(slots=True)
class Tamper:
    """What to change, from the first tick not before `tick` at which it can be; `planted` is set when it was."""

    kind: str  # field, drop, delay, command, plan, state, actor
    tick: int
    rng: random.Random
    unit: str = ""
    topic: str = ""
    planted: Planted | None = None
    late: list[tuple[int, str, Transmission]] = field(default_factory=list)
    seq: dict[str, int] = field(default_factory=dict)

    def answers(self, now: Now, out: dict[str, Outbox]) -> dict[str, Outbox]:
        """The changed answers of one tick."""
        for tick, unit, item in list(self.late):
            if now.tick >= tick and unit in out:
                out[unit] = replace(out[unit], transmissions=[item, *out[unit].transmissions])
                self.late.remove((tick, unit, item))
        if self.planted is None and now.tick >= self.tick and self.unit in out:
            out[self.unit] = self._change(now, out[self.unit])
        return out

    def _change(self, now: Now, box: Outbox) -> Outbox:
        if self.kind == "command" and box.vehicle is not None:
            self.planted = Planted(
                "command",
                now.tick,
                "truth/trace",
                self.unit.partition("/")[2],
                "command_accel_mps2",
            )
            return replace(
                box,
                vehicle=replace(
                    box.vehicle, accel_mps2=box.vehicle.accel_mps2 - self.rng.choice([0.5, 1e-3])
                ),
            )
        if self.kind == "plan" and box.plan is not None:
            self.planted = Planted("plan", now.tick, "obu/plan", self.unit, "cost")
            return replace(box, plan=replace(box.plan, cost=box.plan.cost + 1.0))
        for k, item in enumerate(box.transmissions):
            if item.topic != self.topic:
                continue
            message: Any = item.message
            rest = [*box.transmissions[:k], *box.transmissions[k + 1 :]]
            if self.kind == "drop":
                self.planted = Planted("missing", now.tick, self.topic, self.unit)
                return replace(box, transmissions=rest)
            if self.kind == "delay":
                self.late.append((now.tick + self.rng.choice([1, 2, 3, 10]), self.unit, item))
                self.planted = Planted("delayed", now.tick, self.topic, self.unit, "sent_at")
                return replace(box, transmissions=rest)
            if self.kind == "field" and message.x_m.size:
                row = self.rng.randrange(message.x_m.size)
                x_m = message.x_m.copy()
                x_m[row] += self.rng.choice([0.5, -2.0, 5.0])
                ids = message.station_id if self.topic == "v2x/bsm" else message.track_id
                label = "station" if self.topic == "v2x/bsm" else "track"
                self.planted = Planted(
                    "message", now.tick, self.topic, self.unit, "x_m", f"{label} {ids[row]}"
                )
                new = Transmission(item.topic, replace(message, x_m=x_m))
                return replace(
                    box, transmissions=[*box.transmissions[:k], new, *box.transmissions[k + 1 :]]
                )
        return box

    def world(self, world: HeadlessWorld, t_ns: int) -> None:
        """The changed state after the step that ends tick `t_ns`."""
        tick = t_ns // TICK
        if self.planted is not None or tick < self.tick or self.kind not in ("state", "actor"):
            return
        states = world.states
        driven = {vehicle.row: vehicle for vehicle in world.vehicles}
        rows = [
            int(r)
            for r in states.valid.nonzero()[0]
            if (int(r) in driven) == (self.kind == "state")
        ]
        if not rows:
            return
        row = self.rng.choice(rows)
        if self.kind == "state":
            states.y_m[row] += 0.25
            self.planted = Planted("state", tick + 1, "truth/trace", driven[row].name, "y_m")
        else:
            world.traffic.vf[row, V] += (
                1.5  # where it is at the next tick is known; the one after shows it
            )
            self.planted = Planted(
                "drift", tick + 2, "truth/world", "", "x_m", f"actor {states.id[row]}"
            )


@contextmanager
def tampered(change: Tamper) -> Iterator[Tamper]:
    """While it lasts, runs on the in-process bus are changed."""
    with pytest.MonkeyPatch.context() as patch:
        exchange, step = InProcessBus.exchange, HeadlessWorld.step

        def changed(self: InProcessBus, now: Now, inboxes: Any) -> dict[str, Outbox]:
            return change.answers(now, exchange(self, now, inboxes))

        def moved(self: HeadlessWorld, t_ns: int, *rest: Any) -> None:
            step(self, t_ns, *rest)
            change.world(self, t_ns)

        patch.setattr(InProcessBus, "exchange", changed)
        patch.setattr(HeadlessWorld, "step", moved)
        yield change
