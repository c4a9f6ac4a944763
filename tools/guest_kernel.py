"""Fetches a kernel for guests, unpacked beside the Python environment and not installed.

Debian's cloud kernel: small, and with the drivers of virtual hardware. Elsewhere there is none, and
scenarios with guests are skipped with that reason.
"""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from steps import SetupError, run, say
from system import as_root

PACKAGE = "linux-image-cloud-amd64"
KEPT = ("boot", "lib")


def fetch(place: Path) -> None:
    """Unpack the newest one to `place`. Raises SetupError where that fails."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return
    sudo = as_root()
    if sudo is not None:
        with suppress(SetupError):  # what is listed may be there all the same
            run([*sudo, "apt-get", "update"])
    image = newest()
    if image is None:
        say(f"no package {PACKAGE} here, so there are no guests")
        return
    say(f"fetching a kernel for guests: {image}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        run(["sh", "-c", 'cd "$0" && apt-get download "$1"', scratch, image])
        [package] = Path(scratch).glob("*.deb")
        run(["dpkg-deb", "-x", str(package), f"{scratch}/all"])
        whole = Path(scratch, "whole")
        whole.mkdir()
        for name in KEPT:
            os.rename(f"{scratch}/all/{name}", whole / name)
        shutil.rmtree(place, ignore_errors=True)
        whole.rename(place)


def newest() -> str | None:
    """The package that has the kernel; the one that is named for it only depends on it."""
    depends = ["apt-cache", "depends", PACKAGE]
    try:
        said = subprocess.run(depends, check=False, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        raise SetupError(f"apt-cache: {error.strerror}") from None
    found = re.search(r"Depends: (linux-image-\S+)", said.stdout)
    return found.group(1) if found else None
