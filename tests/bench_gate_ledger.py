"""How often the ledger's gate catches what is planted: `make bench-gate-ledger ARGS=ROUNDS`.

In each round the same baseline is gated four times, in random order: with
one more copy, system call or wake-up for each packet, and unchanged. A gate has caught what was
planted where it fails and confirms counts that must have risen; "in part" where the tracer missed
too much to tell of the others.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

from planted_gates import PLANTED, a_baseline, a_scenario, gate, plant

from bench.stats import binomial_interval

NOTHING = "nothing"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        baseline = a_baseline(a_scenario(folder), folder)
        for number in range(rounds):
            for planted in random.sample([NOTHING, *PLANTED], len(PLANTED) + 1):
                begun = time.monotonic()
                answer = _gate(folder, baseline, planted, f"{number}-{planted}")
                seconds[planted].append(time.monotonic() - begun)
                answers[planted][answer] += 1
            print(f"round {number + 1} of {rounds}: {_line(answers)}", file=sys.stderr)
    for planted in (NOTHING, *PLANTED):
        right = "passed" if planted == NOTHING else "caught"
        hits = sum(n for answer, n in answers[planted].items() if answer.startswith(right))
        low, high = binomial_interval(hits, rounds)
        print(
            f"{planted:12} {_told(answers[planted])}: {hits / rounds:.0%} as it should be "
            f"[{low:.1%}, {high:.1%}]; {median(seconds[planted]):.0f} s, "
            f"at most {max(seconds[planted]):.0f} s"
        )


def _gate(folder: Path, baseline: Path, planted: str, name: str) -> str:
    """What the gate says: "passed", "caught", or what else."""
    scenario = a_scenario(folder)
    if planted != NOTHING:
        plant(scenario, planted)
    done = gate("--baseline", baseline, "--ledger-only", "--json", "-o", folder / name, timeout=600)
    try:
        decision = json.loads(done.stdout)
    except json.JSONDecodeError:
        return f"status {done.returncode}: {done.stderr.strip()}"
    confirmed = {f["metric"] for f in decision["findings"] if f["confirmed"]}
    wanted = PLANTED.get(planted, set())
    if decision["verdict"] == "failed" and wanted and confirmed & wanted:
        return "caught" if wanted <= confirmed else f"caught in part ({', '.join(confirmed)})"
    return str(decision["verdict"])


def _told(answers: Counter[str]) -> str:
    return ", ".join(f"{answer} {n}" for answer, n in answers.most_common())


def _line(answers: dict[str, Counter[str]]) -> str:
    return "; ".join(f"{planted}: {_told(counts)}" for planted, counts in sorted(answers.items()))


if __name__ == "__main__":
    main()
