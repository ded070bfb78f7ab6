"""Mean delay at a fixed-time signal by the formulas of the books, and a point queue to compare them with.

C cycle, g effective green (s), q arrivals, s saturation flow (veh/s), x = q C / (s g).
Webster 1958 (Road Research Technical Paper 39): uniform term, random term, and his empirical correction of the two.
HCM 7th ed. chapter 19: d1 + d2 for random arrivals (progression factor 1), pre-timed (k = 0.5), isolated (I = 1).
"""

from __future__ import annotations

from math import sqrt

import numpy as np


def webster_s(cycle_s: float, green_s: float, q: float, s: float) -> float:
    """Mean delay in seconds a vehicle."""
    lam = green_s / cycle_s
    x = q / (s * lam)
    uniform = cycle_s * (1 - lam) ** 2 / (2 * (1 - lam * x))
    random = x**2 / (2 * q * (1 - x))
    return uniform + random - 0.65 * (cycle_s / q**2) ** (1 / 3) * x ** (2 + 5 * lam)


def hcm_s(cycle_s: float, green_s: float, q: float, s: float, period_h: float = 0.25) -> float:
    """Mean control delay in seconds a vehicle, no queue at the start of the period."""
    lam = green_s / cycle_s
    x = q / (s * lam)
    capacity_vph = 3600.0 * s * lam
    d1 = 0.5 * cycle_s * (1 - lam) ** 2 / (1 - min(1.0, x) * lam)
    d2 = 900 * period_h * ((x - 1) + sqrt((x - 1) ** 2 + 4 * x / (capacity_vph * period_h)))
    return d1 + d2


def point_queue_s(
    windows: list[tuple[float, float]], cycle_s: float, arrivals_s: np.ndarray, headway_s: float
) -> float:
    """Mean wait of vehicles that arrive at the stop line and leave one by one within effective greens `windows` of a cycle.

    A vehicle that meets no queue in green passes at once; queued ones leave `headway_s` apart and pass in the middle of their
    headway, where the fluid of the formulas has its centre.
    """
    free_s, total = 0.0, 0.0
    for arrival in arrivals_s.tolist():
        at = max(arrival, free_s)
        cycle, phase = divmod(at, cycle_s)
        for begin, end in windows:
            if phase < end:
                at = cycle * cycle_s + max(phase, begin)
                break
        else:
            at = (cycle + 1) * cycle_s + windows[0][0]
        free_s = at + headway_s
        total += at - arrival + (0.5 * headway_s if at > arrival else 0.0)
    return total / arrivals_s.size
