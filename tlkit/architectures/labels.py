"""Names of the outputs of published networks: one table per set of labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

from tlkit.architectures.imagenet import imagenet_classes


@cache
def published_labels(name: str) -> Sequence[tuple[str, str]]:
    """Return ``(label, name)`` of each output, in order.

    Args:
        name: ``imagenet``: 1000 WordNet ids and their lemmas. ``msd``: the 50 most frequent tags of the Million Song
            Dataset, most frequent first; label and name are the same.
    """
    if name == "imagenet":
        return imagenet_classes()
    text = (resources.files("tlkit.architectures") / f"data/{name}_tags.tsv").read_text("utf-8")
    return tuple((tag, tag) for tag in text.splitlines())
