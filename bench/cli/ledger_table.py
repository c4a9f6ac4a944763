"""The ledger of a path, for people: a line for each item, then what there is to know about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from bench.cli.tables import new_table, print_lines
from bench.units import format_times, format_value

if TYPE_CHECKING:
    from bench.ledger import Ledger

_EDGE = 0.005
"""Counts per packet that are somebody's beginning and end: done twice in a thousand packets."""
_NOTES = (
    "Of generator, sink and iperf3 only the calls that move their data count, and no pauses.",
    "Copies of several packets in one buffer are one copy of many bytes.",
)


def render_ledger(ledger: Ledger, console: Console) -> None:
    """Print one ledger."""
    from bench.ledger import ITEMS  # noqa: PLC0415
    from bench.ledger.predict import agrees  # noqa: PLC0415

    parts = _parts(ledger)
    table = new_table(f"{ledger.name}: per packet, one way")
    table.add_column("item", no_wrap=True)
    for heading in ("predicted", "observed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("where")
    for item in ITEMS.values():
        observed, predicted = ledger.per_packet[item.id], ledger.predicted.get(item.id)
        if observed is None:
            cells = [Text("not observed", style="dim"), Text("")]
        else:
            differs = predicted is not None and not agrees(observed, predicted)
            cells = [
                Text(_figure(observed), style="bold red" if differs else ""),
                Text(parts[item.id]),
            ]
        table.add_row(Text(item.title), Text("" if predicted is None else str(predicted)), *cells)
    console.print(table)
    console.print()
    print_lines(console, _lines(ledger))


def _parts(ledger: Ledger) -> dict[str, str]:
    """Who did how much: by process where processes do it, else by host."""
    found = {}
    for id_ in ledger.per_packet:
        parts = ledger.by_process.get(id_) or ledger.by_host.get(id_, {})
        found[id_] = ", ".join(f"{name} {_figure(v)}" for name, v in parts.items() if v > _EDGE)
    return found


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"  # noqa: PLR2004


def _lines(ledger: Ledger) -> Iterator[str]:
    unit = "datagrams" if ledger.load["kind"] == "udp" else "segments"
    yield f"{ledger.delivered:.0f} {unit} of {ledger.segment} bytes delivered. {_NOTES[0]}"
    yield _NOTES[1]
    yield from (f"Differs from what is predicted: {line}" for line in _differences(ledger))
    yield from (f"Not observed: {line}" for line in _unobserved(ledger))
    if ledger.drops:
        yield "Dropped: " + ", ".join(f"{name} {count}" for name, count in ledger.drops.items())
    done = [check for check in ledger.checks if check.agree is not None]
    agreeing = sum(check.agree is True for check in done)
    yield f"Identity checks: {agreeing} of {len(done)} agree."
    yield from (f"DISAGREE: {line}" for line in ledger.disagreements())
    if not ledger.sound:
        yield "Nothing may be concluded from these counts."
    if ledger.missed:
        yield f"The tracer missed {ledger.missed} events of {ledger.events + ledger.missed}."
    if ledger.overhead is not None:
        cost = ledger.overhead
        yield (
            f"Observing cost: {format_value(cost.plain, cost.unit)} CPU a packet without the "
            f"tracer, {format_value(cost.traced, cost.unit)} with it "
            f"({format_times(cost.ratio)})."
        )
    elif "trace" not in ledger.unobserved:
        yield f"Observing cost: not measured: {ledger.overhead_reason}."


def _differences(ledger: Ledger) -> Iterator[str]:
    from bench.ledger.predict import agrees  # noqa: PLC0415

    for id_, predicted in ledger.predicted.items():
        observed = ledger.per_packet[id_]
        if observed is not None and not agrees(observed, predicted):
            yield f"{id_}: predicted {predicted}, observed {observed:.3f}"


def _unobserved(ledger: Ledger) -> Iterator[str]:
    """A line for each reason, with all the items that it is the reason for."""
    items: dict[str, list[str]] = {}
    for id_, reason in ledger.reasons.items():
        items.setdefault(reason, []).append(id_)
    yield from (f"{', '.join(ids)}: {reason}" for reason, ids in items.items())
