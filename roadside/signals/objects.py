"""A cabinet as a table of objects that a centre reads and writes: GB/T 20999-2017 classes, objects, attributes, elements.

`objects.toml` lists every object with its numbers, access, source and confidence. In the standard's words a *phase* drives one
lamp group and a *stage* is what is green together; a stage is thus a phase of `roadside.signals.phasetable`. Values are whole
numbers (times in 0.1 s, elements counted from 1) or text. What is written becomes a `Command`: it acts after the commit time and
through the same transitions as everything else, so no object can break a phase rule or a certain announcement.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from typing import Final

from protocols.errors import CodecError
from protocols.messages import Light
from roadside.signals.cabinet import Act, Cabinet, Command
from roadside.signals.durations import STEP_NS, steps_ns
from roadside.signals.operation import FREE, MODES, Mode

Value = int | str
NO_CLEARANCE: Final = 65535
PROTOCOL_VERSION: Final = 0x0102
FLASH_RED_MODE: Final = 0x34  # ours: the standard has one flashing mode

LAMP_CODES: Final = {
    Light.UNSPECIFIED: 0x01,
    Light.DARK: 0x01,
    Light.RED: 0x10,
    Light.FLASHING_RED: 0x11,
    Light.GREEN_PERMISSIVE: 0x20,
    Light.GREEN_PROTECTED: 0x20,
    Light.YELLOW: 0x30,
    Light.FLASHING_YELLOW: 0x31,
}
"""Lamp states, reported."""
MODE_CODES: Final = {
    Mode.NORMAL: 0x20,  # local control, reported; the special modes below are recalled
    Mode.FLASH_YELLOW: 0x31,
    Mode.ALL_RED: 0x32,
    Mode.DARK: 0x33,
    Mode.FLASH_RED: FLASH_RED_MODE,
}
RUNNING_CODES: Final = {"fixed": 0x21, "actuated": 0x22, "coordinated": 0x13}
"""Run modes of normal operation, reported."""


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One object of the table."""

    name: str
    class_id: int
    object_id: int
    attribute: int
    access: str  # r, w, rw
    element: str
    unit: str
    what: str
    source: str
    confidence: str

    @property
    def address(self) -> tuple[int, int, int]:
        """(class, object, attribute)."""
        return self.class_id, self.object_id, self.attribute


def object_rows() -> tuple[ObjectRow, ...]:
    """All objects, in the order of the file."""
    text = resources.files("roadside.signals").joinpath("objects.toml").read_text(encoding="utf-8")
    return tuple(ObjectRow(name=name, **row) for name, row in tomllib.loads(text).items())


