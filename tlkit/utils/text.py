"""Text for messages: names made safe to print, close matches, counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Categories that move the cursor, change direction or do not show: control, format, surrogate, private use,
# unassigned, line and paragraph separators.
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

# name:password@ or token@ of a URL; the second kind of password has a slash that should have been %2F, and is
# no port and path. A Path of a URL has one slash after the scheme.
_SECRET = re.compile(r"(?:(?<=://)|(?<=\w\w:/))(?:([^\s/?#@:]*:)(?:[^/?#]*|(?!\d*[/?#])[^\s@]*)|[^\s/?#@:]+)@")


def without_password(text: str) -> str:
    """Return a URL with its password hidden: ``http://user:***@host/``. Text without a URL is unchanged."""
    return _SECRET.sub(lambda match: f"{match[1] or ''}***@", text) if ":/" in text and "@" in text else text


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


def close_matches(word: str, known: Iterable[str], *, count: int = 3) -> list[str]:
    """Return the names of ``known`` most similar to ``word``, best first; empty if none is similar."""
    import difflib

    return difflib.get_close_matches(word, list(known), n=count, cutoff=0.5)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint such as ``Did you mean vgg16 or vgg19?``, or None."""
    near = close_matches(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else None


def pluralize(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 image`` or ``1,204 images``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def join_truncated(items: Iterable[object], *, most: int = 5) -> str:
    """Join names as ``a, b, c and 7 more``; lists longer than ``most`` are truncated."""
    names = [str(item) for item in items]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def format_bytes(count: int) -> str:
    """Return a size as ``553.5 MB``; units are powers of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return pluralize(count, "byte")
