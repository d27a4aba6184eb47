"""The kinds of classifiers that go on top of a base, as data."""

from __future__ import annotations

from dataclasses import dataclass

from tlkit.errors import UsageError


@dataclass(frozen=True)
class Head:
    """A classifier: a hidden layer where it has one, Dropout, softmax.

    Attributes:
        kind: A key of :data:`HEADS`.
        pooling: What happens to the feature map first: ``avg``, ``max`` or ``none``.
        units: Of the hidden Dense layer, ReLU; 0 for none.
        dropout: The share of inputs of the last layer that is dropped in training.
    """

    kind: str
    pooling: str
    units: int
    dropout: float


HEADS = {
    "dense": Head("dense", "avg", 1024, 0.0),
    "linear": Head("linear", "avg", 0, 0.0),
    "flatten": Head("flatten", "none", 256, 0.5),
}
"""Each kind as it is unless told otherwise."""


def choose_head(
    kind: str,
    *,
    pooling: str | None = None,
    units: int | None = None,
    dropout: float | None = None,
    on_map: bool = True,
) -> Head:
    """A head with what was asked for, checked.

    Args:
        kind: A key of :data:`HEADS`.
        pooling: ``avg``, ``max`` or ``none``; None for the head's own.
        units: Of its hidden layer; None for the head's own.
        dropout: Before its last layer; None for the head's own.
        on_map: The base gives a feature map, not one vector.

    Raises:
        UsageError: It needs a vector and no pooling was asked for, or it has no hidden layer.
    """
    usual = HEADS[kind]
    if not on_map and pooling in ("avg", "max"):
        raise UsageError(
            f"--pooling {pooling} is for feature maps, and this base gives one vector.", hint="Leave --pooling out."
        )
    if on_map and pooling == "none" and kind != "flatten":
        raise UsageError(
            f"--head {kind} needs one vector a picture; --pooling none leaves a feature map.",
            hint="Use --pooling avg or max, or --head flatten.",
        )
    if units is not None and not usual.units:
        raise UsageError(f"--head {kind} has no hidden layer for --head-units.", hint="Use --head dense or flatten.")
    return Head(
        kind,
        pooling or usual.pooling if on_map else "none",
        usual.units if units is None else units,
        usual.dropout if dropout is None else dropout,
    )
