"""Keras on TensorFlow, started quietly: modules that need Keras import it from here.

Importing this module takes seconds, so only modules that compute import it, and commands import those
modules where they use them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tlkit.errors import TlkitError
from tlkit.keras_private import bias_along_channels
from tlkit.utils.keras_home import settings
from tlkit.utils.logging import logger, warn_once
from tlkit.utils.processors import thread_limit
from tlkit.utils.quiet import stderr_held_back


def _limit_threads() -> None:
    """Have TensorFlow start as many threads as tlkit, unless it has started."""
    limit = thread_limit()
    if limit is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(limit)
        tf.config.threading.set_inter_op_parallelism_threads(limit)
    except RuntimeError:
        warn_once(f"TensorFlow has started before and keeps its number of threads, not {limit}.")


# tlkit's engines and its weight layouts are TensorFlow's. The variables are read at import only: whatever the user has
# set, for processes that are started later, stays.
_environment = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL")}
os.environ["KERAS_BACKEND"] = "tensorflow"
_verbose = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0"  # as -v sets it
try:
    with nullcontext() if _verbose else stderr_held_back():
        if settings() is None:  # Keras cannot be imported with such a keras.json
            os.environ["KERAS_HOME"] = os.devnull
        import keras
        import tensorflow as tf

        _limit_threads()
        tf.config.list_physical_devices()  # looks for a GPU now, while complaints are held back
finally:
    for _name, _value in _environment.items():
        if _value is None:
            os.environ.pop(_name, None)
        else:
            os.environ[_name] = _value

if keras.backend.backend() != "tensorflow":
    raise TlkitError(
        f"Keras was imported before tlkit with the {keras.backend.backend()} backend; tlkit needs tensorflow.",
        hint="Set KERAS_BACKEND=tensorflow before the first import of keras.",
    )
if keras.config.floatx() != "float32":
    logger.warning(
        "Keras is set to floatx %s; tlkit computes in float32, or in what --precision names.", keras.config.floatx()
    )


@contextmanager
def keras_scope() -> Iterator[None]:
    """Use Keras with tlkit's settings inside the block; afterwards it has the user's again.

    Whatever builds, loads, traces or trains a network does so in this scope: data format ``channels_last`` (layers of
    other networks name theirs), float32, no mixed precision, no chatter of TensorFlow's Python logger, and biases added
    along the channels (:func:`tlkit.keras_private.bias_along_channels`). Scopes nest; also usable as a decorator.

    The settings are those of the process: networks are not built in several threads at once. What no scope can undo:
    ``keras.utils.set_random_seed``, which ``--seed`` calls, seeds Python, NumPy and TensorFlow.
    """
    _limit_threads()
    data_format, floatx = keras.config.image_data_format(), keras.config.floatx()
    policy, level = keras.config.dtype_policy(), tf.get_logger().level
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    if not _verbose:
        tf.get_logger().setLevel("ERROR")
    try:
        with bias_along_channels():
            yield
    finally:
        keras.config.set_image_data_format(data_format)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        tf.get_logger().setLevel(level)


__all__ = ["keras", "keras_scope", "tf"]
