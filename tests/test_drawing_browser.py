"""Drawings as a browser shows them, in its own fonts: texts are as far apart as they were meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium, opened
from files import NAMES, shipped
from playwright.sync_api import Browser

from bench.drawing.picture import picture_of
from bench.report import theme
from bench.scenario import find, variants

pytestmark = pytest.mark.slow

PEERS = ("macvtap", "qemu", "openvpn-tap", "pasta-pair", "xfrm-tunnel", "wireguard")
MEETING = """(slack) => {
const found = [];
for (const svg of document.querySelectorAll("svg")) {
  const edge = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")]
    .map((text) => [text.textContent, text.getBoundingClientRect()]);
  texts.forEach(([name, a], i) => {
    if (a.left < edge.left || a.right > edge.right || a.top < edge.top || a.bottom > edge.bottom)
      found.push(`${svg.id}: ${name} is outside`);
    for (const [other, b] of texts.slice(i + 1))
      if (a.left < b.right && b.left < a.right
          && a.top < b.bottom - slack && b.top < a.bottom - slack)
        found.push(`${svg.id}: ${name} meets ${other}`);
  });
}
return [document.querySelectorAll("svg text").length, found];
}"""
SLACK = 4
"""A browser's box of a text is as high as its font, ascenders, descenders and all: lines of one box
may share so many pixels of that."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def meeting(browser: Browser, page: str, folder: Path) -> tuple[int, list[str]]:
    """How many texts the drawings of a page have, and what is wrong with them."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    with opened(browser, file) as seen:
        texts, found = seen.page.evaluate(MEETING, SLACK)
    return texts, found


@pytest.mark.parametrize("font", ["", "Arial, 'Liberation Sans', sans-serif", "serif"])
def test_texts_do_not_meet_in_a_browser(browser: Browser, font: str, tmp_path: Path) -> None:
    """In the fonts that the drawing asks for, and in those of machines that have none of them."""
    given = (
        [shipped(name) for name in (*NAMES[::2], *PEERS)] if not font else [shipped("flannel-udp6")]
    )
    given += variants(find(["flannel-udp"]), ["hops=16"])
    svgs = "".join(
        theme.svg(picture_of(v.name, v.scenario), themed=True).replace(
            "<svg ", f'<svg id="{v.name}" ', 1
        )
        for v in given
    )
    other = f"svg text {{ font-family: {font} !important }}" if font else ""
    page = (
        f"<!doctype html><meta charset=utf-8><style>:root {{ {theme.variables(dark=False)} }}"
        f" svg {{ display: block }} {other}</style><body>{svgs}"
    )
    texts, found = meeting(browser, page, tmp_path)
    assert found == []
    assert texts > 50


def test_texts_that_do_meet_are_found(browser: Browser, tmp_path: Path) -> None:
    svg = '<svg id="a" width="99" height="99"><text y="50">x</text><text y="52">y</text></svg>'
    assert meeting(browser, f"<body>{svg}", tmp_path) == (2, ["a: x meets y"])
