"""Private Keras, all of it that tlkit uses: what the public API has no name for.

Checked on Keras 3.15.1. ``pyproject.toml`` admits no later minor version: before raising that bound, compare each
function with the sources it names and run the tests. Importing this module imports nothing heavy.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any


def calls(model: Any) -> Iterator[Any]:
    """Yield every call of a layer or operation that a functional or sequential model consists of, inputs first.

    A call has an ``operation``, ``input_tensors`` and ``outputs``. The public ``model.operations`` does not tell the
    calls of this model from those of other models that share its layers. Source: ``keras/src/ops/function.py``.
    """
    model = getattr(model, "_functional", None) or model  # of a Sequential
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]


def tensors_of(model: Any, names: Sequence[str]) -> list[Any]:
    """Return the symbolic tensors that layers or operations of a functional model output.

    Args:
        model: The model.
        names: Of layers that are called once, with one output.
    """
    outputs: dict[str, list[Any]] = {}
    for call in calls(model):
        outputs.setdefault(call.operation.name, []).extend(call.outputs)
    tensors = []
    for name in names:
        (tensor,) = outputs[name]  # of several it would be any
        tensors.append(tensor)
    return tensors


def call_arguments(call: Any) -> list[Any]:
    """Return the arguments of a call, by position and then by name, symbolic tensors and constants alike.

    Source: ``keras/src/ops/node.py``.
    """
    return [*call.arguments.args, *call.arguments.kwargs.values()]


def positional_arguments(operation: Any) -> tuple[Any, ...]:
    """Return the positional arguments of the first call of a layer or operation: tensors and numbers.

    Source: ``keras/src/ops/node.py``.
    """
    return tuple(operation._inbound_nodes[0].arguments.args)


def last_call_input(layer: Any) -> Any:
    """Return the (first) input of the last call of a layer. Public ``layer.input`` is that of the first call.

    Source: ``keras/src/ops/operation.py``.
    """
    return layer._inbound_nodes[-1].input_tensors[0]


def producer(tensor: Any) -> Any:
    """Return the layer or operation that a symbolic tensor is an output of; None for any other value.

    Source: ``keras/src/ops/node.py``.
    """
    history = getattr(tensor, "_keras_history", None)
    return None if history is None else history.operation


def is_layer(value: Any) -> bool:
    """Return True for a layer. ``isinstance(value, keras.Layer)`` would need Keras to be imported."""
    return hasattr(value, "_trainable_variables") and hasattr(value, "get_config")


def direct_variables(layer: Any) -> list[Any]:
    """Return the variables of a layer without those of the layers inside it, numbered as in Keras 3 files.

    The public ``layer.variables`` includes those inside, and its order depends on ``trainable``. Source:
    ``save_own_variables`` in ``keras/src/layers/layer.py``.
    """
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def flatten_layers(layer: Any) -> list[Any]:
    """Return a layer and all layers inside it; public ``model.layers`` does not enter wrappers.

    Source: ``keras/src/layers/layer.py``.
    """
    return list(layer._flatten_layers())


def uninitialized(variable: Any) -> Any:
    """Return the initializer of a variable that a ``StatelessScope`` left without values; None for any other.

    Keras forgets the initializer of a variable once it has values. Source: ``keras/src/backend/common/variables.py``.
    """
    return variable._initializer


_lock = threading.Lock()
_users = 0
_original: Any = None


@contextmanager
def bias_along_channels() -> Iterator[None]:
    """Have ``keras.ops.add`` add a bias along the channels inside the block, also for ``channels_first``.

    Since 3.7 (keras-team/keras#20386) Keras on TensorFlow turns the sum of ``(batch, channels, height, width)`` and
    ``(1, channels, 1, 1)`` into ``tf.nn.bias_add``, and takes the last axis for the channels if its length fits: for a
    feature map as wide as it has channels, the bias is added along the width, without an error. Functions traced
    inside the block are right; outside it, Keras is as it was. Versions without the fault are left alone.

    Source: ``add`` in ``keras/src/backend/tensorflow/numpy.py``.
    """
    global _users, _original
    if not _adds_along_width():
        yield
        return
    from keras.src.backend.tensorflow import numpy as operations

    with _lock:
        if not _users:
            _original, operations.add = operations.add, _fixed_add(operations)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                operations.add = _original


@cache
def _adds_along_width() -> bool:
    """Try whether the installed Keras has the fault."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf
    from keras.src.backend.tensorflow import numpy as operations

    with tf.init_scope():  # now, not in a graph that is being traced
        total = operations.add(tf.zeros((1, 2, 1, 2)), tf.reshape(tf.constant([0.0, 1.0]), (1, 2, 1, 1)))
        return bool(total[0, 0, 0, 1] != 0)


def _fixed_add(operations: Any) -> Any:
    import tensorflow as tf

    original = operations.add

    def add(x1: Any, x2: Any) -> Any:
        one, other = (getattr(x, "shape", None) for x in (x1, x2))
        if one is not None and other is not None and 2 < len(other) == len(one) and other[1] == one[1] == one[-1]:
            x1, x2 = (tf.cast(x, operations.dtypes.result_type(x1.dtype, x2.dtype)) for x in (x1, x2))
            return tf.add(x1, x2)
        return original(x1, x2)

    return add


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """Have Keras on another backend take TensorFlow as not installed inside the block, unless it is in use already.

    Keras would import it to find out whether what it saves or is given comes from TensorFlow. Source: ``LazyModule`` in
    ``keras/src/utils/module_utils.py``.
    """
    from keras.src.utils.module_utils import tensorflow

    before = tensorflow._available
    tensorflow._available = bool(before)
    try:
        yield
    finally:
        tensorflow._available = before


def moving_averages(optimizer: Any) -> list[Any]:
    """Return the averages that an optimizer with ``use_ema`` keeps, in the order of the variables it was built for.

    Source: ``keras/src/optimizers/base_optimizer.py``.
    """
    return list(optimizer._model_variables_moving_average)


def variable_index(optimizer: Any, variable: Any) -> int:
    """Return the position of a variable among those that an optimizer was built for, given as ``update_step`` gets it.

    Source: ``keras/src/optimizers/base_optimizer.py``.
    """
    return int(optimizer._get_variable_index(variable))
