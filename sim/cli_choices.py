"""What the words of `icv run` mean: which scene, whose units, whose physics, which folder. Heavy parts are imported when needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from scenarios.spec import SceneSpec
    from sim.carla.backend.session import CarlaTarget
    from sim.carrier import Carrier


def scene(scenario: str | None, xodr: Path | None, overrides: list[str]) -> tuple[SceneSpec, Path]:
    """The scene asked for, and the folder its relative paths start from."""
    if (scenario is None) == (xodr is None):
        raise typer.BadParameter(
            "give either a SCENE or --map FILE.xodr. List scenes with `icv scenarios list`."
        )
    if xodr is not None:
        from protocols.errors import RoadError
        from scenarios.load import apply_overrides
        from scenarios.sample import map_scene

        if not xodr.is_file():
            raise RoadError(f"{xodr}: no such road file; expected an OpenDRIVE file (.xodr).")
        return apply_overrides(map_scene(xodr), overrides, str(xodr)), xodr.resolve().parent
    from scenarios.load import load_scene

    loaded = load_scene(Path(str(scenario)), overrides)
    return loaded.spec, loaded.path.resolve().parent


def carrier(bus: str, listen: str | None, keys: Path | None) -> Carrier | None:
    """Where units of other processes join; None when all live in this one."""
    if bus not in ("inproc", "zmq"):
        raise typer.BadParameter(f"--bus {bus}: expected inproc or zmq.")
    if bus == "inproc":
        if listen is not None:
            raise typer.BadParameter("--listen goes with --bus zmq.")
        return None
    from sim.carrier import LOOPBACK, Carrier

    return Carrier(listen or LOOPBACK, keys)


def carla(backend: str, address: str | None) -> CarlaTarget | None:
    """Whose physics drives; None: ours."""
    if backend not in ("headless", "carla"):
        raise typer.BadParameter(f"--backend {backend}: expected headless or carla.")
    if backend == "headless":
        if address is not None:
            raise typer.BadParameter("--carla goes with --backend carla.")
        return None
    from sim.carla.backend.session import CarlaTarget

    return CarlaTarget.parse(address or "127.0.0.1:2000")


def recording(path: Path) -> Path:
    """The log that is meant: `path` itself, or the one in the folder of a run."""
    from sim.report.find import find_log

    return find_log(path) if path.is_dir() else path


def keep_apart(log: Path, folder: Path) -> None:
    """InputError when a second run in `folder` would overwrite the recording `log` that it is compared with."""
    from protocols.errors import InputError

    if os.path.realpath(folder / "run.mcap") == os.path.realpath(log):
        raise InputError(f"--out {folder}: the recording itself lies there; choose another folder.")


def spare(option: str, target: Path | None, *inputs: Path) -> None:
    """InputError when what is to be written would overwrite what was read."""
    from protocols.errors import InputError

    if target is not None and os.path.realpath(target) in map(os.path.realpath, inputs):
        raise InputError(f"{option} {target}: that is one of the inputs; give another file.")


def fresh_folder(spec: SceneSpec) -> Path:
    """`runs/<scene>-seed<seed>`, numbered where that exists: nothing already recorded is overwritten."""
    name = f"{spec.name}-seed{spec.seed}"
    folder, number = Path("runs") / name, 2
    while folder.exists():
        folder, number = Path("runs") / f"{name}-{number}", number + 1
    return folder
