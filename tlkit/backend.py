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

from tlkit.errors import TlkitError


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

__all__ = ["keras", "tf"]
