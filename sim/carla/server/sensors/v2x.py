"""V2X sensors: cooperative awareness and custom messages, carried by the platform's radio (`sim.radio`).

Who hears whom is decided by `RangeLossChannel`: WINNER+ B1 line of sight, shadowing per link, packet errors; the sensor's attributes
give transmit power, sensitivity, frequency, antenna gain, greatest distance and (by scenario) the shadowing. `path_loss_model`, `d_ref`
and `path_loss_exponent` are accepted and not used: nothing in between is modelled, neither buildings nor vehicles. The power in an
event is the mean over the shadowing. A message arrives in the frame in which it was sent; latency is not modelled.
"""

from __future__ import annotations

import math
import struct
import tomllib
from abc import abstractmethod
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sim.carla.server import columns as c
from sim.carla.server.sensors.air import Sent
from sim.carla.server.sensors.cam import NOISE, CamParams, CamService
from sim.carla.server.sensors.view import Sensor, Setup, View
from sim.radio.channel import RangeLossChannel, SentRows, Stations
from sim.radio.fates import Fate
from sim.radio.params import RangeLossParams

_POWER = struct.Struct("<f4x")
_HEADER = struct.Struct("<3q")
_TEXT = 100  # bytes of a custom message on the wire
_MOST_QUEUED = 1000  # messages a client may queue for one step


class Radio(Sensor):
    """What both sensors share. `transmit` is called by the air, once a frame, whether anybody listens or not."""

    def __init__(self, setup: Setup, view: View) -> None:
        super().__init__(setup)
        number = setup.number
        self._tx_dbm = number("transmit_power", 21.5, -1e3, 1e3)
        self._gain_db = number("combined_antenna_gain", 10.0, -1e3, 1e3)
        self._ghz = number("frequency_ghz", 5.9, 0.1, 1e3)
        self._sensitivity_dbm = number("receiver_sensitivity", -99.0, -1e3, 1e3)
        self._reach_m = number("filter_distance", 500.0, 0.0, 1e6)
        scenario = setup.attributes.get("scenario", "urban")
        if scenario not in _shadow():
            raise ValueError(
                f"{setup.blueprint}: scenario = {scenario[:40]!r}, expected one of {', '.join(sorted(_shadow()))}"
            )
        is_etsi = setup.flag("use_etsi_fading", True)
        custom_db = number("custom_fading_stddev", 0.0, 0.0, 1e3)
        self._shadow_db = _shadow()[scenario]["std_db"] if is_etsi else custom_db
        self._seed = setup.seed
        self._name = setup.attributes.get("channel_id", "")  # stations hear their own channel only
        self._channels: dict[float, RangeLossChannel] = {}
        self._seq = 0
        view.air.stations[self.actor_id] = self

    @abstractmethod
    def transmit(self, view: View) -> list[Sent]:
        """Messages of this frame."""

    def sample(self, view: View) -> list[bytes]:
        carrier = view.parent(self.row)
        rows = [m for m in view.air.sent(view) if m.kind == self.stream_type]
        heard = [
            _POWER.pack(self.mean_dbm(view, m)) + m.content
            for m in rows
            if m.channel == self._name
            and m.station != self.actor_id
            and view.parent(view.table.row_of[m.station]) != carrier
            and self._hears(view, m)
        ]
        # With sensor_tick the client asked for a report each interval, also when there is nothing to report.
        return [b"".join(heard)] if heard or self._tick_s > 0.0 else []

    def mean_dbm(self, view: View, sent: Sent) -> float:
        """Received power without shadowing: transmit power and gain less WINNER+ B1 (D5.3, table 4-1), never less loss than free space."""
        x, y, height = self._antenna(view)
        d = max(math.hypot(sent.x_m - x, sent.y_m - y), 3.0)
        ht, hr = max(sent.height_m - 1.0, 0.1), max(height - 1.0, 0.1)
        log_d, log_f = math.log10(d), math.log10(self._ghz)
        if d < 4.0 * ht * hr * self._ghz * 1e9 / 299792458.0:
            loss = 22.7 * log_d + 27.0 + 20.0 * log_f
        else:
            loss = 40.0 * log_d + 7.56 - 17.3 * math.log10(ht) - 17.3 * math.log10(hr) + 2.7 * log_f
        free = 20.0 * log_d + 46.4 + 20.0 * (log_f - math.log10(5.0))
        return sent.power_dbm + self._gain_db - max(loss, free)

    def close(self) -> None:
        """Leave the air; the air also drops a station whose actor is gone."""

    def _on_air(self, view: View, content: bytes) -> Sent:
        x, y, height = self._antenna(view)
        self._seq += 1
        return Sent(
            self._name,
            self.stream_type,
            self.actor_id,
            self._seq,
            x,
            y,
            height,
            self._tx_dbm,
            content,
        )

    def _antenna(self, view: View) -> tuple[float, float, float]:
        f = view.table.f
        carrier = view.parent(self.row)
        above = float(f[self.row, c.Z] - f[carrier, c.GROUND_Z])
        return float(f[self.row, c.X]), float(f[self.row, c.Y]), above

    def _hears(self, view: View, sent: Sent) -> bool:
        channel = self._channels.get(sent.power_dbm)
        if channel is None:
            params = RangeLossParams(
                frequency_ghz=self._ghz, tx_power_dbm=sent.power_dbm, antenna_gain_db=self._gain_db,
                sensitivity_dbm=self._sensitivity_dbm, shadow_std_db=self._shadow_db, max_range_m=self._reach_m,
            )  # fmt: skip
            channel = self._channels[sent.power_dbm] = RangeLossChannel(params, self._seed)
        x, y, height = self._antenna(view)
        row = SentRows(
            _station(sent.station, sent.x_m, sent.y_m, sent.height_m),
            np.array([sent.seq], np.uint32), np.array([len(sent.content)], np.uint32), np.zeros(1, np.uint8),
        )  # fmt: skip
        t_ns = round(view.elapsed_s * 1e9)
        fate, _ = channel.fates(row, _station(self.actor_id, x, y, height), t_ns)
        return int(fate[0, 0]) == Fate.DELIVERED


