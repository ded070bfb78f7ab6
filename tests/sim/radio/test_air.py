"""The air delivers each message once, never in the tick it was sent, in one order, with only the rows that were heard."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from protocols.messages import BasicSafetyBatch, VehicleIntention
from protocols.roads.network import U8
from protocols.simtime import Now
from sim.radio.air import Air
from sim.radio.channel import IdealChannel, SentRows, Stations
from sim.radio.fates import I64, Fate
from sim.radio.params import IdealParams
from tests.protocols.samples import bsm, samples

TICK = 10_000_000


def now(tick: int) -> Now:
    return Now(tick, tick * TICK)


def at(ids: list[int], xs: list[float]) -> Stations:
    return Stations(np.array(ids, np.uint32), np.array(xs), np.zeros(len(ids)), np.ones(len(ids)))


def intention(number: int) -> VehicleIntention:
    message = samples()["v2x/vir"]
    assert isinstance(message, VehicleIntention)
    return dataclasses.replace(message, request_id=number)


def test_what_is_sent_in_a_tick_is_heard_in_the_next_at_the_earliest() -> None:
    air = Air(IdealChannel(IdealParams(latency_ms=0.0)), TICK)
    air.send("obu/a", "v2x/vir", intention(1), bytes(60), at([1], [0.0]))
    air.propagate(now(5), ["obu/a", "rsu/b"], at([1, 2], [0.0, 10.0]))
    assert air.collect("rsu/b", now(5)) == ()
    (got,) = air.collect("rsu/b", now(6))
    assert (got.topic, got.sender, got.seq) == ("v2x/vir", "obu/a", 0)
    assert (got.sent_ns, got.deliver_ns) == (5 * TICK, 6 * TICK)
    assert air.collect("rsu/b", now(7)) == ()
    assert air.collect("obu/a", now(7)) == ()  # nobody hears himself


def test_latency_counts_from_sending_and_is_kept_across_ticks() -> None:
    air = Air(IdealChannel(IdealParams(latency_ms=25.0)), TICK)
    air.send("obu/a", "v2x/vir", intention(1), bytes(60), at([1], [0.0]))
    fates = air.propagate(now(0), ["rsu/b"], at([2], [10.0]))
    assert fates is not None
    assert fates.latency_us().tolist() == [25_000]
    assert air.collect("rsu/b", now(2)) == ()
    assert len(air.collect("rsu/b", now(3))) == 1


def test_inboxes_are_sorted_by_delivery_sender_and_sequence() -> None:
    air = Air(IdealChannel(IdealParams(latency_ms=0.0)), TICK)
    receivers, places = ["rsu/x"], at([9], [0.0])
    for tick, senders in ((0, ["obu/b", "obu/a", "obu/b"]), (1, ["obu/a"])):
        for sender in senders:
            air.send(sender, "v2x/vir", intention(tick), bytes(60), at([1], [5.0]))
        air.propagate(now(tick), receivers, places)
    got = [(r.deliver_ns // TICK, r.sender, r.seq) for r in air.collect("rsu/x", now(2))]
    assert got == [(1, "obu/a", 0), (1, "obu/b", 0), (1, "obu/b", 1), (2, "obu/a", 1)]


def test_a_batch_arrives_with_only_the_rows_that_were_heard() -> None:
    air = Air(IdealChannel(IdealParams(latency_ms=0.0, max_range_m=100.0)), TICK)
    batch = bsm(4)
    air.send("fleet", "v2x/bsm", batch, bytes(400), at([1, 2, 3, 4], [0.0, 500.0, 90.0, 901.0]))
    fates = air.propagate(now(0), ["rsu/near", "rsu/far"], at([50, 51], [0.0, 5000.0]))
    assert fates is not None
    assert fates.fate[:, 0].tolist() == [1, 2, 1, 2]
    assert fates.counts() == {Fate.DELIVERED: 2, Fate.OUT_OF_RANGE: 6}
    (got,) = air.collect("rsu/near", now(1))
    assert isinstance(got.message, BasicSafetyBatch)
    assert got.message.station_id.tolist() == batch.station_id[[0, 2]].tolist()
    assert got.message.speed_mps.tolist() == batch.speed_mps[[0, 2]].tolist()
    assert air.collect("rsu/far", now(1)) == ()


def test_rows_with_different_delays_arrive_as_separate_messages() -> None:
    class Staggered:
        def fates(self, sent: SentRows, receivers: Stations, t_ns: int) -> tuple[U8, I64]:
            deliver = t_ns + TICK * np.array([[1], [3], [1]])
            return np.ones((3, 1), np.uint8), deliver

    air = Air(Staggered(), TICK)
    batch = bsm(3)
    air.send("fleet", "v2x/bsm", batch, bytes(400), at([1, 2, 3], [0.0, 0.0, 0.0]))
    air.propagate(now(0), ["rsu/a"], at([9], [0.0]))
    early, late = air.collect("rsu/a", now(3))
    assert isinstance(early.message, BasicSafetyBatch)
    assert isinstance(late.message, BasicSafetyBatch)
    assert early.message.x_m.tolist() == batch.x_m[[0, 2]].tolist()
    assert late.message.x_m.tolist() == batch.x_m[[1]].tolist()


def test_overhead_and_share_of_the_payload_make_the_bytes_on_the_air() -> None:
    seen: list[SentRows] = []

    class Listening:
        def fates(self, sent: SentRows, receivers: Stations, t_ns: int) -> tuple[U8, I64]:
            seen.append(sent)
            shape = (sent.seq.size, receivers.id.size)
            return np.full(shape, 2, np.uint8), np.zeros(shape, np.int64)

    air = Air(Listening(), TICK)
    air.send("fleet", "v2x/bsm", bsm(2), bytes(180), at([1, 2], [0.0, 0.0]))
    air.send("obu/a", "v2x/vir", intention(1), bytes(60), at([3], [0.0]))
    air.propagate(now(0), ["rsu/a"], at([9], [0.0]))
    assert seen[0].size_bytes.tolist() == [90 + 120, 90 + 120, 60 + 120]
    assert seen[0].priority.tolist() == [5, 5, 5]


def test_a_batch_from_too_few_places_is_refused() -> None:
    air = Air(IdealChannel(IdealParams()), TICK)
    with pytest.raises(ValueError, match="3 rows sent from 1 places"):
        air.send("fleet", "v2x/bsm", bsm(3), bytes(100), at([1], [0.0]))


def test_nothing_sent_means_no_fates() -> None:
    air = Air(IdealChannel(IdealParams()), TICK)
    assert air.propagate(now(0), ["rsu/a"], at([1], [0.0])) is None
