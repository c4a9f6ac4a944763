"""A user namespace in which a program may be killed, and whose kernel counts what is left of it.

Two things make the answer exact, whatever else goes on on the machine: every process inside has
the cage's user namespace, and the kernel counts the network namespaces that belong to it. The
count cannot be read, but a limit can be set (user.max_net_namespaces, namespaces(7)): where there
may be one more than the cage's own, making one succeeds exactly when no other is left.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from capabilities import require

DEADLINE = 10.0

_ONE_MORE = """
echo 2 > /proc/sys/user/max_net_namespaces || exit 99
unshare --net true 2> /dev/null; status=$?
echo 10000 > /proc/sys/user/max_net_namespaces
exit $status
"""


@dataclass(frozen=True)
class Cage:
    """`keeper` is the process that keeps it in existence, root of the user namespace within."""

    keeper: int

    def command(self, *command: str) -> list[str]:
        """The command that runs `command` inside, as the same process."""
        enter = ("nsenter", f"--target={self.keeper}", "--user", "--net", "--preserve-credentials")
        return [*enter, *command]

    def processes(self) -> list[int]:
        """Every process inside but the keeper and those dead that init has yet to reap."""
        mine = os.readlink(f"/proc/{self.keeper}/ns/user")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.keeper:
                with suppress(OSError):  # it is gone
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if os.readlink(entry / "ns/user") == mine and state not in "ZX":
                        found.append(int(entry.name))
        return found

    def has_other_namespaces(self) -> bool:
        """Whether the kernel still has a network namespace of the cage besides the keeper's."""
        done = subprocess.run(self.command("sh", "-c", _ONE_MORE), check=False)
        assert done.returncode != 99
        return done.returncode != 0

    def links(self) -> list[str]:
        """The devices in the network namespace that programs inside start from."""
        table = Path(f"/proc/{self.keeper}/net/dev").read_text().splitlines()[2:]
        return [line.partition(":")[0].strip() for line in table]

    def mounts(self) -> str:
        """The mounts that programs inside start from."""
        return Path(f"/proc/{self.keeper}/mountinfo").read_text()


@contextmanager
def cage() -> Iterator[Cage]:
    """A cage, for as long as the block lasts; whatever is still in it is killed then."""
    command = ("unshare", "--user", "--map-root-user", "--net", "cat")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        with suppress(BrokenPipeError):
            keeper.stdin.write(b"in\n")
            keeper.stdin.flush()
        require(keeper.stdout.readline() == b"in\n", "needs user namespaces: unshare(1) failed")
        made = Cage(keeper.pid)
        limit = made.command("sh", "-c", "test -w /proc/sys/user/max_net_namespaces")
        require(subprocess.run(limit, check=False).returncode == 0, "needs /proc/sys/user writable")
        try:
            yield made
        finally:
            kill(made.processes())


def kill(processes: Sequence[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)


def until(condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
    """Look again until `condition` holds: the kernel announces no end of strangers."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {deadline:g} s"
        time.sleep(0.005)
