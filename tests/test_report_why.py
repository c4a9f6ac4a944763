"""The report's section on why a path is slower: the answer that is stored, or what it would be."""

import dataclasses
from pathlib import Path

import msgspec
import pytest
from made_up import World, flannel_and_vxlan, results_of
from reporting import ROOT, sources
from sets import a_run, noisy, write_set

from bench.report import theme
from bench.report.model import Picture, Section, Table, Words
from bench.report.sections import headline, why
from bench.results import ResultSet, load
from bench.why.answer import answer
from bench.why.causes import CAUSES
from bench.why.model import Answer, Estimate
from bench.why.picture import NAMES, draw
from bench.why.sentences import in_short, sentences
from bench.why.stored import ANSWER, answer_of

SERIAL = ("serial", "native", "vxlan")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ResultSet:
    """Both measures, in both arms, of a made-up machine; too few blocks for intervals."""
    folder = tmp_path_factory.mktemp("why") / "set"
    folder.mkdir()
    chosen = flannel_and_vxlan()
    world = World(offset={"flannel-udp": 3e-6}, factor=lambda t: 1 + 0.01 * (t.trial * 7 % 5))
    measured = {"arms": ("native", "parity"), "measures": ("serial", "stream")}
    return results_of(chosen, folder, world, blocks=3, **measured)


@pytest.fixture(scope="module")
def found(results: ResultSet) -> Answer:
    return answer(results, flannel_and_vxlan())


