"""What sections say of result sets: the ladder and the verdicts."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from reporting import (
    SVG,
    crowded,
    made,
    many_measured,
    parsed,
    pictures_of,
    row_of,
    sources,
    tables_of,
    texts_in,
    write_measured,
)
from sets import BASE, Value, a_run, carry_out, interrupted_set, killed_set, noisy, write_set

from bench.compare import compare
from bench.metrics import PACKET_RATES
from bench.probes import Measurement
from bench.report import theme
from bench.report.build import build
from bench.report.sections import delays, ladder, ledger, sizes, verdicts
from bench.results import PlannedTrial, ResultSet, ResultWriter, load, summarise
from bench.units import format_times, format_value

MANY = tuple(f"flannel-udp[batch={n},pump=fast]" for n in range(200))


def a_set(path: Path, value: Value | None = None, **changes: object) -> ResultSet:
    return write_set(path, a_run(**{"blocks": 6, **changes}), value or noisy(1))  # type: ignore[arg-type]


# ---- the ladder ---------------------------------------------------------------------------------


def test_the_ladder_has_a_picture_and_a_table_of_each_metric(tmp_path: Path) -> None:
    section = made(ladder.make(sources([a_set(tmp_path / "a")])))
    assert [p.name for p in pictures_of(section)] == ["ladder-tcp-goodput", "ladder-rtt"]
    assert [t.title for t in tables_of(section)] == ["TCP goodput", "RTT"]


def test_the_table_has_the_medians_their_intervals_and_ratios_to_the_first(tmp_path: Path) -> None:
    results = a_set(tmp_path / "a", noisy(1, vxlan=0.5))
    cells = {(c.variant, c.arm, c.metric): c for c in summarise(results)}
    goodput = tables_of(made(ladder.make(sources([results]))))[0]
    for variant in ("veth", "vxlan"):
        row = row_of(goodput, variant)
        cell = cells[variant, "parity", "tcp_goodput"]
        first = cells["veth", "parity", "tcp_goodput"]
        assert row["parity"].text == format_value(cell.median, "bit/s")
        assert row["parity"].value == cell.median
        assert cell.low is not None
        assert format_value(cell.low, "bit/s").split()[0] in row["parity: 95 % interval"].text
        assert row["parity: 95 % interval"].value is None, "its width is no figure"
        assert row["parity: 95 % interval"].ends == (cell.low, cell.high)
        assert row["parity: ratio"].text == format_times(cell.median / first.median)
    assert row_of(goodput, "vxlan")["native: ratio"].text == "0.50x"


def test_values_sort_by_what_they_are_and_not_by_how_they_are_written(tmp_path: Path) -> None:
    results = a_set(tmp_path / "a", noisy(1, vxlan=0.01))
    goodput = tables_of(made(ladder.make(sources([results]))))[0]
    slow, fast = (row_of(goodput, name)["native"] for name in ("vxlan", "veth"))
    assert slow.text.endswith("Mbit/s")
    assert fast.text.endswith("Gbit/s")
    assert slow.value is not None
    assert fast.value is not None
    assert slow.value < fast.value
    assert slow.text > fast.text


def test_too_few_blocks_for_an_interval_show_the_range_and_say_so(tmp_path: Path) -> None:
    section = made(ladder.make(sources([a_set(tmp_path / "a", blocks=4)])))
    columns = [column.title for column in tables_of(section)[0].columns]
    assert "native: lowest and highest block" in columns
    assert any("lowest to the highest block" in note for note in section.notes)
    assert not any("95 %" in note for note in section.notes)


def test_a_column_of_both_kinds_marks_the_ranges(tmp_path: Path) -> None:
    given = noisy(1)

    def value(trial: PlannedTrial) -> list[float] | str:
        return "lost" if trial.variant == "vxlan" and trial.block > 4 else given(trial)

    section = made(ladder.make(sources([a_set(tmp_path / "a", value)])))
    row = row_of(tables_of(section)[0], "vxlan")
    assert row["native: interval"].text.endswith("(range)")
    assert not row_of(tables_of(section)[0], "veth")["native: interval"].text.endswith("(range)")
    assert any("2 of 6 trials failed (lost)" in note for note in section.notes)


def test_trials_that_failed_are_told_of_those_that_were_planned(tmp_path: Path) -> None:
    run = a_run(blocks=6)
    fewer = tuple(t for t in run.plan if (t.variant, t.probe) != ("vxlan", "rtt") or t.block < 4)
    given = noisy(1)

    def value(trial: PlannedTrial) -> list[float] | str:
        lost = (trial.variant, trial.probe, trial.block) == ("vxlan", "rtt", 1)
        return "lost" if lost else given(trial)

    results = write_set(tmp_path / "a", replace(run, plan=fewer), value)
    assert any(
        "1 of 3 trials failed (lost)" in note
        for note in made(ladder.make(sources([results]))).notes
    )


def test_one_block_has_no_interval(tmp_path: Path) -> None:
    section = made(ladder.make(sources([a_set(tmp_path / "a", blocks=1)])))
    row = row_of(tables_of(section)[0], "veth")
    assert row["native: lowest and highest block"].text == "one block"


def test_what_failed_or_was_skipped_is_named_in_table_picture_and_notes(tmp_path: Path) -> None:
    given = noisy(1)
    with ResultWriter.create(tmp_path / "a", a_run()) as writer:
        for trial in writer.pending():
            if trial.variant == "vxlan" and trial.probe == "rtt":
                writer.record_failure(trial, "no such module", missing=True)
            elif trial.variant == "vxlan":
                writer.record_failure(trial, "no answer")
            else:
                carry_out(writer, given, 1)
        results = load(writer.finish())
    section = made(ladder.make(sources([results])))
    goodput, rtt = tables_of(section)
    assert (row_of(goodput, "vxlan")["native"].text, row_of(goodput, "vxlan")["native"].tone) == (
        "failed",
        "bad",
    )
    assert (row_of(rtt, "vxlan")["native"].text, row_of(rtt, "vxlan")["native"].tone) == (
        "skipped",
        "dim",
    )
    drawn = [texts_in(picture) for picture in pictures_of(section)]
    assert drawn[0].count("failed") == 2
    assert drawn[1].count("skipped") == 2
    said = " ".join(section.notes)
    assert "Failed (no answer): vxlan (TCP goodput, native), vxlan (TCP goodput, parity)" in said
    assert "Skipped (no such module): vxlan (RTT, native)" in said


def test_a_metric_that_no_trial_gave_has_a_table_of_failures_and_no_picture(tmp_path: Path) -> None:
    given = noisy(1)

    def value(trial: PlannedTrial) -> list[float] | str:
        return "no iperf3" if trial.probe == "tcp_goodput" else given(trial)

    section = made(ladder.make(sources([a_set(tmp_path / "a", value)])))
    assert [picture.name for picture in pictures_of(section)] == ["ladder-rtt"]
    assert {row[1].text for row in tables_of(section)[0].rows} == {"failed"}


def test_two_hundred_variants_stay_readable(tmp_path: Path) -> None:
    results = many_measured(
        tmp_path / "a",
        a_run(variants=MANY, blocks=2),
        lambda trial: Measurement({trial.probe: [BASE[trial.probe] * trial.block] * 3}),
    )
    section = made(ladder.make(sources([results])))
    found = pictures_of(section)
    assert len(found) == 8
    assert all(len(table.rows) == 200 for table in tables_of(section))
    assert crowded(found[0]) == []
    drawn = [theme.svg(picture, themed=True) for picture in found[:4]]
    assert {int(n) for n in re.findall(r">[^<]*\[batch=(\d+)", "".join(drawn))} == set(range(200))
    assert sum(map(len, drawn)) < 400_000


def test_two_sets_stand_side_by_side_in_one_row(tmp_path: Path) -> None:
    old, new = (a_set(tmp_path / name, noisy(1, tcp_goodput=f)) for name, f in (("a", 1), ("b", 2)))
    section = made(ladder.make(sources([old, new])))
    titles = [table.title for table in tables_of(section)]
    assert titles == ["TCP goodput, native", "TCP goodput, parity", "RTT, native", "RTT, parity"]
    row = row_of(tables_of(section)[0], "veth")
    values = row["a"].value, row["b"].value
    assert None not in values
    assert values[1] == pytest.approx(2 * (values[0] or 0), rel=0.1)
    written = texts_in(pictures_of(section)[0])
    assert {"native, a", "native, b", "parity, a", "parity, b"} <= set(written)


def test_sets_that_complement_each_other_share_a_ladder(tmp_path: Path) -> None:
    one = a_set(tmp_path / "a", probes=("rtt",))
    other = a_set(tmp_path / "b", probes=("tcp_goodput",), variants=("veth", "bridge"))
    section = made(ladder.make(sources([one, other])))
    assert [table.title for table in tables_of(section)] == ["RTT", "TCP goodput"]
    assert [row[0].text for row in tables_of(section)[1].rows] == ["veth", "bridge"]


def test_where_sets_begin_with_different_paths_it_is_said_what_ratios_are_to(
    tmp_path: Path,
) -> None:
    one = a_set(tmp_path / "a", probes=("rtt",))
    other = a_set(tmp_path / "b", probes=("rtt",), variants=("bridge", "vxlan"))
    said = "Ratios are to veth in a and bridge in b."
    assert said in made(ladder.make(sources([one, other]))).notes
    assert not any(
        note.startswith("Ratios") for note in made(ladder.make(sources([one, one]))).notes
    )


def test_a_why_set_shows_its_paths_and_not_its_instruments(tmp_path: Path) -> None:
    run = a_run(variants=("veth", "vxlan", "vxlan[hops=1]"), probes=("rtt",))
    asked = replace(run.asked, profile="why", scenarios=("veth", "vxlan"))
    section = made(
        ladder.make(sources([write_set(tmp_path / "a", replace(run, asked=asked), noisy(1))]))
    )
    assert [row[0].text for row in tables_of(section)[0].rows] == ["veth", "vxlan"]
    assert any("1 variant of vnetbench why" in note for note in section.notes)


def test_rates_with_loss_have_tables_and_no_pictures_of_their_own(tmp_path: Path) -> None:
    run = a_run(probes=("packet_rate_64",), arms=("native",), blocks=1)
    rates = {metric: [1e5] for metric in PACKET_RATES[64].values()}
    results = write_measured(tmp_path / "a", run, lambda _: Measurement(rates))
    section = made(ladder.make(sources([results])))
    assert [picture.name for picture in pictures_of(section)] == ["ladder-packet-rate-64"]
    assert [table.title for table in tables_of(section)] == [
        "Packet rate, 64 B, none lost",
        "Packet rate, 64 B, up to 0.1 % lost",
        "Packet rate, 64 B, up to 0.5 % lost",
    ]


def test_counts_and_delays_are_not_in_the_ladder(tmp_path: Path) -> None:
    run = a_run(probes=("ledger",), blocks=1)
    counted = write_measured(tmp_path / "a", run, lambda _: Measurement({"copies": [6.0]}))
    assert ladder.make(sources([counted])) is None
    run = a_run(probes=("delay_50",), blocks=1)
    timed = write_measured(tmp_path / "b", run, lambda _: Measurement({"delay_50_p50": [1e-5]}))
    assert ladder.make(sources([timed])) is None


def test_a_metric_of_a_later_version_is_shown_as_it_is(tmp_path: Path) -> None:
    results = a_set(tmp_path / "a")
    rows = tmp_path / "a" / "samples.csv"
    rows.write_text(rows.read_text().replace(",rtt,s,", ",jitter,furlong,"))
    section = made(ladder.make(sources([load(results.path)])))
    assert [table.title for table in tables_of(section)] == ["TCP goodput", "jitter"]
    assert "furlong" in row_of(tables_of(section)[1], "veth")["native"].text
    assert crowded(pictures_of(section)[1]) == []


@pytest.mark.parametrize("write", [interrupted_set, killed_set])
def test_an_unfinished_set_shows_what_it_has(tmp_path: Path, write: object) -> None:
    path = write(tmp_path / "a")  # type: ignore[operator]
    section = made(ladder.make(sources([load(path)])))
    shown = [field.text for table in tables_of(section) for row in table.rows for field in row]
    assert "not measured" in shown


# ---- whatever a set holds -----------------------------------------------------------------------

NAMES = st.lists(
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=60),
    min_size=1,
    max_size=4,
    unique=True,
)
PROBES = st.lists(
    st.sampled_from(["tcp_goodput", "rtt", "packet_rate_64", "delay_50", "ledger"]),
    min_size=1,
    unique=True,
)
GIVES = {"delay_50": "delay_50_p50", "ledger": "copies"}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, PROBES, st.integers(1, 7), st.randoms(use_true_random=False))
def test_whatever_a_set_holds_its_sections_can_be_drawn(
    names: list[str], probes: list[str], blocks: int, chance: random.Random
) -> None:
    def measure(trial: PlannedTrial) -> Measurement:
        if chance.random() < 0.2:
            return Measurement({})
        value = chance.choice([0.0, 1e-12, 1.0, 1e15, 10 ** chance.uniform(-9, 9)])
        return Measurement({GIVES.get(trial.probe, trial.probe): [value]})

    run = a_run(tuple(names), probes=tuple(probes), blocks=blocks)
    sets = [many_measured(Path(f"/nowhere/{n}"), run, measure) for n in range(2)]
    for make in (verdicts.make, ladder.make, sizes.make, delays.make, ledger.make):
        section = make(sources(sets))
        for picture in pictures_of(made(section)) if section else ():
            assert parsed(picture).tag == f"{SVG}svg"


# ---- verdicts -----------------------------------------------------------------------------------


def pair(tmp_path: Path, **factors: float) -> list[ResultSet]:
    return [a_set(tmp_path / "old"), a_set(tmp_path / "new", noisy(2, **factors))]


def test_one_set_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    assert verdicts.make(sources([a_set(tmp_path / "a")])) is None


def test_verdicts_are_those_of_compare_with_their_tones(tmp_path: Path) -> None:
    sets = pair(tmp_path, tcp_goodput=0.7, vxlan=1.0, rtt=0.7)
    section = made(verdicts.make(sources(sets)))
    rows = compare(*sets).rows
    table = tables_of(section)[0]
    assert len(table.rows) == len(rows) == 8
    for row, line in zip(rows, table.rows, strict=True):
        fields = {c.title: f for c, f in zip(table.columns, line, strict=True)}
        assert fields["verdict"].text == row.verdict
        assert fields["new / old"].value == row.ratio
        assert fields["95 % interval"].ends == (row.low, row.high)
        assert fields["verdict"].tone == {"slower": "bad", "faster": "good"}[row.verdict]
    assert "4 faster, 4 slower, 0 cannot tell" in pictures_of(section)[0].text


def test_the_picture_of_verdicts_says_metric_direction_and_ratio(tmp_path: Path) -> None:
    (picture,) = pictures_of(made(verdicts.make(sources(pair(tmp_path, rtt=1.5)))))
    written = texts_in(picture)
    assert "RTT, native, lower is better: veth: " in picture.text
    assert {"TCP goodput, parity", "higher is better", "lower is better"} <= set(written)
    assert {"faster", "slower", "cannot tell"} <= set(written)
    assert any(re.fullmatch(r"1\.[45]\d\d", text) for text in written)
    assert crowded(picture) == []


def test_too_few_blocks_give_ratios_without_intervals(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / n, a_run(blocks=2), noisy(s)) for s, n in ((1, "a"), (2, "b"))]
    section = made(verdicts.make(sources(sets)))
    assert {row[6].text for row in tables_of(section)[0].rows} == {"-"}
    assert {row[7].text for row in tables_of(section)[0].rows} == {"never"}
    assert any("too few blocks" in note for note in section.notes)
    written = " ".join(texts_in(pictures_of(section)[0]))
    assert "too few blocks for intervals" in written
    assert "95 %" not in written


def test_sets_of_other_things_are_a_note_and_no_failure(tmp_path: Path) -> None:
    one = a_set(tmp_path / "ladder", probes=("rtt",))
    two = a_set(tmp_path / "loaded", probes=("tcp_goodput",))
    three = a_set(tmp_path / "why", variants=("host-gw",), probes=("rtt",))
    section = made(verdicts.make(sources([one, two, three])))
    assert section.blocks == ()
    assert len(section.notes) == 2
    assert all("nothing to compare" in note for note in section.notes)
    assert build([one, two, three]).sections


def test_an_unfinished_set_is_not_compared_and_it_is_said(tmp_path: Path) -> None:
    section = made(
        verdicts.make(sources([a_set(tmp_path / "a"), load(killed_set(tmp_path / "b"))]))
    )
    assert section.blocks == ()
    assert "has not finished" in section.notes[0]


def test_each_set_is_compared_with_the_first(tmp_path: Path) -> None:
    sets = [a_set(tmp_path / str(n), noisy(n, rtt=1 + n)) for n in range(3)]
    section = made(verdicts.make(sources(sets)))
    titles = [picture.title for picture in pictures_of(section)]
    assert titles == ["1 against 0", "2 against 0"]


def test_counts_are_compared_by_their_tolerance(tmp_path: Path) -> None:
    run = a_run(probes=("ledger",), arms=("native",), blocks=3)
    sets = [
        write_measured(
            tmp_path / name,
            run,
            lambda trial, copies=copies: Measurement(
                {"copies": [copies if trial.variant == "vxlan" else 2.0]}
            ),
        )
        for name, copies in (("a", 6.0), ("b", 8.0))
    ]
    table = tables_of(made(verdicts.make(sources(sets))))[0]
    assert (row_of(table, "vxlan")["verdict"].text, row_of(table, "vxlan")["verdict"].tone) == (
        "worse",
        "bad",
    )
    assert row_of(table, "veth")["verdict"].text == "same"


def test_what_could_not_be_compared_is_listed_with_its_reason(tmp_path: Path) -> None:
    old = a_set(tmp_path / "a", variants=("veth", "vxlan", "bridge"))
    changed = a_run(blocks=6, settings={"rtt": {"seconds": 9.0}, "tcp_goodput": {"seconds": 1.0}})
    section = made(verdicts.make(sources([old, write_set(tmp_path / "b", changed, noisy(2))])))
    (listed,) = [t for t in tables_of(section) if t.title.endswith("what has no verdict")]
    said = {row[0].text: (row[1].text, row[2].text) for row in listed.rows}
    assert said["rtt[veth,native]"][0] == "not comparable"
    assert "seconds" in said["rtt[veth,native]"][1]
    assert said["rtt[bridge,native]"][0] == "only in a"
