"""One task inside a worker: load the scene, run it, say how it ended. Never raises for what a scene can do wrong.

The answer is a plain table with the fields of `TaskResult` that a run knows. What went wrong in the machinery (memory, disk, a fault
of ours) is an infrastructure error; its traceback goes to the task's output.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from protocols.errors import IcvError, InfrastructureError, InputError, said
from protocols.sentence import say
from scenarios.load import find_map, load_scene
from scenarios.verdict import Outcome, Verdict, from_error
from sim.compose import RunOptions, run_scene
from sim.log.container import MAGIC
from sim.suite.wire import OUTPUT, Order

Progress = Callable[[float], None]
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def run_order(order: Order, progress: Progress) -> dict[str, Any]:
    """Run it. Keys: outcome, sentence, digest, map_digest, criteria, metrics, scene_sha256."""
    known = {"scene_sha256": scene_sha256(order.scene)}
    return known | guarded(order, lambda: _run(order, progress))


def guarded(order: Order, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `body` gives, or how it failed."""
    try:
        return body()
    except InputError as error:
        # A key path says where in the file; this says which file.
        text = str(error)
        verdict = from_error(
            error
            if order.scene in text
            else type(error)(say("{scene}: {what!s}", scene=order.scene, what=text))
        )
    except IcvError as error:
        verdict = from_error(error)
    except MemoryError:
        _trace()
        verdict = _broken(
            say(
                "ran out of memory: the limit is {limit_mb:d} MB; allow more with --memory",
                limit_mb=order.memory_mb,
            )
        )
    except OSError as error:
        _trace()
        if error.errno in _DISK:
            verdict = _broken(
                say(
                    "cannot write below {folder}: {why}; free space, or choose another --out",
                    folder=order.folder,
                    why=error.strerror,
                )
            )
        else:
            what = said(error)
            verdict = _broken(say("{what}; see {file} beside its log", what=what, file=OUTPUT))
    except Exception as error:
        _trace()
        what = (str(error).splitlines() or ["no message"])[0][:300]
        verdict = _broken(
            say(
                "{what}; a fault of icv, not of the scene: see {file} beside its log",
                what=f"{type(error).__name__}: {what}",
                file=OUTPUT,
            )
        )
    return {"outcome": verdict.outcome.value, "sentence": verdict.sentence}


def scene_sha256(scene: str) -> str:
    """Of the scene's file; empty when there is none to read."""
    from scenarios.load import library

    path = Path(scene)
    try:
        if not path.is_file():
            path = library()[scene]
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, KeyError):
        return ""


def road_sha256(scene: str, overrides: Sequence[str]) -> str:
    """Of the scene's road file; empty when scene or road file cannot be read."""
    try:
        loaded = load_scene(Path(scene), list(overrides))
        road = find_map(loaded.spec, loaded.path.resolve().parent)
        return hashlib.sha256(road.read_bytes()).hexdigest()
    except (IcvError, OSError):
        return ""


def _run(order: Order, progress: Progress) -> dict[str, Any]:
    loaded = load_scene(Path(order.scene), order.overrides)
    outcome = run_scene(
        loaded.spec,
        loaded.path.resolve().parent,
        Path(order.folder),
        progress=progress,
        options=RunOptions(
            picture=False,
            record=order.record,
            cache_dir=Path(order.maps) if order.maps else None,
        ),
    )
    if order.record:
        _check_log(outcome.log_path)
    table = json.loads(outcome.result_path.read_text(encoding="utf-8"))
    return {
        "outcome": table["outcome"],
        "sentence": table["sentence"],
        "digest": table["digest"],
        "map_digest": table["map_digest"],
        "criteria": table["criteria"],
        "metrics": figures(table),
    }


def _check_log(path: Path) -> None:
    """A log that does not end as logs do was cut by something that gave no error."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - len(MAGIC)))
        end = file.read()
    if end != MAGIC:
        raise InfrastructureError(
            say(
                "{log}: the log is truncated: {size:d} bytes without the closing mark of an MCAP file; look at the disk, then run "
                "again",
                log=path,
                size=size,
            )
        )


def figures(table: Mapping[str, Any]) -> dict[str, float]:
    """Numbers worth a trend: of vehicles, traffic and waiting; without those that were never seen."""
    facts = table["facts"]
    named = [
        (f"{v}.{k}", x) for v, numbers in table["vehicles"].items() for k, x in numbers.items()
    ]
    named += [(f"traffic.{k}", x) for k, x in facts["traffic"].items()]
    named += [(k, facts[k]) for k in ("side_street_delay_s", "side_street_max_wait_s")]
    named += [(f"{k}.arrived_s", x) for k, x in facts["arrived_s"].items()]
    return {
        name: float(value)
        for name, value in named
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _trace() -> None:
    with contextlib.suppress(OSError):  # the disk may be what is full
        traceback.print_exc()
        sys.stderr.flush()


def _broken(sentence: str) -> Verdict:
    return Verdict(Outcome.INFRASTRUCTURE_ERROR, sentence)
