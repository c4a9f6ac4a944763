"""Copies a result set to results/NAME, without what no reader of a kept set needs.

    python tools/keep.py results/2026-11-30T12-00-00Z-quick reference

The tools' own output as it came, the pumps' counts and pyperf's runs stay behind: they are most of
a set's bytes, and every clone carries what is kept. Of variants of one scenario, of which `why` has
dozens, only the first one's facts are kept, as found inside its namespaces. What is left is read,
compared and drawn.
"""
# ruff: noqa: T201 (this is a program that talks)

import argparse
import json
import shutil
import sys
from pathlib import Path

from steps import ROOT

RUN = "run.json"
ANSWER = "why.json"
WHOLE = ("samples.csv", "summary.json", ANSWER, "claims.json")
FOLDERS = ("delay_*", "ledger")
KEPT = "KEPT"
"""The file by which `vnetbench report` knows that nobody measured a set here."""
LARGEST = 1_500_000
"""Bytes; tests/test_reference.py holds every kept set to it."""


def needed(source: Path) -> list[Path]:
    """The files of a set that are kept, seen from its folder."""
    found = [source / name for name in WHOLE if (source / name).exists()]
    for pattern in FOLDERS:
        found += list(source.glob(f"{pattern}/*.json"))
    return [file.relative_to(source) for file in sorted(found)]


def with_fewer_facts(text: str) -> str:
    """The text of `run.json`, with the facts of one variant of each scenario."""
    run = json.loads(text)
    seen: set[str] = set()
    for variant in run["variants"].values():
        if variant["scenario"] in seen:
            variant["facts"] = {}
        seen.add(variant["scenario"])
    return json.dumps(run, indent=1, ensure_ascii=False) + "\n"


def name_anew(answer: Path, name: str) -> None:
    """Have what `why` found name the set as it is kept, not the folder of the machine it was in."""
    text = answer.read_text(encoding="utf-8")
    was = json.dumps(json.loads(text)["results"], ensure_ascii=False)
    answer.write_text(text.replace(was, json.dumps(name), 1), encoding="utf-8")


def keep(source: Path, target: Path) -> int:
    """Copy what is needed, in place of what was there; returns how many bytes that is."""
    temporary = target.with_name(f".{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    run = with_fewer_facts((source / RUN).read_text(encoding="utf-8"))
    (temporary / RUN).write_text(run, encoding="utf-8")
    for name in needed(source):
        (temporary / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / name, temporary / name)
    if (answer := temporary / ANSWER).exists():
        name_anew(answer, f"results/{target.name}")
    (temporary / KEPT).write_text("Kept with the project, see ../README.md.\n", encoding="utf-8")
    total = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description="Keep a result set in the repository.")
    parser.add_argument("source", type=Path, help="the folder of a finished run")
    parser.add_argument("name", help="its name under results/")
    asked = parser.parse_args()
    if not (asked.source / "summary.json").exists():
        print(f"{asked.source}: is no result set of a finished run", file=sys.stderr)
        return 2
    total = keep(asked.source, ROOT / "results" / asked.name)
    print(f"results/{asked.name}: {total} bytes")
    if total > LARGEST:
        print(f"which is more than {LARGEST}: measure fewer paths or blocks", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
