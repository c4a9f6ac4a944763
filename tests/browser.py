"""Pages of reports in a real browser, which has no network to ask for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capabilities import require
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run"),
)
"""A container has no sandbox to give, and nothing but the page is to be asked for."""

TEXTS = """() => {
  const rgba = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const { parentElement: element, textContent } = walk.currentNode;
    if (!textContent.trim() || !element.getClientRects().length) continue;
    if (element.closest("script, style, title, desc, .skip")) continue;
    const style = getComputedStyle(element);
    const front = rgba(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
    found.push([textContent.trim(), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""
"""Every text that can be seen, with its contrast to what is behind it, as WCAG 2 counts it."""

OPENING = """() => {
  const [opened] = performance.getEntriesByType("navigation");
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  return Math.max(opened.loadEventEnd, painted ? painted.startTime : Infinity) / 1000;
}"""
"""Seconds from when the page was asked for until it was loaded and had been painted."""


@dataclass
class Seen:
    """A page that is open. requests: what it asked for; complaints: what its console says."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile."""
    require(CHROMIUM is not None, "needs Chromium (Debian's package chromium)")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, file: Path, **options: Any) -> Iterator[Seen]:
    """A page opened from the disk in a window of its own. options: of `Browser.new_context`."""
    options = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", **options}
    with browser.new_context(**options) as context:
        seen = Seen(context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("console", lambda said: seen.complaints.append(f"{said.type}: {said.text}"))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
        seen.page.goto(file.as_uri())
        yield seen


def seconds_to_open(browser: Browser, file: Path) -> float:
    """How long a page takes until it is loaded and painted, in a window that is new."""
    with opened(browser, file) as seen:
        seen.page.wait_for_function(
            "() => performance.getEntriesByName('first-contentful-paint').length > 0"
            " && performance.getEntriesByType('navigation')[0].loadEventEnd > 0"
        )
        return float(seen.page.evaluate(OPENING))
