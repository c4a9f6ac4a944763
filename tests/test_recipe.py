"""The commands that `show --commands` prints work when they are typed in order."""

import subprocess
from pathlib import Path

import pytest
from beside import installed
from capabilities import require_program, require_tun
from files import NAMES, PEERS, load_text, shipped, three_hosts
from guests import has_guests
from live import ECHO

from bench.recipe import shell_commands
from bench.scenario import Variant, find, parse_ref, server_address, variants
from bench.topology import Arm

pytestmark = pytest.mark.usefixtures("namespaces")

ROOM = ("unshare", "--mount", "--net", "--propagation=private")
"""Where the machine's own links and /run/netns are out of reach."""

PROLOGUE = """
set -e
mount -t tmpfs none /run
"""
TRY = """
end=$((SECONDS + 50))   # a pump needs a moment; fastd sends a lost handshake again after 20 s
until {echo} 1 56 0.2; do test $SECONDS -lt $end; done
{echo} 3 {size} 3
"""
TRY_PROXIED = """
end=$((SECONDS + 10))
{serve} &
until {connect}; do test $SECONDS -lt $end; sleep 0.1; done
"""


def typed(variant: Variant, arm: Arm = Arm.NATIVE) -> None:
    """Give a shell the commands, then those that try and undo what they did; all must succeed."""
    *lines, try_it, undo_it = shell_commands(variant, arm)
    client = parse_ref(variant.scenario.endpoints.client)
    address = server_address(variant.scenario)
    if variant.scenario.proxied:
        require_program("iperf3")
        serve, connect = try_it.removeprefix("# try it:  ").split(" & ")
        attempt = TRY_PROXIED.format(serve=serve, connect=connect)
    else:
        assert try_it == f"# try it:  ip netns exec {client.host} ping -c 3 {address}"
        echo = f"ip netns exec {client.host} {' '.join(ECHO)} {address}"
        size = variant.scenario.device(client).mtu - (28 if address.version == 4 else 48)
        attempt = TRY.format(echo=echo, size=size)
    script = [
        *(PROLOGUE, *lines, attempt),
        *(undo_it.removeprefix("# undo it: "), "wait", 'test -z "$(ip netns list)"'),
    ]
    done = subprocess.run(
        (*ROOM, "bash"),
        input="\n".join(script),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


BESIDE = (
    *(name for name in PEERS if not has_guests(name)),
    *("openvpn[cipher=aes-256-gcm]", "ipvlan[mode=l3]"),
)
BY_HAND = [*NAMES, *(pytest.param(name, marks=pytest.mark.peers) for name in BESIDE)]
"""Of guests, test_guests.py types the commands: nothing can be typed at their ends."""


@pytest.mark.parametrize("name", BY_HAND)
def test_the_commands_build_a_scenario_that_carries_packets(name: str) -> None:
    base, _, parameter = name.removesuffix("]").partition("[")
    [variant] = variants(find([base]), [parameter] if parameter else [])
    require_program("bash")
    if variant.scenario.forwarders:
        require_tun()
    installed(base)
    typed(variant)


@pytest.mark.peers
def test_they_do_so_where_routes_are_in_etcd() -> None:
    require_tun()
    require_program("etcd")
    require_program("etcdctl")
    [variant] = variants(find(["flannel-udp"]), ["routes=etcd"])
    typed(variant)


def test_they_do_so_in_the_parity_arm() -> None:
    require_program("ethtool")
    typed(shipped("vxlan"), Arm.PARITY)


def test_they_do_so_for_a_scenario_of_ones_own(tmp_path: Path) -> None:
    text = three_hosts().replace(
        "forwarding = true",
        'forwarding = true\nsysctls = { "net.ipv4.tcp_rmem" = "4096 65536 1000000" }',
    )
    typed(load_text(text, tmp_path))


def test_one_of_them_that_fails_would_be_noticed() -> None:
    variant = shipped("veth")
    variant.scenario.hosts["client"].devices["eth0"].addresses.append("10.1.1.2/24")
    with pytest.raises(AssertionError, match=r"already assigned|File exists"):
        typed(variant)
