"""Judges a recorded run again: reads traces and events from its log and asks the scene's criteria, without running anything.

The verdict equals the one given live, because the judge hears the same rows and events. Posted limit and progress are not in the
log; they follow from the recorded place and the road file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protocols.errors import ConfigError, LogError
from protocols.judging import Event, EventKind, RunFacts, TraceBlock
from protocols.sentence import say
from scenarios.formats.opendrive import read
from scenarios.verdict import Verdict
from sim.compose import make_judge
from sim.config import ResolvedVehicle, resolve
from sim.log.reader import LogReader
from sim.log.records import Event as RecordedEvent
from sim.log.records import Trace
from sim.recorded import recorded_scene
from sim.referee import BLOCK_TICKS, Referee
from sim.route_line import build_route_line


def judge_log(path: Path) -> Verdict:
    """The verdict of the run recorded in `path`.

    LogError when the log is damaged, never came to its end, was recorded without traces, or its road file is not to be had.
    """
    reader = LogReader.open(path)
    header = reader.header()
    spec, map_path = recorded_scene(
        header.config_json, header.map_digest, f"{path} (header)", path.resolve().parent
    )
    net = read(map_path)
    try:
        resolved = resolve(spec, map_path.parent, net)
    except ConfigError as error:
        raise ConfigError(say("{where}: {what!s}", where=f"{path} (header)", what=error)) from None
    traces = [reader.traces(item.spec.name) for item in resolved.vehicles]
    actors = {trace.name: trace.id for trace in traces}
    facts = _facts(reader, actors)
    for trace in traces:
        if trace.lane.size and int(trace.lane.max()) >= net.num_lanes:
            raise LogError(
                f"{path}: the trace of {trace.name!r} is on lane {int(trace.lane.max())}, but the road file has {net.num_lanes}; "
                "the log is damaged."
            )
    judge = make_judge(resolved, actors)

    blocks: list[tuple[float, TraceBlock]] = []
    for k, (item, trace) in enumerate(zip(resolved.vehicles, traces, strict=True)):
        line = build_route_line(net, item.spec, item.params.user_class, f"vehicles.{k}")
        referee = Referee(
            net, trace.name, trace.id, 0, item.params.user_class, line, item.spec.stops
        )
        blocks += [(float(block.t_ns[-1]), block) for block in _blocks(item, trace, referee)]
    blocks.sort(key=lambda pair: pair[0])  # stable: vehicles keep the order of the scene
    events = [_event(path, event) for event in reader.events()]
    heard = 0
    for end_ns, block in blocks:
        # What happened up to a block's last tick was known when the block was closed.
        while heard < len(events) and events[heard].t_ns <= end_ns:
            judge.on_event(events[heard])
            heard += 1
        judge.on_trace(block)
    for event in events[heard:]:
        judge.on_event(event)
    return judge.finish(facts)


def _blocks(item: ResolvedVehicle, trace: Trace, referee: Referee) -> Iterator[TraceBlock]:
    num = trace.t_ns.size
    limit, progress = np.empty(num), np.empty(num)
    for row, (lane, s_m) in enumerate(zip(trace.lane.tolist(), trace.s_m.tolist(), strict=True)):
        referee.locate(lane, s_m)
        limit[row], progress[row] = referee.limit_mps, referee.route_s_m
    same = ("x_m", "y_m", "z_m", "yaw_rad", "speed_mps", "accel_mps2", "yaw_rate_radps", "hitch_rad", "steer_rad")  # fmt: skip
    for first in range(0, num, BLOCK_TICKS):
        rows = slice(first, first + BLOCK_TICKS)
        yield TraceBlock(
            name=item.spec.name,
            actor=trace.id,
            t_ns=trace.t_ns[rows].astype(np.float64),
            lane=trace.lane[rows],
            s_m=trace.s_m[rows],
            d_m=trace.d_m[rows],
            doors=trace.doors[rows].astype(np.int32),
            speed_limit_mps=limit[rows],
            route_s_m=progress[rows],
            **{name: getattr(trace, name)[rows] for name in same},
        )


def _event(path: Path, event: RecordedEvent) -> Event:
    try:
        return Event(
            event.t_ns,
            EventKind[event.kind.upper()],
            int(event.subject),
            int(event.values.get("other", -1.0)),
            int(event.values.get("lane", -1.0)),
            event.values.get("value", 0.0),
            event.text,
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise LogError(
            f"{path}: the event '{event.kind}' of '{event.subject}' at {event.t_ns / 1e9:.2f} s is not one "
            "this version knows; judge the log with the version that wrote it."
        ) from error


def _facts(reader: LogReader, actors: dict[str, int]) -> RunFacts:
    text = reader.result()
    if text is None:
        raise LogError(
            f"{reader.path}: the run never came to its end, so its totals are unknown; "
            "run it again with `icv replay --recover`."
        )
    try:
        return RunFacts(vehicles=actors, **json.loads(text)["facts"])
    except (ValueError, KeyError, TypeError) as error:
        raise LogError(
            f"{reader.path}: the recorded result cannot be read ({error!r}); the log is damaged, or "
            "another version wrote it."
        ) from error
