"""Makes the documents whose figures come from kept result sets: `make docs`.

Each `docs/templates/NAME.md.j2` becomes `docs/NAME.md` (README: the one at the top), with the
pictures that it shows. No figure is typed: what templates see is in `docs_sets.py`, what they may
say with it in `docs_words.py` and `docs_tables.py`. With --check nothing is written, and what
would change is told.
"""
# ruff: noqa: T201 (this is a program that talks)

from __future__ import annotations

import argparse
import difflib
import functools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from docs_sets import Explained, Figures, ratio, total
from docs_tables import TABLES
from docs_words import FILTERS, Claims, listing

from bench.errors import UsageError, VnetbenchError
from bench.metrics import DELAY_LOADS, METRICS, PACKET_RATES
from bench.probes import PROBES
from bench.why.causes import CAUSES

if TYPE_CHECKING:
    from bench.report.model import Picture

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "docs" / "templates"
SETS = ("reference", "reference-loaded", "reference-why")
"""Folders of the kept sets: the ladder, the ladder under load, and `vnetbench why`."""
_SUFFIX = ".md.j2"
_TEXTS = re.compile(r">([^<>]*\S[^<>]*)<")
"""Texts of an SVG."""
_NOTE = "<!-- Made by `make docs` from docs/templates/{}; change that. -->\n\n"


class Sets:
    """The kept sets, each read when a template asks for it."""

    def __init__(self, results: Path) -> None:
        self._folders = [results / name for name in SETS]

    @functools.cached_property
    def ladder(self) -> Figures:
        """Goodput and round-trip time of the ladder, both arms."""
        return Figures.of(self._folders[0])

    @functools.cached_property
    def loaded(self) -> Figures:
        """Packet rates, delays under load, and the ledger."""
        return Figures.of(self._folders[1])

    @functools.cached_property
    def why(self) -> Explained:
        """What makes one path slower than another."""
        return Explained.of(self._folders[2])


def picture_of(figures: Figures, name: str) -> Picture:
    """A picture of the report of a set. Raises UsageError where it has none of that name."""
    found = figures.pictures
    if name not in found:
        raise UsageError(f"{figures.results.path}: no picture {name}; there are {listing(found)}")
    return found[name]


@dataclass
class Document:
    """One template, rendered: its file, its text, and the pictures that it shows."""

    file: Path
    text: str = ""
    pictures: list[Picture] = field(default_factory=list)


def render(template: Path, sets: Sets) -> Document:
    """Render one template. Raises UsageError where the sets contradict it or lack a figure."""
    name = template.name.removesuffix(_SUFFIX)
    folder = ROOT if name == "README" else ROOT / "docs"
    document = Document(folder / f"{name}.md")

    def picture(figures: Figures, name: str) -> str:
        found = picture_of(figures, name)
        document.pictures.append(found)
        file = (ROOT / "docs" / f"{name}.svg").relative_to(folder)
        return f"![{_plain_text(found.text)}]({file})"

    environment = jinja2.Environment(  # noqa: S701 - this is Markdown, and all of it is ours
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=[Claims],
    )
    environment.filters |= FILTERS
    environment.globals |= TABLES
    environment.globals |= {"sets": sets, "picture": picture}
    environment.globals |= {"ratio": ratio, "total": total}
    environment.globals |= {"METRICS": METRICS, "PROBES": PROBES, "CAUSES": CAUSES}
    environment.globals |= {
        "packet_rates": [found[loss] for found in PACKET_RATES.values() for loss in (0.0, 0.005)],
        "loads": DELAY_LOADS,
        "delay_loads": [PROBES[f"delay_{load}"].metrics for load in DELAY_LOADS],
        "counts": PROBES["ledger"].metrics,
    }
    try:
        text = environment.get_template(template.name).render()
    except jinja2.TemplateError as error:
        raise UsageError(f"{template}: {error}") from None
    note = _NOTE.format(template.name)
    document.text = note + re.sub(r"\n{3,}", "\n\n", text)
    return document


def _plain_text(text: str) -> str:
    """A text alternative that ends no Markdown image."""
    return " ".join(text.replace("[", "(").replace("]", ")").split())


def documents(results: Path) -> Iterator[Document]:
    """Render all templates from the sets in the folder `results`."""
    sets = Sets(results)
    for template in sorted(TEMPLATES.glob(f"*{_SUFFIX}")):
        yield render(template, sets)


def files(document: Document) -> Iterator[tuple[Path, str]]:
    """Every file of a document with what it should hold."""
    from bench.report.theme import svg  # noqa: PLC0415 - it imports matplotlib

    yield document.file, document.text
    for picture in document.pictures:
        yield ROOT / "docs" / f"{picture.name}.svg", svg(picture, themed=False)


def differs(file: Path, wanted: str) -> list[str]:
    """How a file differs from what it should hold; of a picture, in what it says.

    Where matplotlib puts a line to the last decimal changes with its version.
    """
    found = file.read_text(encoding="utf-8") if file.exists() else ""
    if file.suffix == ".svg":
        said, wants = (Counter(_TEXTS.findall(text)) for text in (found, wanted))
        return [
            *(f"{file.name} does not say: {text}" for text in wants - said),
            *(f"{file.name} says: {text}" for text in said - wants),
        ]
    name = str(file.relative_to(ROOT))
    lines = (found.splitlines(), wanted.splitlines(), name, "as rendered")
    return list(difflib.unified_diff(*lines, lineterm="", n=0))


def left_over(shown: Iterable[Path]) -> list[Path]:
    """Pictures of earlier documents that none shows any more."""
    return sorted(set((ROOT / "docs").glob("*.svg")) - set(shown))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    parser.add_argument("--results", type=Path, default=ROOT / "results", help="where the sets are")
    given = parser.parse_args()
    try:
        wanted = {
            file: text for made in documents(given.results) for file, text in files(made)
        }  # All of them, before the first is written: a contradiction leaves everything as it was.
    except VnetbenchError as error:
        print(f"docs: {error}", file=sys.stderr)
        return error.exit_code
    if given.check:
        lines = [line for file, text in wanted.items() for line in differs(file, text)]
        lines += [f"{file.name} is shown nowhere" for file in left_over(wanted)]
        print("\n".join(lines), end="\n" if lines else "")
        return 1 if lines else 0
    for file, text in wanted.items():
        file.write_text(text, encoding="utf-8")
        print(f"docs: {file.relative_to(ROOT)}")
    for file in left_over(wanted):
        file.unlink()
        print(f"docs: removed {file.relative_to(ROOT)}, which is shown nowhere")
    return 0


if __name__ == "__main__":
    sys.exit(main())
