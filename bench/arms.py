"""The arms in words: with which offloads paths were measured."""

from __future__ import annotations

from collections.abc import Iterable

_MEANINGS = {
    "native": "offloads as each path ships them",
    "parity": "segmentation and receive offload off on every device",
}


def explained(arms: Iterable[str]) -> list[str]:
    """A sentence for each arm, once: what it does with offloads."""
    meanings = {arm: _MEANINGS.get(arm, "as the scenario says") for arm in arms}
    return [f"{arm}: {meaning}." for arm, meaning in meanings.items()]
