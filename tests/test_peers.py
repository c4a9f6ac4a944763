"""The comparison with programs of others: equal conditions, and a table that says who is ahead."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from sets import a_run, measurement

from bench import peers
from bench.cli import cli
from bench.errors import UsageError
from bench.results import PlannedTrial, ResultSet, ResultWriter, VariantRecord, load
from bench.scenario import find, variants

VALUES = {"tcp_goodput": 1e9, "rtt": 50e-6}
OURS, FAST, OTHER, SECRET = "tun-udp[pump=none]", "tun-udp[pump=fast]", "socat", "openvpn"
FACTORS = {
    OURS: {"tcp_goodput": 1.0, "rtt": 1.0},
    FAST: {"tcp_goodput": 5.0, "rtt": 0.8},
    OTHER: {"tcp_goodput": 0.5, "rtt": 0.4},
    SECRET: {"tcp_goodput": 9.0, "rtt": 0.1},
}


def a_set(folder: Path) -> ResultSet:
    """A comparison in which the program is slower by goodput and faster by round trips."""
    run = a_run(variants=tuple(FACTORS), arms=("native",))
    records = {
        name: VariantRecord(
            scenario=name,
            parameters={"pump": "none"} if name in (OURS, FAST) else {},
            sha256="ab" * 32,
            facts={"native": {"pumps": {"p": {"cipher": "aes" if name == SECRET else "none"}}}},
        )
        for name in FACTORS
    }
    asked = replace(run.asked, scenarios=("tun-udp",), profile=peers.PROFILE)

    def values(trial: PlannedTrial) -> list[float]:
        return [
            VALUES[trial.probe] * FACTORS[trial.variant][trial.probe] * (1 + 0.01 * trial.block)
        ]

    with ResultWriter.create(folder, replace(run, asked=asked, variants=records)) as writer:
        for trial in run.plan:
            writer.record(trial, measurement(trial, values(trial)))
        writer.finish("complete")
    return load(folder)


def test_everybody_has_the_hosts_devices_and_mtus_of_the_pump() -> None:
    chosen = peers.taking_part("tun-udp", ["mtu=1300"])
    assert "socat[mtu=1300]" in chosen
    assert sum("pump" in variant.parameters for variant in chosen.values()) == len(peers.PRESETS)
    assert {v.scenario.hosts["client"].devices["tun0"].mtu for v in chosen.values()} == {1300}


def test_a_program_on_other_devices_takes_no_part() -> None:
    assert not any(
        variant.base == "flannel-udp" for variant in peers.taking_part("tun-udp").values()
    )
    assert "socat" not in peers.taking_part("tun-udp", ["mtu=1300"])


def test_an_underlay_with_room_for_encryption_is_the_only_other_mtu() -> None:
    assert {"wireguard-go", "fastd[cipher=salsa2012]"} <= peers.taking_part("tun-udp").keys()
    small = peers.taking_part("tun-udp", ["underlay_mtu=1480"])
    assert "wireguard-go[underlay_mtu=1480]" in small
    alone = variants(find(["tun-udp"]), ["mtu=1400"])[0].scenario
    for name in ("wireguard-go", "socat"):
        other = variants(find([name]), ["mtu=1401"])[0].scenario
        assert not peers._is_same(other, alone)


@pytest.mark.parametrize(("name", "said"), [("veth", "has no pump"), ("nowhere", "no scenario")])
def test_a_topology_with_nothing_to_compare_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        peers.taking_part(name)


def test_ratios_are_to_the_best_pump_of_each_column_and_above_one_is_better(tmp_path: Path) -> None:
    rows = {row.name: row for row in peers.rows(a_set(tmp_path / "set"))}
    goodput, rtt, *rest = rows[OTHER].entries
    assert goodput.ratio == pytest.approx(0.1)
    assert rtt.ratio == pytest.approx(2.0)
    assert rtt.apart
    assert all(entry.ratio is None for entry in rest)
    assert rows[FAST].entries[0].ratio == 1.0


def test_who_is_ahead_is_said_of_the_unencrypted_alone(tmp_path: Path) -> None:
    assert list(peers.ahead(peers.rows(a_set(tmp_path / "set")))) == [
        "socat: RTT 2.00 times as good"
    ]


def test_the_table_names_ciphers_and_what_is_ahead(tmp_path: Path) -> None:
    a_set(tmp_path / "set")
    done = CliRunner().invoke(cli, ["peers", "--from", str(tmp_path / "set")])
    assert done.exit_code == 0
    assert "Ahead of our pump, without encryption:\n  socat: RTT 2.00" in done.output
    [line] = [line for line in done.output.splitlines() if line.startswith(SECRET)]
    assert line.split()[1] == "aes"
