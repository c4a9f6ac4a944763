"""How pictures look: one palette, light and dark, and from matplotlib's figure to SVG and PNG.

matplotlib draws once, in the light colours. In a page each colour becomes a CSS variable,
`var(--ink-NAME)`, so that the page's own colours decide, in the dark, too; for that no two roles
may share a colour. Text stays text: it can be searched, copied and read aloud.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from bench.report.model import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INKS: dict[str, tuple[str, str]] = {
    "text": ("#1c2128", "#e4e8ee"),
    "dim": ("#5d6672", "#9aa4b1"),
    "line": ("#c9d0d8", "#3a434e"),
    "paper": ("#fdfdfe", "#14181d"),
    "fill": ("#eef1f5", "#20262d"),
    "user": ("#fbe9d7", "#3d2e1f"),
    "kernel": ("#e0ecf8", "#1d2f42"),
    "good": ("#1a7f4b", "#4cc38a"),
    "bad": ("#c2352b", "#ff8176"),
    "0": ("#1f6fb4", "#62aef0"),
    "1": ("#c4570c", "#f39b58"),
    "2": ("#0b7d75", "#45c2b6"),
    "3": ("#8a3fa0", "#cd8fe0"),
    "4": ("#7a6a00", "#d3bd3a"),
    "5": ("#b02a63", "#f07fae"),
    "6": ("#4a5a9e", "#97a6ea"),
    "7": ("#5c7d1e", "#a5cb5b"),
}
"""Role → its colour on light and on dark paper. Roles 0 to 7 are those of series; all but `line`,
`paper`, `fill`, `user` and `kernel` keep 4.5:1 against `paper`, and text on the last three too."""

SERIES = 8
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""A series is told by its marker and its label, too, never by colour alone."""


def ink(role: str | int) -> str:
    """The colour to draw in; a number is a series', and they come round again."""
    return INKS[str(role % SERIES) if isinstance(role, int) else role][0]


def variables(dark: bool) -> str:
    """The palette as CSS declarations."""
    return " ".join(f"--ink-{role}: {pair[dark]};" for role, pair in INKS.items())


@contextmanager
def drawing() -> Iterator[None]:
    """Within, matplotlib draws as all our pictures look. No display is needed."""
    import matplotlib as mpl  # noqa: PLC0415 - it takes as long as everything else together

    mpl.use("Agg")
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.linewidth": 0.6,
            "grid.color": ink("line"),
            "axes.edgecolor": ink("dim"),
            "axes.labelcolor": ink("text"),
            "axes.titlecolor": ink("text"),
            "text.color": ink("text"),
            "xtick.color": ink("dim"),
            "ytick.color": ink("dim"),
            "xtick.labelcolor": ink("text"),
            "ytick.labelcolor": ink("text"),
            "legend.frameon": False,
            "legend.labelcolor": ink("text"),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "axes.prop_cycle": mpl.cycler(color=[ink(n) for n in range(SERIES)]),
        }
    ):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, its layout constrained; no window knows of it."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, height), layout="constrained")


def svg(picture: Picture, *, themed: bool) -> str:
    """The picture as one `<svg>` element with its title and its text alternative.

    themed: for a page that declares `variables`, without an XML header; otherwise a file of its
    own, on light paper. The same picture gives the same bytes.
    """
    import matplotlib as mpl  # noqa: PLC0415

    buffer = io.StringIO()
    with drawing(), mpl.rc_context({"svg.hashsalt": picture.name}):
        figure = picture.draw()
        if not themed:
            figure.set_facecolor(ink("paper"))
        figure.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None},
            facecolor=figure.get_facecolor(),
        )  # fmt: skip
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{picture.name}-", text)
    head = (
        f'<svg role="img" aria-labelledby="{picture.name}-title {picture.name}-text" '
        if themed
        else "<svg "
    )
    about = (
        f'<title id="{picture.name}-title">{escape(picture.title)}</title>'
        f'<desc id="{picture.name}-text">{escape(picture.text)}</desc>'
    )
    text = re.sub(r"<svg ([^>]*)>", lambda m: f"{head}{m[1]}>{about}", text, count=1)
    if themed:
        for role, (light, _) in INKS.items():
            text = text.replace(light, f"var(--ink-{role})")
    return text if themed else f'<?xml version="1.0" encoding="utf-8"?>\n{text}'


def png(picture: Picture, dots_per_inch: int = 150) -> bytes:
    """The picture on light paper, as PNG."""
    buffer = io.BytesIO()
    with drawing():
        figure = picture.draw()
        figure.savefig(buffer, format="png", dpi=dots_per_inch, facecolor=ink("paper"))
    return buffer.getvalue()


def described(parts: Sequence[str]) -> str:
    """Sentences of a text alternative, as one text."""
    return " ".join(part.rstrip(".") + "." for part in parts if part)