class CamSensor(Radio):
    """sensor.other.v2x."""

    stream_type = 20

    def __init__(self, setup: Setup, view: View) -> None:
        super().__init__(setup, view)
        self._params = CamParams.of(setup)
        self._service: CamService | None = None
        self._carrier = -1

    def transmit(self, view: View) -> list[Sent]:
        carrier = view.parent(self.row)
        if self._service is None or carrier != self._carrier:
            self._service, self._carrier = CamService(self._params, carrier), carrier
        if not self._service.is_due(view):
            return []
        station = int(view.table.i[carrier, c.ID])
        return [self._on_air(view, self._service.message(view, station, self.normals(NOISE)))]


class CustomV2xSensor(Radio):
    """sensor.other.v2x_custom: what the client gave to `send`, once, in the next step."""

    stream_type = 21

    def __init__(self, setup: Setup, view: View) -> None:
        super().__init__(setup, view)
        self._queue: list[bytes] = []

    def send(self, message: str | bytes) -> None:
        """The `send` call. What is longer than the wire's field is cut; what is more than 1000 messages a step is lost."""
        if len(self._queue) >= _MOST_QUEUED:
            return
        text = message.encode() if isinstance(message, str) else message
        self._queue.append(text[: _TEXT - 1])

    def transmit(self, view: View) -> list[Sent]:
        station = int(view.table.i[view.parent(self.row), c.ID])
        header = _HEADER.pack(1, 0, station)
        # The struct ends with four bytes of padding.
        queued, self._queue = self._queue, []
        return [self._on_air(view, header + t.ljust(_TEXT, b"\0") + b"\0\0\0\0") for t in queued]


def _station(identity: int, x: float, y: float, height: float) -> Stations:
    return Stations(
        np.array([identity], np.uint32), np.array([x]), np.array([y]), np.array([height])
    )


@cache
def _shadow() -> dict[str, Any]:
    data = tomllib.loads(Path(__file__).with_name("v2x.toml").read_text(encoding="utf-8"))
    rows: dict[str, Any] = data["shadow"]
    return rows
