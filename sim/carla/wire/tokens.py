"""The 24 bytes that tell a client where a stream is: number, port, protocol, address.

An address left open makes the client use the host it reached the calls on, so a token stays right behind a forwarded port.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from protocols.errors import CodecError

TOKEN_BYTES = 24
NO_TOKEN = b""
"""The stream token of an actor that is no sensor."""

_TCP = 1
_OPEN, _V4, _V6 = 0, 1, 2
_LAYOUT = struct.Struct("<IHBB16s")


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """What a token says; `host` is None where the client shall use the host of its calls."""

    stream_id: int
    port: int
    host: str | None = None


def pack(stream_id: int, port: int, host: str | None = None) -> bytes:
    """The token of a stream."""
    kind, address = _OPEN, b""
    if host is not None:
        parsed = ipaddress.ip_address(host)
        kind, address = (_V4 if parsed.version == 4 else _V6), parsed.packed
    return _LAYOUT.pack(stream_id, port, _TCP, kind, address)


def unpack(token: bytes) -> StreamAddress:
    """Read a token, from a server of whatever make."""
    if len(token) != TOKEN_BYTES:
        raise CodecError(
            f"a stream token has {len(token)} bytes, expected {TOKEN_BYTES}: no CARLA 0.9.16 server"
        )
    stream_id, port, protocol, kind, address = _LAYOUT.unpack(token)
    if protocol != _TCP:
        raise CodecError(f"a stream token names protocol {protocol}, only TCP ({_TCP}) is known")
    if kind == _OPEN:
        return StreamAddress(stream_id, port)
    if kind == _V4:
        return StreamAddress(stream_id, port, str(ipaddress.IPv4Address(address[:4])))
    if kind == _V6:
        return StreamAddress(stream_id, port, str(ipaddress.IPv6Address(address)))
    raise CodecError(f"a stream token names address kind {kind}, expected 0, 1 or 2")
