"""Builds `bench._vnetbench` from the C files of this folder (cffi, API mode), and what guests run.

The declarations Python may use are the lines between the CDEF markers of vnetbench.h: the header
is the only place they are written down.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent


def declarations(header: str) -> str:
    """Return what stands between the CDEF markers of `header`."""
    return header.partition("/* CDEF BEGIN */")[2].partition("/* CDEF END */")[0]


def liburing() -> list[str]:
    """The words that link liburing: into the extension if possible, else as a library; or none.

    Without it, the switch io=uring is refused with a reason, and everything else works.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    # Of 2.2 and newer: the ring of provided buffers.
    source = "#include <liburing.h>\nvoid *probe(void) { return io_uring_register_buf_ring; }\n"
    for words in (["-l:liburing.a"], ["-luring"]):
        with tempfile.TemporaryDirectory() as scratch:
            command = [*compiler, "-D_GNU_SOURCE", "-fPIC", "-shared", "-Wl,-z,defs", "-xc", "-"]
            probe = subprocess.run(  # noqa: S603
                [*command, "-o", f"{scratch}/probe.so", *words],
                check=False,
                input=source,
                capture_output=True,
                text=True,
            )
        if probe.returncode == 0:
            return words
    return []


def build_agent(target: Path) -> None:
    """Make the executable that a guest brings along, which has no libraries there.

    Without a static C library there is none, and scenarios with guests say so.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    sources = [*sorted(HERE.glob("guest/*.c")), HERE / "traffic.c", HERE / "descriptor.c"]
    words = [*compiler, *C_FLAGS, "-D_GNU_SOURCE", "-static", "-s", "-o", str(target)]
    target.unlink(missing_ok=True)
    done = subprocess.run(  # noqa: S603
        [*words, *map(str, sources)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        sys.stderr.write(f"no agent for guests: {done.stderr.strip()}\n")


C_FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]
URING = liburing()
ffibuilder = FFI()
ffibuilder.cdef(declarations((HERE / "vnetbench.h").read_text(encoding="utf-8")))
ffibuilder.set_source(
    "bench._vnetbench",
    '#include "vnetbench.h"',
    sources=sorted(str(path) for path in HERE.glob("*.c")),
    depends=sorted(str(path) for path in HERE.glob("*.h")),
    include_dirs=[str(HERE)],
    define_macros=[("_GNU_SOURCE", "1"), *([("VNB_URING", "1")] if URING else [])],
    extra_compile_args=C_FLAGS,
    extra_link_args=[*URING, "-pthread", "-lm"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
