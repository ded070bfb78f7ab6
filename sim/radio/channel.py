"""Radio channels: for each sent row and each receiver, delivered when, or why not.

`Channel.fates(sent, receivers, t_ns)` gives (fate, deliver_ns), both (n, R). A channel is deterministic by seed and independent of
the order of rows, of the tick, and of stations that are not part of a link. Positions are the truth: radio is physics.

`IdealChannel`: everybody in range. `RangeLossChannel`: WINNER+ B1 line-of-sight path loss, shadowing that belongs to a link and
changes with time, a hard sensitivity, then a packet error curve over the signal-to-noise ratio. No interference and no half duplex
here (they need slots): fates for them exist and are given by slotted channels.

Shadowing S(t) of a link: standard normal knots every `shadow_period_ms`, keyed by (link, knot), blended linearly and scaled back
to unit variance: smooth, symmetric in the pair, with no memory to carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np

from protocols import streams
from protocols.roads.network import F64, U8, U32
from protocols.simtime import NS_PER_MS
from sim.radio import _kernels
from sim.radio.fates import I64, Fate
from sim.radio.params import IdealParams, RangeLossParams, curve

_STEP_DB = 0.25  # the link curves have points at whole decibels, so resampling is exact
_QUANTILES = 4096


@dataclass(frozen=True, slots=True)
class Stations:
    """Where antennas are. Columns (n,)."""

    id: U32  # radio identity, see `protocols.ids`
    x_m: F64
    y_m: F64
    height_m: F64  # antenna above ground


@dataclass(frozen=True, slots=True)
class SentRows:
    """Rows on the air at one instant. Columns (n,)."""

    station: Stations
    seq: U32  # of the message the row belongs to
    size_bytes: U32  # on the air, headers included
    priority: U8  # 1 most urgent


class Channel(Protocol):
    """Who hears what, and when."""

    def fates(self, sent: SentRows, receivers: Stations, t_ns: int) -> tuple[U8, I64]:
        """`Fate` and delivery stamp of every (row, receiver): (n, R) each. A station does not hear itself."""
        ...


class IdealChannel:
    """Every station in range hears every message after a fixed latency."""

    def __init__(self, params: IdealParams) -> None:
        self._latency_ns = round(params.latency_ms * NS_PER_MS)
        self._range2 = params.max_range_m**2

    def fates(self, sent: SentRows, receivers: Stations, t_ns: int) -> tuple[U8, I64]:
        """See `Channel.fates`."""
        origin = sent.station
        gap2 = (origin.x_m[:, None] - receivers.x_m) ** 2 + (
            origin.y_m[:, None] - receivers.y_m
        ) ** 2
        fate = np.where(gap2 <= self._range2, np.uint8(Fate.DELIVERED), np.uint8(Fate.OUT_OF_RANGE))
        fate[origin.id[:, None] == receivers.id] = Fate.UNSPECIFIED
        return fate, np.full(fate.shape, t_ns + self._latency_ns, np.int64)


class RangeLossChannel:
    """Path loss, shadowing and packet errors; see the module's head and `RangeLossParams`."""

    def __init__(self, params: RangeLossParams, seed: int) -> None:
        self._key = np.uint64(streams.key(seed, "radio"))
        self._latency_ns = round(params.latency_ms * NS_PER_MS)
        link = curve(params.curve)
        low, high = link.snr_db[0], link.snr_db[-1]
        grid = np.arange(round((high - low) / _STEP_DB) + 1) * _STEP_DB + low
        self._error: F64 = np.interp(grid, link.snr_db, link.packet_error)
        self._params: F64 = np.array(
            [
                params.tx_power_dbm + params.antenna_gain_db,
                params.frequency_ghz,
                params.environment_height_m,
                params.noise_dbm,
                params.sensitivity_dbm,
                params.shadow_std_db,
                params.shadow_period_ms * NS_PER_MS,
                params.max_range_m,
                low,
                1.0 / _STEP_DB,
                link.floor,
            ]
        )
        self._normal: F64 = _normal_quantiles()

    def fates(self, sent: SentRows, receivers: Stations, t_ns: int) -> tuple[U8, I64]:
        """See `Channel.fates`."""
        origin = sent.station
        shape = (origin.id.size, receivers.id.size)
        fate: U8 = np.zeros(shape, np.uint8)
        _kernels.range_loss(
            self._key,
            t_ns,
            origin.id,
            origin.x_m,
            origin.y_m,
            origin.height_m,
            sent.seq,
            receivers.id,
            receivers.x_m,
            receivers.y_m,
            receivers.height_m,
            self._params,
            self._error,
            self._normal,
            fate,
        )
        return fate, np.full(shape, t_ns + self._latency_ns, np.int64)


def make_channel(params: IdealParams | RangeLossParams, seed: int) -> Channel:
    """The channel that the parameters describe."""
    if isinstance(params, IdealParams):
        return IdealChannel(params)
    return RangeLossChannel(params, seed)


def _normal_quantiles() -> F64:
    """Standard normal quantiles at the centres of 4096 equal parts, scaled to unit variance: a draw is one look-up."""
    normal = NormalDist()
    table = np.array([normal.inv_cdf((k + 0.5) / _QUANTILES) for k in range(_QUANTILES)])
    scaled: F64 = table / table.std()
    return scaled
