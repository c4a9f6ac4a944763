"""Watching a measurement: a snapshot before it, one after it, and what happened in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.quality.figures import figures
from bench.quality.snapshot import snapshot


class Watch:
    """What was seen; filled in when the `with` block of `watching` has ended."""

    def __init__(self) -> None:
        self.figures: dict[str, float | None] = {}


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch what disturbs the block: everything but this process and its children."""
    watch = Watch()
    before = snapshot()
    yield watch
    watch.figures = figures(before, snapshot())
