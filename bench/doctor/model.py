"""What a check of the doctor is, and what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from bench.errors import CannotMeasure
from bench.provenance import in_checkout
from bench.quality.snapshot import Snapshot
from bench.readers import ROOT, hypervisor, read_text


class Status(StrEnum):
    """What came of a check.

    ok: nothing to be done. noisy: it can measure, but figures are less steady, or worse, for it.
    missing: something cannot be measured. unknown: it cannot be told here.
    """

    OK = "ok"
    NOISY = "noisy"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Seen:
    """What a look at the machine gave.

    found: the figure, or the reason. mend: the command that changes it, or what to do where there
    is none; empty where nothing is to be done. source: where it was read, if not where the check
    says.
    """

    status: Status
    found: str
    mend: str = ""
    source: str = ""


def ok(found: str) -> Seen:
    """Nothing to be done."""
    return Seen(Status.OK, found)


def noisy(found: str, mend: str, source: str = "") -> Seen:
    """It makes figures less steady, or worse."""
    return Seen(Status.NOISY, found, mend, source)


def missing(found: str, mend: str) -> Seen:
    """Something cannot be measured."""
    return Seen(Status.MISSING, found, mend)


def unknown(reason: str, mend: str = "") -> Seen:
    """It cannot be told, with the reason."""
    return Seen(Status.UNKNOWN, reason, mend)


@dataclass(frozen=True)
class Watched:
    """What was seen of the machine during a second or two in which it had something to do.

    before, after: snapshots around that. figures: from these, by the names of `bench.quality.rule`.
    shared: CPU → share of the time in which a core filled by us was slow: somebody else was on it.
    together: the same of the last CPU while we fill the first as well; None: there is one CPU.
    songs: what each canary gave. reasons: what could not be measured → why not.
    """

    before: Snapshot
    after: Snapshot
    figures: Mapping[str, float | None]
    shared: Mapping[int, float] = field(default_factory=dict)
    together: float | None = None
    songs: tuple[Mapping[str, float], ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Here:
    """The machine as the checks see it.

    root: stands for "/". folder: where result sets would go. confined: why no namespaces can be
    made here, or None. watched: what was seen of it, if anybody looked. checkout: whether vnetbench
    runs from one.
    """

    root: Path = ROOT
    folder: Path = Path()
    confined: str | None = None
    watched: Watched | None = None
    checkout: bool = field(default_factory=in_checkout)

    def text(self, name: str) -> str | None:
        """The file `name`, given without its leading "/"."""
        return read_text(self.root / name)

    def seen(self, part: str = "") -> Watched:
        """What was seen, of which `part` is needed. Raises CannotMeasure where that failed."""
        if self.watched is None:
            raise CannotMeasure("nobody watched")
        if reason := self.watched.reasons.get(part):
            raise CannotMeasure(reason)
        return self.watched

    def figure(self, id_: str) -> float:
        """One of the figures that were seen. Raises CannotMeasure where it was not observed."""
        found = self.seen().figures.get(id_)
        if found is None:
            raise CannotMeasure("not observed here")
        return found

    @cached_property
    def virtual(self) -> bool:
        """Whether this is known to be a virtual machine."""
        return hypervisor(self.root) not in (None, "none")

    def make(self, target: str, otherwise: str) -> str:
        """A target of the checkout's Makefile, or what to do where there is none."""
        return f"make {target}" if self.checkout else otherwise

    def command_or_host(self, command: str, asked: str) -> str:
        """The command, or in a virtual machine what to ask the host's operator for."""
        return f"{OUT_OF_REACH} {asked}" if self.virtual else command


OUT_OF_REACH = "nothing to be done inside a virtual machine; ask the host's operator:"


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    id: for machines, the same for ever. source: where it looks. why: why it matters, in a clause.
    """

    id: str
    what: str
    source: str
    why: str
    look: Callable[[Here], Seen]


@dataclass(frozen=True)
class Finding:
    """What came of a check; see `Check` and `Seen`."""

    id: str
    what: str
    status: Status
    found: str
    source: str
    why: str
    mend: str


def cpus() -> list[int]:
    """The processors that a measurement may use."""
    return sorted(os.sched_getaffinity(0))
