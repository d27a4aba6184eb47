"""Read the layers of a saved configuration, as data: nothing is executed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tlkit.errors import WeightsError

ARCHIVE_CONFIG, ARCHIVE_METADATA = "config.json", "metadata.json"
MAX_DEPTH = 32
"""Levels of models inside models; more is no real network."""


@dataclass(frozen=True)
class ConfigLayer:
    """One layer of a configuration.

    Attributes:
        name: Its name.
        kind: Its class, as written.
        options: Its own configuration.
        layers: The layers inside it, in order, when it is a model; else None.
    """

    name: str
    kind: str
    options: dict[str, Any]
    layers: tuple[ConfigLayer, ...] | None = None

    def leaves(self) -> Iterator[ConfigLayer]:
        """Iterate over the layers that are not models, in order; over itself if it is one of those."""
        if self.layers is None:
            yield self
        for layer in self.layers or ():
            yield from layer.leaves()


def parse_config(config: Any, depth: int = 0) -> ConfigLayer | None:
    """Parse a ``model_config``; None if it is not the configuration of a layer.

    Args:
        config: Parsed JSON, of Keras 1, 2 or 3.
        depth: How deep inside other models it stands.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str) or depth > MAX_DEPTH:
        return None
    options = config.get("config")
    inner = options if isinstance(options, list) else options.get("layers") if isinstance(options, dict) else None
    options = options if isinstance(options, dict) else {}
    name = options.get("name", config.get("name"))
    layers = None
    if isinstance(inner, list) and all(isinstance(layer, dict) for layer in inner):
        parsed = [parse_config(layer, depth + 1) for layer in inner]
        layers = tuple(layer for layer in parsed if layer is not None)
    kind = config["class_name"]
    return ConfigLayer(name if isinstance(name, str) else "", kind, options, layers)


def data_layout(model: ConfigLayer) -> str | None:
    """Return ``channels_last`` or ``channels_first`` if all layers that have a data format agree; else None."""
    words = {"tf": "channels_last", "th": "channels_first"}
    formats = {
        words.get(value, value)
        for layer in model.leaves()
        for key in ("data_format", "dim_ordering")
        if isinstance(value := layer.options.get(key), str)
    } & {"channels_last", "channels_first"}
    return formats.pop() if len(formats) == 1 else None


LONG = 2**24
"""Characters; configurations of the largest networks are shorter."""
_START_VALUES = re.compile(
    r'("Constant", "config": \{"value": (?:\{"class_name": "__numpy__", "config": \{"value": )?)\[[][\d\s.,eE+-]*\]'
)


def parse_json(text: str | bytes, what: str) -> Any:
    """Parse JSON from a file.

    A long text may contain the initial values of layers: those of the fixed 1x1 convolutions of ResNeXt take 600 MB,
    and gigabytes once parsed. Such lists are read as 0, since the weights replace them.

    Raises:
        WeightsError: It is not JSON.
    """
    if isinstance(text, str) and len(text) > LONG:
        text = _START_VALUES.sub(r"\g<1>0", text)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise WeightsError(f"{what} is JSON nested too deep to be a model's.") from error
    except ValueError as error:
        raise WeightsError(f"{what} is not JSON: {error}.") from error
