"""Offsets for a row of junctions on a common cycle, from distances and a speed of progression.

One way, a platoon that leaves the first junction at the start of its green reaches the others at the start of theirs: offset =
first offset + distance / speed (mod cycle). Both ways, offsets are either 0 or half a cycle apart wherever the travel time is not
a multiple of half a cycle; `two_way` tries both for every junction and keeps what gives the wider band of the worse direction
(half-integer synchronisation, Little 1966 in its simplest form: equal greens, one speed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from roadside.signals.durations import STEP_NS


@dataclass(frozen=True, slots=True)
class Wave:
    """Offsets in seconds and the green bands that they leave, outbound (in the order of the list) and inbound."""

    offset_s: tuple[float, ...]
    outbound_s: float
    inbound_s: float


def one_way(
    distance_m: Sequence[float], speed_mps: float, cycle_s: float, first_s: float = 0.0
) -> tuple[float, ...]:
    """Offsets of junctions at `distance_m` from the first one's stop line, in whole steps; ValueError for no speed or cycle."""
    if speed_mps <= 0.0 or cycle_s <= 0.0:
        raise ValueError(
            f"found speed {speed_mps} m/s and cycle {cycle_s} s; expected both to be above 0"
        )
    return tuple(_step((first_s + d / speed_mps) % cycle_s, cycle_s) for d in distance_m)


def two_way(
    distance_m: Sequence[float],
    speed_mps: float,
    cycle_s: float,
    green_s: Sequence[float],
    first_s: float = 0.0,
) -> Wave:
    """Offsets for both directions of greens `green_s`; at most 12 junctions."""
    if len(distance_m) > 12:
        raise ValueError(f"found {len(distance_m)} junctions; expected 12 at most")
    one_way(distance_m, speed_mps, cycle_s)  # checks
    best: Wave | None = None
    for halves in product((0.0, 0.5), repeat=max(0, len(distance_m) - 1)):
        # Centres of greens coincide or lie half a cycle apart, so the two directions get the same band.
        offsets = tuple(
            _step((first_s + (green_s[0] - g) / 2.0 + h * cycle_s) % cycle_s, cycle_s)
            for g, h in zip(green_s, (0.0, *halves), strict=True)
        )
        wave = Wave(
            offsets,
            band_s(offsets, distance_m, speed_mps, cycle_s, green_s),
            band_s(offsets, distance_m, -speed_mps, cycle_s, green_s),
        )
        if best is None or min(wave.outbound_s, wave.inbound_s) > min(
            best.outbound_s, best.inbound_s
        ):
            best = wave
    assert best is not None
    return best


def band_s(
    offset_s: Sequence[float],
    distance_m: Sequence[float],
    speed_mps: float,
    cycle_s: float,
    green_s: Sequence[float],
) -> float:
    """Longest time of a cycle during which a vehicle may start and meet green everywhere; negative speed: inbound."""
    step = STEP_NS / 1e9
    count = round(cycle_s / step)
    good = [
        all(
            ((n * step + d / speed_mps - o) % cycle_s) < g - 1e-9
            for o, d, g in zip(offset_s, distance_m, green_s, strict=True)
        )
        for n in range(count)
    ]
    best = run = 0
    for is_good in good * 2:
        run = run + 1 if is_good else 0
        best = max(best, run)
    return min(best, count) * step


def _step(seconds: float, cycle_s: float) -> float:
    rounded = round(round(seconds * 10.0) / 10.0, 1)
    return 0.0 if rounded >= cycle_s else rounded
