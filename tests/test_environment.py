"""The fingerprint agrees with what other programs say of the same machine."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import astuple, replace
from pathlib import Path

import msgspec
import pytest
from undisturbed import least_below

from bench.environment import (
    CpuTimes,
    Environment,
    cpu_times,
    differences,
    fingerprint,
    steal_share,
)

ROOT = Path(__file__).resolve().parent.parent


def output(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout.strip()


@pytest.fixture(scope="module")
def found() -> Environment:
    return fingerprint()


@pytest.fixture(scope="module")
def lscpu() -> dict[str, str]:
    table = json.loads(output("lscpu", "-J"))["lscpu"]
    entries = list(table)
    for entry in entries:  # newer versions nest
        entries += entry.get("children", [])
    return {entry["field"].rstrip(":"): entry["data"] for entry in entries if entry.get("data")}


def test_the_kernel_is_the_one_uname_reports(found: Environment) -> None:
    assert found.kernel_release == output("uname", "-r")
    assert found.kernel_version == output("uname", "-v")
    assert found.architecture == output("uname", "-m")


def test_the_processors_are_those_lscpu_and_nproc_report(
    found: Environment, lscpu: dict[str, str]
) -> None:
    assert found.cpu_model == lscpu["Model name"]
    assert found.cpus_online == os.sysconf("SC_NPROCESSORS_ONLN")
    assert found.cpus_usable == int(output("nproc"))


def test_a_hypervisor_is_named_where_the_processor_says_there_is_one(found: Environment) -> None:
    if "flags" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("only x86 processors say so")
    virtual = "hypervisor" in output("grep", "-m1", "^flags", "/proc/cpuinfo").split()
    assert (found.hypervisor != "none") == virtual
    assert found.hypervisor is not None


def test_usable_processors_follow_the_affinity_of_the_process() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert fingerprint().cpus_usable == 1
    finally:
        os.sched_setaffinity(0, before)


def test_every_mitigation_lscpu_lists_is_recorded(
    found: Environment, lscpu: dict[str, str]
) -> None:
    assert found.mitigations is not None
    listed = {name for name in lscpu if name.startswith("Vulnerability ")}
    recorded = {
        f"Vulnerability {name.replace('_', ' ').capitalize()}" for name in found.mitigations
    }
    assert recorded == listed


def test_the_memory_is_what_the_c_library_reports(found: Environment) -> None:
    assert found.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_versions_are_those_the_programs_print(found: Environment) -> None:
    assert found.python == platform.python_version()
    assert found.iproute2 == (output("ip", "-V") if shutil.which("ip") else None)
    if not shutil.which("iperf3") and not os.environ.get("CI"):
        pytest.skip("no iperf3 to ask")
    assert found.libiperf == output("iperf3", "--version").split()[1]


def test_the_library_versions_are_those_the_libraries_carry(found: Environment) -> None:
    assert found.python_libraries is not None
    assert found.python_libraries["msgspec"] == msgspec.__version__
    listed = json.loads(
        output(sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
    )
    # A package's name is the same in any case: jinja2 calls itself Jinja2.
    installed = {package["name"].lower(): package["version"] for package in listed}
    recorded = {name.lower(): version for name, version in found.python_libraries.items()}
    assert recorded.items() <= installed.items()
    assert {"iperf3", "pyperf", "pyroute2"} <= found.python_libraries.keys()


def test_the_revision_is_the_checkouts(found: Environment) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    changed = output("git", "-C", str(ROOT), "diff", "HEAD", "--name-only")
    expected = output("git", "-C", str(ROOT), "rev-parse", "HEAD") + "-dirty" * bool(changed)
    assert found.git_revision == expected


def test_root_of_a_user_namespace_is_not_taken_for_root() -> None:
    program = "from bench.environment import fingerprint; print(fingerprint().privilege)"
    try:
        inside = output("unshare", "--user", "--map-root-user", sys.executable, "-c", program)
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no user namespaces here: {error.stderr.strip()}")
    assert inside == "root in a user namespace"


def test_what_cannot_be_read_is_unknown_and_stops_nothing() -> None:
    program = "from bench.environment import fingerprint as f; e = f(); print(e.iproute2, e.python)"
    blind = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/nonexistent"},
        cwd=ROOT,
    )
    assert blind.stdout.split() == ["None", platform.python_version()]


def test_a_fingerprint_takes_less_than_300_ms() -> None:
    def duration() -> float:
        start = time.perf_counter()
        fingerprint()
        return time.perf_counter() - start

    assert least_below(0.3, duration) < 0.3


def test_a_fingerprint_survives_json(found: Environment) -> None:
    assert msgspec.json.decode(msgspec.json.encode(found), type=Environment) == found


def test_a_fact_unknown_to_an_older_result_set_reads_as_unknown() -> None:
    old = msgspec.json.decode(b'{"kernel_release": "6.1.0", "retired": 1}', type=Environment)
    assert (old.kernel_release, old.cpu_model) == ("6.1.0", None)


def test_equal_machines_do_not_differ_whatever_the_load(found: Environment) -> None:
    assert differences(found, replace(found, load_average=(9.0, 9.0, 9.0), memory_bytes=1)) == []


def test_differences_name_what_changed_in_words(found: Environment) -> None:
    old = replace(
        found, kernel_release="6.1.0", governor=None, mitigations={"mds": "Vulnerable", "srso": "x"}
    )
    new = replace(
        old,
        kernel_release="6.18.0",
        governor="performance",
        mitigations={"mds": "Not affected", "srso": "x"},
    )
    assert differences(old, new) == [
        "kernel: 6.1.0 → 6.18.0",
        "mitigations: mds: Vulnerable → Not affected",
        "frequency governor: not known → performance",
    ]


def test_cpu_times_are_those_of_proc_stat() -> None:
    def read() -> list[int]:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
        return [int(word) for word in first.split()[1:9]]

    before = read()
    between = astuple(cpu_times())
    # Idle and iowait may step back by a tick (proc(5)).
    assert all(
        low - 1 <= value <= high + 1
        for low, value, high in zip(before, between, read(), strict=True)
    )


def test_the_steal_share_is_stolen_ticks_over_all_ticks() -> None:
    ticks = dict.fromkeys(("nice", "system", "iowait", "irq", "softirq"), 7)
    start = CpuTimes(user=100, idle=100, steal=10, **ticks)
    end = CpuTimes(user=150, idle=125, steal=35, **ticks)
    assert steal_share(start, end) == 0.25
    assert steal_share(start, start) is None
