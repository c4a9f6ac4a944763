"""What a report is made of: its result sets, and what more than one section asks of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.report.naming import set_names
from bench.results import ResultSet
from bench.why.experiment import PROFILE
from bench.why.stored import answer_of

if TYPE_CHECKING:
    from bench.compare import Comparison
    from bench.why.model import Answer


@dataclass(frozen=True)
class Sources:
    """The sets in the order the user named them, at least one; the first is what the others are
    compared with."""

    sets: tuple[ResultSet, ...]

    @property
    def several(self) -> bool:
        """Whether a name has to be said with what is said of a set."""
        return len(self.sets) > 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What each set is called in the report."""
        return set_names(self.sets)

    @cached_property
    def comparisons(self) -> tuple[Comparison | UsageError, ...]:
        """Each set after the first compared with it, or why it cannot be."""
        return tuple(self._compared())

    @property
    def comparable(self) -> bool:
        """Whether anything is compared at all."""
        return any(not isinstance(found, UsageError) for found in self.comparisons)

    @cached_property
    def answers(self) -> tuple[Answer | UsageError | None, ...]:
        """Of each set of `vnetbench why` its answer, or why it has none; None for other sets."""
        return tuple(map(_answered, self.sets))

    def _compared(self) -> Iterator[Comparison | UsageError]:
        if not self.several:
            return
        # Imported here: numpy's threads must not exist where nothing is compared.
        from bench.compare import compare  # noqa: PLC0415

        # What is said of a set names it as the report does, not by where it lies.
        named = zip(self.sets, self.names, strict=True)
        first, *others = (replace(results, path=Path(name)) for results, name in named)
        for other in others:
            try:
                yield compare(first, other)
            except UsageError as error:
                yield error


def _answered(results: ResultSet) -> Answer | UsageError | None:
    if results.run.asked.profile != PROFILE:
        return None
    try:
        return answer_of(results)
    except UsageError as error:
        return error
