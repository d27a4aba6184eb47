"""Write a classifier as a Keras archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tlkit.backend import keras, keras_scope
from tlkit.data.images.normalization import as_scale
from tlkit.exporting.probabilities import to_probabilities
from tlkit.inference.exported.files import pack
from tlkit.inference.exported.manifest import Manifest
from tlkit.training.classifier import Classifier


class KerasOperations:
    """:class:`tlkit.exporting.probabilities.Operations` of Keras, on its tensors and TensorFlow's."""

    def number(self, value: float) -> float:
        """Return a number."""
        return value

    def unary(self, operation: str, x: Any) -> Any:
        """Apply an operation of ``keras.ops``, named as there."""
        return getattr(keras.ops, operation)(x)

    def binary(self, operation: str, x: Any, y: Any) -> Any:
        """Apply an operation of ``keras.ops`` to two tensors."""
        return getattr(keras.ops, operation)(x, y)

    def softmax(self, x: Any) -> Any:
        """Return the softmax over the last axis."""
        return keras.ops.softmax(x, axis=-1)

    def join(self, x: Any, y: Any) -> Any:
        """Join two tensors along the classes."""
        return keras.ops.concatenate([x, y], axis=1)


def write_keras(classifier: Classifier, manifest: Manifest, path: Path) -> None:
    """Write a Keras archive of stock layers, which Keras loads without custom objects.

    Args:
        classifier: What to write.
        manifest: What travels in it.
        path: The ``.keras`` file.
    """
    with keras_scope():
        network = classifier.network
        model = network.model()
        images = keras.Input((*manifest.size, manifest.channels), dtype="uint8", name="images")
        x = _normalized(images, network.preprocessor.preprocessing, manifest.channels)
        if network.preprocessor.data_format == "channels_first":
            x = keras.layers.Permute((3, 1, 2))(x)
        first = model if len(model.outputs) == 1 else keras.Model(model.inputs, model.outputs[0], name="network")
        outputs = first(x, training=False)
        outputs = outputs[0] if isinstance(outputs, list) else outputs
        probabilities = to_probabilities(classifier, keras.ops.cast(outputs, "float32"), KerasOperations())
        whole = keras.Model(images, keras.layers.Identity(name="probabilities", dtype="float32")(probabilities))
        whole.trainable = False
        whole.save(path)
    pack(path, manifest)


def _normalized(images: Any, preprocessing: str, channels: int) -> Any:
    scale, offset, reverse = as_scale(preprocessing)
    x = keras.layers.Rescaling(scale[:channels], offset[:channels], dtype="float32", name="normalization")(images)
    if reverse and channels > 1:
        x = keras.ops.flip(x, axis=-1)
    return x
