"""How often the whole gate fails although nothing changed: `make bench-gate-sessions`.

`python tests/bench_gate_sessions.py [FOLDER] [SESSIONS] [NAME...]` measures sessions of everything
that short trials can measure (no search, one load of delays) in FOLDER, one after the other, or
takes those that are there. Every session is then the baseline of every other, with every third one
as the second look: SESSIONS * (SESSIONS - 1) * (SESSIONS - 2) gates. They share sessions, so that
what is known of them is known of so many machines' moods as there were sessions, and no interval is
given.
Ends with 1 where more than 1 % fail.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import itertools
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.gate.decide import decide
from bench.gate.rules import MARGIN
from bench.gate.session import beside
from bench.results import ResultSet, load

NAMES = ["veth", "flannel-udp"]
PROBES = ("ledger", "rtt", "tcp_goodput", "serial", "stream", "delay_50", "forwarding_rate_64")
BLOCKS = 4
MOST = 0.01


def measure(folder: Path, names: list[str], loads_of: Path | None) -> None:
    """A session, as `vnetbench run` would be asked for one."""
    command = [sys.executable, "-m", "bench", "run", *names, "--arm", "native", "-o", str(folder)]
    command += [word for probe in PROBES for word in ("--probe", probe)]
    command += ["--blocks", str(BLOCKS), "--json"]
    if loads_of:
        command += ["--loads-of", str(loads_of)]
    # Status 3: something could not be measured, which is no reason to measure nothing else.
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if status not in (0, 3):
        sys.exit(f"{folder}: vnetbench run ended with {status}")


def report(sessions: list[ResultSet]) -> bool:
    """Gate every session by every other; whether few enough fail."""
    verdicts, reasons, cells = Counter[str](), Counter[str](), Counter[str]()
    statuses = Counter[int]()
    for baseline, new, again in itertools.permutations(sessions, 3):
        decision = decide(baseline, new, again)
        verdicts[decision.verdict] += 1
        statuses[decision.exit_code] += 1
        cells.update(found.name for found in decision.findings if found.fails)
        reasons.update(f"{each.name} ({each.kind})" for each in decision.problems)
    first = Counter(
        any(found.suspicious for found in beside(baseline, new, MARGIN).findings)
        for baseline, new in itertools.permutations(sessions, 2)
    )
    gates = sum(verdicts.values())
    judged = Counter(found.stage for found in beside(sessions[0], sessions[1], MARGIN).findings)
    print(f"{len(sessions)} sessions, cells: {dict(judged)}")
    print(f"first looks in which something got worse: {first[True]} of {first.total()}")
    print(f"gates: {dict(verdicts)}; bar: at most {MOST:.0%} of {gates} fail")
    print(*(f"    exit status {status}: {n}" for status, n in sorted(statuses.items())), sep="\n")
    for what, counted in (("failed by", cells), ("not judged", reasons)):
        print(*(f"    {what}: {name}, {n} times" for name, n in counted.most_common()), sep="\n")
    return verdicts["failed"] <= MOST * gates


def main(folder: Path, wanted: int, names: list[str]) -> None:
    places = [folder / f"session-{number:02}" for number in range(wanted)]
    for number, place in enumerate(places):
        if not place.exists():
            print(f"session {number + 1} of {wanted}", file=sys.stderr)
            measure(place, names, places[0] if number else None)
    sys.exit(not report([load(place) for place in places]))


if __name__ == "__main__":
    asked = sys.argv[1:]
    main(
        Path(asked[0]) if asked else Path(tempfile.mkdtemp(prefix="gate-sessions-")),
        int(asked[1]) if len(asked) > 1 else 8,
        asked[2:] or NAMES,
    )
