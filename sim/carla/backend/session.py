"""A connection to a CARLA server that has our road loaded and waits for our ticks.

The road goes over as the derived OpenDRIVE (`export_carla`): bus lanes are `driving` there, every lane has a mark. What was set on the
server (synchronous mode, step) is put back when the session closes. Every refusal or silence of the server is an
InfrastructureError: nothing of it says anything about the scene.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocols.errors import ConfigError, InfrastructureError
from protocols.sentence import say
from scenarios.formats.opendrive.export import export_carla

VERSION = "0.9.16"
VERTEX_M, PIECE_M, WALL_M, EXTRA_M = 2.0, 50.0, 0.0, 0.6  # as CARLA's own examples generate roads


@dataclass(frozen=True, slots=True)
class CarlaTarget:
    """Where the server is and how long it may take."""

    host: str = "127.0.0.1"
    port: int = 2000
    answer_s: float = 20.0  # for one call; a real server needs many seconds to build a road

    @classmethod
    def parse(cls, address: str) -> CarlaTarget:
        """`HOST`, `HOST:PORT` or `:PORT`; ConfigError for anything else."""
        host, colon, port = address.rpartition(":") if ":" in address else (address, "", "2000")
        if colon and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigError(
                say("--carla {address!r}: expected HOST:PORT with a port in 1..65535, such as 127.0.0.1:2000.", address=address)
            )  # fmt: skip
        return cls(host or "127.0.0.1", int(port))

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{self.host}:{self.port}"


class Session:
    """`world` is the client's world, in synchronous mode with steps of `step_s`, on the road in `map_path`."""

    def __init__(self, target: CarlaTarget, map_path: Path, step_s: float) -> None:
        try:
            import carla
        except ImportError as error:
            raise InfrastructureError(
                say("--backend carla needs CARLA's Python package: pip install carla==0.9.16")
            ) from error
        self.carla: Any = carla
        self.target = target
        self._was: Any = None
        self._is_lost = False  # did not answer once: nothing is asked of it any more
        try:
            self.client = carla.Client(target.host, target.port)
            self.client.set_timeout(target.answer_s)
            self.version: str = self.client.get_server_version()
        except RuntimeError as error:
            raise InfrastructureError(
                say(
                    "no CARLA server answers at {address} within {answer_s:g} s. Start one (CARLA {expected}, or `icv "
                    "carla-server --port {port}`), or name another with --carla HOST:PORT",
                    address=target.address, answer_s=target.answer_s, expected=VERSION, port=target.port,
                )
            ) from error  # fmt: skip
        if self.version != VERSION:
            raise InfrastructureError(
                say(
                    "the CARLA server at {address} is {version}, expected {expected}",
                    address=target.address, version=self.version, expected=VERSION,
                )
            )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            derived = Path(folder) / "derived.xodr"
            export_carla(map_path, derived)
            text = derived.read_text()
        try:
            before = self.client.get_world()
            self._was = before.get_settings()
            settings = carla.OpendriveGenerationParameters(
                vertex_distance=VERTEX_M, max_road_length=PIECE_M, wall_height=WALL_M,
                additional_width=EXTRA_M, smooth_junctions=True, enable_mesh_visibility=True,
            )  # fmt: skip
            self.world = self.client.generate_opendrive_world(text, settings)
            wanted = self.world.get_settings()
            wanted.synchronous_mode = True
            wanted.fixed_delta_seconds = step_s
            wanted.substepping = False
            self.world.apply_settings(wanted)
        except RuntimeError as error:
            raise InfrastructureError(
                say(
                    "the CARLA server at {address} did not take the road {name}: {why!s}",
                    address=target.address, name=map_path.name, why=error,
                )
            ) from error  # fmt: skip

    def tick(self, t_ns: int) -> Any:
        """One step of the server; its snapshot. InfrastructureError when it does not answer."""
        try:
            self.world.tick()
            return self.world.get_snapshot()
        except RuntimeError as error:
            self._is_lost = True
            raise InfrastructureError(
                say(
                    "the CARLA server at {address} was lost at t={t_s:.2f} s: {why!s}. The log up to this tick is whole",
                    address=self.target.address, t_s=t_ns / 1e9, why=error,
                )
            ) from error  # fmt: skip

    def batch(self, commands: list[Any], t_ns: int = 0) -> list[Any]:
        """Results of `commands`, in order, without a step; none from a server that is lost."""
        if self._is_lost:
            return []
        try:
            answers: list[Any] = self.client.apply_batch_sync(commands, False)
        except RuntimeError as error:
            self._is_lost = True
            raise InfrastructureError(
                say(
                    "the CARLA server at {address} was lost at t={t_s:.2f} s: {why!s}. The log up to this tick is whole",
                    address=self.target.address, t_s=t_ns / 1e9, why=error,
                )
            ) from error  # fmt: skip
        return answers

    def close(self) -> None:
        """Puts the server's settings back; a server that is gone is no error any more."""
        if self._was is None or self._is_lost:
            return
        try:
            self.world.apply_settings(self._was)
        except RuntimeError:
            return
        finally:
            self._was = None
