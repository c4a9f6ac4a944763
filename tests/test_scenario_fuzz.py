"""Whatever is in a scenario file: it loads, or is refused in one line that names file and key."""

import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from files import NAMES, STRESS, as_toml, text_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated

from bench.errors import CannotMeasure, ScenarioError, UsageError
from bench.recipe import shell_commands
from bench.scenario import Variant, load
from bench.topology import Arm, build, plan


def fuzzing(examples: int) -> settings:
    return settings(
        max_examples=examples * STRESS,
        deadline=None,  # the machine may be busy with other things
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def check(folder: Path, content: bytes | str) -> Variant | None:
    """Load the content as a file; it may be refused, but only as promised."""
    path = folder / "broken.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        variant = load(path)
    except UsageError as error:
        promised(error, path)
        return None
    for arm in Arm:
        plan(variant.scenario, arm)
    shell_commands(variant, Arm.NATIVE)
    return variant


def promised(error: UsageError, path: Path) -> None:
    assert isinstance(error, ScenarioError)
    text = str(error)
    assert text.splitlines() == [text], "more than one line"
    assert text.isprintable(), "not to be printed on a terminal"
    assert text.startswith(f"{path}: ")
    assert error.key
    assert error.problem
    assert len(text) < 1000 + len(str(path))


@st.composite
def damaged(draw: Callable[..., Any]) -> bytes:
    """A shipped file with a piece of its bytes replaced by others."""
    content: bytes = text_of(draw(st.sampled_from(NAMES))).encode()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 40)))
    other: bytes = draw(st.binary(max_size=20))
    return content[:start] + other + content[end:]


@st.composite
def relined(draw: Callable[..., Any]) -> str:
    """A shipped file with a line dropped, repeated or moved."""
    lines = text_of(draw(st.sampled_from(NAMES))).splitlines(keepends=True)
    taken = lines.pop(draw(st.integers(0, len(lines) - 1)))
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), taken)
    return "".join(lines)


@fuzzing(400)
@given(content=mutated())
def test_any_key_may_be_changed_dropped_or_added(tmp_path: Path, content: str) -> None:
    check(tmp_path, content)


@fuzzing(150)
@given(
    content=damaged()
    | relined()
    | st.binary(max_size=200)
    | st.text().map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_may_be_damaged(tmp_path: Path, content: bytes | str) -> None:
    check(tmp_path, content)


SOUND = {
    "mtu": (b"68", b"69", b"576", b"1279", b"9000", b"65521", b"65535", b'"$mtu"'),
    "addresses": (
        *(b"[]", b'["10.1.1.2/0"]', b'["10.1.1.2/32"]', b'["10.1.1.2/31"]', b'["10.1.1.2/08"]'),
        *(b'["0.0.0.0/8"]', b'["127.0.0.1/8"]', b'["224.0.0.1/4"]', b'["255.255.255.255/32"]'),
        *(b'["10.1.1.2/255.255.255.0"]', b'["10.1.1.2/24", "10.1.1.7/24", "10.9.9.9/30"]'),
    ),
    "to": (b'"0.0.0.0/0"', b'"default"', b'"10.2.0.0/255.255.0.0"', b'"224.0.0.0/4"'),
    "via": (b'"0.0.0.0"', b'"127.0.0.1"', b'"224.0.0.1"'),
    "onlink": (b"true", b"false"),
    "forwarding": (b"true",),
    "vni": (b"0", b"16777215"),
    "port": (b"1", b"65535"),
    "sysctls": (
        *(b'{"net.ipv4.tcp_sack" = "no"}', b'{"net.ipv4.no.such" = 1}', b'{"net.ipv4" = 1}'),
        *(b'{"net.ipv4.ip_forward" = "\\u0000"}', b'{"net.ipv4.tcp_rmem" = 1}'),
    ),
    "rung": (b"-5",),
    "title": (b'"; reboot"', b'"\\u2028"'),
}
"""Values that a key may well accept; whether the kernel does is another matter."""


@st.composite
def plausible(draw: Callable[..., Any]) -> str:
    """A shipped file without tunnels, one value replaced by another that has the right type."""
    table = tomllib.loads(text_of(draw(st.sampled_from(("veth", "bridge", "host-gw", "vxlan")))))
    devices = [d for host in table["hosts"].values() for d in host["devices"].values()]
    hosts = list(table["hosts"].values())
    routes = [route for host in hosts for route in host.get("routes", [])]
    key = draw(st.sampled_from(sorted(SOUND)))
    homes = {"to": routes, "via": routes, "onlink": routes, "forwarding": hosts, "sysctls": hosts}
    node = draw(st.sampled_from(homes.get(key, devices) or devices))
    if key in ("vni", "port"):
        node = next((d for d in devices if d["kind"] == "vxlan"), node)
    if key in ("rung", "title"):
        node = table
    node[key] = draw(st.sampled_from(SOUND[key]))
    return as_toml(table)


@pytest.mark.usefixtures("namespaces")
@fuzzing(60)
@given(content=plausible())
def test_what_is_accepted_is_built_or_refused_as_promised(tmp_path: Path, content: str) -> None:
    variant = check(tmp_path, content)
    if variant is not None:
        with suppress(CannotMeasure), build(variant.scenario):
            pass
