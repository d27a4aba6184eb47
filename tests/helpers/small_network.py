"""The network of `tlkit doctor` in files of other runtimes: ``python -m helpers.small_network`` writes them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tlkit.inference import small_network
from tlkit.inference.small_network import CHANNELS, CLASSES, SIDE, small_image, small_weights

FOLDER = Path(small_network.__file__).parent


def answer() -> np.ndarray:
    """Compute the network in NumPy."""
    kernel, bias, matrix, offset = (weights.astype(np.float64) for weights in small_weights())
    windows = np.lib.stride_tricks.sliding_window_view(small_image()[0], (3, 3), axis=(0, 1))
    maps = np.maximum(np.einsum("hwcij,ijcf->hwf", windows, kernel) + bias, 0)
    logits = np.exp(maps.mean((0, 1)) @ matrix + offset)
    return logits / logits.sum()


def write_onnx() -> None:
    """Write ``small.onnx``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel, bias, matrix, offset = small_weights()
    nodes = [
        helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "kernel", "bias"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["features"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["features", "matrix", "offset"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"kernel": kernel.transpose(3, 2, 0, 1).copy(), "bias": bias, "matrix": matrix, "offset": offset}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, SIDE, SIDE, CHANNELS])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, FOLDER / "small.onnx")


def write_litert() -> None:
    """Write ``small.tflite``."""
    from tlkit.backend import tf

    kernel, bias, matrix, offset = small_weights()

    def network(image: Any) -> Any:
        maps = tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "VALID") + bias)
        return tf.nn.softmax(tf.reduce_mean(maps, (1, 2)) @ matrix + offset)

    signature = tf.TensorSpec((1, SIDE, SIDE, CHANNELS), tf.float32, name="image")
    function = tf.function(network).get_concrete_function(signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    (FOLDER / "small.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    write_onnx()
    write_litert()
    print(answer().round(6))
