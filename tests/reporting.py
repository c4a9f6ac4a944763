"""What tests of reports share: sets of any measurements, and looking at pictures."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import msgspec
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bench.metrics import DELAY_PERCENTILES, METRICS, delay_id
from bench.native.delay import Arrived, bucket_of
from bench.native.traffic import Sent, Tally
from bench.percentiles import SLICES, Counts
from bench.probes import Measurement
from bench.probes.delay import BASE_RATE, judge
from bench.probes.paced import Found, Offer
from bench.report import theme
from bench.report.model import Field, Picture, Section, Table
from bench.report.sources import Sources
from bench.results import PlannedTrial, ResultSet, ResultWriter, Run, Sample, load
from bench.results.model import Completed

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parents[1]


def write_measured(
    path: Path, run: Run, measure: Callable[[PlannedTrial], Measurement | str]
) -> ResultSet:
    """A complete set of what `measure` gives; a text is why a trial failed."""
    with ResultWriter.create(path, run) as writer:
        for trial in writer.pending():
            given = measure(trial)
            if isinstance(given, str):
                writer.record_failure(trial, given)
            else:
                writer.record(trial, given)
        return load(writer.finish())


def many_measured(
    path: Path, run: Run, measure: Callable[[PlannedTrial], Measurement]
) -> ResultSet:
    """The same as it would be read, of a run so large that a trial's two syncs to disk are long."""
    samples: list[Sample] = []
    for trial in run.plan:
        given = measure(trial)
        for metric, values in given.samples.items():
            name, unit = trial.variant.split("[")[0], METRICS[metric].unit
            where = (name, trial.variant, trial.arm, metric, unit, trial.block, trial.trial)
            samples += [Sample(*where, value) for value in values]
        for tool, data in given.raw.items():
            (path / tool).mkdir(parents=True, exist_ok=True)
            (path / tool / f"{trial.trial}.json").write_bytes(data)
    completed = tuple(Completed(trial.trial, run.started) for trial in run.plan)
    done = msgspec.structs.replace(run, status="complete", completed=completed)
    return ResultSet(path, done, tuple(samples), torn=False)


def delayed(
    load_: int, delays: Sequence[float], *, sent: Sequence[float] = (), lost: int = 0, late: int = 0
) -> Measurement:
    """What the probe of a load gives whose datagrams took `delays`, in seconds.

    sent: the same from when they were handed over. lost: datagrams more, that never arrived.
    late: of all, those that were sent a second late. There are SLICES of them or a multiple.
    """
    count = len(delays) + lost
    slices = tuple(_counts(delays[n::SLICES]) for n in range(SLICES))
    found = Found(
        Offer(10_000.0, count, poisson=False, sleeps=False, seed=1),
        replace(Tally(Sent).read(), packets=count),
        replace(Tally(Arrived).read(), unique=len(delays)),
        True,
        _counts([1e-7] * (count - late) + [1.0] * late),
        slices,
        tuple(_counts(sent[n::SLICES]) for n in range(SLICES)) if sent else slices,
    )
    kept = judge(found, 20_000.0)
    return Measurement(
        {
            delay_id(load_, name): [percentile.intended]
            for name in DELAY_PERCENTILES
            if (percentile := kept.percentiles[name]).intended is not None
            and not percentile.left_out
        },
        raw={f"delay_{load_}": msgspec.json.encode(kept)},
        conditions={BASE_RATE: kept.base_rate},
    )


def _counts(seconds: Sequence[float]) -> Counts:
    counts: dict[int, int] = {}
    for value in seconds:
        bucket = bucket_of(round(value * 1e9))
        counts[bucket] = counts.get(bucket, 0) + 1
    return dict(sorted(counts.items()))


# ---- sections -----------------------------------------------------------------------------------


def sources(sets: Sequence[ResultSet]) -> Sources:
    """What a section is made from."""
    return Sources(tuple(sets))


def made(section: Section | None) -> Section:
    """A section that there has to be, in which everything is as the model says."""
    assert section is not None
    blocks = [*pictures_of(section), *tables_of(section)]
    names = [block.name for block in blocks]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)
    for table in tables_of(section):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    return section


def pictures_of(section: Section) -> list[Picture]:
    return [block for block in section.blocks if isinstance(block, Picture)]


def tables_of(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def row_of(table: Table, name: str) -> dict[str, Field]:
    """Column → field of the row that begins with `name`."""
    (row,) = (row for row in table.rows if row[0].text == name)
    return {column.title: field for column, field in zip(table.columns, row, strict=True)}


# ---- pictures -----------------------------------------------------------------------------------


def parsed(picture: Picture, *, themed: bool = True) -> ElementTree.Element:
    """The picture's SVG; it has to be well-formed."""
    return ElementTree.fromstring(theme.svg(picture, themed=themed))  # noqa: S314 - our own


def texts_in(picture: Picture) -> list[str]:
    """What is written in a picture."""
    return [element.text or "" for element in parsed(picture).iter(f"{SVG}text")]


def crowded(picture: Picture) -> list[str]:
    """Texts that lie over each other or reach out of the picture; none in a good one."""
    with theme.drawing():
        figure = picture.draw()
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        boxes = {
            (number, text.get_text()): text.get_window_extent()
            for number, text in enumerate(figure.findobj(Text))
            if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
        }
        visible = {key: box for key, box in boxes.items() if box.width > 0}
        edge = figure.bbox
    outside = [text for (_, text), box in visible.items() if not _within(box, edge)]
    return [*outside, *_overlapping(visible)]


def _overlapping(boxes: dict[tuple[int, str], Bbox]) -> Iterator[str]:
    for ((_, one), a), ((_, other), b) in combinations(boxes.items(), 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > 1 and height > 1:
            yield f"{one!r} and {other!r}"


def _within(box: Bbox, edge: Bbox) -> bool:
    slack = 1.0
    return bool(
        box.x0 >= edge.x0 - slack
        and box.x1 <= edge.x1 + slack
        and box.y0 >= edge.y0 - slack
        and box.y1 <= edge.y1 + slack
    )
