"""Somebody who is not root can do everything, given user namespaces and /dev/net/tun."""

import json

import pytest
from nobody import NOBODY, as_nobody, as_nobody_confined, require_ordinary_user

pytestmark = pytest.mark.usefixtures("tuns")

MEASURE = """
from bench.forwarders import forwarding
from bench.probes import PROBES, prove
from bench.scenario import load, shipped_scenarios
from bench.topology import build, enter_user_namespace_if_needed

enter_user_namespace_if_needed()
with build(load(shipped_scenarios()["flannel-udp"]).scenario) as topology, forwarding(topology):
    path = prove(topology, "flannel-udp")
    settings = {"processes": 1, "values": 1, "warmups": 1, "seconds": 0.01}
    print(PROBES["rtt"].measure(path, settings).samples["rtt"])
"""
SING = """
from bench.quality import canary
from bench.quality.watch import watching
from bench.topology import enter_user_namespace_if_needed

enter_user_namespace_if_needed()
with watching() as watch:
    song = canary.sing()
print(*sorted(song), *(n for n in ("other_load", "interrupts") if watch.figures[n] is not None))
"""


@pytest.fixture(scope="module", autouse=True)
def user_namespaces() -> None:
    """Skip where an ordinary user may not make user namespaces."""
    require_ordinary_user()


def test_the_user_of_these_tests_has_no_rights() -> None:
    done = as_nobody("-c", "import os; print(os.getuid()); os.listdir('/proc/1/fd')")
    assert done.stdout == f"{NOBODY}\n"
    assert "PermissionError" in done.stderr


def test_scenarios_with_and_without_tun_devices_carry_packets() -> None:
    done = as_nobody("-m", "bench", "list", "veth", "flannel-udp", "tap-bridge")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.rstrip().endswith("yes")]
    assert [row.split()[0] for row in rows] == ["veth", "flannel-udp", "tap-bridge"], done.stdout


def test_a_path_can_be_measured() -> None:
    done = as_nobody("-c", MEASURE)
    assert done.returncode == 0, done.stderr
    assert 1e-6 < float(done.stdout.strip("[]\n")) < 0.1


def test_a_run_is_watched_and_its_canary_has_all_parts() -> None:
    done = as_nobody("-c", SING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["loopback", "memcpy", "system_call", "other_load", "interrupts"]


def test_a_ledger_holds_what_the_pump_and_proc_know_and_says_why_not_more() -> None:
    done = as_nobody("-m", "bench", "ledger", "flannel-udp", "--packets", "500", "--json")
    assert done.returncode == 0, done.stderr
    [ledger] = json.loads(done.stdout)["ledgers"]
    for item, predicted in ledger["predicted"].items():
        assert ledger["per_packet"][item] == pytest.approx(predicted, rel=0.02), item
    assert ledger["unobserved"].keys() == {"trace"}
    assert set(ledger["reasons"]) == {"wakeups", "segments_per_skb", "drops"}
    assert ledger["sound"]


def test_where_the_tun_device_is_closed_the_rest_still_works_and_the_reason_is_given() -> None:
    done = as_nobody("-m", "bench", "list", "veth", "tun-relay", tun_mode="600")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "yes" in text
    assert "no: client: cannot" in text
    assert "Permission denied" in text


def test_where_user_namespaces_are_off_the_message_says_what_to_do() -> None:
    done = as_nobody_confined("-m", "bench", "list", "veth")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "cannot create network namespaces as an ordinary user" in done.stderr
    assert "user.max_user_namespaces" in done.stderr
