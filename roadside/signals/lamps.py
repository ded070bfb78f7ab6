"""The interlock: turns what the logic wants into lights, and never shows what the phase rules forbid.

Whatever `drive` is asked for, a green lasts its minimum (walk for pedestrians), ends in yellow of fixed length (clearance for
pedestrians), and begins only when every conflicting group has been red for the clearance between the two. Traffic that gives
way is shown permissive until those it waits for are red. This is the conflict monitor of a cabinet (NEMA TS 2 section 4) turned
into a constraint: the logic above may be wrong without being dangerous. Flashing and dark begin from all red only.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocols.messages import Light
from roadside.signals.operation import Mode
from roadside.signals.phasetable import PhaseTable
from roadside.signals.timing import PERMISSIVE, PROTECTED, RED, YELLOW

DARK = int(Light.DARK)
FLASH_RED, FLASH_YELLOW = int(Light.FLASHING_RED), int(Light.FLASHING_YELLOW)
LONG_AGO_NS = -3_600_000_000_000


class Lamps:
    """Lights of G groups and how long they have been so."""

    def __init__(self, table: PhaseTable, t0_ns: int) -> None:
        """All red, for long enough that anything may begin."""
        layout = table.layout
        size = layout.num_groups
        self._groups = range(size)
        self._least_ns = table.min_green_ns
        self._fade_ns = [
            table.timing.clear_ns[k] if layout.is_pedestrian[k] else table.yellow_ns
            for k in self._groups
        ]
        self._is_walker = [bool(w) for w in layout.is_pedestrian]
        self._red_flash = table.red_flash
        self._rivals = [
            [
                (a, table.clearance_ns[a][b], bool(layout.exclusive[a, b]))
                for a in self._groups
                if a != b and table.clearance_ns[a][b] >= 0
            ]
            for b in self._groups
        ]
        self._waits_for = [
            frozenset(b for b in self._groups if layout.must_yield[a, b] and b != a)
            for a in self._groups
        ]
        self.light: list[int] = [RED] * size
        self.since_ns: list[int] = [t0_ns] * size
        self.green_ns: list[int] = [LONG_AGO_NS] * size
        self.red_ns: list[int] = [LONG_AGO_NS] * size
        self.has_changed = True

    def fork(self) -> Lamps:
        """An independent copy, for looking ahead."""
        twin = object.__new__(Lamps)
        twin.__dict__.update(self.__dict__)
        for name in ("light", "since_ns", "green_ns", "red_ns"):
            setattr(twin, name, list(getattr(self, name)))
        return twin

    def is_green(self, k: int) -> bool:
        """Whether group `k` is green, protected or not."""
        return self.light[k] in (PERMISSIVE, PROTECTED)

    @property
    def are_red(self) -> bool:
        """Whether every group is red."""
        return all(light == RED for light in self.light)

    def fade_end_ns(self, k: int) -> int:
        """When the yellow (clearance) of `k` ends, which shows one."""
        return self.since_ns[k] + self._fade_ns[k]

    def expire(self, t_ns: int) -> None:
        """End the yellows that are over."""
        for k in self._groups:
            if self.light[k] == YELLOW and t_ns >= self.fade_end_ns(k):
                self._set(k, RED, t_ns)

    def can_start(self, k: int, level: int, t_ns: int, want: Sequence[int]) -> bool:
        """Whether group `k` may turn green as `level` now; those that `want` makes permissive count as such."""
        for a, clearance_ns, is_exclusive in self._rivals[k]:
            light = self.light[a]
            if light == RED:
                if t_ns - self.red_ns[a] >= clearance_ns:
                    continue
            elif not is_exclusive:
                # `a` may stay if the one that gives way is permissive.
                a_waits, k_waits = k in self._waits_for[a], a in self._waits_for[k]
                shown = want[a] if self.is_green(a) and want[a] != RED else light
                fits_a = not a_waits or shown == PERMISSIVE
                fits_k = not k_waits or level == PERMISSIVE
                if fits_a and fits_k:
                    continue
            return False
        return True

    def drive(self, t_ns: int, want: Sequence[int]) -> None:
        """Move every group towards `want`, (G,) RED or a green, as far as the rules allow."""
        for k in self._groups:
            if not self.is_green(k):
                continue
            if want[k] == RED:
                if t_ns - self.green_ns[k] >= self._least_ns[k]:
                    self._set(k, YELLOW, t_ns)
            elif want[k] == PERMISSIVE:
                self._set(k, PERMISSIVE, t_ns)
            elif self.light[k] == PERMISSIVE and all(
                self.light[b] == RED and t_ns > self.red_ns[b] for b in self._waits_for[k]
            ):
                self._set(k, PROTECTED, t_ns)
        for k in self._groups:
            if want[k] == RED or self.light[k] != RED or t_ns <= self.red_ns[k]:
                continue  # a red of no time would not be seen
            if self.can_start(k, want[k], t_ns, want):
                self.green_ns[k] = t_ns
                self._set(k, want[k], t_ns)

    def show(self, mode: Mode, t_ns: int) -> None:
        """Change every group at once between red, flashing and dark; steady lights have to be red before."""
        assert all(light not in (YELLOW, PERMISSIVE, PROTECTED) for light in self.light)
        for k in self._groups:
            if mode in (Mode.NORMAL, Mode.ALL_RED):
                light = RED
            elif mode == Mode.DARK or self._is_walker[k]:
                light = DARK  # people on foot have no flashing light
            elif mode == Mode.FLASH_YELLOW or (self._red_flash and k not in self._red_flash):
                light = FLASH_YELLOW
            else:
                light = FLASH_RED
            self._set(k, light, t_ns)

    def _set(self, k: int, light: int, t_ns: int) -> None:
        if self.light[k] == light:
            return
        self.light[k], self.since_ns[k] = light, t_ns
        self.has_changed = True
        if light == RED:
            self.red_ns[k] = t_ns
