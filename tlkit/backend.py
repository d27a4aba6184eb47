"""Keras on TensorFlow or JAX, started quietly: modules that need Keras import it from here.

Importing this module takes seconds, so only modules that compute import it, and commands import those
modules where they use them. ``tf`` and ``jax`` are for what Keras has no word for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

from tlkit.errors import TlkitError, UsageError
from tlkit.keras_private import bias_along_channels, without_tensorflow
from tlkit.utils.compute import BACKENDS, CUDA_EXTRAS, backend, device
from tlkit.utils.extras import needs
from tlkit.utils.keras_home import settings
from tlkit.utils.logging import logger, warn_once
from tlkit.utils.options import join_or
from tlkit.utils.processors import thread_limit
from tlkit.utils.quiet import stderr_held_back
from tlkit.utils.text import pluralize


def _limit_threads() -> None:
    """Have TensorFlow start as many threads as tlkit, unless it has started."""
    limit = thread_limit()
    if limit is None:
        return
    if NAME == "jax":
        warn_once("JAX computes with as many threads as there are processors; --threads is for those that decode.")
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(limit)
        tf.config.threading.set_inter_op_parallelism_threads(limit)
    except RuntimeError:
        warn_once(f"TensorFlow has started before and keeps its number of threads, not {limit}.")


def _gpus() -> list[Any]:
    """Return the GPUs that the backend may use. It starts, and says what it finds."""
    if NAME == "tensorflow":
        return list(tf.config.list_physical_devices("GPU"))
    if device() == "cpu":
        jax.config.update("jax_platforms", "cpu")
    try:
        return list(jax.local_devices(backend="gpu"))
    except RuntimeError:  # there is none
        return []


def _choose_device(gpus: list[Any]) -> None:
    """Have the backend compute on the device that was chosen.

    Raises:
        UsageError: There is no such device.
    """
    kind, _, number = device().partition(":")
    if NAME == "jax" and jax.process_count() > 1 and number:
        number = "0"  # it joined the others with that GPU alone
    if kind == "gpu":
        if int(number or 0) >= len(gpus):
            raise UsageError(
                f"--device {device()}: {NAME} finds {pluralize(len(gpus), 'GPU') if gpus else 'no GPU'} here.",
                hint="GPUs are numbered from 0."
                if gpus
                else f"It needs NVIDIA's driver and `pip install '{CUDA_EXTRAS[NAME]}'`.",
            )
        gpus = [gpus[int(number)]] if number else gpus
        if NAME == "jax":
            jax.config.update("jax_default_device", gpus[0])
    if NAME == "tensorflow":
        tf.config.set_visible_devices([] if kind == "cpu" else gpus, "GPU")
        for gpu in gpus:  # as much of its memory as is needed: other processes may need some
            tf.config.experimental.set_memory_growth(gpu, True)


def __getattr__(name: str) -> Any:
    """Import, at first use, what Keras does not run on: ``tf`` where that is JAX, and the other way round."""
    module = {"tf": "tensorflow", "jax": "jax"}.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    needs("jax" if module == "jax" else None, module)
    with nullcontext() if _verbose else stderr_held_back():
        return globals().setdefault(name, import_module(module))


# The variables are read at import only: whatever the user has set, for processes that are started later, stays.
_environment = {name: os.environ.get(name) for name in ("KERAS_BACKEND", "KERAS_HOME", "TF_CPP_MIN_LOG_LEVEL")}
NAME = os.environ["KERAS_BACKEND"] = backend()
"""``tensorflow`` or ``jax``."""
_verbose = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0"  # as -v sets it
try:
    with nullcontext() if _verbose else stderr_held_back():
        if settings() is None:  # Keras cannot be imported with such a keras.json
            os.environ["KERAS_HOME"] = os.devnull
        import keras

        if NAME == "tensorflow":
            import tensorflow as tf
        else:
            import jax
        _limit_threads()
        _found = _gpus()
finally:
    for _name, _value in _environment.items():
        if _value is None:
            os.environ.pop(_name, None)
        else:
            os.environ[_name] = _value

if keras.backend.backend() != NAME:
    raise TlkitError(
        f"Keras was imported before tlkit with the {keras.backend.backend()} backend; tlkit needs {join_or(BACKENDS)}.",
        hint="Set KERAS_BACKEND=tensorflow before the first import of keras.",
    )
_choose_device(_found)
if keras.config.floatx() != "float32":
    logger.warning(
        "Keras is set to floatx %s; tlkit computes in float32, or in what --precision names.", keras.config.floatx()
    )


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of tensors as the backend compiles it: ``tf.function``, or ``jax.jit``."""
    if NAME == "tensorflow":
        made: Callable[..., Any] = tf.function(function, reduce_retracing=True, autograph=False)
    else:
        made = jax.jit(function)
    return made


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for the error of a device whose memory did not suffice."""
    return type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error)


_distribution: Any = None


def distribute() -> int:
    """Have models that are built and trained in a :func:`distribution_scope` from here on use all devices.

    Each has a copy of the weights and computes an equal part of every batch. On JAX the devices are those of all
    processes that have joined, and a process gives its part of each batch.

    Returns:
        Number of devices of this process; with one, of one process, nothing changes.
    """
    global _distribution
    if NAME == "tensorflow":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(devices) > 1:
            _distribution = tf.distribute.MirroredStrategy([device.name for device in devices])
        return len(devices)
    if jax.device_count() > 1:
        _distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    return int(jax.local_device_count())


def stop_distributing() -> None:
    """Have models that are built from here on use one device."""
    global _distribution
    _distribution = None


@contextmanager
def distribution_scope() -> Iterator[None]:
    """Use the devices of :func:`distribute` inside the block, in this thread; also usable as a decorator."""
    with nullcontext() if _distribution is None else _distribution.scope():
        yield


@contextmanager
def keras_scope() -> Iterator[None]:
    """Use Keras with tlkit's settings inside the block; afterwards it has the user's again.

    Whatever builds, loads, traces or trains a network does so in this scope: data format ``channels_last`` (layers of
    other networks name theirs), float32, no mixed precision, no chatter of TensorFlow's Python logger, and biases added
    along the channels (:func:`tlkit.keras_private.bias_along_channels`); beside JAX, no TensorFlow, which would take
    the memory of a GPU. Scopes nest; also usable as a decorator.

    The settings are those of the process: networks are not built in several threads at once. What no scope can undo:
    ``keras.utils.set_random_seed``, which ``--seed`` calls, seeds Python, NumPy and the backend.
    """
    _limit_threads()
    data_format, floatx, policy = keras.config.image_data_format(), keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        with _tensorflow_quiet() if NAME == "tensorflow" else without_tensorflow(), bias_along_channels():
            yield
    finally:
        keras.config.set_image_data_format(data_format)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextmanager
def _tensorflow_quiet() -> Iterator[None]:
    if _verbose:
        yield
        return
    level = tf.get_logger().level
    tf.get_logger().setLevel("ERROR")
    try:
        yield
    finally:
        tf.get_logger().setLevel(level)


__all__ = [
    "NAME",
    "compiled",
    "distribute",
    "distribution_scope",
    "is_out_of_memory",
    "jax",
    "keras",
    "keras_scope",
    "stop_distributing",
    "tf",
]
