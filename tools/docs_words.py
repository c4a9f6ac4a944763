"""What templates say figures with: filters that make words of them, and claims that must hold.

A sentence must be true whatever the result sets say. So what it compares comes from a filter, or
stands behind a claim: where the sets contradict one, nothing is rendered.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, Protocol

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from bench.errors import UsageError
from bench.units import format_value, significant


class _Valued(Protocol):
    """An estimate or a figure."""

    @property
    def value(self) -> float: ...


class Bounded(_Valued, Protocol):
    """The same with a 95 % interval; None: it has none."""

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


Number = float | _Valued

_DIGITS = {"seconds": 3}
"""How many digits filters write that write more than two."""
_COUNTED = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve"),
)


class Contradiction(UsageError):
    """A template says what the result sets do not bear."""


def plain(number: Number) -> float:
    """The value of an estimate or a figure; a number as it is."""
    return float(number) if isinstance(number, int | float) else number.value


def times(number: Number) -> str:
    """A ratio: "2.5 times", "18 times"."""
    return f"{significant(plain(number), 2)} times"


def factor(number: Number) -> str:
    """A ratio or a count, as a number alone: "6.5", "18"."""
    return significant(plain(number), 2)


def percent(number: Number) -> str:
    """A share of 1 in per cent: "28 %", "5.9 %", "0.41 %"."""
    share = 100 * plain(number)
    if abs(share) >= 9.95:  # noqa: PLR2004 - from where it would have three digits
        return f"{share:.0f} %"
    return f"{significant(share, 2)} %" if share else "0 %"


def seconds(number: Number) -> str:
    """A time in the unit that suits it: "28.9 µs"."""
    return format_value(plain(number), "s")


def at_least(number: Number, write: str) -> str:
    """What a number is not below, rounded down to the digits that are written: "17", "25 %"."""
    return _rounded(number, write, ROUND_FLOOR)


def at_most(number: Number, write: str) -> str:
    """What a number is not above, rounded up likewise."""
    return _rounded(number, write, ROUND_CEILING)


def _rounded(number: Number, write: str, rounding: str) -> str:
    context = Context(prec=_DIGITS.get(write, 2), rounding=rounding)
    return str(FILTERS[write](float(context.create_decimal(repr(plain(number))))))


def share_told(share: Bounded) -> str:
    """A share as far as it is certain: "5.9 % [4.1, 7.7]", or what it is at the most."""
    if share.low is not None and share.low > 0:
        return bounded(share, "percent")
    return "no more than " + (
        "anything" if share.high is None else at_most(max(share.high, 0.0), "percent")
    )


def ends(number: Bounded, write: str) -> str:
    """The 95 % interval, its ends written by a filter without its word: "[14, 19]"."""
    if number.low is None or number.high is None:
        return "[no interval]"
    low, high = (FILTERS[write](end) for end in (number.low, number.high))
    return f"[{_bare(low)}, {_bare(high)}]"


def _bare(text: str) -> str:
    return text.removesuffix(" times").removesuffix(" %")


def bounded(number: Bounded, write: str) -> str:
    """A figure with its interval: "15 times [12, 22]", "42 % [22, 83]"."""
    return f"{FILTERS[write](number)} {ends(number, write)}"


def count(number: int, noun: str = "") -> str:
    """A small number as a word, others in figures; with a noun in its number: "eight blocks"."""
    text = _COUNTED[number] if 0 <= number < len(_COUNTED) else f"{number:,}"
    return f"{text} {noun}{'' if number == 1 else 's'}" if noun else text


def listing(items: Iterable[object]) -> str:
    """Items as a sentence lists them: "a, b and c"."""
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; a heading that ends in ":" has its column aligned right."""
    given = list(headings)
    lines = [
        [heading.removesuffix(":") for heading in given],
        ["---:" if heading.endswith(":") else "---" for heading in given],
        *([str(cell).replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


FILTERS: dict[str, Any] = {
    filter_.__name__: filter_
    for filter_ in (
        *(times, factor, percent, seconds, at_least, at_most),
        *(share_told, ends, bounded, count, listing),
    )
}
"""What templates may pipe a figure into, by name."""


class Claims(Extension):
    """`{% claim CONDITION %}`: leaves nothing behind where it holds, raises where it does not."""

    tags = {"claim"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Make a call of the condition."""
        line = next(parser.stream).lineno
        place = [nodes.Const(parser.filename or "a template"), nodes.Const(line)]
        call = self.call_method("_check", [parser.parse_expression(), *place], lineno=line)
        statement = nodes.ExprStmt(lineno=line)
        statement.node = call
        return statement

    def _check(self, holds: object, file: str, line: int) -> None:
        if not holds:
            text = linecache.getline(file, line).strip()
            raise Contradiction(
                f"{file}:{line}: the result sets contradict this: {text}; say what they say"
            )
