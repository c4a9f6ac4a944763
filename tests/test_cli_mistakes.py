"""Mistakes: one line that says what is wrong, where, and what was probably meant."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from capabilities import require
from program import vnetbench
from screens import complaint, here
from sets import a_run, killed_set, noisy, write_set

from bench.ab.model import ASKED, AbAsked, write
from bench.errors import did_you_mean


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'? (see vnetbench --help)"),
        ("run --bloks 3", "Did you mean '--blocks'? (see vnetbench run --help)"),
        ("run --profile quik", "(did you mean quick?) (see vnetbench run --help)"),
        ("run --probe rrt", "(did you mean rtt?)"),
        ("run vxln", 'no scenario "vxln" (did you mean vxlan?); expected the path of'),
        ("show flanel-udp", "(did you mean flannel-udp?)"),
        ("run veth -p mtuu=1400", '"mtuu" (did you mean mtu?); there are'),
        ("show flannel-udp -p bach=16", "(did you mean batch?)"),
        ("show flannel-udp -p pump=fats", "(did you mean fast?)"),
        ("show flannel-udp -p io=urng", "(did you mean uring?)"),
        ("ab flannel-upd vxlan", "flannel-upd (did you mean flannel-udp?) is neither"),
        ("why vxlam", "(did you mean vxlan?)"),
        ("peers tun-upd", "(did you mean tun-udp?)"),
        ("shell veth sever", "veth has no host sever (did you mean server?); it has"),
        ("export becher results", "(did you mean bencher?)"),
        ("gate --baseline x --export opnmetrics=f", "(did you mean openmetrics?)"),
        ("completion bsh", "(did you mean bash?)"),
        ("pump --preset fats --tun a --listen 1.2.3.4:5", "(did you mean fast?)"),
        ("pump --batc 16", "'--batch'"),
        ("ledger veth --load upd", "(did you mean udp?)"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(
    arguments: str, says: str
) -> None:
    assert says in complaint(*arguments.split())


def test_a_history_says_what_there_is(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(), noisy(1))
    line = complaint("trend", tmp_path, "--metric", "rrt")
    assert "rrt (did you mean rtt?): they have" in line
    assert "veth (did you" not in complaint(
        "trend", tmp_path, "--metric", "x", "--scenario", "veth"
    )


def test_a_scenario_file_is_told_what_was_meant(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "scenarios/veth.toml").read_text()
    file = tmp_path / "own.toml"
    file.write_text(text.replace('kind = "veth"', 'kind = "vteh"'))
    assert "(did you mean veth?)" in complaint("show", file)
    file.write_text(text.replace("endpoints", "endpoint"))
    assert "(did you mean endpoints?)" in complaint("show", file)
    file.write_text(text.replace("$mtu", "$mut"))
    assert "(did you mean mtu?)" in complaint("show", file)


def test_nothing_is_guessed_where_nothing_is_near() -> None:
    assert did_you_mean("attic", ["veth", "vxlan"]) == ""
    assert did_you_mean("x" * 100_000, ["veth" * 1000]) == ""
    assert "did you mean" not in complaint("show", "xyzzy")


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "compare {0} {0}",
        "trend {0}",
        "export bencher {0}",
        "why --from {0}",
        "ab --from {0}",
        "selftest --from {0}",
        "peers --from {0}",
        "run --resume {0}",
        "gate --baseline {0}",
        "run veth --loads-of {0}",
    ],
)
def test_what_is_no_result_set_is_named(command: str, tmp_path: Path) -> None:
    a_file, empty, damaged = (tmp_path / name for name in ("file", "empty", "damaged"))
    a_file.write_text("no folder")
    empty.mkdir()
    write_set(damaged, a_run(), noisy(1))
    (damaged / "run.json").write_text("{")
    for path in (a_file, empty, damaged, tmp_path / "gone"):
        line = complaint(*command.format(path).split())
        assert str(path) in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "empty", "file"]


def test_a_run_that_goes_on_or_was_killed_is_said_to_be_unfinished(tmp_path: Path) -> None:
    partial = killed_set(tmp_path / "a")
    assert str(partial) in complaint("compare", partial, partial)


@pytest.mark.parametrize(
    "command",
    [
        "run veth -o {0}/a",
        "capture veth -o {0}/a",
        "ab veth bridge -o {0}/a",
        "why -o {0}/a",
        "peers -o {0}/a",
        "selftest -o {0}/a",
        "gate --baseline {1} -o {0}/a",
        "export bencher {1} -o {0}/a",
    ],
)
@pytest.mark.usefixtures("tuns")
def test_a_place_that_takes_no_files_is_named_before_or_after(command: str, tmp_path: Path) -> None:
    write_set(tmp_path / "old", a_run(variants=("veth",)), noisy(1))
    a_file = tmp_path / "file"
    a_file.write_text("no folder")
    line = complaint(*command.format(a_file, tmp_path / "old").split())
    assert str(a_file) in line
    assert a_file.read_text() == "no folder"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    require(done.returncode == 0, f"needs the right to mount: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(("umount", "-l", str(place)), check=True)


@pytest.mark.usefixtures("namespaces")
def test_a_full_disk_is_named_and_what_was_measured_is_kept(mounted: Path) -> None:
    (mounted / "filler").write_bytes(b"x" * (4096 - 32) * 1024)
    done = vnetbench(
        *("run", "veth", "--probe", "rtt", "--arm", "native", "--blocks", "9", "-o", mounted / "a"),
        status=3,
    )
    *_, line = done.stderr.splitlines()
    assert line.startswith(f"vnetbench: {mounted}/a.partial")
    assert "No space left on device" in line
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("namespaces")
def test_a_place_that_is_read_only_is_named_and_an_answer_is_printed_all_the_same(
    mounted: Path,
) -> None:
    run = a_run(variants=("veth", "bridge"), arms=("native",), probes=("rtt",), blocks=20)
    write_set(mounted / "a", run, noisy(1))
    asked = AbAsked(
        kind="variants",
        old="veth",
        new="bridge",
        probes=("rtt",),
        arms=("native",),
        margin=0.01,
        look_for=0.05,
        max_blocks=20,
        minutes=None,
        seed=1,
    )
    write(mounted / "a" / ASKED, asked)
    subprocess.run(("mount", "-o", "remount,ro", str(mounted)), check=True)
    line = complaint("run", "veth", "-o", mounted / "b")
    said = "cannot be created: Read-only file system; name another place with -o"
    assert line == f"{mounted}/b.partial: {said}"
    ended = here("ab", "--from", mounted / "a", "--json")
    assert ended.out.startswith("{")
    assert "ab.json: cannot be written: Read-only file system" in ended.err
