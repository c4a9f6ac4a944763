"""Scenario files of any shape that works: hosts in a row, tunnels in tunnels, and more beside."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

TUNNELS = ("vxlan", "geneve", "ipip", "wireguard", "pump", "tinc")
"""Kinds of tunnel, two of which are processes with a tun."""


@dataclass(frozen=True)
class Chain:
    """What such a file consists of.

    hosts: names, in the order of the way; each has links to the next. links: kind of each link.
    bridged: hosts that have a bridge where the link from before ends. ends: between which hosts the
    tunnels are, and the endpoints if there are any. tunnels: from the outermost to the innermost.
    more: addresses that each device of a link has besides. beside: names of hosts that the way does
    not come by, each with a link to a host of the chain, by number.
    """

    hosts: tuple[str, ...]
    links: tuple[str, ...]
    bridged: frozenset[int] = frozenset()
    ends: tuple[int, int] = (0, -1)
    tunnels: tuple[str, ...] = ()
    more: int = 0
    beside: tuple[tuple[str, int], ...] = ()
    devices: Callable[[str], str] = field(default=lambda name: name)


def text_of(chain: Chain) -> str:
    """The file."""
    tables: dict[str, dict[str, str]] = {name: {} for name in chain.hosts}
    links = []
    for i, kind in enumerate(chain.links):
        near, far = chain.hosts[i], chain.hosts[i + 1]
        right, left = chain.devices("r"), chain.devices("l")
        tables[near][right] = _link(kind, i, 1, chain.more)
        if i + 1 in chain.bridged and kind == "veth":
            tables[far][left] = '{ kind = "veth" }'
            addresses = json.dumps(_addresses(i, 2, chain.more))
            ports = json.dumps([left])
            tables[far]["br"] = f'{{ kind = "bridge", ports = {ports}, addresses = {addresses} }}'
        else:
            tables[far][left] = _link(kind, i, 2, chain.more)
        links.append([f"{near}:{right}", f"{far}:{left}"])
    forwarders: list[str] = []
    a, b = chain.ends[0], chain.ends[1] % len(chain.hosts)
    client = f"{chain.hosts[0]}:{chain.devices('r')}"
    last = len(chain.hosts) - 1
    server = f"{chain.hosts[-1]}:{'br' if _has_bridge(chain, last) else chain.devices('l')}"
    outer = (f"10.{a}.0.1", f"10.{b - 1}.0.2")
    for depth, kind in enumerate(chain.tunnels):
        inner = (f"172.16.{depth}.1", f"172.16.{depth}.2")
        names = [f"{chain.hosts[a]}:t{depth}", f"{chain.hosts[b]}:t{depth}"]
        for end, host in enumerate((chain.hosts[a], chain.hosts[b])):
            device, forwarder = _tunnel(kind, depth, end, inner, outer, names)
            tables[host][f"t{depth}"] = device
            forwarders += [forwarder] if forwarder else []
        client, server, outer = names[0], names[1], inner
    for number, (name, at) in enumerate(chain.beside):
        tables[name] = {"eth0": '{ kind = "veth" }'}
        tables[chain.hosts[at]][f"x{number}"] = '{ kind = "veth" }'
        links.append([f"{name}:eth0", f"{chain.hosts[at]}:x{number}"])
    return _written(chain, tables, links, (client, server), forwarders)


def _written(
    chain: Chain,
    tables: dict[str, dict[str, str]],
    links: Sequence[Sequence[str]],
    ends: tuple[str, str],
    forwarders: Sequence[str],
) -> str:
    lines = [
        'title = "a chain"',
        'drawing = "a --- b"',
        f"links = {json.dumps(links)}",
        f"endpoints = {{ client = {json.dumps(ends[0])}, server = {json.dumps(ends[1])} }}",
    ]
    for name, devices in tables.items():
        key = json.dumps(name)
        number = chain.hosts.index(name) if name in chain.hosts else None
        routes = [] if number is None else _routes(number, len(chain.hosts))
        lines += [f"[hosts.{key}]", f"forwarding = {'false' if number is None else 'true'}"]
        lines.append(f"routes = [{', '.join(routes)}]")
        lines.append(f"[hosts.{key}.devices]")
        lines += [f"{json.dumps(device)} = {table}" for device, table in devices.items()]
    return "\n".join([*lines, *forwarders]) + "\n"


def _has_bridge(chain: Chain, number: int) -> bool:
    return number in chain.bridged and chain.links[number - 1] == "veth"


def _addresses(link: int, end: int, more: int) -> list[str]:
    others = [f"10.{100 + n}.{link}.{end}/24" for n in range(more)]
    return [f"10.{link}.0.{end}/24", *others]


def _link(kind: str, link: int, end: int, more: int) -> str:
    return f'{{ kind = "{kind}", addresses = {json.dumps(_addresses(link, end, more))} }}'


def _routes(number: int, hosts: int) -> list[str]:
    """To every link that is not the host's own."""
    ahead = [
        f'{{ to = "10.{i}.0.0/24", via = "10.{number}.0.2" }}' for i in range(number + 1, hosts - 1)
    ]
    behind = [f'{{ to = "10.{i}.0.0/24", via = "10.{number - 1}.0.1" }}' for i in range(number - 1)]
    return [*ahead, *behind]


