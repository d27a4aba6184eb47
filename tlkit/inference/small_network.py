"""Run a small network in one engine: what `tlkit doctor` starts, in a process of its own for each.

A convolution, pooling over the image, a classifier. ``small.onnx`` and ``small.tflite`` are the same network, so that
their runtimes are tried without what writes such files; ``python -m helpers.small_network``, in ``tests/``, writes
them.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tlkit.utils.compute import Backend

SIDE, CHANNELS, FILTERS, CLASSES = 8, 3, 4, 3
EXPECTED = (0.1153, 0.4677, 0.4170)
"""What NumPy computes, to four digits."""
TOLERANCE = 0.003
"""A GPU computes float32 products with 10 bits: the last of these digits."""
WITHOUT_NUMPY = "NumPy does not run"
"""How the problem of any engine begins where that is missing."""
_MOST_SECONDS = 300
"""After which the process ends by itself, should nobody be there any more to end it."""
_FILES = Path(__file__).parent


def small_weights() -> list[np.ndarray]:
    """Return kernel and bias of the convolution, kernel and bias of the classifier."""
    return [
        _waves((3, 3, CHANNELS, FILTERS), 0.5), _waves((FILTERS,), 0.3), _waves((FILTERS, CLASSES), 2.0),
        _waves((CLASSES,), 0.3),
    ]  # fmt: skip


def small_image() -> np.ndarray:
    """Return the image ``(1, height, width, channels)`` that :data:`EXPECTED` is the answer to."""
    return _waves((1, SIDE, SIDE, CHANNELS), 1.0)


def _waves(shape: Sequence[int], size: float) -> np.ndarray:
    """Return numbers that every version of NumPy gives, unlike random ones."""
    import numpy as np

    waves: np.ndarray = size * np.sin(1.7 * np.arange(np.prod(shape)))
    return waves.astype(np.float32).reshape(shape)


def _keras(backend: Backend) -> Any:
    from tlkit.utils.compute import use

    use(None, backend, "auto")
    from tlkit.backend import compiled, keras, keras_scope

    layers = keras.layers
    with keras_scope():
        model = keras.Sequential([
            keras.Input((SIDE, SIDE, CHANNELS)),
            layers.Conv2D(FILTERS, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ])  # fmt: skip
        model.set_weights(small_weights())
        return compiled(lambda image: model(image, training=False))(keras.ops.convert_to_tensor(small_image()))


def _openvino() -> Any:
    import numpy as np

    from tlkit.inference.openvino_runtime import core, openvino

    ops = openvino.opset13
    kernel, bias, matrix, offset = small_weights()
    image = ops.parameter([1, SIDE, SIDE, CHANNELS], np.float32)
    x = ops.transpose(image, [0, 3, 1, 2])
    x = ops.convolution(x, kernel.transpose(3, 2, 0, 1).copy(), [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.relu(ops.add(x, bias.reshape(1, FILTERS, 1, 1)))
    x = ops.add(ops.matmul(ops.reduce_mean(x, [2, 3]), matrix, False, False), offset)
    model = openvino.Model([ops.softmax(x, 1)], [image], "small")
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(small_image())[0]


def _onnxruntime() -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(_FILES / "small.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": small_image()})[0]


def _litert() -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(_FILES / "small.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], small_image())
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


RUNS: dict[str, Callable[[], Any]] = {
    "tensorflow": lambda: _keras("tensorflow"),
    "jax": lambda: _keras("jax"),
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "litert": _litert,
}
"""Each engine: what runs the network in it and returns its answer."""


def _gpus(engine: str) -> list[str]:
    """Return the names of the graphics cards that a backend of Keras sees."""
    if engine == "tensorflow":
        from tlkit.backend import tf

        found = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details
        return [str(details(gpu).get("device_name", gpu.name)) for gpu in found]
    if engine == "jax":
        from tlkit.backend import jax

        return [str(device.device_kind) for device in jax.local_devices() if device.platform in ("gpu", "cuda", "rocm")]
    return []


def attempt(engine: str) -> dict[str, Any]:
    """Run the network in an engine.

    Returns:
        ``problem``, None if the answer is right, and ``gpus``.
    """
    try:
        import numpy as np
    except Exception as error:
        return {"problem": f"{WITHOUT_NUMPY}: {_in_a_line(error)}", "gpus": []}
    try:
        answer = np.asarray(RUNS[engine](), np.float64)
        gpus = _gpus(engine)
    except Exception as error:  # whatever a damaged package raises
        return {"problem": _in_a_line(error), "gpus": []}
    if answer.shape != (1, CLASSES):
        return {"problem": f"its answer has the shape {answer.shape}, not {(1, CLASSES)}", "gpus": gpus}
    difference = float(np.abs(answer[0] - EXPECTED).max())
    wrong = f"its answer differs from NumPy's by {difference:.3g}"
    return {"problem": None if difference <= TOLERANCE else wrong, "gpus": gpus}


def _in_a_line(error: BaseException) -> str:
    """Return kind and text of an error, or of the one whose traceback it quotes, as TensorFlow's do."""
    lines = str(error).strip().splitlines()
    earlier = error.__cause__ or error.__context__
    if lines and lines[0].startswith("Traceback") and earlier is not None:
        return _in_a_line(earlier)
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def main(engine: str) -> None:
    """Print the outcome, and nothing else, on stdout: what libraries print there goes to stderr."""
    faulthandler.dump_traceback_later(_MOST_SECONDS, exit=True)
    stdout = os.dup(1)
    os.dup2(2, 1)
    outcome = attempt(engine)
    sys.stdout.flush()
    os.write(stdout, json.dumps(outcome).encode())
