"""A scene for a bare road file: traffic only, so that any OpenDRIVE map can be driven on without writing a scene."""

from __future__ import annotations

import re
from pathlib import Path

from scenarios.spec import MapSpec, SceneSpec


def map_scene(xodr_path: Path, seed: int = 1, duration_s: float = 300.0) -> SceneSpec:
    """Scene on `xodr_path`. Its flows stay empty: whoever builds the world derives them from the network's entries and exits.

    Judged is what holds on every map: background traffic keeps the rules and signals keep theirs. Whether traffic flows well depends
    on the map, so it is told and not judged.
    """
    name = re.sub(r"[^A-Za-z0-9_.\-]", "_", xodr_path.stem).lstrip("_.-")[:60] or "map"
    return SceneSpec(
        name=name,
        title=f"Traffic on {xodr_path.name}",
        duration_s=duration_s,
        seed=seed,
        map=MapSpec(file=str(xodr_path.resolve())),
        criteria=({"kind": "background_clean"}, {"kind": "signal_rules"}),
    )
