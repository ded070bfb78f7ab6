"""A run of a proof with planted dependences on its surroundings: `python -m tests.prove.planted JOB ANSWER`."""

from __future__ import annotations

import os
import sys
import time

from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from sim import units
from sim.prove import child
from tests.loop.run_once import Unordered

DEADLY_SEED = "9"


class Planted(Unordered):
    """Sends rows in set order; at tick 200 off by its threads; notes the time zone from 150 on; one hash seed kills it."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        if now.tick >= 100 and os.environ["PYTHONHASHSEED"] == DEADLY_SEED:
            raise RuntimeError("not on this machine")
        out = super().on_tick(now, inbox)
        if now.tick == 200:
            for item in out.transmissions:
                item.message.x_m[:] += 1e-3 * int(os.environ["NUMBA_NUM_THREADS"])  # type: ignore[index]
        if now.tick >= 150:
            out.notes.append(("zone", float(time.timezone)))
        return out


if __name__ == "__main__":
    units.FleetUnit = Planted  # type: ignore[attr-defined]
    child.main(sys.argv[1:])
