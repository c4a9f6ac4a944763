"""The programs and libraries that measure, trace and forward, and room for what they find."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bench import programs
from bench.doctor.model import Check, Here, Seen, missing, ok, unknown
from bench.errors import CannotMeasure
from bench.etcd import server
from bench.forwarders import qemu
from bench.guests import image
from bench.ledger import trace
from bench.probes import PROBES, tcp_goodput
from bench.readers import privilege

_KVM = Path("/dev/kvm")
_APT = "sudo apt-get install"
_GUESTS = f"{_APT} qemu-system-x86 busybox-static iperf3 linux-image-cloud-amd64"
_AGAIN = "install vnetbench again with pip, from its source"
_ROOM = 200 << 20
"""Bytes that must be free: a result set of the ladder has some megabytes, one of `why` tens."""


def checks() -> Iterable[Check]:
    """Those of vnetbench's own tools, and one for each program of others."""
    yield from _CHECKS
    for name in programs.names():
        yield Check(
            f"program_{name.replace('-', '_')}",
            name,
            f"PATH: {programs.tool(name).executable}",
            "the scenarios with it, and its line of `vnetbench peers`, need it",
            partial(_program, name),
        )


# ---- probes -------------------------------------------------------------------------------------


def _probes(here: Here) -> Seen:
    reasons = {name: reason for name, p in PROBES.items() if (reason := p.missing())}
    if not reasons:
        return ok(", ".join(PROBES))
    found = f"not {', '.join(reasons)}: {'; '.join(dict.fromkeys(reasons.values()))}"
    return missing(found, here.make("setup", f"{_APT} libiperf0, or {_AGAIN}"))


def _iperf(_: Here) -> Seen:
    if reason := tcp_goodput.missing():
        return missing(reason, f"{_APT} libiperf0")
    if tcp_goodput.chosen() is tcp_goodput.LIBRARY:
        return ok("the library loads")
    return ok(f"by the command {shutil.which('iperf3')}; the library does not load")


# ---- the tracer ---------------------------------------------------------------------------------


def _tracer(here: Here) -> Seen:
    reason = trace.missing()
    if reason is None:
        return ok("can trace")
    mends = {
        "installed": f"{_APT} bpftrace" + (" (or: make setup-trace)" if here.checkout else ""),
        "root": "sudo vnetbench ledger … (and why, as root)",
        "BTF": "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, as Debian's and Ubuntu's own have",
        "container": "docker run --privileged --pid=host (or run it outside of the container)",
    }
    return missing(reason, next(m for word, m in mends.items() if word in reason))


def _tracepoints(_: Here) -> Seen:
    absent = trace.absent()
    if absent is None and privilege() != "root":
        return unknown("only root may look", "sudo vnetbench doctor")
    if absent is None:
        absent = ["the trace file system"]
    if absent:
        return missing(
            f"not there: {', '.join(absent)}",
            "boot a kernel with CONFIG_FTRACE_SYSCALLS=y, as Debian's and Ubuntu's own have",
        )
    return ok(f"all {len(trace.tracepoints())} that the ledger counts")


# ---- programs and guests ------------------------------------------------------------------------


def _program(name: str, here: Here) -> Seen:
    tool = programs.tool(name)
    if reason := tool.missing():
        return missing(_without_mend(reason), here.make("peers", f"{_APT} {tool.package}"))
    return ok(tool.installed_version())


def _without_mend(reason: str) -> str:
    """The reason alone: what to do about it stands beside it here."""
    return re.sub(r"; `make peers`.*", "", reason)


def _etcd(here: Here) -> Seen:
    if reason := server.missing():
        return missing(_without_mend(reason), here.make("peers", f"{_APT} etcd-server"))
    return ok(server.version())


def _guests(here: Here) -> Seen:
    if reason := image.missing():
        if "static C library" in reason:
            again = " && make clean setup" if here.checkout else f", and {_AGAIN}"
            mend = f"{_APT} libc6-dev{again}"
            return missing(reason.partition(",")[0], mend)
        return missing(_without_mend(reason), here.make("peers", _GUESTS))
    try:
        return ok(f"QEMU {qemu.version()}, {image.find_kernel().image.name}")
    except CannotMeasure as error:
        return missing(_without_mend(str(error)), here.make("peers", _GUESTS))


def _kvm(here: Here) -> Seen:
    if not _KVM.exists():
        mend = here.command_or_host(
            "sudo modprobe kvm_intel || sudo modprobe kvm_amd (and virtualisation on in the "
            "firmware's set-up)",
            "nested virtualisation",
        )
        return missing("not there: guests are interpreted", mend)
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return missing("not for us", "sudo usermod -aG kvm $USER, and log in again")
    return unknown(
        "there; whether a guest runs under it takes some seconds to find out",
        "vnetbench list qemu",
    )


def _vhost(_: Here) -> Seen:
    if qemu.VHOST.exists():
        return ok("there")
    return missing("not there", "sudo modprobe vhost_net")


# ---- room for results ---------------------------------------------------------------------------


def _room(here: Here) -> Seen:
    folder = here.folder.resolve()
    elsewhere = "vnetbench run -o DIR, with a DIR on another file system"
    if not os.access(folder, os.W_OK):
        return missing("cannot be written to", elsewhere)
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        return missing(f"{free >> 20} MiB free, of {_ROOM >> 20} wanted", elsewhere)
    return ok(f"{free >> 20} MiB free")


_CHECKS = (
    Check("probes", "probes", "the probes", "each measures one thing of a path", _probes),
    Check(
        "iperf",
        "iperf3",
        "loading libiperf.so.0",
        "TCP goodput and CPU prices are measured with it",
        _iperf,
    ),
    Check(
        "tracer",
        "tracer",
        "bpftrace, our rights, /sys/kernel/btf",
        "wake-ups, drops and segments of a packet are not observed without",
        _tracer,
    ),
    Check(
        "tracepoints",
        "tracepoints",
        "/sys/kernel/tracing/events",
        "what the kernel has no tracepoint for is not observed",
        _tracepoints,
    ),
    Check(
        "guests",
        "guests",
        "QEMU, a kernel to boot, busybox, iperf3, the agent",
        "the scenarios with QEMU need it",
        _guests,
    ),
    Check(
        "kvm",
        "KVM",
        str(_KVM),
        "without, guests are interpreted, some tens of times as slow",
        _kvm,
    ),
    Check("vhost", "vhost-net", str(qemu.VHOST), "guests with vhost=on need it", _vhost),
    Check("etcd", "etcd", "PATH: etcd", "the parameter routes=etcd needs it", _etcd),
    Check(
        "room",
        "room for results",
        "statvfs(3) of the current folder",
        "result sets are kept below it, unless -o says where",
        _room,
    ),
)
