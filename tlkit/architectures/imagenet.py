"""The 1000 classes of ImageNet (ILSVRC 2012), in the order every published network uses.

The table is shipped because Keras downloads its own at first use. WordNet ids in sorted order; the name is the first
lemma of the synset, with underscores, as in ``keras.applications``' ``decode_predictions``.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple


class ImageNetClass(NamedTuple):
    """One class."""

    wnid: str
    name: str


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """Return all 1000 classes; the position is the index of the network's output."""
    text = (resources.files("tlkit.architectures") / "data/imagenet_classes.tsv").read_text("utf-8")
    return tuple(ImageNetClass(*line.split("\t")) for line in text.splitlines())
