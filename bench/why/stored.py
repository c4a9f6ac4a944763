"""The answer that a run of `vnetbench why` has left beside its results, or what it would be."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.errors import UsageError
from bench.results import ResultSet
from bench.why.model import FORMAT, Answer

ANSWER = "why.json"
"""The file's name."""


def answer_of(results: ResultSet) -> Answer:
    """The answer that is stored, or worked out anew where there is none.

    Raises UsageError where the stored one is damaged or newer, or the results bear none.
    """
    file = results.path / ANSWER
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Answer)
    except FileNotFoundError:
        # Imported here: numpy would slow every other command down.
        from bench.why.answer import answer  # noqa: PLC0415
        from bench.why.experiment import design_of  # noqa: PLC0415

        return answer(results, design_of(results.run))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(file, str(error)) from None
    if found.format > FORMAT:
        raise UsageError(f"{file}: was written by a newer vnetbench (format {found.format})")
    for gap in found.gaps:
        priced = {price.cause for price in found.prices.get(f"{gap.measure},{gap.arm}", ())}
        for share in gap.shares:
            if share.cause not in priced:
                raise _damaged(file, f"{share.cause} has a share of a gap, but no price")
    return found


def _damaged(file: Path, what: str) -> UsageError:
    return UsageError(
        f"{file}: is damaged: {what}; vnetbench why --from {file.parent} writes it again"
    )
