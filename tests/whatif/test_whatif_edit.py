"""How edits are written, and how messages are changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import codec
from protocols.errors import CodecError, InputError
from protocols.messages import Light, Spat
from sim.whatif.edit import Corrupt, Delay, Drop, Edit, Forge, Selector, parse, parse_window
from sim.whatif.rewrite import from_json, with_bits, with_field
from tests.protocols.samples import bsm, samples

NS = st.integers(0, 86_400_000_000_000)
NAME = st.from_regex(r"\A(obu|rsu)/[A-Za-z0-9_.\-]{1,20}\Z") | st.just("fleet")
TOPIC = st.sampled_from(("v2x/bsm", "v2x/spat", "v2x/map", "v2x/rsm", "v2x/ssm", "v2x/vir", "v2x/rsc"))  # fmt: skip


@st.composite
def selectors(draw: st.DrawFn, receivers: bool = True) -> Selector:
    topic, sender = draw(TOPIC), draw(NAME)
    # A dot in a receiver's name cannot be told from a field's, so such names are tried without fields below.
    receiver = draw(st.none() | NAME) if receivers else None
    form = draw(st.integers(0, 2))
    if form == 0:
        return Selector(topic, sender, draw(st.integers(0, 2**32 - 1)), receiver=receiver)
    start = draw(NS)
    end = draw(st.integers(start + 1, start + 10**12)) if form == 1 else None
    end = min(end, 86_400_000_000_000) if end is not None else None
    if end is not None and end <= start:
        end = None
    return Selector(topic, sender, None, start, end, receiver)


@given(selectors(), st.integers(1, 600_000_000_000))
def test_a_drop_or_delay_reads_back_as_it_is_written(which: Selector, by_ns: int) -> None:
    assert parse("drop", str(Drop(which))) == Drop(which)
    assert parse("delay", str(Delay(which, by_ns))) == Delay(which, by_ns)


def test_a_dot_in_a_receivers_name_is_no_field_of_a_delay() -> None:
    which = Selector("v2x/bsm", "obu/0", 0, receiver="obu/car.A")
    assert parse("delay", "v2x/bsm:obu/0:0->obu/car.A=+200ms") == Delay(which, 200_000_000)


@given(
    selectors(receivers=False),
    st.sampled_from(("x_m", "x_m[3]", "phases[12].light", "lanes[*].movements[0].phase_id")),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=30),
    st.booleans(),
)  # fmt: skip
def test_a_corruption_reads_back_as_it_is_written(
    which: Selector, field: str, value: str, is_added: bool
) -> None:
    for edit in (Corrupt(which, field, value, is_added), Corrupt(which, bits=17)):
        assert parse("corrupt", str(edit)) == edit


def test_times_are_exact() -> None:
    edit = parse("drop", "v2x/rsm:rsu/J2@0.1..12.000000001->obu/bus1")
    assert edit == Drop(
        Selector("v2x/rsm", "rsu/J2", None, 100_000_000, 12_000_000_001, "obu/bus1")
    )
    assert parse("delay", "v2x/rsm:rsu/J2:5=+200ms") == parse("delay", "v2x/rsm:rsu/J2:5=0.2s")
    assert parse_window("1.5..2") == (1_500_000_000, 2_000_000_000)


def test_a_forged_message_comes_from_text_or_file(tmp_path: Path) -> None:
    text = '{"node_id": 3, "name": "x@y:z->w"}'
    inline = parse("forge", f"v2x/spat:rsu/J1@8.5->obu/bus1:{text}")
    assert inline == Forge("v2x/spat", "rsu/J1", 8_500_000_000, text, "obu/bus1")
    file = tmp_path / "spat.json"
    file.write_text(text)
    assert parse("forge", f"v2x/spat:rsu/J1@8.5->obu/bus1:{file}") == inline
    # What stands in a log's header may not name files.
    with pytest.raises(InputError, match="expected"):
        parse("forge", f"v2x/spat:rsu/J1@8.5:{file}", may_read_files=False)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("drop", "nonsense", "a message is written"),
        ("drop", "v2x/foo:rsu/J1:3", "does not exist"),
        ("drop", "cmd/signal:rsu/J1:3", "not sent on the air"),
        ("drop", "v2x/rsm:rsu/J1@5..4", "not after its start"),
        ("drop", "v2x/rsm:rsu/J1@5..6..7", "a message is written"),
        ("drop", "v2x/rsm:rsu/J1:3=+2s", "is too much"),
        ("drop", "v2x/rsm:rsu/J1@86401", "up to 86400"),
        ("delay", "v2x/rsm:rsu/J1:3", "expected M=\\+200ms"),
        ("delay", "v2x/rsm:rsu/J1:3=+601s", "at most 600 s"),
        ("delay", "v2x/rsm:rsu/J1:3=0ms", "more than nothing"),
        ("corrupt", "v2x/rsm:rsu/J1:3.bits=0", "expected 1..4096"),
        ("corrupt", "v2x/rsm:rsu/J1:3.bits=x", "expected 1..4096"),
        ("forge", "v2x/rsm:rsu/J1:3:{}", "expected TOPIC:SENDER@T"),
        ("forge", "v2x/rsm:rsu/J1@3:/no/such/file", "neither JSON nor a file"),
        ("forge", "v2x/rsm:rsu/J1@3..4:{}", "expected TOPIC:SENDER@T"),
        ("lose", "v2x/rsm:rsu/J1:3", "expected one of"),
        ("drop", "v2x/rsm:" + "x" * 300_000, "characters"),
    ],
)
def test_what_is_no_edit_is_refused_in_a_sentence(kind: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        parse(kind, text)
    assert len(str(caught.value)) < 600


@given(st.sampled_from(("drop", "delay", "corrupt", "forge")), st.text(max_size=60))
def test_any_text_is_an_edit_or_refused(kind: str, tail: str) -> None:
    for text in (tail, "v2x/rsm:rsu/J1:3" + tail, "v2x/rsm:rsu/J1@3" + tail):
        try:
            edit: Edit = parse(kind, text, may_read_files=False)
        except InputError:
            continue
        assert parse(kind, str(edit), may_read_files=False) == edit


# -- fields ------------------------------------------------------------------------------------------------------


def test_a_field_of_every_message_can_be_changed_and_nothing_else_is() -> None:
    for topic, path, value, want in (
        ("v2x/bsm", "speed_mps[1]", "12.5", 12.5),
        ("v2x/spat", "name", "K9", "K9"),
        ("v2x/map", "x_m", "-3", -3.0),
        ("v2x/rsm", "node_id", "77", 77),
        ("v2x/ssm", "participants.x_m[0]", "4", 4.0),
        ("v2x/vir", "is_cancel", "false", False),
        ("v2x/rsc", "status", "REJECTED", 4),
    ):
        message = samples()[topic]
        changed = with_field(message, path, value)
        head = path.partition(".")[0].partition("[")[0]
        for field in dataclasses.fields(message):
            old, new = getattr(message, field.name), getattr(changed, field.name)
            if field.name != head:
                assert repr(old) == repr(new), (topic, field.name)
        found = getattr(changed, head)
        if "." in path:
            found = found.x_m
        assert (found[int(path[-2])] if path.endswith("]") else found) == want


def test_parts_columns_and_sums() -> None:
    spat = samples()["v2x/spat"]
    assert isinstance(spat, Spat)
    red = with_field(spat, "phases[*].light", "red")
    assert isinstance(red, Spat) and {phase.light for phase in red.phases} == {Light.RED}
    later = with_field(spat, "phases[0].start_ns", "1000", is_added=True)
    assert isinstance(later, Spat)
    assert later.phases[0].start_ns == spat.phases[0].start_ns + 1000
    gone = with_field(spat, "phases[0].likely_end_ns", "none")
    assert isinstance(gone, Spat) and gone.phases[0].likely_end_ns is None
    batch = bsm(4)
    moved = with_field(batch, "x_m", "10", is_added=True)
    assert np.array_equal(moved.x_m, batch.x_m + 10.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("foo", "1", "has no field 'foo'"),
        ("x_m[4]", "1", "has 4 rows"),
        ("x_m[0]", "fast", "expected a number"),
        ("x_m[0]", "nan", "finite"),
        ("x_m[0].y", "1", "column of numbers"),
        ("station_id[0]", "-1", "expected 0..4294967295"),
        ("kind[0]", "99", "kind"),
        ("t_ns[0]", "1", "one value"),
        ("t_ns", "1.5", "whole number"),
        ("t_ns", "-1", "t_ns"),
    ],
)
def test_a_change_that_is_none_says_why(path: str, value: str, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        with_field(bsm(4), path, value)


def test_flipped_bits_are_as_many_as_asked_and_the_same_every_time() -> None:
    data = codec.encode(bsm(5))
    one, two = (
        with_bits(data, 9, 7, "what_if/0/fleet/3"),
        with_bits(data, 9, 7, "what_if/0/fleet/3"),
    )
    assert one == two != with_bits(data, 9, 8, "what_if/0/fleet/3")
    assert sum((a ^ b).bit_count() for a, b in zip(data, one, strict=True)) == 9
    assert with_bits(b"\x0f", 100, 1, "x") == b"\xf0"


def test_a_message_from_json_is_checked_like_one_from_the_air() -> None:
    message = from_json("v2x/vir", '{"station_id": 5, "node_id": 2, "phase_id": 1}', 42)
    assert (message.t_ns, message.station_id) == (42, 5)  # type: ignore[union-attr]
    for text in ("{", "[1]", '{"station": 5}', '{"station_id": -5}', '{"distance_m": "NaN"}'):
        with pytest.raises(CodecError) as said:
            from_json("v2x/vir", text, 42)
        assert "\n" not in str(said.value)
    with pytest.raises(
        CodecError, match=r"no field named .station..*; its fields are t_ns, station_id"
    ):
        from_json("v2x/vir", '{"station": 5}', 42)
