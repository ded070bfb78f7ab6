"""Ports for servers that tests start in other processes: outside of what the system hands out to clients, so that none of those takes one."""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _LAST = 20_000, 32_000  # Linux gives clients 32768 and above
_turn = itertools.count()


def free_port() -> int:
    """A port that is free together with the next one; no other test process is given it, nor this one again for a while."""
    span = (_LAST - _FIRST) // 2
    for _ in range(span):
        port = _FIRST + 2 * ((os.getpid() * 61 + next(_turn)) % span)
        if _is_free(port) and _is_free(port + 1):
            return port
    raise RuntimeError(f"no two neighbouring ports of {_FIRST} to {_LAST} are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
