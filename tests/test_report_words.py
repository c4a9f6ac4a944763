"""What the report says of runs in words: first, of where they come from, and of what went wrong."""

from __future__ import annotations

from pathlib import Path

from imagined import imagine
from msgspec.structs import replace
from reporting import sources
from sets import a_run, asking, noisy, write_set

from bench.report.model import Field, Section, Stored, Table, Words
from bench.report.sections import environment, headline, raw, warnings
from bench.results import Attempt, Canary, Quality, ResultSet, Run, load
from bench.results.model import Failure

GBIT = {"veth": 20e9, "bridge": 19e9, "flannel-udp": 0.5e9}


def measured(
    run: Run | None = None, spread: float = 0.02, name: str = "a", factor: float = 1.0
) -> ResultSet:
    """Goodput of three paths around GBIT, in blocks that scatter by `spread`."""
    run = run or a_run(variants=tuple(GBIT), arms=("native",), probes=("tcp_goodput",), blocks=6)
    middle = (run.asked.blocks + 1) / 2

    def values(trial: object) -> dict[str, float]:
        off = spread * (trial.block - middle) / run.asked.blocks  # type: ignore[attr-defined]
        return {"tcp_goodput": factor * GBIT[trial.variant] * (1 + off)}  # type: ignore[attr-defined]

    return imagine(name, run, values)


def texts(section: Section) -> list[str]:
    return [text for block in section.blocks if isinstance(block, Words) for text in block.texts]


def abouts(section: Section) -> list[str]:
    return [about for block in section.blocks if isinstance(block, Words) for about in block.about]


def table(section: Section, name: str) -> dict[str, tuple[Field, ...]]:
    """The rows of a table by their first fields."""
    [found] = [b for b in section.blocks if isinstance(b, Table) and b.name == name]
    return {row[0].text: row[1:] for row in found.rows}


def read(row: tuple[Field, ...]) -> tuple[str, ...]:
    return tuple(field.text for field in row)


# ---- the headline -------------------------------------------------------------------------------


def test_the_fastest_and_the_slowest_path_are_said_with_figures_and_intervals() -> None:
    section = headline.make(sources([measured()]))
    assert abouts(section) == ["TCP goodput, native"]
    assert texts(section) == [
        "veth is fastest with 20.0 Gbit/s (19.8 to 20.2 Gbit/s); flannel-udp is slowest with "
        "500 Mbit/s (496 to 504 Mbit/s), a factor of 40."
    ]
    assert section.lead.endswith("In parentheses: the 95 % interval of the median.")


def test_a_path_whose_interval_reaches_the_fastest_ones_is_named() -> None:
    [text] = texts(headline.make(sources([measured(spread=0.3)])))
    assert ", overlapping bridge)" in text
    assert text.count("overlapping") == 1


def test_the_slowest_time_is_the_longest() -> None:
    run = a_run(variants=("veth", "vxlan"), arms=("native",), probes=("rtt",))
    seconds = {"veth": 10e-6, "vxlan": 30e-6}
    results = imagine("a", run, lambda trial: {"rtt": seconds[trial.variant]})
    section = headline.make(sources([results]))
    assert texts(section) == [
        "veth is fastest with 10.0 µs; vxlan is slowest with 30.0 µs, a factor of 3.0."
    ]
    assert section.lead.endswith("the lowest and the highest block: too few for an interval.")


def test_a_figure_of_one_block_is_said_to_be_one_and_close_ones_are_told_apart() -> None:
    run = a_run(variants=("veth", "vxlan"), arms=("native",), probes=("rtt",), blocks=1)
    seconds = {"veth": 10e-6, "vxlan": 10.12e-6}
    results = imagine("a", run, lambda trial: {"rtt": seconds[trial.variant]})
    assert texts(headline.make(sources([results]))) == [
        "veth is fastest with 10.0 µs (one block); vxlan is slowest with 10.1 µs (one block), "
        "a factor of 1.01."
    ]


