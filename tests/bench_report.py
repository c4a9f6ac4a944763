"""How large reports are and how fast they open: `python tests/bench_report.py [RUN...]`.

Of the result sets RUN, each by itself and all in one, by default those that are kept in results/;
and of a set of 200 variants that is made up. Seconds to make are of a process of its own; seconds
to open are from when Chromium was asked for the file until it was loaded and painted, the median of
some windows. The exit status is 1 where one is larger than 3 MB or takes 2 seconds or more to open.
"""

# ruff: noqa: T201 - printing a table is what this script is for

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from browser import chromium, seconds_to_open
from files import ROOT
from reports import a_large_set

BYTES, SECONDS, ROUNDS, VARIANTS = 3e6, 2.0, 5, 200


def make(runs: list[Path], file: Path) -> float:
    """Seconds that it takes to make the page."""
    command = [sys.executable, "-m", "bench", "report", *map(str, runs), "-o", str(file)]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main(*names: str) -> None:
    kept = [Path(name) for name in names] or sorted((ROOT / "results").glob("reference*"))
    slow = False
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        large = Path(place, "large")
        a_large_set(large, VARIANTS)
        sets = {path.name: [path] for path in kept} | {f"{VARIANTS} variants": [large]}
        if len(kept) > 1:
            sets["all of them"] = kept
        print(f"{'report of':24}{'MB':>8}{'s to make':>12}{'s to open':>12}")
        for name, runs in sets.items():
            file = Path(place, "report.html")
            made = make(runs, file)
            taken = median(seconds_to_open(browser, file) for _ in range(ROUNDS))
            size = file.stat().st_size
            print(f"{name:24}{size / 1e6:8.2f}{made:12.2f}{taken:12.2f}")
            slow |= size > BYTES or taken >= SECONDS
            file.unlink()
    sys.exit(slow)


if __name__ == "__main__":
    main(*sys.argv[1:])
