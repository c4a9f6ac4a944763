"""What the section on delays says: pooled percentiles, loads, and what is left out."""

import dataclasses
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.lines import Line2D
from msgspec.structs import replace
from reporting import (
    crowded,
    delayed,
    made,
    pictures_of,
    row_of,
    sources,
    tables_of,
    texts_in,
    write_measured,
)
from sets import a_run, noisy, write_set

from bench.native.delay import bucket_of
from bench.percentiles import quantile, quantiles, share_within, within
from bench.probes import Measurement
from bench.probes.delay import Delay
from bench.report import theme
from bench.report.distribution import delays
from bench.report.model import Picture
from bench.report.sections import delays as section_of
from bench.results import PlannedTrial, ResultSet, summarise
from bench.units import format_value

LOADS = ("delay_10", "delay_50")


def exponential(seed: int, mean: float = 20e-6, count: int = 4000) -> list[float]:
    draw = random.Random(seed)
    return [5e-6 + draw.expovariate(1 / mean) for _ in range(count)]


def loaded(path: Path, blocks: int = 3, count: int = 4000, **changes: object) -> ResultSet:
    """Delays of two paths at two loads; vxlan's are four times as long."""
    run = a_run(**{"probes": LOADS, "arms": ("native",), "blocks": blocks, **changes})  # type: ignore[arg-type]

    def measure(trial: PlannedTrial) -> Measurement:
        mean = 80e-6 if trial.variant == "vxlan" else 20e-6
        return delayed(
            int(trial.probe.removeprefix("delay_")), exponential(trial.trial, mean, count)
        )

    return write_measured(path, run, measure)


# ---- pooling ------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 10**7), min_size=20, max_size=60), min_size=1, max_size=4),
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8),
)
def test_several_quantiles_in_one_pass_are_those_one_by_one(
    trials: list[list[int]], shares: list[float]
) -> None:
    counts: dict[int, int] = {}
    for ns in sorted(ns for trial in trials for ns in trial):
        counts[bucket_of(ns)] = counts.get(bucket_of(ns), 0) + 1
    total = sum(counts.values()) + 3
    found = quantiles(counts, total, sorted(shares))
    assert found == [quantile(counts, total, share) for share in sorted(shares)]


def test_a_curve_is_that_of_all_datagrams_of_all_trials(tmp_path: Path) -> None:
    results = loaded(tmp_path / "a")
    pooled, reason = delays(results, 50, "vxlan", "native")
    assert reason == ""
    assert pooled is not None
    assert (pooled.trials, pooled.gave_up, pooled.load) == (3, 0, 10_000.0)
    numbers = [t.trial for t in results.run.plan if (t.variant, t.probe) == ("vxlan", "delay_50")]
    everything = sorted(v for number in numbers for v in exponential(number, 80e-6))
    for point in pooled.intended:
        rank = min(len(everything) - 1, max(0, round(point.share * len(everything)) - 1))
        assert point.seconds == pytest.approx(everything[rank], rel=0.03)
        assert point.fit


def test_a_curve_ends_where_fewer_than_ten_datagrams_lie_beyond(tmp_path: Path) -> None:
    pooled, _ = delays(loaded(tmp_path / "a"), 50, "veth", "native")
    assert pooled is not None
    assert pooled.reach == pytest.approx(1 - 10 / 12_000)
    assert pooled.intended[-1].share == pooled.reach
    assert "datagrams lie beyond" in pooled.why


def one_path(path: Path, *trials: Measurement) -> ResultSet:
    run = a_run(("veth",), ("native",), ("delay_50",), blocks=len(trials))
    return write_measured(path, run, lambda trial: trials[trial.trial - 1])


def test_a_curve_ends_before_the_datagrams_that_were_lost(tmp_path: Path) -> None:
    lossy = delayed(50, exponential(1, count=3960), lost=40)
    pooled, _ = delays(one_path(tmp_path / "a", lossy), 50, "veth", "native")
    assert pooled is not None
    assert pooled.reach == pytest.approx(0.99)
    assert "lost" in pooled.why
    [picture] = pictures_of(made(section_of.make(sources([one_path(tmp_path / "b", lossy)]))))
    assert picture.text.endswith("drawn up to 99 % (datagrams were lost).")