def test_counts_that_are_equal_are_said_to_be() -> None:
    run = a_run(variants=("veth", "bridge"), arms=("native",), probes=("ledger",))
    results = imagine("a", run, lambda _: {"copies": 2.0})
    assert texts(headline.make(sources([results]))) == ["all 2 paths have 2.00 a packet."]


def test_one_metric_stands_for_a_probe_that_gives_many() -> None:
    run = a_run(variants=("veth", "bridge"), arms=("native",), probes=("delay_50",))
    results = imagine("a", run, lambda _: {"delay_50_p99": 2e-5, "delay_50_p50": 1e-5})
    assert abouts(headline.make(sources([results]))) == ["Delay at 50 %, p50, native"]


def delays_of(loads: dict[str, float], left_out: str = "") -> ResultSet:
    """Delays at half of a base rate; a path whose name is `left_out` gave none."""
    run = a_run(tuple(loads), ("native",), ("delay_50",), blocks=1)
    records = {
        name: replace(record, conditions={"native": {"delay_50": {"base_rate": 2 * loads[name]}}})
        for name, record in run.variants.items()
    }
    values = {name: number * 1e-5 for number, name in enumerate(loads, 1)}
    return imagine(
        "a",
        replace(run, variants=records),
        lambda t: {} if t.variant == left_out else {"delay_50_p50": values[t.variant]},
    )


def test_no_path_is_called_fastest_where_a_planned_one_has_no_value() -> None:
    run = a_run(tuple(GBIT), ("native",), ("tcp_goodput",), blocks=2)
    results = imagine(
        "a", run, lambda t: {} if t.variant == "veth" else {"tcp_goodput": GBIT[t.variant]}
    )
    assert texts(headline.make(sources([results]))) == [
        "bridge has 19.0 Gbit/s and flannel-udp has 500 Mbit/s. "
        "Not ranked: these are 2 of 3 paths (left out: veth)."
    ]


def test_a_single_path_that_is_left_of_several_is_said_to_be_one_of_them() -> None:
    [text] = texts(headline.make(sources([delays_of({"veth": 1e4, "vxlan": 1e4}, "veth")])))
    assert text == (
        "vxlan at 10.0 kpps has 20.0 µs (one block). "
        "Not ranked: this is 1 of 2 paths (left out: veth)."
    )


def test_an_arm_in_which_no_path_has_a_value_is_said_to_have_none() -> None:
    run = a_run(("veth", "vxlan"), ("native", "parity"), ("rtt",))
    results = imagine("a", run, lambda t: {"rtt": 1e-5} if t.arm == "native" else {})
    assert texts(headline.make(sources([results])))[1] == "none of 2 paths has a value."


def test_delays_of_paths_under_loads_of_their_own_are_not_ranked() -> None:
    [text] = texts(headline.make(sources([delays_of({"veth": 2e5, "vxlan": 1e5})])))
    assert text == (
        "veth at 200 kpps has 10.0 µs (one block) and vxlan at 100 kpps has 20.0 µs (one block). "
        "Not ranked: each path has a load of its own."
    )


def test_delays_under_one_load_are_ranked() -> None:
    [text] = texts(headline.make(sources([delays_of({"veth": 1e5, "vxlan": 1.005e5})])))
    assert text.startswith("veth is fastest with 10.0 µs")


def test_delays_whose_loads_are_not_known_are_not_ranked() -> None:
    run = a_run(("veth", "vxlan"), ("native",), ("delay_50",))
    results = imagine("a", run, lambda t: {"delay_50_p50": 1e-5 * len(t.variant)})
    [text] = texts(headline.make(sources([results])))
    assert "fastest" not in text
    assert text.endswith("Not ranked: the set does not say at which load.")


def test_of_more_paths_than_are_on_the_ladder_the_span_is_said() -> None:
    loads = {f"path-{number}": 1e4 * number for number in range(1, 21)}
    [text] = texts(headline.make(sources([delays_of(loads)])))
    assert text == "20 paths have 10.0 to 200 µs. Not ranked: each path has a load of its own."


