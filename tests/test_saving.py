"""Files that the user named: the same rule for every command that writes one."""

from pathlib import Path

import pytest
from screens import complaint, here
from sets import a_run, killed_set, noisy, write_set

from bench.errors import UsageError
from bench.export import EXPORTS
from bench.gate.decide import decide
from bench.gate.markdown import markdown
from bench.results import load
from bench.saving import check, save

MINE = "my own text\n"


@pytest.fixture
def lb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A result set, in the folder where commands are run."""
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "lb", a_run(blocks=6), noisy(1))
    return Path("lb")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


WRITERS = (
    *(("export", name, "lb", "-o") for name in EXPORTS),
    ("report", "lb", "--format", "csv", "-o"),
    ("report", "lb", "--format", "json", "-o"),
    ("report", "lb", "--format", "md", "-o"),
    ("report", "lb", "--format", "html", "-o"),
    ("gate", "--baseline", "lb", "--export"),
    ("gate", "--baseline", "lb", "--markdown"),
)


def named(writer: tuple[str, ...], file: str) -> tuple[str, ...]:
    return (*writer, f"bencher={file}" if writer[-1] == "--export" else file)


@pytest.mark.parametrize("writer", WRITERS, ids=" ".join)
@pytest.mark.parametrize("name", ["summary.json", "new.json"])
def test_nothing_is_written_over_or_among_what_was_measured(
    lb: Path, writer: tuple[str, ...], name: str
) -> None:
    before = contents(lb)
    insist = [] if writer[0] == "gate" else ["--force"]
    for more in ([], insist):
        said = complaint(*named(writer, str(lb / name)), *more)
        assert f"lb/{name}: " in said
        assert f"name another place with {writer[-1]}" in said
    assert contents(lb) == before
    load(lb)


@pytest.mark.parametrize("writer", WRITERS, ids=" ".join)
def test_what_vnetbench_did_not_write_is_not_overwritten(
    lb: Path, writer: tuple[str, ...], tmp_path: Path
) -> None:
    assert lb.exists()
    (tmp_path / "notes").write_text(MINE)
    said = complaint(*named(writer, "notes"))
    insist = "" if writer[0] == "gate" else ", or add --force"
    assert said == (
        f"notes: exists and was not written by vnetbench; name another file with "
        f"{writer[-1]}{insist}"
    )
    assert (tmp_path / "notes").read_text() == MINE


@pytest.mark.parametrize("writer", [w for w in WRITERS if w[0] != "gate"], ids=" ".join)
def test_a_second_time_is_as_the_first(lb: Path, writer: tuple[str, ...], tmp_path: Path) -> None:
    assert lb.exists()
    (tmp_path / "a").touch()  # as mktemp makes it
    for _ in range(2):
        ended = here(*writer, "a")
        assert (ended.status, ended.err) == (0, "")
        written = (tmp_path / "a").read_bytes()
        (tmp_path / "a").write_bytes(written + b"\n")
    (tmp_path / "a").write_text(MINE)
    assert here(*writer, "a", "--force").status == 0
    assert (tmp_path / "a").read_bytes() == written


def test_what_a_gate_wrote_is_known_again(lb: Path, tmp_path: Path) -> None:
    results = load(lb)
    text = markdown(decide(results, results, None, 0.02)).encode()
    for _ in range(2):
        save(tmp_path / "gate.md", text, option="--markdown")


@pytest.mark.parametrize("name", list(EXPORTS))
def test_an_export_without_a_figure_is_known_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "lb", a_run(blocks=1), lambda _: "made up")
    for _ in range(2):
        assert here("export", name, "lb", "-o", "a").status == 0


def test_a_drawing_takes_the_place_of_a_drawing_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("a.svg", "a.png"):
        for _ in range(2):
            assert here("show", "veth", "--drawing", file).status == 0
        (tmp_path / file).write_text(MINE)
        assert complaint("show", "veth", "--drawing", file) == (
            f"{file}: exists and was not written by vnetbench; name another file with --drawing, "
            "or add --force"
        )
        assert (tmp_path / file).read_text() == MINE
        assert here("show", "veth", "--drawing", file, "--force").status == 0
        assert (tmp_path / file).read_bytes() != MINE.encode()


def test_pages_and_pictures_may_stand_in_a_set_but_not_in_place_of_others(lb: Path) -> None:
    for name in ("report.html", "appendix.md"):
        for _ in range(2):
            assert here("report", lb, "-o", lb / name).status == 0
    (lb / "report.html").write_text(MINE)
    said = complaint("report", lb, "--force")
    assert said.startswith("lb/report.html: is in the result set lb, ")
    assert (lb / "report.html").read_text() == MINE


def test_a_set_that_is_not_whole_is_guarded_as_well(tmp_path: Path) -> None:
    partial = killed_set(tmp_path / "a")
    with pytest.raises(UsageError, match="is in the result set"):
        check(partial / "summary.json", force=True)


def test_a_run_json_of_somebody_else_makes_no_result_set(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    save(tmp_path / "a.json", b"{}")
    assert (tmp_path / "a.json").read_bytes() == b"{}"


def test_a_place_that_cannot_be_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"there is no folder /nonexistent; name another place"):
        check(Path("/nonexistent/a"), option="--drawing")
    with pytest.raises(UsageError, match=r"/proc/a: cannot be written: .*; name another place"):
        save(Path("/proc/a"), b"")


def test_a_dash_is_standard_output(lb: Path, tmp_path: Path) -> None:
    shown = here("export", "bencher", lb, "-o", "-")
    assert shown.out == EXPORTS["bencher"](load(lb))
    assert not (tmp_path / "-").exists()
