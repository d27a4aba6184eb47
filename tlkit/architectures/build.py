"""Build the Keras model of an architecture."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.backend import distribution_scope, keras, keras_scope
from tlkit.errors import ArchitectureError


def build(
    architecture: Architecture, *, include_top: bool, size: tuple[int, int] | None = None, initialize: bool = True
) -> Any:
    """Build an architecture with weights that Keras draws.

    Automatic layer names (``conv2d_17`` in InceptionV3) do not depend on what was built before.

    Args:
        architecture: The entry of the registry, with the arguments it is built with.
        include_top: With the published classifier, or without (a feature map).
        size: Input height and width; None for the default.
        initialize: False leaves the weights without values: shapes and initializers alone, without the memory.

    Returns:
        A functional ``keras.Model``, input ``(batch, height, width, channels)`` or, channels first,
        ``(batch, channels, height, width)``, float32, in the range of the architecture's preprocessing.

    Raises:
        ArchitectureError: The size is too small, or Keras cannot build it with these arguments.
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
            made = distribution_scope()(make if initialize else partial(_without_values, make))  # in that thread
            return fresh_names.submit(made).result()
        except ValueError as error:
            if not architecture.arguments:
                raise
            given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in architecture.arguments.items())
            raise ArchitectureError(f"{architecture.name} cannot be built with {given}: {error}") from error


def _without_values(make: Callable[[], Any]) -> Any:
    with keras.StatelessScope(initialize_variables=False):  # a thread has a scope of its own
        return make()
