"""`vnetbench why`: what makes one path slower than another."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from bench import environment
from bench.cli.measuring import INTERRUPTED, NOT_MEASURED, carry_out, changes_since, telling
from bench.cli.options import ARMS
from bench.errors import UsageError
from bench.probes import PROBES
from bench.results import Asked, ResultWriter, Run, VariantRecord, load, load_unfinished
from bench.topology import Arm, enter_user_namespace_if_needed
from bench.why.design import MEASURES, Design, design, plan

if TYPE_CHECKING:
    from bench.results import ResultSet
    from bench.why.claims import Claim, Verdict

PROFILE = "why"
"""What such a run has for a profile."""
_SLOW, _FAST, _BESIDE = "flannel-udp", "vxlan", "host-gw"
_BLOCKS = {"serial": 8, "stream": 4, "ledger": 1}
_LEDGER = {"kind": "echo", "size": 1400, "seconds": 0.2, "values": 1}
_ANSWER = "why.json"


@click.command(epilog="Example: vnetbench why flannel-udp 'flannel-udp[pump=fast]' -o results/why")
@click.argument("slow", required=False)
@click.argument("fast", required=False)
@click.option("--beside", multiple=True, metavar="NAME", help="Set another path beside the two.")
@click.option(
    "-o",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the results go [default: results/TIME-why].",
)
@click.option("--arm", "arms", multiple=True, type=click.Choice(ARMS), help="[both]")
@click.option(
    "--measure", "measures", multiple=True, type=click.Choice(list(MEASURES)), help="[both]"
)
@click.option("--blocks", type=click.IntRange(1, 1000), help="Of `serial`; `stream` has half.")
@click.option("--seed", type=click.IntRange(0), help="Of the order of trials [random].")
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Go on with a run that was interrupted or killed.",
)
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Answer from what was measured before, instead of measuring.",
)
@click.option("--claims", is_flag=True, help="Check what is commonly said of these paths instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def why(
    slow: str | None,
    fast: str | None,
    beside: tuple[str, ...],
    folder: Path | None,
    arms: tuple[str, ...],
    measures: tuple[str, ...],
    blocks: int | None,
    seed: int | None,
    resume: Path | None,
    source: Path | None,
    claims: bool,
    as_json: bool,
) -> None:
    """Explain why the path SLOW is slower than FAST, cause by cause, in time per packet.

    By default flannel-udp against vxlan, with host-gw beside them. A path is a scenario, or
    a variant as tables name it: "flannel-udp[batch=16]". Every cause is counted and has its price
    measured (how much slower is the path with one more of it?); what the pump's techniques win back
    is measured as well. docs/method.md says how.
    """
    if claims:
        _refuse_beside("claims")
        enter_user_namespace_if_needed()
        _check_claims(as_json)
        return
    if source is not None and resume is not None:
        raise UsageError("--from and --resume: name one of them")
    if source is not None:
        results = load(source)
        _report(results, _design_of(results.run), as_json)
        return
    enter_user_namespace_if_needed()
    if resume is not None:
        chosen = _design_of(load_unfinished(resume).run)
        with ResultWriter.resume(resume) as writer:
            for change in changes_since(writer.run):
                writer.warn(f"the run was resumed on a changed machine: {change}")
            _measure(chosen, writer, as_json)
        return
    paths = _paths(slow, fast, beside)
    chosen = design(paths[0], paths[1], paths[2:])
    asked = Asked(
        scenarios=paths,
        overrides=(),
        profile=PROFILE,
        settings={
            **{id_: dict(PROBES[id_].settings["quick"]) for id_ in measures or MEASURES},
            "ledger": _LEDGER,
        },
        probes=(*(measures or MEASURES), "ledger"),
        arms=tuple(dict.fromkeys(arms)) or tuple(ARMS),
        blocks=blocks or _BLOCKS["serial"],
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
    )
    with ResultWriter.create(folder or _default_folder(), _new_run(asked, chosen)) as writer:
        _measure(chosen, writer, as_json)


def _refuse_beside(option: str) -> None:
    """Refuse whatever else was asked for: it would have no effect."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    others = [
        parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.name).upper()
        for parameter in context.command.params
        if parameter.name not in (option, "as_json")
        and context.get_parameter_source(parameter.name or "") == given
    ]
    if others:
        raise UsageError(f"--{option} takes nothing but --json; leave out {', '.join(others)}")