def _tunnel(
    kind: str,
    depth: int,
    end: int,
    inner: Sequence[str],
    outer: Sequence[str],
    names: Sequence[str],
) -> tuple[str, str]:
    """The table of one end's device, and that of its process if it has one."""
    address, local, peer = f'"{inner[end]}/24"', outer[end], names[1 - end]
    common = f"addresses = [{address}], mtu = {1400 - 60 * depth}"
    port = 5000 + depth
    if kind in ("pump", "tinc"):
        program = f'program = "{kind}"\n' if kind != "pump" else ""
        forwarder = (
            f'[[forwarders]]\nkind = "{"program" if program else "pump"}"\n{program}'
            f'devices = ["{names[end]}"]\nlisten = "{local}:{port}"\n'
            f'routes = {{ "{inner[1 - end]}/32" = "{outer[1 - end]}:{port}" }}'
        )
        return f'{{ kind = "tun", {common} }}', forwarder
    own = f'local = "{local}"'
    if kind == "wireguard":
        own += f', port = {port}, routes = {{ "{inner[1 - end]}/32" = "{peer}" }}'
    else:
        own += f', peers = ["{peer}"]'
    if kind in ("vxlan", "geneve"):
        own += f", vni = {depth + 1}, port = {port}"
    return f'{{ kind = "{kind}", {own}, {common} }}', ""


# ---- any of them --------------------------------------------------------------------------------

_FIRST = "ABCXYZabcxyz0189"
_NAMES = st.builds(
    "{}{}".format, st.sampled_from(_FIRST), st.text(f"{_FIRST}-_.", max_size=31)
).filter(lambda name: name not in ("pumps", "etcd", "lo"))


@st.composite
def chains(draw: Callable[..., Any]) -> Chain:
    """Of up to eight hosts, with names of any length."""
    count = draw(st.integers(2, 8))
    extra = draw(st.integers(0, 5))
    names = draw(st.lists(_NAMES, min_size=count + extra, max_size=count + extra, unique=True))
    a = draw(st.integers(0, count - 2))
    b = draw(st.integers(a + 1, count - 1))
    longer = draw(st.text(_FIRST, max_size=12))
    return Chain(
        hosts=tuple(names[:count]),
        links=tuple(draw(st.sampled_from(("veth", "veth", "netkit"))) for _ in range(count - 1)),
        bridged=draw(st.frozensets(st.integers(1, count - 1))),
        ends=(a, b),
        tunnels=tuple(draw(st.lists(st.sampled_from(TUNNELS), max_size=4))),
        more=draw(st.sampled_from((0, 0, 1, 9))),
        beside=tuple((name, draw(st.integers(0, count - 1))) for name in names[count:]),
        devices=lambda name: f"{name}{longer}",
    )
