"""What to do next on the way: where to stop at the latest, how fast at most, doors, and the words for it.

Each planning cycle every event ahead is asked in turn: stop lines (signals, signs), conflict areas, crossings, people beside the
path, the next station, the destination. The nearest stop point and the lowest cap win and name the mode. Once the bumper is past
a line with permission, the vehicle is committed and clears the junction.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from protocols.messages import Map, RoadsideCoordination, Spat, VehicleIntention
from protocols.roads.network import F64, RightOfWay
from protocols.sensing import CabinReading
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import Corridor, JunctionEvent, LineEvent, StationEvent
from vehicle.driving.giveway import must_wait, people_on_crossing, stops_for_us, walker_cap_mps
from vehicle.driving.priority import PriorityClient
from vehicle.driving.signals import (
    SignalBoard,
    Verdict,
    advise,
    seconds_to_cover,
    stopping_m,
)
from vehicle.driving.stations import Phase, StationService
from vehicle.dynamics.params import VehicleParams
from vehicle.fusion import Tracks

PASSED_M = 0.4  # a line this far behind the bumper is passed
BUILD_UP_S = 0.7  # half the time a service brake takes to build up


@dataclass(frozen=True, slots=True)
class Directive:
    """Bounds for the planner and words for the log. `stop_s_m` is where the *bumper* must stand at the latest."""

    cap_mps: float
    stop_s_m: float
    mode: str
    reason: str
    doors: int
    is_arrived: bool
    reach_m: F64  # (n,) how far each track goes before it stops for us; inf for those who do not


class Driver:
    """Decides for one vehicle on one corridor. `envelope_mps` (P,) is the planner's speed envelope on the path."""

    def __init__(
        self, corridor: Corridor, params: VehicleParams, config: DrivingConfig, station_id: int,
        depart_ns: int, envelope_mps: F64, step_m: float,
    ) -> None:  # fmt: skip
        self.corridor = corridor
        self.board = SignalBoard()
        self.stations = StationService(corridor.stations, config)
        self.priority = PriorityClient(station_id, config)
        self._params = params
        self._config = config
        self._depart_ns = depart_ns
        self._envelope = envelope_mps
        self._step_m = step_m
        self._committed: set[int] = set()  # lines passed with permission or beyond recall
        self._permissive: set[int] = set()  # lines whose green does not protect from others
        self._station: StationEvent | None = None
        self._stood: set[int] = set()  # stop-sign lines at which we have stood
        self._waiting_since_ns = -1
        self._is_arrived = False

    def hear(self, message: object) -> None:
        """MAP, SPAT or RSC."""
        if isinstance(message, Map):
            self.board.hear_map(message)
        elif isinstance(message, Spat):
            self.board.hear_spat(message)
        elif isinstance(message, RoadsideCoordination):
            self.priority.hear(message)

    def top_mps(self, front_s_m: float) -> float:
        """Fastest allowed speed some way ahead, for estimates of time."""
        i = int(max(front_s_m, 0.0) / self._step_m)
        return float(self._envelope[min(i, self._envelope.size - 1)])

    def decide(
        self, t_ns: int, front_s_m: float, speed_mps: float, tracks: Tracks, track_s_m: F64, track_d_m: F64,
        cabin: CabinReading | None,
    ) -> Directive:  # fmt: skip
        """Bounds for the next cycle."""
        c, config = self.corridor, self._config
        stop, cap = c.end_s_m, inf
        mode, reason = ("arrive", "destination") if stop - front_s_m < 60.0 else ("cruise", "limit")
        if speed_mps > 0.02:
            self._waiting_since_ns = -1
        elif self._waiting_since_ns < 0:
            self._waiting_since_ns = t_ns
        waited_s = (t_ns - self._waiting_since_ns) * 1e-9 if self._waiting_since_ns >= 0 else 0.0
        top = max(self.top_mps(front_s_m), 3.0)
        reach = np.full(tracks.x_m.size, inf)
        horizon = front_s_m + config.look_ahead_m

        # signals and signs
        for index, line in enumerate(c.lines):
            if line.s_m < front_s_m - PASSED_M or line.s_m > horizon:
                continue
            distance = line.s_m - config.stop_gap_m - front_s_m
            held, line_cap, why = self._line(index, line, distance, speed_mps, top, t_ns, waited_s)
            cap = min(cap, line_cap)
            if held and line.s_m - config.stop_gap_m < stop:
                stop = max(line.s_m - config.stop_gap_m, front_s_m - 0.5)
                mode, reason = "stop_line", why
                break

        # right of way and people
        for junction in c.junctions:
            if junction.s_out_m < front_s_m or junction.s_line_m > min(
                horizon, stop + 1.0, front_s_m + 70.0
            ):
                continue
            if tracks.x_m.size and junction.s_in_m < stop + 1.0:
                self._trust(junction, front_s_m, tracks, reach)
            wait = self._junction(junction, front_s_m, speed_mps, top, tracks, waited_s)
            if wait < stop:
                stop, mode, reason = wait, "yield", "right of way of others"
        for crossing in c.crossings:
            line_s = crossing.s_in_m - 1.5
            if crossing.s_in_m < front_s_m - 0.5 or line_s > min(front_s_m + 60.0, stop + 1.0):
                continue
            if line_s < front_s_m and speed_mps > 1.0:
                continue  # already over it; the planner's collision test guards the rest
            x, y, _ = c.path.at(0.5 * (crossing.s_in_m + crossing.s_out_m))
            if people_on_crossing(
                crossing, front_s_m, self._params.total_length_m, speed_mps, top, tracks, x, y,
                0.5 * self._params.width_m + 0.8, config,
            ) and line_s < stop:  # fmt: skip
                stop, mode, reason = (
                    max(line_s, front_s_m - 0.5),
                    "crossing",
                    "people on the crossing",
                )
        walkers = walker_cap_mps(
            track_s_m, track_d_m, tracks, front_s_m, 0.5 * self._params.width_m, config
        )
        if walkers < cap:
            cap = walkers
            if mode == "cruise":
                reason = "people beside the path"

        # stations
        self.stations.update(t_ns, front_s_m, speed_mps, cabin)
        self._station = station = self.stations.next_stop(front_s_m, speed_mps, cabin)
        if self.stations.is_dwelling:
            stop, cap, mode = front_s_m, 0.0, "dwell"
            reason = "boarding" if self.stations.phase == Phase.OPEN else "doors closing"
        elif station is not None and station.s_m < stop and station.s_m < horizon:
            stop, mode, reason = station.s_m, "dock", f"station {station.name}"
        if t_ns < self._depart_ns:
            stop, cap, mode, reason = front_s_m, 0.0, "dwell", "departure time"
        if speed_mps < 0.05 and abs(c.end_s_m - front_s_m) < 1.0:
            self._is_arrived = True
        if self._is_arrived:
            stop, cap, mode, reason = front_s_m, 0.0, "arrived", "destination"
        return Directive(cap, stop, mode, reason, self.stations.doors, self._is_arrived, reach)

    def _line(
        self, index: int, line: LineEvent, distance_m: float, speed_mps: float, top_mps: float, t_ns: int,
        waited_s: float,
    ) -> tuple[bool, float, str]:  # fmt: skip
        """(must stop, speed cap, why) at one line."""
        config = self._config
        if line.group >= 0:
            phase = self.board.phase(line, t_ns, config.spat_max_age_s)
            advice = advise(
                phase, distance_m, speed_mps, top_mps, t_ns, index in self._committed, config
            )
            if advice.is_committed:
                self._committed.add(index)
            if advice.is_permissive:
                self._permissive.add(index)
            else:
                self._permissive.discard(index)
            if advice.verdict == Verdict.PASS:
                return False, inf, ""
            if advice.verdict == Verdict.STOP:
                return True, advice.cap_mps, advice.reason
            must_stand = advice.verdict == Verdict.STOP_THEN_YIELD
        else:
            must_stand = line.sign == 1
        near = config.yield_cap_mps**2 + 2.0 * config.decel_mps2 * max(distance_m, 0.0)
        if not must_stand:
            return False, near**0.5, "yield"
        if index in self._stood:
            return False, inf, ""
        if waited_s > config.standstill_s and abs(distance_m) < 2.0:
            self._stood.add(index)
        return True, inf, "stop sign"

    def _trust(self, junction: JunctionEvent, front_s_m: float, tracks: Tracks, reach: F64) -> None:
        """Shorten `reach` of those who have to wait for us here: by right of way, or because our light is green."""
        line = self._line_of(junction) if junction.is_signalised else -1
        if junction.is_signalised and line < 0:
            return
        for conflict in junction.conflicts:
            if conflict.s_out_m < front_s_m:
                continue
            ours = conflict.right_of_way == RightOfWay.PRIORITY or (
                junction.is_signalised and conflict.right_of_way == RightOfWay.EQUAL
            )
            if ours:
                dist, can_stop = stops_for_us(conflict, tracks, self._config.trust_decel_mps2)
                reach[can_stop] = np.minimum(reach[can_stop], dist[can_stop])

    def _line_of(self, junction: JunctionEvent) -> int:
        """Row of the signal line before a junction, -1 for none."""
        return next(
            (i for i, e in enumerate(self.corridor.lines) if abs(e.s_m - junction.s_line_m) < 0.5),
            -1,
        )

    def _junction(
        self, junction: JunctionEvent, front_s_m: float, speed_mps: float, top_mps: float, tracks: Tracks,
        waited_s: float,
    ) -> float:  # fmt: skip
        """Where to wait for others at this junction; inf when the way is free or there is no way back."""
        config = self._config
        if tracks.x_m.size == 0:
            return inf
        if junction.is_signalised:
            line = self._line_of(junction)
            if line not in self._permissive:
                return inf  # protected, or held by the light anyway
        before = junction.s_line_m - (config.stop_gap_m if junction.s_line_m > front_s_m else 0.0)
        # whoever moves and would have to brake hard for the line rather waits before the area itself
        is_past_line = front_s_m > junction.s_line_m + PASSED_M or (
            speed_mps > 0.2
            and before - front_s_m < stopping_m(speed_mps, config.yellow_decel_mps2, BUILD_UP_S)
        )
        for conflict in junction.conflicts:
            if conflict.s_out_m < front_s_m or conflict.right_of_way == RightOfWay.PRIORITY:
                continue
            if junction.is_signalised and conflict.right_of_way != RightOfWay.YIELD:
                continue  # the lights keep equal ways apart
            place = conflict.s_in_m - 1.0 if is_past_line else before
            if (
                place - front_s_m < stopping_m(speed_mps, config.hard_decel_mps2, 0.2)
                and speed_mps > 1.0
            ):
                continue  # beyond recall: clear it
            if place < front_s_m - 0.5:
                continue
            if must_wait(
                conflict, front_s_m, self._params.total_length_m, speed_mps, top_mps, tracks, waited_s, config
            ):  # fmt: skip
                return max(place, front_s_m - 0.4)
        return inf

    def request(self, t_ns: int, front_s_m: float, speed_mps: float) -> VehicleIntention | None:
        """The priority request due now, if any."""
        if not self._config.priority:
            return None
        line = next(
            (e for e in self.corridor.lines if e.group >= 0 and e.s_m > front_s_m - PASSED_M), None
        )
        if line is None:
            return self.priority.update(t_ns, None, None, 0.0, 0.0, 0.0, False)
        distance = line.s_m - front_s_m
        station = self._station
        is_between = self.stations.is_dwelling or (
            station is not None and not station.task.is_on_call and station.s_m < line.s_m
        )
        top = max(self.top_mps(front_s_m), 3.0)
        eta_s = seconds_to_cover(distance, speed_mps, top, self._config.accel_mps2)
        lateness = self.stations.expected_lateness_s(t_ns, front_s_m, 0.7 * top)
        movement = self.board.movement(line)
        return self.priority.update(t_ns, line, movement, distance, eta_s, lateness, is_between)

    def indicator(self, front_s_m: float) -> int:
        """+1 left, -1 right, 0 straight on: the turn within 40 m ahead or under way."""
        for junction in self.corridor.junctions:
            if (
                junction.s_in_m - 40.0 < front_s_m < junction.s_out_m
                and abs(junction.turn_rad) > 0.5
            ):
                return int(np.sign(junction.turn_rad))
        return 0
