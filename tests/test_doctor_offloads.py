"""The doctor finds this machine's offloads well, and says so of none that harms data."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest
from click.testing import CliRunner, Result
from hub import harmful

from bench.cli import cli
from bench.doctor import offloads
from bench.doctor.offloads import SUBJECTS, Finding, Live, Status, Subject, examine, exit_code
from bench.errors import MissingCapability

pytestmark = pytest.mark.slow

HUB = Subject("bridge", tcp="TCP over a hub", udp="UDP over a hub")


def vnetbench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def hub(fault: str) -> AbstractContextManager[Live]:
    """A path with a fault that befalls every 20th packet."""

    @contextmanager
    def bring_up() -> Iterator[Live]:
        with harmful(fault, 20) as path:
            yield Live(path, dict)

    return bring_up()


@pytest.mark.usefixtures("tuns")
def test_the_offloads_of_this_machine_are_well() -> None:
    done = vnetbench("doctor", "--offloads", "--json")
    document = json.loads(done.stdout)
    assert (document["format"], document["kernel"]) == (1, os.uname().release)
    found = document["offloads"]
    assert {each["status"] for each in found} <= {"ok", "skipped"}, done.stdout
    assert done.exit_code == 0
    assert [each["offload"] for each in found] == [
        offload for subject in SUBJECTS for offload in (subject.tcp, subject.udp)
    ]
    well = {each["offload"] for each in found if each["status"] == "ok"}
    assert {"TSO, GSO and GRO of veth", "UDP_SEGMENT and UDP_GRO over veth", "TSO of tun"} <= well


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("fault", ["flip", "repeat"])
def test_a_path_that_harms_data_is_wrong(fault: str) -> None:
    findings = list(examine((HUB,), lambda _: hub(fault)))
    statuses = {finding.offload: finding.status for finding in findings}
    assert statuses["UDP over a hub"] == Status.WRONG
    # A stream does without what arrives twice.
    assert statuses["TCP over a hub"] == (Status.WRONG if fault == "flip" else Status.OK)
    assert exit_code(findings) == 1
    word = {"flip": "corrupt", "repeat": "more than once"}[fault]
    assert all(word in finding.details[0] for finding in findings if finding.details)


@pytest.mark.usefixtures("namespaces")
def test_what_is_wrong_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Finding]:
        return examine((HUB,), lambda _: hub("flip"))

    monkeypatch.setattr(offloads, "examine", broken)
    done = vnetbench("doctor", "--offloads")
    assert done.exit_code == 1
    streams, datagrams = done.stdout.splitlines()
    assert streams.startswith("WRONG    TCP over a hub [bridge]: tcp ctr-")
    assert datagrams.startswith("WRONG    UDP over a hub [bridge]: udp ctr-1 to ctr-2: ")
    assert datagrams.endswith("more: --json)")


def test_what_cannot_be_brought_up_is_skipped_with_the_reason() -> None:
    @contextmanager
    def nothing(_: Subject) -> Iterator[Live]:
        raise MissingCapability("no vxlan here")
        yield

    findings = list(examine((HUB,), nothing))
    assert [(each.status, each.details) for each in findings] == [
        (Status.SKIPPED, ("no vxlan here",)),
        (Status.SKIPPED, ("no vxlan here",)),
    ]
    assert exit_code(findings) == 3


@pytest.mark.usefixtures("namespaces")
def test_an_offload_that_carried_nothing_is_not_called_well() -> None:
    @contextmanager
    def unused(subject: Subject) -> Iterator[Live]:
        def counters() -> Mapping[str, int]:
            return {"port0.rx_supers": 7}

        with offloads.live(subject) as up:
            yield Live(up.path, counters)

    findings = list(examine((Subject("veth", "TSO", "USO"),), unused))
    assert {finding.status for finding in findings} == {Status.SKIPPED}
    assert "port0.rx_supers stood still" in findings[0].details[0]


def test_one_wrong_outweighs_all_that_is_well() -> None:
    def code(*statuses: Status) -> int:
        return exit_code([Finding("", "", status) for status in statuses])

    assert code(Status.OK, Status.SKIPPED) == 0
    assert code(Status.OK, Status.WRONG, Status.SKIPPED) == 1
    assert code(Status.SKIPPED) == 3