def _check_claims(as_json: bool) -> None:
    from bench.why.claims import CLAIMS, check  # noqa: PLC0415
    from bench.why.lab import Lab  # noqa: PLC0415

    verdicts: dict[str, Verdict] = {}
    with telling(Console(stderr=True)) as tell:
        lab = Lab(tell)
        for claim in CLAIMS.values():
            verdicts[claim.id] = check(claim, lab)
            if not as_json:
                tell("")
                _print_verdict(claim, verdicts[claim.id])
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(verdicts), indent=1).decode())


def _print_verdict(claim: Claim, verdict: Verdict) -> None:
    click.echo(f"{verdict.word.upper()}: {claim.claim}")
    click.echo(f"  rule: {claim.decides}")
    for figure in verdict.figures:
        click.echo(f"  {figure}")


def _paths(slow: str | None, fast: str | None, beside: tuple[str, ...]) -> tuple[str, ...]:
    if slow is None:
        return (_SLOW, _FAST, *(beside or (_BESIDE,)))
    if fast is None and slow == _FAST:
        raise UsageError(f"{slow}: is what others are compared with; name a FAST path as well")
    return (slow, fast or _FAST, *beside)


def _new_run(asked: Asked, chosen: Design) -> Run:
    each = {"ledger": 1, "serial": asked.blocks, "stream": max(1, asked.blocks // 2)}
    wanted = {probe: count for probe, count in each.items() if probe in asked.probes}
    return Run(
        asked=asked,
        variants={
            name: VariantRecord(
                scenario=variant.base, parameters=dict(variant.parameters), sha256=variant.digest
            )
            for name, variant in chosen.variants.items()
        },
        environment=msgspec.to_builtins(environment.fingerprint()),
        plan=tuple(plan(chosen, [Arm(arm) for arm in asked.arms], wanted, asked.seed)),
    )


def _design_of(run: Run) -> Design:
    """The design that a run was planned by; what it needs must be what it was."""
    if run.asked.profile != PROFILE:
        raise UsageError("these results are not of vnetbench why; run it anew")
    slow, fast, *beside = run.asked.scenarios
    chosen = design(slow, fast, beside)
    for name, record in run.variants.items():
        if name not in chosen.variants or chosen.variants[name].digest != record.sha256:
            raise UsageError(f"{name}: its scenario file has changed since the run began; run anew")
    return chosen


def _default_folder() -> Path:
    return Path("results", f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}-why")


def _measure(chosen: Design, writer: ResultWriter, as_json: bool) -> None:
    console = Console(stderr=True)
    folder, interrupted = carry_out(dict(chosen.variants), writer, console)
    context = click.get_current_context()
    if interrupted:
        console.print(f"interrupted; go on with: vnetbench why --resume {folder}", soft_wrap=True)
        context.exit(INTERRUPTED)
    _report(load(folder), chosen, as_json)
    if any(not failure.missing for failure in writer.run.failures):
        context.exit(NOT_MEASURED)


def _report(results: ResultSet, chosen: Design, as_json: bool) -> None:
    """Answer, keep the answer and its picture beside the results, and print it."""
    # Imported here: numpy would slow every other command down.
    from bench.cli.why_table import render_answer  # noqa: PLC0415
    from bench.why.answer import answer  # noqa: PLC0415
    from bench.why.picture import draw  # noqa: PLC0415

    found = answer(results, chosen)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (results.path / _ANSWER).write_bytes(text)
    pictures = draw(found, results.path)
    if as_json:
        click.echo(text.decode())
        return
    console = Console()
    render_answer(found, console)
    names = ", ".join(path.name for path in pictures)
    console.print(f"\nResults: {results.path} (the picture: {names})", soft_wrap=True)
