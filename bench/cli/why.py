"""`vnetbench why`: what makes one path slower than another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bench.cli.completers import scenarios
from bench.cli.measuring import carry_out, default_folder, ended, keeping, resumed, telling
from bench.cli.options import (
    ARMS,
    examples,
    folder_option,
    json_option,
    print_json,
    refuse_beside,
    resume_option,
    seed_option,
    source_option,
)
from bench.cli.streams import messages, output
from bench.errors import INTERRUPTED, UsageError
from bench.files import replace_file
from bench.remaining import Remaining
from bench.results import ResultWriter, load, load_unfinished
from bench.topology import enter_user_namespace_if_needed
from bench.why.design import MEASURES, Design, design
from bench.why.experiment import BLOCKS, PROFILE, design_of, new_run
from bench.why.stored import ANSWER

if TYPE_CHECKING:
    from bench.results import ResultSet
    from bench.why.claims import Claim, Verdict

_SLOW, _FAST, _BESIDE = "flannel-udp", "vxlan", "host-gw"


@click.command(
    epilog=examples(
        "vnetbench why",
        "vnetbench why flannel-udp 'flannel-udp[pump=fast]' -o results/why",
        "vnetbench why --from results/why --json",
        "vnetbench why --claims",
    )
)
@click.argument("slow", required=False, shell_complete=scenarios)
@click.argument("fast", required=False, shell_complete=scenarios)
@click.option(
    "--beside",
    multiple=True,
    metavar="NAME",
    shell_complete=scenarios,
    help="Set another path beside the two.",
)
@folder_option("Where the results go [default: results/TIME-why].")
@click.option("--arm", "arms", multiple=True, type=click.Choice(ARMS), help="[both]")
@click.option(
    "--measure", "measures", multiple=True, type=click.Choice(list(MEASURES)), help="[both]"
)
@click.option(
    "--blocks",
    type=click.IntRange(1, 1000),
    default=BLOCKS,
    show_default=True,
    help="Of one packet at a time; a stream has three quarters of them.",
)
@seed_option
@resume_option("Go on with a run that was interrupted or killed.")
@source_option("Answer from what was measured before, instead of measuring.")
@click.option("--claims", is_flag=True, help="Check what is commonly said of these paths instead.")
@json_option
def why(
    slow: str | None,
    fast: str | None,
    beside: tuple[str, ...],
    folder: Path | None,
    arms: tuple[str, ...],
    measures: tuple[str, ...],
    blocks: int,
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
    is measured as well. docs/attribution.md says how.

    Exit status 3: some of it failed or was skipped, and the answer says what it lacks.
    """
    for name, given in (("claims", claims), ("source", source), ("resume", resume)):
        if given:
            refuse_beside(name)
    if claims:
        enter_user_namespace_if_needed()
        _check_claims(as_json)
        return
    if source is not None:
        results = load(source)
        _report(results, design_of(results.run), as_json)
        return
    enter_user_namespace_if_needed()
    if resume is not None:
        chosen = design_of(load_unfinished(resume).run)
        with resumed(resume) as writer:
            _measure(chosen, writer, as_json)
        return
    paths = _paths(slow, fast, beside)
    chosen = design(paths[0], paths[1], paths[2:])
    run = new_run(chosen, paths, measures=measures, arms=arms, blocks=blocks, seed=seed)
    with ResultWriter.create(folder or default_folder(PROFILE), run) as writer:
        _measure(chosen, writer, as_json)


def _check_claims(as_json: bool) -> None:
    from bench.why.claims import CLAIMS, check  # noqa: PLC0415
    from bench.why.lab import Lab  # noqa: PLC0415

    verdicts: dict[str, Verdict] = {}
    remaining = Remaining(len(CLAIMS))
    lab = Lab(lambda _: None)
    for done, claim in enumerate(CLAIMS.values()):
        begun = f"claim {done + 1} of {len(CLAIMS)}{remaining.after(done)}"
        with telling(messages()) as tell:
            lab.tell = _led_by(begun, tell)
            verdicts[claim.id] = check(claim, lab)
        if not as_json:
            _print_verdict(claim, verdicts[claim.id])
    if as_json:
        print_json({"format": 1, "claims": verdicts})


def _led_by(begun: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    """Tells with those words first."""
    return lambda text: tell(f"{begun}: {text}")


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


def _measure(chosen: Design, writer: ResultWriter, as_json: bool) -> None:
    console = messages()
    folder, interrupted = carry_out(dict(chosen.variants), writer, console)
    context = click.get_current_context()
    if interrupted:
        text = f"interrupted; go on with: vnetbench why --resume {folder}"
        console.print(text, soft_wrap=True, markup=False)
        context.exit(INTERRUPTED)
    _report(load(folder), chosen, as_json)
    context.exit(ended(writer))


def _report(results: ResultSet, chosen: Design, as_json: bool) -> None:
    """Answer, keep the answer and its picture beside the results, and print it."""
    # Imported here: numpy would slow every other command down.
    from bench.cli.why_table import render_answer  # noqa: PLC0415
    from bench.why.answer import answer  # noqa: PLC0415
    from bench.why.picture import draw  # noqa: PLC0415

    found = answer(results, chosen)
    kept: list[str] = []
    with keeping(results.path):
        text = msgspec.json.format(msgspec.json.encode(found), indent=1)
        replace_file(results.path / ANSWER, text)
        kept.append(ANSWER)
        kept += [path.name for path in draw(found, results.path)]
    if as_json:
        print_json(found)
        return
    console = output()
    render_answer(found, console)
    names = f" ({', '.join(kept)})" if kept else ""
    console.print(f"\nResults: {results.path}{names}", soft_wrap=True, markup=False)
