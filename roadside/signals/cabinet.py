"""A junction's cabinet: start-up, modes, schedule, commands and bus priority around one `RingMachine`.

What `Controller` is to a plain stage plan, this is to plans with rings, several plans, modes or remote control; both have the same
`step`. A command waits `operation.commit_s` before it acts, so that nothing that SPAT has announced for that time is broken: see
`roadside.signals.outlook`. Every change between modes runs through all red (GB 25280 start-up order: flashing yellow, all red,
first stage; a green never turns to flashing or dark at once).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from protocols.errors import CodecError
from protocols.roads.network import U8
from roadside.signals.detectors import DetectorWatch
from roadside.signals.durations import STEP_NS, steps_ns
from roadside.signals.operation import FREE, MODES, Mode
from roadside.signals.phasetable import PhaseTable
from roadside.signals.requests import Answer, Grant, PriorityRequest
from roadside.signals.ring_state import FREE_RUN
from roadside.signals.rings import RingMachine

DAY_NS = 86_400_000_000_000


class Act(IntEnum):
    """What a command does."""

    RUN = 1  # a plan by name, 'free', or a mode
    HOLD = 2  # keep a phase green until RELEASE
    RELEASE = 3
    FORCE_OFF = 4  # end a phase as soon as its minimum allows
    SKIP = 5  # leave a phase out once
    OMIT = 6  # leave a phase out until ADMIT
    ADMIT = 7
    OFFSET = 8  # of a plan: `value_ns`
    DETECTOR_OFF = 9  # of a group: its loops count as failed
    DETECTOR_ON = 10


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `name` is a plan, a mode, a phase or a group."""

    act: Act
    name: str
    value_ns: int = 0


