"""Files that the user named: what may be overwritten is one rule for every command.

What vnetbench wrote before is replaced, anything else is not; and no file of a result set ever is,
whatever the user insists on, for it cannot be measured again.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.errors import UsageError
from bench.files import replace_file
from bench.results.read import HEADER, RUN, SAMPLES

SOFTWARE = "made by vnetbench report"
"""By this a picture's file is known to be ours."""
TEXT = f"<!-- {SOFTWARE} -->"
"""By this a report as Markdown is."""
PAGE = '<meta name="generator" content="vnetbench'
"""By this a page is."""
_MARKS = re.compile("|".join(map(re.escape, (PAGE, SOFTWARE))).encode())
_NAME = r'"(?:[^"\\]|\\.)*"'
_DATA = re.compile(
    "|".join(
        (
            re.escape(f"{HEADER}\n"),
            re.escape(f"set,{HEADER}\n"),
            r'\{\s*"format": 1,\s*"sets": \[\s*\{\s*"name": ',  # report
            r"### vnetbench gate ",
            r"# TYPE vnetbench_|# EOF\n\Z",  # openmetrics
            rf'\{{\s*{_NAME}: \{{\s*{_NAME}: \{{\s*"value": |\{{\}}\s*\Z',  # bencher
            rf'\[\s*\{{\s*"name": "[^"\[]+\[{_NAME[1:]},\s*"unit": |\[\]\s*\Z',  # github-action-…
        )
    ).encode()
)
"""How data begin that have no room for a mark: their formats belong to others."""
_HEAD = 2_000
"""Bytes of a file in which it says whose it is."""
_PICTURED = (".html", ".md", ".svg", ".png")
"""What a result set may be given beside what was measured: what people look at."""


def save(path: Path, data: bytes, *, option: str = "-o", force: bool | None = None) -> Path:
    """Put `data` in the file `path`, whole or not at all, and return that.

    option: by which the user named it. force: also over what is not ours; None: the command has no
    such option. Raises UsageError as `check` does, and where it cannot be written.
    """
    check(path, option=option, force=force)
    try:
        replace_file(path, data)
    except OSError as error:
        raise _unwritable(path, error, option) from None
    return path


def check(path: Path, *, option: str = "-o", force: bool | None = None) -> None:
    """Raise UsageError where `save` would not write, which may be asked before long work."""
    try:
        _refuse_places(path, option)
        if path.exists() and not force and not _is_ours(path):
            insist = "" if force is None else ", or add --force"
            raise UsageError(
                f"{path}: exists and was not written by vnetbench; name another file with {option}"
                f"{insist}"
            )
    except OSError as error:
        raise _unwritable(path, error, option) from None


def _unwritable(path: Path, error: OSError, option: str) -> UsageError:
    return UsageError(
        f"{path}: cannot be written: {error.strerror}; name another place with {option}"
    )


def _refuse_places(path: Path, option: str) -> None:
    """Refuse where nothing is ever written."""
    folder = path.parent
    if not folder.is_dir():
        raise UsageError(
            f"{path}: cannot be written: there is no folder {folder}; name another place with "
            f"{option}"
        )
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "not a regular file"
        raise UsageError(f"{path}: is {what}; name a file with {option}")
    found = _set_around(folder.resolve())
    if found and not _is_beside(path):
        raise UsageError(
            f"{path}: is in the result set {found.name}, where only pages and pictures of ours are "
            f"written; name another place with {option}"
        )


def _set_around(folder: Path) -> Path | None:
    """The result set whose folder, or a folder of which, this is."""
    places = (folder, folder.parent)
    return next((p for p in places if all((p / f).exists() for f in (RUN, SAMPLES))), None)


def _is_beside(path: Path) -> bool:
    """Whether it is a page, a text or a picture, and takes the place of such a one at the most."""
    if path.suffix.lower() not in _PICTURED:
        return False
    return not path.exists() or _MARKS.search(_head(path)) is not None


def _is_ours(path: Path) -> bool:
    """Whether vnetbench wrote it, or nobody anything yet, as mktemp does."""
    head = _head(path)
    return not head or any((_MARKS.search(head), _DATA.match(head)))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
