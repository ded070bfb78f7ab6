"""Named random streams: every draw in a run comes from (run seed, stable name).

A stream is named after what it feeds (`gnss/veh-3`, `demand/west`, `radio`), so adding an actor changes nobody else's noise.
Two ways to draw:

* `generator(seed, name)`: a numpy Generator (Philox, counter-based) for set-up and low-rate draws;
* `key(seed, name)`: a 64-bit key for counter-based draws inside kernels (`uniform(key, a, b)` in the kernel's own file hashes
  (key, counters) with SplitMix64; see `sim.radio._kernels` for the reference form).
"""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, name: str) -> int:
    """64-bit key of the stream `name` under run seed `seed` (BLAKE2b, platform independent)."""
    digest = hashlib.blake2b(f"{seed}\x00{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def generator(seed: int, name: str) -> np.random.Generator:
    """A fresh generator for the stream `name`; the same (seed, name) always starts at the same draw."""
    return np.random.Generator(np.random.Philox(key=key(seed, name)))
