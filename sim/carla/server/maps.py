"""Maps to serve: found by CARLA's names, read from hostile text, and made into everything the server needs of a map.

A store holds one road file, a folder of them, or our own maps. Files are rewritten as CARLA's client needs them
(`scenarios.formats.opendrive.export`), the rewritten text is what clients get and what our own network is read from, so that both
speak of the same lanes. A map that CARLA's route planner would fail on is refused with the reason; text from a client
(`generate_opendrive_world`) is repaired like a file, but not walked.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from protocols.errors import RoadError
from protocols.roads.network import RoadNetwork
from scenarios.formats.opendrive.build import build
from scenarios.formats.opendrive.export import derive
from scenarios.formats.opendrive.parse import load_tree, parse
from scenarios.formats.opendrive.read import file_bytes
from scenarios.roads.catalogue import MAPS, path_of
from sim.carla.server import ground as grounds
from sim.carla.server import lights as traffic_lights
from sim.carla.server import objects as things
from sim.carla.server import planner_check
from sim.carla.server.light_rule import LightsFile, add_lights, read_sidecar
from sim.carla.server.spawn import spawn_points
from sim.carla.wire import structs

Floats = npt.NDArray[np.float64]

GENERATED = "OpenDriveMap"  # the name CARLA gives to a map made from text
FOLDER = "/Game/Carla/Maps/"
MAX_TEXT_BYTES = 64 * 1024 * 1024  # of a road file that a client sends
MAX_POINTS = (
    400_000  # of sampled lanes: 2000 km at 5 m; beyond it a client would wait too long for its map
)
MAX_COORDINATE_M = 1e7  # CARLA's floats are metres apart there
MAX_TURN_RAD = 30.0  # of one spiral
MAX_NAME_CHARS = 256
KEPT = 4  # maps kept ready


@dataclass(frozen=True, slots=True)
class LoadedMap:
    """One map, ready to be served."""

    name: str  # "Carla/Maps/X"
    xodr: str  # the text clients get
    net: RoadNetwork  # of that text
    ground: grounds.Ground
    statics: Floats  # (S, 9) centre x y z, yaw, half sizes x y z, CityObjectLabel, id
    spawn_points: tuple[structs.Transform, ...]
    lights: traffic_lights.LightPlan
    signs: tuple[traffic_lights.Head, ...]
    objects: tuple[structs.EnvironmentObject, ...]
    geo: tuple[float, float]  # latitude and longitude of the origin, degrees
    rewrites: dict[str, int]  # what was rewritten for CARLA, and how often


class MapStore:
    """The maps of a server. `rule_lights` gives lights to maps without any, where no sidecar file says otherwise."""

    def __init__(
        self,
        where: Path | None = None,
        *,
        rule_lights: bool = False,
        check_planner: bool = True,
    ) -> None:
        self._rule = LightsFile(rule=rule_lights)
        self._check = check_planner
        self._files = _files(where)
        self._ready: OrderedDict[tuple[str, str], LoadedMap] = OrderedDict()

    def names(self) -> list[str]:
        """As `get_available_maps` lists them."""
        return [f"{FOLDER}{name}" for name in self._files]

    def load(self, name: str) -> LoadedMap:
        """The map that a client asks for: `X`, `Carla/Maps/X`, `/Game/Carla/Maps/X`, with or without `_Opt`.

        Raises RoadError for one that is not here, cannot be read or would break CARLA's route planner.
        """
        key = name[:MAX_NAME_CHARS].rstrip("/").rpartition("/")[2]
        plain = key.removesuffix("_Opt")
        path = next((self._files[n] for n in (key, plain, f"{plain}_Opt") if n in self._files), None)  # fmt: skip
        if path is None:
            known = ", ".join(list(self._files)[:20]) or "none"
            raise RoadError(f"Map '{key}' is not here; there are {known}. Ask for one of these.")
        wanted = read_sidecar(path) or self._rule
        return self._made(path, file_bytes(path), key, wanted, check=self._check)

    def generate(
        self, xodr: str, params: structs.OpendriveGenerationParameters | None = None
    ) -> LoadedMap:
        """A map from a client's text. Raises RoadError with the reason.

        Of `params` nothing is used: they shape the mesh that CARLA draws, walls at its edges included; ours is as wide as the lanes.
        """
        if len(xodr) > MAX_TEXT_BYTES:
            raise RoadError(
                f"The road file has {len(xodr)} characters, at most {MAX_TEXT_BYTES} are read. Send a smaller map."
            )
        data = xodr.encode("utf-8", errors="surrogatepass")
        if len(data) > MAX_TEXT_BYTES:
            raise RoadError(
                f"The road file has {len(data)} bytes, at most {MAX_TEXT_BYTES} are read. Send a smaller map."
            )
        return self._made(Path(GENERATED), data, GENERATED, self._rule, check=False)

    def _made(
        self, path: Path, data: bytes, name: str, wanted: LightsFile, *, check: bool
    ) -> LoadedMap:
        digest = hashlib.sha256(data + wanted.model_dump_json().encode()).hexdigest()
        found = self._ready.get((name, digest))
        if found is None:
            found = make(path, data, name, wanted, check=check)
            self._ready[name, digest] = found
            while len(self._ready) > KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end((name, digest))
        return found


def make(path: Path, data: bytes, name: str, wanted: LightsFile, *, check: bool) -> LoadedMap:
    """Everything of one road file's bytes; `path` is for messages."""
    with np.errstate(all="ignore"):  # numbers too large are looked for where they end up
        return _make(path, data, name, wanted, check=check)