class ObjectTable:
    """Objects of one cabinet. Errors are CodecError and name what was found and what is expected."""

    def __init__(self, cabinet: Cabinet) -> None:
        """Reads and commands `cabinet`, which others step."""
        self._cabinet = cabinet
        self._rows = {row.address: row for row in object_rows()}
        self._forced_stage = 0
        table = cabinet.table
        groups, stages = table.layout.num_groups, len(table.phases)
        self._sizes = {
            "one": 1,
            "group": groups,
            "stage": stages,
            "plan": len(table.patterns),
            "ring": table.num_rings,
            "entry": len(table.plan.schedule),
            "pair": groups * groups,
            "plan_stage": len(table.patterns) * stages,
        }

    def row(self, class_id: int, object_id: int, attribute: int) -> ObjectRow:
        """The object at this address; CodecError lists what its class has."""
        found = self._rows.get((class_id, object_id, attribute))
        if found is None:
            near = [f"{o}.{a} {r.name}" for (c, o, a), r in self._rows.items() if c == class_id]
            classes = sorted({c for c, _, _ in self._rows})
            raise CodecError(
                f"found class {class_id} object {object_id} attribute {attribute}; expected "
                + (f"one of {', '.join(near)}" if near else f"one of the classes {classes}")
            )
        return found

    def get(self, class_id: int, object_id: int, attribute: int, element: int = 1) -> Value:
        """Value of an object."""
        row = self.row(class_id, object_id, attribute)
        if "r" not in row.access:
            raise CodecError(f"{row.name}: found a query; expected a set, the object is write-only")
        self._check_element(row, element)
        return _GETTERS[row.name](self._cabinet, element - 1, self._forced_stage)

    def set(
        self, class_id: int, object_id: int, attribute: int, value: int, element: int = 1
    ) -> None:
        """Write an object; it acts after the commit time."""
        row = self.row(class_id, object_id, attribute)
        if "w" not in row.access:
            raise CodecError(f"{row.name}: found a set; expected a query, the object is read-only")
        self._check_element(row, element)
        cabinet, table = self._cabinet, self._cabinet.table
        stages = len(table.phases)
        if row.name == "control.mode":
            modes = {code: mode for mode, code in MODE_CODES.items()}
            if value not in modes:
                codes = ", ".join(f"{c:#04x} {m.name.lower()}" for c, m in modes.items())
                raise CodecError(f"{row.name}: found {value:#04x}; expected one of {codes}")
            name = next(n for n, mode in MODES.items() if mode == modes[value])
            cabinet.command(Command(Act.RUN, name))
        elif row.name == "control.plan":
            is_fixed = table.plan.mode == "fixed"
            self._check(row, value, 1 if is_fixed else 0, len(table.patterns))
            name = FREE if value == 0 else table.patterns[value - 1].name
            cabinet.command(Command(Act.RUN, name))
        elif row.name == "control.stage":
            self._check(row, value, 0, stages)
            if self._forced_stage:
                old = table.phases[self._forced_stage - 1].name
                cabinet.command(Command(Act.RELEASE, old))
            if value:
                cabinet.command(Command(Act.HOLD, table.phases[value - 1].name))
            self._forced_stage = value
        elif row.name == "plan.offset":
            pattern = table.patterns[element - 1]
            self._check(row, value, 0, pattern.cycle_ns // STEP_NS - 1)
            cabinet.command(Command(Act.OFFSET, pattern.name, value * STEP_NS))
        elif row.name == "detector.disable":
            self._check(row, value, 0, 1)
            act = Act.DETECTOR_OFF if value else Act.DETECTOR_ON
            cabinet.command(Command(act, table.layout.group_id[element - 1]))
        else:
            self._check(row, value, 1, stages)
            act = Act.FORCE_OFF if row.name == "control.force_off" else Act.SKIP
            cabinet.command(Command(act, table.phases[value - 1].name))

    def _check_element(self, row: ObjectRow, element: int) -> None:
        size = self._sizes[row.element]
        if not 1 <= element <= size:
            raise CodecError(f"{row.name}: found element {element}; expected 1 to {size}")

    def _check(self, row: ObjectRow, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            raise CodecError(f"{row.name}: found {value}; expected {low} to {high}")


def _tenths(ns: int) -> int:
    return ns // STEP_NS


def _mask(members: object) -> int:
    assert isinstance(members, (list, tuple, set, frozenset))
    return sum(1 << int(k) for k in members)


def _of_group(c: Cabinet, k: int, field: str) -> int:
    """Largest `field` of the stages that serve group `k`."""
    return max((int(getattr(p, field)) for p in c.table.phases if k in p.groups), default=0)


def _ring_of(c: Cabinet, p: int) -> tuple[int, int]:
    for b, block in enumerate(c.table.blocks):
        for r, ring in enumerate(block):
            if p in ring:
                return r + 1, b + 1
    return 0, 0


def _run_mode(c: Cabinet) -> int:
    if c.mode != Mode.NORMAL:
        return MODE_CODES[c.mode]
    if c.machine.pattern < 0:
        return RUNNING_CODES["actuated"]
    return RUNNING_CODES["fixed" if c.machine.is_pretimed else "coordinated"]


def _stage_in(c: Cabinet, r: int) -> int:
    return c.machine.phase[r] + 1 if c.machine.is_on[r] else 0


def _clearance(c: Cabinet, pair: int) -> int:
    a, b = divmod(pair, c.table.layout.num_groups)
    ns = c.table.clearance_ns[a][b]
    return NO_CLEARANCE if ns < 0 else _tenths(ns)


_GETTERS: Final[dict[str, Callable[[Cabinet, int, int], Value]]] = {
    "device.maker": lambda c, e, f: "icv",
    "device.version": lambda c, e, f: metadata.version("icv"),
    "device.protocol": lambda c, e, f: PROTOCOL_VERSION,
    "unit.num_junctions": lambda c, e, f: 1,
    "unit.junction": lambda c, e, f: c.table.layout.id,
    "unit.startup_flash": lambda c, e, f: _tenths(steps_ns(c.table.operation.start_flash_s)),
    "unit.startup_red": lambda c, e, f: _tenths(steps_ns(c.table.operation.start_all_red_s)),
    "group.count": lambda c, e, f: c.table.layout.num_groups,
    "group.name": lambda c, e, f: c.table.layout.group_name[e] or c.table.layout.group_id[e],
    "group.kind": lambda c, e, f: 2 if c.table.layout.is_pedestrian[e] else 1,
    "phase.count": lambda c, e, f: c.table.layout.num_groups,
    "phase.group": lambda c, e, f: e + 1,
    "phase.min_green": lambda c, e, f: _tenths(c.table.min_green_ns[e]),
    "phase.max_green": lambda c, e, f: _tenths(_of_group(c, e, "max_ns")),
    "phase.extension": lambda c, e, f: _tenths(_of_group(c, e, "passage_ns")),
    "phase.demand": lambda c, e, f: int(c.machine.call[e]),
    "detector.count": lambda c, e, f: c.table.layout.num_groups,
    "detector.state": lambda c, e, f: int(c.detectors.failed[e]),
    "detector.disable": lambda c, e, f: int(c.detectors.forced[e]),
    "stage.count": lambda c, e, f: len(c.table.phases),
    "stage.name": lambda c, e, f: c.table.phases[e].name,
    "stage.groups": lambda c, e, f: _mask(c.table.phases[e].groups),
    "stage.ring": lambda c, e, f: _ring_of(c, e)[0],
    "stage.barrier": lambda c, e, f: _ring_of(c, e)[1],
    "safety.conflicts": lambda c, e, f: _mask(
        [k for k in range(c.table.layout.num_groups) if c.table.layout.exclusive[e, k]]
    ),
    "safety.clearance": lambda c, e, f: _clearance(c, e),
    "priority.enabled": lambda c, e, f: int(c.table.plan.priority.enabled),
    "priority.active": lambda c, e, f: int(c.grant is not None),
    "priority.stage": lambda c, e, f: 0 if c.grant is None else c.grant.group + 1,
    "plan.count": lambda c, e, f: len(c.table.patterns),
    "plan.name": lambda c, e, f: c.table.patterns[e].name,
    "plan.cycle": lambda c, e, f: _tenths(c.table.patterns[e].cycle_ns),
    "plan.offset": lambda c, e, f: _tenths(c.table.patterns[e].offset_ns),
    "plan.coordinated": lambda c, e, f: _mask(c.table.patterns[e].coordinated),
    "plan.split": lambda c, e, f: _tenths(
        c.table.patterns[e // len(c.table.phases)].split_ns[e % len(c.table.phases)]
    ),
    "transition.method": lambda c, e, f: 1 if c.table.plan.transition.method == "shortway" else 2,
    "schedule.count": lambda c, e, f: len(c.table.plan.schedule),
    "schedule.at": lambda c, e, f: _tenths(steps_ns(c.table.plan.schedule[e].at_s)),
    "schedule.run": lambda c, e, f: c.table.plan.schedule[e].run,
    "state.mode": lambda c, e, f: _run_mode(c),
    "state.plan": lambda c, e, f: c.machine.pattern + 1,
    "state.stage": lambda c, e, f: _stage_in(c, e),
    "state.elapsed": lambda c, e, f: (
        _tenths(c.t_ns - c.machine.start_ns[e]) if c.machine.is_on[e] else 0
    ),
    "state.lamp": lambda c, e, f: LAMP_CODES[Light(c.light[e])],
    "state.late": lambda c, e, f: _tenths(c.lateness_ns),
    "fault.detectors": lambda c, e, f: _mask(
        [k for k, bad in enumerate(c.detectors.failed) if bad]
    ),
    "control.mode": lambda c, e, f: MODE_CODES[c.wanted_mode],
    "control.plan": lambda c, e, f: c.machine.wanted_pattern + 1,
    "control.stage": lambda c, e, f: f,
}
