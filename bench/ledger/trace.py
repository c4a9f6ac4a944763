"""The tracer: bpftrace on the kernel's tracepoints, one script that counts and prints at its end.

Only what happens in the namespaces of the path is counted (BTF lets the script read which one a
packet's device or a process is in), and only between two marks: a system call of ours that nobody
else makes, so that the second or two of attaching and detaching is in no count.

The script adds up in maps of the kernel, one copy for each CPU; nothing is sent for each event,
so nothing can overflow. But the kernel leaves out an event that comes, in an interrupt, while one
of the script's programs runs on the same CPU. It counts those, and so do we: in saturation they
can be too many.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from bench.errors import CannotMeasure
from bench.ledger.model import Unseen
from bench.ledger.subject import Subject
from bench.process import Child, execute

EAGAIN = "eagain"
OUTCOMES = ("zero", "moved", EAGAIN, "error")
"""What a system call came back with: 0, more, -EAGAIN, or another error; as the script numbers."""

_COMMAND = "bpftrace"
_READY = "ledger: ready"
_TRACEFS = FilePath("/sys/kernel/tracing")
_BTF = FilePath("/sys/kernel/btf/vmlinux")
_INITIAL_PIDS = "pid:[4026531836]"
"""The namespace whose process ids the kernel's tracepoints tell; its inode is a constant."""
_ATTACH_TIMEOUT, _END_TIMEOUT, _LOOK_TIMEOUT = 60.0, 60.0, 5.0
_NOT_FOUND = 127
"""Status of a program that is not there."""


@dataclass
class Traced:
    """What the script counted.

    calls: (process, system call, outcome) → number of calls. moved: (process, system call) → sum
        of what the calls returned that returned more than 0.
    sent, received: process → messages through its IP sockets, and their bytes.
    copied: process → kernel-to-user copies of packet data, and their bytes, as far as the kernel
        has a tracepoint on the way.
    switches, wakeups: thread → times it left a CPU, times it was woken.
    transmitted: (host, device) → packets given to the driver, and the segments they stand for.
    drops: (host, reason) → packets; the host is "" where the kernel did not say whose it was.
    missed: events of any kind, anywhere on the machine, that the kernel left out.
    """

    calls: dict[tuple[int, int, str], int] = field(default_factory=dict)
    moved: dict[tuple[int, int], int] = field(default_factory=dict)
    sent: dict[int, tuple[int, int]] = field(default_factory=dict)
    received: dict[int, tuple[int, int]] = field(default_factory=dict)
    copied: dict[int, tuple[int, int]] = field(default_factory=dict)
    switches: dict[int, int] = field(default_factory=dict)
    wakeups: dict[int, int] = field(default_factory=dict)
    transmitted: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    drops: dict[tuple[str, str], int] = field(default_factory=dict)
    missed: int = 0

    @property
    def events(self) -> int:
        """How many events were counted."""
        one = (self.calls, self.switches, self.wakeups, self.drops)
        pairs = (self.sent, self.received, self.copied, self.transmitted)
        return sum(sum(counts.values()) for counts in one) + sum(
            entry[0] for entries in pairs for entry in entries.values()
        )

    @property
    def missed_share(self) -> float:
        """How many were missed, of those that were counted."""
        return self.missed / max(1, self.events)


def missing() -> str | None:
    """Why nothing can be traced here, or None as far as can be told without trying."""
    if shutil.which(_COMMAND) is None:
        return "bpftrace is not installed"
    if os.geteuid() != 0 or FilePath("/proc/self/uid_map").read_text().split()[2] != "4294967295":
        return "tracing needs root"
    if not _BTF.exists():
        return f"the kernel has no BTF ({_BTF})"
    if os.readlink("/proc/self/ns/pid") != _INITIAL_PIDS:
        return "process ids here are not the kernel's own: this is a container"
    return None


def tracepoints() -> list[str]:
    """Those that the script counts at, as in "sched:sched_switch"."""
    return sorted(set(re.findall(r"\btracepoint:(\w+:\w+)", script((0,), 0))))


