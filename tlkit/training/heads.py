"""The kinds of classifiers that go on top of a base, as data."""

from __future__ import annotations

from tlkit.errors import UsageError

HEADS = {"dense": "avg", "linear": "avg", "flatten": "none"}
"""What each kind does to the feature map first, unless told otherwise."""


def head_pooling(kind: str, asked: str | None) -> str:
    """The pooling for a head: what was asked, checked, or the head's own.

    Raises:
        UsageError: The head needs a vector and no pooling was asked for.
    """
    if asked == "none" and kind != "flatten":
        raise UsageError(
            f"--head {kind} needs one vector a picture; --pooling none leaves a feature map.",
            hint="Use --pooling avg or max, or --head flatten.",
        )
    return asked or HEADS[kind]
