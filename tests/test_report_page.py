"""The page of a report: one file that asks for nothing, reads everywhere and hides nothing."""

from __future__ import annotations

import csv
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browser import TEXTS, Seen, chromium, opened, seconds_to_open
from playwright.sync_api import Browser
from reports import EVIL, a_large_set, a_set, everything

from bench.report import theme
from bench.report.build import build
from bench.report.html import page
from bench.report.model import Report
from bench.results.read import SAMPLES

pytestmark = pytest.mark.slow

FOUND = "nav a, button, input, summary, .box[tabindex]"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return everything([a_set(folder / "old"), a_set(folder / "new")])


@pytest.fixture(scope="module")
def file(folder: Path, report: Report) -> Path:
    path = folder / "report.html"
    path.write_text(page(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def seen(browser: Browser, file: Path) -> Iterator[Seen]:
    with opened(browser, file) as found:
        yield found


# ---- one file, and nothing else -----------------------------------------------------------------


def test_a_page_asks_for_nothing_but_itself_and_its_console_stays_empty(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file, accept_downloads=True) as seen:
        for button in seen.page.locator("button").all():
            button.click()
        seen.page.wait_for_timeout(100)
        assert [url for url in seen.requests if not url.startswith(("blob:", "data:"))] == [
            file.as_uri()
        ]
        assert seen.complaints == []


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch(URL).catch(() => {})",
        "new Image().src = URL",
        "document.head.append(Object.assign(document.createElement('script'), {src: URL}))",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: URL}))",
        "document.body.style.background = `url(${URL})`",
        "navigator.sendBeacon(URL)",
        "document.head.append(Object.assign(document.createElement('link'),"
        " {rel: 'stylesheet', href: URL}))",
    ],
)
def test_a_page_cannot_ask_for_anything_whatever_runs_in_it(seen: Seen, attempt: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        seen.page.evaluate(f"() => {{ const URL = '{url}'; {attempt}; }}")
        seen.page.wait_for_timeout(100)
        assert received(server) == b""
    assert any("Content Security Policy" in said for said in seen.complaints)


def received(server: socket.socket) -> bytes:
    """What came in meanwhile; a browser may open a connection that it then asks nothing through."""
    found = b""
    server.settimeout(0.05)
    with suppress(TimeoutError):
        while True:
            connection, _ = server.accept()
            connection.settimeout(0.05)
            with connection, suppress(TimeoutError):
                found += connection.recv(1_000)
    return found


def test_the_file_names_nothing_outside_itself(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    targets = set(re.findall(r'(?:src|href|action|poster|data)="([^"]*)"', text))
    assert {target for target in targets if target[:1] != "#"} == {"data:,"}
    assert not re.search(r"<[^>]*\son\w+=", text)
    assert "@import" not in text
    outside = re.findall(r"https?://[^\s\"'<]+", text)
    assert set(outside) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_same_report_gives_the_same_bytes(file: Path, report: Report) -> None:
    assert page(report) == file.read_text(encoding="utf-8")


def test_a_variant_called_as_a_script_is_only_a_name(seen: Seen) -> None:
    headings = seen.page.locator("#table-cells tbody th").all_text_contents()
    assert EVIL in headings
    assert seen.page.locator("script").count() == 1 + 2  # its own, and two sets of raw values
    assert seen.complaints == []


def test_ids_are_unique(file: Path) -> None:
    ids = re.findall(r'\sid="([^"]*)"', file.read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids)) > 20


# ---- tables -------------------------------------------------------------------------------------


def column(seen: Seen, number: int, table: str = "many") -> list[str]:
    rows = seen.page.locator(f"#table-{table} tbody tr:not([hidden]) > :nth-child({number})")
    return rows.all_text_contents()


def rate(text: str) -> float:
    return float(text.removesuffix(" kbit/s"))


def test_a_table_is_sorted_by_its_numbers_with_a_click(seen: Seen) -> None:
    heading = seen.page.locator("#table-many thead th").nth(1)
    as_they_came = column(seen, 1)
    for order, reverse in (("ascending", False), ("descending", True)):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        *rates, last = column(seen, 2)
        assert last == "failed"
        assert list(map(rate, rates)) == sorted(map(rate, rates), reverse=reverse)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "none"
    assert column(seen, 1) == as_they_came


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_table_is_sorted_by_its_texts_from_the_keyboard(seen: Seen, key: str) -> None:
    button = seen.page.locator("#table-many thead button").first
    button.focus()
    seen.page.keyboard.press(key)
    found = column(seen, 1)
    assert found[:3] == ["row 0", "row 1", "row 2"]
    assert found[-1] == "row without"
    sorts = seen.page.locator("#table-many thead th").all()
    assert [s.get_attribute("aria-sort") for s in sorts] == ["ascending", *3 * ["none"]]


def test_a_filter_leaves_the_rows_that_have_all_its_words(seen: Seen) -> None:
    figure = seen.page.locator("#table-cells")
    assert figure.locator("input").count() == 1
    figure.locator("input").fill("VXLAN parity tcp")
    assert column(seen, 1, "cells") == ["vxlan", "vxlan"]  # of two sets
    assert figure.locator("output").text_content() == "2 of 24 rows"
    figure.locator("input").fill("")
    assert len(column(seen, 1, "cells")) == 24


def saved(seen: Seen, button: str) -> bytes:
    with seen.page.expect_download() as waiting:
        seen.page.locator(button).click()
    return Path(waiting.value.path()).read_bytes()


def test_a_table_is_downloaded_as_it_is_shown_with_its_figures_as_numbers(seen: Seen) -> None:
    seen.page.locator("#table-many thead button").nth(1).click()
    seen.page.locator("#table-many input").fill("odd")
    text = saved(seen, "#table-many [data-csv]").decode()
    header, first, *rest = text.splitlines()
    assert header == "name,rate,rate (number),what,interval,interval (low),interval (high)"
    assert first == 'row 7,250 kbit/s,250000,"1, ""odd""",248000 to 256000 bit/s,248000,256000'
    assert len(rest) == 29


def test_an_interval_is_sorted_by_its_width_and_downloaded_as_its_ends(seen: Seen) -> None:
    seen.page.locator("#table-many thead button").nth(3).click()
    rows = list(csv.DictReader(saved(seen, "#table-many [data-csv]").decode().splitlines()))
    *with_interval, without = rows
    ends = [(float(row["interval (low)"]), float(row["interval (high)"])) for row in with_interval]
    widths = [high - low for low, high in ends]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths) == 60
    assert without["name"] == "row without"
    assert (without["interval (low)"], without["interval (high)"]) == ("", "")


