"""What is too much for one picture, in parts: which items, names and titles each has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """Items in as few parts of at most `most` as it takes, about as many in each."""
    total, count = len(items), math.ceil(len(items) / most)
    return [items[n * total // count : (n + 1) * total // count] for n in range(count)]


def numbered(name: str, title: str, parts: Sequence[Item]) -> Iterator[tuple[str, str, Item]]:
    """The name and the title of each picture of what takes several, with its part."""
    for number, part in enumerate(parts, 1):
        yield (
            f"{name}-{number}" if number > 1 else name,
            f"{title} ({number} of {len(parts)})" if len(parts) > 1 else title,
            part,
        )
