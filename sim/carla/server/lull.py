"""The first spawn after a Traffic Manager's calls waits until the manager has been silent for a moment.

A client gives a new vehicle to its manager before the vehicle is in a snapshot, and a manager takes a vehicle that is in no snapshot for a
destroyed one: it forgets it. That happens where the manager's last cycle is still under way while the script goes on, as after
`set_synchronous_mode(True)` on a busy machine. Only synchronous worlds ask here: in others the next snapshot comes by itself.
"""

from __future__ import annotations

from typing import Any

SPOKEN_BY_MANAGERS = frozenset(
    ("get_vehicle_light_states", "get_weather_parameters", "get_episode_settings")
)  # in every cycle; scripts that ask for them lose a moment
QUIET_S = 0.005  # a cycle is made of calls closer to each other than this
MOST_S = 0.05  # a manager that never rests cannot be waited for


class Lull:
    """When each connection's manager was last heard."""

    def __init__(self) -> None:
        self._heard_s: dict[Any, float] = {}

    def heard(self, caller: Any, now_s: float) -> None:
        """One of the calls that managers make."""
        self._heard_s[caller] = now_s

    def next_s(self, caller: Any, since_s: float, now_s: float) -> float | None:
        """When to ask again about a spawn that came at `since_s`; None: it need not wait any more."""
        due_s = min(self._heard_s.get(caller, -MOST_S) + QUIET_S, since_s + MOST_S)
        return due_s if due_s > now_s else None

    def gone(self, caller: Any) -> None:
        """The connection closed."""
        self._heard_s.pop(caller, None)