class Cabinet:
    """Signals of one junction; `step` as `roadside.signals.controller.Controller.step`."""

    def __init__(self, table: PhaseTable, t0_ns: int = 0) -> None:
        """At `t0_ns`: the first light of the start-up, or what a fixed plan would show had it always run."""
        from roadside.signals.ring_priority import RingDesk

        self.table, self.timing = table, table.timing
        operation = table.operation
        size = table.layout.num_groups
        self.t_ns = t0_ns
        self.commit_ns = steps_ns(operation.commit_s)
        self._flash_ns = steps_ns(operation.start_flash_s)
        self._all_red_ns = steps_ns(operation.start_all_red_s)
        self._day_ns = steps_ns(operation.day_start_s)
        self._pending: list[tuple[int, Command]] = []  # in order of their time
        self._next_entry = 0  # of the schedule
        self._day = 0
        self.grant: Grant | None = None
        self.mode = Mode.NORMAL  # what is shown
        self.wanted_mode = Mode.NORMAL
        self.mode_since_ns = t0_ns
        self._mode_version = 0
        self.machine = RingMachine(table, t0_ns, 0 if table.patterns else FREE_RUN)
        if table.plan.mode != "fixed":
            self.machine.pattern = self.machine.wanted_pattern = FREE_RUN
        self.detectors = DetectorWatch(size, operation, t0_ns)
        self._take_schedule(t0_ns)
        self._shown: U8 = np.array(self.machine.lamps.light, dtype=np.uint8)
        self.desk = RingDesk(self)
        if operation.start_up:
            first = Mode.FLASH_YELLOW if operation.start_up[0] == "flash" else Mode.ALL_RED
            self._show_mode(first, t0_ns)
        elif self.wanted_mode != Mode.NORMAL:
            self._show_mode(self.wanted_mode, t0_ns)
        elif self.machine.wanted_pattern >= 0:
            self._run_up_to(t0_ns)
        else:
            self.machine.start(t0_ns)

    def _run_up_to(self, t0_ns: int) -> None:
        """Two cycles before `t0_ns`, so that every light and its age is what it would be had the plan always run."""
        machine = self.machine
        pattern = self.table.patterns[machine.wanted_pattern]
        cycles = (t0_ns - pattern.offset_ns) // pattern.cycle_ns - 2
        t_ns = pattern.offset_ns + cycles * pattern.cycle_ns
        machine.t_ns = t_ns
        machine.start(t_ns, t_ns)
        while t_ns < t0_ns:
            machine.step(t_ns)
            t_ns = min(machine.next_event_ns(), t0_ns)
        machine.cycle = 0

    def fork(self) -> Cabinet:
        """An independent copy without desk, for looking ahead."""
        twin = object.__new__(Cabinet)
        twin.__dict__.update(self.__dict__)
        twin.machine = self.machine.fork()
        twin._pending = list(self._pending)
        twin.detectors = self.detectors.fork()
        return twin

    # ---- what others read ----------------------------------------------------------------------------------------

    @property
    def light(self) -> list[int]:
        """(G,) `Light`."""
        return self.machine.lamps.light

    @property
    def since_ns(self) -> list[int]:
        """(G,) when each light began."""
        return self.machine.lamps.since_ns

    @property
    def cycle(self) -> int:
        """Cycles since the start."""
        return self.machine.cycle

    @property
    def version(self) -> int:
        """Counts every change that a forecast depends on, apart from time."""
        return self.machine.version + self._mode_version

    @version.setter
    def version(self, value: int) -> None:
        self._mode_version = value - self.machine.version

    @property
    def plan_name(self) -> str:
        """The running plan, or 'free'."""
        n = self.machine.pattern
        return FREE if n < 0 else self.table.patterns[n].name

    @property
    def lateness_ns(self) -> int:
        """How far the running cycle began behind its offset (0 without a plan); above half a cycle it is ahead."""
        layout, n = self.machine.layout, self.machine.pattern
        if layout is None or n < 0:
            return 0
        pattern = self.table.patterns[n]
        return (layout.zero_ns - pattern.offset_ns) % pattern.cycle_ns

    def take_answers(self) -> list[Answer]:
        """Answers to priority requests since the last call."""
        return self.desk.take_answers()

    def ask(self, group: int) -> None:
        """Remember that `group` wants green."""
        self.machine.ask(group)

    # ---- commands ------------------------------------------------------------------------------------------------

    def command(self, command: Command) -> None:
        """Take a command; CodecError, with the choices, for a name that is none. It acts after `operation.commit_s`."""
        if not self.table.operation.remote:
            raise CodecError(
                f"junction '{self.table.layout.id}' takes no commands; set operation.remote = true in its plan"
            )
        if command.act == Act.RUN:
            self._check_run(command.name)
        elif command.act == Act.OFFSET:
            self._check_offset(command)
        elif command.act in (Act.DETECTOR_OFF, Act.DETECTOR_ON):
            self.table.layout.local(command.name, "command")
        else:
            self._phase(command.name)
        self._pending.append((self.t_ns + self.commit_ns, command))
        self._mode_version += 1

    def _check_run(self, name: str) -> None:
        free = FREE if self.table.plan.mode != "fixed" else "base"
        choices = [*MODES, free, *(p.name for p in self.table.patterns)]
        if name not in choices:
            raise CodecError(f"found {name!r}; expected a mode or plan: {', '.join(choices)}")

    def _check_offset(self, command: Command) -> None:
        names = [p.name for p in self.table.patterns]
        if command.name not in names:
            raise CodecError(f"found plan {command.name!r}; expected one of {', '.join(names)}")
        cycle_ns = self.table.patterns[names.index(command.name)].cycle_ns
        if not 0 <= command.value_ns < cycle_ns or command.value_ns % STEP_NS:
            raise CodecError(
                f"found offset {command.value_ns} ns; expected whole steps of 100 ms below {cycle_ns} ns"
            )

    def _phase(self, name: str) -> int:
        names = [phase.name for phase in self.table.phases]
        if name not in names:
            raise CodecError(f"found phase {name!r}; expected one of {', '.join(names)}")
        return names.index(name)

    def _carry_out(self, command: Command) -> None:
        machine = self.machine
        self._mode_version += 1
        if command.act == Act.RUN:
            if command.name in MODES:
                self.wanted_mode = MODES[command.name]
            else:
                self.wanted_mode = Mode.NORMAL
                machine.wanted_pattern = self.table.pattern(command.name)
            return
        if command.act == Act.OFFSET:
            n = self.table.pattern(command.name)
            moved = replace(self.table.patterns[n], offset_ns=command.value_ns)
            patterns = (*self.table.patterns[:n], moved, *self.table.patterns[n + 1 :])
            self.table = machine.table = self.table.with_patterns(patterns)
            return
        if command.act in (Act.DETECTOR_OFF, Act.DETECTOR_ON):
            k = self.table.layout.local(command.name, "command")
            self.detectors.forced[k] = command.act == Act.DETECTOR_OFF
            return
        p = self._phase(command.name)
        if command.act == Act.HOLD:
            machine.holds.add(p)
        elif command.act == Act.RELEASE:
            machine.holds.discard(p)
        elif command.act == Act.FORCE_OFF:
            if p in machine.phase:
                machine.forced.add(p)
        elif command.act == Act.SKIP:
            machine.skipped.add(p)
        elif command.act == Act.OMIT:
            machine.omitted.add(p)
        else:
            machine.omitted.discard(p)

    def _take_schedule(self, t_ns: int) -> None:
        """Carry out the entries that are due; with `is_daily` the list begins anew at midnight."""
        entries = self.table.plan.schedule
        if not entries:
            return
        clock = t_ns + self._day_ns
        while True:
            if self._next_entry >= len(entries):
                if not self.table.operation.is_daily:
                    return
                self._next_entry, self._day = 0, self._day + 1
            entry = entries[self._next_entry]
            if clock < steps_ns(entry.at_s) + self._day * DAY_NS:
                return
            self._next_entry += 1
            self._carry_out(Command(Act.RUN, entry.run))

    def _next_entry_ns(self) -> int | None:
        entries, n, day = self.table.plan.schedule, self._next_entry, self._day
        if n >= len(entries):
            if not entries or not self.table.operation.is_daily:
                return None
            n, day = 0, day + 1
        return steps_ns(entries[n].at_s) + day * DAY_NS - self._day_ns

    # ---- one step ------------------------------------------------------------------------------------------------

    def step(
        self,
        t_ns: int,
        occupied: Sequence[bool],
        pressed: Sequence[bool],
        requests: Sequence[PriorityRequest] = (),
        has_detector: Sequence[bool] | None = None,
    ) -> U8:
        """Advance to `t_ns` and return the lights, (G,) `Light`; the same array object until a light changes."""
        self.t_ns = self.machine.t_ns = t_ns
        believed, present = self.detectors.check(t_ns, occupied, has_detector)
        self.machine.sense(t_ns, believed, pressed, present)
        if requests or self.desk.is_busy:
            self.desk.step(t_ns, requests)
        self.advance(t_ns)
        if self.machine.lamps.has_changed:
            self.machine.lamps.has_changed = False
            self._shown = np.array(self.machine.lamps.light, dtype=np.uint8)
        return self._shown

    def advance(self, t_ns: int) -> None:
        """One step without anything new from outside."""
        self.t_ns = t_ns
        while self._pending and self._pending[0][0] <= t_ns:
            self._carry_out(self._pending.pop(0)[1])
        self._take_schedule(t_ns)
        self._move_mode(t_ns)
        self.machine.step(t_ns)

    def next_event_ns(self) -> int:
        """As `RingMachine.next_event_ns`, for the whole cabinet."""
        at = [self.machine.next_event_ns()]
        at += [due for due, _ in self._pending[:1]]
        entry = self._next_entry_ns()
        if entry is not None:
            at.append(entry)
        at += [self.mode_since_ns + d for d in (self._flash_ns, self._all_red_ns)]
        at.append(self.mode_since_ns + self.table.all_red_ns)
        if self.mode == Mode.NORMAL and self.machine.is_stopped:
            at.append(self.t_ns + STEP_NS)
        return min(a for a in at if a > self.t_ns)

    def _show_mode(self, mode: Mode, t_ns: int) -> None:
        self.mode, self.mode_since_ns = mode, t_ns
        if mode != Mode.NORMAL:
            self.machine.lamps.show(mode, t_ns)
        self._mode_version += 1

    def _move_mode(self, t_ns: int) -> None:
        """One step of the way from the shown mode to the wanted one, which leads through all red."""
        mode, wanted, machine = self.mode, self.wanted_mode, self.machine
        lasted = t_ns - self.mode_since_ns
        if mode == Mode.NORMAL:
            if wanted != Mode.NORMAL and not machine.is_stopping:
                machine.stop()
            if machine.is_stopped:
                self._show_mode(Mode.ALL_RED, t_ns)
        elif mode == Mode.ALL_RED:
            if wanted == Mode.NORMAL:
                if lasted >= self._all_red_ns:
                    machine.start(t_ns)
                    self._show_mode(Mode.NORMAL, t_ns)
            elif wanted != Mode.ALL_RED and lasted >= self.table.all_red_ns:
                self._show_mode(wanted, t_ns)
        elif wanted in (Mode.NORMAL, Mode.ALL_RED):
            if mode == Mode.DARK and "flash" in self.table.operation.start_up:
                self._show_mode(Mode.FLASH_YELLOW, t_ns)
            elif mode == Mode.DARK or lasted >= self._flash_ns:
                self._show_mode(Mode.ALL_RED, t_ns)
        elif wanted != mode:
            self._show_mode(wanted, t_ns)
