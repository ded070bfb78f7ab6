"""Six small scenes at one junction in which single messages decide, some of them two, and one that only shows in a figure.

Cars of `tests.support.fault_scene`'s road: b drives from west to east and c behind it. Losses leave a car one SPAT, MAP, BSM, RSM or
SSM of many; everybody else goes on hearing all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenarios.load import check_scene
from scenarios.spec import SceneSpec
from tests.whatif.scenes import BELIEVES_S, only_one

ALL_LOST = {"kind": "message_loss", "share": 1.0, "at_s": 0.0}


@dataclass(frozen=True, slots=True)
class Crossing:
    """A scene; `window`: seconds of sending in which every message is tried; `decisive`: (topic, sender, at_s), gravest first."""

    table: dict[str, Any]
    window: tuple[float, float]
    decisive: tuple[tuple[str, str, float], ...]

    def spec(self) -> SceneSpec:
        return check_scene(self.table, "tests.whatif.crossings")


def car(name: str, start_s_m: float, speed_mps: float, **more: Any) -> dict[str, Any]:
    """A car from the west to the east leg."""
    return {
        "name": name, "type": "car", "start_lane": "3/0/2", "start_s_m": start_s_m, "destination_lane": "1/0/-2",
        "destination_s_m": 30.0, "speed_mps": speed_mps,
    } | more  # fmt: skip


def table(name: str, duration_s: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "duration_s": duration_s,
        "map": {"file": "crossroads.xodr"},
        "roadside": [{"name": "X", "junctions": ["X"]}],
        "onboard": {"driving": {"spat_max_age_s": BELIEVES_S, "priority": False}},
    } | more


def one_light(topic: str, at_s: float, window: tuple[float, float]) -> Crossing:
    """b hears one SPAT or MAP, and without it waits at the line."""
    return Crossing(
        table(f"one_{topic[4:]}", 22.0, vehicles=[car("b", 60.0, 8.0)], criteria=[{"kind": "arrival"}], faults=only_one(topic, "obu/b", at_s)),
        window,
        ((topic, "rsu/X", at_s),),
    )  # fmt: skip


def two_lights(judged: tuple[str, ...]) -> Crossing:
    """b and c each hear one SPAT, c's a moment later; where only b is judged, c's loss is no more than a figure."""
    faults = [*only_one("v2x/spat", "obu/b", 1.2), *only_one("v2x/spat", "obu/c", 1.4)]
    return Crossing(
        table(
            "two_lights", 30.0, vehicles=[car("b", 75.0, 8.0), car("c", 45.0, 8.0, destination_s_m=15.0)],
            criteria=[{"kind": "arrival", "vehicles": list(judged)}], faults=faults,
        ),
        (1.1, 1.6),
        (("v2x/spat", "rsu/X", 1.2), ("v2x/spat", "rsu/X", 1.4)),
    )  # fmt: skip


def standing(topic: str, share: str, at_s: float, window: tuple[float, float]) -> Crossing:
    """b is blind and hears once of a, which stands in its lane before the line."""
    others = [t for t in ("v2x/bsm", "v2x/rsm", "v2x/ssm") if t != topic]
    faults = [
        {"kind": "sensor_loss", "unit": "obu/b", "sensor": "objects", "at_s": 0.0},
        *only_one(topic, "obu/b", at_s),
        *(ALL_LOST | {"topics": [other], "receivers": ["obu/b"]} for other in others),
    ]
    return Crossing(
        table(
            f"standing_{topic[4:]}", 16.0,
            vehicles=[car("b", 40.0, 9.0), car("a", 125.0, 0.0, depart_s=900.0)],
            roadside=[{"name": "X", "junctions": ["X"], "share": [share]}],
            onboard={"fusion": {"coast_s": BELIEVES_S, "young_coast_s": BELIEVES_S}, "driving": {"priority": False}},
            criteria=[{"kind": "no_collision"}], faults=faults,
        ),
        window,
        ((topic, "obu/a" if topic == "v2x/bsm" else "rsu/X", at_s),),
    )  # fmt: skip


CROSSINGS: dict[str, Callable[[], Crossing]] = {
    "one_spat": lambda: one_light("v2x/spat", 1.2, (0.9, 1.5)),
    "one_map": lambda: one_light("v2x/map", 1.0, (0.8, 1.3)),
    "two_lights": lambda: two_lights(("b", "c")),
    "light_and_figure": lambda: two_lights(("b",)),
    "standing_bsm": lambda: standing("v2x/bsm", "rsm", 3.1, (2.9, 3.4)),
    "standing_rsm": lambda: standing("v2x/rsm", "rsm", 3.1, (2.9, 3.4)),
    "standing_ssm": lambda: standing("v2x/ssm", "ssm", 4.0, (3.8, 4.2)),
}
