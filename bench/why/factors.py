"""What is taken away to see what it had cost: one entry of `FACTORS` each.

A factor is a technique of the pump that does without something. All combinations are measured, so
that what two of them save together is not booked twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """One technique.

    title: what it does without. settings: parameter → value. offload: whether it is one that the
    parity arm takes away, where it then has no effect.
    """

    id: str
    title: str
    settings: Mapping[str, str]
    offload: bool = False


FACTORS: dict[str, Factor] = {
    factor.id: factor
    for factor in (
        Factor("readiness", "asking only where something is", {"readiness": "on"}),
        Factor("batch", "16 packets a system call", {"batch": "16"}),
        Factor(
            "segmentation",
            "super-packets through tun and socket",
            {
                "tun_offload": "on",
                "udp_offload": "on",
                # Room for them: a buffer for 64 KiB at a time would overflow at once.
                "buffer": "4194304",
                "queue_length": "5000",
            },
            offload=True,
        ),
        Factor(
            "waking",
            "fewer wake-ups: lingering, no preemption",
            {"linger": "50", "scheduler": "batch"},
        ),
    )
}
