"""What pyproject.toml cannot say yet: cffi's builder, guests' program, and what a build records."""

import os
import runpy
import shutil
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
SOURCE = runpy.run_path(str(HERE / "bench" / "revision.py"))


@cache
def builder() -> dict[str, Any]:
    """What csrc/build.py defines; it asks the compiler, so not before something is compiled."""
    return runpy.run_path(str(HERE / "csrc" / "build.py"))


def record_revision(tree: Path) -> None:
    """Write which revision this is into `tree`, where no git can tell."""
    if revision := SOURCE["revision"](HERE):
        (tree / SOURCE["RECORD"]).write_text(f"{revision}\n", encoding="ascii")


class BuildExtension(build_ext):
    """The extension, and beside it the executable that runs in guests."""

    def build_extensions(self) -> None:
        """Have the extension know how it was built, and nothing of where."""
        for extension in self.extensions:
            extension.extra_compile_args.append(f"-ffile-prefix-map={os.getcwd()}=.")
            words = [*self.compiler.compiler_so, *extension.extra_compile_args]
            flags = builder()["code_flags"](words)
            extension.define_macros.append(("VNB_COMPILER_FLAGS", f'"{flags}"'))
        super().build_extensions()

    def run(self) -> None:
        """Build both where setuptools wants the extension."""
        super().run()
        folder = Path(self.get_ext_fullpath("bench._vnetbench")).parent
        builder()["build_agent"](folder / "_guest_agent")


class BuildPython(build_py):
    """The Python files, nothing that an earlier build left, and the revision."""

    def run(self) -> None:
        """Copy all of it, unless it is to be used where it is."""
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib, "bench"), ignore_errors=True)
        super().run()
        if not self.editable_mode:
            record_revision(Path(self.build_lib))


class SourceDistribution(sdist):
    """The source, and the revision that it is of."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Lay out what will be packed."""
        super().make_release_tree(base_dir, files)
        record_revision(Path(base_dir))


# The extension uses Python's stable interface where the interpreter has one.
STABLE = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["csrc/build.py:ffibuilder"],
    cmdclass={
        "build_ext": BuildExtension,
        "build_py": BuildPython,
        "sdist": SourceDistribution,
    },
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
