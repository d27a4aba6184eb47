"""Keras on TensorFlow, started quietly: modules that need Keras import it from here.

Importing this module takes seconds, so only modules that compute import it, and commands import those
modules where they use them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tlkit.errors import TlkitError
from tlkit.utils.logging import logger


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Hold back what C++ writes to file descriptor 2; show it only when the block fails.

    TensorFlow prints lines before its own log level applies; Python's ``sys.stderr`` never sees them.
    """
    try:
        real = os.dup(2)
    except OSError:  # started with stderr closed: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(real, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode("utf-8", "replace"))
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def _add_bias_along_channels() -> None:
    """Mend Keras 3.15's sum of a convolution and its bias where channels come first.

    It looks along which axis of ``(batch, channels, height, width)`` a bias of shape ``(1, channels, 1, 1)`` fits and
    asks the last one first: where the width happens to equal the number of channels, the bias is added along the
    width, and no error tells. Source: ``add`` in ``keras/src/backend/tensorflow/numpy.py``.
    """
    from keras.src.backend.tensorflow import numpy as operations

    original = operations.add

    def add(x1: Any, x2: Any) -> Any:
        one, other = (getattr(x, "shape", None) for x in (x1, x2))
        if one is not None and other is not None and 2 < len(other) == len(one) and other[1] == one[1] == one[-1]:
            x1, x2 = (tf.cast(x, operations.dtypes.result_type(x1.dtype, x2.dtype)) for x in (x1, x2))
            return tf.add(x1, x2)
        return original(x1, x2)

    operations.add = add


# tlkit's engines and its weight layouts are TensorFlow's, whatever other projects of this user chose.
os.environ["KERAS_BACKEND"] = "tensorflow"
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":  # asked to say everything, as -v does
    import keras
    import tensorflow as tf
else:
    with _stderr_held_back():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # looks for a GPU now, while its complaints are held back
    tf.get_logger().setLevel("ERROR")

if keras.backend.backend() != "tensorflow":
    raise TlkitError(
        f"Keras was imported before tlkit with the {keras.backend.backend()} backend; tlkit needs tensorflow.",
        hint="Set KERAS_BACKEND=tensorflow before the first import of keras.",
    )
keras.config.set_image_data_format("channels_last")
if keras.config.floatx() != "float32":
    logger.warning(
        "keras.json asks for floatx %s; tlkit computes in float32, or in what --precision says.", keras.config.floatx()
    )
    keras.config.set_floatx("float32")
_add_bias_along_channels()

__all__ = ["keras", "tf"]
