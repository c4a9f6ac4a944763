"""What is wrong with a scenario file is said in one line: the file, the key, what was expected."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from files import text_of, three_hosts

from bench.errors import ScenarioError
from bench.scenario import load


@dataclass(frozen=True)
class Broken:
    """A valid file with `old` replaced by `new`, and what must be said of it, at which key."""

    claim: str
    base: str
    old: str
    new: str
    key: str
    says: tuple[str, ...]


CASES = (
    Broken(
        "an unknown key on top is named, with those that are allowed",
        *("veth", "rung = 1", "wrung = 1"),
        *("top level", ("wrung", "title, drawing, endpoints")),
    ),
    Broken(
        "an unknown key of a device is named, with those that are allowed",
        *("veth", 'mtu = "$mtu" }', 'mut = "$mtu" }'),
        *("hosts.client.devices.eth0", ("mut", "addresses, mtu")),
    ),
    Broken(
        "an unknown key of a route is named, with those that are allowed",
        *("host-gw", 'to = "default", via', 'to = "default", gw'),
        *("hosts.ctr-a.routes[0]", ("gw", "to, via, dev, onlink")),
    ),
    Broken(
        "an unknown key of a forwarder is named, with those that are allowed",
        *("tun-udp", 'listen = "192.0.2.1:1194"', 'bind = "192.0.2.1:1194"'),
        *("forwarders[0]", ("bind", "devices, listen, routes, switches")),
    ),
    Broken(
        "an unknown key of the endpoints is named, with those that are allowed",
        *("veth", 'server = "server:eth0"', 'target = "server:eth0"'),
        *("endpoints", ("server", "client, server")),
    ),
    Broken(
        "an unknown kind of device is answered with those there are",
        *("veth", 'eth0 = { kind = "veth"', 'eth0 = { kind = "vteh"'),
        *("hosts.client.devices.eth0.kind", ("vteh", "veth, bridge, tun, tap, ")),
    ),
    Broken(
        "a missing kind of device is answered with those there are",
        *("veth", 'kind = "veth", ', ""),
        *("hosts.client.devices.eth0", ("kind", "veth, bridge, tun, tap, ")),
    ),
    Broken(
        "a wrong type is named with the right one",
        *("veth", 'mtu = "$mtu" }', 'mtu = "big" }'),
        *("hosts.client.devices.eth0.mtu", ("int", "str")),
    ),
    Broken(
        "a number out of range is named with the limit",
        *("veth", "mtu = 1500", "mtu = 67"),
        *("hosts.client.devices.eth0.mtu", ("68",)),
    ),
    Broken(
        "true is no number",
        *("veth", "mtu = 1500", "mtu = true"),
        *("hosts.client.devices.eth0.mtu", ("int", "bool")),
    ),
    Broken(
        "an address that two devices have is said of both",
        *("veth", "10.1.1.3/24", "10.1.1.2/24"),
        *("hosts.server.devices.eth0.addresses", ("10.1.1.2", "client:eth0")),
    ),
    Broken(
        "a broadcast address is no host's",
        *("veth", "10.1.1.3/24", "10.1.1.255/24"),
        *("hosts.server.devices.eth0.addresses", ("10.1.1.255/24", "unicast")),
    ),
    Broken(
        "a multicast address is no host's",
        *("veth", "10.1.1.3/24", "224.0.0.5/24"),
        *("hosts.server.devices.eth0.addresses", ("224.0.0.5/24", "unicast")),
    ),
    Broken(
        "a loopback address is no host's",
        *("veth", "10.1.1.3/24", "127.0.0.3/8"),
        *("hosts.server.devices.eth0.addresses", ("127.0.0.3/8", "unicast")),
    ),
    Broken(
        "a reserved address is no host's",
        *("veth", "10.1.1.3/24", "240.0.0.1/24"),
        *("hosts.server.devices.eth0.addresses", ("240.0.0.1/24", "unicast")),
    ),
    Broken(
        "an address without its prefix length is refused",
        *("veth", "10.1.1.3/24", "10.1.1.3"),
        *("hosts.server.devices.eth0.addresses", ('"10.1.1.3"', "10.1.1.2/24")),
    ),
    Broken(
        "an address with a netmask is refused",
        *("veth", "10.1.1.3/24", "10.1.1.3/255.255.255.0"),
        *("hosts.server.devices.eth0.addresses", ("10.1.1.3/255.255.255.0", "10.1.1.2/24")),
    ),
    Broken(
        "a prefix that is written otherwise than usual is refused, with the usual way",
        *("host-gw", '"10.244.2.0/24"', '"10.244.2.0/255.255.255.0"'),
        *("hosts.host-a.routes[0].to", ('"10.244.2.0/24"',)),
    ),
    Broken(
        "a title of two lines is refused",
        *("veth", "by a veth pair", "by\\na veth pair"),
        *("title", ("one line",)),
    ),
    Broken(
        "a device name that a shell would take for something else is refused",
        *("three hosts", "eth1 =", '"$(id)" ='),
        *("hosts.router.devices.$(id)", ("letters, digits",)),
    ),
    Broken(
        "a server of another family than the client cannot be reached",
        *("veth", "10.1.1.3/24", "fd00::1/64"),
        *("endpoints.server", ("client has no route to fd00::1",)),
    ),
    Broken(
        "a link-local address is none that a scenario gives",
        *("flannel-udp6", "2001:db8::1/64", "fe80::1/64"),
        *("hosts.host-a.devices.eth0.addresses", ("fe80::1/64", "unicast")),
    ),
    Broken(
        "an IPv6 address with a zone is refused",
        *("flannel-udp6", "2001:db8::1/64", "2001:db8::1%eth0/64"),
        *("hosts.host-a.devices.eth0.addresses", ("2001:db8::1%eth0/64",)),
    ),
    Broken(
        "an MTU that is too small for IPv6 is refused",
        *("flannel-udp6", "mtu = 1452", "mtu = 1279"),
        *("hosts.ctr-a.devices.eth0.mtu", ("1280",)),
    ),
    Broken(
        "a gateway of another family is refused",
        *("three hosts", 'to = "default", via = "10.1.1.1"', 'to = "fd00::/64", via = "10.1.1.1"'),
        *("hosts.client.routes[0].via", ("10.1.1.1", "family")),
    ),
    Broken(
        "an IPv6 endpoint without brackets is answered with the form",
        *("flannel-udp6", '"[2001:db8::1]:8285"', '"2001:db8::1:8285"'),
        *("forwarders[0].listen", ("2001:db8::1:8285", "[address]:port")),
    ),
    Broken(
        "a host may not be called as the pumps are in a result set",
        *("veth", "[hosts.server.devices]", "[hosts.pumps.devices]"),
        *("hosts.pumps", ("another",)),
    ),
    Broken(
        "a switch that a file sets to nonsense is answered with what it may be",
        *("flannel-udp", "mtu = 1472", "mtu = 1472\nbatch = 65"),
        *("parameters.batch", ("whole number from 1 to 64",)),
    ),
    Broken(
        "a switch that is a word is answered with the words there are",
        *("flannel-udp", "mtu = 1472", 'mtu = 1472\nwait = "sometimes"'),
        *("parameters.wait", ("one of block, spin, busy",)),
    ),
    Broken(
        "true is no number of packets",
        *("flannel-udp", "mtu = 1472", "mtu = 1472\nbatch = true"),
        *("parameters.batch", ("whole number from 1 to 64",)),
    ),
    Broken(
        "a preset that is not there is answered with those there are",
        *("flannel-udp", "mtu = 1472", 'mtu = 1472\npump = "best"'),
        *("parameters.pump", ("none, flannel, fast",)),
    ),
    Broken(
        "a pump's own switch that is not there is answered with those there are",
        *("flannel-udp", "[[forwarders]]", "[[forwarders]]\nswitches = { speed = 11 }"),
        *("forwarders[0].switches.speed", ("no switch", "readiness, batch")),
    ),
    Broken(
        "a pump's own switch is checked like the scenario's",
        *("flannel-udp", "[[forwarders]]", "[[forwarders]]\nswitches = { batch = 0 }"),
        *("forwarders[0].switches.batch", ("whole number from 1 to 64",)),
    ),
    Broken(
        "a pump's switches are a table",
        *("flannel-udp", "[[forwarders]]", '[[forwarders]]\nswitches = "fast"'),
        *("forwarders[0].switches", ("table",)),
    ),
    Broken(
        "a switch on top is sent to its table",
        *("flannel-udp", "rung = 7", "batch = 16"),
        *("batch", ("[parameters]",)),
    ),
    Broken(
        "an endpoint on a host that is not there is answered with those there are",
        *("veth", 'server = "server:eth0"', 'server = "sever:eth0"'),
        *("endpoints.server", ("sever", "client, server")),
    ),
    Broken(
        "an endpoint that is no device is answered with those there are",
        *("veth", 'server = "server:eth0"', 'server = "server:eth1"'),
        *("endpoints.server", ("eth1", "it has eth0")),
    ),
    Broken(
        "a reference that is no host:device is answered with the form",
        *("veth", 'server = "server:eth0"', 'server = "server"'),
        *("endpoints.server", ('"server"', '"host:device"')),
    ),
    Broken(
        "a bridge port that is no device is answered with those there are",
        *("bridge", 'ports = ["veth1", "veth2"]', 'ports = ["veth1", "veth3"]'),
        *("hosts.host.devices.docker0.ports", ("veth3", "veth1, veth2")),
    ),
    Broken(
        "a peer that is no VXLAN device is refused",
        *("vxlan", 'peers = ["host-b:flannel.1"]', 'peers = ["host-b:eth0"]'),
        *("hosts.host-a.devices.flannel.1.peers", ("veth", "expected a vxlan")),
    ),
    Broken(
        "a link to a device that is not there is refused",
        *("veth", '["client:eth0", "server:eth0"]', '["client:eth0", "server:eth9"]'),
        *("links[0]", ("eth9", "it has eth0")),
    ),
    Broken(
        "a veth without its link is named",
        *("veth", 'links = [["client:eth0", "server:eth0"]]', ""),
        *("hosts.client.devices.eth0", ("client:eth0", "links")),
    ),
    Broken(
        "a tun that nobody holds is named",
        *("tun-relay", '[[forwarders]]\nkind = "pump"\n'
          'devices = ["client:tun0", "server:tun0"]\n', ""),
        *("hosts.client.devices.tun0", ("client:tun0", "forwarder")),
    ),
    Broken(
        "a pump's route to nobody is named",
        *("tun-udp", '"10.8.0.2/32" = "192.0.2.2:1194"', '"10.8.0.2/32" = "192.0.2.9:1194"'),
        *('forwarders[0].routes."10.8.0.2/32"', ("192.0.2.9:1194",)),
    ),
    Broken(
        "routes from nowhere are refused",
        *("flannel-udp", 'routes = "static"', 'routes = "consul"'),
        *("forwarders[0].routes_from", ('"consul"', '"static" or "etcd"')),
    ),
    Broken(
        "a parameter that is not declared is answered with those there are",
        *("veth", 'mtu = "$mtu" }', 'mtu = "$mru" }'),
        *("hosts.client.devices.eth0.mtu", ("$mru", "mtu")),
    ),
    Broken(
        "a common parameter on top is sent to its table",
        *("veth", "rung = 1", "streams = 4"),
        *("streams", ("[parameters]",)),
    ),
    Broken(
        "a router that does not forward is named, with the remedy",
        *("three hosts", "forwarding = true\n", ""),
        *("endpoints.server", ("router", "hosts.router.forwarding = true")),
    ),
    Broken(
        "a host without a route there is named",
        *("three hosts", 'routes = [{ to = "default", via = "10.1.1.1" }]', ""),
        *("endpoints.server", ("client has no route to 10.2.2.2",)),
    ),
    Broken(
        "a host without a route back is named",
        *("three hosts", 'routes = [{ to = "default", via = "10.2.2.1" }]', ""),
        *("endpoints.client", ("server has no route to 10.1.1.2",)),
    ),
    Broken(
        "a pump without a route to the destination is named",
        *("flannel-udp", '{ "10.244.1.0/24" =', '{ "10.244.9.0/24" ='),
        *("endpoints.client", ("host-b:flannel0", "no route to 10.244.1.2")),
    ),
    Broken(
        "a link that leads elsewhere is noticed",
        *("bridge", 'ports = ["veth1", "veth2"]', 'ports = ["veth1"]'),
        *("endpoints.server", ("ctr-1:eth0", "172.17.0.3")),
    ),
    Broken(
        "a gateway that cannot be reached directly is named",
        *("three hosts", 'via = "10.1.1.1"', 'via = "10.9.9.9"'),
        *("hosts.client.routes[0].via", ("10.9.9.9", "onlink")),
    ),
    Broken(
        "a sysctl that is not the namespace's is refused",
        *("three hosts", "forwarding = true", 'sysctls = { "kernel.panic" = 1 }'),
        *('hosts.router.sysctls."kernel.panic"', ("net.",)),
    ),
    Broken(
        "text that is no TOML is refused with the place",
        *("veth", "rung = 1", "rung ="),
        *("file", ("line 2",)),
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim.replace(" ", "_"))
def test_(case: Broken, tmp_path: Path) -> None:
    valid = three_hosts() if case.base == "three hosts" else text_of(case.base)
    assert case.old in valid
    file = tmp_path / "broken.toml"
    file.write_text(valid.replace(case.old, case.new, 1))
    with pytest.raises(ScenarioError) as caught:
        load(file)
    error = caught.value
    assert (error.source, error.key) == (str(file), case.key)
    assert [part for part in case.says if part not in error.problem] == [], error.problem
    assert str(error).splitlines() == [f"{file}: {case.key}: {error.problem}"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "hosts"),
        (b"\xff\xfe", "UTF-8"),
        (b"title = " + b"9" * 5000, "TOML"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a." * 5000 + b"b = 1", "nested too deeply"),
        ("hosts = {ж = 1}".encode(), "TOML"),
    ],
    ids=["empty", "not UTF-8", "a huge number", "deep nesting", "a deep key", "unicode key"],
)
def test_a_file_that_is_no_scenario_at_all_is_refused(
    content: bytes, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ScenarioError, match=says) as caught:
            load(path)
        assert caught.value.source == str(path)
