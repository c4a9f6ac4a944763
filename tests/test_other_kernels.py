"""A kernel that lacks something, really: Debian's, in a guest, with the modules that we choose.

vnetbench itself runs in the guest, on this Python and with its packages. VXLAN is built into many
kernels, so there is no other way to be without it.
"""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from files import ROOT
from guests import require_guests

from bench.doctor import tools
from bench.doctor.examine import run
from bench.doctor.model import Here
from bench.forwarders import qemu
from bench.guests import image

pytestmark = [pytest.mark.peers, pytest.mark.slow]

MODULES = ("veth", "tun", "bridge")
"""All that this kernel has beyond what is built in; vxlan is not among them."""
LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|tkinter|ensurepip|lib2to3|site-packages|__pycache__|config-[^/]+"
    r"|numpy|matplotlib|PIL|fontTools|pip|setuptools|mypy|hypothesis|ruff|playwright)/"
)
"""Folders of Python and its packages that no command below looks into."""
COMMANDS = (
    "list veth vxlan tun-relay",
    "run veth vxlan --blocks 1 --probe rtt --arm native --no-repeat -o /tmp/a",
    "ledger vxlan --packets 100",
)
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ COLUMNS=200 PYTHONPATH={path}
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /tmp
for module in $(cat /modules/order); do insmod /modules/$module || poweroff -f; done
{commands}
poweroff -f
"""


def python_files() -> Iterator[Path]:
    """The interpreter, its library, the packages, and vnetbench."""
    yield Path(sys.executable).resolve()
    packages = Path(sysconfig.get_path("purelib"))
    for folder in (
        Path(sysconfig.get_path("stdlib")),
        packages,
        ROOT / "bench",
        ROOT / "scenarios",
    ):
        for file in folder.rglob("*"):
            inner = f"/{file.relative_to(folder)}"
            if file.is_file() and not LEFT_OUT.search(inner):
                yield file


def file_system() -> bytes:
    """What the guest boots."""
    files = list(python_files())
    linked = [file for file in files if file.suffix == ".so" or file == files[0]]
    needed = {library for file in linked for library in image.libraries(file)}
    path = f"{ROOT}:{sysconfig.get_path('purelib')}"
    lines = [f'echo "<{c}>"; {files[0]} -m bench {c} 2>&1; echo "<status $?>"' for c in COMMANDS]
    modules = dict(image.modules_of(image.find_kernel(), MODULES))
    busybox = image.tool("busybox").read_bytes()
    return image.archive(
        {
            "init": INIT.format(path=path, commands="\n".join(lines)).encode(),
            "bin/busybox": busybox,
            **{str(file).lstrip("/"): file.read_bytes() for file in (*files, *needed)},
            **{f"modules/{name}.ko": content for name, content in modules.items()},
            "modules/order": "".join(f"{name}.ko\n" for name in modules).encode(),
        }
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """What each command says in the guest, and its status."""
    require_guests()
    file = tmp_path_factory.mktemp("guest") / "initrd"
    file.write_bytes(file_system())
    accelerator = "tcg" if qemu.obstacle_to_kvm() else "kvm"
    done = subprocess.run(
        (
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-machine", "q35", "-accel", accelerator, "-cpu", "max", "-smp", "1", "-m", "1500"),
            *("-no-reboot", "-serial", "stdio", "-kernel", image.find_kernel().image),
            *("-initrd", file, "-append", "console=ttyS0 quiet panic=-1"),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=400,
        check=False,
    )
    # A console is a terminal: there are colours, and bars that come and go.
    text = re.sub(r"\r|\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)
    found = re.findall(r"<([^<>]+)>\n(.*?)<status (\d+)>", text, re.DOTALL)
    assert len(found) == len(COMMANDS), text[-3000:] + done.stderr
    return {command: (output, int(status)) for command, output, status in found}


def test_the_list_says_what_runs_and_what_this_kernel_has_not(
    said: dict[str, tuple[str, int]],
) -> None:
    output, status = said[COMMANDS[0]]
    assert status == 0
    rows = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert rows["veth"].rstrip().endswith("yes")
    assert rows["tun-relay"].rstrip().endswith("yes")
    assert "no: this kernel has no vxlan devices" in rows["vxlan"]


def test_what_can_be_measured_is_and_the_rest_is_skipped_with_the_reason(
    said: dict[str, tuple[str, int]],
) -> None:
    output, status = said[COMMANDS[1]]
    assert status == 3
    assert "skipped: rtt[vxlan,native] block 1: this kernel has no vxlan" in output
    assert re.search(r"^veth +[\d.]+ .s +", output, re.MULTILINE), output


def test_no_command_ends_in_a_traceback(said: dict[str, tuple[str, int]]) -> None:
    for command, (output, status) in said.items():
        assert "Traceback" not in output, command
        assert status in (0, 3), (command, output)
    ledger, status = said[COMMANDS[2]]
    assert status == 3
    [line] = [line for line in ledger.splitlines() if line.startswith("vnetbench: ")]
    assert "this kernel has no vxlan" in line


def test_a_build_without_the_program_of_guests_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_guests()
    monkeypatch.setattr(image, "_AGENT", tmp_path / "none")
    reason = image.missing()
    assert reason is not None
    assert "static C library" in reason
    assert "make clean setup" in reason
    [found] = run([check for check in tools.checks() if check.id == "guests"], Here())
    assert found.found == "vnetbench was built without a static C library"
    assert found.mend.endswith(" && make clean setup")
