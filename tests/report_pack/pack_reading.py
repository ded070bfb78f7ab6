"""Reads packs back, as the page does."""

from __future__ import annotations

from typing import Any

from sim.report.pack import Pack
from sim.report.pack.columns import Array, unpack


def table_of(manifest: dict[str, Any], key: str) -> list[list[str]]:
    """Columns of the table that a section belongs to."""
    tables = manifest["tables"]
    name = key if key in tables and tables[key]["per"] == "run" else key.rpartition("/")[0]
    columns: list[list[str]] = tables[name]["columns"]
    return columns


def read(pack: Pack, key: str) -> dict[str, Array]:
    """Columns of one section."""
    entry = pack.manifest["sections"][key]
    return unpack(pack.sections[key], table_of(pack.manifest, key), entry)


def blocks(pack: Pack, name: str) -> list[dict[str, Array]]:
    """A table of blocks, block by block."""
    keys = [key for key in pack.manifest["sections"] if key.rpartition("/")[0] == name]
    return [read(pack, key) for key in keys]


def curve(pack: Pack, key: str) -> tuple[Array, Array]:
    """(t, y) of one curve."""
    series = read(pack, "series")
    (row,) = [item for item in pack.manifest["meta"]["series"] if item["key"] == key]
    part = slice(row["row0"], row["row0"] + row["rows"])
    return series["t"][part], series["y"][part]
