"""EfficientNet B0 to B7 as their ImageNet weights need them.

Keras builds these networks differently with ``weights="imagenet"`` than with a file or with none: with one more
Rescaling after the Normalization, without which the published weights give wrong predictions (see the comment in
``keras/src/applications/efficientnet.py``). tlkit loads weights after building, so it always inserts that layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tlkit.backend import keras

# Standard deviations of the ImageNet training set, 0 to 1, RGB.
_STDDEV = (0.229, 0.224, 0.225)


def _with_rescaling(title: str) -> Callable[..., Any]:
    def build(**kwargs: Any) -> Any:
        plain = getattr(keras.applications, title)(**kwargs)
        scale: Any = [1.0 / math.sqrt(stddev) for stddev in _STDDEV]
        if keras.config.image_data_format() == "channels_first":
            scale = [[[factor]] for factor in scale]
        rescaling = keras.layers.Rescaling(scale)

        def call(layer: Any, *args: Any, **call_kwargs: Any) -> Any:
            outputs = layer(*args, **call_kwargs)
            return rescaling(outputs) if isinstance(layer, keras.layers.Normalization) else outputs

        # new layers, not the same ones called again: `layer.output` must mean this graph
        inputs = keras.Input(plain.input_shape[1:], name="input_layer")
        return keras.models.clone_model(plain, input_tensors=inputs, call_function=call)

    build.__name__ = title
    build.__doc__ = f"Build {title}; arguments as in ``keras.applications``, pixels 0 to 255."
    return build


EfficientNetB0 = _with_rescaling("EfficientNetB0")
EfficientNetB1 = _with_rescaling("EfficientNetB1")
EfficientNetB2 = _with_rescaling("EfficientNetB2")
EfficientNetB3 = _with_rescaling("EfficientNetB3")
EfficientNetB4 = _with_rescaling("EfficientNetB4")
EfficientNetB5 = _with_rescaling("EfficientNetB5")
EfficientNetB6 = _with_rescaling("EfficientNetB6")
EfficientNetB7 = _with_rescaling("EfficientNetB7")
