"""From a row of the table to a Keras model."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.backend import keras, keras_scope
from tlkit.errors import ArchitectureError


def build(architecture: Architecture, *, include_top: bool, size: tuple[int, int] | None = None) -> Any:
    """Build an architecture with fresh random weights.

    Auto-named layers (``conv2d_17`` in InceptionV3) get the same names whatever was built before.

    Args:
        architecture: The row, with the arguments it is built with.
        include_top: With its published classifier or without (a feature map).
        size: Input height and width; None for the default.

    Returns:
        A functional ``keras.Model``, input ``(batch, height, width, channels)`` or, channels first,
        ``(batch, channels, height, width)``, float32 as the architecture's preprocessing leaves it.

    Raises:
        ArchitectureError: The size is too small, or there is no such network.
    """
    module, _, function = architecture.builder.partition(":")
    builder = getattr(importlib.import_module(module), function)
    arguments = dict(architecture.arguments)
    if include_top:
        arguments["classes"] = architecture.options.classes or architecture.classes
    make = partial(
        builder,
        include_top=include_top,
        weights=None,
        input_shape=architecture.input_shape(architecture.input_size(size, include_top=include_top)),
        **arguments,
    )
    # Keras counts automatic names per thread, so a thread of its own starts at conv2d every time.
    with keras_scope(), ThreadPoolExecutor(max_workers=1) as fresh_names:
        # the networks of keras.applications take their data format from this setting
        keras.config.set_image_data_format("channels_first" if architecture.is_channels_first else "channels_last")
        try:
            return fresh_names.submit(make).result()
        except ValueError as error:
            if not architecture.arguments:
                raise
            asked = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in architecture.arguments.items())
            raise ArchitectureError(f"{architecture.name} cannot be built with {asked}: {error}") from error
