"""Every topology can be drawn: nothing overlaps, nothing is outside, and all of it is there."""

import re
from pathlib import Path

import pytest
from chains import Chain, chains, text_of
from drawn import faults, overlap, text_boxes
from files import NAMES, PEERS, STRESS, load_text, shipped, star
from hypothesis import HealthCheck, given, settings
from mutations import mutated
from program import vnetbench
from screens import complaint

from bench.drawing.layout import shapes_of
from bench.drawing.picture import picture_of
from bench.drawing.plan import plan_of
from bench.drawing.shapes import Box
from bench.drawing.way import way_of
from bench.errors import UsageError
from bench.report import theme
from bench.scenario import find, load, variants

ALL = (*NAMES, *PEERS)


def fuzzing(examples: int) -> settings:
    return settings(
        max_examples=examples * STRESS,
        deadline=None,  # the machine may be busy with other things
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
        ],
    )


# ---- nothing overlaps ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_every_shipped_scenario_is_drawn_without_a_fault(name: str) -> None:
    assert faults(plan_of(shipped(name).scenario)) == []


@pytest.mark.parametrize("name", ["veth", "flannel-udp", "xfrm-tunnel"])
@pytest.mark.parametrize("hops", [1, 16])
def test_many_hosts_are_drawn_without_a_fault(name: str, hops: int) -> None:
    [variant] = variants(find([name]), [f"hops={hops}"])
    plan = plan_of(variant.scenario)
    assert faults(plan) == []
    assert len(plan.frames) >= hops
    assert shapes_of(plan).width < 11, "it goes on below instead"


def test_a_host_with_a_hundred_devices_shows_some_and_says_how_many_more(tmp_path: Path) -> None:
    plan = plan_of(load_text(star(100), tmp_path).scenario)
    assert faults(plan) == []
    shapes = shapes_of(plan)
    assert shapes.height < 7, "a line with nothing of the way is not as high as others"
    shown = [label.text for label in shapes.labels]
    assert "and 96 more" in shown
    assert "and 96 more hosts" in shown


@pytest.mark.parametrize("parameter", ["routes=etcd", "pump=fast"])
def test_what_a_parameter_adds_is_drawn_beside(parameter: str) -> None:
    [variant] = variants(find(["flannel-udp"]), [parameter])
    plan = plan_of(variant.scenario)
    assert faults(plan) == []
    assert [frame.title for frame in plan.beside] == (["etcd"] if "etcd" in parameter else [])


@fuzzing(30)
@given(chain=chains())
def test_any_chain_is_drawn_without_a_fault(chain: Chain, tmp_path: Path) -> None:
    assert faults(plan_of(load_text(text_of(chain), tmp_path).scenario)) == []


@fuzzing(150)
@given(content=mutated())
def test_any_file_that_loads_is_drawn_without_a_fault(content: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content)
    try:
        scenario = load(file).scenario
    except UsageError:
        return
    assert faults(plan_of(scenario)) == []


def test_a_fault_would_be_found() -> None:
    """The check itself: two boxes that meet do, and two that touch do not."""
    box = Box(0, 0, 1, 1, "")
    assert overlap(box, Box(0.9, 0.9, 1, 1, ""))
    assert not overlap(box, Box(1, 0, 1, 1, ""))


# ---- all of it is there -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_has_every_stop_and_every_crossing(name: str) -> None:
    scenario = shipped(name).scenario
    way = way_of(scenario)
    shapes = shapes_of(plan_of(scenario))
    texts = [label.text for label in shapes.labels]
    for ref in way.devices:
        assert texts.count(ref.device) >= 1
        for address in scenario.device(ref).addresses:
            assert address in texts
    for host in scenario.hosts:
        assert any(text.startswith(host) for text in texts)
    drawn = [mark.number for mark in shapes.marks]
    assert sorted(drawn) == sorted([c.number for c in way.crossings] * 2), "once it is explained"
    assert len([box for box in shapes.boxes if box.role == "device"]) == len(way.devices)