def test_a_figure_of_fewer_blocks_than_were_planned_says_of_how_many() -> None:
    run = a_run(("veth", "vxlan"), ("native",), ("rtt",), blocks=3)
    seconds = {"veth": 10e-6, "vxlan": 30e-6}
    results = imagine(
        "a",
        run,
        lambda t: {} if (t.variant, t.block) == ("veth", 1) else {"rtt": seconds[t.variant]},
    )
    assert texts(headline.make(sources([results]))) == [
        "veth is fastest with 10.0 µs (2 of 3 blocks); vxlan is slowest with 30.0 µs, "
        "a factor of 3.0."
    ]


def test_of_several_runs_the_verdicts_are_counted() -> None:
    sets = [measured(name="old"), measured(name="new", factor=0.5), measured(name="same")]
    section = headline.make(sources(sets))
    assert abouts(section)[:2] == ["new after old", "same after old"]
    assert texts(section)[:2] == [
        "of 3 timed cells 0 faster, 3 slower, 0 cannot tell.",
        "of 3 timed cells 0 faster, 0 slower, 3 cannot tell.",
    ]
    [first, *_] = (block for block in section.blocks if isinstance(block, Words))
    assert first.tone == "bad"


def test_runs_that_have_nothing_in_common_are_set_side_by_side_all_the_same() -> None:
    run = a_run(variants=("veth", "bridge"), arms=("native",), probes=("rtt",))
    other = imagine("other", run, lambda _: {"rtt": 1e-5})
    section = headline.make(sources([measured(), other]))
    assert texts(section)[-1] == "nothing in common, so nothing is compared."
    assert [b.title for b in section.blocks if isinstance(b, Words)] == ["a", "other", ""]


# ---- environment --------------------------------------------------------------------------------


def machine(**facts: object) -> Run:
    return a_run(variants=tuple(GBIT), probes=("tcp_goodput",), arms=("native",), environment=facts)


def test_a_machine_is_told_fact_by_fact_and_what_could_not_be_read_is_not_known() -> None:
    run = machine(
        kernel_release="6.1.0",
        memory_bytes=2**34,
        turbo=None,
        mitigations={"meltdown": "Not affected"},
        load_average=[0.5, 0.25, 0.0],
        of_a_later_version=3,
    )
    rows = table(environment.make(sources([measured(run)])), "machine")
    assert read(rows["kernel"]) == ("6.1.0",)
    assert read(rows["memory"]) == ("16.0 GiB",)
    assert read(rows["turbo"]) == ("not known",)
    assert read(rows["mitigations: meltdown"]) == ("Not affected",)
    assert read(rows["load average"]) == ("0.50, 0.25, 0.00",)
    assert read(rows["of_a_later_version"]) == ("3",)


def test_machines_stand_side_by_side_only_where_they_differ() -> None:
    old = measured(machine(kernel_release="6.1.0", cpus_online=2), name="old")
    new = measured(machine(kernel_release="6.2.0", cpus_online=2), name="new")
    section = environment.make(sources([old, new]))
    assert {k: read(v) for k, v in table(section, "machines").items()} == {
        "kernel": ("6.1.0", "6.2.0")
    }
    assert read(table(section, "machine")["online CPUs"]) == ("2",)
    assert "kernel" not in table(section, "machine")


def test_what_was_asked_is_told() -> None:
    rows = table(environment.make(sources([measured()])), "runs")
    assert read(rows["profile"]) == ("quick",)
    assert read(rows["blocks"]) == ("6",)
    assert read(rows["seed"]) == ("1",)
    assert read(rows["trials"]) == ("18 of 18 measured",)
    assert read(rows["settings of tcp_goodput"]) == ("seconds 1",)


# ---- warnings -----------------------------------------------------------------------------------


