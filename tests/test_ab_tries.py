"""Which tries at a block of two revisions count: those of both sides, or of neither."""

import json
import sys
from pathlib import Path

import pytest
from sets import a_run, noisy, write_set

from bench.ab import blocks as kept
from bench.ab.model import AbAsked
from bench.ab.revisions import ONCE, Built, Revision
from bench.ab.session import measure_revisions
from bench.ab.tries import first_tries, most_disturbed
from bench.probes import Measurement
from bench.results import Attempt, Cell, ResultWriter, Run, load

QUIET, DISTURBED = 0.0, 0.5

ASKED = AbAsked(
    kind="revisions",
    old="a",
    new="b",
    commits=("ab" * 20, "cd" * 20),
    scenarios=("veth",),
    probes=("rtt",),
    arms=("native",),
    margin=0.01,
    look_for=0.05,
    max_blocks=20,
    minutes=1e-6,  # a block, and the time is up
    seed=1,
)

REVISION = """#!{python}
# A revision whose `run` is disturbed as it was told: by so much steal, one trial after the other.
import json, pathlib, sys
sys.path[:0] = {paths!r}
from sets import a_run, noisy, write_set
from bench.results import Attempt
plan = pathlib.Path({plan!r})
state = json.loads(plan.read_text())
steal, *left = state["steal"]
plan.write_text(json.dumps({{"steal": left, "words": [*state["words"], sys.argv]}}))
target = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
run = a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=1)
write_set(target, run, noisy(1), [Attempt({{"steal": steal}})])
"""


def revision(folder: Path, label: str, steal: list[float], *, once: bool = True) -> Built:
    plan, program = folder / f"{label}.json", folder / label
    plan.write_text(json.dumps({"steal": steal, "words": []}))
    tests = Path(__file__).parent
    paths = [str(tests), str(tests.parent)]
    program.write_text(REVISION.format(python=sys.executable, paths=paths, plan=str(plan)))
    program.chmod(0o755)
    return Built(label, Revision(label, "ab" * 20), folder, program, once)


def calls(folder: Path, label: str) -> list[list[str]]:
    """How `run` of a revision was called."""
    words: list[list[str]] = json.loads((folder / f"{label}.json").read_text())["words"]
    return words


@pytest.mark.parametrize("disturbed", ["old", "new"])
def test_a_disturbed_block_is_measured_again_on_both_sides_whichever_it_was(
    tmp_path: Path, disturbed: str
) -> None:
    plans = {label: [QUIET, QUIET] for label in ("old", "new")}
    plans[disturbed][0] = DISTURBED
    old, new = (revision(tmp_path, label, plan) for label, plan in plans.items())
    folder = tmp_path / "out"
    measure_revisions(ASKED, folder, (old, new), lambda _: None)
    assert [len(calls(tmp_path, label)) for label in plans] == [2, 2]
    for label in plans:
        assert {each.name for each in (folder / label).iterdir()} == {
            "block-1",
            "block-1-disturbed-1",
        }
    assert kept.whole_blocks(folder, ASKED) == [1]


def test_blocks_are_measured_again_as_often_as_the_whole_comparison_allows(tmp_path: Path) -> None:
    """Twice from the start, however often it is gone on with."""
    always = [DISTURBED] * 5
    sides = revision(tmp_path, "old", always), revision(tmp_path, "new", always)
    for blocks, tries in ((1, 3), (2, 4), (3, 5)):
        measure_revisions(ASKED, tmp_path / "out", sides, lambda _: None)
        assert kept.whole_blocks(tmp_path / "out", ASKED) == list(range(1, blocks + 1))
        assert [len(calls(tmp_path, label)) for label in ("old", "new")] == [tries, tries]


def test_a_revision_that_can_be_told_not_to_repeat_is_told(tmp_path: Path) -> None:
    old = revision(tmp_path, "old", [QUIET], once=False)
    measure_revisions(
        ASKED, tmp_path / "out", (old, revision(tmp_path, "new", [QUIET])), lambda _: None
    )
    assert [ONCE in calls(tmp_path, label)[0] for label in ("old", "new")] == [False, True]


def test_of_a_revision_that_repeats_by_itself_the_first_try_counts(tmp_path: Path) -> None:
    run = a_run(variants=("veth",), arms=("native",), probes=("rtt",), blocks=2)
    first, *_ = run.plan
    with ResultWriter.create(tmp_path / "a", run) as writer:
        for trial in run.plan:
            tries = [Attempt({"steal": 0.0})]
            if trial == first:
                tries.insert(0, Attempt({"steal": 0.03}, ("steal",), {"rtt": [9.0, 9.0]}))
            writer.record(trial, Measurement({"rtt": [1.0]}), tries)
        results = load(writer.finish())
    cell = Cell("veth", "native", "rtt")
    assert results.series()[cell].blocks == {1: 1.0, 2: 1.0}
    assert first_tries(results).series()[cell] == ("s", "rtt", {1: 9.0, 2: 1.0})


def test_what_one_side_alone_tells_disturbs_no_block(tmp_path: Path) -> None:
    def told(name: str, *attempts: Attempt) -> Run:
        return write_set(tmp_path / name, a_run(blocks=1), noisy(1), attempts).run

    both = [
        told("old", Attempt({"steal": DISTURBED, "other_load": 0.1})),
        told("new", Attempt({"steal": 0.1, "other_load": None})),
    ]
    found = most_disturbed(both)
    assert (found["steal"], found["other_load"]) == (DISTURBED, None)
    assert most_disturbed([*both, told("silent")]) == {}
