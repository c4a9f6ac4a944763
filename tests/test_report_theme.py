"""How pictures look: colours that can be read, and an SVG that can stand in a page with others."""

import io
import re
from functools import partial
from itertools import combinations

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.image import imread
from reporting import SVG, parsed, texts_in

from bench.report import theme
from bench.report.model import Picture
from bench.report.theme import INKS, SERIES, ink

READ = 4.5
"""Contrast that text needs (WCAG 2, level AA)."""
BACKGROUNDS = ("paper", "fill", "user", "kernel")
DECORATION = (*BACKGROUNDS, "line")
HREF = "{http://www.w3.org/1999/xlink}href"


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def drawn(name: str = "a", words: str = "veth", title: str = "Title") -> Picture:
    """A picture with something of everything that our pictures consist of."""
    return Picture(name, title, "In words: 5 < 7.", partial(draw, words))


def draw(words: str) -> Figure:
    figure = theme.new_figure(4, 3)
    axis = figure.add_subplot()
    (line,) = axis.plot(
        [1, 2, 3], [1, 10, 100], marker="o", markerfacecolor=ink("paper"), label="a"
    )
    theme.tip(line, words)
    axis.barh([1], [2], color=ink("user"))
    axis.barh([2], [2], facecolor=ink("fill"), edgecolor=ink("line"), hatch="//")
    axis.axvspan(1, 2, color=ink("fill"))
    axis.fill_between([1, 2], [1, 2], color=ink("kernel"))
    axis.errorbar([1], [1], yerr=[0.5], color=ink("bad"))
    axis.text(1, 1, words)
    axis.annotate("there", (1, 1), (2, 2), arrowprops={"arrowstyle": "->", "color": ink("dim")})
    axis.set(xlabel="x", ylabel="y", title="t", yscale="log")
    figure.legend(loc="outside upper left")
    return figure


# ---- colours ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_no_two_roles_share_a_colour(dark: bool) -> None:
    colours = [pair[dark] for pair in INKS.values()]
    assert len(set(colours)) == len(INKS)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    assert {str(number) for number in range(SERIES)} < INKS.keys()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("role", [role for role in INKS if role not in DECORATION])
def test_every_ink_can_be_read_on_paper_and_on_fill(role: str, dark: bool) -> None:
    for ground in ("paper", "fill"):
        assert contrast(INKS[role][dark], INKS[ground][dark]) >= READ


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("role", ["text", "dim", "good", "bad"])
def test_text_can_be_read_on_user_and_kernel_space(role: str, dark: bool) -> None:
    for ground in ("user", "kernel"):
        assert contrast(INKS[role][dark], INKS[ground][dark]) >= READ


def test_the_page_is_told_every_ink_in_light_and_dark() -> None:
    for dark in (False, True):
        told = dict(re.findall(r"--ink-(\w+): (#\w+);", theme.variables(dark)))
        assert told == {role: pair[dark] for role, pair in INKS.items()}


# ---- the SVG ------------------------------------------------------------------------------------


@pytest.mark.parametrize("themed", [False, True])
def test_a_picture_is_the_same_bytes_twice(themed: bool) -> None:
    assert theme.svg(drawn(), themed=themed) == theme.svg(drawn(), themed=themed)


def test_what_a_user_has_set_for_matplotlib_changes_nothing() -> None:
    before = theme.svg(drawn(), themed=True)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert theme.svg(drawn(), themed=True) == before
        assert mpl.rcParams["font.size"] == 30


def test_drawing_leaves_no_setting_behind() -> None:
    before = dict(mpl.rcParams)
    theme.svg(drawn(), themed=True)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("themed", [False, True])
def test_a_picture_has_a_title_and_a_text_for_those_who_do_not_see_it(themed: bool) -> None:
    root = parsed(drawn(title="A <b> title"), themed=themed)
    title, text = list(root)[:2]
    assert (title.tag, title.text) == (f"{SVG}title", "A <b> title")
    assert (text.tag, text.text) == (f"{SVG}desc", "In words: 5 < 7.")
    if themed:
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == title.get("id")
        assert root.get("aria-describedby") == text.get("id")


