"""Which actor hangs on which, in the order they have to be moved."""

from __future__ import annotations

import numpy as np

from sim.carla.server import _snapshot_kernels as kernels
from sim.carla.server.table import Ints, Table

_NONE: Ints = np.zeros((0, 2), dtype=np.int64)


class Attachments:
    """Children and parents by id; `follow` moves every child to where its parent is."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._parent: dict[int, int] = {}  # child -> parent, in the order of attaching
        self._children: dict[int, list[int]] = {}
        self._pairs = _NONE

    def attach(self, child: int, parent: int) -> None:
        """From now on `child` follows. The child is new, so nothing hangs on it yet and no circle can arise."""
        if child in self._parent or child in self._children or child == parent:
            raise ValueError(f"actor {child} is attached already")
        self._parent[child] = parent
        self._children.setdefault(parent, []).append(child)
        self._order()

    def children(self, actor: int) -> tuple[int, ...]:
        """Those attached to it directly."""
        return tuple(self._children.get(actor, ()))

    def parent(self, actor: int) -> int:
        """0 where there is none."""
        return self._parent.get(actor, 0)

    def forget(self, actor: int) -> None:
        """It is gone; its children have been removed before."""
        parent = self._parent.pop(actor, 0)
        if parent:
            self._children[parent].remove(actor)
            if not self._children[parent]:
                del self._children[parent]
            self._order()

    def follow(self) -> None:
        """Parents first: a child was always attached after its parent was."""
        if self._pairs.shape[0]:
            kernels.follow(self._table.f, self._table.i, self._pairs)

    def _order(self) -> None:
        rows = self._table.row_of
        self._pairs = (
            np.array([(rows[a], rows[b]) for a, b in self._parent.items()], dtype=np.int64)
            if self._parent
            else _NONE
        )


def relative(table: Table, child: int, parent: int) -> None:
    """The REL columns that put `child` where it stands now."""
    kernels.unfollow(table.f, table.i, child, parent)