@pytest.fixture(scope="module")
def stored(
    results: ResultSet, found: Answer, tmp_path_factory: pytest.TempPathFactory
) -> ResultSet:
    """The same with its answer beside it, and nothing else to work it out from."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / ANSWER).write_bytes(msgspec.json.encode(found))
    return dataclasses.replace(results, path=folder)


def made(*sets: ResultSet) -> Section:
    section = why.make(sources(sets))
    assert section is not None
    return section


def tables(section: Section) -> dict[str, Table]:
    return {block.name: block for block in section.blocks if isinstance(block, Table)}


def pictures(section: Section) -> dict[str, Picture]:
    return {block.name: block for block in section.blocks if isinstance(block, Picture)}


# ---- where the answer is from -------------------------------------------------------------------


def test_other_sets_have_no_such_section(tmp_path: Path) -> None:
    assert why.make(sources([write_set(tmp_path / "a", a_run(blocks=1), noisy(1))])) is None


def test_an_answer_that_is_stored_is_taken(stored: ResultSet, found: Answer) -> None:
    assert answer_of(stored) == found


def test_an_answer_that_is_not_is_worked_out(tmp_path: Path) -> None:
    chosen = flannel_and_vxlan()
    few = results_of(chosen, tmp_path, blocks=2)
    assert answer_of(few) == answer(few, chosen)
    assert made(few).blocks


def test_that_its_times_are_not_the_medians_above_is_said(stored: ResultSet) -> None:
    [told] = [note for note in made(stored).notes if "Path by path" in note]
    assert "the lowest value of each trial counts" in told


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is damaged"),
        (b"\xff", "is damaged"),
        (b'{"format": 1}', "is damaged"),
        (b'{"format": 99, ', "is damaged"),
    ],
)
def test_a_damaged_answer_is_said_with_what_to_do(
    results: ResultSet, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / ANSWER).write_bytes(content)
    section = made(dataclasses.replace(results, path=tmp_path))
    assert section.blocks == ()
    [note] = section.notes
    assert says in note
    assert f"vnetbench why --from {tmp_path.name} writes it again" in note
    assert str(tmp_path.parent) not in note


def test_a_share_of_a_cause_that_has_no_price_is_damage(
    results: ResultSet, found: Answer, tmp_path: Path
) -> None:
    gap = found.gaps[0]
    key, cause = f"{gap.measure},{gap.arm}", gap.shares[0].cause
    kept = [price for price in found.prices[key] if price.cause != cause]
    changed = msgspec.structs.replace(found, prices={**found.prices, key: kept})
    (tmp_path / ANSWER).write_bytes(msgspec.json.encode(changed))
    [note] = made(dataclasses.replace(results, path=tmp_path)).notes
    assert f"is damaged: {cause} has a share of a gap, but no price" in note


def test_an_answer_of_a_newer_version_is_refused(
    results: ResultSet, found: Answer, tmp_path: Path
) -> None:
    newer = msgspec.structs.replace(found, format=99)
    (tmp_path / ANSWER).write_bytes(msgspec.json.encode(newer))
    [note] = made(dataclasses.replace(results, path=tmp_path)).notes
    assert "was written by a newer vnetbench (format 99)" in note


def test_where_too_little_was_measured_the_reason_is_said(
    results: ResultSet, tmp_path: Path
) -> None:
    [note] = made(dataclasses.replace(results, path=tmp_path, samples=())).notes
    assert "no block has all that was to be measured" in note


# ---- what it says -------------------------------------------------------------------------------


def test_the_page_begins_with_the_largest_causes_and_the_residual() -> None:
    kept = load(ROOT / "results/reference-why")
    first = headline.make(sources([kept]))
    [block] = first.blocks
    assert isinstance(block, Words)
    assert list(zip(block.about, block.texts, strict=True)) == in_short(answer_of(kept))
    [gap] = [g for g in answer_of(kept).gaps if (g.measure, g.arm, g.fast) == SERIAL]
    [serial] = [t for a, t in zip(block.about, block.texts, strict=True) if "One packet" in a]
    assert f"not explained: {gap.residual_share.value:.1%}" in serial
    assert first.lead.endswith("In brackets: the 95 % interval.")


def test_the_page_begins_with_why_there_is_no_answer(results: ResultSet, tmp_path: Path) -> None:
    (tmp_path / ANSWER).write_bytes(b"{")
    [block] = headline.make(sources([dataclasses.replace(results, path=tmp_path)])).blocks
    assert isinstance(block, Words)
    assert block.texts[0].startswith(f"no answer: {tmp_path.name}/{ANSWER}: is damaged")
    assert str(tmp_path.parent) not in block.texts[0]


def test_it_begins_with_the_sentences_of_the_command(stored: ResultSet, found: Answer) -> None:
    first = made(stored).blocks[0]
    assert isinstance(first, Words)
    assert first.texts == tuple(sentences(found))


def test_times_and_shares_have_the_ends_of_their_intervals_as_numbers() -> None:
    kept = load(ROOT / "results/reference-why")
    [gap] = [g for g in answer_of(kept).gaps if (g.measure, g.arm, g.fast) == SERIAL]
    table = tables(made(kept))["why-serial-vxlan-flannel-udp"]
    [row] = [row for row in table.rows if row[0].text == "not explained"]
    at = [column.title for column in table.columns].index("native")
    assert (row[at].value, row[at].ends) == (gap.residual.value, ends(gap.residual))
    assert row[at + 1].ends == ends(gap.residual_share)


def ends(estimate: Estimate) -> tuple[float | None, float | None]:
    return estimate.low, estimate.high


def test_a_table_leads_from_one_time_to_the_other(stored: ResultSet, found: Answer) -> None:
    """Causes and what is not explained add up to the gap, in every arm."""
    table = tables(made(stored))["why-serial-vxlan-flannel-udp"]
    for arm in ("native", "parity"):
        at = [column.title for column in table.columns].index(arm)
        fast, *parts, slow = (row[at].value or 0.0 for row in table.rows)
        assert fast + sum(parts) == pytest.approx(slow)
        [gap] = [g for g in found.gaps if (g.measure, g.arm, g.fast) == ("serial", arm, "vxlan")]
        assert slow == gap.slow_time.value
    assert [row[0].text for row in table.rows][-2:] == ["not explained", "flannel-udp"]
    assert {CAUSES[id_].title for id_ in CAUSES} <= {row[0].text for row in table.rows}


def test_every_gap_and_every_ablation_has_a_table(stored: ResultSet) -> None:
    assert list(tables(made(stored))) == [
        *(f"why-serial-{fast}-flannel-udp" for fast in ("vxlan", "host-gw")),
        *(f"why-serial-{arm}-techniques" for arm in ("native", "parity")),
        *(f"why-stream-{fast}-flannel-udp" for fast in ("vxlan", "host-gw")),
        *(f"why-stream-{arm}-techniques" for arm in ("native", "parity")),
    ]
    for table in tables(made(stored)).values():
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_the_two_ways_of_finding_out_what_a_technique_saves_stand_side_by_side(
    stored: ResultSet, found: Answer
) -> None:
    table = tables(made(stored))["why-serial-native-techniques"]
    [ablation] = [a for a in found.ablations if (a.measure, a.arm) == ("serial", "native")]
    for effect, row in zip(ablation.effects, table.rows, strict=False):
        assert row[0].text == effect.title
        assert (row[1].value, row[3].value) == (effect.saved.value, effect.predicted.value)
        assert (row[4].text, row[4].tone) == ("no interval", "dim")


@pytest.mark.parametrize(
    ("difference", "says"),
    [
        (Estimate(1e-6, 5e-7, 2e-6), ("differ", "bad")),
        (Estimate(1e-6, -5e-7, 2e-6), ("agree", "good")),
    ],
)
def test_where_the_two_ways_differ_it_is_said(
    results: ResultSet, found: Answer, tmp_path: Path, difference: Estimate, says: tuple[str, str]
) -> None:
    [first, *others] = found.ablations
    effects = [msgspec.structs.replace(e, difference=difference) for e in first.effects]
    changed = [msgspec.structs.replace(first, effects=effects), *others]
    content = msgspec.json.encode(msgspec.structs.replace(found, ablations=changed))
    (tmp_path / ANSWER).write_bytes(content)
    table = tables(made(dataclasses.replace(results, path=tmp_path)))[
        "why-serial-native-techniques"
    ]
    assert [(row[4].text, row[4].tone) for row in table.rows[:-1]] == [says] * len(effects)


def test_two_answers_are_told_apart(stored: ResultSet) -> None:
    other = dataclasses.replace(stored)
    section = made(stored, other)
    names = [*tables(section), *pictures(section)]
    assert (
        len(names) == len(set(names)) == 2 * len([*tables(made(stored)), *pictures(made(stored))])
    )
    assert all(p.title.startswith(stored.path.name) for p in pictures(section).values())


# ---- pictures -----------------------------------------------------------------------------------


def test_the_files_of_the_command_and_the_section_are_drawn_alike(
    stored: ResultSet, found: Answer, tmp_path: Path
) -> None:
    assert [path.name for path in draw(found, tmp_path)] == list(NAMES)
    whole = (tmp_path / "why.svg").read_text()
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG\r\n")
    for name, picture in pictures(made(stored)).items():
        svg = theme.svg(picture, themed=True)
        if name in ("why-serial", "why-stream"):
            for text in ("vxlan", "flannel-udp", "copies (bytes)", "not explained"):
                assert f">{text}</text>" in svg
                assert f">{text}</text>" in whole
    assert "segmentation offload lost" in whole


def test_a_waterfall_says_in_words_what_it_shows(stored: ResultSet, found: Answer) -> None:
    text = pictures(made(stored))["why-serial"].text
    [gap] = [g for g in found.gaps if (g.measure, g.arm, g.fast) == ("serial", "native", "vxlan")]
    for share in gap.shares:
        if share.share.value > 0.02:
            assert share.title in text
    assert "over vxlan" in text
    assert "not explained" in text
