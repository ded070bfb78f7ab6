"""The same scene with one parameter put back to its default, or one list cut to one entry: candidates, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from scenarios.spec import SceneSpec

_SCENE = ("environment", "radio", "bus", "carla", "onboard", "signals", "default_signals", "record", "epoch_utc", "seed")  # fmt: skip
_VEHICLE = ("stops", "passengers", "arrive_by_s", "sensors", "onboard", "depart_s", "speed_mps", "destination_s_m")  # fmt: skip
_ROADSIDE = ("sensors", "share", "ssm_period_ms", "x_m", "y_m")
_FLOW = ("stops", "dwell_s", "start_s", "end_s", "process")
_WALKERS = ("kind", "start_s", "end_s")
_FAULT = ("until_s",)
_WHOM = (
    "senders",
    "receivers",
    "topics",
)  # of a fault: shorter, never all, which would be another fault
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (("vehicles", _VEHICLE), ("roadside", _ROADSIDE), ("faults", _FAULT))  # fmt: skip
_DEMAND: tuple[tuple[str, tuple[str, ...]], ...] = (("flows", _FLOW), ("walkers", _WALKERS))


def candidates(spec: SceneSpec) -> Iterator[tuple[str, SceneSpec]]:
    """(what was made simpler, the scene), each from `spec`."""
    yield from _simpler(spec, _SCENE, "")
    for k in range(len(spec.signals)):
        yield f"signals.{k}", spec.model_copy(update={"signals": _dropped(spec.signals, k)})
    for what, keys in _PARTS:
        parts = getattr(spec, what)
        for k, part in enumerate(parts):
            for label, other in _simpler(part, keys, f"{what}.{k}"):
                yield label, spec.model_copy(update={what: _swapped(parts, k, other)})
    demand = spec.demand
    for label, other in _simpler(demand, ("equipped_share",), "demand"):
        yield label, spec.model_copy(update={"demand": other})
    for what, keys in _DEMAND:
        parts = getattr(demand, what)
        for k, part in enumerate(parts):
            for label, other in _simpler(part, keys, f"demand.{what}.{k}"):
                changed = demand.model_copy(update={what: _swapped(parts, k, other)})
                yield label, spec.model_copy(update={"demand": changed})


def _simpler(part: Any, keys: tuple[str, ...], where: str) -> Iterator[tuple[str, Any]]:
    fields = type(part).model_fields
    for key in keys:
        if key not in fields:
            continue
        value = getattr(part, key)
        plain = fields[key].get_default(call_default_factory=True)
        if value != plain and not fields[key].is_required():
            yield f"{where}.{key}".lstrip("."), part.model_copy(update={key: plain})
        if isinstance(value, tuple) and len(value) > 1 and key == "stops":
            for k in range(len(value)):
                yield f"{where}.{key}.{k}", part.model_copy(update={key: _dropped(value, k)})
    if where.startswith("faults") and part.at_s > 0:
        yield f"{where}.at_s", part.model_copy(update={"at_s": 0.0})
    for key in _WHOM:
        value = getattr(part, key, ())
        for k in range(len(value)) if len(value) > 1 else ():
            yield f"{where}.{key}.{k}", part.model_copy(update={key: _dropped(value, k)})
    for key in ("origins", "crossings"):
        value = getattr(part, key, ())
        if len(value) > 1:
            for one in value:
                yield f"{where}.{key}", part.model_copy(update={key: (one,)})
    for key, least in (("destinations", None), ("mix", "car")):
        table = getattr(part, key, {})
        if len(table) > 1:
            for one in [least] if least in table else list(table):
                yield f"{where}.{key}", part.model_copy(update={key: {one: 1.0}})
    yield from _environment(part, where)


def _environment(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Weather key by key where it cannot go as a whole."""
    if where or not isinstance(part, SceneSpec):
        return
    around: BaseModel = part.environment
    for key, info in type(around).model_fields.items():
        plain = info.get_default(call_default_factory=True)
        if getattr(around, key) != plain:
            changed = around.model_copy(update={key: plain})
            yield f"environment.{key}", part.model_copy(update={"environment": changed})


def _dropped(items: tuple[Any, ...], k: int) -> tuple[Any, ...]:
    return items[:k] + items[k + 1 :]


def _swapped(items: tuple[Any, ...], k: int, item: Any) -> tuple[Any, ...]:
    return (*items[:k], item, *items[k + 1 :])
