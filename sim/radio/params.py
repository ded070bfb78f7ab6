"""Parameters of the radio models, and their presets from `presets.toml` (each with source and confidence)."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError
from protocols.sentence import phrase, say

_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class IdealParams:
    """Everybody within range hears everything, after a fixed latency."""

    latency_ms: float = 10.0
    max_range_m: float = math.inf

    def __post_init__(self) -> None:
        _at_least("ideal", "latency_ms", self.latency_ms, 0.0)
        _at_least("ideal", "max_range_m", self.max_range_m, 0.0)


@dataclass(frozen=True, slots=True)
class RangeLossParams:
    """WINNER+ B1 line of sight, shadowing per link, packet errors from a link curve. Defaults: preset `default`."""

    frequency_ghz: float = 5.915
    tx_power_dbm: float = 23.0
    antenna_gain_db: float = 6.0  # both ends together
    environment_height_m: float = 1.0  # subtracted from both antenna heights
    noise_dbm: float = -102.0  # over the bandwidth of the transmission
    sensitivity_dbm: float = -90.5
    shadow_std_db: float = 3.0
    shadow_period_ms: float = 2000.0  # shadowing is fresh after two of these
    max_range_m: float = 1500.0
    latency_ms: float = 20.0
    curve: str = "lte_qpsk07_190B"

    def __post_init__(self) -> None:
        _at_least("range_loss", "frequency_ghz", self.frequency_ghz, 0.1)
        _at_least("range_loss", "shadow_std_db", self.shadow_std_db, 0.0)
        _at_least("range_loss", "shadow_period_ms", self.shadow_period_ms, 1.0)
        _at_least("range_loss", "max_range_m", self.max_range_m, 0.0)
        _at_least("range_loss", "latency_ms", self.latency_ms, 0.0)
        for name in ("tx_power_dbm", "antenna_gain_db", "noise_dbm", "sensitivity_dbm"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(say("radio.range_loss.{name} is not a finite number", name=name))
        if self.curve not in _data()["curve"]:
            raise ConfigError(
                say(
                    "radio.range_loss.curve = {curve!r}, expected one of {names}",
                    curve=self.curve, names=", ".join(sorted(_data()["curve"])),
                )
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Curve:
    """Packet error over signal-to-noise ratio, linear between points, 1 below them, `floor` above."""

    snr_db: tuple[float, ...]
    packet_error: tuple[float, ...]
    floor: float


def range_loss_preset(name: str) -> RangeLossParams:
    """A named set of parameters; ConfigError lists the names."""
    presets = _data()["range_loss"]
    if name not in presets:
        raise ConfigError(
            say("radio preset {name!r} does not exist; presets are {names}", name=name, names=", ".join(sorted(presets)))
        )  # fmt: skip
    row = {k: v for k, v in presets[name].items() if k not in ("source", "confidence")}
    return RangeLossParams(**row)


def from_table(radio: Mapping[str, Any]) -> IdealParams | RangeLossParams:
    """The radio model that a scene's table names, with its own values over the preset's; ConfigError names the key."""
    table = dict(radio)
    model = table.pop("model", "ideal")
    if model not in ("ideal", "range_loss"):
        raise ConfigError(
            say("radio.model: unknown radio model {model!r}; expected 'ideal' or 'range_loss'.", model=model)
        )  # fmt: skip
    preset = table.pop("preset", None)
    if preset is not None and (model == "ideal" or not isinstance(preset, str)):
        raise ConfigError(say("radio.preset: presets are names of the 'range_loss' model."))
    base: IdealParams | RangeLossParams
    try:
        if model == "ideal":
            base = IdealParams()
        else:
            base = range_loss_preset(preset if isinstance(preset, str) else "default")
    except ConfigError as error:
        raise ConfigError(say("radio.preset: {why!s}", why=error)) from None
    known = type(base).__dataclass_fields__
    for key, value in table.items():
        if key not in known:
            raise ConfigError(
                say("radio.{key}: unknown key of radio model '{model}'; known: {names}.", key=key, model=model, names=", ".join(known))
            )  # fmt: skip
        is_text = known[key].type == "str"
        if is_text != isinstance(value, str) or (
            not is_text and (isinstance(value, bool) or not isinstance(value, (int, float)))
        ):
            words = phrase("radio.{key}: found {value!r}, expected a number.")
            if is_text:
                words = phrase("radio.{key}: found {value!r}, expected a name.")
            raise ConfigError(say(words, key=key, value=value))
    return replace(base, **table)


def curve(name: str) -> Curve:
    """A named link curve (the name was checked with the parameters)."""
    row = _data()["curve"][name]
    return Curve(tuple(row["snr_db"]), tuple(row["packet_error"]), row["floor"])


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _at_least(model: str, field: str, value: float, low: float) -> None:
    if not value >= low:
        raise ConfigError(
            say("radio.{model}.{field} = {value}, expected at least {low}", model=model, field=field, value=value, low=low)
        )  # fmt: skip
