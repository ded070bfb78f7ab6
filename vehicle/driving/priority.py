"""Asking junctions for passage: VIR ahead of a signal, refreshed, cancelled when passed; RSC answers remembered."""

from __future__ import annotations

from protocols.messages import RoadsideCoordination, VehicleIntention
from vehicle.driving.config import DrivingConfig
from vehicle.driving.corridor import LineEvent


class PriorityClient:
    """Requests of one vehicle, one running at a time."""

    def __init__(self, station_id: int, config: DrivingConfig) -> None:
        self._station_id = station_id
        self._config = config
        self._request_id = 0
        self._running: VehicleIntention | None = None
        self._line: LineEvent | None = None
        self._sent_ns = 0
        self.answer: RoadsideCoordination | None = None

    def hear(self, message: RoadsideCoordination) -> bool:
        """Take an answer meant for the running request; True when it says something new."""
        running = self._running
        if (
            running is None
            or message.station_id != self._station_id
            or message.node_id != running.node_id
            or message.request_id != running.request_id
        ):
            return False
        is_new = self.answer is None or self.answer.status != message.status
        self.answer = message
        return is_new

    def update(
        self, t_ns: int, line: LineEvent | None, movement: tuple[int, int, str] | None, distance_m: float, eta_s: float,
        lateness_s: float, is_stop_between: bool,
    ) -> VehicleIntention | None:  # fmt: skip
        """The VIR due now. `line` is the next signal's stop line, None when there is none ahead."""
        running = self._running
        if running is not None and line is not self._line:
            self._running = self._line = self.answer = None
            return _with(running, t_ns, 0.0, t_ns, lateness_s, True)
        if line is None or movement is None or is_stop_between:
            return None
        if running is None:
            if eta_s > self._config.priority_eta_s or distance_m > self._config.priority_distance_m:
                return None
            self._request_id += 1
            node, phase, to_lane = movement
            running = VehicleIntention(
                t_ns,
                self._station_id,
                self._request_id,
                node,
                line.from_lane,
                to_lane,
                phase,
                0.0,
                0,
                0.0,
                False,
            )
            self._line = line
        elif t_ns - self._sent_ns < self._config.priority_period_s * 1e9:
            return None
        self._sent_ns = t_ns
        self._running = _with(
            running, t_ns, max(distance_m, 0.0), t_ns + int(eta_s * 1e9), lateness_s, False
        )
        return self._running


def _with(
    base: VehicleIntention, t_ns: int, distance_m: float, eta_ns: int, lateness_s: float, is_cancel: bool
) -> VehicleIntention:  # fmt: skip
    return VehicleIntention(
        t_ns, base.station_id, base.request_id, base.node_id, base.from_lane, base.to_lane, base.phase_id, distance_m,
        eta_ns, lateness_s, is_cancel,
    )  # fmt: skip
