"""What a test may ask of the machine: a skip with a reason on a laptop, a failure in CI."""

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable

import pytest

from bench import native


def require(holds: bool, reason: str) -> None:
    """Skip the test with `reason` unless `holds`; where $CI is set, fail it."""
    if holds:
        return
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_root_namespaces() -> None:
    """Network namespaces can be made and set up without a user namespace around them."""
    require(
        _error_of(lambda: native.unshare(native.CLONE_NEWNET)) is None,
        "needs the right to create network namespaces: run the tests as root",
    )


def require_tun() -> None:
    """Network namespaces, and tun devices in them."""
    require_root_namespaces()
    error = _error_of(_open_tun)
    require(error is None, f"needs tun devices: {error} (modprobe tun?)")


def require_program(name: str) -> None:
    """The program is on the PATH."""
    require(shutil.which(name) is not None, f"needs the program {name}")


def require_strace() -> None:
    """strace is installed and may trace a child."""
    require_program("strace")
    command = ["strace", "-o", os.devnull, "true"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    require(result.returncode == 0, f"strace may not trace here: {result.stderr.strip()}")


def _open_tun() -> None:
    native.unshare(native.CLONE_NEWNET)
    os.close(native.tun_open("probe", native.PortKind.TUN))


def _error_of(attempt: Callable[[], None]) -> str | None:
    """Why `attempt` was not permitted, made in a thread that takes its new namespace with it."""
    errors: list[OSError] = []

    def run() -> None:
        try:
            attempt()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    lacking = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENODEV, errno.ENOSYS, errno.ENOSPC}
    for error in errors:
        if error.errno not in lacking:
            raise error
    return str(errors[0]) if errors else None
