"""Sysctls of a namespace: where they are, and the step that sets one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from bench.devices.step import Net, Step


def sysctl_file(name: str) -> Path:
    """Where the kernel keeps the sysctl; "/" in its name stands for a dot of a device's."""
    return Path("/proc/sys", *(part.replace("/", ".") for part in name.split(".")))


@dataclass(frozen=True)
class SetSysctl(Step):
    """Set a sysctl of the namespace; as in sysctl(8), "/" in its name stands for a dot of a device.

    required: whether it is an error that the kernel does not have it or does not allow it.
    """

    name: str
    value: str
    required: bool = True

    def apply(self, net: Net) -> None:
        net.enter(self.host)
        try:
            sysctl_file(self.name).write_text(self.value)
        except (FileNotFoundError, PermissionError):
            if self.required:
                raise

    def command(self) -> str:
        setting = shlex.quote(f"{self.name}={self.value}")
        words = f"ip netns exec {self.host} sysctl -qw {setting}"
        return words if self.required else f"{words} 2>/dev/null || true"
