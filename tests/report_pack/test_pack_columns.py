"""Columns survive their way into bytes and back, in every encoding, at every edge of their types."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.report.pack.columns import Table, decode, encode, entry, parse, section, unpack

INTEGERS = {"i8": np.int8, "u8": np.uint8, "i16": np.int16, "u16": np.uint16, "i32": np.int32, "u32": np.uint32}  # fmt: skip


@given(data=st.data(), name=st.sampled_from(sorted(INTEGERS)), flags=st.sampled_from(["", ":d", ":s", ":d:s"]))  # fmt: skip
def test_integers_come_back_exactly(data: st.DataObject, name: str, flags: str) -> None:
    info = np.iinfo(INTEGERS[name])
    numbers = data.draw(st.lists(st.integers(int(info.min), int(info.max)), max_size=50))
    values = np.array(numbers, np.int64)
    back = decode(encode(values, name + flags), name + flags, values.size)
    assert back.dtype == INTEGERS[name]
    assert back.tolist() == numbers


@given(st.lists(st.floats(-300.0, 300.0), max_size=50), st.sampled_from(["", ":d", ":s", ":d:s"]))
def test_scaled_numbers_come_back_within_half_a_step(numbers: list[float], flags: str) -> None:
    values = np.array(numbers, np.float64)
    back = decode(encode(values, "i16:0.01" + flags), "i16:0.01" + flags, values.size)
    assert np.abs(back - values).max(initial=0.0) <= 0.005 + 1e-9


def test_what_does_not_fit_is_clipped_and_nan_is_zero() -> None:
    values = np.array([1e9, -1e9, np.nan, np.inf, -np.inf])
    assert decode(encode(values, "i16:0.01"), "i16:0.01", 5).tolist() == pytest.approx(
        [327.67, -327.68, 0.0, 327.67, -327.68]
    )
    assert decode(encode(np.array([300, -1]), "u8"), "u8", 2).tolist() == [255, 0]


def test_floats_keep_nan() -> None:
    values = np.array([1.5, np.nan], np.float32)
    assert np.array_equal(decode(encode(values, "f32:s"), "f32:s", 2), values, equal_nan=True)


@pytest.mark.parametrize("text", ["", "i64", "i8:0.1:0.2", "f32:d", "f32:0.1", "u8:x"])
def test_what_is_no_encoding_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_section_says_how_long_its_columns_are() -> None:
    table = Table("block", (("t", "i32:d"), ("start", "i32:d"), ("x", "i16:0.1:s")))
    columns = {"t": np.array([5, 7]), "start": np.array([0, 1, 3]), "x": np.array([0.1, -0.2, 0.3])}
    made = section(table, columns)
    assert made.entry == entry(table, columns) == {"raw": 26, "rows": 3, "counts": {"t": 2}}
    back = unpack(made.deflated(6), table.columns, made.entry)
    assert {name: column.tolist() for name, column in back.items()} == {
        "t": [5, 7], "start": [0, 1, 3], "x": pytest.approx([0.1, -0.2, 0.3])
    }  # fmt: skip
    with pytest.raises(ValueError, match="the manifest says"):
        unpack(zlib.compress(made.raw + b"x"), table.columns, made.entry)
