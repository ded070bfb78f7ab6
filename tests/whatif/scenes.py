"""Ten small scenes in which one message decides by construction: without it the verdict is another.

What makes it the only one: a request that is sent once, or losses that leave a vehicle one SPAT, MAP, BSM, RSM or SSM of many
(others go on hearing all of them, so they are all candidates), with a driver who believes what he heard for the whole run.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from scenarios.load import check_scene, library
from scenarios.spec import SceneSpec
from sim.compose import RunOptions, RunOutcome, run_scene

BELIEVES_S = 100.0  # longer than any of these runs


@dataclass(frozen=True, slots=True)
class Planted:
    """A scene, and the message that decides: its topic, sender, and when it is sent, s (None: whenever)."""

    name: str
    table: dict[str, Any]
    topic: str
    sender: str
    at_s: float | None = None

    def spec(self) -> SceneSpec:
        return check_scene(self.table, f"tests.whatif.scenes {self.name}")


@cache
def _corridor() -> tuple[Path, dict[str, Any]]:
    path = library()["brt_corridor"]
    return path.parent, tomllib.loads(path.read_text(encoding="utf-8"))


def record(spec: SceneSpec, folder: Path) -> RunOutcome:
    """One run as `icv run` makes it."""
    return run_scene(spec, _corridor()[0], folder, options=RunOptions(picture=False))


def signals(junction: int, offset_s: float) -> dict[str, Any]:
    """The library's plan of a junction of the corridor, begun elsewhere in its cycle."""
    plan: dict[str, Any] = copy.deepcopy(_corridor()[1]["signals"][junction - 1])
    return plan | {"offset_s": offset_s}


def only_one(topic: str, receiver: str, at_s: float) -> list[dict[str, Any]]:
    """Losses that leave `receiver` of `topic` what is sent in the 100 ms (1 s for MAP) from `at_s` on."""
    lost = {"kind": "message_loss", "share": 1.0, "topics": [topic], "receivers": [receiver]}
    end_s = at_s + (1.0 if topic == "v2x/map" else 0.1)
    before = [lost | {"at_s": 0.0, "until_s": at_s}] if at_s > 0.0 else []
    return [*before, lost | {"at_s": end_s}]


def table(name: str, duration_s: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "duration_s": duration_s,
        "map": {"file": "brt_corridor.xodr"},
        "default_signals": False,
    } | more


def bus(start_s_m: float, speed_mps: float, kind: str = "bus_12m") -> dict[str, Any]:
    """A bus on the bus lane before J1 that goes straight on."""
    return {
        "name": "bus1",
        "type": kind,
        "start_lane": "1/0/-2",
        "start_s_m": start_s_m,
        "speed_mps": speed_mps,
        "destination_lane": "2/0/-2",
        "destination_s_m": 60.0,
    }


def request(name: str, start_s_m: float, offset_s: float, eta_s: float, duration_s: float, **more: Any) -> Planted:  # fmt: skip
    """A bus asks once for priority: without the longer green it waits through the red and is late."""
    driving = {"priority_period_s": BELIEVES_S, "priority_eta_s": eta_s}
    return Planted(
        name,
        table(
            name, duration_s, vehicles=[bus(start_s_m, 14.0)], roadside=[{"name": "J1", "junctions": ["J1"]}],
            signals=[signals(1, offset_s)], onboard={"driving": driving}, criteria=[{"kind": "arrival"}], **more,
        ),
        "v2x/vir", "obu/bus1",
    )  # fmt: skip


def light(name: str, topic: str, at_s: float, start_s_m: float, offset_s: float, duration_s: float) -> Planted:  # fmt: skip
    """A bus hears one SPAT (or one MAP) and takes its word; without it, no signal is heard and it waits at the line."""
    driving = {"spat_max_age_s": BELIEVES_S, "priority": False}
    return Planted(
        name,
        table(
            name, duration_s, vehicles=[bus(start_s_m, 12.0)],
            roadside=[{"name": "J1", "junctions": ["J1"]}, {"name": "J2", "junctions": ["J2"]}],
            signals=[signals(1, offset_s), signals(2, 45.0)], onboard={"driving": driving},
            criteria=[{"kind": "arrival"}], faults=only_one(topic, "obu/bus1", at_s),
        ),
        topic, "rsu/J1", at_s,
    )  # fmt: skip


def hidden(name: str, topic: str, at_s: float, speed_mps: float, share: str = "rsm") -> Planted:
    """A blind car hears once of a car that stands in its lane; without that it drives into it."""
    cars = [
        {
            "name": who, "type": "car", "start_lane": lane, "start_s_m": s_m, "speed_mps": v, "depart_s": depart_s,
            "destination_lane": "2/1/-4",
        }
        for who, lane, s_m, v, depart_s in (("a", "1/0/-4", 260.0, speed_mps, 0.0), ("b", "1/1/-4", 60.0, 0.0, 900.0))
    ]  # fmt: skip
    losses = only_one(topic, "obu/a", at_s)
    for other in ("v2x/bsm", "v2x/rsm", "v2x/ssm"):
        if other != topic:
            losses.append(
                {"kind": "message_loss", "share": 1.0, "at_s": 0.0, "topics": [other], "receivers": ["obu/a"]}
            )  # fmt: skip
    return Planted(
        name,
        table(
            name, 22.0, vehicles=cars,
            roadside=[{"name": "J1", "junctions": ["J1"], "share": [share]}], signals=[signals(1, 95.0)],
            onboard={"fusion": {"coast_s": BELIEVES_S, "young_coast_s": BELIEVES_S}},
            criteria=[{"kind": "no_collision"}],
            faults=[{"kind": "sensor_loss", "unit": "obu/a", "sensor": "objects", "at_s": 0.0}, *losses],
        ),
        topic, "obu/b" if topic == "v2x/bsm" else "rsu/J1", at_s,
    )  # fmt: skip


SCENES: dict[str, Callable[[], Planted]] = {
    "vir_early": lambda: request("vir_early", 60.0, 88.0, 8.0, 50.0),
    "vir_near": lambda: request("vir_near", 130.0, 83.0, 8.0, 45.0),
    "vir_late": lambda: request("vir_late", 200.0, 78.0, 7.0, 40.0, seed=5),
    "spat_early": lambda: light("spat_early", "v2x/spat", 2.3, 250.0, 0.0, 34.0),
    "spat_late": lambda: light("spat_late", "v2x/spat", 8.1, 200.0, 0.0, 38.0),
    "map_early": lambda: light("map_early", "v2x/map", 3.0, 250.0, 0.0, 34.0),
    "map_late": lambda: light("map_late", "v2x/map", 6.0, 200.0, 0.0, 38.0),
    "bsm": lambda: hidden("bsm", "v2x/bsm", 4.5, 12.0),
    "rsm": lambda: hidden("rsm", "v2x/rsm", 7.0, 9.0),
    "ssm": lambda: hidden("ssm", "v2x/ssm", 5.0, 11.0, "ssm"),
}
