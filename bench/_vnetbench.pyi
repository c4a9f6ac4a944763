# The extension that csrc/build.py makes; `bench.native` gives what is in it types.
from typing import Any

ffi: Any
lib: Any
