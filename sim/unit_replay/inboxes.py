"""What a unit was called with, tick by tick: from the log where it was recorded, else by running the world once more.

The world is run again from the log's header. As long as a tick has its recorded digest, everything that led to the next inbox is as it
was, so the inboxes up to and including the first tick that differs are those of the recorded run.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from protocols.errors import InfrastructureError, LogError
from protocols.participant import Inbox
from protocols.simtime import Now
from protocols.unit_wire import MAX_FRAME_BYTES, decode_tick, encode_tick, parse_to_unit
from scenarios.spec import SceneSpec
from sim.compose import RunOptions, run_scene
from sim.log.reader import LogReader
from sim.log.replay import Departure, Recorded, ReplayCheck

_SIZE = struct.Struct("<I")


@dataclass(slots=True)
class Inboxes:
    """Frames in a file, or in a log. `departure`: where the world left the recording, None: it never did."""

    frames: Iterator[bytes]
    is_recorded: bool
    departure: Departure | None = None

    def each(self) -> Iterator[tuple[Now, Inbox]]:
        """In order of time; CodecError when a frame is none."""
        for frame in self.frames:
            yield decode_tick(parse_to_unit(frame).tick)


def recorded(log: LogReader, name: str) -> Inboxes | None:
    """Those that `record.inbox` has kept; None when it has not."""
    frames = (frame for sender, frame in log.inboxes() if sender == name)
    first = next(frames, None)
    if first is None:
        return None

    def every() -> Iterator[bytes]:
        yield first
        yield from frames

    return Inboxes(every(), is_recorded=True)


class _Enough(Exception):
    """The world has left the recording; later inboxes are not those of the log."""


def from_world(
    name: str, spec: SceneSpec, base: Path, run: Recorded, file: BinaryIO, progress: Callable[[float], None] | None
) -> Inboxes:  # fmt: skip
    """Runs the world again and keeps the inboxes of `name` in `file`, as far as they are the recorded ones."""
    check = ReplayCheck(run)

    def listen(now: Now, inboxes: Mapping[str, Inbox]) -> None:
        if check.departure is not None:
            raise _Enough
        inbox = inboxes.get(name)
        if inbox is not None:
            frame = encode_tick(now, inbox)
            file.write(_SIZE.pack(len(frame)) + frame)

    options = RunOptions(record=False, picture=False, check=check, listen=listen)
    broke = ""
    with TemporaryDirectory(prefix="icv-unit-") as folder, suppress(_Enough):
        try:
            run_scene(spec, base, Path(folder), progress=progress, options=options)
        except InfrastructureError as error:  # some unit; what others had heard by then is known
            broke = str(error)
    departure = check.departure or check.finish()
    last = int(run.digests.tick[-1]) if run.digests.tick.size else -1
    if (
        departure is not None and departure.tick > last
    ):  # a recorded run that broke off; nothing is asked of later ticks
        departure = None
    elif departure is not None and broke:
        departure = Departure(departure.tick, (broke,))
    file.seek(0)
    return Inboxes(_frames(file), is_recorded=False, departure=departure)


def _frames(file: BinaryIO) -> Iterator[bytes]:
    while head := file.read(_SIZE.size):
        (size,) = _SIZE.unpack(head)
        if size > MAX_FRAME_BYTES:
            raise LogError(f"an inbox of {size} bytes, expected at most {MAX_FRAME_BYTES}")
        yield file.read(size)
