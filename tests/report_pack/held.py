"""What a log holds, read with the `mcap` package and the protobuf classes alone: nothing here knows the packer or our reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import Message
from mcap.reader import make_reader

from protocols.v1 import (
    bsm_pb2,
    command_pb2,
    log_pb2,
    map_pb2,
    plan_pb2,
    priority_pb2,
    rsm_pb2,
    spat_pb2,
    ssm_pb2,
    world_pb2,
)

_FILES = (bsm_pb2, command_pb2, log_pb2, map_pb2, plan_pb2, priority_pb2, rsm_pb2, spat_pb2, ssm_pb2, world_pb2)  # fmt: skip
_TYPES: dict[str, type[Message]] = {
    f"icv.v1.{name}": getattr(file, name) for file in _FILES for name in file.DESCRIPTOR.message_types_by_name
}  # fmt: skip
SENT = ("v2x/", "cmd/", "obu/")  # topics of messages; the others are records about the run


class Record(NamedTuple):
    """One message of a log; `kind` is its type's name."""

    t_ns: int  # since the run's start
    topic: str
    sender: str
    seq: int
    kind: str
    data: bytes

    def proto(self) -> Any:
        return _TYPES[self.kind].FromString(self.data)


class Held:
    """One log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, list[Record]] = {}
        with path.open("rb") as file:
            reader = make_reader(file)
            found = [
                Record(m.log_time, c.topic, c.metadata.get("sender", ""), m.sequence, s.name if s else "", m.data)
                for s, c, m in reader.iter_messages(log_time_order=False)
            ]  # fmt: skip
        (head,) = [record.data for record in found if record.topic == "log/header"]
        self.header = log_pb2.RunHeader.FromString(head)
        for record in found:
            at = record._replace(t_ns=record.t_ns - self.header.epoch_ns)
            self.records.setdefault(at.topic, []).append(at)
        self._protos: dict[tuple[str, str | None], list[tuple[int, Any]]] = {}

    def of(self, topic: str, sender: str | None = None) -> list[tuple[int, Any]]:
        """(t_ns, message) of a topic, of one sender or of all, in the file's order."""
        key = topic, sender
        if key not in self._protos:
            self._protos[key] = [
                (record.t_ns, record.proto())
                for record in self.records.get(topic, [])
                if sender in (None, record.sender)
            ]
        return self._protos[key]

    def senders(self, topic: str) -> list[str]:
        return sorted({record.sender for record in self.records.get(topic, [])})

    def sent(self) -> Iterator[Record]:
        """All messages that units sent."""
        for topic, records in self.records.items():
            if topic.startswith(SENT):
                yield from records