def test_a_curve_is_dotted_where_senders_were_late(tmp_path: Path) -> None:
    """Of 12,000 datagrams 100 were late: too many for all beyond the 98th percentile."""
    late = delayed(50, exponential(1), late=100)
    results = one_path(tmp_path / "a", late, *(delayed(50, exponential(n)) for n in (2, 3)))
    pooled, _ = delays(results, 50, "veth", "native")
    assert pooled is not None
    assert pooled.trials == 3
    assert {point.share <= 1 - 2 * 100 / 12_000 for point in pooled.intended if point.fit} == {True}
    assert {point.share > 1 - 2 * 100 / 12_000 for point in pooled.intended if not point.fit} == {
        True
    }
    section = made(section_of.make(sources([results])))
    assert "at most (senders late)" in texts_in(pictures_of(section)[0])
    assert "p90 " in pictures_of(section)[0].text
    assert "p99 at most" in pictures_of(section)[0].text
    assert any("p99 in 1 of 3 trials (the sender was late" in note for note in section.notes)


def markers_in(picture: Picture) -> list[tuple[str, bool, int]]:
    """The marker of each line that has one: which, whether it is hollow, at how many points."""
    with theme.drawing():
        (axis,) = picture.draw().axes
    return [
        (
            str(line.get_marker()),
            line.get_markerfacecolor() != line.get_color(),
            len(np.asarray(line.get_xdata())),
        )
        for line in axis.lines
        if line.get_marker() not in (None, "None", "")
    ]


def test_paths_whose_senders_were_all_late_are_told_apart_by_hollow_markers(tmp_path: Path) -> None:
    run = a_run(("veth", "vxlan"), ("native",), ("delay_50",), blocks=1)
    results = write_measured(
        tmp_path / "a", run, lambda t: delayed(50, exponential(t.trial), late=2000)
    )
    (picture,) = pictures_of(made(section_of.make(sources([results]))))
    assert markers_in(picture) == [(theme.MARKERS[0], True, 3), (theme.MARKERS[1], True, 3)]
    assert crowded(picture) == []


def test_markers_are_hollow_only_where_senders_were_late(tmp_path: Path) -> None:
    late = delayed(50, exponential(1), late=100)
    results = one_path(tmp_path / "a", late, *(delayed(50, exponential(n)) for n in (2, 3)))
    (picture,) = pictures_of(made(section_of.make(sources([results]))))
    assert markers_in(picture) == [("o", False, 2), ("o", True, 2)]


def test_the_legend_shows_that_hollow_markers_are_of_late_senders(tmp_path: Path) -> None:
    late = delayed(50, exponential(1), late=2000)
    (picture,) = pictures_of(made(section_of.make(sources([one_path(tmp_path / "a", late)]))))
    with theme.drawing():
        (legend,) = picture.draw().legends
    handles = dict(
        zip((text.get_text() for text in legend.get_texts()), legend.legend_handles, strict=True)
    )
    shown = handles["at most (senders late)"]
    assert isinstance(shown, Line2D)
    assert shown.get_marker() == "o"
    assert shown.get_markerfacecolor() == theme.ink("paper")


def test_a_curve_that_ends_below_all_percentiles_has_its_marker_at_its_end(tmp_path: Path) -> None:
    lossy = delayed(50, exponential(1, count=1600), lost=2400)
    (picture,) = pictures_of(made(section_of.make(sources([one_path(tmp_path / "a", lossy)]))))
    assert markers_in(picture) == [("o", False, 1)]
    assert "(50 % of 20.0 kpps): no percentile; drawn up to 40 %" in picture.text


def test_a_curve_without_late_senders_has_nothing_dotted(tmp_path: Path) -> None:
    (picture, _) = pictures_of(made(section_of.make(sources([loaded(tmp_path / "a")]))))
    assert not any("late" in text for text in texts_in(picture))


def test_a_trial_whose_sender_gave_up_is_not_in_the_picture_and_it_is_said(tmp_path: Path) -> None:
    fine = delayed(50, exponential(1))
    kept = msgspec.json.decode(fine.raw["delay_50"], type=Delay)
    gave_up = Measurement({}, raw={"delay_50": msgspec.json.encode(replace(kept, sent=1000))})
    results = one_path(tmp_path / "a", fine, gave_up)
    pooled, _ = delays(results, 50, "veth", "native")
    assert pooled is not None
    assert (pooled.trials, pooled.gave_up) == (1, 1)
    section = made(section_of.make(sources([results])))
    assert any("1 of 2 trials are not in the picture" in note for note in section.notes)


