"""Is a planted cause found? `python tests/bench_planted.py [RUNS] [BLOCKS]` (`make bench-planted`).

A handicap is hidden in the pumps' own tables of a copy of flannel-udp, otherwise equal. Each
run asks `why` for the gap to flannel-udp and looks whether the largest share is that of the planted
cause, and whether prices times counts are within 20 % of the gap. Nothing is asserted: a bar is for
a person to look at.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import itertools
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench import run as runner
from bench.results import ResultSet, ResultWriter, load
from bench.scenario import find
from bench.why.answer import answer
from bench.why.design import Design, design
from bench.why.experiment import new_run

PLANTED = (
    ("null_calls", 20, "calls"),
    ("handoffs", 1, "wakeups"),
    ("hot_copies", 64, "copies"),
    ("vain_receives", 14, "polling"),
    ("udp_trips", 2, "sockets"),
    ("cold_copies", 14, "cold_copies"),
)
"""Switch, value, and the cause that has the largest part in what it costs."""
_CLOSE = 0.2


def suspect(folder: Path, switch: str, value: int) -> Path:
    """A copy of flannel-udp with a handicap in its pumps' tables."""
    [original] = find(["flannel-udp"])
    text = original.read_text()
    table = f"switches = {{ {switch} = {value} }}\n"
    changed = text.replace('kind = "pump"\n', f'kind = "pump"\n{table}')
    assert changed.count(table) == 2
    file = folder / "suspect.toml"
    file.write_text(changed)
    return file


def without_ablations(chosen: Design) -> Design:
    """What is needed for prices and shares alone."""
    doses = {name for of_it in chosen.doses.values() for name in (of_it.base, *of_it.given)}
    kept = {chosen.slow, chosen.fast} | doses
    variants = {name: variant for name, variant in chosen.variants.items() if name in kept}
    return replace(chosen, variants=variants, ablations={}, ablated=None)


def measured(chosen: Design, paths: tuple[str, str], folder: Path, blocks: int) -> ResultSet:
    run = new_run(chosen, paths, measures=["serial"], arms=["native"], blocks=blocks)
    with ResultWriter.create(folder, run) as writer:
        runner.run(chosen.variants, run.asked.settings, writer, lambda *_: None)
        return load(writer.finish())


def main(runs: int, blocks: int) -> None:
    found = 0
    order = list(itertools.islice(itertools.cycle(PLANTED), runs))
    random.shuffle(order)
    for number, (switch, value, cause) in enumerate(order, 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = (str(suspect(folder, switch, value)), "flannel-udp")
            chosen = without_ablations(design(*paths, ()))
            results = measured(chosen, paths, folder / "out", blocks)
            [gap] = answer(results, chosen).gaps
        explained = sum(share.seconds.value for share in gap.shares)
        off = explained / gap.gap.value - 1
        named = gap.shares[0].cause
        good = named == cause and abs(off) <= _CLOSE
        found += good
        print(
            f"{number:2} {switch} = {value}: named {named} ({gap.shares[0].share.value:.0%}), "
            f"gap {gap.gap.value * 1e6:.2f} us, by prices {explained * 1e6:.2f} us "
            f"({off:+.0%}): {'found' if good else 'MISSED'}",
            flush=True,
        )
    print(f"{found} of {runs} found")


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    main(*(arguments + [10, 8][len(arguments) :]))
