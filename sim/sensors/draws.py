"""Counter-based draws for columns of actors: (key, time, purpose, actor) -> uniform or normal. The form of `_kernels._mix`, in numpy.

A draw depends on its four words alone, so nobody's noise depends on who else is there.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from protocols.roads.network import F64

U64 = npt.NDArray[np.uint64]
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_QUANTILES = 4096


def words(key: int, t_ns: int, purpose: int, who: npt.ArrayLike) -> U64:
    """64 random bits for each of `who` (n,) non-negative integers."""
    state = _mix(np.array([key], np.uint64), np.array([t_ns], np.uint64))
    state = _mix(state, np.asarray(who, dtype=np.uint64))
    return _mix(state, np.array([purpose], np.uint64))


def uniform(key: int, t_ns: int, purpose: int, who: npt.ArrayLike) -> F64:
    """(n,) in [0, 1)."""
    return (words(key, t_ns, purpose, who) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(key: int, t_ns: int, purpose: int, who: npt.ArrayLike) -> F64:
    """(n,) standard normal."""
    drawn: F64 = normal_quantiles()[words(key, t_ns, purpose, who) >> np.uint64(52)]
    return drawn


def poisson(key: int, t_ns: int, purpose: int, mean: float) -> int:
    """One draw by inversion; for means of a few (at most 64 come out)."""
    if mean <= 0.0:
        return 0
    left = float(uniform(key, t_ns, purpose, [0])[0])
    term, count = float(np.exp(-mean)), 0
    while left >= term and count < 64:
        left -= term
        count += 1
        term *= mean / count
    return count


@cache
def normal_quantiles() -> F64:
    """Standard normal quantiles at the centres of 4096 equal parts, scaled to unit variance: a draw is one look-up."""
    normal = NormalDist()
    table = np.array([normal.inv_cdf((k + 0.5) / _QUANTILES) for k in range(_QUANTILES)])
    scaled: F64 = table / table.std()
    return scaled


def _mix(state: U64, word: U64) -> U64:
    z = state + word * _GAMMA + _GAMMA
    z = (z ^ (z >> np.uint64(30))) * _M1
    z = (z ^ (z >> np.uint64(27))) * _M2
    mixed: U64 = z ^ (z >> np.uint64(31))
    return mixed