def test_two_pictures_in_one_page_share_no_id_and_every_reference_is_kept() -> None:
    ids: list[str] = []
    for name in ("first", "second"):
        root = parsed(drawn(name))
        own = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        references = [element.attrib[HREF] for element in root.iter() if HREF in element.attrib]
        text = theme.svg(drawn(name), themed=True)
        references += re.findall(r"url\(([^)]*)\)", text)
        assert references
        assert {reference.removeprefix("#") for reference in references} <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_no_colour_is_left_in_a_themed_picture_but_the_page_s() -> None:
    text = theme.svg(drawn(), themed=True)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\"])", text)
    assert not re.findall(r"rgba?\(|hsl|(?::|=\")\s*(?:black|white|red|gr[ae]y)\b", text)
    assert set(re.findall(r"var\(--ink-(\w+)\)", text)) <= INKS.keys()


def test_nothing_in_a_themed_picture_is_black_because_nobody_said_otherwise() -> None:
    """matplotlib leaves black out, as it is SVG's default."""
    root = parsed(drawn())
    for text in root.iter(f"{SVG}text"):
        assert "fill: var(--ink-" in text.attrib["style"], text.text
    for parent in root.iter():
        for element in parent:
            if element.tag == f"{SVG}path" and parent.tag not in (f"{SVG}defs", f"{SVG}clipPath"):
                assert re.search(r"fill: (none|var|url)", element.get("style", "")), element.attrib


def test_a_picture_refers_to_nothing_outside_and_styles_nothing_else() -> None:
    for themed in (False, True):
        text = theme.svg(drawn(), themed=themed)
        addresses = set(re.findall(r"\w+://[^\"'\s<]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert "<style" not in text
        assert "<script" not in text
        assert "<image" not in text


def test_a_picture_on_its_own_has_paper_and_a_font_in_a_page_it_takes_the_page_s() -> None:
    alone, themed = (theme.svg(drawn(), themed=themed) for themed in (False, True))
    assert alone.startswith("<?xml")
    assert ink("paper") in alone
    assert "sans-serif" in alone
    assert "var(" not in alone
    assert themed.startswith("<svg ")
    assert "font-family" not in themed


@settings(max_examples=10, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_text_stays_the_text_it_was(words: str) -> None:
    """Neither markup nor mathematics, whatever a path is called."""
    root = parsed(drawn(words=words))
    said = [element.text or "" for element in root.iter(f"{SVG}text")]
    kept = "".join(c if c not in "\ufffe\uffff" else " " for c in words)
    assert any(" ".join(kept.split()) == " ".join(text.split()) for text in said)


@pytest.mark.parametrize(
    "words",
    [
        "$x_1$ and $2",
        "<script>",
        "a & b",
        'id="x" url(#y)',
        "#1c2128",
        "style=",
        "a > b",
        "-0.123456",
    ],
)
def test_text_that_looks_like_markup_is_text(words: str) -> None:
    assert words in texts_in(drawn(words=words))
    tips = [title.text for title in parsed(drawn(words=words)).iter(f"{SVG}title")]
    assert words in tips


def test_what_xml_cannot_say_does_no_harm() -> None:
    assert parsed(drawn(words="a\x00b\x1b[31mc", title="\x01"))


def test_a_png_is_on_light_paper() -> None:
    image = imread(io.BytesIO(theme.png(drawn(), 100)))
    assert image.shape == (300, 400, 4)
    corner = [round(255 * float(part)) for part in image[0, 0, :3]]
    assert corner == [int(ink("paper")[n : n + 2], 16) for n in (1, 3, 5)]


def test_numbers_are_no_longer_than_a_screen_can_show() -> None:
    text = theme.svg(drawn(), themed=True)
    assert not re.findall(r"\d\.\d{3}", text)


def test_series_come_round_again_and_differ_until_then() -> None:
    assert ink(SERIES) == ink(0)
    assert all(ink(a) != ink(b) for a, b in combinations(range(SERIES), 2))
