"""The runs that differences are planted in, and how an answer is held against what was planted."""

from __future__ import annotations

from pathlib import Path

from scenarios.load import load_scene
from sim.compose import RunOptions, RunOutcome, run_scene
from sim.diff.compare import diff_logs
from sim.diff.model import Difference
from tests.diff.mutate import Planted
from tests.support import fault_scene

BUS = (
    "duration_s=16", "vehicles.0.depart_s=0", "vehicles.0.start_s_m=250", "vehicles.0.speed_mps=8",
    'roadside.0.share=["rsm","ssm"]',
)  # fmt: skip


def run_bus(folder: Path, *overrides: str) -> RunOutcome:
    """16 s of the corridor, the bus under way, one unit sharing what its sensors see."""
    loaded = load_scene("brt_corridor", [*BUS, *overrides])
    return run_scene(loaded.spec, loaded.path.parent, folder, options=RunOptions(picture=False))


def run_crossing(folder: Path) -> RunOutcome:
    """8 s of two cars at one junction."""
    return fault_scene.run(fault_scene.scene(()), folder)


def answer(a: Path, b: Path, planted: Planted) -> str:
    """Empty when the first cause is named exactly; else what was planted and what was named."""
    found = diff_logs(a, b)
    return "" if is_named(found, planted) else f"planted {planted}\n  named {found.cause}\n"


def is_named(found: Difference, planted: Planted) -> bool:
    """Kind, tick, topic, unit, and where asked for field, row and receiver."""
    cause = found.cause
    return (
        cause is not None
        and cause.kind.value == planted.kind
        and (cause.tick, cause.topic, cause.sender) == (planted.tick, planted.topic, planted.sender)
        and planted.field in ("", cause.field)
        and planted.entity in ("", cause.entity)
        and planted.receiver in ("", cause.receiver)
    )
