"""What a guest boots: a kernel of the distribution, and a file system in memory made on the spot.

In it is only what is needed: busybox, the drivers, iperf3 with its libraries, and the agent.
"""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.errors import CannotMeasure, MissingCapability

PLACE = Path(sys.prefix, "share", "vnetbench", "guest")
"""Where `make peers` unpacks a kernel without installing it."""
PORT = "vnetbench"
"""Name of the agent's serial port."""
_AGENT = Path(__file__).parents[1] / "_guest_agent"
_KERNELS = "boot/vmlinuz-*-cloud-amd64"
_DRIVERS = ("virtio_pci", "virtio_net", "virtio_console")
_FOLDERS = ("bin", "dev", "etc", "lib", "lib64", "modules", "proc", "root", "run", "sys", "tmp")
_SETUP = "etc/setup"

_INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in $(cat /modules/order); do insmod /modules/$module || poweroff -f; done
sh -e /{_SETUP} || poweroff -f
agent serve <>/dev/$(ls /sys/class/virtio-ports)
poweroff -f
"""


@dataclass(frozen=True)
class Kernel:
    """A kernel to boot: its image, and the folder of its modules."""

    image: Path
    modules: Path


def find_kernel() -> Kernel:
    """The newest cloud kernel that is there. Raises MissingCapability."""
    for root in (PLACE, Path("/")):
        for image in sorted(root.glob(_KERNELS), key=_by_version, reverse=True):
            modules = root / "lib" / "modules" / image.name.removeprefix("vmlinuz-")
            if modules.is_dir():
                return Kernel(image, modules)
    raise MissingCapability("there is no kernel for guests; `make peers` fetches one")


def missing() -> str | None:
    """Why no guest can be made here, or None."""
    try:
        find_kernel()
        tool("iperf3")
        _busybox()
    except CannotMeasure as lack:
        return str(lack)
    if not _AGENT.exists():
        return (
            "vnetbench was built without a static C library, which guests need; install one "
            "(glibc-static, libc6-dev), then build vnetbench anew: make clean setup, or with pip"
        )
    return None


@cache
def image() -> bytes:
    """The file system that all guests have in common. Raises MissingCapability."""
    if reason := missing():
        raise MissingCapability(reason)
    kernel = find_kernel()
    iperf3 = tool("iperf3")
    modules = dict(modules_of(kernel))
    files = {
        "init": _INIT.encode(),
        "bin/busybox": _busybox().read_bytes(),
        "bin/agent": _AGENT.read_bytes(),
        "bin/iperf3": iperf3.read_bytes(),
        **{str(path).lstrip("/"): path.read_bytes() for path in libraries(iperf3)},
        **{f"modules/{name}.ko": content for name, content in modules.items()},
        "modules/order": "".join(f"{name}.ko\n" for name in modules).encode(),
    }
    return archive(files)  # not compressed: unpacking takes an interpreted guest the longest


def with_setup(lines: Sequence[str]) -> bytes:
    """The file system of one guest, which runs the commands `lines` at its start."""
    setup = "".join(f"{line}\n" for line in lines)
    return image() + archive({_SETUP: setup.encode()})  # the kernel unpacks one after the other


def archive(files: Mapping[str, bytes]) -> bytes:
    """A cpio archive as the kernel unpacks it: all folders, and `files` that may be executed."""
    folders = {*_FOLDERS}
    for name in files:
        folders.update(map(str, list(Path(name).parents)[:-1]))
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, start=1))


def _entry(inode: int, name: str, mode: int, content: bytes) -> bytes:
    """One entry of the format "newc" (Documentation/driver-api/early-userspace/buffer-format)."""
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    header = "070701" + "".join(f"{field:08x}" for field in fields)
    return _padded(header.encode() + name.encode() + b"\0") + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _by_version(image: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", image.name)]


def has_busybox() -> bool:
    """Whether there is a busybox that a guest can start with."""
    try:
        _busybox()
    except MissingCapability:
        return False
    return True


def tool(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise MissingCapability(f"{name} is not installed; `make peers` does")
    return Path(found)


def _busybox() -> Path:
    path = tool("busybox")
    if libraries(path):
        raise MissingCapability(
            f"{path} has libraries; `make peers` installs one without (package busybox-static)"
        )
    return path


def libraries(program: Path) -> list[Path]:
    """What the dynamic linker loads for a program or library; nothing for a static one."""
    done = subprocess.run(  # noqa: S603 - a program that we run anyway
        [tool("ldd"), program], capture_output=True, text=True, check=False
    )
    return [Path(found) for found in re.findall(r"(?:^|=>)\s*(/\S+) \(0x", done.stdout, re.M)]


def modules_of(kernel: Kernel, drivers: Sequence[str] = _DRIVERS) -> Iterator[tuple[str, bytes]]:
    """The drivers and what they need, each after its own needs; what is built in is left out."""
    files = {_name(path): path for path in kernel.modules.rglob("*.ko")}
    done: set[str] = set()

    def walk(name: str) -> Iterator[tuple[str, bytes]]:
        if name in done or name not in files:
            return
        done.add(name)
        content = files[name].read_bytes()
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for need in needs.group(1).decode().split(",") if needs else []:
            yield from walk(need)
        yield name, content

    for driver in drivers:
        yield from walk(driver)


def _name(module: Path) -> str:
    return module.stem.replace("-", "_")
