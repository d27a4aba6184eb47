"""Text for messages: names made safe to print, close matches, counts."""

from __future__ import annotations

import itertools
import numbers
import os
import re
import unicodedata
from collections.abc import Iterable

# Categories that move the cursor, change direction or do not show: control, format, surrogate, private use,
# unassigned, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

MAX_NAME = 1000
"""Characters of a name in a file that are shown. Keras gives no longer ones; HDF5 allows hundreds of millions."""

# name:password@ or token@ of a URL; the second kind of password has a slash that should have been %2F, and is
# no port and path. A Path of a URL has one slash after the scheme.
_SECRET = re.compile(r"(?:(?<=://)|(?<=\w\w:/))(?:([^\s/?#@:]*:)(?:[^/?#]*|(?!\d*[/?#])[^\s@]*)|[^\s/?#@:]+)@")


def without_password(text: str) -> str:
    """Return a URL with its password hidden: ``http://user:***@host/``. Text without a URL is unchanged."""
    return _SECRET.sub(lambda match: f"{match[1] or ''}***@", text) if ":/" in text and "@" in text else text


_USER = re.compile(r"://(?![^\s/?#@:]*:?\*\*\*@[^\s@]*(?:\s|$))\S*@")
_QUERY = re.compile(r"(://[^\s?]*)\?\S+")


def without_secrets(text: str) -> str:
    """Return a text that may be shown to others: of URLs, without all that could give access.

    More is hidden than by :func:`without_password`, which messages on the user's own screen use: whatever stands before
    the last ``@``, should a password hold an ``@`` or a ``/`` itself, and all behind a question mark.
    """
    return _QUERY.sub(r"\1?***", _USER.sub("://***@", without_password(text)))


def escape_control_chars(text: object) -> str:
    """Escape what a terminal must not receive from a file name, a class name or an attribute.

    Control characters, direction marks, newlines and undecodable bytes become ``\\xNN``, ``\\uNNNN``
    or ``\\udcNN``, and the password in a URL ``***``; everything else, accents and other scripts included, is
    unchanged.
    """
    text = without_password(str(text))
    if text.isascii() and text.isprintable():  # nearly always, and a file may have 100,000 names
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNPRINTABLE else char
        for char in text
    )


def truncate(text: str, most: int = MAX_NAME) -> str:
    """Return a text; of one that nobody could read whole, the beginning and the length."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def close_matches(word: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the names of ``known`` that ``word`` may have been meant for, best first; empty if none is close.

    Close is a name that begins with the word, or that one typing error leads to, two in a word of six characters or
    more, three in one of twelve. Case does not count, nor does an ending such as ``.png`` that both have. Names that
    are equally close stay in the order of ``known``. An abbreviation of the word, as ``avg`` of average, comes last.
    """
    typed, found = _comparable(word), []
    for name in dict.fromkeys(itertools.islice(known, _MOST_COMPARED)):
        other = _comparable(name)
        stem, ending = os.path.splitext(typed)
        if ending and stem and other.endswith(ending):
            pair = stem, other[: -len(ending)]
        else:
            pair = typed, other
        allowed = 1 + (len(pair[0]) >= 6) + (len(pair[0]) >= 12)
        if name == word or not pair[1]:
            continue
        if len(pair[0]) >= 3 and pair[1].startswith(pair[0]):
            found.append((0, name))
        elif (errors := _typing_errors(*pair, allowed)) <= allowed and errors < len(pair[0]):
            found.append((errors, name))
        elif _abbreviates(pair[1], pair[0]):
            found.append((len(pair[0]), name))
    return [name for _, name in sorted(found, key=lambda match: match[0])[:count]]


_MOST_COMPARED = 20_000
"""A folder may hold a million names."""


def _comparable(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _abbreviates(short: str, word: str) -> bool:
    letters = iter(word)
    long_enough = len(short) >= 3 and 5 * len(short) >= 2 * len(word)
    return long_enough and short[0] == word[:1] and all(char in letters for char in short)


def _typing_errors(word: str, other: str, most: int) -> int:
    """Count the insertions, deletions, substitutions and swaps from one word to another; any number above ``most``."""
    if abs(len(word) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(word, start=1):
        last, before, row = before, row, [i]
        for j, its in enumerate(other, start=1):
            errors = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != its))
            if i > 1 and j > 1 and char == other[j - 2] and its == word[i - 2]:
                errors = min(errors, last[j - 2] + 1)
            row.append(errors)
        if min(row) > most:
            return most + 1
    return row[-1]


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint such as ``Did you mean vgg16 or vgg19?``, or None."""
    near = close_matches(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else None


def shorten(text: str, most: int = 40) -> str:
    """Return a name of at most ``most`` characters for a table or a message, its middle left out; safe to print."""
    text = escape_control_chars(text)
    head = (most - 1) * 3 // 5
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV that a spreadsheet shows and never runs.

    None is an empty cell, control characters are escaped, and a text that a spreadsheet takes for a formula, because
    it begins with ``=``, ``+``, ``-`` or ``@``, gets an apostrophe in front. Numbers are written as they are.
    """
    return ",".join(_csv_cell(cell) for cell in cells) + "\n"


# At the beginning, or behind a semicolon, which separates cells where the comma is the decimal sign; the wide forms are
# those of East Asian keyboards.
_FORMULA = re.compile(r'(^|;)(?=[\s"]*[=+\-@＝＋－＠\t\r])')
_QUOTED = re.compile(r'[,"]|^\s|\s$')


def _csv_cell(cell: object) -> str:
    if cell is None or isinstance(cell, numbers.Number):
        return "" if cell is None else str(cell)
    text = escape_control_chars(cell)
    text = _FORMULA.sub(r"\1'", text)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def pluralize(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 image`` or ``1,204 images``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


_LONGEST_NAME = 100


def join_truncated(items: Iterable[object], *, most: int = 5) -> str:
    """Join names as ``a, b, c and 7 more``; lists longer than ``most`` are truncated, and so are names of a page."""
    names = [str(item) if len(str(item)) <= _LONGEST_NAME else shorten(str(item), _LONGEST_NAME) for item in items]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def format_bytes(count: int) -> str:
    """Return a size as ``553.5 MB``; units are powers of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return pluralize(count, "byte")
