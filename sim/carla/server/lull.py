"""What waits until a Traffic Manager has finished its cycle: a spawn, and the next tick.

A client gives a new vehicle to its manager before the vehicle is in a snapshot, and a manager takes a vehicle that is in no snapshot for a
destroyed one: it forgets it. That happens where the manager's last cycle is still under way while the script goes on, as after
`set_synchronous_mode(True)` on a busy machine. Only synchronous worlds ask here: in others the next snapshot comes by itself.

A manager asks for the settings after it has told the client's main thread that its cycle is over, then waits to be told of the next one. The main
thread's next tick is on its way at the same time. Answered first, it would wake the manager at just the moment at which that
goes to sleep, and one wake-up in some hundreds gets lost (`watchdog`). So the tick waits for the question, which is a few microseconds away.
"""

from __future__ import annotations

from typing import Any

SPOKEN_BY_MANAGERS = frozenset(
    ("get_vehicle_light_states", "get_weather_parameters", "get_episode_settings")
)  # in every cycle; scripts that ask for them lose a moment
CYCLE = ("get_vehicle_light_states", "apply_batch", "get_episode_settings")  # of a synchronous one
LAST_WORD_S = 0.001  # then the tick goes on without it
QUIET_S = 0.005  # a cycle is made of calls closer to each other than this
MOST_S = 0.05  # a manager that never rests cannot be waited for


class Lull:
    """When each connection's manager was last heard, and where in its cycle it is."""

    def __init__(self) -> None:
        self._heard_s: dict[Any, float] = {}
        self._said: dict[Any, int] = {}  # how much of `CYCLE` since the last tick

    def heard(self, caller: Any, call: str, now_s: float) -> None:
        """A call of a client that has managers."""
        if call in SPOKEN_BY_MANAGERS:
            self._heard_s[caller] = now_s
        if call == "tick_cue":
            self._said[caller] = 0
        elif call in CYCLE and CYCLE.index(call) == self._said.get(caller, len(CYCLE)):
            self._said[caller] += 1

    def is_in_cycle(self, caller: Any) -> bool:
        """Whether only the last word of the manager's cycle is missing."""
        return self._said.get(caller) == len(CYCLE) - 1

    def next_s(self, caller: Any, since_s: float, now_s: float) -> float | None:
        """When to ask again about a spawn that came at `since_s`; None: it need not wait any more."""
        due_s = min(self._heard_s.get(caller, -MOST_S) + QUIET_S, since_s + MOST_S)
        return due_s if due_s > now_s else None

    def gone(self, caller: Any) -> None:
        """The connection closed."""
        self._heard_s.pop(caller, None)
        self._said.pop(caller, None)
