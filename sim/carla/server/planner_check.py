"""Whether CARLA's own route planner gets through a map: walked in a child process, because it may not come back.

The planner that ships with CARLA's Python agents takes, for every pair of lane ends that the client's map lists, the unit vector
from one to the other (fails on one point) and steps along the lane until it is within a step of the end (never ends where the lane
does not lead there). This makes the same steps with its own walk, counts them, and says where it fails. It needs the `carla` wheel;
where that is not installed nothing is claimed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

SAMPLING_M = 2.0  # the step of CARLA's agents
MAX_WALK_M = 40_000.0  # longest lane that is walked; the longest road that OpenDRIVE files of ours have is 10 km
LIMIT_S = 60.0
SHOWN = 20  # findings reported one by one


@dataclass(frozen=True, slots=True)
class Report:
    """What the walk found. `checked` is False where there was no wheel to walk with."""

    checked: bool
    segments: int
    reasons: tuple[str, ...]

    @property
    def is_fine(self) -> bool:
        """Walked, and nothing found."""
        return self.checked and not self.reasons


def check(xodr: str, *, sampling_m: float = SAMPLING_M, limit_s: float = LIMIT_S) -> Report:
    """Walk the topology of `xodr` as CARLA's planner does; a walk that takes longer than `limit_s` is a finding too."""
    if importlib.util.find_spec("carla") is None:
        return Report(False, 0, ())
    # By its path: the child needs nothing of ours, wherever this process found us.
    command = [sys.executable, "-P", __file__, repr(float(sampling_m))]
    try:
        done = subprocess.run(
            command, input=xodr.encode(), capture_output=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Report(True, 0, (f"the walk did not end within {limit_s:g} s",))
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        why = words[-1] if words else f"exit code {done.returncode}"
        return Report(True, 0, (f"CARLA's map reader did not survive the map: {why}",))
    last = done.stdout.decode(errors="replace").strip().splitlines()[-1]
    answer = json.loads(last)
    return Report(True, int(answer["segments"]), tuple(str(r) for r in answer["reasons"]))


def walk(world: Any, sampling_m: float) -> tuple[int, list[str]]:
    """Number of segments of a `carla.Map`, and one sentence for each that CARLA's planner would fail on."""
    topology = world.get_topology()
    reasons: list[str] = []
    for begin, end in topology:
        reason = _segment(begin, end, sampling_m)
        if reason:
            reasons.append(f"from {_name(begin)} to {_name(end)}: {reason}")
    return len(topology), reasons


def _name(waypoint: Any) -> str:
    return f"{waypoint.road_id}/{waypoint.section_id}/{waypoint.lane_id} s={waypoint.s:.3f}"


def _segment(begin: Any, end: Any, sampling_m: float) -> str:
    a, b = begin.transform.location, end.transform.location
    apart = a.distance(b)
    if not apart < float("inf"):  # NaN too
        return "a position is not a number"
    try:
        (b - a).make_unit_vector()
    except RuntimeError:
        return "both ends are one point"
    if apart <= sampling_m:
        return ""
    own = {(w.road_id, w.section_id, w.lane_id) for w in (begin, end)}
    left = ""
    at = begin
    for _ in range(int(MAX_WALK_M / sampling_m)):
        ahead = at.next(sampling_m)
        if not ahead:
            # The planner stops walking where the road ends, except on its very first step, which it does not guard.
            return "the lane has nothing ahead of it" if at is begin else left
        at = ahead[0]
        if at.transform.location.distance(b) <= sampling_m:
            return left
        if not left and (at.road_id, at.section_id, at.lane_id) not in own:
            left = f"the walk passes the end and goes on over {_name(at)}"
    return f"the walk never ends ({left or f'longer than {MAX_WALK_M:g} m'})"


def main() -> int:
    """Child process: map text on standard input, answer as the last line of standard output."""
    import carla

    world = carla.Map("checked", sys.stdin.buffer.read().decode())
    segments, reasons = walk(world, float(sys.argv[1]))
    more = len(reasons) - SHOWN
    shown = reasons[:SHOWN] + ([f"and {more} more"] if more > 0 else [])
    print()  # CARLA's own words may have no newline at their end
    print(json.dumps({"segments": segments, "reasons": shown}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
