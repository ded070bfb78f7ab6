"""Where requests end in a stream of MessagePack bytes, whatever the sender put into it.

Reads only the heads of values and keeps its place between calls, so every byte is looked at once and nothing is built before a
request is complete. `state` holds the place, `stack` the values still missing in each open array or map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocols.jit import kernel

DEPTH = 64  # a batch whose commands spawn and then command what they spawned needs 10 and 4 more for each `then` inside a `then`
REQUEST = 0x94  # every request is an array of four, and no other first byte of four is ever written

POSITION, START, SKIP, OPEN, PROBLEM = 0, 1, 2, 3, 4
STATES = 5

FINE, NOT_A_REQUEST, TOO_DEEP, TOO_LONG, RESERVED = 0, 1, 2, 3, 4


@kernel
def find_ends(
    data: NDArray[np.uint8],
    longest: int,
    stack: NDArray[np.int64],
    state: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> int:
    """Continue at `state[POSITION]`; write the end of each complete request and return how many there are.

    Stops when `data` is used up, `ends` is full or `state[PROBLEM]` is not FINE.
    """
    size = data.shape[0]
    at = state[POSITION]
    skip = state[SKIP]
    depth = state[OPEN]
    found = 0
    while at < size and found < ends.shape[0]:
        if skip > 0:
            step = min(skip, size - at)
            at += step
            skip -= step
            if skip > 0:
                break
        else:
            first = np.int64(data[at])
            if depth == 0:
                state[START] = at
                if first != REQUEST:
                    state[PROBLEM] = NOT_A_REQUEST
                    break
            head = np.int64(1)  # bytes of type and size
            width = np.int64(0)  # bytes of the size
            body = np.int64(0)  # bytes that follow
            kids = np.int64(0)  # values that follow
            is_map = False
            is_array = False
            if first <= 0x7F or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
                pass
            elif first <= 0x8F:
                kids = np.int64(2) * (first & 0x0F)
            elif first <= 0x9F:
                kids = first & 0x0F
            elif first <= 0xBF:
                body = first & 0x1F
            elif first == 0xC1:
                state[PROBLEM] = RESERVED
                break
            elif first <= 0xC6:  # bin 8 16 32
                width = 1 << (first - 0xC4)
            elif first <= 0xC9:  # ext 8 16 32; one byte more for its type
                width = 1 << (first - 0xC7)
                body = np.int64(1)
            elif first <= 0xCB:  # float 32 64
                body = np.int64(4) << (first - 0xCA)
            elif first <= 0xCF:  # uint 8 16 32 64
                body = np.int64(1) << (first - 0xCC)
            elif first <= 0xD3:  # int 8 16 32 64
                body = np.int64(1) << (first - 0xD0)
            elif first <= 0xD8:  # fixext 1 2 4 8 16
                body = np.int64(1) + (np.int64(1) << (first - 0xD4))
            elif first <= 0xDB:  # str 8 16 32
                width = 1 << (first - 0xD9)
            elif first <= 0xDD:  # array 16 32
                width = 2 << (first - 0xDC)
                is_array = True
            else:  # map 16 32
                width = 2 << (first - 0xDE)
                is_map = True
            head += width
            if at + head > size:
                break
            count = np.int64(0)
            for k in range(width):
                count = count * 256 + np.int64(data[at + 1 + k])
            if is_map:
                kids = 2 * count
            elif is_array:
                kids = count
            elif width > 0:
                body += count
            at += head
            if at - state[START] + body + kids > longest:
                state[PROBLEM] = TOO_LONG
                break
            if kids > 0:
                if depth == stack.shape[0]:
                    state[PROBLEM] = TOO_DEEP
                    break
                stack[depth] = kids
                depth += 1
                continue
            if body > 0:
                skip = body
                continue
        while depth > 0:  # a value is complete, and perhaps what it was the last of
            stack[depth - 1] -= 1
            if stack[depth - 1] > 0:
                break
            depth -= 1
        if depth == 0:
            ends[found] = at
            found += 1
            state[START] = at
    state[POSITION] = at
    state[SKIP] = skip
    state[OPEN] = depth
    return found
