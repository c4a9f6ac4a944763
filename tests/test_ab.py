"""`vnetbench ab`: when it stops, what it says, and how it goes on."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from capabilities import require_program
from files import ROOT
from msgspec.structs import replace
from program import begin, vnetbench
from screens import complaint
from sets import a_run, interrupted_set, noisy, write_set

from bench.ab import blocks as kept
from bench.ab import revisions
from bench.ab.blocks import block_folder
from bench.ab.model import ANSWER, ASKED, AbAsked, read_asked, write
from bench.ab.pairs import Side, not_measured, pairs
from bench.ab.session import conclude
from bench.errors import UsageError
from bench.probes import Measurement
from bench.results import Attempt, PlannedTrial, ResultWriter, load

SERIAL = ("--probe", "serial", "--seed", "1")


def ab(*arguments: object, status: int) -> subprocess.CompletedProcess[str]:
    return vnetbench("ab", *arguments, status=status)


# ---- variants -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
def test_a_large_slowdown_is_shown_at_the_first_look(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    slow = "tun-relay[null_calls=300]"
    done = ab("tun-relay", slow, *SERIAL, "-o", folder, "--json", status=1)
    report = json.loads(done.stdout)
    assert report == json.loads((folder / "ab.json").read_text())
    [answer] = report["answers"]
    assert (answer["metric"], answer["verdict"]) == ("packet_time", "slower")
    assert answer["ratio"] > 1.2
    assert report["stopped"] == "a regression is shown"
    assert report["blocks"] == report["planned_looks"][0] < 60
    results = load(folder)
    assert results.run.status == "complete"
    assert len(results.run.plan) == 2 * report["blocks"]


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_the_same_against_itself_is_no_regression(tmp_path: Path) -> None:
    """With a margin beyond what noise reaches: how often noise errs is for test_paired."""
    wide = ("--margin", 10, "--look-for", 20, "--max-blocks", 10)
    done = ab("veth", "veth", *SERIAL, *wide, "-o", tmp_path / "out", status=0)
    assert "veth → veth (again)" in done.stdout
    assert "slower " not in done.stdout.replace("no slower", "")
    blocks: dict[int, list[str]] = {}
    for trial in load(tmp_path / "out").run.plan:
        blocks.setdefault(trial.block, []).append(trial.variant)
    assert {frozenset(names) for names in blocks.values()} == {frozenset({"veth", "veth (again)"})}
    assert len({tuple(names) for names in blocks.values()}) == 2, "in both orders"


@pytest.mark.slow
@pytest.mark.usefixtures("tuns")
def test_ctrl_c_keeps_what_was_measured_says_what_it_says_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    partial = tmp_path / "out.partial" / "samples.csv"
    asked = ("veth", "flannel-udp", *SERIAL, "--max-blocks", 9, "-o", folder)
    with begin("ab", *asked) as program:
        deadline = time.monotonic() + 60
        while not (partial.exists() and partial.read_text().count("packet_time,s,3") > 0):
            assert program.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        program.send_signal(signal.SIGINT)
        printed, said = program.communicate(timeout=30)
    assert program.returncode == 130
    assert "it ended because it was interrupted" in printed
    assert "2 blocks, of 9" in printed or "3 blocks, of 9" in printed
    assert f"interrupted; go on with: vnetbench ab --resume {folder}" in said
    assert load(folder).run.status == "interrupted"

    refused = vnetbench("run", "--resume", folder, status=2)
    assert f"go on with vnetbench ab --resume {folder}" in refused.stderr

    early = json.loads(ab("--from", folder, "--json", status=0).stdout)
    assert early["stopped"] == "it was interrupted"

    report = json.loads(ab("--resume", folder, "--json", status=1).stdout)
    assert report["blocks"] == 9
    again = json.loads(ab("--from", folder, "--json", status=1).stdout)
    assert again == report
    assert report["answers"][0]["verdict"] == "slower", "a tunnel costs something"


# ---- revisions ----------------------------------------------------------------------------------


def worktrees() -> list[str]:
    """Where there are any; what they have checked out is their owners' affair."""
    words = ["git", "-C", ROOT, "worktree", "list", "--porcelain"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("worktree ")]


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_a_revision_is_built_apart_measured_beside_the_working_tree_and_removed(
    tmp_path: Path,
) -> None:
    require_program("git")
    require_program("cc")
    before, folder = worktrees(), tmp_path / "out"
    few = ("--scenario", "veth", "--minutes", 0.001, "-o", folder)
    report = json.loads(ab("HEAD", ".", *SERIAL, *few, "--json", status=0).stdout)
    assert worktrees() == before
    assert report["stopped"] == "the time was up"
    assert (report["blocks"], report["new"]) == (1, ". (the working tree)")
    assert report["answers"][0]["verdict"] == "cannot tell"
    again = json.loads(ab("--from", folder, "--json", status=0).stdout)
    assert again == report
    head = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    old = load(folder / "old/block-1/0").run.environment["git_revision"]
    assert old == head