def absent() -> list[str] | None:
    """Those of them that this kernel does not have; None where that cannot be seen.

    Raises CannotMeasure where there is nothing to look with.
    """
    folders = {point.replace(":", "/"): point for point in tracepoints()}
    look = f"cd {_TRACEFS}/events && for p in {' '.join(folders)}; do [ -d $p ] || echo $p; done"
    try:
        with execute("tracepoints", [*_with_tracefs(), "sh", "-c", look]) as child:
            status = child.wait(_LOOK_TIMEOUT)
            if status == _NOT_FOUND:
                raise CannotMeasure(f"cannot look{child.tail()}")
            if status != 0:
                return None
            return [folders[line] for line in child.output().splitlines() if line in folders]
    except OSError:  # an ordinary user may not even see whether it is mounted
        return None


@contextmanager
def watching(subject: Subject) -> Iterator[_Tracer]:
    """Attach the script to the tracepoints. Raises Unseen where that cannot be."""
    reason = missing()
    if reason is not None:
        raise Unseen(reason)
    words = [*_with_tracefs(), _COMMAND, "-f", "json", "-e", script(subject.hosts, os.getpid())]
    with execute("tracer", words) as child:
        _wait_until_ready(child)
        yield _Tracer(child, subject)


def _with_tracefs() -> list[str]:
    """Words that run a command after the names of drop reasons, and with the trace file system.

    Where nobody has mounted it, that is done in a mount namespace that ends with the command.
    """
    show = f'cat {_TRACEFS}/events/skb/kfree_skb/format; exec "$@"'
    if (_TRACEFS / "events").exists():
        return ["sh", "-c", show, "sh"]
    mount = f"mount -t tracefs tracefs {_TRACEFS} && {show}"
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", mount, "sh"]


def _wait_until_ready(child: Child) -> None:
    deadline = time.monotonic() + _ATTACH_TIMEOUT
    while _READY not in child.output():
        if not child.alive():
            lines = child.output().strip().splitlines() or ["it ended and said nothing"]
            raise Unseen(f"bpftrace: {lines[-1]}")
        if time.monotonic() > deadline:
            raise Unseen(f"bpftrace was not ready after {_ATTACH_TIMEOUT:g} s")
        time.sleep(0.02)


class _Tracer:
    """A script that is attached. See `observers.Watch`."""

    def __init__(self, child: Child, subject: Subject) -> None:
        self._child, self._subject = child, subject
        self._missed = 0

    def begin(self) -> None:
        self._missed = -_missed(self._child.pid)
        os.getpgid(0)

    def end(self) -> None:
        os.getsid(0)
        self._missed += _missed(self._child.pid)

    def counted(self) -> Traced:
        self._child.ask_to_end()
        try:
            status = self._child.wait(_END_TIMEOUT)
        except CannotMeasure as error:
            raise Unseen(str(error)) from None
        if status != 0:
            raise Unseen(f"bpftrace ended with status {status}")
        return _parse(self._child.output(), self._subject, self._missed)


def _missed(pid: int) -> int:
    """Events that the programs of a process have not been run for, as their descriptors tell."""
    total = 0
    with suppress(OSError):  # it has died: it will not have counted either
        for file in FilePath(f"/proc/{pid}/fdinfo").iterdir():
            for line in file.read_text().splitlines():
                if line.startswith("recursion_misses:"):
                    total += int(line.split()[1])
    return total


# ---- the script ---------------------------------------------------------------------------------