@pytest.mark.parametrize("name", ALL)
def test_marks_stand_between_user_space_and_the_kernel(name: str) -> None:
    shapes = shapes_of(plan_of(shipped(name).scenario))
    lines = {box.bottom for box in shapes.boxes if box.role in ("user", "between")}
    count = len(shapes.marks) // 2
    for mark in shapes.marks[:count]:
        assert any(mark.y == pytest.approx(y) for y in lines)
        on_the_way = [
            piece
            for line in shapes.lines
            for piece in zip(line.points, line.points[1:], strict=False)
        ]
        assert any(
            x == pytest.approx(mark.x) == to_x and min(y, to_y) <= mark.y <= max(y, to_y)
            for (x, y), (to_x, to_y) in on_the_way
        )


def test_processes_are_above_the_line_and_all_else_below() -> None:
    for name in ALL:
        shapes = shapes_of(plan_of(shipped(name).scenario))
        users = [box for box in shapes.boxes if box.role in ("user", "between")]
        kernels = [box for box in shapes.boxes if box.role == "kernel"]
        for box in shapes.boxes:
            if box.role == "process":
                assert any(overlap(box, band) for band in users)
            if box.role in ("ip", "device", "join"):
                assert any(overlap(box, band) for band in kernels)
                assert not any(overlap(box, band) for band in users)


def test_the_same_scenario_gives_the_same_bytes() -> None:
    scenario = shipped("flannel-udp").scenario
    one, other = (theme.svg(picture_of("flannel-udp", scenario), themed=True) for _ in range(2))
    assert one == other


def test_a_themed_drawing_leaves_all_colours_to_the_page() -> None:
    picture = picture_of("flannel-udp", shipped("flannel-udp").scenario)
    assert not re.search(r"#[0-9a-f]{6}\b", theme.svg(picture, themed=True))


def test_it_is_told_in_words_as_well() -> None:
    picture = picture_of("flannel-udp", shipped("flannel-udp").scenario)
    assert (
        "By a veth pair, on host-a: veth0 (veth), docker0 (bridge, 1 port, 10.244.1.1/24)"
        in picture.text
    )
    assert (
        "6 crossings of the line between user and kernel space: 1 the client sends" in picture.text
    )
    svg = theme.svg(picture, themed=True)
    assert 'role="img"' in svg
    assert "<desc" in svg
    for text in ("flannel0", "10.244.1.2/24", "user space", "kernel", "UDP 8285"):
        assert f">{text}</text>" in svg, text


def test_texts_are_measured_as_they_are_drawn() -> None:
    """What is said to be the width of a text is never less than what matplotlib needs."""
    shapes = shapes_of(plan_of(shipped("flannel-udp6").scenario))
    drawn = dict(text_boxes(shapes))
    from bench.drawing.shapes import width_of  # noqa: PLC0415

    for label in shapes.labels:
        assert drawn[label.text].width <= width_of(label.text, label.bold) + 0.01


# ---- show --drawing -----------------------------------------------------------------------------


def test_show_draws_to_a_file(tmp_path: Path) -> None:
    svg, png = tmp_path / "a.svg", tmp_path / "a.png"
    assert vnetbench("show", "flannel-udp", "--drawing", svg).stdout == ""
    text = svg.read_text()
    assert text.startswith("<?xml")
    assert ">flannel0</text>" in text
    assert "var(" not in text
    vnetbench("show", "veth", "-p", "hops=2", "--drawing", png)
    assert png.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--drawing", "a.pdf"], "a.pdf: a drawing is an .svg or a .png file; expected one of"),
        (["--drawing", "nowhere/a.svg"], "nowhere/a.svg: cannot be written: there is no folder"),
        (
            ["--drawing", "a.svg", "--commands"],
            "takes nothing but --force, -p; leave out --commands",
        ),
    ],
)
def test_a_drawing_that_cannot_be_is_refused_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in complaint("show", "veth", *arguments)
    assert list(tmp_path.iterdir()) == []
