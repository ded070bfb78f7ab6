"""Messages lost, late, kept apart and garbled: exactly those that a fault names, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocols import codec
from protocols.errors import CodecError
from protocols.simtime import Now
from scenarios.fault_spec import GarbageSpec, MessageDelaySpec, MessageLossSpec, PartitionSpec
from sim.faults.messages import MessageFaults
from sim.faults.windows import window
from sim.radio.air import Air
from sim.radio.channel import IdealChannel, Stations
from sim.radio.fates import Fate
from sim.radio.params import IdealParams
from tests.protocols.samples import bsm, samples

S = 1_000_000_000
NAMES = ("obu/a", "obu/b", "rsu/X", "rsu/Y")
D, U = Fate.DELIVERED, Fate.UNSPECIFIED


def struck(
    faults: MessageFaults, sender: str = "fleet", topic: str = "v2x/bsm", seq: int = 0, rows: int = 1,
    t_ns: int = S, was: Fate = D,
) -> tuple[Any, Any]:  # fmt: skip
    """(fate, delay) after the faults, everything delivered at once before."""
    fate = np.full((rows, len(NAMES)), was, np.uint8)
    deliver = np.full(fate.shape, t_ns, np.int64)
    ids = np.arange(1, rows + 1, dtype=np.uint32)
    faults.strike(t_ns, sender, topic, seq, ids, NAMES, fate, deliver)
    return fate, deliver - t_ns


def one(spec: Any, seed: int = 1) -> MessageFaults:
    return MessageFaults(seed, [window(0, spec)])


def test_a_partition_separates_exactly_the_groups_it_names() -> None:
    spec = PartitionSpec(kind="partition", at_s=1, until_s=2, groups=(("obu/a", "rsu/X"), ("obu/b",)))  # fmt: skip
    faults = one(spec)
    p = Fate.PARTITION
    expected = {  # receivers a, b, X, Y; Y and the fleet are in no group
        "obu/a": [D, p, D, D], "obu/b": [p, D, p, D], "rsu/X": [D, p, D, D], "rsu/Y": [D] * 4, "fleet": [D] * 4,
    }  # fmt: skip
    assert {sender: struck(faults, sender)[0][0].tolist() for sender in expected} == expected
    for t_ns in (S - 1, 2 * S):
        assert struck(faults, "obu/b", t_ns=t_ns)[0][0].tolist() == [D] * 4


def test_loss_strikes_the_senders_receivers_and_topics_it_names() -> None:
    spec = MessageLossSpec(
        kind="message_loss", at_s=0, share=1.0, senders=("obu/a",), receivers=("rsu/X",), topics=("v2x/vir",)
    )  # fmt: skip
    faults = one(spec)
    assert struck(faults, "obu/a", "v2x/vir")[0][0].tolist() == [D, D, Fate.LOSS_FAULT, D]
    assert struck(faults, "obu/b", "v2x/vir")[0][0].tolist() == [D] * 4
    assert struck(faults, "obu/a", "v2x/bsm")[0][0].tolist() == [D] * 4


def test_loss_has_its_share_and_draws_are_independent() -> None:
    faults = one(MessageLossSpec(kind="message_loss", at_s=0, share=0.3))
    lost = np.array([struck(faults, seq=seq, rows=50)[0] == Fate.LOSS_FAULT for seq in range(100)])
    n = lost.size  # 20,000 draws; three sigma of a mean
    assert abs(lost.mean() - 0.3) < 3 * (0.3 * 0.7 / n) ** 0.5
    for axis in ((1, 2), (0, 2), (0, 1)):  # by message, row, receiver: none stands out
        share = lost.mean(axis=axis)
        per = n / share.size
        assert np.abs(share - 0.3).max() < 4.5 * (0.3 * 0.7 / per) ** 0.5
    both = (lost[:, :, 0] & lost[:, :, 1]).mean()
    assert both == pytest.approx(0.09, abs=0.015)


def test_a_draw_belongs_to_message_row_and_receiver_not_to_company_or_order() -> None:
    spec = MessageLossSpec(kind="message_loss", at_s=0, share=0.5)
    together = struck(one(spec), rows=64)[0]
    ids = np.arange(64, 0, -1, dtype=np.uint32)
    fate = np.full((64, 2), D, np.uint8)
    one(spec).strike(S, "fleet", "v2x/bsm", 0, ids, ("rsu/X", "obu/a"), fate, np.zeros((64, 2), np.int64))  # fmt: skip
    assert np.array_equal(fate, together[::-1][:, [2, 0]])
    assert not np.array_equal(struck(one(spec, seed=2), rows=64)[0], together)
    assert not np.array_equal(struck(one(spec), rows=64, seq=1)[0], together)


def test_delay_adds_to_what_the_channel_takes() -> None:
    spec = MessageDelaySpec(kind="message_delay", at_s=0, delay_s=0.25, receivers=("obu/b",))
    assert struck(one(spec))[1][0].tolist() == [0, 250_000_000, 0, 0]
    two = MessageFaults(1, [window(0, spec), window(1, spec)])
    assert struck(two)[1][0, 1] == 500_000_000


@pytest.mark.parametrize("was", [Fate.UNSPECIFIED, Fate.OUT_OF_RANGE, Fate.PROPAGATION])
def test_what_the_channel_has_lost_keeps_its_reason(was: Fate) -> None:
    garbage = {"fleet": [window(2, GarbageSpec(kind="garbage", at_s=0, unit="fleet"))]}
    windows = [
        window(0, MessageLossSpec(kind="message_loss", at_s=0, share=1.0)),
        window(1, PartitionSpec(kind="partition", at_s=0, groups=(("fleet",), NAMES))),
    ]
    fate = struck(MessageFaults(1, windows, garbage), was=was)[0]  # type: ignore[arg-type]
    assert set(fate.ravel().tolist()) == {int(was)}


@pytest.mark.parametrize("topic", [name for name in samples() if name.startswith("v2x/")])
def test_garbage_is_refused_by_the_decoder_of_every_topic_and_the_same_every_time(
    topic: str,
) -> None:
    faults = MessageFaults(1)
    data = codec.encode(samples()[topic])
    for k in range(50):
        out = faults.garbled("obu/a", k, topic, data)
        assert out == faults.garbled("obu/a", k, topic, data)
        assert len(out) == max(len(data), 8)
        with pytest.raises(CodecError):
            codec.decode(topic, out)
    assert faults.garbled("obu/a", 1, topic, b"") != b""


def test_garbage_is_heard_by_nobody_and_the_log_knows_why() -> None:
    spec = GarbageSpec(kind="garbage", unit="obu/a", at_s=1, until_s=2)
    faults = MessageFaults(1, garbage={"obu/a": [window(0, spec)]})
    air = Air(IdealChannel(IdealParams(max_range_m=100.0)), 10_000_000, faults.strike)
    places = Stations(
        np.arange(1, 5, dtype=np.uint32), np.array([0.0, 10.0, 20.0, 999.0]), np.zeros(4), np.ones(4)
    )  # fmt: skip
    for number, t_ns in enumerate((0, S, 2 * S)):
        message = replace(bsm(1), t_ns=t_ns)
        origin = Stations(np.array([1], np.uint32), np.zeros(1), np.zeros(1), np.ones(1))
        air.send("obu/a", "v2x/bsm", message, codec.encode(message), origin)
        fates = air.propagate(Now(number, t_ns), NAMES, places)
        assert fates is not None
        x = Fate.GARBLED if t_ns == S else D
        assert fates.fate[0].tolist() == [U, x, x, Fate.OUT_OF_RANGE]
        assert bool(air.collect("obu/b", Now(number + 5, t_ns + S // 2))) is (t_ns != S)


def test_the_numbers_of_fates_are_those_of_the_wire() -> None:
    from protocols.v1 import log_pb2

    names = {int(fate): f"FATE_{fate.name}" for fate in Fate}
    assert {v.number: v.name for v in log_pb2.Fate.DESCRIPTOR.values} == names
