"""A published architecture with its weights as a network without Keras."""

from __future__ import annotations

from functools import cache

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.keras_config import network_config
from tlkit.architectures.layer_tables import has_table
from tlkit.architectures.pretrained import WeightsChoice, read_weights
from tlkit.inference.compiler.graph import Graph
from tlkit.inference.compiler.network import Network
from tlkit.inference.compiler.read_config import read_config


def published_network(architecture: Architecture, weights: WeightsChoice, *, include_top: bool) -> Network | None:
    """Return an architecture as data; None where its layers are not.

    Args:
        architecture: The registry entry.
        weights: Where its weights come from.
        include_top: With the ImageNet classifier or without.
    """
    if not has_table(architecture):
        return None
    return Network(
        published_graph(architecture, include_top=include_top),
        lambda: read_weights(architecture, weights, include_top=include_top),
    )


@cache
def published_graph(architecture: Architecture, *, include_top: bool) -> Graph:
    """Return the layers of an architecture, from its table."""
    return read_config(network_config(architecture, include_top=include_top))
