"""One short run of a library scene in a process of its own; prints the digest. For the tests of sameness.

`python -m tests.loop.run_once SCENE OUT ORDER [KEY=VALUE ...]`, ORDER one of sorted, reversed, shuffled, planted.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from protocols.participant import Inbox, Outbox
from protocols.simtime import Now
from scenarios.load import load_scene
from sim import units
from sim.compose import RunOptions, run_scene
from vehicle.fleet import FleetUnit


class Unordered(FleetUnit):
    """A planted fault: sends its rows in the order of a set of names, which the hash seed decides."""

    def on_tick(self, now: Now, inbox: Inbox) -> Outbox:
        """As the fleet unit, rows in another order."""
        out = super().on_tick(now, inbox)
        for item in out.transmissions:
            names = {f"veh-{k}" for k in range(item.message.station_id.size)}
            order = [int(name.removeprefix("veh-")) for name in names]
            for name in type(item.message).__slots__:
                column = getattr(item.message, name)
                if isinstance(column, np.ndarray):
                    column[:] = column[order]
        return out


def ordered(name: str) -> object:
    """The order in which units of a tick are called."""
    if name == "reversed":
        return lambda names: list(reversed(names))
    if name == "shuffled":
        draw = random.Random(7)

        def shuffle(names: Sequence[str]) -> Iterable[str]:
            out = list(names)
            draw.shuffle(out)
            return out

        return shuffle
    return None


def main(arguments: Sequence[str]) -> None:
    """Run and print."""
    scene, out, order, *overrides = arguments
    if order == "planted":
        units.FleetUnit = Unordered  # type: ignore[misc]
    loaded = load_scene(Path(scene), overrides)
    options = RunOptions(order=ordered(order), picture=False)  # type: ignore[arg-type]
    outcome = run_scene(loaded.spec, loaded.path.parent, Path(out), options=options)
    print(outcome.digest)


if __name__ == "__main__":
    main(sys.argv[1:])
