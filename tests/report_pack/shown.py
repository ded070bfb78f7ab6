"""What a report's file or the viewer's server shows: manifest and sections, decoded as `docs/reports.md` describes them."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
_MANIFEST = re.compile(r'<script type="application/json" id="icv-manifest">(.*?)</script>', re.S)
_SECTION = re.compile(r'<script type="text/plain" class="icv-section" data-key="([^"]*)">([^<]*)<')
_BITS = {"i8": "i1", "u8": "u1", "i16": "i2", "u16": "u2", "i32": "i4", "u32": "u4", "f32": "f4", "f64": "f8"}  # fmt: skip


class Frame(NamedTuple):
    """One moment of a table of frames; `head` are the columns with one value a frame."""

    t_ms: int
    head: dict[str, int]
    rows: dict[str, Column]


class Shown:
    """One run as it is shown; `frame_ms`, `said_ms`: how often the truth, and plans and perception, are kept."""

    frame_ms, said_ms = 200, 500

    def __init__(self, manifest: dict[str, Any], sections: dict[str, bytes]) -> None:
        self.manifest = manifest
        self.meta: dict[str, Any] = self.manifest["meta"]
        self._raw = {key: zlib.decompress(data) for key, data in sections.items()}
        assert self._raw.keys() == self.manifest["sections"].keys()
        self._tables: dict[str, dict[str, Column]] = {}

    @classmethod
    def in_report(cls, path: Path) -> Shown:
        """The run that a report's file holds."""
        text = path.read_text(encoding="utf-8")
        found = _MANIFEST.search(text)
        assert found is not None
        sections = {html.unescape(key): base64.b64decode(data) for key, data in _SECTION.findall(text)}  # fmt: skip
        return cls(json.loads(found[1]), sections)

    def table(self, key: str) -> dict[str, Column]:
        """The columns of one section."""
        if key not in self._tables:
            entry = self.manifest["sections"][key]
            tables = self.manifest["tables"]
            described = tables[key] if key in tables and tables[key]["per"] == "run" else tables[key.rpartition("/")[0]]  # fmt: skip
            raw, at, out = self._raw[key], 0, {}
            for name, encoding in described["columns"]:
                count = entry.get("counts", {}).get(name, entry["rows"])
                size = count * np.dtype(_BITS[encoding.split(":")[0]]).itemsize
                out[name] = _column(raw[at : at + size], encoding, count)
                at += size
            assert at == len(raw) == entry["raw"]
            self._tables[key] = out
        return self._tables[key]

    def blocks(self, name: str) -> list[dict[str, Column]]:
        """A table of blocks, block by block; blocks that have none are left out."""
        number = {key.rpartition("/")[2]: key for key in self._raw if key.rpartition("/")[0] == name}  # fmt: skip
        return [self.table(number[block]) for block in sorted(number, key=int)]

    def frames(self, name: str) -> list[Frame]:
        """A table of frames, from all blocks."""
        out = []
        for block in self.blocks(name):
            heads = {"t", "start", "said"} & block.keys()
            for k, (a, b) in enumerate(pairwise(block["start"].tolist())):
                head = {key: int(block[key][k]) for key in heads - {"t", "start"}}
                rows = {key: column[a:b] for key, column in block.items() if key not in heads}
                out.append(Frame(int(block["t"][k]), head, rows))
        return out

    def curve(self, key: str) -> tuple[Column, Column]:
        """(t ms, y) of one curve."""
        (row,) = [item for item in self.meta["series"] if item["key"] == key]
        part = slice(row["row0"], row["row0"] + row["rows"])
        series = self.table("series")
        return series["t"][part].astype(np.int64), series["y"][part]

    def messages(self) -> list[dict[str, Any]]:
        """Every message's row, with names for numbers, its (rows, receivers) fates and latencies, and its bytes (None: not here)."""
        out = []
        meta = self.meta
        width = len(meta["receivers"])
        numbers = sorted(int(key.rpartition("/")[2]) for key in self._raw if key.startswith("messages/"))  # fmt: skip
        for number in numbers:
            index = {name: column.tolist() for name, column in self.table(f"messages/{number}").items()}  # fmt: skip
            fates = self.table(f"fates/{number}") if f"fates/{number}" in self._raw else None
            wire = self.table(f"bytes/{number}")["data"].tobytes() if f"bytes/{number}" in self._raw else b""  # fmt: skip
            for row in (dict(zip(index, values, strict=True)) for values in zip(*index.values(), strict=True)):  # fmt: skip
                row["topic"], row["sender"] = meta["topics"][row["topic"]], meta["units"][row["sender"]]  # fmt: skip
                part = slice(row["fate0"], row["fate0"] + row["rows"] * width)
                shape = row["rows"], width
                if row["rows"] and fates is not None:
                    row["fate"] = fates["fate"][part].reshape(shape)
                    row["latency_us"] = fates["latency_us"][part].reshape(shape)
                at = row["bytes0"]
                row["data"] = wire[at : at + row["size"]] if at >= 0 else None
                out.append(row)
        return out


def _column(raw: bytes, encoding: str, count: int) -> Column:
    name, *rest = encoding.split(":")
    dtype = np.dtype("<" + _BITS[name])
    if "s" in rest:  # all first bytes, then all second bytes, ...
        raw = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, count).T.tobytes()
    values = np.frombuffer(raw, dtype)
    if "d" in rest:  # differences that wrap in the type
        values = np.add.accumulate(values, dtype=dtype)
    scale = [float(part) for part in rest if part not in ("d", "s")]
    return values * scale[0] if scale else values
