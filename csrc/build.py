"""Builds `bench._vnetbench` from the C files of this folder (cffi, API mode).

The declarations Python may use are the lines between the CDEF markers of vnetbench.h: the header
is the only place they are written down.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent


def declarations(header: str) -> str:
    """Return what stands between the CDEF markers of `header`."""
    return header.partition("/* CDEF BEGIN */")[2].partition("/* CDEF END */")[0]


ffibuilder = FFI()
ffibuilder.cdef(declarations((HERE / "vnetbench.h").read_text(encoding="utf-8")))
ffibuilder.set_source(
    "bench._vnetbench",
    '#include "vnetbench.h"',
    sources=sorted(str(path) for path in HERE.glob("*.c")),
    depends=sorted(str(path) for path in HERE.glob("*.h")),
    include_dirs=[str(HERE)],
    define_macros=[("_GNU_SOURCE", "1")],
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
