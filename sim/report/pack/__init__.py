"""The pack: what report and viewer show of a run, as columns small enough to embed.

A pack is a manifest (plain JSON) and sections (deflated columns). `build_pack` makes one from a log for a report; the viewer's
server makes the same sections block by block with `BlockBuilder`. `docs/reports.md` describes the format.
"""

from __future__ import annotations

__all__ = ["Pack", "PackOptions", "build_pack"]

from sim.report.pack.build import Pack, PackOptions, build_pack
