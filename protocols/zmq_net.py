"""Addresses and keys of the ZeroMQ carrier: what may be listened on, and who may talk.

Loopback, `ipc://` and `inproc://` need no keys. Any other address needs CURVE on both sides (RFC 26, CurveZMQ): the simulation has a
key pair and a folder of public keys; a unit whose key is not in it never gets a connection. Key files are pyzmq's own
certificate format (`NAME.key` public, `NAME.key_secret` with the secret, readable by its owner only).
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import zmq
import zmq.auth

from protocols.errors import ConfigError
from protocols.sentence import say
from protocols.unit_wire import MAX_FRAME_BYTES

SERVER_NAME: Final = "icv"  # the simulation's own key in a key folder
SLICE_MS: Final = 50  # how long one receive waits before the caller looks around


@dataclass(frozen=True, slots=True)
class Keys:
    """One side's CURVE keys. `server` is the simulation's public key (what a unit must know of it)."""

    public: bytes
    secret: bytes
    server: bytes
    folder: Path  # of public keys that are let in; used by the simulation only


def check_address(address: str) -> None:
    """ConfigError unless `address` is one the carrier can use."""
    scheme, sep, rest = address.partition("://")
    if not sep or scheme not in ("tcp", "ipc", "inproc") or not rest:
        raise ConfigError(
            say("address {address!r}: expected tcp://HOST:PORT (IPv6 in brackets), ipc://PATH or inproc://NAME.", address=address)
        )  # fmt: skip
    if scheme != "tcp":
        return
    host, _, port = rest.rpartition(":")
    if not host or not (port == "*" or (port.isdigit() and 0 <= int(port) < 65536)):
        raise ConfigError(
            say("address {address!r}: expected a host and a port, such as tcp://127.0.0.1:5555 or tcp://[::1]:5555.", address=address)
        )  # fmt: skip


def is_local(address: str) -> bool:
    """Whether only this machine can reach `address`."""
    scheme, _, rest = address.partition("://")
    if scheme in ("ipc", "inproc"):
        return True
    host = rest.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name or a wildcard: it may be anywhere


def require_keys(address: str, keys: Keys | None) -> None:
    """ConfigError when `address` can be reached from outside and there are no keys."""
    check_address(address)
    if keys is None and not is_local(address):
        raise ConfigError(
            say(
                "address {address!r} can be reached from other machines, so the conversation has to be encrypted and both "
                "sides known. Make keys with `icv keys new FOLDER NAME...` and give --keys FOLDER, or use 127.0.0.1.",
                address=address,
            )
        )  # fmt: skip


def make_keys(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Key pairs for the simulation (`icv`, if it has none yet) and for every name; the files written. Nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    wanted = [name for name in (SERVER_NAME, *names) if not _public(folder, name).exists()]
    taken = [name for name in names if name not in wanted]
    if taken:
        raise ConfigError(
            say("{file} exists already; delete it and its _secret twin to replace the key.", file=_public(folder, taken[0]))
        )  # fmt: skip
    for name in wanted:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(
                say("key name {name!r}: expected letters, digits, - and _.", name=name)
            )
        public, secret = zmq.auth.create_certificates(folder, name)
        os.chmod(secret, 0o600)  # noqa: PTH101 (a string comes back)
        written += [Path(public), Path(secret)]
    return written


def load_keys(folder: Path, name: str) -> Keys:
    """The keys of `name` in `folder`, and the simulation's public one; ConfigError says which file is missing."""
    own = folder / f"{name}.key_secret"
    server = _public(folder, SERVER_NAME)
    for path in (own, server):
        if not path.is_file():
            raise ConfigError(
                say(
                    "{file}: no such key file. `icv keys new {folder} {unit}` makes one.",
                    file=path, folder=folder, unit=name if name != SERVER_NAME else "UNIT",
                )
            )  # fmt: skip
    try:
        public, secret = zmq.auth.load_certificate(own)
        server_public, _ = zmq.auth.load_certificate(server)
    except (OSError, ValueError) as error:
        raise ConfigError(
            say("{file}: cannot be read as a key ({why!s}).", file=own, why=error)
        ) from error
    if secret is None:
        raise ConfigError(say("{file}: holds no secret key.", file=own))
    return Keys(public, secret, server_public, folder)


def _public(folder: Path, name: str) -> Path:
    return folder / f"{name}.key"


def limit(socket: zmq.Socket[bytes], address: str) -> None:
    """Options every socket of the carrier has: nothing lingers, nothing is larger than a frame may be, IPv6 where asked for."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(
        zmq.IPV6, int("[" in address)
    )  # otherwise 127.0.0.1 becomes [::ffff:127.0.0.1]
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
    socket.setsockopt(zmq.RCVTIMEO, SLICE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 2_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 30_000)
