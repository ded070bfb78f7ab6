"""What a scene file says wrongly, as one sentence: the models' own words become ours, with the unit that the key's name promises.

A sentence is `WHERE: KEY: found VALUE; expected ....`; its parts are marked for `protocols.sentence`, so that pages have it in Chinese.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from protocols.sentence import phrase, say

# Endings of keys, the longest first, and the unit that such a number is in (docs/conventions.md).
UNITS = {
    "_per_hour": "1/h", "_mps3": "m/s3", "_mps2": "m/s2", "_radps": "rad/s", "_mps": "m/s", "_rad": "rad", "_dbm": "dBm", "_db": "dB",
    "_hz": "Hz", "_ms": "ms", "_m2": "m2", "_kg": "kg", "_deg": "deg", "_s": "s", "_m": "m",
}  # fmt: skip
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$"
LANE = r"^[^/\s]+/\d+/-?\d+$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
_FORMS = {
    NAME: phrase("expected a name of at most 64 letters, digits, dots, dashes and underscores"),
    LANE: phrase("expected a lane, written road/section/lane, such as 1/0/-2"),
    TIME: phrase("expected a time in UTC, such as 2026-05-18T00:30:00Z"),
}
_NUMBER = ("float_type", "float_parsing")
_WHOLE = ("int_type", "int_parsing", "int_from_float")
_WORDS = {
    "greater_than": phrase("expected greater than {gt:g}"),
    "greater_than_equal": phrase("expected greater than or equal to {ge:g}"),
    "less_than": phrase("expected less than {lt:g}"),
    "less_than_equal": phrase("expected less than or equal to {le:g}"),
    "multiple_of": phrase("expected a multiple of {multiple_of:g}"),
    "finite_number": phrase("expected a finite number"),
    "bool_type": phrase("expected true or false"),
    "bool_parsing": phrase("expected true or false"),
    "string_type": phrase("expected text in quotes"),
    "string_too_short": phrase("expected text of at least {min_length:d} characters"),
    "string_too_long": phrase("expected text of at most {max_length:d} characters"),
    "string_pattern_mismatch": phrase("expected text that matches the pattern {pattern}"),
    "too_short": phrase("expected a list of at least {min_length:d}, not {actual_length:d}"),
    "too_long": phrase("expected a list of at most {max_length:d}, not {actual_length:d}"),
    "tuple_type": phrase("expected a list, such as [1, 2]"),
    "list_type": phrase("expected a list, such as [1, 2]"),
    "dict_type": phrase("expected a table, such as {{ a = 1 }}"),
    "model_type": phrase("expected a table, such as {{ a = 1 }}"),
    "model_attributes_type": phrase("expected a table, such as {{ a = 1 }}"),
}


def wrong_value(where: str, key: str, error: Mapping[str, Any]) -> str:
    """One of pydantic's errors about a value. `key` may be empty: then `where` is the whole place."""
    if error["type"] == "value_error":
        what = error.get("ctx", {}).get("error", error["msg"])
        if key:
            return say("{where!s}: {key}: {what!s}.", where=where, key=key, what=what)
        return say("{where!s}: {what!s}.", where=where, what=what)
    found = repr(error["input"])
    if len(found) > 60:
        found = f"{found[:57]}..."
    if key:
        words = phrase("{where!s}: {key}: found {value}; {expected!s}.")
        return say(words, where=where, key=key, value=found, expected=expected(key, error))
    words = phrase("{where!s}: found {value}; {expected!s}.")
    return say(words, where=where, value=found, expected=expected(where, error))


def unknown_key(where: str, key: str, known: Iterable[str]) -> str:
    """A key that is none; `known` are those that could stand there."""
    names = list(known)
    close = difflib.get_close_matches(key.rpartition(".")[2], names, 3, 0.5)
    words = phrase("{where!s}: unknown key '{key}'. Known: {names}.")
    if close:
        words = phrase("{where!s}: unknown key '{key}'. Nearest known: {names}.")
    return say(words, where=where, key=key, names=", ".join(close or names))


def expected(key: str, error: Mapping[str, Any]) -> str:
    """What could have stood there: 'expected a bare number, in s'."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _NUMBER or kind in _WHOLE:
        return _number(key, kind in _WHOLE)
    if kind == "literal_error":
        return say("expected one of {names}", names=str(context["expected"]).replace(" or ", ", "))
    if kind == "string_pattern_mismatch" and context["pattern"] in _FORMS:
        return _FORMS[context["pattern"]]
    if kind in _WORDS:
        return say(_WORDS[kind], **context)
    message = str(error["msg"])
    return message[:1].lower() + message[1:]


def _number(key: str, is_whole: bool) -> str:
    own = key.rpartition(".")[2]
    if own.isdecimal():  # an entry of a list
        own = key.rpartition(".")[0].rpartition(".")[2]
    unit = next((unit for ending, unit in UNITS.items() if own.endswith(ending)), "")
    if is_whole:
        return say("expected a whole number, in {unit:s}", unit=unit) if unit else phrase("expected a whole number")  # fmt: skip
    return say("expected a bare number, in {unit:s}", unit=unit) if unit else phrase("expected a number")  # fmt: skip
