"""`icv prove`: reruns a scene in other surroundings and signs what came out, or says where it parted; `--verify` checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim import cli_choices

if TYPE_CHECKING:
    from sim.prove.certificate import Certificate


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(prove)


def prove(
    scenario: Annotated[
        str | None,
        typer.Argument(metavar="SCENARIO", help="Scene file, or the name of a library scene."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scene's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one key of the scene; may be repeated."
        ),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Another duration than the scene's, in s.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for certificate and logs. Default: a new one under runs/."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Key to sign with, made on first use. Default: one that is forgotten.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Only this variant; may be repeated. See docs/proving.md."
        ),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Compile all kernels anew too: takes minutes.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=64, help="Runs at the same time.")
    ] = 1,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="CERTIFICATE", help="Check a certificate instead of making one."),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(metavar="HEX|FILE", help="With --verify: whose signature it has to be."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="With --verify: one that lacks variants (`--only`) will do."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the answer.")] = False,
) -> None:
    """Prove that a scene gives the same bytes everywhere. Other carriers, layouts, orders, hash seeds ...; signs that nothing changed, or says where it did."""
    if verify is not None:
        others = (scenario, key, seed, set_, duration, out, only, thorough or None)
        if any(value is not None for value in others):
            raise typer.BadParameter(
                "--verify checks a certificate; give no SCENARIO and none but --public-key, --partial and --quiet."
            )
        _verify(verify, public_key, partial)
    if partial:
        raise typer.BadParameter("--partial goes with --verify.")
    if public_key is not None:
        raise typer.BadParameter("--public-key goes with --verify.")
    if scenario is None:
        raise typer.BadParameter("give a SCENARIO to prove, or --verify CERTIFICATE to check one.")
    if thorough and only:
        raise typer.BadParameter("give --only or --thorough, not both; `--only cold` is a variant.")

    from datetime import UTC, datetime

    from sim.bench.measure import machine
    from sim.prove import certificate, page
    from sim.prove.run import Answer
    from sim.prove.run import prove as run_proof
    from sim.prove.variants import chosen
    from sim.stopping import stoppable

    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    overrides = list(set_ or [])
    if seed is not None:
        overrides.append(f"seed={seed}")
    if duration is not None:
        overrides.append(f"duration_s={duration}")
    spec, base = cli_choices.scene(scenario, None, overrides)
    variants = chosen(only or [], thorough)
    signer = certificate.private_key(key) if key is not None else certificate.one_time_key()
    folder = out or cli_choices.fresh_folder(spec)
    folder.mkdir(parents=True, exist_ok=True)

    def tell(answer: Answer) -> None:
        if not quiet:
            word = "same" if answer.same else "FAILED" if answer.error else "DIFFERENT"
            name = answer.variant.name
            why = answer.error or answer.difference or answer.variant.varies
            typer.echo(f"{name:<10} {answer.digest or '-':<16}  {word:<9} {why}")

    with stoppable():
        proof = run_proof(spec, scenario, base, folder, variants, jobs=jobs, tell=tell)
    kept = {k: v for k, v in machine().items() if k not in ("load_1min", "spin_s")}
    signed = certificate.certify(proof, kept, started, signer, is_one_time=key is None)
    certificate.write(folder / "certificate.json", signed)
    (folder / "certificate.html").write_text(page.page(signed), encoding="utf-8")
    if proof.same:
        text = f"same: {spec.name} in every one of {proof.plain.ticks} ticks, {len(proof.answers)} ways{_rest(signed)}"
    else:
        bad = [a for a in proof.answers if not a.same]
        text = f"{'FAILED' if proof.exit_code == 3 else 'DIFFERENT'}: {bad[0].variant.name}: {bad[0].error or bad[0].difference}"
        if len(bad) > 1:
            text += f" (and {len(bad) - 1} more)"
    typer.echo(text)
    if not quiet:
        typer.echo(
            f"certificate {folder / 'certificate.json'}\nto read     {folder / 'certificate.html'}"
        )
        typer.echo(f"public key  {signed.public_key}")
    raise typer.Exit(proof.exit_code)


def _rest(signed: Certificate) -> str:
    """What of a whole proof is missing, to be said behind what was found."""
    from sim.prove.certificate import not_run

    names = not_run(signed)
    return f"; not run: {', '.join(names)}" if names else ""


def _verify(path: Path, expected: str | None, is_partial_enough: bool) -> None:
    from sim.prove.certificate import not_run, objections, public_key, read_certificate

    found = read_certificate(path)
    against = objections(found, None if expected is None else public_key(expected))
    for objection in against:
        typer.echo(f"NOT VALID: {path}: {objection}")
    if against:
        raise typer.Exit(1)
    same = sum(run.same for run in found.runs)
    typer.echo(
        f"valid: {found.scene.name}, seed {found.scene.seed}: {same} of {len(found.runs)} runs the same as the plain one "
        f"in all {found.plain.ticks} ticks, digest {found.plain.digest}, commit {found.commit or 'unknown'}{_rest(found)}"
    )
    if expected is None:
        typer.echo(
            f"signed by {found.public_key}; say with --public-key whose signature you expect"
        )
    lacking = not_run(found)
    if lacking and not is_partial_enough:
        typer.echo(
            f"NOT WHOLE: {path}: it says nothing of {len(lacking)} variants; prove without --only, or verify with --partial"
        )
    raise typer.Exit(0 if found.same and (is_partial_enough or not lacking) else 1)
