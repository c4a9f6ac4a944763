"""Builds `bench._vnetbench` from the C files of this folder (cffi, API mode), and what guests run.

The declarations Python may use are the lines between the CDEF markers of the two headers of the
interface, which are the only place they are written down.
"""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent


def declarations(header: str) -> str:
    """Return what stands between the CDEF markers of `header`."""
    return header.partition("/* CDEF BEGIN */")[2].partition("/* CDEF END */")[0]


def ask_compiler(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the compiler that Python's extensions are built with; one that is missing has failed."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    command = [*compiler, *words]
    try:
        return subprocess.run(  # noqa: S603
            command, check=False, input=given, capture_output=True, text=True
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{compiler[0]}: {error.strerror}")


def liburing() -> list[str]:
    """The words that link liburing: into the extension if possible, else as a library; or none.

    Without it, the switch io=uring is refused with a reason, and everything else works.
    """
    # Of 2.2 and newer: the ring of provided buffers.
    source = "#include <liburing.h>\nvoid *probe(void) { return io_uring_register_buf_ring; }\n"
    for words in (["-l:liburing.a"], ["-luring"]):
        with tempfile.TemporaryDirectory() as scratch:
            command = ["-D_GNU_SOURCE", "-fPIC", "-shared", "-Wl,-z,defs", "-xc", "-"]
            probe = ask_compiler(*command, "-o", f"{scratch}/probe.so", *words, given=source)
        if probe.returncode == 0:
            return words
    return []


def liburing_version() -> str:
    """The version of the liburing that the compiler finds, as its own description gives it."""
    found = ask_compiler("-print-file-name=liburing.so")
    description = Path(found.stdout.strip()).parent / "pkgconfig" / "liburing.pc"
    if not description.is_file():
        return "of unknown version"
    version = re.search(r"^Version: *([\w.+-]+)", description.read_text(), re.MULTILINE)
    return version[1] if version else "of unknown version"


def code_flags(words: Sequence[str]) -> str:
    """Those of a compiler's options that decide on its code; not where files are, nor warnings."""
    of_code = re.compile(r"""-(std=|O|f(?!\S+-prefix-map=)|m|D|U)[^"'\\]*""")
    kept = [word for word in words if of_code.fullmatch(word)]
    levels = [word for word in kept if word.startswith("-O")]
    return " ".join([*levels[-1:], *dict.fromkeys(w for w in kept if w not in levels)])


def build_agent(target: Path) -> None:
    """Make the executable that a guest brings along, which has no libraries there.

    Without a static C library there is none, and scenarios with guests say so.
    """
    sources = [*sorted(HERE.glob("guest/*.c")), HERE / "traffic.c", HERE / "descriptor.c"]
    words = [*C_FLAGS, "-D_GNU_SOURCE", "-static", "-s", "-o", str(target)]
    target.unlink(missing_ok=True)
    done = ask_compiler(*words, *map(str, sources))
    if done.returncode != 0:
        target.unlink(missing_ok=True)
        sys.stderr.write(f"no agent for guests: {done.stderr.strip()}\n")


# Warnings are errors where these files are tested (csrc/Makefile), not where somebody's newer
# compiler finds more to warn of.
C_FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"]
URING = liburing()
MACROS = [("_GNU_SOURCE", "1")]
if URING:
    MACROS += [("VNB_URING", "1"), ("VNB_LIBURING", f'"{liburing_version()}"')]
ffibuilder = FFI()
for header in ("streams.h", "vnetbench.h"):
    ffibuilder.cdef(declarations((HERE / header).read_text(encoding="utf-8")))
ffibuilder.set_source(
    "bench._vnetbench",
    '#include "vnetbench.h"',
    sources=sorted(str(path) for path in HERE.glob("*.c")),
    depends=sorted(str(path) for path in HERE.glob("*.h")),
    include_dirs=[str(HERE)],
    define_macros=MACROS,
    extra_compile_args=C_FLAGS,
    extra_link_args=[*URING, "-pthread", "-lm"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
