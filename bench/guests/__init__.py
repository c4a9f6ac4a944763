"""Virtual machines as hosts of a scenario: their kernel, what they boot, and how they are told."""

from bench.guests.agent import Guest, Program

__all__ = ["Guest", "Program"]
