"""Values with their unit, as the name of the field says it: `speed_mps` is in m/s. Stamps are stored in ns and shown in s."""

from __future__ import annotations

from sim.diff.model import NOTHING

_UNITS = (  # longest ending first
    ("_per_hour", "1/h"), ("_per_s", "1/s"), ("_per_m", "1/m"), ("_radps", "rad/s"), ("_mps3", "m/s3"), ("_mps2", "m/s2"),
    ("_mps", "m/s"), ("_rad", "rad"), ("_dbm", "dBm"), ("_bytes", "bytes"), ("_m2", "m2"), ("_hz", "Hz"), ("_db", "dB"),
    ("_kg", "kg"), ("_ns", "s"), ("_us", "us"), ("_ms", "ms"), ("_m", "m"), ("_s", "s"),
)  # fmt: skip
_UNKNOWN = "-1"  # an optional stamp that is not there


def unit(field: str) -> str:
    """The unit of a field's values as they are shown; empty for none."""
    name = field.rpartition("[")[0] if field.endswith("]") else field  # an element of a list
    return next((text for ending, text in _UNITS if name.endswith(ending)), "")


def valued(field: str, text: str) -> str:
    """A value's text with its unit; texts that are no numbers stay as they are."""
    if text == NOTHING or not text.lstrip("-")[:1].isdigit():
        return text
    of = unit(field)
    if field.endswith("_ns"):
        if text == _UNKNOWN:
            return "unknown"
        if not text.lstrip("-").isdigit():
            return text
        return f"{seconds(int(text))} s"
    return f"{text} {of}" if of else text


def amount(field: str, by: float, digits: int) -> str:
    """A difference with its unit."""
    of = unit(field)
    number = f"{by / 1e9 if field.endswith('_ns') else by:.{digits}g}"
    return f"{number} {of}" if of else number


def seconds(t_ns: int) -> str:
    """All digits of a stamp that there are, two behind the point at least."""
    sign = "-" if t_ns < 0 else ""
    whole, rest = divmod(abs(t_ns), 1_000_000_000)
    digits = f"{rest:09d}".rstrip("0")
    return f"{sign}{whole}.{digits.ljust(2, '0')}"


def delay(text: str) -> str:
    """A delay of the radio in ms, from "10000 us"."""
    number, _, of = text.partition(" ")
    if of != "us" or not number.isdigit():
        return text
    whole, rest = divmod(int(number), 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + " ms"
