"""`vnetbench report`: result sets as a page to look at, or as text, pictures or data."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.cli.completers import result_sets
from bench.cli.options import examples, force_option, json_option, print_json, refuse_beside
from bench.errors import UsageError
from bench.results import load
from bench.saving import save

if TYPE_CHECKING:
    from bench.report.model import Picture, Report, Table
    from bench.results import ResultSet

Format = Literal["html", "md", "svg", "png", "csv", "json"]
FORMATS: tuple[Format, ...] = ("html", "md", "svg", "png", "csv", "json")
_RESULTS = Path("results")
_NAME = "report.html"
_STDOUT = Path("-")
_WORDS: dict[Format, str] = {
    "html": "Report",
    "md": "Report",
    "svg": "Figure",
    "png": "Figure",
    "csv": "Data",
    "json": "Data",
}
"""What the files of a format are called."""
_SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
"""Variables without which a browser would have nowhere to open a window."""


@click.command(
    epilog=examples(
        "vnetbench report --open",
        "vnetbench report results/old results/new -o report.html",
        "vnetbench report results/a --format md -o appendix.md",
        "vnetbench report results/a --list",
    )
)
@click.argument(
    "runs",
    nargs=-1,
    metavar="[RUN]...",
    type=click.Path(path_type=Path),
    shell_complete=result_sets,
)
@click.option(
    "-o",
    "place",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where it goes, - for standard output [html: report.html, in RUN if that is one; "
    "md, csv, json: standard output]. A PATH without an ending is a folder to md, svg and png; "
    "of md it also gets the figures.",
)
@click.option(
    "--format", "given", type=click.Choice(FORMATS), help="[that of PATH's ending, or html]"
)
@click.option("--figure", "figures", multiple=True, metavar="NAME", help="Of svg, png only this.")
@click.option("--list", "listing", is_flag=True, help="Say what figures and tables there are.")
@force_option("PATH")
@click.option("--open", "opening", is_flag=True, help="Open the page in a browser.")
@json_option
def report(
    runs: tuple[Path, ...],
    place: Path | None,
    given: Format | None,
    figures: tuple[str, ...],
    listing: bool,
    force: bool,
    opening: bool,
    as_json: bool,
) -> None:
    """Make a report of result sets: one HTML file that needs no network.

    RUN is the folder of a result set; without one it is the newest of your own in results/.
    Several stand side by side, and each after the first is compared with the first. What vnetbench
    wrote is overwritten, anything else is not, and no file of a result set ever is.
    """
    format_ = given or _format_of(place, figures)
    if listing:
        refuse_beside("listing", "runs", "as_json")
    _refuse_useless(format_, place, figures, opening=opening)
    if as_json and not listing and _is_printed(format_, place):
        raise UsageError("--json names the files that were written; name one with -o")
    sets = _load(runs)
    if listing:
        _list(_built(sets), as_json)
        return
    files = _written(sets, format_, figures, place, force=force)
    if opening and not _opened(files[0]):
        click.echo("There is no browser here; open it where there is one.", err=True)
    if as_json:
        print_json({"format": 1, "kind": format_, "files": [str(file) for file in files]})
        return
    for file in files:
        click.echo(f"{_WORDS[format_]}: {file}")


def _written(
    sets: list[ResultSet],
    format_: Format,
    figures: Sequence[str],
    place: Path | None,
    *,
    force: bool,
) -> list[Path]:
    """Write what was asked for; returns the files, the text's alone of one with its pictures."""
    match format_:
        case "csv" | "json":
            return _save_data(sets, format_, place, force=force)
        case "html":
            return _save_page(_built(sets), place, force=force)
        case "md":
            return _save_text(_built(sets), place, force=force)
        case _:
            return _save_figures(_built(sets), format_, figures, place, force=force)


def _built(sets: Sequence[ResultSet]) -> Report:
    from bench.report.build import build  # noqa: PLC0415 - it needs numpy

    return build(sets)


def _format_of(place: Path | None, figures: Sequence[str]) -> Format:
    """The format that is meant where none was named."""
    ending = place.suffix.lower().lstrip(".") if place else ""
    named = next((format_ for format_ in FORMATS if format_ == ending), None)
    return named or ("svg" if figures else "html")