def script(namespaces: Iterable[int], marker: int) -> str:
    """The script that counts in `namespaces` (inodes) between two marks of process `marker`."""
    ours = " || ".join(f"$n == {inode}" for inode in namespaces)
    skb = "((struct sk_buff *)args->skbaddr)"
    here = "$n = curtask->nsproxy->net_ns->ns.inum;"
    sizes = {"send": "sent", "recv": "received"}
    sockets = "\n".join(
        f"""tracepoint:sock:sock_{call}_length /@on && (args->family == 2 || args->family == 10)/ {{
            {here}
            if (({ours}) && args->ret > 0) {{
                @{name}[pid] = count(); @{name}_bytes[pid] = sum(args->ret);
            }}
        }}"""
        for call, name in sizes.items()
    )
    return f"""
        BEGIN {{ @on = 0; printf("{_READY}\\n"); }}
        tracepoint:syscalls:sys_enter_getpgid /pid == {marker}/ {{ @on = 1; }}
        tracepoint:syscalls:sys_enter_getsid /pid == {marker}/ {{ @on = 0; }}
        tracepoint:raw_syscalls:sys_exit /@on/ {{
            {here}
            if ({ours}) {{
                $o = args->ret > 0 ? 1 : (args->ret == 0 ? 0 : (args->ret == -11 ? 2 : 3));
                @calls[pid, args->id, $o] = count();
                if ($o == 1) {{ @moved[pid, args->id] = sum(args->ret); }}
            }}
        }}
        {sockets}
        tracepoint:skb:skb_copy_datagram_iovec /@on/ {{
            {here}
            if ({ours}) {{ @copied[pid] = count(); @copied_bytes[pid] = sum(args->len); }}
        }}
        tracepoint:sched:sched_switch /@on/ {{ @switches[args->prev_pid] = count(); }}
        tracepoint:sched:sched_wakeup /@on/ {{ @wakeups[args->pid] = count(); }}
        tracepoint:net:net_dev_start_xmit /@on/ {{
            $d = {skb}->dev; $n = $d->nd_net.net->ns.inum;
            if ({ours}) {{
                $i = $d->ifindex;
                $s = args->gso_segs > 1 ? args->gso_segs : 1;
                @xmit[$n, $i] = count();
                @xmit_segments[$n, $i] = sum($s);
            }}
        }}
        tracepoint:skb:kfree_skb /@on/ {{
            $n = {skb}->dev->nd_net.net->ns.inum;
            {_receiver()}
            @drops[$n, args->reason] = count();
        }}
        END {{ clear(@on); }}
    """


def _receiver() -> str:
    """Where the kernel also says for which socket a packet was: a packet in a UDP socket's queue
    has no device any more."""
    format_ = _TRACEFS / "events/skb/kfree_skb/format"
    if not format_.exists() or "rx_sk" not in format_.read_text():
        return ""
    socket = "((struct sock *)args->rx_sk)->__sk_common.skc_net.net->ns.inum"
    return f"if ($n == 0) {{ $n = {socket}; }}"


# ---- what it printed ----------------------------------------------------------------------------


def _parse(output: str, subject: Subject, missed: int) -> Traced:
    maps: dict[str, dict[tuple[int, ...], int]] = {}
    for line in output.splitlines():
        if line.startswith('{"type": "map"'):
            for name, entries in json.loads(line)["data"].items():
                maps[name[1:]] = {
                    tuple(int(part) for part in key.split(",")): value
                    for key, value in entries.items()
                }

    def of(name: str) -> dict[tuple[int, ...], int]:
        return maps.get(name, {})

    def by_process(name: str) -> dict[int, tuple[int, int]]:
        bytes_ = of(f"{name}_bytes")
        return {key[0]: (count, bytes_[key]) for key, count in of(name).items()}

    def device(key: tuple[int, ...]) -> tuple[str, str]:
        host = subject.hosts[key[0]]
        return host, subject.devices.get((host, key[1]), f"device {key[1]}")

    names = _reasons(output)
    segments = of("xmit_segments")
    return Traced(
        calls={(k[0], k[1], OUTCOMES[k[2]]): count for k, count in of("calls").items()},
        moved={(k[0], k[1]): total for k, total in of("moved").items()},
        sent=by_process("sent"),
        received=by_process("received"),
        copied=by_process("copied"),
        switches={key[0]: count for key, count in of("switches").items()},
        wakeups={key[0]: count for key, count in of("wakeups").items()},
        transmitted={device(k): (count, segments[k]) for k, count in of("xmit").items()},
        drops={
            (subject.hosts.get(k[0], ""), names.get(k[1], f"reason {k[1]}")): count
            for k, count in of("drops").items()
        },
        missed=missed,
    )


def _reasons(output: str) -> dict[int, str]:
    """Drop reasons by number, from the tracepoint's format; numbers differ between kernels."""
    line = next((line for line in output.splitlines() if line.startswith("print fmt:")), "")
    return {int(number): name for number, name in re.findall(r'\{ (\d+), "(\w+)" \}', line)}
