"""A small scene for faults: two cars, a roadside unit and a little traffic at one junction; and how to run it with faults."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.fault_spec import FAULT_KINDS
from scenarios.load import check_scene
from scenarios.spec import SceneSpec
from sim.compose import RunOptions, RunOutcome, run_scene
from tests.support.crossroads import crossroads_xml

UNITS = ("fleet", "obu/a", "obu/b", "rsu/X")


def scene(
    faults: Sequence[dict[str, Any]], duration_s: float = 8.0, seed: int = 1, flow: bool = True
) -> SceneSpec:
    """Car a drives from the south leg to the north one, car b from west to east, the unit at X runs the lights."""
    flows = [
        {
            "name": "east", "origins": ["road:1"], "destinations": {"road:3": 1.0}, "vehicles_per_hour": 600.0,
        }
    ]  # fmt: skip
    cars = [
        {
            "name": name, "type": "car", "start_lane": start, "start_s_m": 15.0, "destination_lane": end,
            "destination_s_m": 120.0, "speed_mps": 8.0,
        }
        for name, start, end in (("a", "4/0/2", "2/0/-2"), ("b", "3/0/2", "1/0/-2"))
    ]  # fmt: skip
    return check_scene(
        {
            "name": "faults",
            "duration_s": duration_s,
            "seed": seed,
            "map": {"file": "crossroads.xodr"},
            "vehicles": cars,
            "roadside": [{"name": "X", "junctions": ["X"]}],
            "demand": {"flows": flows if flow else []},
            "criteria": [{"kind": "no_collision", "who": "any"}, {"kind": "signal_rules"}],
            "faults": list(faults),
        },
        "tests.support.fault_scene",
    )


def run(spec: SceneSpec, folder: Path, **options: Any) -> RunOutcome:
    """One run; map, log and result lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    road = folder / "crossroads.xodr"
    if not road.exists():
        road.write_text(crossroads_xml(), encoding="utf-8")
    return run_scene(spec, folder, folder, options=RunOptions(picture=False, **options))


EVERY_KIND: tuple[dict[str, Any], ...] = (
    {"kind": "crash", "unit": "obu/a", "at_s": 2.0, "until_s": 4.0},
    {"kind": "hang", "unit": "rsu/X", "at_s": 3.0, "until_s": 5.0},
    {"kind": "slow", "unit": "obu/b", "at_s": 1.0, "until_s": 6.0, "delay_s": 0.1},
    {"kind": "clock_offset", "unit": "obu/b", "at_s": 2.0, "until_s": 3.0, "offset_s": 0.3},
    {"kind": "clock_offset", "unit": "rsu/X", "at_s": 5.5, "until_s": 6.5, "offset_s": -0.5},
    {"kind": "garbage", "unit": "fleet", "at_s": 4.0, "until_s": 5.0},
    {"kind": "garbage", "unit": "rsu/X", "at_s": 1.0, "until_s": 2.0},
    {"kind": "sensor_loss", "unit": "obu/a", "at_s": 5.0, "until_s": 6.0, "sensor": "gnss"},
    {"kind": "sensor_freeze", "unit": "obu/b", "at_s": 4.0, "until_s": 5.0, "sensor": "gnss"},
    {"kind": "sensor_bias", "unit": "rsu/X", "at_s": 6.0, "sensor": "objects", "x_m": 2.0, "yaw_rad": 3.0},
    {"kind": "message_loss", "at_s": 1.0, "share": 0.3, "senders": ["fleet", "obu/a"]},
    {"kind": "message_delay", "at_s": 1.0, "delay_s": 0.25, "topics": ["v2x/spat"]},
    {"kind": "partition", "at_s": 6.0, "until_s": 7.0, "groups": [["obu/a"], ["obu/b", "rsu/X"]]},
)  # fmt: skip
_SENSORS = {
    "obu/a": ("gnss", "imu", "odometry", "objects"),
    "obu/b": ("gnss", "imu", "odometry", "objects"),
    "rsu/X": ("objects", "detectors", "crossings"),
    "fleet": ("fleet",),
}
_BIAS = {"gnss": "x_m", "imu": "yaw_rate_radps", "odometry": "speed_mps", "objects": "y_m", "fleet": "yaw_rad"}  # fmt: skip


def random_faults(rng: random.Random, duration_s: float) -> list[dict[str, Any]]:
    """One to six faults of any kind, anywhere, overlapping as they fall."""
    return [_random_fault(rng, duration_s) for _ in range(rng.randint(1, 6))]


def _random_fault(rng: random.Random, duration_s: float) -> dict[str, Any]:
    kind = rng.choice(tuple(FAULT_KINDS))
    out: dict[str, Any] = {"kind": kind, "at_s": round(rng.uniform(0.0, duration_s), 3)}
    if rng.random() < 0.7:
        out["until_s"] = round(out["at_s"] + rng.uniform(0.01, duration_s), 3)
    unit = rng.choice(UNITS)
    if kind == "partition":
        cut = rng.randint(1, len(UNITS) - 1)
        names = rng.sample(UNITS, len(UNITS))
        return out | {"groups": [names[:cut], names[cut:]]}
    if kind.startswith("message"):
        some = rng.sample(UNITS, rng.randint(0, 2))
        amount = {"share": round(rng.uniform(0.01, 1.0), 3)} if kind == "message_loss" else {"delay_s": round(rng.uniform(0.001, 2.0), 3)}  # fmt: skip
        return out | amount | {rng.choice(("senders", "receivers")): some}
    out["unit"] = unit
    if kind == "slow":
        out["delay_s"] = rng.randint(1, 150) / 100
    elif kind == "clock_offset":
        out["offset_s"] = round(rng.uniform(-2.0, 2.0), 3) or 0.1
    elif kind == "sensor_bias":
        sensor = rng.choice([name for name in _SENSORS[unit] if name in _BIAS])
        out |= {"sensor": sensor, _BIAS[sensor]: round(rng.uniform(-3.0, 3.0), 3) or 0.1}
    elif kind.startswith("sensor"):
        out["sensor"] = rng.choice(_SENSORS[unit])
    return out
