"""A certificate as a page for people: one HTML file without scripts, opening from disk."""

from __future__ import annotations

from html import escape

from sim.prove.certificate import Certificate, Run

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24}
h1{font-size:1.4rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;
vertical-align:top}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}.yes{color:#116329}.no{color:#a40e26}"""


def page(certificate: Certificate) -> str:
    """The whole page."""
    c, scene = certificate, certificate.scene
    verdict = (
        f"the same in every one of {c.plain.ticks} ticks, in {len(c.runs)} other surroundings"
        if c.same
        else f"NOT the same in {sum(not run.same for run in c.runs)} of {len(c.runs)} surroundings"
    )
    facts = {
        "Scene": f"{scene.name}, seed {scene.seed}, {scene.duration_s:g} s, tick {scene.tick_ns / 1e6:g} ms",
        "Scene, SHA-256": scene.sha256,
        "Road file, SHA-256": scene.map_sha256,
        "Digest after the last tick": c.plain.digest,
        "Records of the log, SHA-256": c.plain.records_sha256 or "-",
        "Commit": c.commit or "unknown",
        "Versions": ", ".join(f"{name} {value}" for name, value in sorted(c.versions.items())),
        "Machine": ", ".join(f"{name} {value}" for name, value in sorted(c.machine.items())),
        "Started": c.started_utc,
        "Not covered": "; ".join(c.not_covered),
        "Public key": c.public_key
        + (" (one-time: says that nothing was changed, not who signed)" if c.key == "one-time" else ""),
        "Signature": c.signature,
    }  # fmt: skip
    rows = "".join(
        f"<tr><th>{escape(k)}</th><td><code>{escape(v)}</code></td></tr>" for k, v in facts.items()
    )
    runs = "".join(_row(run) for run in c.runs)
    colour = "yes" if c.same else "no"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(scene.name)}: determinism certificate</title>'
        f'<style>{_STYLE}</style><h1>Determinism certificate</h1><p class="{colour}"><strong>{escape(scene.name)}: {verdict}</strong></p>'
        f"<table>{rows}</table><h2>What was varied</h2>"
        f"<table><tr><th>Run</th><th>Varied</th><th>Digest</th><th>Answer</th></tr>{runs}</table>"
        "<p>Check it: <code>icv prove --verify certificate.json</code></p></html>\n"
    )


def _row(run: Run) -> str:
    answer = "same" if run.same else run.error or run.difference or "different"
    recorded = "" if run.records_sha256 else " (ticks only: nothing recorded)"
    return (
        f"<tr><td>{escape(run.name)}</td><td>{escape(run.varies)}</td><td><code>{escape(run.digest or '-')}</code></td>"
        f'<td class="{"yes" if run.same else "no"}">{escape(answer)}{recorded if run.same else ""}</td></tr>'
    )
