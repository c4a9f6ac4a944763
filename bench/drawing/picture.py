"""The drawing of a scenario as a picture of a report, or a file of its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench import saving
from bench.drawing import words
from bench.drawing.figure import figure_of
from bench.drawing.plan import Plan, plan_of
from bench.drawing.way import way_of
from bench.errors import UsageError
from bench.report import theme
from bench.report.model import Picture
from bench.report.naming import slug
from bench.scenario import Scenario, Variant


def picture_of(name: str, scenario: Scenario, plan: Plan | None = None) -> Picture:
    """Draw a scenario that has been checked. name: of the variant; plan: if it is known already."""
    way = way_of(scenario)
    return Picture(
        name=slug("topology", name),
        title=f"{name}: {scenario.title}",
        text=theme.described([scenario.title, *words.in_words(scenario, way)]),
        draw=partial(figure_of, plan or plan_of(scenario, way)),
    )


def save(variant: Variant, file: Path, *, option: str, force: bool) -> None:
    """Draw a variant to a file, as what its suffix says.

    option, force: as of `bench.saving.save`. Raises UsageError in one line.
    """
    if file.suffix not in (".svg", ".png"):
        raise UsageError(f"{file}: a drawing is an .svg or a .png file; expected one of the two")
    saving.check(file, option=option, force=force)
    picture = picture_of(variant.name, variant.scenario)
    data = theme.drawn(picture, "png" if file.suffix == ".png" else "svg")
    saving.save(file, data, option=option, force=force)
