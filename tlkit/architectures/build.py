"""From a row of the table to a Keras model."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import tlkit.backend  # noqa: F401 - Keras starts here, quietly
from tlkit.architectures.architecture import Architecture


def build(
    architecture: Architecture,
    *,
    include_top: bool,
    size: tuple[int, int] | None = None,
    classes: int | None = None,
) -> Any:
    """Build an architecture with fresh random weights.

    Auto-named layers (``conv2d_17`` in InceptionV3) get the same names whatever was built before.

    Args:
        architecture: The row.
        include_top: With its published classifier or without (a feature map).
        size: Input height and width; None for the default.
        classes: Length of the classifier's output; None for the published one.

    Returns:
        A functional ``keras.Model``, input ``(batch, height, width, channels)`` float32 as the architecture's
        preprocessing leaves it.

    Raises:
        ArchitectureError: The size is too small.
    """
    height, width = architecture.input_size(size, include_top=include_top)
    module, _, function = architecture.builder.partition(":")
    builder = getattr(importlib.import_module(module), function)
    make = partial(
        builder,
        include_top=include_top,
        weights=None,
        input_shape=(height, width, architecture.input_shape[2]),
        **({"classes": classes} if include_top and classes is not None else {}),
    )
    # Keras counts automatic names per thread, so a thread of its own starts at conv2d every time.
    with ThreadPoolExecutor(max_workers=1) as fresh_names:
        return fresh_names.submit(make).result()
