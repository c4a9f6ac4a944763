"""Reading for a history: the quick reader says what the careful one says, and refuses the same."""

import shutil
from pathlib import Path

import msgspec
import pytest
from histories import at, history, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sets import a_run, carry_out, noisy, write_set

from bench.errors import UsageError
from bench.results import PlannedTrial, ResultWriter, load
from bench.results.model import Purpose
from bench.selftest.design import calibration, main_run, path_of
from bench.trend.gather import gather
from bench.trend.read import Reader, _thoroughly

many = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def quickly(path: Path) -> object:
    """What the quick reader says, without help."""
    return Reader()._quickly(path)


def test_both_readers_say_the_same_of_what_a_run_wrote(tmp_path: Path) -> None:
    names = ("veth", "tun[mtu=1400,streams=8]", 'a "name"')
    found = {"rtt": {"base_rate": 1e5, "realtime": 1.0}}
    run = a_run(variants=names, blocks=3, conditions=found)
    written = write_set(tmp_path / "a", run, noisy(1))
    session = _thoroughly(tmp_path / "a")
    assert quickly(tmp_path / "a") == session
    assert len(session.values) == 3 * 2 * 2
    assert session.conditions["veth"]["parity"] == found
    assert session.started == written.run.started


def test_made_up_histories_are_as_a_run_writes_them(tmp_path: Path) -> None:
    run = a_run(blocks=2)
    wanted = write_set(tmp_path / "a", run, noisy(1))
    found = load(put(tmp_path / "b", run, noisy(1)))
    assert found.samples == wanted.samples
    assert found.run.plan == wanted.run.plan
    assert found.finished


def test_of_an_interrupted_set_the_whole_blocks_count(tmp_path: Path) -> None:
    def ten_times_slower_in_the_last_block(trial: PlannedTrial) -> list[float]:
        return [10.0 if trial.block == 3 else 1.0]

    with ResultWriter.create(tmp_path / "a", a_run(blocks=3)) as writer:
        carry_out(writer, ten_times_slower_in_the_last_block, 8 * 2 + 3)
        writer.finish("interrupted")
    session = _thoroughly(tmp_path / "a")
    assert quickly(tmp_path / "a") == session
    assert {value.median for value in session.values.values()} == {1.0}


def test_raw_values_count_and_not_a_summary_that_is_out_of_date(tmp_path: Path) -> None:
    write_set(tmp_path / "a", a_run(blocks=1), lambda trial: [2.0])
    file = tmp_path / "a/samples.csv"
    file.write_text(file.read_text().replace(",2.0\n", ",3.0\n"))
    [session], _ = gather([tmp_path])
    assert {value.median for value in session.values.values()} == {3.0}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("samples.csv", lambda text: text[:-5]),
        ("samples.csv", lambda text: text.replace("metric", "metrics", 1)),
        ("samples.csv", lambda text: text.replace(",1,2,", ",1,two,", 1)),
        ("samples.csv", lambda text: text.replace(",1,2,", ",1,2,x", 1)),
        ("samples.csv", lambda text: text.replace(",1,2,", ",1,99,", 1)),
        ("samples.csv", lambda text: text.replace("rtt,s", "rtt,ms", 1)),
        ("samples.csv", lambda text: text.replace("veth", '"veth', 1)),
        ("samples.csv", lambda text: text.rpartition(",")[0] + ",1e999\n"),
        ("samples.csv", lambda text: text.replace("veth", "\udcff", 1)),
        ("run.json", lambda text: "{"),
        ("run.json", lambda text: text.replace('"format": 1', '"format": 2')),
        ("run.json", lambda text: text.replace('"vnetbench"', '"flent"')),
        ("run.json", lambda text: text.replace('"complete"', '"running"')),
        ("run.json", lambda text: text.replace('"parameters": {}', '"parameters": 1')),
    ],
)
def test_a_set_that_is_damaged_or_foreign_is_left_out_with_one_line(
    tmp_path: Path, name: str, change: object
) -> None:
    history(tmp_path, 3)
    file = tmp_path / "001" / name
    file.write_text(change(file.read_text()), errors="surrogateescape")  # type: ignore[operator]
    sessions, [line] = gather([tmp_path])
    assert [session.path.name for session in sessions] == ["000", "002"]
    assert line.startswith(str(tmp_path / "001"))
    assert "\n" not in line


