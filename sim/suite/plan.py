"""Which tasks a suite has: what was expanded, repeated, cut into shards, with the command line's overrides and limits on top.

A plan is the same for every number of workers. Shards are cut by run, never between the repetitions of one; all shards together are
the whole plan, and one more run moves few of the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from protocols.errors import ConfigError
from protocols.sentence import say
from scenarios.suites.load import Entry, Expansion, Problem, entry_id
from sim.suite.model import Task, TaskResult

MAX_TASKS = 1_000_000
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+~\-]+")
_LONGEST = 100  # characters of a folder's name


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in order. `known`: results that are clear before anything runs (a broken suite file, a folder without scenes)."""

    name: str
    tasks: tuple[Task, ...]
    known: tuple[TaskResult, ...] = ()
    seed: int = 0

    def folder(self, task: Task) -> str:
        """Where a task's log lies, below the suite's folder."""
        return f"tasks/{folder_name(task.id)}"


def make_plan(
    expansion: Expansion,
    *,
    overrides: Sequence[str] = (),
    repeat: int | None = None,
    shard: tuple[int, int] = (1, 1),
    timeout_s: float | None = None,
    memory_mb: int | None = None,
) -> Plan:
    """`shard`: (i, n), i from 1. Limits given here hold for all tasks, whatever their suite says."""
    index, count = shard
    places = shards([item.id for item in expansion.items], count)
    chosen = [item for item, at in zip(expansion.items, places, strict=True) if at == index - 1]
    # `seed = 4` and `seed=4` are the same run.
    overrides = ["".join(part.strip() for part in text.partition("=")) for text in overrides]
    tasks: list[Task] = []
    known: list[TaskResult] = []
    for item in chosen:
        if isinstance(item, Problem):
            task = Task(id=item.id, scene=item.scene, suite=item.suite)
            tasks.append(task)
            known.append(TaskResult(task, item.outcome, item.sentence))
            continue
        first = _task(item, overrides, timeout_s, memory_mb)
        times = item.repeat if repeat is None else repeat
        if len(tasks) + times > MAX_TASKS:
            raise ConfigError(f"--repeat {times}: more than {MAX_TASKS} runs; expected fewer.")
        tasks += [replace(first, id=repeated(first.id, k), repeat=k) for k in range(times)]
    return Plan(expansion.name, tuple(tasks), tuple(known), expansion.seed)


def repeated(id_: str, repeat: int) -> str:
    """The id of a repetition: `a`, `a#2`, `a#3`."""
    return id_ if repeat == 0 else f"{id_}#{repeat + 1}"


def group(task: Task) -> str:
    """What all repetitions of one run share."""
    return task.id if task.repeat == 0 else task.id.rpartition("#")[0]


def folder_name(id_: str) -> str:
    """`id_` as the name of a folder on any system; what had to be changed gets a mark that keeps names apart."""
    safe = _UNSAFE.sub("_", id_)
    if safe == id_ and len(safe) <= _LONGEST and safe[0] not in ".-~":
        return safe
    mark = hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{safe[:_LONGEST].strip('._-~')}-{mark}"


def shards(ids: Sequence[str], count: int) -> list[int]:
    """For each id the part, from 0, that it goes to: parts of equal size, give or take one.

    An id goes where its digest says while there is room, else to the next part that has some. So one more run moves few of the others,
    wherever it stands in the suite, and those who look at one part see the same runs from day to day.
    """
    size, larger = divmod(len(ids), count)
    room, is_larger = [size] * count, [False] * count
    places = [0] * len(ids)
    keys = [hashlib.sha256(id_.encode("utf-8", "surrogatepass")).digest() for id_ in ids]
    for k in sorted(range(len(ids)), key=lambda k: keys[k]):
        at = int.from_bytes(keys[k][-8:]) % count
        while not room[at] and (is_larger[at] or not larger):
            at = (at + 1) % count
        if room[at]:
            room[at] -= 1
        else:
            is_larger[at] = True
            larger -= 1
        places[k] = at
    return places


def parse_shard(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4)."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {text}: expected i/n with 1 <= i <= n, such as 2/4.")
    return int(match[1]), int(match[2])


def nothing(plan: Plan, shard: str = "") -> str:
    """Why an empty plan is empty."""
    if shard:
        return say(
            "shard {shard} of {suite} holds no run; there are fewer runs than shards",
            shard=shard,
            suite=plan.name,
        )
    return say("{suite}: no scenario matched, so nothing ran", suite=plan.name)


def _task(
    item: Entry, overrides: Sequence[str], timeout_s: float | None, memory_mb: int | None
) -> Task:
    """`item` with the command line's overrides; they show in the id, since another run it is."""
    swept = {text.partition("=")[0] for text in item.overrides}
    for text in overrides:
        key = text.partition("=")[0]
        if f"{key}=" in item.id and key in swept:
            raise ConfigError(
                f"--set {text}: {item.id} varies '{key}' itself; leave one of the two out."
            )
    id_ = item.id
    if overrides:
        inside = entry_id("", overrides)[1:-1]
        id_ = f"{id_[:-1]},{inside}]" if id_.endswith("]") else f"{id_}[{inside}]"
    defaults = Task(id="", scene="")
    return Task(
        id=id_,
        scene=item.scene,
        overrides=(*item.overrides, *overrides),
        suite=item.suite,
        time_limit_s=timeout_s or item.timeout_s or defaults.time_limit_s,
        memory_limit_mb=memory_mb or item.memory_mb or defaults.memory_limit_mb,
        is_memory_set=bool(memory_mb or item.memory_mb),
    )
