"""Delta debugging: a smallest part of a list that still has a property, by taking away ever smaller pieces.

The algorithm is ddmin (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002). The result is 1-minimal: it
has the property, and without any single item it does not. Deterministic: same list and answers, same questions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def smallest(items: Sequence[Item], holds: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """A 1-minimal part of `items` for which `holds`; `items` itself must have the property, which is not asked again."""
    kept = tuple(items)
    if kept and holds(()):
        return ()
    pieces = 2
    while len(kept) >= 2:
        size = -(-len(kept) // pieces)
        parts = [kept[at : at + size] for at in range(0, len(kept), size)]
        for k, part in enumerate(parts):
            rest = kept[: k * size] + kept[k * size + len(part) :]
            if len(parts) > 2 and holds(part):
                kept, pieces = part, 2
                break
            if holds(rest):
                kept, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(2 * pieces, len(kept))
    return kept