@many
@given(st.data())
def test_damage_anywhere_is_refused_or_read_as_the_careful_reader_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = put(
        tmp_path_factory.mktemp("damage") / "a", a_run(blocks=1, variants=("veth",)), noisy(1)
    )
    file = folder / data.draw(st.sampled_from(["run.json", "samples.csv"]))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4)
        )
    file.write_bytes(content)
    try:
        wanted = _thoroughly(folder)
    except UsageError:
        wanted = None
    # Anything else that is raised fails the test.
    try:
        found = Reader().read(folder)
    except UsageError:
        assert wanted is None
    else:
        assert wanted in (None, found)


def test_sets_are_found_some_levels_down_and_put_in_order(tmp_path: Path) -> None:
    for number, name in ((2, "a"), (0, "nightly/b"), (1, "nightly/2026/c")):
        put(tmp_path / name, a_run(blocks=1, started=at(number)), noisy(number))
    (tmp_path / "nightly/empty").mkdir()
    (tmp_path / "notes.txt").write_text("no set")
    sessions, left_out = gather([tmp_path / "a", tmp_path])
    assert [session.path.name for session in sessions] == ["b", "c", "a"]
    assert left_out == []


@pytest.mark.parametrize("purpose", ["second look", "calibration"])
def test_sets_that_served_another_one_are_left_out_whatever_their_names(
    tmp_path: Path, purpose: Purpose
) -> None:
    history(tmp_path, 2)
    write_set(tmp_path / "001-again", a_run(), noisy(1))
    helper = write_set(tmp_path / "003", a_run(purpose=purpose), noisy(1)).path
    sessions, left_out = gather([tmp_path])
    assert {session.path.name for session in sessions} == {"000", "001", "001-again"}
    assert left_out == [f"{helper}: is no session of its own but a {purpose}"]
    for read in (quickly, _thoroughly):
        with pytest.raises(UsageError, match=f"but a {purpose}"):
            read(helper)


def test_a_self_test_marks_its_calibration_and_nothing_else() -> None:
    path = path_of("tun-relay")
    assert calibration(path, ["rtt"], 1)[0].purpose == "calibration"
    assert main_run(path, {"rtt": 9}, 60.0, 1)[0].purpose == "session"


def test_a_set_from_before_sets_had_a_purpose_is_a_session(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", a_run(blocks=1), noisy(1))
    file = folder / "run.json"
    record = msgspec.json.decode(file.read_bytes())
    assert record.pop("purpose") == "session"
    file.write_bytes(msgspec.json.encode(record))
    assert load(folder).run.purpose == "session"
    [session], left_out = gather([folder])
    assert (session, left_out) == (_thoroughly(folder), [])


def test_unfinished_sets_and_copies_are_left_out(tmp_path: Path) -> None:
    history(tmp_path, 2)
    with ResultWriter.create(tmp_path / "killed", a_run()) as writer:
        carry_out(writer, noisy(1), 5)
    shutil.copytree(tmp_path / "000", tmp_path / "copy")
    sessions, left_out = gather([tmp_path])
    assert len(sessions) == 2
    assert left_out == [
        f"{tmp_path}/copy: is the run that is also in {tmp_path}/000",
        f"{tmp_path}/killed.partial: its run has not finished",
    ]


def test_where_there_is_no_set_it_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: is not a folder"):
        gather([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match=r"no finished result set there; run\.json makes"):
        gather([tmp_path])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"no finished result set there; .*not readable JSON"):
        gather([tmp_path])


def test_keys_of_later_versions_are_no_trouble(tmp_path: Path) -> None:
    path = put(tmp_path / "a", a_run(blocks=1), noisy(1))
    document = msgspec.json.decode((path / "run.json").read_bytes())
    document["later"] = document["asked"]["later"] = document["plan"][0]["later"] = [1, {}]
    (path / "run.json").write_bytes(msgspec.json.encode(document))
    assert quickly(path) == _thoroughly(path)