@given(
    st.lists(st.integers(1, 10**8), min_size=1, max_size=60),
    st.lists(st.floats(0, 0.2), min_size=1, max_size=8),
)
def test_shares_within_times_are_those_of_the_values(ns: list[int], times: list[float]) -> None:
    counts: dict[int, int] = {}
    for value in ns:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    share = within(counts, len(ns))
    for seconds in times:
        below = sum(value < 0.99 * seconds * 1e9 - 1 for value in ns)
        at_most = sum(value <= 1.01 * seconds * 1e9 + 1 for value in ns)
        assert below / len(ns) - 1e-9 <= share(seconds) <= at_most / len(ns) + 1e-9
        assert share(seconds) == share_within(counts, len(ns), seconds)


# ---- the section --------------------------------------------------------------------------------


def test_each_load_has_a_percentile_plot_and_a_table(tmp_path: Path) -> None:
    section = made(section_of.make(sources([loaded(tmp_path / "a")])))
    assert [p.name for p in pictures_of(section)] == ["delay-10-native", "delay-50-native"]
    assert [t.name for t in tables_of(section)] == [
        "delay-10-native-table",
        "delay-50-native-table",
    ]
    for picture in pictures_of(section):
        written = texts_in(picture)
        assert {"0 %", "50 %", "90 %", "99 %", "99.9 %"} <= set(written)
        assert {"veth at 10.0 kpps", "vxlan at 10.0 kpps"} <= set(written)
        assert crowded(picture) == []
        assert "vxlan at 10.0 kpps (50 % of 20.0 kpps): p50" in picture.text


def test_the_table_has_the_medians_of_blocks(tmp_path: Path) -> None:
    results = loaded(tmp_path / "a")
    cells = {(c.variant, c.metric): c for c in summarise(results)}
    row = row_of(tables_of(made(section_of.make(sources([results]))))[1], "vxlan")
    for percentile in ("p50", "p90", "p99"):
        assert row[percentile].value == cells["vxlan", f"delay_50_{percentile}"].median
    assert row["load"].text == "10.0 kpps"


def test_a_percentile_of_too_few_datagrams_is_left_out_with_the_reason(tmp_path: Path) -> None:
    section = made(section_of.make(sources([loaded(tmp_path / "a")])))
    field = row_of(tables_of(section)[0], "veth")["p99.9"]
    assert (field.text, field.tone) == ("left out", "dim")
    said = "left out: p99.9 in 3 of 3 trials (it takes 10000 datagrams, and 4000 were due)."
    assert f"veth at 10 %: {said}" in section.notes


def test_what_a_sender_that_waits_would_hide_is_drawn_and_told(tmp_path: Path) -> None:
    due = exponential(1)
    stalled = [value + (5e-3 if number % 20 == 0 else 0) for number, value in enumerate(due)]
    hidden = one_path(tmp_path / "a", delayed(50, stalled, sent=due))
    section = made(section_of.make(sources([hidden])))
    assert any("was sent" in text for text in texts_in(pictures_of(section)[0]))
    field = row_of(tables_of(section)[0], "veth")["p99: hidden from a sender that waits"]
    assert field.value == pytest.approx(5e-3, rel=0.05)
    plain = made(section_of.make(sources([one_path(tmp_path / "b", delayed(50, due))])))
    assert not any("was sent" in text for text in texts_in(pictures_of(plain)[0]))


def test_without_histograms_the_percentiles_of_the_trials_are_shown(tmp_path: Path) -> None:
    results = loaded(tmp_path / "a")
    for file in results.path.glob("delay_*/*.json"):
        file.unlink()
    section = made(section_of.make(sources([results])))
    assert len(pictures_of(section)) == 2
    assert {"p50", "p90", "p99"} <= set(texts_in(pictures_of(section)[0]))
    assert row_of(tables_of(section)[0], "veth")["p50"].value is not None
    assert any("no histogram is kept" in note for note in section.notes)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"due": "many"}'])
def test_a_damaged_histogram_is_a_note_and_no_failure(tmp_path: Path, damage: bytes) -> None:
    results = loaded(tmp_path / "a")
    first = min(results.path.glob("delay_50/*.json"), key=lambda file: int(file.stem))
    first.write_bytes(damage)
    section = made(section_of.make(sources([results])))
    assert sum("cannot be read" in note for note in section.notes) == 1
    assert len(pictures_of(section)) == 2


def test_paths_that_failed_are_named(tmp_path: Path) -> None:
    run = a_run(probes=("delay_50",), arms=("native",), blocks=2)
    results = write_measured(
        tmp_path / "a",
        run,
        lambda t: "no route" if t.variant == "vxlan" else delayed(50, exponential(t.trial)),
    )
    section = made(section_of.make(sources([results])))
    assert row_of(tables_of(section)[0], "vxlan")["p50"].text == "failed"
    assert "vxlan at 50 %: failed: no route." in section.notes


