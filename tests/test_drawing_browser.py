"""Drawings as a browser shows them, in its own fonts: texts are as far apart as they were meant."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from capabilities import require
from files import NAMES, shipped

from bench.drawing.picture import picture_of
from bench.report import theme
from bench.scenario import find, variants

PEERS = ("macvtap", "qemu", "openvpn-tap", "pasta-pair", "xfrm-tunnel", "wireguard")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"),
)
MEETING = """
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
          && a.top < b.bottom - SLACK && b.top < a.bottom - SLACK)
        found.push(`${svg.id}: ${name} meets ${other}`);
  });
}
const texts = document.querySelectorAll("svg text").length;
document.body.innerHTML = `<pre id="found">${JSON.stringify({ texts, found })}</pre>`;
"""
"""A browser's box of a text is as high as its font, ascenders, descenders and all: lines of one box
may share SLACK of that."""


def seen(page: str, folder: Path) -> dict[str, object]:
    """What the script at the end of a page has found."""
    require(CHROMIUM is not None, "needs Chromium (Debian's package chromium)")
    file = folder / "page.html"
    file.write_text(page)
    words = [
        str(CHROMIUM),
        *QUIET,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        file.as_uri(),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-500:]
    told: dict[str, object] = json.loads(unescape(found[1]))
    return told


@pytest.mark.parametrize("font", ["", "Arial, 'Liberation Sans', sans-serif", "serif"])
def test_texts_do_not_meet_in_a_browser(font: str, tmp_path: Path) -> None:
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
        f"<script>const SLACK = 4;{MEETING}</script>"
    )
    told = seen(page, tmp_path)
    assert told["found"] == []
    assert int(str(told["texts"])) > 50


def test_texts_that_do_meet_are_found(tmp_path: Path) -> None:
    svg = '<svg id="a" width="99" height="99"><text y="50">x</text><text y="52">y</text></svg>'
    told = seen(f"<body>{svg}<script>const SLACK = 4;{MEETING}</script>", tmp_path)
    assert told["found"] == ["a: x meets y"]
