"""The report's section of topologies: what a run recorded, drawn as far as it can be known."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from files import shipped
from msgspec.structs import replace
from reporting import sources
from sets import a_run, noisy, write_set

import bench.drawing.recorded
from bench.drawing.recorded import scenarios_of
from bench.report import theme
from bench.report.model import Picture, Section, Table
from bench.report.sections import topologies
from bench.results import ResultSet, VariantRecord
from bench.scenario import Variant, find, shipped_scenarios, variants


def recorded(variant: Variant, **changes: Any) -> VariantRecord:
    """What a run says of a variant."""
    facts = {
        name: {"devices": {device: {} for device in host.devices}}
        for name, host in variant.scenario.hosts.items()
    }
    record = VariantRecord(
        scenario=variant.base,
        parameters=dict(variant.parameters),
        sha256=variant.digest,
        facts={"native": facts},
    )
    return replace(record, **changes)


def a_set(folder: Path, given: dict[str, VariantRecord], asked: tuple[str, ...] = ()) -> ResultSet:
    run = a_run(variants=tuple(given), blocks=1)
    scenarios = asked or tuple(dict.fromkeys(record.scenario for record in given.values()))
    run = replace(run, variants=given, asked=replace(run.asked, scenarios=scenarios))
    return write_set(folder, run, noisy(1))


def made(*sets: ResultSet) -> Section:
    section = topologies.make(sources(sets))
    assert section is not None
    return section


def pictures(section: Section) -> list[Picture]:
    return [block for block in section.blocks if isinstance(block, Picture)]


# ---- what is drawn ------------------------------------------------------------------------------


def test_each_topology_of_a_set_is_drawn_once(tmp_path: Path) -> None:
    plain, fast = variants(find(["flannel-udp"]), ["pump=flannel,fast"])
    given = {v.name: recorded(v) for v in (shipped("veth"), plain, fast)}
    section = made(a_set(tmp_path / "a", given), a_set(tmp_path / "b", given))
    assert [picture.name for picture in pictures(section)] == [
        "topology-veth",
        "topology-flannel-udp-pump-flannel",
    ]
    assert pictures(section)[1].title.startswith(
        "flannel-udp[pump=flannel], flannel-udp[pump=fast]"
    )
    assert section.notes == ()


def test_variants_that_are_built_differently_are_drawn_each(tmp_path: Path) -> None:
    given = {v.name: recorded(v) for v in variants(find(["veth"]), ["hops=0,1,2"])}
    assert len(pictures(made(a_set(tmp_path / "a", given)))) == 3


def test_many_variants_that_are_drawn_alike_are_named_by_their_number(tmp_path: Path) -> None:
    given = {v.name: recorded(v) for v in variants(find(["tun-udp"]), ["batch=1,2,4,8,16"])}
    [picture] = pictures(made(a_set(tmp_path / "a", given)))
    assert picture.title.startswith("tun-udp[batch=1] and 4 others: ")


def test_the_table_counts_what_a_packet_comes_by(tmp_path: Path) -> None:
    given = {name: recorded(shipped(name)) for name in ("veth", "flannel-udp")}
    section = made(a_set(tmp_path / "a", given))
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert [[field.text for field in row] for row in table.rows] == [
        ["veth", "2", "2", "1", "2"],
        ["flannel-udp", "6", "6", "5", "10"],
    ]


def test_every_picture_of_the_section_can_be_drawn(tmp_path: Path) -> None:
    given = {name: recorded(shipped(name)) for name in ("veth", "tap-bridge", "qemu")}
    for picture in pictures(made(a_set(tmp_path / "a", given))):
        assert picture.text
        assert theme.svg(picture, themed=True).startswith("<svg")
        assert theme.png(picture).startswith(b"\x89PNG")


def test_detours_of_handicapped_pumps_are_said_once(tmp_path: Path) -> None:
    given = {v.name: recorded(v) for v in variants(find(["tun-udp"]), ["tun_trips=1,2,3,4"])}
    [note] = made(a_set(tmp_path / "a", given)).notes
    assert note.startswith("tun-udp[tun_trips=1] and 3 others: the pump sends each packet through")
    assert "a tun device of the pump's own, as often as tun_trips says" in note


def test_what_is_not_known_of_ipsec_is_said(tmp_path: Path) -> None:
    given = {"xfrm-tunnel": recorded(shipped("xfrm-tunnel"))}
    [note] = made(a_set(tmp_path / "a", given)).notes
    assert "it may pass its IP layer once more" in note


# ---- files that are not what they were ----------------------------------------------------------


def test_a_file_of_ones_own_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    shutil.copy(shipped_scenarios()["bridge"], file)
    [variant] = variants([file])
    results = a_set(tmp_path / "a", {"mine": recorded(variant)}, (str(file),))
    assert scenarios_of(results.run)["mine"].scenario == variant.scenario


@pytest.mark.parametrize("value", ["1400", "9000"])
def test_parameters_are_those_of_the_run(tmp_path: Path, value: str) -> None:
    [variant] = variants(find(["vxlan"]), [f"mtu={value}", "hops=1"])
    results = a_set(tmp_path / "a", {"anything": recorded(variant)})
    found = scenarios_of(results.run)["anything"]
    assert found.scenario == variant.scenario
    assert found.problem == ""


def test_a_scenario_s_file_is_looked_for_once_however_many_variants_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def find_and_count(names: list[str]) -> list[Path]:
        asked.extend(names)
        return find(names)

    monkeypatch.setattr(bench.drawing.recorded, "find", find_and_count)
    chosen = variants(find(["veth", "vxlan"]), ["hops=0,1,2"])
    results = a_set(tmp_path / "a", {v.name: recorded(v) for v in chosen})
    found = scenarios_of(results.run)
    assert {name: one.scenario for name, one in found.items()} == {
        v.name: v.scenario for v in chosen
    }
    assert asked == ["veth", "vxlan"]


def test_a_file_that_has_changed_but_for_its_devices_is_drawn_and_it_is_said(
    tmp_path: Path,
) -> None:
    record = recorded(shipped("vxlan"), sha256="00" * 32)
    section = made(a_set(tmp_path / "a", {"vxlan": record}))
    assert len(pictures(section)) == 1
    [note] = section.notes
    assert note == (
        "vxlan: vxlan.toml has changed since the run; it is drawn as it is now, with the same "
        "devices as the run had"
    )


@pytest.mark.parametrize("facts", [{}, {"native": {"host-a": {"devices": {"eth7": {}}}}}])
def test_a_file_whose_devices_have_changed_is_not_drawn(
    tmp_path: Path, facts: dict[str, Any]
) -> None:
    record = recorded(shipped("vxlan"), sha256="00" * 32, facts=facts)
    section = made(a_set(tmp_path / "a", {"vxlan": record}))
    assert section.blocks == ()
    [note] = section.notes
    assert note.startswith("vxlan is not drawn: vxlan.toml has changed since the run")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scenario": "gone"}, 'no scenario "gone"'),
        ({"parameters": {"colour": "red"}}, 'has a parameter "colour"'),
        ({"parameters": {"congestion_control": "a,b"}}, "its parameters cannot be set again"),
    ],
)
def test_what_cannot_be_known_is_said(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    given = {"veth": recorded(shipped("veth")), "lost": recorded(shipped("vxlan"), **changes)}
    section = made(a_set(tmp_path / "a", given))
    assert [picture.name for picture in pictures(section)] == ["topology-veth"]
    [note] = section.notes
    assert note.startswith("lost is not drawn: ")
    assert says in note
