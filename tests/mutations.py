"""Shipped scenario files with things changed in them: nine of ten are refused."""

import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from files import NAMES, as_toml, text_of
from hypothesis import strategies as st

VALUES = (
    b"true", b"-1", b"0", b"1", b"65536", b"1e400", b"nan", b"-inf", b"0x10", b"1979-05-27",
    b"07:32:00", b'""', b"[]", b"{}", b'[""]', b"[[]]", b"[{}]", b'[1, "a"]', b"{a = {b = 1}}",
    b"9" * 30, b"9" * 5000, b"[" * 30 + b"]" * 30,
    *(b'"%s"' % text for text in (
        b"$mtu", b"$", b"$nothing", b"default", b"10.1.1.2", b"10.1.1.2/24", b"10.1.1.2/33",
        b"0.0.0.0/0", b"::1/64", b"127.0.0.1/8", b"224.0.0.1/4", b"255.255.255.255/32",
        b"1.2.3.4:0", b"1.2.3.4:8285", b"192.0.2.1:8285", b"192.0.2.1:08285", b"host:eth0", b":",
        b"client:eth0", b"server:eth0", b"ctr-a:eth0", b"host-a:eth0", b"host-a:flannel0",
        b"eth0", b"lo", b"veth", b"bridge", b"tun", b"tap", b"vxlan", b"pump", b"kind",
        b"..", b"a/b", b"a b", b"\\n", b"\\u0000", b"\\u2028", "ж€🦆".encode(), b"%d", b"{0}",
        b"x" * 300,
    )),
)  # fmt: skip
KEYS = (
    *("", "a", "\n", "a.b", "ж", "$mtu", "lo", "mtu", "kind", "addresses", "devices", "hosts"),
    *("links", "parameters", "streams"),
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in the tree."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from places(node[key])


@st.composite
def mutated(draw: Callable[..., Any]) -> str:
    """A shipped file with one to three things changed, anywhere."""
    table = tomllib.loads(text_of(draw(st.sampled_from(NAMES))))
    for _ in range(draw(st.integers(1, 3))):
        where = list(places(table))
        if not where:
            break
        node, key = draw(st.sampled_from(where))
        match draw(st.sampled_from(("drop", "replace", "add", "rename", "copy", "repeat"))):
            case "drop":
                del node[key]
            case "replace":
                node[key] = draw(st.sampled_from(VALUES))
            case "add" if isinstance(node, dict):
                node[draw(st.sampled_from(KEYS))] = draw(st.sampled_from(VALUES))
            case "rename" if isinstance(node, dict):
                node[draw(st.sampled_from(KEYS))] = node.pop(key)
            case "copy":
                other, other_key = draw(st.sampled_from(where))
                node[key] = deepcopy(other[other_key])
            case _ if isinstance(node, list):
                node.append(deepcopy(node[key]))
    return as_toml(table)
