"""From the SVG that matplotlib writes to one that can stand in a page beside others.

Everything is done tag by tag, so that no text of a picture, whatever it says, is taken for markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from bench.report.model import Picture

TIP = "tip:"
"""What the gid of an artist begins with whose rest is to be shown where the pointer rests on it."""

_TAG = re.compile(r"<[^>]+>")
_STYLE = re.compile(r'style="([^"]*)"')
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FAMILY = re.compile(r"font-family: .*?(?:; (?=[a-z-]+: )|$)")
_FILL = re.compile(r'\bfill="(#[0-9a-f]{6})"')
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_TIP = re.compile(rf"""<g id=(["']){TIP}(.*)\1>""", re.DOTALL)
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dressed(drawn: str, picture: Picture, inks: Mapping[str, str] | None) -> str:
    """The `<svg>` element of `drawn`, with the picture's title and text alternative.

    inks: colour as drawn → what stands for it in a page, whose font it then takes, too; None: it
    is for a file of its own. Ids begin with the picture's name, so that pictures in one page do not
    share any.
    """
    text = _NOT_XML.sub(" ", drawn[drawn.index("<svg") :])
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # A rule for `*` would hold for everything else in the page, too.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = _TAG.sub(lambda tag: _tag(tag[0], picture.name, inks), text)
    text = re.sub(r">\s*\n\s*<", ">\n<", text)
    return re.sub(r"<svg ([^>]*)>", lambda m: _head(m[1], picture, inks), text, count=1)


def _tag(tag: str, name: str, inks: Mapping[str, str] | None) -> str:
    """One tag: with ids of its own, short numbers, and colours that the page decides on."""
    if tip := _TIP.fullmatch(tag):
        return f"<g><title>{tip[2]}</title>"
    tag = _ID.sub(rf"\g<1>{name}-", tag)
    # Of hatches: a variable counts in a style alone.
    tag = _FILL.sub(r'style="fill: \1"', tag)
    tag = _STYLE.sub(lambda style: f'style="{_style(style[1], inks)}"', tag)
    return _LONG.sub(_short, re.sub(r"\s+", " ", tag))


def _style(declarations: str, inks: Mapping[str, str] | None) -> str:
    if inks is None:
        return declarations
    without = _FAMILY.sub("", declarations).removesuffix("; ")
    return _COLOUR.sub(lambda colour: inks.get(colour[0], colour[0]), without)


def _short(number: re.Match[str]) -> str:
    """A hundredth of a point is finer than any screen."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _head(attributes: str, picture: Picture, inks: Mapping[str, str] | None) -> str:
    title, text = f"{picture.name}-title", f"{picture.name}-text"
    named = (
        "" if inks is None else f'role="img" aria-labelledby="{title}" aria-describedby="{text}" '
    )
    return (
        f'<svg {named}stroke-linejoin="round" stroke-linecap="butt" {attributes}>'
        f'<title id="{title}">{escape(_NOT_XML.sub(" ", picture.title))}</title>'
        f'<desc id="{text}">{escape(_NOT_XML.sub(" ", picture.text))}</desc>'
    )
