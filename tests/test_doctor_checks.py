"""Each check of the doctor, on files of machines that are not this one."""

import gzip
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from capabilities import require
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.doctor import abilities, noise
from bench.doctor.examine import exit_code, run
from bench.doctor.model import Check, Finding, Here, Status, cpus, missing, ok
from bench.errors import CannotMeasure
from bench.readers import build_options, numbers

VIRTUAL = {"proc/cpuinfo": "flags\t\t: fpu hypervisor\n"}
REAL = {"proc/cpuinfo": "flags\t\t: fpu\n"}
RELEASE = {"proc/sys/kernel/osrelease": "6.1.0-test\n"}
CPU = "sys/devices/system/cpu"
ONE = f"{CPU}/cpu{cpus()[0]}"
CLOCK = "sys/devices/system/clocksource/clocksource0"
HUGE = "sys/kernel/mm/transparent_hugepage"
FEW = settings(deadline=None, max_examples=30)
Plant = Callable[[Mapping[str, str | bytes]], Here]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Makes a machine of the given files, in which no namespaces can be made."""

    def planted(files: Mapping[str, str | bytes]) -> Here:
        write(tmp_path, files)
        return Here(root=tmp_path, confined="not here")

    return planted


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def find(id_: str, here: Here) -> Finding:
    [check] = [check for check in noise.checks() if check.id == id_]
    [found] = run([check], here)
    return found


@pytest.mark.parametrize(
    ("id_", "files", "figure"),
    [
        ("governor", {f"{ONE}/cpufreq/scaling_governor": "powersave\n"}, "powersave"),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "0\n"}, "on"),
        ("turbo", {f"{CPU}/cpufreq/boost": "1\n"}, "on"),
        (
            "idle",
            {
                f"{CPU}/cpuidle/current_driver": "intel_idle\n",
                **{
                    f"{ONE}/cpuidle/state{n}/{key}": value
                    for n, latency in enumerate(("0", "2", "133", "900"))
                    for key, value in (("name", f"C{n}"), ("latency", latency), ("disable", "0"))
                },
            },
            "intel_idle: C2 133 µs, C3 900 µs to wake up",
        ),
        (
            "clock",
            {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "hpet tsc "},
            "hpet",
        ),
        (
            "huge_pages",
            {f"{HUGE}/enabled": "[always] madvise never", f"{HUGE}/defrag": "[always] madvise"},
            "always, defrag always",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_noisy_is_found_and_the_command_beside_it_mends_it(
    plant: Plant, id_: str, files: Mapping[str, str], figure: str
) -> None:
    here = plant({**REAL, **files})
    found = find(id_, here)
    assert (found.status, found.found) == (Status.NOISY, figure)
    carry_out(found.mend, here.root)
    # The kernel shows a choice among all there are, a file what was written.
    for name in ("enabled", "defrag"):
        file = here.root / HUGE / name
        if file.exists() and "[" not in file.read_text():
            file.write_text(f"[{file.read_text().strip()}]")
    assert find(id_, here).status is Status.OK


def carry_out(mend: str, root: Path) -> None:
    """Run a command of the doctor, as root, on the files below `root`."""
    command = mend.replace("sudo ", "").replace(" /sys", f" {root}/sys")
    subprocess.run(["sh", "-ec", command], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("id_", "files"),
    [
        ("governor", {f"{ONE}/cpufreq/scaling_governor": "performance\n"}),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "1\n"}),
        ("clock", {f"{CLOCK}/current_clocksource": "kvm-clock\n"}),
        ("bpf_jit", {"proc/sys/net/core/bpf_jit_enable": "1\n"}),
        ("seccomp", {"proc/self/status": "Seccomp:\t0\nSeccomp_filters:\t0\n"}),
        ("timer_slack", {"proc/self/timerslack_ns": "50000\n"}),
        ("preemption", {"proc/sys/kernel/version": "#1 SMP PREEMPT 2024\n"}),
        ("debugging", {**RELEASE, "boot/config-6.1.0-test": "CONFIG_NET=y\n# CONFIG_KASAN unset"}),
        ("irqbalance", {"proc/7/comm": "sshd\n"}),
        ("hypervisor", REAL),
        ("steal", REAL),
        ("numa", {"sys/devices/system/node/node0/cpulist": "0-4095\n"}),
        (
            "power",
            {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "1"},
        ),
        ("quota", {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}),
        (
            "memory",
            {
                "proc/meminfo": "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 50 kB\n",
                "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_well_is_left_alone(plant: Plant, id_: str, files: Mapping[str, str]) -> None:
    found = find(id_, plant({**REAL, **files}))
    assert (found.status, found.mend) == (Status.OK, ""), found


@pytest.mark.parametrize(
    ("id_", "files", "figure", "mend"),
    [
        ("bpf_jit", {"proc/sys/net/core/bpf_jit_enable": "0"}, "off", "sudo sysctl -w net.core"),
        (
            "seccomp",
            {"proc/self/status": "Seccomp:\t2\nSeccomp_filters:\t3\n"},
            "3 filters for each system call",
            "docker run --security-opt seccomp=unconfined",
        ),
        ("timer_slack", {"proc/self/timerslack_ns": "200000"}, "200 µs", "echo 50000 | sudo tee"),
        (
            "preemption",
            {"proc/sys/kernel/version": "#1 SMP PREEMPT_RT Debian 6.1"},
            "PREEMPT_RT",
            "sudo apt-get install linux-image-",
        ),
        (
            "debugging",
            {"proc/config.gz": gzip.compress(b"CONFIG_KASAN=y\nCONFIG_PROVE_LOCKING=y\n")},
            "PROVE_LOCKING, KASAN",
            "sudo apt-get install linux-image-",
        ),
        ("debugging", {"proc/lockdep": "all lock classes:\n"}, "LOCKDEP", "sudo apt-get install"),
        ("irqbalance", {"proc/77/comm": "irqbalance\n"}, "runs (77)", "sudo systemctl stop"),
        (
            "memory",
            {
                "proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n",
                "proc/pressure/memory": "some avg10=12.50 avg60=1.00 avg300=0.00 total=9\n",
            },
            "2.00 GiB of 4.00 GiB available; somebody waited for memory 12.5% of 10 s",
            "ps -eo pid,rss,comm --sort=-rss",
        ),
        (
            "memory",
            {"proc/meminfo": "MemTotal: 4194304 kB\nMemAvailable: 1024 kB\n"},
            "1.00 MiB of 4.00 GiB available",
            "ps -eo pid,rss,comm --sort=-rss",
        ),
        (
            "power",
            {"sys/class/power_supply/A/type": "Mains\n", "sys/class/power_supply/A/online": "0\n"},
            "on battery",
            "plug it in",
        ),
        ("clock", {f"{CLOCK}/current_clocksource": "hpet"}, "hpet", "boot with tsc=reliable"),
    ],
)
def test_what_is_noisy_is_said_with_its_figure_and_what_mends_it(
    plant: Plant, id_: str, files: Mapping[str, str | bytes], figure: str, mend: str
) -> None:
    found = find(id_, plant({**REAL, **RELEASE, **files}))
    assert (found.status, found.found) == (Status.NOISY, figure)
    assert found.mend.startswith(mend)


@pytest.mark.parametrize(
    ("id_", "files", "asked"),
    [
        ("governor", {}, "the governor performance"),
        ("turbo", {}, "a fixed clock rate"),
        ("clock", {f"{CLOCK}/current_clocksource": "acpi_pm"}, "an invariant TSC"),
    ],
)
def test_inside_a_virtual_machine_its_operator_is_to_be_asked(
    plant: Plant, id_: str, files: Mapping[str, str], asked: str
) -> None:
    found = find(id_, plant({**VIRTUAL, **files}))
    assert found.status in (Status.UNKNOWN, Status.NOISY)
    words = "nothing to be done inside a virtual machine; ask the host's operator: "
    assert found.mend.startswith(words + asked)


def test_the_mode_of_a_dynamic_kernel_is_what_it_was_booted_with(plant: Plant) -> None:
    dynamic = {"proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC @0\n"}
    assert find("preemption", plant(dynamic)).status is Status.UNKNOWN
    built = {"proc/config.gz": gzip.compress(b"CONFIG_PREEMPT_VOLUNTARY=y\n")}
    assert find("preemption", plant(built)).found == "PREEMPT_DYNAMIC, booted as voluntary"
    asked = {"proc/cmdline": "quiet preempt=full\n"}
    assert find("preemption", plant(asked)).found == "PREEMPT_DYNAMIC, booted as full"
    shown = {"sys/kernel/debug/sched/preempt": "none voluntary (lazy) full\n"}
    assert find("preemption", plant(shown)).found == "lazy"


def test_threads_of_one_core_are_named_and_one_of_each_core_is_offered(plant: Plant) -> None:
    ours = cpus()
    require(len(ours) > 1, "needs two CPUs")
    pair = f"{ours[0]},{ours[-1]}"
    files = {f"{CPU}/cpu{cpu}/topology/thread_siblings_list": str(cpu) for cpu in ours}
    assert find("siblings", plant(files)).status is Status.OK
    for cpu in (ours[0], ours[-1]):
        files[f"{CPU}/cpu{cpu}/topology/thread_siblings_list"] = pair
    found = find("siblings", plant({**files, f"{CPU}/smt/control": "on\n"}))
    assert found.status is Status.NOISY
    assert found.found == f"SMT on; threads of one core: CPUs {ours[0]}+{ours[-1]}"
    assert f"taskset -c {','.join(map(str, ours[:-1]))} " in found.mend


def test_cpus_of_two_memory_nodes_are_found(plant: Plant) -> None:
    ours = cpus()
    require(len(ours) > 1, "needs two CPUs")
    found = find(
        "numa",
        plant(
            {
                "sys/devices/system/node/node1/cpulist": f"{ours[0]}\n",
                "sys/devices/system/node/node3/cpulist": f"{ours[-1]},5000-5003\n",
            }
        ),
    )
    assert (found.status, found.found) == (Status.NOISY, "our CPUs are of 2 nodes")
    assert found.mend.startswith("numactl --cpunodebind=1 --membind=1 ")


@given(
    quotas=st.lists(st.none() | st.integers(1000, 10**6), min_size=1, max_size=4),
    version=st.sampled_from([1, 2]),
)
@FEW
def test_the_tightest_quota_of_all_groups_around_us_is_found(
    tmp_path_factory: pytest.TempPathFactory, quotas: list[int | None], version: int
) -> None:
    root = tmp_path_factory.mktemp("machine")
    path = "".join(f"/g{number}" for number in range(len(quotas)))
    mount = "sys/fs/cgroup" + ("/cpu" if version == 1 else "")
    files = {"proc/self/cgroup": f"3:cpu:{path}\n" if version == 1 else f"0::{path}\n"}
    for number, quota in enumerate(quotas):
        folder = mount + "".join(f"/g{n}" for n in range(number + 1))
        if version == 1:
            files[f"{folder}/cpu.cfs_quota_us"] = str(quota or -1)
            files[f"{folder}/cpu.cfs_period_us"] = "100000"
        else:
            files[f"{folder}/cpu.max"] = f"{quota or 'max'} 100000"
    write(root, files)
    found = find("quota", Here(root=root))
    limits = [quota / 100000 for quota in quotas if quota]
    if not limits:
        assert (found.status, found.found) == (Status.OK, "none")
        return
    assert found.found == f"{min(limits):.2f} CPUs of {len(cpus())}"
    assert (found.status is Status.NOISY) == (min(limits) < len(cpus()))
    if found.status is Status.NOISY:
        carry_out(found.mend.partition(" (")[0], root)
        if version == 2:  # the kernel keeps the period
            (root / found.source.lstrip("/")).write_text("max 100000\n")
        rest = [limit for limit in limits if limit != min(limits)]
        again = find("quota", Here(root=root)).found
        assert limits.count(min(limits)) > 1 or not rest or again.startswith(f"{min(rest):.2f}")


def test_a_quota_is_unknown_where_the_groups_are_not_shown(plant: Plant) -> None:
    found = find("quota", plant({"proc/self/cgroup": "0::/a\n"}))
    assert (found.status, found.found) == (Status.UNKNOWN, "the control groups are not shown")


def test_a_machine_that_shows_nothing_is_unknown_and_never_an_error(plant: Plant) -> None:
    findings = run(noise.checks(), plant({}))
    assert {finding.status for finding in findings} <= {Status.UNKNOWN, Status.OK, Status.NOISY}
    unknown = {finding.id for finding in findings if finding.status is Status.UNKNOWN}
    assert unknown >= {"governor", "turbo", "clock", "numa", "preemption", "debugging", "memory"}
    assert unknown >= {"quota", "siblings", "idle", "mitigations", "seccomp", "timer_slack"}
    assert all(finding.found for finding in findings)


PATHS = [
    *(f"proc/{name}" for name in ("cpuinfo", "meminfo", "self/cgroup", "self/status", "7/comm")),
    *("proc/config.gz", "proc/self/timerslack_ns", "proc/pressure/memory", "proc/cmdline"),
    *("proc/sys/kernel/version", "proc/sys/net/core/bpf_jit_enable", "sys/fs/cgroup/cpu.max"),
    *(f"{CPU}/{name}" for name in ("online", "smt/control", "cpufreq/boost")),
    *(f"{ONE}/{name}" for name in ("topology/thread_siblings_list", "cpufreq/scaling_governor")),
    *(f"{ONE}/cpuidle/state2/{name}" for name in ("latency", "name", "disable")),
    f"{CLOCK}/current_clocksource",
    f"{HUGE}/defrag",
    "sys/devices/system/node/node0/cpulist",
]


@given(st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=40) | st.just(b"0::/\n")))
@FEW
def test_whatever_the_files_hold_each_check_gives_one_finding(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    root = tmp_path_factory.mktemp("machine")
    write(root, files)
    findings = run(noise.checks(), Here(root=root, confined="not here"))
    assert [finding.id for finding in findings] == [check.id for check in noise.checks()]


@given(st.sets(st.integers(0, 300)))
def test_lists_of_the_kernel_are_read_as_it_writes_them(cpus_: set[int]) -> None:
    ranges: list[list[int]] = []
    for cpu in sorted(cpus_):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    text = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
    assert numbers(text) == sorted(cpus_)


@given(st.dictionaries(st.from_regex(r"\A[A-Z][A-Z0-9_]{0,10}\Z"), st.sampled_from("ynm3")))
@FEW
def test_options_of_a_kernel_are_those_that_are_set(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, str]
) -> None:
    lines = [
        f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"
        for name, value in options.items()
    ]
    root = tmp_path_factory.mktemp("machine")
    write(root, {"proc/config.gz": gzip.compress("\n".join(lines).encode())})
    assert build_options(root) == {n: value for n, value in options.items() if value != "n"}


# ---- the table of checks ------------------------------------------------------------------------


def all_checks() -> list[Check]:
    return [*abilities.checks(), *noise.checks()]


def test_no_two_checks_have_one_name() -> None:
    checks = all_checks()
    assert len({check.id for check in checks}) == len(checks)
    assert len({check.what for check in checks}) == len(checks)
    assert all(re.fullmatch(r"[a-z0-9_]+", check.id) for check in checks)
    assert all(check.source and check.why for check in checks)


def test_what_a_check_cannot_read_is_unknown_with_the_reason() -> None:
    def closed(_: Here) -> None:
        raise PermissionError(13, "Permission denied", "/sys/secret")

    def unobserved(_: Here) -> None:
        raise CannotMeasure("the witness died")

    checks = [Check("a", "a", "here", "so", closed), Check("b", "b", "here", "so", unobserved)]  # type: ignore[arg-type]
    first, second = run(checks, Here())
    assert (first.status, first.found) == (Status.UNKNOWN, "Permission denied (/sys/secret)")
    assert (second.status, second.found, second.source) == (
        Status.UNKNOWN,
        "the witness died",
        "here",
    )


def test_the_exit_status_is_3_only_where_nothing_can_be_measured() -> None:
    def finding(id_: str, *, lost: bool) -> Finding:
        seen = missing("no", "mend it") if lost else ok("yes")
        [found] = run([Check(id_, id_, "here", "so", lambda _: seen)], Here())
        return found

    assert exit_code([finding("namespaces", lost=False), finding("tun", lost=True)]) == 0
    assert exit_code([finding("namespaces", lost=True), finding("tun", lost=False)]) == 3