def test_many_paths_have_rows_instead_of_lines(tmp_path: Path) -> None:
    names = tuple(f"path-{n}" for n in range(30))
    section = made(section_of.make(sources([loaded(tmp_path / "a", 1, 400, variants=names)])))
    (ten, _) = pictures_of(section)
    assert [text for text in texts_in(ten) if text.startswith("path-")] == list(names)
    assert crowded(ten) == []


def test_more_paths_than_lines_can_be_told_apart_have_several_pictures(tmp_path: Path) -> None:
    names = tuple(f"path-{n}" for n in range(20))
    section = made(section_of.make(sources([loaded(tmp_path / "a", 1, 400, variants=names)])))
    ten = [p for p in pictures_of(section) if p.name.startswith("delay-10")]
    assert [p.name for p in ten] == ["delay-10-native", "delay-10-native-2", "delay-10-native-3"]
    written = [text for p in ten for text in texts_in(p) if text.startswith("path-")]
    assert len(written) == len(set(written)) == 20


def test_delays_of_two_sets_lie_over_each_other(tmp_path: Path) -> None:
    section = made(section_of.make(sources([loaded(tmp_path / "a"), loaded(tmp_path / "b")])))
    assert len(pictures_of(section)) == 2
    assert {"veth (a) at 10.0 kpps", "veth (b) at 10.0 kpps"} <= set(
        texts_in(pictures_of(section)[0])
    )
    assert {row[1].text for row in tables_of(section)[0].rows} == {"a", "b"}


# ---- loads ---------------------------------------------------------------------------------------


def test_the_load_is_said_to_be_a_share_of_what(tmp_path: Path) -> None:
    own = loaded(tmp_path / "a", 1, 400)
    shared = replace(own.run, asked=replace(own.run.asked, one_for_all=True))
    one = dataclasses.replace(own, run=shared)
    for sets, said in (([own], {"own"}), ([one], {"all"}), ([own, one], {"own", "all"})):
        notes = made(section_of.make(sources(sets))).notes
        found = {
            word
            for word, text in (("own", "each path's own"), ("all", "goes for all paths"))
            if any(text in note for note in notes)
        }
        assert found == said
        assert any("found by a search of its own" in note for note in notes)


def test_the_rate_of_which_a_load_is_a_share_is_named_with_its_figure(tmp_path: Path) -> None:
    section = made(section_of.make(sources([loaded(tmp_path / "a")])))
    assert [p.title for p in pictures_of(section)] == [
        "One-way delay at 10 % of the base rate, native",
        "One-way delay at 50 % of the base rate, native",
    ]
    assert "vxlan at 10.0 kpps (50 % of 20.0 kpps): p50" in pictures_of(section)[1].text
    field = row_of(tables_of(section)[1], "vxlan")["base rate"]
    assert (field.text, field.value) == ("20.0 kpps", 20_000.0)


@pytest.mark.parametrize(
    ("rate", "said"), [(12_500.0, "60 % more"), (40_000.0, "50 % less"), (18_000.0, None)]
)
def test_a_base_rate_far_from_the_packet_rate_of_its_run_is_said_to_be(
    tmp_path: Path, rate: float, said: str | None
) -> None:
    run = a_run(("veth",), ("native",), ("packet_rate_64", "delay_50", "delay_90"), blocks=2)

    def measure(trial: PlannedTrial) -> Measurement:
        if trial.probe == "packet_rate_64":
            return Measurement({"packet_rate_64_loss_0.1": [rate]})
        return delayed(int(trial.probe.removeprefix("delay_")), exponential(trial.trial))

    section = made(section_of.make(sources([write_measured(tmp_path / "a", run, measure)])))
    found = [note for note in section.notes if "that this run measured" in note]
    shares = [round(load * 20_000 / rate) for load in (50, 90)]
    assert found == (
        [
            f"veth, native: the base rate of 20.0 kpps is {said} than the packet rate that this "
            f"run measured ({format_value(rate, 'packet/s')}, 64 B, up to 0.1 % lost): "
            f"50 and 90 % of it are {shares[0]} and {shares[1]} % of that."
        ]
        if said
        else []
    )


def test_a_set_without_delays_or_round_trips_has_no_such_section(tmp_path: Path) -> None:
    run = a_run(probes=("tcp_goodput",))
    assert section_of.make(sources([write_set(tmp_path / "a", run, noisy(1))])) is None
