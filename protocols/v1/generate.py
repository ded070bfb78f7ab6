"""Regenerates the committed `*_pb2.py` and `*_pb2.pyi` from the `.proto` files: `python -m protocols.v1.generate`.

Needs `grpcio-tools` and `mypy-protobuf` (the `dev` extra). Proto paths are rooted at the folder that holds `protocols/`, so
that generated modules import each other as `protocols.v1.<family>_pb2`. A test fails when the committed files drift.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
FAMILIES = tuple(sorted(path.stem for path in HERE.glob("*.proto")))


def generate(out: Path) -> None:
    """Write the generated modules under `out/protocols/v1`; RuntimeError if protoc refuses."""
    from grpc_tools import protoc  # type: ignore[import-untyped]

    root = HERE.parent.parent
    scripts = Path(sys.executable).parent
    plugin = scripts / ("protoc-gen-mypy.exe" if sys.platform == "win32" else "protoc-gen-mypy")
    arguments = [
        "protoc",
        f"-I{root}",
        f"--plugin=protoc-gen-mypy={plugin}",
        f"--python_out={out}",
        f"--mypy_out=quiet:{out}",
        *(f"protocols/v1/{family}.proto" for family in FAMILIES),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed; its message is on standard error")


if __name__ == "__main__":
    generate(HERE.parent.parent)