def _refuse_useless(
    format_: Format, place: Path | None, figures: Sequence[str], *, opening: bool
) -> None:
    """Refuse options that would have no effect."""
    if figures and format_ not in ("svg", "png"):
        raise UsageError(f"--figure goes with --format svg or png, not with {format_}")
    if opening and (format_ != "html" or place == _STDOUT):
        raise UsageError("--open goes with a page in a file; leave out --format, or -o -")
    if format_ in ("svg", "png") and place is None:
        raise UsageError(f"--format {format_} needs a folder; name one with -o")


def _is_printed(format_: Format, place: Path | None) -> bool:
    """Whether it goes to standard output."""
    return place == _STDOUT or (place is None and format_ in ("md", "csv", "json"))


def _load(runs: Sequence[Path]) -> list[ResultSet]:
    from bench.report.newest import newest  # noqa: PLC0415

    if twice := [str(path) for path in dict.fromkeys(runs) if list(runs).count(path) > 1]:
        raise UsageError(f"{', '.join(twice)}: is named twice")
    return [load(path) for path in runs or (newest(_RESULTS),)]


def _list(found: Report, as_json: bool) -> None:
    from bench.report.build import pictures, tables  # noqa: PLC0415

    blocks: dict[str, Sequence[Picture | Table]] = {
        "figure": pictures(found),
        "table": tables(found),
    }
    if as_json:
        named = {
            f"{kind}s": [{"name": block.name, "title": block.title} for block in of_kind]
            for kind, of_kind in blocks.items()
        }
        print_json({"format": 1, **named})
        return
    for kind, of_kind in blocks.items():
        for block in of_kind:
            click.echo(f"{kind:8}{block.name:32}{block.title}")


def _is_file(place: Path) -> bool:
    """Whether a place that may be a folder is a file: it is one, or would be by its name."""
    return place.is_file() or (bool(place.suffix) and not place.is_dir())


# ---- one function a format: writes, or prints and returns no file -------------------------------


def _save_page(found: Report, place: Path | None, *, force: bool) -> list[Path]:
    from bench.report.html import page  # noqa: PLC0415

    if place == _STDOUT:
        click.echo(page(found), nl=False)
        return []
    if place is None:
        place = found.sets[0].path / _NAME if len(found.sets) == 1 else Path(_NAME)
    elif place.is_dir():
        place /= _NAME
    return [save(place, page(found).encode(), force=force)]


def _opened(page: Path) -> bool:
    """Open a page where there is a window to open it in; whether that was done."""
    if not any(os.environ.get(name) for name in _SCREENS):
        return False
    return webbrowser.open(page.absolute().as_uri())


def _save_text(found: Report, place: Path | None, *, force: bool) -> list[Path]:
    from bench.report import files, markdown  # noqa: PLC0415

    if place is None or place == _STDOUT:
        click.echo(markdown.text(found, linked=False), nl=False)
        return []
    if _is_file(place):
        return [save(place, markdown.text(found, linked=False).encode(), force=force)]
    return [files.save_text(found, place, force=force)]


def _save_figures(
    found: Report, kind: Literal["svg", "png"], names: Sequence[str], place: Path | None, *,
    force: bool,
) -> list[Path]:  # fmt: skip
    from bench.report import files, theme  # noqa: PLC0415

    chosen = files.select(found, names)
    if place is None or not (place == _STDOUT or _is_file(place)):
        return files.save_pictures(chosen, place or Path(), kind, force=force)
    if len(chosen) != 1:
        raise UsageError(f"{place}: holds one figure; name it with --figure, or name a folder")
    data = theme.drawn(chosen[0], kind)
    if place == _STDOUT:
        click.echo(data, nl=False)
        return []
    return [save(place, data, force=force)]


def _save_data(
    sets: Sequence[ResultSet], format_: Literal["csv", "json"], place: Path | None, *, force: bool
) -> list[Path]:
    from bench.report import data  # noqa: PLC0415

    text = data.csv(sets) if format_ == "csv" else data.json(sets)
    if place is None or place == _STDOUT:
        click.echo(text, nl=False)
        return []
    return [save(place, text.encode(), force=force)]