@pytest.mark.slow
@pytest.mark.usefixtures("namespaces")
def test_both_revisions_go_by_the_load_that_the_old_one_found(tmp_path: Path) -> None:
    require_program("git")
    require_program("cc")
    folder = tmp_path / "out"
    few = ("--scenario", "veth", "--probe", "delay_50", "--minutes", 0.001, "-o", folder)
    with begin("ab", "HEAD", ".", *few, "--seed", 1, "--json") as program:
        told = program.communicate(timeout=300)
    # 3: of a single trial, a sender that was late once leaves the outermost percentile unmeasured.
    assert program.returncode in (0, 3), told
    sets = [load(folder / name) for name in ("load/0", "old/block-1/0", "new/block-1/0")]
    rates = [each.run.variants["veth"].conditions["native"]["delay_50"] for each in sets]
    assert rates[0] == rates[1] == rates[2]
    assert sets[0].run.environment["git_revision"] == sets[1].run.environment["git_revision"]


COMMIT = "ab" * 20
"""Of nothing: whoever builds it is found out."""


ONE_TRIAL: dict[str, Any] = {
    "variants": ("veth",),
    "arms": ("native",),
    "probes": ("rtt",),
    "blocks": 1,
}
"""What a side measures in a block."""


def of_revisions(**changes: Any) -> AbAsked:
    return replace(
        AbAsked(
            kind="revisions",
            old="HEAD",
            new=".",
            commits=(COMMIT, None),
            scenarios=("veth",),
            probes=("rtt",),
            arms=("native",),
            margin=0.01,
            look_for=0.05,
            max_blocks=30,
            minutes=None,
            seed=1,
        ),
        **changes,
    )


def test_a_revision_is_what_its_name_meant_when_the_comparison_began(tmp_path: Path) -> None:
    require_program("git")
    write(tmp_path / ASKED, of_revisions())
    old, new = revisions.asked_for(read_asked(tmp_path))
    assert (old.text, old.commit, new.commit) == ("HEAD", COMMIT, None)
    assert revisions.commits_of("HEAD", ".")[0] not in (COMMIT, None)
    write(tmp_path / ASKED, of_revisions(commits=()))
    with pytest.raises(UsageError, match="does not say which two commits; measure anew"):
        read_asked(tmp_path)


def measured_revisions(folder: Path, blocks: int, silent: str = "") -> Path:
    """A comparison of which so many blocks were measured, the new side half as fast.

    silent: the side that does not tell what disturbed its trials.
    """
    folder.mkdir()
    write(folder / ASKED, of_revisions())
    for label, value in {"old": noisy(1), "new": noisy(2, veth=2.0)}.items():
        attempts = () if label == silent else (Attempt({"steal": 0.0}),)
        for block in range(1, blocks + 1):
            target = block_folder(folder, label, block) / "0"
            write_set(target, a_run(**ONE_TRIAL), value, attempts)
    return folder


