"""`vnetbench doctor --offloads`: what is right is called right, what is wrong is named."""

import json

import pytest
from click.testing import CliRunner

from bench import doctor
from bench.cli import cli
from bench.doctor import Finding, OffloadCheck
from bench.integrity import IntegrityReport
from bench.probes.base import Path


def test_this_kernels_offloads_are_right(tuns: None) -> None:
    result = CliRunner().invoke(cli, ["doctor", "--offloads", "--json"], standalone_mode=False)
    findings = json.loads(result.output)
    assert [f for f in findings if f["verdict"] != "ok"] == []
    assert result.return_value == 0
    assert all(finding["datagrams"] > 0 for finding in findings)


def test_wrong_data_is_named_and_is_exit_status_1(
    tuns: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(path: Path, **options: int) -> IntegrityReport:
        """The check as it is, of a stream that the receiver expects another seed of."""
        report = real(path, **options)  # type: ignore[arg-type]
        [first, *others] = report.udp
        lost = type(first)(**{**vars(first), "received": type(first.received)(**NOTHING)})
        return IntegrityReport(report.seed, report.mtu, (lost, *others), report.tcp)

    real = doctor.check
    monkeypatch.setattr(doctor, "check", altered)
    monkeypatch.setattr(doctor, "OFFLOAD_CHECKS", (OffloadCheck("plain veth", "veth"),))
    result = CliRunner().invoke(cli, ["doctor", "--offloads"], standalone_mode=False)
    assert result.return_value == 1
    assert result.output.startswith("WRONG   plain veth\n")
    assert "16 bytes" in result.output


def test_what_cannot_be_checked_is_skipped_with_its_reason(
    tuns: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = OffloadCheck("on no CPU", "flannel-udp", ("cpu=1023",))
    monkeypatch.setattr(doctor, "OFFLOAD_CHECKS", (impossible,))
    result = CliRunner().invoke(cli, ["doctor", "--offloads"], standalone_mode=False)
    assert result.return_value == 3
    assert result.output.startswith("skipped on no CPU\n        because ")


def test_it_says_what_it_can_check() -> None:
    result = CliRunner().invoke(cli, ["doctor"])
    assert "--offloads" in str(result.exception)


def test_a_verdict_is_one_word() -> None:
    assert Finding("x").verdict == "ok"
    assert Finding("x", wrong=("bad",)).verdict == "WRONG"
    assert Finding("x", skipped="no").verdict == "skipped"


NOTHING = dict.fromkeys(
    [
        *("packets", "bytes", "calls", "coalesced", "unique", "duplicates", "reordered", "late"),
        *("corrupt", "strange", "next", "drops", "buffer", "first_ns", "last_ns"),
        *("corrupt_sequence", "corrupt_size", "corrupt_offset"),
    ],
    0,
)
