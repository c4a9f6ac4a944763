"""`vnetbench report`: which format goes where, what is never overwritten, what is refused."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from capabilities import require_root_namespaces
from keep import keep
from PIL import Image
from program import vnetbench
from reports import EVIL, a_set, everything
from screens import Ended, complaint, here
from sets import a_run, interrupted_set, killed_set, noisy, surroundings, write_set

from bench.errors import UsageError
from bench.report import data, files, markdown
from bench.report.build import build, pictures
from bench.report.html import page
from bench.report.newest import newest
from bench.results import load


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a set that no test changes."""
    folder = tmp_path_factory.mktemp("made") / "ladder"
    a_set(folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The folder of a set that is this test's own."""
    return Path(shutil.copytree(made, tmp_path / "ladder"))


def report(*arguments: object, cwd: Path, status: int = 0) -> Ended:
    """The command within this process, from a folder."""
    with contextlib.chdir(cwd):
        ended = here("report", *arguments)
    assert ended.status == status, ended
    return ended


def refusal(*arguments: object, cwd: Path) -> str:
    """The one line that a command ends with which cannot be carried out."""
    with contextlib.chdir(cwd):
        return complaint("report", *arguments)


# ---- where it goes ------------------------------------------------------------------------------


def test_the_page_of_one_set_is_put_into_it_and_the_last_line_says_so(
    run: Path, tmp_path: Path
) -> None:
    done = vnetbench("report", "ladder", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "Report: ladder/report.html"
    assert done.stderr == ""
    assert "<title>vnetbench: ladder</title>" in (run / "report.html").read_text()
    load(run)  # which is still a set


def test_the_page_of_several_sets_is_put_where_one_is(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "again")
    done = report("ladder", "again", cwd=tmp_path)
    assert done.out == "Report: report.html\n"
    assert "<title>vnetbench: ladder, again</title>" in (tmp_path / "report.html").read_text()


def test_without_a_run_it_is_of_the_newest_one(made: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name, started in (("a", "2026-03-01"), ("b", "2026-03-02"), ("c", "2026-02-01")):
        run = a_run(started=f"{started}T00:00:00Z", blocks=2)
        write_set(results / name, run, noisy(1))
    later = {"blocks": 2, "started": "2026-04-01T00:00:00Z"}
    write_set(results / "helper", a_run(purpose="calibration", **later), noisy(1))
    killed_set(results / "killed")
    (results / "broken").mkdir()
    (results / "broken/run.json").write_text("{")
    assert newest(results) == results / "b"
    done = report("--format", "json", cwd=tmp_path)
    assert json.loads(done.out)["sets"][0]["path"] == "results/b"


def test_without_a_run_and_without_results_it_says_what_to_do(tmp_path: Path) -> None:
    said = refusal(cwd=tmp_path)
    assert said == "results: no runs here: make bench (or vnetbench run) first, or name one"


def test_a_set_that_is_kept_with_the_project_is_none_of_ones_own(
    made: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    keep(made, results / "reference")
    assert refusal(cwd=tmp_path) == (
        "results: no runs here: make bench (or vnetbench run) first, or name one of "
        "results/reference"
    )
    assert not (results / "reference/report.html").exists()
    assert report("results/reference", "--list", cwd=tmp_path).out
    own = write_set(results / "own", a_run(started="2020-01-01T00:00:00Z", blocks=2), noisy(1))
    assert newest(results) == own.path


def test_a_report_of_ours_is_overwritten_and_nothing_else_is(run: Path, tmp_path: Path) -> None:
    report("ladder", "-o", "page.html", cwd=tmp_path)
    report("ladder", "-o", "page.html", cwd=tmp_path)
    (tmp_path / "page.html").write_text("<title>my own</title>")
    said = refusal("ladder", "-o", "page.html", cwd=tmp_path)
    assert said == (
        "page.html: exists and was not written by vnetbench; name another file with -o, or add "
        "--force"
    )
    assert (tmp_path / "page.html").read_text() == "<title>my own</title>"
    report("ladder", "-o", "page.html", "--force", cwd=tmp_path)
    assert "my own" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_sets_own_files_are_not_overwritten(run: Path, tmp_path: Path, kind: str) -> None:
    stored = {"csv": run / "samples.csv", "json": run / "summary.json"}[kind]
    before = stored.read_bytes()
    said = refusal("ladder", "--format", kind, "-o", stored.relative_to(tmp_path), cwd=tmp_path)
    assert "is in the result set ladder, where only pages and pictures of ours are written" in said
    assert stored.read_bytes() == before


def test_what_is_no_file_is_never_replaced(run: Path, tmp_path: Path) -> None:
    assert refusal("ladder", "-o", "/dev/full", "--force", cwd=tmp_path) == (
        "/dev/full: is not a regular file; name a file with -o"
    )
    assert Path("/dev/full").is_char_device()
    assert "there is no folder nowhere" in refusal("ladder", "-o", "nowhere/x.html", cwd=tmp_path)


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from bench.errors import UsageError
from bench.saving import save
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=True)
page = b'<meta name="generator" content="vnetbench 0">'
save(disk / "report.html", page)
try:
    save(disk / "report.html", page * 10_000)
except UsageError as error:
    print(error)
assert (disk / "report.html").read_bytes() == page
assert [file.name for file in disk.iterdir()] == ["report.html"]
"""


def test_a_full_disk_is_one_line_and_the_old_report_stays(tmp_path: Path) -> None:
    require_root_namespaces()
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", FULL_DISK]
    done = subprocess.run(
        [*command, tmp_path], check=False, env=surroundings(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    place = tmp_path / "report.html"
    assert done.stdout == (
        f"{place}: cannot be written: No space left on device; name another place with -o\n"
    )


def test_a_browser_is_given_the_page_where_there_is_one(run: Path, tmp_path: Path) -> None:
    browser, given = tmp_path / "browser", tmp_path / "given"
    browser.write_text(f'#!/bin/sh\necho "$1" > {given}\n')
    browser.chmod(0o755)
    screens = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    done = vnetbench("report", "ladder", "--open", cwd=tmp_path, env=screens)
    assert "There is no browser here" in done.stderr
    assert not given.exists()
    done = vnetbench(
        "report", "ladder", "--open", cwd=tmp_path, env={**screens, "BROWSER": f"{browser} %s"}
    )
    assert given.read_text().strip() == (run / "report.html").as_uri()
    assert done.stdout == "Report: ladder/report.html\n"


# ---- formats ------------------------------------------------------------------------------------


def test_csv_is_the_raw_values_as_they_are_stored(run: Path, tmp_path: Path) -> None:
    done = report("ladder", "--format", "csv", cwd=tmp_path)
    assert done.out == (run / "samples.csv").read_text()


def test_csv_of_several_sets_begins_with_their_names(made: Path, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other", a_run(blocks=2), noisy(2))
    header, *rows = data.csv([load(made), other]).splitlines()
    assert header.startswith("set,scenario,variant,")
    assert {row.split(",")[0] for row in rows} == {"ladder", "other"}


def test_json_has_the_cells_of_the_summary(run: Path, tmp_path: Path) -> None:
    done = report("ladder", "-o", "found.json", cwd=tmp_path)
    assert done.out == "Data: found.json\n"
    [found] = json.loads((tmp_path / "found.json").read_text())["sets"]
    summary = json.loads((run / "summary.json").read_text())
    assert found["cells"] == summary["cells"]
    assert (found["run"], found["name"], found["status"]) == (summary["run"], "ladder", "complete")


def test_md_goes_to_standard_output_or_a_file_or_with_its_pictures_into_a_folder(
    run: Path, tmp_path: Path
) -> None:
    shown = report("ladder", "--format", "md", cwd=tmp_path).out
    assert shown.startswith("<!-- made by vnetbench report -->\n# vnetbench: ladder\n")
    assert report("ladder", "-o", "a.md", cwd=tmp_path).out == "Report: a.md\n"
    assert (tmp_path / "a.md").read_text() == shown
    found = everything([load(run)])
    assert files.save_text(found, tmp_path / "b") == tmp_path / "b/report.md"
    text = (tmp_path / "b/report.md").read_text()
    for picture in pictures(found):
        assert f"]({picture.name}.svg)" in text
        ElementTree.parse(tmp_path / "b" / f"{picture.name}.svg")  # noqa: S314 - it is ours
    files.save_text(found, tmp_path / "b")  # over what is ours


def test_figures_are_svg_and_png_files_that_are_known_again(made: Path, tmp_path: Path) -> None:
    found = everything([load(made)])
    [lines] = files.select(found, ["lines"])
    for kind, begin in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        for _ in range(2):
            [path] = files.save_pictures([lines], tmp_path / "new", kind)
        assert path == tmp_path / f"new/lines.{kind}"
        assert path.read_bytes().startswith(begin)
    Image.open(tmp_path / "new/lines.png").verify()
    (tmp_path / "new/lines.png").write_bytes(b"\x89PNG of somebody else's")
    with pytest.raises(UsageError, match="exists and was not written by vnetbench"):
        files.save_pictures([lines], tmp_path / "new", "png")
    with pytest.raises(UsageError, match=r"no figure curves; it has .*lines"):
        files.select(found, ["curves"])


def test_the_list_names_every_table(run: Path, tmp_path: Path) -> None:
    shown = report("ladder", "--list", cwd=tmp_path).out
    assert "table   cells                           Cells\n" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere: is not a folder; expected a result set"),
        (["."], ".: has no run.json, so it is not a result set"),
        (["ladder", "ladder"], "ladder: is named twice"),
        (["ladder", "--figure", "x", "--format", "md"], "--figure goes with --format svg or png"),
        (["ladder", "--open", "-o", "-"], "--open goes with a page in a file"),
        (
            ["ladder", "--list", "-o", "f", "--force"],
            "--list takes nothing but --json; leave out -o, --force",
        ),
        (["ladder", "--format", "svg"], "--format svg needs a folder; name one with -o"),
        (["ladder", "--figure", "x", "-o", "f"], "no figure x; it has "),
        (["ladder", "--format", "pdf"], "'pdf' is not one of 'html', 'md'"),
        (["ladder", "-o", "ladder", "--format", "csv"], "ladder: is a folder"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    run: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    assert says in refusal(*arguments, cwd=tmp_path)


# ---- sets that are not whole --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "word"), [(killed_set, "has not finished"), (interrupted_set, "was interrupted")]
)
def test_a_set_that_is_not_whole_has_a_notice_before_every_figure(
    tmp_path: Path, make: Callable[[Path], Path], word: str
) -> None:
    text = page(build([load(make(tmp_path / "a"))]))
    notice = text.index(f"This run {word}: 5 of 32 trials were measured, and only they count.")
    assert notice < text.index("<table")


def test_a_damaged_set_gives_the_loaders_line(run: Path, tmp_path: Path) -> None:
    with (run / "samples.csv").open("a") as file:
        file.write("torn")
    assert refusal("ladder", cwd=tmp_path).startswith("ladder/samples.csv:")


def test_a_set_without_values_has_no_report(tmp_path: Path) -> None:
    write_set(tmp_path / "ladder", a_run(blocks=1), lambda _: "made up")
    assert refusal("ladder", cwd=tmp_path) == (
        "ladder: nothing was measured, so there is nothing to report"
    )


def test_raw_values_that_find_no_room_are_named_with_their_place(run: Path) -> None:
    report = build([load(run)])
    assert 'id="file-samples.csv"' in page(report)
    text = page(report, room=100)
    assert 'id="file-samples.csv"' not in text
    assert "it is in <code>ladder/samples.csv</code>" in text


def test_a_report_does_not_say_where_on_the_machine_its_sets_lie(tmp_path: Path) -> None:
    whole = write_set(tmp_path / "whole", a_run(("veth", "vxlan", "bridge")), noisy(1))
    stopped = load(interrupted_set(tmp_path / "stopped"))
    killed = load(killed_set(tmp_path / "killed"))
    report = build([whole, stopped, killed])
    for text in (page(report, room=0), markdown.text(report, linked=False)):
        assert "stopped: was interrupted" in text
        assert "killed.partial: its run has not finished" in text
        assert str(tmp_path) not in text


def test_the_name_of_a_variant_is_kept_in_every_format(run: Path, tmp_path: Path) -> None:
    done = report("ladder", "--format", "json", cwd=tmp_path)
    names = {cell["variant"] for cell in json.loads(done.out)["sets"][0]["cells"]}
    assert EVIL in names


def test_a_text_goes_into_a_file_of_whatever_ending(run: Path, tmp_path: Path) -> None:
    done = report(run, "--format", "md", "-o", "appendix.txt", cwd=tmp_path)
    assert done.out == "Report: appendix.txt\n"
    assert (tmp_path / "appendix.txt").read_text().startswith("<!-- made by vnetbench report -->")
    (tmp_path / "v1.2").mkdir()
    assert report(run, "--format", "md", "-o", "v1.2", cwd=tmp_path).out == (
        "Report: v1.2/report.md\n"
    )


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(run: Path, tmp_path: Path) -> None:
    assert refusal(run, "--format", "md", "-o", "/proc/x/y", cwd=tmp_path) == (
        "/proc/x/y: cannot be made: No such file or directory; name another place with -o"
    )
