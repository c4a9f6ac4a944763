"""What is printed of one run and of two compared: tables that fit, and one JSON document."""

import io
import json
from pathlib import Path

from comparing import run_command, two_sets
from rich.console import Console
from sets import a_run, carry_out, noisy, write_set

from bench.cli.tables import render_summary
from bench.results import PlannedTrial, ResultSet, ResultWriter, load


def rendered(results: ResultSet) -> str:
    """The table of one run, as it is printed into a pipe."""
    text = io.StringIO()
    render_summary(results, Console(file=text, width=80))
    return text.getvalue()


def test_json_is_one_document_with_everything(tmp_path: Path) -> None:
    two_sets(tmp_path, tcp_goodput=0.5)
    result = run_command(tmp_path / "old", tmp_path / "new", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["format"] == 1
    assert {row["verdict"] for row in document["rows"] if row["metric"] == "tcp_goodput"} == {
        "slower"
    }
    text = Path(__file__).parents[1].joinpath("docs/results.md").read_text()
    keys = {*document, *document["rows"][0], "name"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_the_tables_fit_80_columns(tmp_path: Path) -> None:
    long = a_run(variants=("flannel-udp", "flannel-udp[mtu=1400,streams=8]", "tap-bridge"))
    old = write_set(tmp_path / "old", long, noisy(1, 0.2))
    write_set(tmp_path / "new", long, noisy(2, 0.2))
    table = run_command(tmp_path / "old", tmp_path / "new").stdout
    rows = [line for line in table.splitlines() if "it/s" in line or "µs" in line]
    assert len(rows) == 12
    assert max(map(len, rows)) <= 80
    assert all(row.rstrip().endswith(("cannot tell", "faster", "slower")) for row in rows)
    rows = [line for line in rendered(old).splitlines() if "it/s" in line or "µs" in line]
    assert len(rows) == 6
    assert max(map(len, rows)) <= 80
    assert all("…" not in row for row in rows)


def test_the_summary_names_arms_failures_and_warnings(tmp_path: Path) -> None:
    value = noisy(1)

    def failing(trial: PlannedTrial) -> list[float] | str:
        if trial.variant == "vxlan" and trial.probe == "rtt":
            return "vxlan: cannot be made: no such module [vxlan]"
        return "lost" if trial.trial == 1 else value(trial)

    with ResultWriter.create(tmp_path / "a", a_run()) as writer:
        writer.warn("the hypervisor stole 3 %")
        carry_out(writer, failing)
        results = load(writer.finish())
    out = rendered(results)
    assert "[1] 1 of 4 failed: lost" in out
    assert "[2] vxlan: cannot be made: no such module [vxlan]" in out
    assert [line.split().count("failed") for line in out.splitlines() if "failed  [2]" in line] == [
        2
    ]
    assert "native: offloads as each path ships them." in out
    assert "parity: segmentation and receive offload off on every device." in out
    assert "Warning: the hypervisor stole 3 %" in out
    assert f"Results: {tmp_path}/a" in out
    assert "Median of 4 blocks (quick profile)" in out
    assert not set("│┃╇") & set(out)


def test_the_summary_tells_what_was_skipped_from_what_failed(tmp_path: Path) -> None:
    value = noisy(1)
    with ResultWriter.create(tmp_path / "a", a_run(arms=("native",))) as writer:
        for trial in writer.pending():
            if trial.probe == "tcp_goodput":
                carry_out(writer, value, 1)
            elif trial.variant == "veth":
                writer.record_failure(trial, "there is no pyperf", missing=True)
            else:
                # One that broke is enough: what is skipped needs no attention, this does.
                writer.record_failure(
                    trial,
                    "vxlan: lost" if trial.block == 2 else "no vxlan",
                    missing=trial.block != 2,
                )
        out = rendered(load(writer.finish()))
    assert [line.split() for line in out.splitlines() if "[1]" in line or "[2]" in line] == [
        ["veth", "skipped", "[1]"],
        ["vxlan", "failed", "[2]"],
        ["[1]", "there", "is", "no", "pyperf"],
        ["[2]", "vxlan:", "lost"],
    ]
