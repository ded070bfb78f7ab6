"""One unit of a scene in a process of its own: `icv unit NAME --connect ADDRESS`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from protocols.participant import Participant
from protocols.topics import TOPICS, sender_kind
from protocols.zmq_net import Keys
from protocols.zmq_unit import serve
from scenarios.formats.opendrive import read
from sim.config import resolve
from sim.recorded import recorded_scene
from sim.units import Units
from sim.versions import software


def run_unit(name: str, address: str, keys: Keys | None, road_file: Path | None, join_s: float) -> str:  # fmt: skip
    """Take part as `name` until the run ends; returns its outcome. The scene comes with the welcome."""

    def build(welcome: Any) -> Participant:
        spec, map_path = recorded_scene(
            welcome.config_json, welcome.map_digest, f"simulation at {address}", Path.cwd(), road_file
        )  # fmt: skip
        return Units(resolve(spec, map_path.parent, read(map_path))).build(name)

    kind = sender_kind(name)
    topics = tuple(row.name for row in TOPICS.values() if kind in row.senders)
    return serve(name, address, build, software=software(), topics=topics, keys=keys, join_s=join_s)
