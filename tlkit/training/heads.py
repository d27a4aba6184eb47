"""The classifiers that go on top of a base, as data."""

from __future__ import annotations

from dataclasses import dataclass

from tlkit.errors import UsageError


@dataclass(frozen=True)
class Head:
    """A classifier: a hidden layer where it has one, Dropout, and a Dense layer of the classes.

    Attributes:
        kind: A key of :data:`HEADS`.
        pooling: Pooling of the feature map: ``avg``, ``max`` or ``none``.
        units: Units of the hidden Dense layer with ReLU; 0 for none.
        dropout: Dropout rate before the last layer.
        activation: Of the last layer: ``softmax``, or ``sigmoid`` where an image may have several labels.
    """

    kind: str
    pooling: str
    units: int
    dropout: float
    activation: str = "softmax"


HEADS = {
    "dense": Head("dense", "avg", 1024, 0.0),
    "linear": Head("linear", "avg", 0, 0.0),
    "flatten": Head("flatten", "none", 256, 0.5),
}
"""The defaults of each kind."""


def choose_head(
    kind: str,
    *,
    pooling: str | None = None,
    units: int | None = None,
    dropout: float | None = None,
    on_map: bool = True,
    multi_label: bool = False,
) -> Head:
    """Return a head with the given settings, checked.

    Args:
        kind: A key of :data:`HEADS`.
        pooling: ``avg``, ``max`` or ``none``; None for the default of the head.
        units: Units of its hidden layer; None for the default of the head.
        dropout: Dropout rate before its last layer; None for the default of the head.
        on_map: The base outputs a feature map, not one vector per image.
        multi_label: An image may have several labels.

    Raises:
        UsageError: The head needs a vector and pooling is ``none``, or it has no hidden layer.
    """
    default = HEADS[kind]
    if not on_map and pooling in ("avg", "max"):
        raise UsageError(
            f"--pooling {pooling} applies to feature maps, and this base outputs one vector.",
            hint="Leave --pooling out.",
        )
    if on_map and pooling == "none" and kind != "flatten":
        raise UsageError(
            f"--head {kind} needs one vector per image; --pooling none leaves a feature map.",
            hint="Use --pooling avg or max, or --head flatten.",
        )
    if units is not None and not default.units:
        raise UsageError(f"--head {kind} has no hidden layer for --head-units.", hint="Use --head dense or flatten.")
    return Head(
        kind,
        pooling or default.pooling if on_map else "none",
        default.units if units is None else units,
        default.dropout if dropout is None else dropout,
        "sigmoid" if multi_label else "softmax",
    )