@pytest.mark.parametrize(("number", "name"), [(1, "old"), (2, "new")])
def test_the_raw_values_are_downloaded_as_they_are_stored(
    seen: Seen, folder: Path, number: int, name: str
) -> None:
    stored = (folder / name / SAMPLES).read_bytes()
    assert saved(seen, f'[data-file="samples-{number}.csv"]') == stored


def test_a_figure_is_downloaded_as_svg_on_light_paper(browser: Browser, file: Path) -> None:
    with opened(browser, file, color_scheme="dark") as seen:
        text = saved(seen, "#figure-lines [data-svg]").decode()
    root = ElementTree.fromstring(text)  # noqa: S314 - it is ours
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == f"Lines of {EVIL}"
    assert "var(" not in text
    assert theme.ink("paper") in text
    assert theme.ink(0) in text
    family = re.search(r"font-family: ([^;]*)", root.get("style", ""))
    assert family is not None, "the page's own font is not there outside of the page"
    assert family[1].split(", ") == [*theme.FAMILIES, "sans-serif"]


# ---- for everybody ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("toggled", [False, True])
def test_every_text_has_contrast_in_light_and_dark(
    browser: Browser, file: Path, scheme: str, toggled: bool
) -> None:
    with opened(browser, file, color_scheme=scheme) as seen:
        if toggled:
            seen.page.locator("#theme").click()
        dark = (scheme == "dark") != toggled
        paper = seen.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert paper == rgb(theme.INKS["paper"][dark])
        for details in seen.page.locator("details").all():
            details.locator("summary").click()
        found = seen.page.evaluate(TEXTS)
        assert len(found) > 300
        assert [each for each in found if each[1] < 4.5] == []


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_the_toggle_says_what_it_does_and_stores_nothing(seen: Seen) -> None:
    toggle = seen.page.locator("#theme")
    assert toggle.text_content() == "Dark colours"
    toggle.click()
    assert toggle.text_content() == "Light colours"
    assert seen.page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert seen.page.context.cookies() == []


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_narrow_screen_needs_no_scrolling_sideways(
    browser: Browser, file: Path, width: int
) -> None:
    with opened(browser, file, viewport={"width": width, "height": 640}) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        seen.page.evaluate("scrollTo(200, 0)")
        assert seen.page.evaluate("scrollX") == 0


