"""What the section on delays says of round-trip times, which have no load."""

from pathlib import Path

import pytest
from reporting import crowded, made, pictures_of, sources, texts_in
from sets import a_run, noisy, write_set

from bench.report.sections import delays as section_of
from bench.units import format_value


def test_round_trips_are_shown_as_they_lie_and_called_a_closed_loop(tmp_path: Path) -> None:
    section = made(section_of.make(sources([write_set(tmp_path / "a", a_run(blocks=6), noisy(1))])))
    assert [p.name for p in pictures_of(section)] == ["round-trips-native", "round-trips-parity"]
    assert all("closed loop" in picture.title for picture in pictures_of(section))
    assert any("closed loop" in note for note in section.notes)
    for picture in pictures_of(section):
        assert {"veth", "vxlan", "0 %", "100 %"} <= set(texts_in(picture))
        assert crowded(picture) == []
        assert "half of 18 values" in picture.text


def test_round_trips_of_many_paths_are_rows(tmp_path: Path) -> None:
    names = tuple(f"path-{n}" for n in range(30))
    run = a_run(names, ("native",), ("rtt",), blocks=2)
    results = write_set(tmp_path / "a", run, lambda _: [1e-5, 2e-5, 3e-5])
    (picture,) = pictures_of(made(section_of.make(sources([results]))))
    assert [text for text in texts_in(picture) if text.startswith("path-")] == list(names)
    assert texts_in(picture).count("20.0 µs") >= 30


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 100])
def test_half_of_the_round_trips_take_no_longer_than_is_said(tmp_path: Path, count: int) -> None:
    run = a_run(("veth",), ("native",), ("rtt",), blocks=1)
    values = [n * 1e-6 for n in range(1, count + 1)]
    results = write_set(tmp_path / "a", run, lambda _: values)
    (picture,) = pictures_of(made(section_of.make(sources([results]))))
    middle = format_value(values[(count + 1) // 2 - 1], "s")
    assert f"half of {count} values up to {middle}." in picture.text
