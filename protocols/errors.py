"""Every error the platform raises on purpose, and the exit code it becomes.

::

    IcvError                     anything we raise for a user to read
    ├── InputError               exit 2: a file, key, option or message from outside is wrong
    │   ├── ConfigError          scene file, --set, criteria
    │   ├── RoadError            OpenDRIVE file: broken, missing, unreadable lane or route
    │   └── LogError             MCAP log: truncated header, unknown schema, not ours
    ├── CodecError               bytes or values outside a message's range (input when it comes from outside)
    ├── InfrastructureError      exit 3: a unit, a server or a carrier failed; not the scenario's fault
    │   └── UnitError            names the unit and the tick
    └── NothingRanError          exit 4: no scenario, no criterion

A message says what was found, what was expected, where (file and key, or tick, topic, station), what to do next.
"""

from __future__ import annotations


class IcvError(Exception):
    """Base of everything raised on purpose; `exit_code` is what the command line returns."""

    exit_code: int = 3


class InputError(IcvError):
    """Something from outside is wrong; the sentence names file and key."""

    exit_code = 2


class ConfigError(InputError):
    """A scene file, an override or a criterion cannot be used as written."""


class RoadError(InputError):
    """A road file is broken, missing, or lacks what the scene asks of it."""


class LogError(InputError):
    """A log cannot be read or is not one of ours."""


class CodecError(InputError):
    """Bytes or values outside what a message may carry."""


class InfrastructureError(IcvError):
    """Machinery failed: a unit, a server, a carrier. Not a verdict about the scenario."""

    exit_code = 3


class UnitError(InfrastructureError):
    """A unit died, was late or answered nonsense; the sentence names unit and tick."""


class NothingRanError(IcvError):
    """There was nothing to run or nothing to judge."""

    exit_code = 4


def said(error: BaseException) -> str:
    """An error of somebody else's code, as text that every file and socket takes: half a surrogate is none."""
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
