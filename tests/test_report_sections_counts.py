"""What the sections on packet sizes and on the ledger say."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from reporting import (
    ROOT,
    crowded,
    made,
    many_measured,
    pictures_of,
    row_of,
    sources,
    tables_of,
    texts_in,
    write_measured,
)
from sets import a_run

from bench.ledger import Ledger
from bench.metrics import PACKET_RATES
from bench.probes import Measurement
from bench.report.curves import MOST
from bench.report.sections import ledger, sizes
from bench.results import PlannedTrial, ResultSet, Run, load
from bench.scenario import load as load_scenario
from bench.scenario import shipped_scenarios

RATES = tuple(f"packet_rate_{size}" for size in PACKET_RATES)
BASELINE = ROOT / "results/ledger-baseline"


# ---- sizes --------------------------------------------------------------------------------------


def rates(path: Path, variants: tuple[str, ...] = ("veth", "vxlan"), blocks: int = 6) -> ResultSet:
    """Packet rates: of the first path a million at any size, of the others a tenth of that."""
    run = a_run(variants, ("native",), RATES, blocks=blocks)

    def measure(trial: PlannedTrial) -> Measurement:
        rate = 1e6 if trial.variant == variants[0] else 1e5
        return Measurement({trial.probe: [rate * (1 + trial.block / 100)]})

    return write_measured(path, run, measure)


def test_goodput_is_the_rate_times_the_bits_of_the_payload(tmp_path: Path) -> None:
    section = made(sizes.make(sources([rates(tmp_path / "a")])))
    row = row_of(tables_of(section)[0], "veth")
    for size in PACKET_RATES:
        assert row[f"{size} B: packet rate"].value == pytest.approx(1.035e6)
        assert row[f"{size} B: goodput"].value == pytest.approx(1.035e6 * size * 8)
    assert row["64 B: 95 % interval"].text == "1.01 to 1.06 Mpps"
    assert row["64 B: 95 % interval"].ends == pytest.approx((1.01e6, 1.06e6))


def test_sizes_have_one_picture_of_goodput_and_packet_rate(tmp_path: Path) -> None:
    (picture,) = pictures_of(made(sizes.make(sources([rates(tmp_path / "a")]))))
    written = texts_in(picture)
    assert written.count("bytes of UDP payload") == 2
    assert [written.count(str(size)) for size in PACKET_RATES] == [2, 2, 2]
    assert {"goodput", "packet rate", "veth", "vxlan"} <= set(written)
    assert crowded(picture) == []


@pytest.mark.parametrize(("blocks", "says"), [(6, "95 % intervals"), (3, "the highest block")])
def test_sizes_say_what_their_intervals_are(tmp_path: Path, blocks: int, says: str) -> None:
    section = made(sizes.make(sources([rates(tmp_path / "a", blocks=blocks)])))
    [note] = [note for note in section.notes if note.startswith("Error bars and intervals")]
    assert says in note


def test_a_size_that_was_not_measured_is_said(tmp_path: Path) -> None:
    results = rates(tmp_path / "a")
    rows = (results.path / "samples.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith("veth,veth,native,packet_rate_512,")]
    (results.path / "samples.csv").write_text("".join(kept))
    section = made(sizes.make(sources([load(results.path)])))
    assert row_of(tables_of(section)[0], "veth")["512 B: goodput"].text == "not measured"


def test_more_paths_than_lines_can_show_are_in_the_table_and_it_is_said(tmp_path: Path) -> None:
    section = made(
        sizes.make(sources([rates(tmp_path / "a", tuple(f"p{n}" for n in range(30)), 1)]))
    )
    assert pictures_of(section) == []
    assert len(tables_of(section)[0].rows) == 30
    assert any(f"{MOST} paths" in note for note in section.notes)


def test_one_size_alone_is_no_line_and_nothing_is_said_to_be_left_out(tmp_path: Path) -> None:
    run = a_run(arms=("native",), probes=("packet_rate_64",), blocks=1)
    results = write_measured(tmp_path / "a", run, lambda t: Measurement({t.probe: [1e6]}))
    section = made(sizes.make(sources([results])))
    assert pictures_of(section) == []
    assert not any("are not drawn" in note for note in section.notes)


def with_parameters(run: Run, parameters: dict[str, dict[str, object]]) -> Run:
    variants = {
        name: replace(record, parameters=parameters[name]) for name, record in run.variants.items()
    }
    return replace(run, variants=variants)


def test_goodput_is_drawn_against_a_parameter_that_has_several_values(tmp_path: Path) -> None:
    names = {
        f"{path}[mtu={mtu}]": {"mtu": mtu, "streams": 1, "pump": "none"}
        for path in ("veth", "vxlan")
        for mtu in (1400, 9000, 65000)
    }
    run = a_run(tuple(names), ("native",), ("tcp_goodput",), blocks=6)
    results = write_measured(
        tmp_path / "a",
        with_parameters(run, dict(names)),
        lambda t: Measurement({"tcp_goodput": [float(t.variant.split("=")[1][:-1]) * 1e6]}),
    )
    section = made(sizes.make(sources([results])))
    (picture,) = pictures_of(section)
    assert picture.name == "goodput-mtu-native"
    assert {"1400", "9000", "65000", "mtu", "veth", "vxlan"} <= set(texts_in(picture))
    assert crowded(picture) == []
    assert [row[1].value for row in tables_of(section)[0].rows] == [1400, 9000, 65000] * 2


def test_two_parameters_that_change_together_are_no_curve(tmp_path: Path) -> None:
    names = {
        "veth[a=1,b=1]": {"a": 1, "b": 1, "on": True},
        "veth[a=2,b=2]": {"a": 2, "b": 2, "on": True},
        "veth[a=2,b=2,on=false]": {"a": 2, "b": 2, "on": False},
    }
    run = a_run(tuple(names), ("native",), ("tcp_goodput",), blocks=1)
    results = write_measured(
        tmp_path / "a",
        with_parameters(run, dict(names)),
        lambda _: Measurement({"tcp_goodput": [1e9]}),
    )
    assert sizes.make(sources([results])) is None


# ---- the ledger ---------------------------------------------------------------------------------


def a_ledger(name: str = "veth", **changes: object) -> Ledger:
    """A ledger of two copies, as predicted."""
    counts = {"copies": 2.0, "traversals": 2.0, "device_hops": 1.0, "useful_calls": 2.0}
    given = {
        "name": name,
        "load": {"kind": "udp", "packets": 100, "size": 64, "rate": 1000.0},
        "delivered": 100,
        "bytes": 6400,
        "segment": 64,
        "per_packet": counts,
        "per_byte": {},
        "totals": {},
        "reasons": {},
        "sources": {},
        "by_host": {},
        "by_process": {},
        "drops": {},
        "predicted": {key: int(value) for key, value in counts.items()},
        "checks": [],
        "sound": True,
        "unobserved": {},
    }
    return Ledger(**{**given, **changes})  # type: ignore[arg-type]


def counted(
    path: Path, *ledgers: Ledger, write: Callable[..., ResultSet] = write_measured
) -> ResultSet:
    """A set with a block for each ledger, of as many paths as are named in them."""
    names = tuple(dict.fromkeys(one.name for one in ledgers))
    run = a_run(names, ("native",), ("ledger",), blocks=len(ledgers) // len(names))

    def measure(trial: PlannedTrial) -> Measurement:
        mine = [one for one in ledgers if one.name == trial.variant]
        one = mine[trial.block - 1]
        samples = {"copies": [one.per_packet["copies"] or 0.0], "wakeups": [3.0]}
        return Measurement(samples, raw={"ledger": msgspec.json.encode(one)})

    return write(path, run, measure)


def test_what_agrees_is_good_and_what_differs_by_more_than_a_hundredth_is_bad(
    tmp_path: Path,
) -> None:
    off = {"copies": 2.03, "traversals": 2.01, "device_hops": 1.0, "useful_calls": None}
    section = made(ledger.make(sources([counted(tmp_path / "a", a_ledger(per_packet=off))])))
    row = row_of(tables_of(section)[0], "veth")
    assert (row["copies: predicted"].text, row["copies: observed"].text) == ("2", "2.03 (differs)")
    assert row["copies: observed"].tone == "bad"
    assert row["IP traversals: observed"].tone == "good"
    assert row["device hops: observed"].tone == "good"
    assert (row["useful calls: observed"].text, row["useful calls: observed"].tone) == (
        "not observed",
        "dim",
    )
    assert row["wake-ups"].text == "3.00"
    written = texts_in(pictures_of(section)[0])
    assert {"2.03 !", "predicted by the scenario", "observed, and differs (!)"} <= set(written)


def test_the_ledger_s_picture_has_a_panel_for_each_count_and_no_crowd(tmp_path: Path) -> None:
    names = [f"flannel-udp[pump=fast,batch={n},tun_offload=on,udp_offload=on]" for n in range(9)]
    section = made(ledger.make(sources([counted(tmp_path / "a", *map(a_ledger, names))])))
    (picture,) = pictures_of(section)
    assert {"copies", "IP traversals", "device hops", "useful calls", "wake-ups"} <= set(
        texts_in(picture)
    )
    assert crowded(picture) == []
    assert "copies 2.00 (2 predicted)" in picture.text


def test_a_ledger_of_two_hundred_paths_has_them_all(tmp_path: Path) -> None:
    names = [f"path-{n}" for n in range(200)]
    ledgers = [a_ledger(name) for name in names]
    section = made(ledger.make(sources([counted(tmp_path / "a", *ledgers, write=many_measured)])))
    drawn = [t for p in pictures_of(section) for t in texts_in(p) if t.startswith("path-")]
    assert drawn == names
    assert len(tables_of(section)[0].rows) == 200


def test_the_median_of_the_blocks_counts(tmp_path: Path) -> None:
    ledgers = [a_ledger(per_packet={**a_ledger().per_packet, "device_hops": n}) for n in (1, 1, 9)]
    section = made(ledger.make(sources([counted(tmp_path / "a", *ledgers)])))
    assert row_of(tables_of(section)[0], "veth")["device hops: observed"].value == 1


def test_a_load_that_nothing_is_predicted_of_is_said(tmp_path: Path) -> None:
    echo = a_ledger(load={"kind": "echo", "size": 1400}, predicted={})
    section = made(ledger.make(sources([counted(tmp_path / "a", echo)])))
    assert row_of(tables_of(section)[0], "veth")["copies: predicted"].text == "not predicted"
    assert any("not of datagrams that go one by one" in note for note in section.notes)


def test_a_path_whose_ledger_failed_is_named(tmp_path: Path) -> None:
    run = a_run(arms=("native",), probes=("ledger",), blocks=1)
    results = write_measured(
        tmp_path / "a",
        run,
        lambda t: "counts disagree" if t.variant == "vxlan" else Measurement({"copies": [2.0]}),
    )
    section = made(ledger.make(sources([results])))
    assert row_of(tables_of(section)[0], "vxlan")["copies: observed"].text == "not measured"
    assert "Not measured (counts disagree): vxlan." in section.notes


def kept_baseline(path: Path, digest: str | None) -> ResultSet:
    """The set that is kept in the repository, whose raw ledgers are not; with another digest."""
    shutil.copytree(BASELINE, path)
    run = json.loads((path / "run.json").read_text())
    for name, variant in run["variants"].items():
        variant["sha256"] = digest or load_scenario(shipped_scenarios()[name]).digest
    (path / "run.json").write_text(json.dumps(run))
    return load(path)


def test_where_no_ledger_is_kept_the_scenario_file_says_what_was_predicted(tmp_path: Path) -> None:
    section = made(ledger.make(sources([kept_baseline(tmp_path / "a", None)])))
    row = row_of(tables_of(section)[0], "flannel-udp")
    assert (row["copies: predicted"].text, row["copies: observed"].text) == ("6", "6.00")
    assert row["copies: observed"].tone == "good"
    assert row["device hops: predicted"].text == "5"
    assert row["device hops: observed"].text == "not observed"
    assert any("ledger/*.json" in note for note in section.notes)


def test_a_scenario_file_that_has_changed_predicts_nothing(tmp_path: Path) -> None:
    section = made(ledger.make(sources([kept_baseline(tmp_path / "a", "0" * 64)])))
    row = row_of(tables_of(section)[0], "flannel-udp")
    assert (row["copies: predicted"].text, row["copies: predicted"].tone) == (
        "not predicted",
        "dim",
    )
    assert row["copies: observed"].tone == ""
    assert any("has changed since it was measured" in note for note in section.notes)


def test_a_user_s_scenario_file_that_is_gone_predicts_nothing(tmp_path: Path) -> None:
    run = a_run(("mine",), ("native",), ("ledger",), blocks=1)
    run = replace(run, asked=replace(run.asked, scenarios=(str(tmp_path / "mine.toml"),)))
    results = write_measured(tmp_path / "a", run, lambda _: Measurement({"copies": [2.0]}))
    section = made(ledger.make(sources([results])))
    assert row_of(tables_of(section)[0], "mine")["copies: predicted"].text == "not predicted"
    assert any("cannot be read" in note for note in section.notes)


def test_a_set_without_a_ledger_has_no_such_section(tmp_path: Path) -> None:
    assert ledger.make(sources([rates(tmp_path / "a")])) is None