def _make(path: Path, data: bytes, name: str, wanted: LightsFile, *, check: bool) -> LoadedMap:
    try:
        _refuse_coils(path, data)
        text, rewrites = derive(path, data, max_points=MAX_POINTS)
        net = _network(path, text)
        times: dict[str, traffic_lights.Times] = {}
        if wanted.rule or wanted.junction:
            text, times = add_lights(path, text, net, wanted)
            net = _network(path, text)
        ground = grounds.from_network(net)
        light_plan = traffic_lights.plan(net, times)
    except (ArithmeticError, ValueError, IndexError, MemoryError) as error:
        raise RoadError(f"{path}: cannot be made into a map ({error}). Check the file with `icv map check`.") from error  # fmt: skip
    if check:
        report = planner_check.check(text.decode())
        if report.reasons:
            more = f" ({len(report.reasons)} findings)" if len(report.reasons) > 1 else ""
            raise RoadError(f"{path}: CARLA's route planner would fail on this map: {report.reasons[0]}{more}. Correct the road file, or serve it unchecked.")  # fmt: skip
    statics = things.boxes(net)
    return LoadedMap(
        f"Carla/Maps/{name}",
        text.decode(),
        net,
        ground,
        statics,
        spawn_points(net, statics),
        light_plan,
        light_plan.signs,
        things.environment(net, statics),
        origin(net.geo_reference),
        rewrites,
    )


def _network(path: Path, text: bytes) -> RoadNetwork:
    digest = hashlib.sha256(text).hexdigest()
    net = build(parse(path, text), path.stem, digest, max_points=MAX_POINTS)
    points, signals = net.points, net.signals
    for what, values in (
        ("lanes lead to", (points.x_m, points.y_m, points.z_m, points.width_m)),
        ("signals stand at", (signals.x_m, signals.y_m, signals.z_m, signals.yaw_rad)),
    ):
        if not all(np.abs(v).max(initial=0.0) <= MAX_COORDINATE_M for v in values):  # NaN too
            raise RoadError(f"{path}: {what} places more than {MAX_COORDINATE_M:.0e} m away. Look for absurd numbers in geometry, elevation, widths and offsets.")  # fmt: skip
    return net


def _refuse_coils(path: Path, data: bytes) -> None:
    """A spiral is integrated turn by turn: one that coils up takes minutes to follow, and no road does."""
    for road in load_tree(path, data).iter("road"):
        for piece in road.iterfind("planView/geometry"):
            spiral = piece.find("spiral")
            if spiral is None:
                continue
            try:
                length = abs(float(piece.get("length", "nan")))
                bend = max(abs(float(spiral.get(k, "nan"))) for k in ("curvStart", "curvEnd"))
            except ValueError:
                continue  # the reader says better what is wrong
            if not length * bend <= MAX_TURN_RAD:
                raise RoadError(f"{path}: road '{road.get('id', '')}': the spiral at s = {piece.get('s', '')[:40]} turns by more than {MAX_TURN_RAD:g} rad. Correct the file.")  # fmt: skip


def origin(geo_reference: str) -> tuple[float, float]:
    """Latitude and longitude of a PROJ text, as CARLA reads it: `+lat_0` and `+lon_0`, 0 where they are not there."""
    out: list[float] = []
    for key, limit in (("lat_0", 90.0), ("lon_0", 180.0)):
        found = re.search(rf"\+{key}=([-+.0-9eE]+)", geo_reference)
        try:
            value = float(found.group(1)) if found else 0.0
        except ValueError:
            value = 0.0
        out.append(value if abs(value) <= limit else 0.0)
    return out[0], out[1]


def _files(where: Path | None) -> dict[str, Path]:
    """Name to file, in order of name. Raises RoadError for a place without a road file."""
    if where is None:
        return {name: path_of(name) for name in sorted(MAPS)}
    where = Path(where)
    if where.is_dir():
        found = {p.stem: p for p in sorted(where.glob("*.xodr")) if p.is_file()}
        if not found:
            raise RoadError(f"{where}: no .xodr file in this folder. Give a folder with road files, or one file.")  # fmt: skip
        return found
    if not where.is_file():
        raise RoadError(f"{where}: no such file or folder. Give an OpenDRIVE (.xodr) file or a folder of them.")  # fmt: skip
    return {where.stem: where}
