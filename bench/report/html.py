"""A report as one HTML file that needs nothing else: no network, no other file, no script to read.

What it may do is in its own Content-Security-Policy: run the one script whose hash stands there,
and use the styles in it. It *cannot* make a request, whatever stands in a result set.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from importlib import resources

from bench import __version__
from bench.errors import UsageError
from bench.report import theme
from bench.report.model import Picture, Report, Stored, Table, Words

ROOM = 1_000_000
"""Characters that the files of a report may take in a page; what is more is only named there."""
_LONG = 20
"""Rows of a table from which on it can be filtered."""
_TALL = 40
"""Rows of a table from which on it scrolls in a box of its own."""
_WIDE = 8
"""Columns of a table from which on it is printed small."""
_CLASSES = {Table: "table", Picture: "picture", Words: "words", Stored: "stored"}


def page(report: Report, room: int = ROOM) -> str:
    """The whole page. Raises UsageError where a file that belongs in it cannot be read.

    room: characters that the files of result sets may take in it; see `ROOM`.
    """
    # Imported here: no other command needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    templates = Environment(
        loader=PackageLoader("bench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["kind"] = lambda block: _CLASSES[type(block)]
    templates.filters["number"] = lambda value: f"{value:.10g}"
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    drawn = {
        block.name: theme.svg(block, themed=True)
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Picture)
    }
    return templates.get_template("page.html").render(
        report=report,
        version=__version__,
        script=Markup(script),  # noqa: S704 - it is ours
        style=Markup(_style()),  # noqa: S704
        digest=digest,
        drawn={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 - escapes by itself
        widths={name: _width(svg) for name, svg in drawn.items()},
        embedded=_embedded(report, room),
        long=_LONG,
        tall=_TALL,
        wide=_WIDE,
    )


def _asset(name: str) -> str:
    return resources.files("bench.report").joinpath("page", name).read_text(encoding="utf-8")


def _style() -> str:
    """The palette, dark where the reader's system or the reader wants it, and the page's rules."""
    light = f"{theme.variables(dark=False)} color-scheme: light;"
    dark = f"{theme.variables(dark=True)} color-scheme: dark;"
    return (
        f":root, .light {{ {light} }}\n"
        "@media screen and (prefers-color-scheme: dark) "
        f"{{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f"@media screen {{ :root[data-theme=dark] {{ {dark} }} }}\n"
        f"{_asset('page.css')}"
    )


def _width(svg: str) -> str:
    """How wide a picture was drawn, as CSS says it."""
    found = re.search(r'<svg [^>]*\bwidth="([\d.]+(?:pt|px|in)?)"', svg)
    return found[1] if found else "100%"


def _embedded(report: Report, room: int) -> dict[str, str]:
    """File's name → its content, compressed and as text; what finds no room is left out."""
    found: dict[str, str] = {}
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Stored):
                text = base64.b64encode(gzip.compress(_read(block), mtime=0)).decode()
                if len(text) <= room:
                    found[block.name] = text
                    room -= len(text)
    return found


def _read(block: Stored) -> bytes:
    try:
        return block.path.read_bytes()
    except OSError as error:
        raise UsageError(f"{block.path}: cannot be read: {error.strerror}") from None