def test_going_on_with_revisions_whose_answer_is_clear_only_says_it(tmp_path: Path) -> None:
    require_program("git")
    folder = measured_revisions(tmp_path / "out", 25)
    said = json.loads(ab("--resume", folder, "--json", status=1).stdout)
    assert said["answers"][0]["verdict"] == "slower"
    assert said["stopped"] == "a regression is shown"
    assert said == json.loads(ab("--from", folder, "--json", status=1).stdout)


def test_going_on_with_revisions_whose_answer_is_open_measures_on(tmp_path: Path) -> None:
    """And so it needs the revision, which is none."""
    require_program("git")
    done = ab("--resume", measured_revisions(tmp_path / "out", 3), status=3)
    assert "git worktree" in done.stderr


def test_an_interrupted_comparison_has_no_verdict_however_large_the_change(tmp_path: Path) -> None:
    """Else each of many interruptions would be another look, and none of them planned."""
    folder = measured_revisions(tmp_path / "out", 9)
    said = json.loads(ab("--from", folder, "--json", status=0).stdout)
    assert said["stopped"] == "it was interrupted"
    assert (said["blocks"], said["looks"]) == (9, 0)
    [answer] = said["answers"]
    assert answer["ratio"] == pytest.approx(2, rel=0.1)
    assert (answer["verdict"], answer["low"], answer["level"]) == ("cannot tell", None, 0)
    table = " ".join(ab("--from", folder, status=0).stdout.split())
    assert "not yet" in table
    assert "it ended because it was interrupted: no verdict yet, --resume goes on." in table


def test_when_the_time_was_up_there_is_no_going_on(tmp_path: Path) -> None:
    """Its budgets are spent, so that another look would be one too many."""
    require_program("git")
    folder = measured_revisions(tmp_path / "out", 9)
    asked = read_asked(folder)
    given = kept.sides(folder, asked, kept.whole_blocks(folder, asked))
    report = conclude(
        asked, ("a", "b"), folder, given, 9, seconds=1.0, interrupted=False, disturbed_load=False
    )
    write(folder / ANSWER, report)
    for word in ("--resume", "--from", "--resume"):
        said = json.loads(ab(word, folder, "--json", status=1).stdout)
        assert (said["stopped"], said["blocks"]) == ("the time was up", 9)
        assert said["answers"][0]["verdict"] == "slower"


def test_a_revision_that_does_not_tell_what_disturbed_it_is_named(tmp_path: Path) -> None:
    folder = measured_revisions(tmp_path / "out", 30, silent="old")
    text = (
        "old: HEAD (abababababab) does not tell what disturbed its trials, so no block was measured"
        " again, of either side"
    )
    assert json.loads(ab("--from", folder, "--json", status=1).stdout)["notes"] == [text]
    assert f"Note: {text}" in ab("--from", folder, status=1).stdout.replace("\n", " ")
    both = measured_revisions(tmp_path / "both", 30)
    assert json.loads(ab("--from", both, "--json", status=1).stdout)["notes"] == []


# ---- what there is of both sides ----------------------------------------------------------------


def two_sides(tmp_path: Path, failing: set[int]) -> tuple[Side, Side]:
    value = noisy(1)

    def some(trial: PlannedTrial) -> list[float] | str:
        return "no" if trial.block in failing and trial.variant == "vxlan" else value(trial)

    results = write_set(tmp_path / "a", a_run(arms=("native",), probes=("rtt",)), some)
    old, new = Side(), Side()
    old.add(results, {"veth": "new"})
    new.add(results, {"vxlan": "new"})
    return old, new


def test_pairs_are_of_the_blocks_that_both_sides_have(tmp_path: Path) -> None:
    [pair] = pairs(*two_sides(tmp_path, {2}))
    assert pair.shared == [1, 3, 4]
    assert str(pair.cell) == "rtt[new,native]"


def test_what_fails_more_often_on_the_new_side_is_said(tmp_path: Path) -> None:
    [item] = not_measured(*two_sides(tmp_path, {2}))
    assert (item.name, item.reason) == ("rtt[new,native]", "new: 1 of 4 trials failed: no")