def test_a_quiet_run_says_that_there_is_nothing_to_warn_of() -> None:
    section = warnings.make(sources([measured()]))
    assert texts(section) == [
        "The run is complete: 18 of 18 planned trials were measured.",
        "Nothing was watched for what disturbs a trial.",
        "No trial failed or was skipped.",
        "There are no warnings.",
    ]
    assert not [block for block in section.blocks if isinstance(block, Table)]


def test_warnings_that_say_the_same_of_several_paths_are_one() -> None:
    run = a_run(warnings=("rtt[veth,native]: slow", "rtt[vxlan,native]: slow"))
    section = warnings.make(sources([imagine("a", run, lambda _: {})]))
    assert "veth, vxlan: slow (rtt, native)" in texts(section)
    assert "Warnings (1)" in [block.title for block in section.blocks]  # type: ignore[union-attr]


def test_failures_stand_together_by_their_reason() -> None:
    run = a_run(blocks=4)
    lost = [trial for trial in run.plan if (trial.variant, trial.probe) == ("vxlan", "rtt")]
    failures = tuple(
        Failure(t.trial, t.block, t.variant, t.arm, t.probe, "no vxlan here", missing=True)
        for t in lost
    )
    section = warnings.make(sources([imagine("a", replace(run, failures=failures), lambda _: {})]))
    [found] = [b for b in section.blocks if isinstance(b, Table) and b.name == "failures"]
    assert [read(row) for row in found.rows] == [
        ("vxlan", arm, "rtt", "skipped", "4 of 4", "no vxlan here") for arm in ("native", "parity")
    ]


def test_disturbed_trials_are_counted_by_what_disturbed_them() -> None:
    noisy_try = Attempt({"steal": 0.5, "other_load": 0.0}, ("steal",))
    quiet_try = Attempt({"steal": 0.0, "other_load": 0.01})
    quality = (Quality(1, (noisy_try, quiet_try)), Quality(2, (noisy_try, noisy_try)))
    run = replace(asking(2), quality=quality)
    rows = table(warnings.make(sources([imagine("a", run, lambda _: {})])), "disturbances")
    assert read(rows["steal"])[:4] == ("2.0%", "50.0%", "3", "1")
    assert read(rows["other load"])[:4] == ("5.0%", "1.0%", "0", "0")
    assert read(rows["device interrupts"])[1] == "not observed"
    assert "events the tracer missed" not in rows


def test_the_canaries_are_shown_with_what_disturbed_them() -> None:
    canaries = (
        Canary(1, "2026-01-01T00:00:00Z", {"memcpy": 8e9, "loopback": 5e-6}),
        Canary(2, "2026-01-01T00:01:00Z", {"memcpy": 4e9, "loopback": 5e-6}, ("steal",)),
    )
    run = replace(asking(2), canaries=canaries)
    rows = table(warnings.make(sources([imagine("a", run, lambda _: {})])), "canaries")
    first = ("2026-01-01 00:00:00 UTC", "8.00 GB/s", "not measured", "5.00 µs")
    assert read(rows["1"]) == (*first, "nothing that was seen")
    assert read(rows["2"])[-1] == "steal"


# ---- all figures --------------------------------------------------------------------------------


def test_every_cell_of_every_set_has_a_row_and_every_set_its_raw_values(tmp_path: Path) -> None:
    sets = [write_set(tmp_path / name, a_run(blocks=6), noisy(1)) for name in ("a", "b")]
    section = raw.make(sources(sets))
    [cells] = [block for block in section.blocks if isinstance(block, Table)]
    assert len(cells.rows) == 2 * 8
    assert len({read(row)[:4] for row in cells.rows}) == 16
    stored = [block for block in section.blocks if isinstance(block, Stored)]
    assert [block.path for block in stored] == [tmp_path / n / "samples.csv" for n in ("a", "b")]
    assert len({block.name for block in stored}) == 2
    alone = raw.make(sources([load(tmp_path / "a")]))
    assert [column.title for column in alone.blocks[0].columns][:5] == [  # type: ignore[union-attr]
        *("variant", "arm", "metric", "unit", "blocks")
    ]
