"""Small OpenDRIVE files written from their parts, for tests that need one odd thing in an ordinary road."""

from __future__ import annotations

from pathlib import Path

WIDTH = '<width sOffset="0" a="3" b="0" c="0" d="0"/>'
BROKEN = '<roadMark sOffset="0" type="broken" width="0.12"/>'
SOLID = '<roadMark sOffset="0" type="solid" width="0.12"/>'


def lane(odr_id: int, inner: str = "", kind: str = "driving", width: str = WIDTH) -> str:
    """A lane with a link element, its width and whatever else."""
    return (
        f'<lane id="{odr_id}" type="{kind}" level="false">{inner}{width if odr_id else ""}</lane>'
    )


def section(left: str = "", right: str = "", s: float = 0.0, centre: str = "") -> str:
    """A lane section."""
    sides = f"<left>{left}</left>" if left else ""
    sides += f'<center><lane id="0" type="none">{centre}</lane></center>'
    return f'<laneSection s="{s}">{sides}{f"<right>{right}</right>" if right else ""}</laneSection>'


def line(length: float, x: float = 0.0, y: float = 0.0, hdg: float = 0.0, s: float = 0.0) -> str:
    """A straight geometry record."""
    return geometry("<line/>", length, x, y, hdg, s)


def geometry(
    shape: str, length: float, x: float = 0.0, y: float = 0.0, hdg: float = 0.0, s: float = 0.0
) -> str:
    """Any geometry record."""
    return f'<geometry s="{s}" x="{x}" y="{y}" hdg="{hdg}" length="{length}">{shape}</geometry>'


def road(
    odr_id: str = "1",
    length: float = 100.0,
    plan: str = "",
    sections: str = "",
    *,
    link: str = "",
    junction: str = "-1",
    rule: str = "RHT",
    before: str = "",
    offset: str = "",
    after: str = "",
) -> str:
    """A road; `before` goes between planView and lanes, `after` behind the lanes."""
    return (
        f'<road name="" length="{length}" id="{odr_id}" junction="{junction}" rule="{rule}">'
        f"<link>{link}</link><planView>{plan or line(length)}</planView>{before}"
        f"<lanes>{offset}{sections or section(lane(1), lane(-1))}</lanes>{after}</road>"
    )


def document(*parts: str, version: str = "1.7", header: str = "") -> str:
    """A whole file."""
    major, minor = version.split(".")
    return (
        f'<?xml version="1.0"?><OpenDRIVE><header revMajor="{major}" revMinor="{minor}">{header}</header>'
        f"{''.join(parts)}</OpenDRIVE>"
    )


def write(folder: Path, *parts: str, version: str = "1.7", header: str = "") -> Path:
    """Write a whole file and return where."""
    path = folder / "test.xodr"
    path.write_text(document(*parts, version=version, header=header), encoding="utf-8")
    return path
