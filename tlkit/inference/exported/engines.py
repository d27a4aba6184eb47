"""Engines of exported files: each format in its own runtime, one image after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import ExportFormat
from tlkit.errors import ModelError, TlkitError
from tlkit.inference.base import Outputs
from tlkit.inference.exported.files import reason_of
from tlkit.inference.exported.manifest import Manifest
from tlkit.utils.extras import needs
from tlkit.utils.processors import compute_threads
from tlkit.utils.quiet import stderr_held_back

Run = Callable[[np.ndarray], np.ndarray]
"""From images ``(batch, height, width, channels)`` uint8 to probabilities ``(batch, classes)`` float32."""


class ExportedEngine:
    """An exported file as an engine; see :class:`tlkit.inference.base.Engine`.

    Raises:
        ModelError: The runtime refuses the file, or it is not what its manifest describes.
        TlkitError: The runtime is not installed.
    """

    precision = "float32"

    def __init__(self, path: Path, kind: ExportFormat, manifest: Manifest) -> None:
        self.name: str = kind
        self.batch = 8 if manifest.preprocessor.resizes else 1  # images of their own sizes
        self.shapes: tuple[tuple[int, ...], ...] = ((len(manifest.classes),),)
        try:
            self.run = open_runtime(path, kind)
            blank = np.zeros((1, *manifest.size, manifest.channels), np.uint8)
            shape = self.run(blank).shape
        except TlkitError:
            raise
        except Exception as error:  # each runtime has exceptions of its own
            raise ModelError(f"{path} does not run: {reason_of(error)}.") from error
        if shape != (1, len(manifest.classes)):
            raise ModelError(f"{path} gives {shape}, but describes {len(manifest.classes)} classes.")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exported")

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on pixels ``(batch, height, width, channels)``; see :meth:`tlkit.inference.base.Engine.submit`."""
        return self._thread.submit(self._run_one_by_one, pixels)

    def _run_one_by_one(self, pixels: np.ndarray) -> Outputs:
        rows = [self.run(pixels[number : number + 1]) for number in range(len(pixels))]
        return (np.concatenate(rows) if rows else np.empty((0, *self.shapes[0]), np.float32),)


def open_runtime(path: Path, kind: ExportFormat) -> Run:
    """Return what runs an exported file.

    Raises:
        TlkitError: The runtime is not installed.
    """
    return _RUNTIMES[kind](path)


def _onnx(path: Path) -> Run:
    needs("onnx", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = compute_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a module of C++
        raise ModelError(f"onnxruntime cannot load {path}: {str(error).strip()}") from error
    return lambda images: np.asarray(session.run(["probabilities"], {"images": images})[0])


def _openvino(path: Path) -> Run:
    from tlkit.inference.openvino_runtime import core

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": compute_threads()}
    compiled = core.compile_model(str(path), "CPU", options)
    return lambda images: np.array(compiled(images)[0])


def _litert(path: Path) -> Run:
    needs("litert", "ai_edge_litert")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=compute_threads())
    runner = interpreter.get_signature_runner("serving_default")
    first = iter([stderr_held_back()])  # where it says which delegate it has chosen

    def run(images: np.ndarray) -> np.ndarray:
        with next(first, nullcontext()):
            return np.array(runner(images=images)["probabilities"])

    return run


def _saved_model(path: Path) -> Run:
    from tlkit.backend import tf

    loaded = tf.saved_model.load(str(path))
    signature: Any = loaded.signatures["serving_default"]

    def run(images: np.ndarray) -> np.ndarray:
        _ = loaded  # which holds what the signature refers to
        return np.asarray(signature(images=tf.constant(images))["probabilities"])

    return run


def _keras(path: Path) -> Run:
    from tlkit.backend import compiled, keras

    model = keras.saving.load_model(path, compile=False)
    graph = compiled(lambda images: model(images, training=False))
    return lambda images: np.asarray(graph(images))


_RUNTIMES: dict[ExportFormat, Callable[[Path], Run]] = {
    "onnx": _onnx, "openvino": _openvino, "litert": _litert, "saved_model": _saved_model, "keras": _keras
}  # fmt: skip
