"""Which values a sweep gives: a list of rows (key -> value), the same on every machine.

Random draws come from streams named by (seed, place of the sweep, key). Floats are rounded to 6 significant digits, so that an id
shows the exact value that ran. Latin hypercube: scipy.stats.qmc, McKay et al. 1979.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols import streams
from protocols.errors import ConfigError
from protocols.sentence import say
from scenarios.suites.spec import (
    MAX_RUNS,
    Axis,
    GridSweep,
    LatinHypercubeSweep,
    ListSweep,
    RandomSweep,
    Range,
)

Row = dict[str, Any]


def rows(
    sweep: GridSweep | ListSweep | RandomSweep | LatinHypercubeSweep, seed: int, place: str
) -> list[Row]:
    """The rows of `sweep`; `seed` holds where the sweep has none, `place` names the streams and is said in errors."""
    if isinstance(sweep, ListSweep):
        return [dict(row) for row in sweep.rows]
    if isinstance(sweep, GridSweep):
        return _grid(sweep, place)
    seed = seed if sweep.seed is None else sweep.seed
    keys = list(sweep.axes)
    if isinstance(sweep, RandomSweep):
        shares = [
            streams.generator(seed, f"sweep/{place}/{key}").random(sweep.count) for key in keys
        ]
    else:
        shares = _latin(len(keys), sweep.count, seed, place)
    columns = [
        [_at(sweep.axes[key], float(u)) for u in column]
        for key, column in zip(keys, shares, strict=True)
    ]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def toml_value(value: Any) -> str:
    """`value` as TOML on one line, as `--set` reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml_value(str(k))} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    raise ConfigError(
        say("{value!r} is no value that TOML knows; expected text, number, list, table.", value=value)
    )  # fmt: skip


def _grid(sweep: GridSweep, place: str) -> list[Row]:
    axes = [_ticks(axis) if isinstance(axis, Range) else list(axis) for axis in sweep.axes.values()]
    size = math.prod(len(axis) for axis in axes)
    if size > MAX_RUNS:
        raise ConfigError(
            say(
                "{place}: the grid has {size} points; expected at most {allowed}. Use fewer values, or kind = "
                "\"latin_hypercube\" with a count.",
                place=place, size=size, allowed=MAX_RUNS,
            )
        )  # fmt: skip
    return [dict(zip(sweep.axes, row, strict=True)) for row in itertools.product(*axes)]


def _latin(num_axes: int, count: int, seed: int, place: str) -> list[NDArray[np.float64]]:
    from scipy.stats import qmc

    stream = np.random.default_rng(streams.key(seed, f"sweep/{place}"))  # scipy spawns from it
    draws = qmc.LatinHypercube(num_axes, rng=stream)
    return list(np.asarray(draws.random(count), dtype=np.float64).T)


def _ticks(axis: Range) -> list[Any]:
    assert axis.count is not None
    values = [_between(axis, k / (axis.count - 1)) for k in range(axis.count)]
    return list(dict.fromkeys(values))  # whole numbers may meet


def _at(axis: Axis, share: float) -> Any:
    """The value at `share` in [0, 1) of an axis."""
    if not isinstance(axis, Range):
        return axis[min(int(share * len(axis)), len(axis) - 1)]
    if axis.integer and not axis.log:
        return min(int(axis.start + share * (axis.stop - axis.start + 1)), int(axis.stop))
    return _between(axis, share)


def _between(axis: Range, share: float) -> int | float:
    if axis.log:
        low, high = math.log(axis.start), math.log(axis.stop)
        value = math.exp(low + share * (high - low))
    else:
        value = axis.start + share * (axis.stop - axis.start)
    if axis.integer:
        return min(max(round(value), int(axis.start)), int(axis.stop))
    return min(max(float(f"{value:.6g}"), axis.start), axis.stop)
