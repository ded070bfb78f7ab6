"""Records a run's tap into a log of its own, so that a run in progress is viewed like any other log.

Records arrive as `sim.tap` publishes them. Sequence numbers are not among them: those of messages on the air are taken from the radio
record of the same tick, others are counted. The log is cut into chunks by wall time, so that who reads it is at most
half a second behind. What was missed (a slow reader, a late start) is missing in the log as it is.
"""

from __future__ import annotations

import struct
import threading
import time
from collections import defaultdict, deque
from pathlib import Path

import zmq
from google.protobuf.message import DecodeError, Message

from protocols import codec, topics
from protocols.errors import IcvError, InfrastructureError
from protocols.v1 import log_pb2
from protocols.zmq_net import Keys, limit, require_keys
from sim.log import header as header_module
from sim.log.container import Container
from sim.log.writer import RECORDS

FLUSH_S = 0.4
JOIN_S = 30.0  # how long to wait for the header
QUEUE = 10_000  # records waiting for us
_MAX_PENDING = 4_096  # messages of a tick that wait for their radio record
_T_NS = struct.Struct("<q")


class TapRecorder:
    """Subscribes to `address` and writes `path` in a thread of its own, until `close`."""

    def __init__(self, address: str, path: Path, keys: Keys | None = None) -> None:
        require_keys(address, keys)
        self.path = path
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        limit(self._socket, address)
        self._socket.setsockopt(zmq.RCVHWM, QUEUE)
        if keys is not None:
            self._socket.curve_secretkey, self._socket.curve_publickey = keys.secret, keys.public
            self._socket.curve_serverkey = keys.server
        self._socket.subscribe(b"")
        self._socket.connect(address)
        self._address = address
        self._stop = threading.Event()
        self._ready = threading.Event()
        self.problem: str | None = None  # why recording ended
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def wait(self, seconds: float = JOIN_S) -> None:
        """Returns when the run's header is in the log; InfrastructureError when none comes."""
        if not self._ready.wait(seconds) or self.problem is not None:
            self.close()
            raise InfrastructureError(
                self.problem
                or f"{self._address}: no run has published there within {seconds:.0f} s; start one with "
                f"`icv run SCENE --realtime --tap {self._address}`."
            )

    def close(self) -> None:
        """Ends the log and lets go of the socket."""
        self._stop.set()
        self._thread.join(5.0)
        self._socket.close(0)
        self._context.term()

    # -- in the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        log: _Log | None = None
        flushed = time.monotonic()
        try:
            while not self._stop.is_set():
                frames = self._receive()
                if frames is not None:
                    topic, sender, t_ns, data = frames
                    if topic == "log/header":
                        if log is None:
                            log = _Log(self.path, data, self._address)
                            self._ready.set()
                    elif log is not None and not log.add(topic, sender, t_ns, data):
                        break  # the run has told its result
                if log is not None and time.monotonic() - flushed > FLUSH_S:
                    log.flush()
                    flushed = time.monotonic()
        except (IcvError, OSError, zmq.ZMQError, DecodeError) as error:
            self.problem = f"{self._address}: {error}"
            self._ready.set()
        finally:
            if log is not None:
                log.close()

    def _receive(self) -> tuple[str, str, int, bytes] | None:
        try:
            frames = self._socket.recv_multipart()
        except zmq.Again:
            return None
        if len(frames) != 3 or len(frames[2]) < 8 or len(frames[0]) > 64 or len(frames[1]) > 256:
            return None
        (t_ns,) = _T_NS.unpack_from(frames[2])
        try:
            topic, sender = frames[0].decode(), frames[1].decode()
        except UnicodeDecodeError:
            return None
        return (topic, sender, t_ns, frames[2][8:]) if t_ns >= 0 else None


class _Log:
    """The log that is written."""

    def __init__(self, path: Path, header: bytes, address: str) -> None:
        self._epoch = header_module.from_bytes(header, address).epoch_ns
        self._out = Container(path)
        self._channels: dict[tuple[str, str], int] = {}
        self._counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._pending: deque[tuple[str, str, int, bytes]] = deque()
        self._write("log/header", "sim", 0, header, 0)
        self._out.flush()

    def add(self, topic: str, sender: str, t_ns: int, data: bytes) -> bool:
        """One record; False when it was the last of the run."""
        row = topics.TOPICS.get(topic)
        if row is None:
            return True  # of a newer version, or none of ours
        if row.is_on_air:
            self._settle({}, before_ns=t_ns)
            self._pending.append((topic, sender, t_ns, data))
            if len(self._pending) > _MAX_PENDING:
                self._settle({}, before_ns=t_ns + 1)
            return True
        if topic == "log/radio":
            self._settle(_numbers(data), before_ns=t_ns + 1)
        seq = 0
        if row.message is not None:
            seq = self._counts[topic, sender]
            self._counts[topic, sender] += 1
        self._write(topic, sender, t_ns, data, seq)
        return topic != "log/result"

    def flush(self) -> None:
        """Everything so far reaches the file."""
        self._out.flush()

    def close(self) -> None:
        """Everything, and the end."""
        self._settle({}, before_ns=2**63 - 1)
        self._out.close()

    def _settle(self, numbers: dict[tuple[str, str], deque[int]], before_ns: int) -> None:
        """Writes messages that waited for their numbers; those without a radio record go on counting."""
        while self._pending and self._pending[0][2] < before_ns:
            topic, sender, t_ns, data = self._pending.popleft()
            known = numbers.get((topic, sender))
            seq = known.popleft() if known else self._counts[topic, sender]
            self._counts[topic, sender] = seq + 1
            self._write(topic, sender, t_ns, data, seq & 0xFFFFFFFF)

    def _write(self, topic: str, sender: str, t_ns: int, data: bytes, seq: int) -> None:
        channel = self._channels.get((topic, sender))
        if channel is None:
            row = topics.topic(topic)
            kind: type[Message] = (
                RECORDS[topic] if row.message is None else codec.PROTO_CLASS[row.message]
            )
            channel = self._out.channel(topic, kind, {"sender": sender})
            self._channels[topic, sender] = channel
        stamp = self._epoch + t_ns
        self._out.add(channel, stamp, data, seq, stamp if row_is_message(topic) else 0)


def row_is_message(topic: str) -> bool:
    """Whether records of this topic are messages, with a sending time of their own."""
    return topics.topic(topic).message is not None


def _numbers(data: bytes) -> dict[tuple[str, str], deque[int]]:
    """Sequence numbers in a radio record by topic and sender, in order."""
    proto = log_pb2.RadioFates.FromString(data)
    out: dict[tuple[str, str], deque[int]] = {}
    for topic, sender, seq in zip(proto.topic, proto.sender, proto.seq, strict=False):
        out.setdefault((topic, sender), deque()).append(seq)
    return out
