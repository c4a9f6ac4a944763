"""What pyproject.toml cannot say yet: where cffi's builder is, and that guests need a program."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext


class Build(build_ext):
    """The extension, and beside it the executable that runs in guests."""

    def run(self) -> None:
        """Build both where setuptools wants the extension."""
        super().run()
        folder = Path(self.get_ext_fullpath("bench._vnetbench")).parent
        builder = runpy.run_path(str(Path(__file__).parent / "csrc" / "build.py"))
        builder["build_agent"](folder / "_guest_agent")


setup(cffi_modules=["csrc/build.py:ffibuilder"], cmdclass={"build_ext": Build})
