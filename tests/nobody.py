"""This Python as an ordinary user, who has no rights at all."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from capabilities import require, require_program
from files import ROOT

NOBODY = 65534
TUN = os.makedev(10, 200)


def closed_above(folder: Path) -> Path | None:
    """The highest directory on the way to `folder` that not everybody may pass."""
    way = (*reversed(folder.parents), folder)
    return next((place for place in way if not place.stat().st_mode & 0o001), None)


def opened(*more: Path) -> Iterator[str]:
    """Commands after which everybody can read the interpreter, its packages and this checkout.

    And the folders `more`.

    A home directory is often closed to others. Nothing is changed on it: a fresh one is mounted
    over it, with what is needed put back in its place.
    """
    needed = {Path(folder).resolve() for folder in (sys.base_prefix, sys.prefix, ROOT, *more)}
    behind: dict[Path, list[Path]] = {}
    for folder in sorted(needed):
        closed = closed_above(folder)
        if closed is not None:
            behind.setdefault(closed, []).append(folder)
    for closed, folders in behind.items():
        yield "mount -t tmpfs -o mode=755 none /mnt"
        for number, folder in enumerate(folders):
            yield f"mkdir /mnt/{number}; mount --bind {shlex.quote(str(folder))} /mnt/{number}"
        yield f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}"
        for number, folder in enumerate(folders):
            place = shlex.quote(str(folder))
            yield f"mkdir -p {place}; mount --move /mnt/{number} {place}"


def as_nobody(
    *arguments: str,
    tun_mode: str | None = "666",
    python: Path = Path(sys.executable),
    readable: Sequence[Path] = (),
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a Python as a user without rights, with a /dev/net/tun of that mode, or (None) without.

    In a mount namespace of its own, so that the machine's device and directories stay as they are.
    readable: folders that he can reach, besides those of this Python and this checkout. env: all
    of the environment but for PATH.
    """
    tun = f"mknod -m {tun_mode} /dev/net/tun c {os.major(TUN)} {os.minor(TUN)}"
    script = [
        "set -e",
        *opened(*readable),
        "mount -t tmpfs none /dev/net",
        *([] if tun_mode is None else [tun]),
        f"cd {shlex.quote(str(cwd))}",
        f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs "
        + shlex.join((str(python), *arguments)),
    ]
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} if env is None else env
    return subprocess.run(
        ("unshare", "--mount", "--propagation=private", "sh", "-c", "\n".join(script)),
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def as_nobody_confined(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in a user namespace that may have no further ones, as where they are forbidden."""
    limited = (
        "echo 0 > /proc/sys/user/max_user_namespaces; "
        "exec setpriv --bounding-set=-all --inh-caps=-all "
        + shlex.join((sys.executable, *arguments))
    )
    call = f"import os; os.execvp('unshare', ['unshare', '-Ur', 'sh', '-c', {limited!r}])"
    return as_nobody("-c", call)


def require_ordinary_user() -> None:
    """An ordinary user can be tried, and may make user namespaces."""
    require_program("setpriv")
    attempt = "import os, subprocess; raise SystemExit(subprocess.call(['unshare', '-Ur', 'true']))"
    done = as_nobody("-c", attempt)
    require(done.returncode == 0, f"needs user namespaces for ordinary users: {done.stderr}")
