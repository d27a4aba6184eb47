"""Names of the outputs of networks: the tables of published networks, and files of the user."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from tlkit.architectures.imagenet import imagenet_classes
from tlkit.errors import ConfigError
from tlkit.utils.text import join_truncated, pluralize

_MOST_BYTES = 16 * 2**20
_FORMS = (
    "One name a line in the order of the network's outputs, or `0 name` lines, a JSON object or list, or a CSV file "
    "with a header."
)
_NUMBERED = re.compile(r"(\d{1,9})\s*[\s:,;=]\s*(.*\S)")
_NUMBER_COLUMNS = ("id", "index", "idx", "number", "no", "class_id", "label_id", "class_index", "class_idx", "")
_NAME_COLUMNS = ("name", "class_name", "label_name", "label", "class", "category", "labels", "classes", "names")

Label = tuple[str, str]


@cache
def published_labels(name: str) -> Sequence[Label]:
    """Return ``(label, name)`` of each output, in order.

    Args:
        name: ``imagenet``: 1000 WordNet ids and their lemmas. ``msd``: the 50 most frequent tags of the Million Song
            Dataset, most frequent first; label and name are the same.
    """
    if name == "imagenet":
        return imagenet_classes()
    text = (resources.files("tlkit.architectures") / f"data/{name}_tags.tsv").read_text("utf-8")
    return tuple((tag, tag) for tag in text.splitlines())


def read_labels(path: str, count: int) -> list[Label]:
    """Read the names of the classes of a network from a file.

    Args:
        path: One name a line; lines of a number from 0 and a name; a JSON list, or object in either direction
            (``{"cat": 0}``, ``{"0": "cat"}``, ``{"0": ["n02123045", "tabby"]}``); CSV with a header. In UTF-8, or
            UTF-16 with its mark.
        count: Outputs of the network.

    Returns:
        ``(label, name)`` of each output, in order; the same unless the file gives both.

    Raises:
        ConfigError: It cannot be read, has an empty or a repeated name, numbers that are not 0 to ``count - 1``, or
            another number of classes.
    """
    text = _text(path)
    if text.lstrip()[:1] in ("{", "["):
        labels = _of_json(text, path)
    else:
        lines = text.rstrip().splitlines()
        names = _of_table(lines, path) or _of_lines([line.strip() for line in lines], path)
        labels = [(name, name) for name in names]
    for number, (label, name) in enumerate(labels):
        if not label or not name:
            raise ConfigError(f"{path} has an empty name for class {number}.", hint=_FORMS)
    if len(labels) != count:
        raise ConfigError(
            f"{path} names {pluralize(len(labels), 'class', 'classes')}, but the network has {count}.", hint=_FORMS
        )
    repeated = [label for label, times in Counter(label for label, _ in labels).items() if times > 1]
    if repeated:
        raise ConfigError(
            f"{path} gives several classes the same name: {join_truncated(repeated, most=3)}.",
            hint="Predictions could not be told apart; make each name unique.",
        )
    return labels


def _text(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"Cannot read the labels {path}: {error.strerror or error}.") from error
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path} is no file of labels: it has more than {_MOST_BYTES // 2**20} MB.", hint=_FORMS)
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        where = "UTF-16 text" if marked else f"UTF-8 text (line {line})"
        raise ConfigError(f"The labels {path} are not {where}.", hint="Save them as UTF-8.") from error
    if "\0" in text:
        raise ConfigError(f"The labels {path} are not text; they hold zero bytes.", hint="Save them as UTF-8.")
    return text


def _of_lines(lines: list[str], path: str) -> list[str]:
    """Return one name a line; of lines that are all a number and a name, the names in the order of the numbers."""
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    numbers = [int(match[1]) for match in matches]
    if len(matches) < len(lines) or 0 not in numbers:
        # "1 euro", "2 euro" are names; but numbers from 1 in another order could mean either order
        if len(matches) == len(lines) > 0 and numbers != (every := sorted(numbers)) and every == _up_to(len(lines), 1):
            raise _misnumbered(path, numbers)
        return lines
    return _in_order([(int(match[1]), match[2]) for match in matches], path)


def _up_to(count: int, first: int = 0) -> list[int]:
    return list(range(first, first + count))


def _of_table(lines: list[str], path: str) -> list[str] | None:
    """Return the names of a table with a header; None if it is not one."""
    is_csv = path.casefold().endswith((".csv", ".tsv"))
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    try:
        header, *rows = list(csv.reader(lines, delimiter=delimiter)) or [[]]
    except csv.Error as error:
        raise ConfigError(f"The labels {path} are not valid CSV: {error}.", hint=_FORMS) from error
    columns = {
        cell.strip().casefold().replace(" ", "_"): [row[place].strip() for row in rows if place < len(row)]
        for place, cell in enumerate(header)
    }
    known = [column for column in _NAME_COLUMNS if column in columns]
    # `label,name` or `class,label`: one of the two holds the numbers
    digits = [column for column in known if columns[column] and all(map(str.isdecimal, columns[column]))]
    number = next(
        (column for column in _NUMBER_COLUMNS if column in columns), digits[0] if len(known) > 1 and digits else None
    )
    name = next((column for column in known if column != number), None)
    if name is None or (number is None and not is_csv):
        if is_csv and len(header) > 1 and not header[0].isdecimal():
            raise ConfigError(
                f"{path} has no column of names in its header: {join_truncated(header)}.",
                hint=f"Call it name, and the column of the numbers from 0 id. {_FORMS}",
            )
        return None
    wrong = next((line for line, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if wrong:
        raise ConfigError(f"{path} has another number of columns in line {wrong} than in its header.", hint=_FORMS)
    if number is None:
        return columns[name]
    if not all(re.fullmatch(r"[0-9]{1,9}", cell) for cell in columns[number]):
        raise ConfigError(f"{path} has more than class numbers in its column {number}.", hint=_FORMS)
    return _in_order(list(zip(map(int, columns[number]), columns[name], strict=True)), path)


def _in_order(numbered: list[tuple[int, Any]], path: str) -> list[Any]:
    numbers = [number for number, _ in numbered]
    if sorted(numbers) != _up_to(len(numbers)):
        raise _misnumbered(path, numbers)
    return [name for _, name in sorted(numbered, key=lambda pair: pair[0])]


def _misnumbered(path: str, numbers: list[int]) -> ConfigError:
    repeated = [str(number) for number, times in Counter(numbers).items() if times > 1]
    found = f"repeat {join_truncated(repeated, most=3)}" if repeated else f"are {min(numbers)} to {max(numbers)}"
    return ConfigError(
        f"The class numbers of {path} {found}; they should be 0 to {len(numbers) - 1}, each once.", hint=_FORMS
    )


def _of_json(text: str, path: str) -> list[Label]:
    try:
        found = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The labels {path} are not valid JSON: {error}.", hint=_FORMS) from error
    if isinstance(found, _Object):  # Teachable Machine's metadata.json, the config.json of a model on Hugging Face
        found = next((value for key, value in found if key in ("labels", "id2label") and _holds(value)), found)
    if not isinstance(found, _Object):
        return [_label(item, path) for item in found]
    keys, values = [str(key) for key, _ in found], [value for _, value in found]
    if values and all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return [(name, name) for name in _in_order(list(zip(values, map(str.strip, keys), strict=True)), path)]
    if not keys or not all(re.fullmatch(r"[0-9]{1,9}", key) for key in keys):
        raise ConfigError(f"The JSON of {path} maps neither names to class numbers nor numbers to names.", hint=_FORMS)
    return _in_order([(int(key), _label(value, path)) for key, value in found], path)


class _Object(list[tuple[str, Any]]):
    """The pairs of a JSON object, with those that repeat a key."""


def _holds(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _label(value: Any, path: str) -> Label:
    pair = value if isinstance(value, list) and not isinstance(value, _Object) and len(value) == 2 else [value, value]
    if not all(isinstance(part, str) for part in pair):
        raise ConfigError(f"The JSON of {path} holds {json.dumps(value)[:40]} where a name should be.", hint=_FORMS)
    return pair[0].strip(), pair[1].strip()
