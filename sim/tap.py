"""A read-only tap on a run: what goes into the log is also published, for viewers and tools that can never slow it.

PUB socket; each record is three frames: topic, sender, and the record's own bytes (`icv.v1`, as in the log) after an 8-byte
little-endian `t_ns`. A subscriber that reads too slowly misses records (the queue holds 1,000 for each); nothing waits for it,
and nothing it sends is read, apart from what it subscribes to. Who comes late gets what cannot be understood later first: the header,
who the actors are, what the signals show. These records are published again whenever somebody subscribes, so others may see them
twice.
"""

from __future__ import annotations

import struct

import zmq

from protocols.errors import ConfigError
from protocols.sentence import say
from protocols.zmq_net import Keys, limit, require_keys

QUEUE = 1_000  # records kept for a slow subscriber
MAX_REMEMBERED = 500  # records published again; far fewer than the queue holds
_LASTING = ("log/header", "truth/signal")  # records that hold until the next of their topic
_Frames = tuple[bytes, bytes, bytes]


class Tap:
    """Publishes records on `address`."""

    def __init__(self, address: str, keys: Keys | None = None) -> None:
        require_keys(address, keys)
        self._last: dict[str, _Frames] = {}  # the newest of each lasting topic
        self._actors: list[_Frames] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        limit(self._socket, address)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # every subscription shows, also a second one
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        if keys is not None:
            self._socket.curve_secretkey, self._socket.curve_publickey = keys.secret, keys.public
            self._socket.curve_server = True
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(
                say("tap address {address!r} cannot be used: {why!s}.", address=address, why=error)
            ) from error
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def publish(self, topic: str, sender: str, t_ns: int, data: bytes) -> None:
        """One record; returns at once, whoever listens."""
        events = self._socket.getsockopt(zmq.EVENTS)
        if isinstance(events, int) and events & zmq.POLLIN and self._has_newcomer():
            for frames in (*self._last.values(), *self._actors):
                self._socket.send_multipart(frames, zmq.NOBLOCK)
        frames = (topic.encode(), sender.encode(), struct.pack("<q", t_ns) + data)
        if topic == "truth/actor":
            self._remember(frames)
        elif topic in _LASTING:
            self._last[topic] = frames
        self._socket.send_multipart(frames, zmq.NOBLOCK)

    def _remember(self, frames: _Frames) -> None:
        """Descriptions of actors; many short records become one, so that a newcomer's queue holds them all."""
        self._actors.append(frames)
        if len(self._actors) > MAX_REMEMBERED:
            # Repeated fields of protobuf messages that follow each other are joined when read.
            head = frames[2][:8]
            body = b"".join(item[2][8:] for item in self._actors)
            self._actors = [(frames[0], frames[1], head + body)]

    def _has_newcomer(self) -> bool:
        """Takes in what subscribers asked for since the last record."""
        found = False
        try:
            while True:
                found |= self._socket.recv(zmq.NOBLOCK)[:1] == b"\x01"
        except zmq.Again:
            return found

    def close(self) -> None:
        """Lets go of the socket."""
        self._socket.close(200)
        self._context.term()