def test_what_has_no_figures_on_one_side_is_said(tmp_path: Path) -> None:
    sides = two_sides(tmp_path, {1, 2, 3, 4})
    assert pairs(*sides) == []
    [item] = not_measured(*sides)
    assert item.reason == "new: no"


def a_delay(tmp_path: Path, missing: set[int], rates: tuple[float, float]) -> tuple[Side, Side]:
    """Two sides; some blocks of the new one have no p99.9, as where too much was lost."""
    run = a_run(arms=("native",), probes=("delay_50",))
    with ResultWriter.create(tmp_path / "delays", run) as writer:
        for trial in writer.pending():
            new = trial.variant == "vxlan"
            samples = {"delay_50_p50": [1e-5], "delay_50_p99.9": [1e-4]}
            if new and trial.block in missing:
                del samples["delay_50_p99.9"]
            writer.record(trial, Measurement(samples, conditions={"base_rate": rates[new]}))
        results = load(writer.finish())
    old, new_side = Side(), Side()
    old.add(results, {"veth": "new"})
    new_side.add(results, {"vxlan": "new"})
    return old, new_side


@pytest.mark.parametrize("missing", [{2, 3}, {1, 2, 3, 4}])
def test_a_metric_that_the_new_side_gives_less_often_is_said(
    tmp_path: Path, missing: set[int]
) -> None:
    [item] = not_measured(*a_delay(tmp_path, missing, (1e5, 1e5)))
    assert item.name == "delay_50_p99.9[new,native]"
    assert item.reason == f"new: no figure in {len(missing)} of 4 trials, its warnings say why"


def test_delays_at_other_loads_are_not_compared(tmp_path: Path) -> None:
    sides = a_delay(tmp_path, set(), (1e5, 1.1e5))
    assert pairs(*sides) == []
    assert {item.reason for item in not_measured(*sides)} == {
        "delay_50 was not done under the same conditions everywhere"
    }
    assert len(pairs(*a_delay(tmp_path / "near", set(), (1e5, 1.005e5)))) == 2


def test_a_block_that_was_not_finished_counts_nowhere(tmp_path: Path) -> None:
    results = load(interrupted_set(tmp_path / "a", 5))
    side = Side()
    side.add(results, {"veth": "veth"})
    assert not side.tried


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["veth"], "name two variants or two revisions"),
        (["veth", "attic"], "attic is neither a scenario (veth, bridge, "),
        (["veth", "HEAD"], "veth is one of two variants, HEAD one of two revisions"),
        (["HEAD", "attic", "--scenario", "veth"], "attic is no revision of "),
        (["HEAD", "--scenario", "veth", "--", "-x"], "-x is no revision of "),
        (["HEAD", ".", "--scenario", "attic"], 'no scenario "attic"'),
        (["veth", "veth[batch=2]"], 'no selected scenario has a parameter "batch"'),
        (["veth", "veth[mtu=1400"], 'expected a scenario, or "scenario[parameter=value'),
        (["veth", "bridge", "--max-blocks", "5"], "5 blocks can show nothing of 2 metrics"),
        (["veth", "bridge", "--margin", "7"], "margin 7 %, look for 5 %: expected 0 <= margin"),
        (["veth", "bridge", "--minutes", "nan"], "nan is not a finite number"),
        (["veth", "bridge", "--probe", "ledger"], "'ledger' is not one of"),
        (["veth", "bridge", "--probe", "dns"], "'dns' is not one of"),
        (["--resume", "nowhere"], "nowhere: has no ab-asked.json"),
        (["--resume", "."], "has no ab-asked.json"),
        (["--resume", "/"], "cannot be a result set; name a folder to be made"),
        (["--from", "nowhere"], "nowhere: has no ab-asked.json"),
        (["veth", "--from", "nowhere"], "--from takes nothing but --json; leave out OLD"),
        (["veth", "--resume", "nowhere"], "--resume takes nothing but --json; leave out OLD"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in complaint("ab", *arguments)
    assert list(tmp_path.iterdir()) == []
