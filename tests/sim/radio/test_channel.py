"""Channels: path loss by hand, loss shares of a published simulator, and draws that depend on the link alone."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from protocols.errors import ConfigError
from protocols.roads.network import U8
from sim.radio import _kernels
from sim.radio.channel import (
    Channel,
    IdealChannel,
    RangeLossChannel,
    SentRows,
    Stations,
    make_channel,
)
from sim.radio.fates import Fate
from sim.radio.params import IdealParams, RangeLossParams, curve, range_loss_preset

MS = 1_000_000


def stations(ids: list[int], xs: list[float], height_m: float = 1.5) -> Stations:
    count = len(ids)
    return Stations(
        np.array(ids, np.uint32), np.array(xs, float), np.zeros(count), np.full(count, height_m)
    )


def rows(origin: Stations, seq: int = 0) -> SentRows:
    count = origin.id.size
    return SentRows(
        origin,
        np.full(count, seq, np.uint32),
        np.full(count, 300, np.uint32),
        np.full(count, 5, np.uint8),
    )


def share(channel: Channel, distance_m: float, messages: int = 4000) -> dict[Fate, float]:
    """Shares of fates at one distance over many independent links."""
    tx = stations(list(range(1, messages + 1)), [0.0] * messages)
    fate, _ = channel.fates(rows(tx), stations([900_000], [distance_m]), 0)
    counts = np.bincount(fate.ravel(), minlength=len(Fate)) / fate.size
    return {kind: float(counts[kind]) for kind in Fate}


def test_everybody_in_range_hears_the_ideal_channel_after_its_latency() -> None:
    channel = IdealChannel(IdealParams(latency_ms=5.0, max_range_m=100.0))
    tx = stations([1, 2], [0.0, 250.0])
    fate, deliver_ns = channel.fates(rows(tx), stations([1, 9], [0.0, 100.0]), 7 * MS)
    assert fate.tolist() == [
        [Fate.UNSPECIFIED, Fate.DELIVERED],  # oneself; exactly at the range
        [Fate.OUT_OF_RANGE, Fate.OUT_OF_RANGE],
    ]
    assert deliver_ns[0, 1] == 12 * MS


def path_loss_limits(height_m: float, environment_m: float, distance_m: float) -> tuple[bool, bool]:
    """Whether a link is delivered with a sensitivity just below and just above what the given loss leaves."""
    expected = {
        # radio.md section 1.2, h = 0.5 m and h = 1.5 m at 5.9 GHz
        (1.5, 1.0, 100.0): 100.1,
        (1.5, 1.0, 300.0): 119.1,
        (1.5, 0.0, 100.0): 87.8,
        (1.5, 0.0, 300.0): 102.6,
        (1.5, 0.0, 50.0): 81.8,
    }[height_m, environment_m, distance_m]
    heard = []
    for offset in (-0.1, 0.1):
        params = RangeLossParams(
            frequency_ghz=5.9,
            tx_power_dbm=0.0,
            antenna_gain_db=0.0,
            environment_height_m=environment_m,
            shadow_std_db=0.0,
            noise_dbm=-200.0,
            sensitivity_dbm=-expected + offset,
        )
        fate, _ = RangeLossChannel(params, 1).fates(
            rows(stations([1], [0.0], height_m)), stations([2], [distance_m], height_m), 0
        )
        heard.append(bool(fate[0, 0] != Fate.BELOW_SENSITIVITY))
    return heard[0], heard[1]


@pytest.mark.parametrize(
    ("environment_m", "distance_m"), [(1.0, 100), (1.0, 300), (0.0, 50), (0.0, 100), (0.0, 300)]
)
def test_path_loss_is_winner_b1_within_a_tenth_of_a_decibel(
    environment_m: float, distance_m: float
) -> None:
    assert path_loss_limits(1.5, environment_m, float(distance_m)) == (True, False)


@pytest.mark.parametrize("snr_db", [2, 4, 6, 8, 10, 12])
def test_packet_errors_follow_the_published_curve_at_its_points(snr_db: int) -> None:
    # Place the receiver by noise instead of distance: 10 m free space etc. does not matter, SNR is what we set.
    link = curve("lte_qpsk07_190B")
    expected = link.packet_error[link.snr_db.index(snr_db)]
    loss = 22.7 * math.log10(100.0) + 27.0 + 20.0 * math.log10(5.9)  # below the breakpoint of 177 m
    params = RangeLossParams(
        frequency_ghz=5.9,
        tx_power_dbm=20.0,
        antenna_gain_db=0.0,
        environment_height_m=0.0,
        shadow_std_db=0.0,
        noise_dbm=20.0 - loss - snr_db,
        sensitivity_dbm=-150.0,
    )
    got = share(RangeLossChannel(params, 3), 100.0, 20_000)[Fate.PROPAGATION]
    # Binomial: three standard deviations of 20,000 draws.
    assert got == pytest.approx(expected, abs=3.0 * math.sqrt(expected * (1 - expected) / 20_000))


REFERENCE = Path("../shared/radio")


@pytest.mark.skipif(not REFERENCE.exists(), reason="reference curves are not in ../shared/radio")
@pytest.mark.parametrize(
    ("name", "power_dbm"),
    [
        ("umh_m4_rho100_hz10_pt20_sub4_190B.csv", 20.0),
        ("umh_m4_rho200_hz10_pt23_sub4_190B.csv", 23.0),
    ],
)
def test_losses_match_a_published_simulator_at_every_distance(name: str, power_dbm: float) -> None:
    lines = [x for x in (REFERENCE / name).read_text().splitlines() if not x.startswith("#")]
    params = dataclasses.replace(range_loss_preset("umh_m4"), tx_power_dbm=power_dbm)
    channel = RangeLossChannel(params, 7)
    sensing, propagation = [], []
    for row in csv.DictReader(lines):
        if float(row["distance_m"]) < 25.0:  # its first bin mixes distances down to 0
            continue
        got = share(channel, float(row["distance_m"]), 10_000)
        sensing.append(got[Fate.BELOW_SENSITIVITY] - float(row["loss_sensing_sim"]))
        propagation.append(got[Fate.PROPAGATION] - float(row["loss_propagation_sim"]))
    # The bar of the radio facts is 0.02 for both; on the steepest bin (450 m) the simulator averages over 25 m of
    # distance where we take its centre, which alone is worth 0.02 more.
    assert np.max(np.abs(propagation)) < 0.01
    assert np.mean(np.abs(sensing)) < 0.01
    assert np.max(np.abs(sensing)) < 0.045


def fate_of(channel: Channel, seq: int, t_ns: int, others: int = 0) -> U8:
    """Fates of ten fixed links at the edge of reception, with `others` stations far away and in other places."""
    ids = list(range(1, 11))
    far = list(range(1000, 1000 + others))
    tx = stations(far + ids, [50_000.0] * others + [280.0 + k for k in range(10)])
    fate, _ = channel.fates(rows(tx, seq), stations([77], [0.0]), t_ns)
    return fate[others:, 0]


def test_a_draw_depends_on_link_and_message_and_nothing_else() -> None:
    params = RangeLossParams()
    alone = fate_of(RangeLossChannel(params, 5), 3, 100 * MS)
    crowd = fate_of(RangeLossChannel(params, 5), 3, 100 * MS, others=40)
    assert alone.tolist() == crowd.tolist()
    tx = stations(list(range(1, 11)), [280.0 + k for k in range(10)])
    turned = Stations(tx.id[::-1].copy(), tx.x_m[::-1].copy(), tx.y_m, tx.height_m)
    fate, _ = RangeLossChannel(params, 5).fates(rows(turned, 3), stations([77], [0.0]), 100 * MS)
    assert fate[::-1, 0].tolist() == alone.tolist()


def test_another_seed_or_message_gives_other_draws() -> None:
    params = RangeLossParams(noise_dbm=-95.0)  # most links in the middle of the error curve
    base = [fate_of(RangeLossChannel(params, 5), seq, 0).tolist() for seq in range(30)]
    assert base != [fate_of(RangeLossChannel(params, 6), seq, 0).tolist() for seq in range(30)]
    assert len({tuple(row) for row in base}) > 5


def test_shadowing_is_the_same_both_ways_and_changes_slowly() -> None:
    # Sensitivity at the mean: above or below is the sign of the shadowing alone.
    loss = 22.7 * 2.0 + 27.0 + 20.0 * math.log10(5.9)
    params = RangeLossParams(
        frequency_ghz=5.9,
        tx_power_dbm=0.0,
        antenna_gain_db=0.0,
        environment_height_m=0.0,
        sensitivity_dbm=-loss,
        noise_dbm=-300.0,
    )
    channel = RangeLossChannel(params, 11)

    def signs(t_ns: int, forward: bool) -> list[bool]:
        ids = list(range(1, 401))
        many, one = stations(ids, [0.0] * 400), stations([5000], [100.0])
        if forward:
            fate, _ = channel.fates(rows(many), one, t_ns)
        else:
            fate, _ = channel.fates(rows(one), many, t_ns)
        return [bool(f == Fate.BELOW_SENSITIVITY) for f in fate.ravel()]

    assert signs(0, True) == signs(0, False)
    assert 0.42 < np.mean(signs(0, True)) < 0.58
    same_soon = np.mean(np.equal(signs(0, True), signs(100 * MS, True)))
    same_late = np.mean(np.equal(signs(0, True), signs(60_000 * MS, True)))
    assert same_soon > 0.95
    assert 0.4 < same_late < 0.6


def test_the_kernel_equals_its_plain_python_form() -> None:
    params = RangeLossParams()
    channel = RangeLossChannel(params, 9)
    tx, rx = stations([1, 2, 3], [0.0, 200.0, 330.0]), stations([3, 40], [330.0, 20.0], 6.0)
    fast, _ = channel.fates(rows(tx, 4), rx, 1234 * MS)
    slow = np.zeros_like(fast)
    with np.errstate(over="ignore"):
        _kernels.range_loss.py_func(
            channel._key, 1234 * MS, tx.id, tx.x_m, tx.y_m, tx.height_m, rows(tx, 4).seq,
            rx.id, rx.x_m, rx.y_m, rx.height_m, channel._params, channel._error, channel._normal, slow,
        )  # fmt: skip
    assert fast.tolist() == slow.tolist()


def test_wrong_parameters_name_key_and_value() -> None:
    with pytest.raises(ConfigError, match=r"radio\.range_loss\.shadow_std_db = -1\.0"):
        RangeLossParams(shadow_std_db=-1.0)
    with pytest.raises(ConfigError, match=r"radio\.range_loss\.curve = 'x', expected one of lte_"):
        RangeLossParams(curve="x")
    with pytest.raises(ConfigError, match="preset 'x' does not exist; presets are default, umh_m4"):
        range_loss_preset("x")
    assert range_loss_preset("default") == RangeLossParams()
    assert isinstance(make_channel(IdealParams(), 1), IdealChannel)
    assert isinstance(make_channel(RangeLossParams(), 1), RangeLossChannel)
