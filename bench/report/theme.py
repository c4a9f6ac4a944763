"""How pictures look: one palette, light and dark, and from matplotlib's figure to SVG and PNG.

matplotlib draws once, in the light colours. In a page each colour becomes a CSS variable,
`var(--ink-NAME)`, so that the page's own colours decide, in the dark, too; for that no two roles
may share a colour. Text stays text: it can be searched, copied and read aloud.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from bench.report.markup import TIP, dressed
from bench.report.model import Picture
from bench.saving import SOFTWARE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

INKS: dict[str, tuple[str, str]] = {
    "text": ("#1c2128", "#e4e8ee"),
    "dim": ("#5d6672", "#9aa4b1"),
    "line": ("#c9d0d8", "#3a434e"),
    "paper": ("#fdfdfe", "#14181d"),
    "fill": ("#eef1f5", "#20262d"),
    "user": ("#fbe9d7", "#3d2e1f"),
    "kernel": ("#e0ecf8", "#1d2f42"),
    "good": ("#17754a", "#4cc38a"),
    "bad": ("#bb3329", "#ff8176"),
    "0": ("#1f6fb4", "#62aef0"),
    "1": ("#ad4c08", "#f39b58"),
    "2": ("#0a756d", "#45c2b6"),
    "3": ("#8a3fa0", "#cd8fe0"),
    "4": ("#7a6a00", "#d3bd3a"),
    "5": ("#b02a63", "#f07fae"),
    "6": ("#4a5a9e", "#97a6ea"),
    "7": ("#547319", "#a5cb5b"),
    "8": ("#3f474f", "#c2c8cf"),
}
"""Role → its colour on light and on dark paper. Roles 0 to 8 are those of series; all but `line`,
`paper`, `fill`, `user` and `kernel` keep a contrast of 4.5:1 against `paper` and `fill`; `text`,
`dim`, `good` and `bad` against the last two as well."""

SERIES = 9
"""As many as the ladder has rungs."""
FAMILIES = ("DejaVu Sans", "Verdana", "Arial")
"""Fonts of a picture that is a file of its own, the best first; a page has its own."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
"""A series is told by its marker and its label, too, never by colour alone."""


def ink(role: str | int) -> str:
    """The colour to draw in; a number is a series', and they come round again."""
    return INKS[str(role % SERIES) if isinstance(role, int) else role][0]


def variables(dark: bool) -> str:
    """The palette as CSS declarations."""
    return " ".join(f"--ink-{role}: {pair[dark]};" for role, pair in INKS.items())


@contextmanager
def drawing() -> Iterator[None]:
    """Within, matplotlib draws as all our pictures look, whatever its user has set. No display is
    needed."""
    import matplotlib as mpl  # noqa: PLC0415 - it takes as long as everything else together

    with mpl.rc_context(), warnings.catch_warnings():
        # A script that the font lacks is drawn by the reader's own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Names of nothing but wide letters may leave no room; the picture is drawn all the same.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        mpl.rcdefaults()
        mpl.rcParams.update(_style())  # type: ignore[arg-type] # its keys are literals
        yield


def _style() -> dict[str, Any]:
    from cycler import cycler  # noqa: PLC0415

    return {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": FAMILIES,
        "font.size": 9,
        "text.parse_math": False,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.linewidth": 0.6,
        "grid.color": ink("line"),
        "axes.edgecolor": ink("dim"),
        "axes.labelcolor": ink("text"),
        "axes.titlecolor": ink("text"),
        "text.color": ink("text"),
        "patch.edgecolor": ink("dim"),
        "xtick.color": ink("dim"),
        "ytick.color": ink("dim"),
        "xtick.labelcolor": ink("text"),
        "ytick.labelcolor": ink("text"),
        "legend.frameon": False,
        "legend.labelcolor": ink("text"),
        "legend.fontsize": 9,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.prop_cycle": cycler(color=[ink(n) for n in range(SERIES)]),
    }


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
    if not themed:
        return (
            f'<?xml version="1.0" encoding="utf-8"?>\n{dressed(buffer.getvalue(), picture, None)}'
        )
    inks = {light: f"var(--ink-{role})" for role, (light, _) in INKS.items()}
    return dressed(buffer.getvalue(), picture, inks)


def png(picture: Picture, dots_per_inch: int = 150) -> bytes:
    """The picture on light paper, as PNG."""
    buffer = io.BytesIO()
    with drawing():
        figure = picture.draw()
        figure.savefig(
            buffer, format="png", dpi=dots_per_inch, facecolor=ink("paper"),
            metadata={"Software": SOFTWARE},
        )  # fmt: skip
    return buffer.getvalue()


def drawn(picture: Picture, kind: Literal["svg", "png"]) -> bytes:
    """A picture as a file of its own."""
    if kind == "png":
        return png(picture)
    header, _, rest = svg(picture, themed=False).encode().partition(b"\n")
    return b"\n".join((header, b"<!-- %b -->" % SOFTWARE.encode(), rest))


def tip(artist: Artist, text: str) -> None:
    """Show `text` where the pointer rests on `artist` in a page."""
    artist.set_gid(f"{TIP}{text}")


def described(parts: Sequence[str]) -> str:
    """Sentences of a text alternative, as one text."""
    return " ".join(part.rstrip(".") + "." for part in parts if part)
