"""Serving stations: which one is next, whether an on-call stop is served, and the course of a dwell.

A dwell: stand within the window, open the platform-side doors, wait until boarding is done, the minimum dwell is over and the
timetable lets us go, close, and leave only when the doors are shut.
"""

from __future__ import annotations

from enum import Enum

from protocols.sensing import CabinReading
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import StationEvent
from vehicle.driving.signals import stopping_m


class Phase(Enum):
    """Where in its service the vehicle is."""

    DRIVING = "driving"
    OPEN = "open"
    CLOSING = "closing"


class StationService:
    """Works through the stations of one mission, in order."""

    def __init__(self, stations: tuple[StationEvent, ...], config: DrivingConfig) -> None:
        self._stations = stations
        self._config = config
        self._next = 0
        self._phase = Phase.DRIVING
        self._since_ns = 0
        self._still_since_ns = 0
        self._is_decided = False  # the on-call stop ahead is served for certain
        self.lateness_s = 0.0  # behind the timetable, positive
        self.served: list[tuple[int, float]] = []  # (station, metres past the stop mark)

    @property
    def doors(self) -> int:
        """Door command."""
        return self._stations[self._next].door_side if self._phase == Phase.OPEN else 0

    @property
    def is_dwelling(self) -> bool:
        """Standing for passengers."""
        return self._phase != Phase.DRIVING

    @property
    def phase(self) -> Phase:
        """Where in the service."""
        return self._phase

    def next_stop(
        self, front_s_m: float, speed_mps: float, cabin: CabinReading | None
    ) -> StationEvent | None:
        """The station to stop at next, after passing over on-call stops nobody wants."""
        while self._next < len(self._stations):
            station = self._stations[self._next]
            if self._phase != Phase.DRIVING:
                return station
            distance = station.s_m - front_s_m
            if distance < -3.0:
                self._advance()  # overshot, or never meant to stop
                continue
            if station.task.is_on_call and not self._is_decided:
                last_call = (
                    stopping_m(speed_mps, self._config.decel_mps2, 1.0)
                    + self._config.on_call_margin_m
                )
                if distance <= last_call:
                    self._advance()  # too late to stop gently
                    continue
                if cabin is None or not (
                    cabin.is_stop_requested or station.task.station in cabin.waiting_stations
                ):
                    return None
                self._is_decided = True
            return station
        return None

    def update(
        self, t_ns: int, front_s_m: float, speed_mps: float, cabin: CabinReading | None
    ) -> None:
        """Open, wait, close, go."""
        if self._next >= len(self._stations):
            return
        station = self._stations[self._next]
        task = station.task
        t_s = t_ns * 1e-9
        if self._phase == Phase.DRIVING:
            past = front_s_m - station.s_m
            may_stop = not task.is_on_call or self._is_decided
            if speed_mps >= 0.02:
                self._still_since_ns = t_ns
            stood = t_ns - self._still_since_ns >= self._config.standstill_s * 1e9
            if may_stop and stood and abs(past) < self._config.stop_window_m:
                self._phase = Phase.OPEN
                self._since_ns = t_ns
                self.served.append((task.station, past))
                if task.arrive_s is not None:
                    self.lateness_s = t_s - task.arrive_s
        elif self._phase == Phase.OPEN:
            stood_s = (t_ns - self._since_ns) * 1e-9
            is_open = cabin is None or cabin.doors == station.door_side
            done = cabin is None or cabin.is_boarding_done or stood_s > self._config.door_timeout_s
            due = task.depart_s is None or t_s >= task.depart_s
            if is_open and done and due and stood_s >= task.min_dwell_s:
                self._phase = Phase.CLOSING
                self._since_ns = t_ns
                if task.depart_s is not None:
                    self.lateness_s = t_s - task.depart_s
        elif (cabin is None or cabin.doors == 0) and t_ns - self._since_ns >= 500_000_000:
            self._advance()

    def _advance(self) -> None:
        self._next += 1
        self._phase = Phase.DRIVING
        self._is_decided = False

    def expected_lateness_s(self, t_ns: int, front_s_m: float, cruise_mps: float) -> float:
        """Lateness at the next timed station at `cruise_mps`, or what it was at the last one."""
        for station in self._stations[self._next :]:
            if station.task.arrive_s is not None and station.s_m >= front_s_m:
                eta_s = t_ns * 1e-9 + (station.s_m - front_s_m) / max(cruise_mps, 1.0)
                return eta_s - station.task.arrive_s
        return self.lateness_s