def test_what_is_wider_than_a_phone_scrolls_in_a_box_that_has_the_keyboard(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file, viewport={"width": 360, "height": 640}) as seen:
        box = seen.page.locator("#table-cells .box")
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        box.focus()
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_function("box => box.scrollLeft > 0", arg=box.element_handle())


def test_headings_are_in_order_and_the_page_has_landmarks_and_a_language(seen: Seen) -> None:
    levels = seen.page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    for landmark in ("header", "main", "nav", "footer"):
        assert seen.page.locator(landmark).count() == 1
    assert seen.page.locator("html").get_attribute("lang") == "en"


def test_everything_that_can_be_used_or_seen_has_a_name(seen: Seen) -> None:
    tree = seen.page.context.new_cdp_session(seen.page).send("Accessibility.getFullAXTree")
    roles = {"button", "link", "searchbox", "image", "img", "table", "group", "figure", "heading"}
    nodes = [node for node in tree["nodes"] if not node.get("ignored")]
    found = [node for node in nodes if node["role"].get("value") in roles]
    assert {node["role"]["value"] for node in found} >= {"button", "link", "searchbox", "table"}
    nameless = [node for node in found if not node.get("name", {}).get("value", "").strip()]
    assert nameless == []


def test_the_tab_key_goes_through_the_page_in_the_order_of_reading(seen: Seen) -> None:
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    expected = seen.page.locator(f"main :is({FOUND})").count()
    seen.page.evaluate("window.stops = []")
    for _ in range(expected):
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate(
            """() => {
                const at = document.activeElement;
                window.stops.push(at);
                const style = getComputedStyle(at);
                return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
            }"""
        )
    assert seen.page.evaluate(
        """() => window.stops.every((stop, i) => i === 0 ||
            window.stops[i - 1].compareDocumentPosition(stop) & Node.DOCUMENT_POSITION_FOLLOWING)"""
    )
    assert seen.page.evaluate("new Set(window.stops).size") == expected


def test_a_page_reads_without_its_script(browser: Browser, file: Path) -> None:
    with opened(browser, file, java_script_enabled=False) as seen:
        assert seen.page.locator("#table-many tbody tr").count() == 61
        assert seen.page.locator("#figure-lines svg").is_visible()
        assert not any(each.is_visible() for each in seen.page.locator(".tools").all())
        assert seen.page.locator("thead button:enabled").count() == 0


# ---- paper --------------------------------------------------------------------------------------


def test_print_is_light_without_buttons_and_nothing_is_cut_off(
    browser: Browser, file: Path
) -> None:
    with opened(browser, file, color_scheme="dark", viewport={"width": 700, "height": 900}) as seen:
        seen.page.locator("#theme").click()
        seen.page.locator("#theme").click()
        seen.page.emulate_media(media="print", color_scheme="dark")
        colour = seen.page.evaluate("getComputedStyle(document.documentElement).color")
        assert colour == rgb(theme.INKS["text"][0])
        buttons = seen.page.locator(".tools button, #theme").all()
        assert buttons
        assert not any(button.is_visible() for button in buttons)
        cut = seen.page.evaluate(
            """[...document.querySelectorAll("table, svg")].filter(
                (each) => each.getBoundingClientRect().right > innerWidth + 1).length"""
        )
        assert cut == 0


def test_the_head_of_a_table_is_text_on_paper_so_that_it_is_repeated_on_every_sheet(
    seen: Seen,
) -> None:
    heading = seen.page.locator("#table-many thead th").nth(1)
    before = "th => getComputedStyle(th, '::before').content"
    assert heading.evaluate(before) == "none"
    seen.page.emulate_media(media="print")
    assert heading.evaluate(before) == '"rate"'
    assert not heading.locator("button").is_visible()


def test_a_page_prints_to_pdf(seen: Seen) -> None:
    printed = seen.page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1


# ---- size ---------------------------------------------------------------------------------------


def test_two_hundred_variants_are_less_than_3_mb_and_open_within_2_seconds(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(build([a_large_set(tmp_path / "large")])), encoding="utf-8")
    assert file.stat().st_size < 3e6
    assert min(seconds_to_open(browser, file) for _ in range(3)) < 2
