"""A read-only tap on a run: what goes into the log is also published, for viewers and tools that can never slow it.

PUB socket; each record is three frames: topic, sender, and the record's own bytes (`icv.v1`, as in the log) after an 8-byte
little-endian `t_ns`. A subscriber that reads too slowly misses records (the queue holds 1,000 for each); nothing waits for it,
and nothing it sends is read.
"""

from __future__ import annotations

import struct

import zmq

from protocols.errors import ConfigError
from protocols.zmq_net import Keys, limit, require_keys

QUEUE = 1_000  # records kept for a slow subscriber


class Tap:
    """Publishes records on `address`."""

    def __init__(self, address: str, keys: Keys | None = None) -> None:
        require_keys(address, keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        limit(self._socket, address)
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        if keys is not None:
            self._socket.curve_secretkey, self._socket.curve_publickey = keys.secret, keys.public
            self._socket.curve_server = True
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigError(f"tap address {address!r} cannot be used: {error}.") from error
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def publish(self, topic: str, sender: str, t_ns: int, data: bytes) -> None:
        """One record; returns at once, whoever listens."""
        self._socket.send_multipart(
            (topic.encode(), sender.encode(), struct.pack("<q", t_ns) + data), zmq.NOBLOCK
        )

    def close(self) -> None:
        """Lets go of the socket."""
        self._socket.close(200)
        self._context.term()
