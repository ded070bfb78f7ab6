"""Random plans, traffic, buses, commands and faults for the deep controllers; what the referee says about an hour of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from roadside.signals import PriorityRequest, SignalPlan
from roadside.signals.cabinet import Act, Command
from tests.roadside.signals.crossroads_plans import STEP_NS, group, plan
from tests.roadside.signals.deep_plans import SPLITS, Drive, coordinated, ring_plan, timed

KINDS = ("fixed", "stage_actuated", "ring_free", "ring_coordinated", "ring_timed")
BUS_GROUPS = ("E.through", "W.through")
MODES = ("flash_yellow", "flash_red", "dark", "all_red")


def random_plan(kind: str, rng: np.random.Generator, **more: Any) -> SignalPlan:
    """A plan of `kind` with random times; `more` over it."""
    changes: dict[str, Any] = {
        "yellow_s": float(rng.choice([3.0, 3.5, 4.0])),
        "all_red_s": float(rng.choice([1.0, 2.0, 2.5])),
        "transition": {"method": str(rng.choice(["shortway", "dwell"]))},
        "operation": {
            "remote": True,
            "start_up": [(), ("flash", "all_red"), ("all_red",)][rng.integers(3)],
            "commit_s": float(rng.choice([3.0, 4.0, 8.0])),
            "red_flash_groups": [(), ("N.through", "S.through")][rng.integers(2)],
            "stuck_on_s": float(rng.choice([0.0, 60.0])),
        },
        "priority": {
            "enabled": bool(rng.random() < 0.7),
            "groups": BUS_GROUPS,
            "max_extension_s": float(rng.choice([5.0, 10.0, 15.0])),
            "one_grant_per_cycles": int(rng.integers(1, 4)),
            "side_max_red_s": 250.0,
            "insert": {"groups": BUS_GROUPS} if rng.random() < 0.6 else None,
        },
    }
    if rng.random() < 0.3:
        changes["intergreens"] = [
            {"from_group": "E.through", "to_group": "N.left", "intergreen_s": 9.0}
        ]
    lost = changes["yellow_s"] + changes["all_red_s"] + 1.0
    if kind in ("fixed", "stage_actuated"):
        spare = rng.integers(0, 20, 4).astype(float)
        split = {
            n: float(v + lost + (5.0 if "intergreens" in changes else 0.0))
            for n, v in zip(("ew", "ew_left", "ns", "ns_left"), np.array([17, 7, 17, 7]) + spare, strict=True)
        }  # fmt: skip
        cycle = round(sum(split.values()), 1)
        offset = float(rng.integers(0, int(cycle)))
        other = {"name": "other", "cycle_s": cycle, "split_s": split, "offset_s": offset}
        if kind == "stage_actuated":
            other["coordinated"] = ("ew",)
        extra = [timed(offset_s=float(rng.integers(0, 100)))] if kind == "fixed" else []
        for p in extra:
            p["split_s"] = {n: v + 3.0 * (n != "ew") + 6.0 for n, v in p["split_s"].items()}
            p["cycle_s"] = round(sum(p["split_s"].values()), 1)
        changes["plans"] = [other, *extra]
        changes.update(more)
        return plan("fixed" if kind == "fixed" else "actuated", **changes)
    wide = {n: v + 6.0 for n, v in SPLITS.items()}
    plans = [
        {
            **coordinated("am", offset_s=float(rng.integers(0, 80))),
            "split_s": wide,
            "cycle_s": 104.0,
        },
        {
            **coordinated("pm", offset_s=float(rng.integers(0, 80))),
            "split_s": {n: v + (10.0 if n in "26" else 0.0) for n, v in wide.items()},
            "cycle_s": 114.0,
            "coordinated": () if kind == "ring_timed" else ("2", "6"),
        },
    ]
    if kind == "ring_timed":
        plans[0]["coordinated"] = ()
    recalls = {n: str(rng.choice(["none", "none", "min", "max", "ped"])) for n in "123456780"[:8]}
    changes.update(plans=plans, recalls=recalls, dual_entry=bool(rng.random() < 0.5))
    if kind != "ring_free":
        changes["schedule"] = [{"at_s": 0.0, "run": "am"}]
    changes.update(more)
    return ring_plan(**changes)


def random_hour(kind: str, seed: int, seconds: int = 3600, **more: Any) -> Drive:
    """Random demand that changes every five minutes, buses, commands, failing loops; the drive that watched."""
    rng = np.random.default_rng(seed)
    drive = Drive(random_plan(kind, rng, **more), with_forecast=more.pop("forecast", False))
    run_world(drive, rng, seconds)
    return drive


def run_world(
    drive: Drive,
    rng: np.random.Generator,
    seconds: int,
    command_every: float = 0.004,
    bus_rate: float = 0.02,
) -> None:
    """The world of `random_hour` for a given drive; chances of a command in each step and of a bus in each second."""
    table = drive.cabinet.table
    names = [phase.name for phase in table.phases]
    runs = [*MODES, "normal", *(p.name for p in table.patterns)]
    runs += ["free"] if table.plan.mode != "fixed" else []
    runs += ["normal"] * 6 + [p.name for p in table.patterns] * 3
    density = np.full(drive.size, 0.03)
    held: str | None = None
    buses: dict[int, PriorityRequest] = {}
    for step in range(seconds * 10):
        t_ns = drive.t_ns
        if step % 3000 == 0:
            density = rng.choice([0.0, 0.02, 0.1, 0.9], drive.size)
        if step % 10 == 0:
            draws = rng.random(4)
            if draws[0] < command_every * 10 and table.operation.remote:
                act = Act(int(rng.integers(1, 8)))
                if held is not None:
                    act = Act.RELEASE
                name = str(rng.choice(runs if act == Act.RUN else names))
                if act == Act.RELEASE and held is not None:
                    name = held
                if act == Act.OMIT:
                    act = Act.SKIP
                held = name if act == Act.HOLD else None
                drive.cabinet.command(Command(act, name))
            if draws[1] < bus_rate:
                station = int(rng.integers(1, 5))
                eta = t_ns + int(rng.integers(0, 400)) * STEP_NS
                name = str(rng.choice(BUS_GROUPS))
                buses[station] = PriorityRequest(station, step, group(name), eta)
            if draws[2] < 0.002:
                k = int(rng.integers(drive.size))
                drive.cabinet.detectors.forced[k] = not drive.cabinet.detectors.forced[k]
            requests = []
            for station, bus in sorted(buses.items()):
                moved = bus.eta_ns + int(rng.integers(-5, 6)) * STEP_NS
                is_gone = t_ns > bus.eta_ns + 20 * STEP_NS or rng.random() < 0.01
                requests.append(
                    PriorityRequest(station, bus.request_id, bus.group, moved, 0.0, is_gone)
                )
                if is_gone:
                    del buses[station]
        else:
            requests = []
        on = (rng.random(drive.size) < density).tolist()
        push = (rng.random(drive.size) < 0.003).tolist()
        drive.raw(on, push, tuple(requests))
