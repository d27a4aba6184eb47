"""Labelled files as they were found, in class folders or in a table."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tlkit.data.discovery import LeftOut, is_url

ClassFiles = dict[str, list[str]]
"""The files of each class. Where images have several labels, a file is in several."""
NO_LABEL = ""
"""In place of a class: the files that have no label, where they may have several."""


@dataclass
class LabelledFiles:
    """Labelled files, before they are checked.

    Attributes:
        root: The folder that their paths are given below.
        by_split: Files by split and class.
        left_out: What was passed over, and what cannot be read.
        unreadable: Classes of each split that may be empty: what they held cannot be read, or the table has none there.
        warnings: Problems to know about before trusting results.
        groups: The group of each file that has one.
        multi_label: A file may have several labels.
    """

    root: str
    by_split: dict[str, ClassFiles]
    left_out: LeftOut
    unreadable: Mapping[str, list[str]]
    warnings: list[str]
    groups: Mapping[str, str] = field(default_factory=dict)
    multi_label: bool = False


def relative_name(file: str, root: str) -> str:
    """Return the path of a file below a folder, with ``/`` between its parts; a URL as it is."""
    return file if is_url(file) else os.path.relpath(file, root).replace(os.sep, "/")
