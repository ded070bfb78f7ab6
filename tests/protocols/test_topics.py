"""The topic table is complete and consistent with messages, units and the issue's periods."""

from __future__ import annotations

from typing import get_args

import pytest

from protocols import codec
from protocols.errors import CodecError
from protocols.messages import Message
from protocols.simtime import ticks
from protocols.topics import TOPICS, Sender, sender_kind, topic


def test_every_message_type_has_exactly_one_topic() -> None:
    carried = [row.message for row in TOPICS.values() if row.message is not None]
    assert sorted(kind.__name__ for kind in carried) == sorted(
        kind.__name__ for kind in get_args(Message)
    )
    assert set(carried) == set(codec.PROTO_CLASS)


def test_every_period_is_a_whole_number_of_base_ticks() -> None:
    for row in TOPICS.values():
        if row.period_ms is not None:
            assert ticks(row.period_ms, 10, row.name) >= 1


def test_spat_runs_at_ten_hertz_and_map_at_one() -> None:
    assert topic("v2x/spat").period_ms == 100
    assert topic("v2x/map").period_ms == 1000


def test_wall_clock_timings_are_never_compared() -> None:
    assert not topic("log/timing").is_compared
    assert topic("v2x/bsm").is_compared


def test_units_are_told_apart_by_their_name() -> None:
    assert sender_kind("obu/bus1") is Sender.OBU
    assert sender_kind("rsu/J1") is Sender.RSU
    assert sender_kind("fleet") is Sender.FLEET
    with pytest.raises(CodecError, match="'robot/x' starts with 'robot', expected one of obu, rsu"):
        sender_kind("robot/x")


def test_only_roadside_units_speak_for_signals() -> None:
    assert topic("v2x/spat").senders == {Sender.RSU}
    assert topic("cmd/signal").senders == {Sender.RSU}
    assert topic("v2x/ssm").senders == {Sender.RSU, Sender.OBU}  # whoever has sensors
    assert Sender.FLEET in topic("v2x/bsm").senders
