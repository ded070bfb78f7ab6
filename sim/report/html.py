"""One self-contained HTML file of a run, or of two side by side: the viewer's page with its packs written into it.

The page, script and style sheet are the built ones of `sim/viewer/static`. Everything that comes from a log is escaped: JSON never holds
a `<`, sections are base64, keys are attribute values. A content security policy lets run the one script that is written into the file
and forbids every request to the network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import InfrastructureError
from sim.report.pack import Pack, PackOptions, build_pack
from sim.report.pack.meta import as_json

STATIC = Path(__file__).resolve().parent.parent / "viewer" / "static"
LIMIT = 15_000_000  # bytes of a file for one run
_MANIFEST_ROOM = 600_000  # roads, actors, events
_STYLE = re.compile(r'<link\b[^>]*\bhref="(?:\./)?viewer\.css"[^>]*>')
_SCRIPT = re.compile(r'<script\b[^>]*\bsrc="(?:\./)?viewer\.js"[^>]*>\s*</script>')
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
_HEAD = re.compile(r"<head\b[^>]*>")


@dataclass(frozen=True, slots=True)
class Page:
    """The viewer's built page."""

    html: str
    script: str
    style: str

    @classmethod
    def load(cls, folder: Path = STATIC) -> Page:
        """The built files; InfrastructureError says how to build them."""
        try:
            texts = [
                (folder / name).read_text(encoding="utf-8")
                for name in ("index.html", "viewer.js", "viewer.css")
            ]
        except OSError as error:
            raise InfrastructureError(
                f"the viewer's built page is not there ({error}); in a source checkout run "
                "`npm ci && npm run build` in sim/viewer/web."
            ) from error
        return cls(*texts)


def write_report(
    log: Path, out: Path, other: Path | None = None, road_file: Path | None = None
) -> Pack:
    """Report of the log at `log` (beside `other`) as the file `out`, whole or not at all; the pack of `log`."""
    page = Page.load()
    room = LIMIT - len(page.script.encode()) - len(page.style.encode())
    packs = [_fitting(path, room, road_file) for path in (log, other) if path is not None]
    half = out.with_name(out.name + ".part")
    with half.open("wb") as file:
        for piece in render(page, packs):
            file.write(piece.encode("utf-8", "replace"))
    half.replace(out)
    return packs[0]


def _fitting(log: Path, room: int, road_file: Path | None) -> Pack:
    """The pack of `log` that takes at most `room` bytes of a file, as long as what always belongs into it does."""
    taken = _MANIFEST_ROOM
    while True:
        # Sections grow by a third in base64, and have tags with their names around them.
        options = PackOptions(budget=max(0, (room - taken) // 4 * 3 - 100_000), road_file=road_file)
        pack = build_pack(log, options)
        needed = len(_as_text(pack).encode("utf-8", "replace"))
        if needed <= taken or options.budget == 0 or pack.size() <= (room - needed) // 4 * 3 - 100_000:  # fmt: skip
            return pack
        taken = needed  # a run of very many actors or events


def render(page: Page, packs: list[Pack]) -> Iterator[str]:
    """The report's text, piece by piece: the run, and a second one to compare with."""
    script = _inline_script(page.script)
    style = page.style.replace("</style", "<\\/style")
    title = " / ".join(str(pack.manifest["meta"]["scenario"]) for pack in packs)
    text = _TITLE.sub(lambda _: f"<title>{html.escape(title)} · icv</title>", page.html, count=1)
    head = _HEAD.search(text)
    tag = _SCRIPT.search(text)
    if head is None or tag is None or _STYLE.search(text) is None:
        raise InfrastructureError(
            "the viewer's page lacks its head, viewer.js or viewer.css; build it again in sim/viewer/web."
        )
    yield (
        text[: head.end()]
        + f'\n    <meta http-equiv="Content-Security-Policy" content="{policy(script)}" />'
    )
    # A deferred script of a page has no counterpart inline: ours comes last in the body instead.
    rest = text[head.end() : tag.start()] + text[tag.end() :]
    close = rest.rfind("</body>")
    yield _styled(rest[:close], style)
    for pack, run in zip(packs, ("", "b"), strict=False):
        yield from _embedded(pack, run)
    yield f"<script>{script}</script>\n"
    yield rest[close:]


def policy(script: str) -> str:
    """The content security policy of a report with this script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _styled(text: str, style: str) -> str:
    return _STYLE.sub(lambda _: f"<style>{style}</style>", text)


def _inline_script(script: str) -> str:
    """The script as it may stand between script tags."""
    return script.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def _embedded(pack: Pack, run: str) -> Iterator[str]:
    mark = f' data-run="{run}"' if run else ""
    ident = f"icv-manifest-{run}" if run else "icv-manifest"
    yield f'<script type="application/json" id="{ident}">{_as_text(pack)}</script>\n'
    for key, data in pack.sections.items():
        yield (
            f'<script type="text/plain" class="icv-section"{mark} data-key="{html.escape(key)}">'
            f"{base64.b64encode(data).decode('ascii')}</script>\n"
        )


def _as_text(pack: Pack) -> str:
    """The manifest as it may stand between script tags."""
    return as_json(pack.manifest).replace("<", "\\u003c")
