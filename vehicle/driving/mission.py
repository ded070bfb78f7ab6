"""What one vehicle is to do today: where it starts, which stations it serves and when, where it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StopTask:
    """One station of the timetable. Times are seconds since the scenario's start."""

    station: int  # index into RoadNetwork.stations
    arrive_s: float | None = None
    depart_s: float | None = None  # never leaves earlier
    min_dwell_s: float = 8.0
    is_on_call: bool = False  # served only on request


@dataclass(frozen=True, slots=True)
class Mission:
    """Start and goal are travel distances of the *front bumper* on lanes of the network; stops in driving order."""

    start_lane: int
    start_s_m: float
    stops: tuple[StopTask, ...]
    destination_lane: int
    destination_s_m: float
    depart_s: float = 0.0  # stands until then
