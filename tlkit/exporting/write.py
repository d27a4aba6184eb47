"""Write a classifier in any of the formats; in int8 again and again, with more layers in float."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tlkit.config import ExportFormat
from tlkit.exporting.compiled import describe_onnx, onnx_as_openvino, write_onnx, write_openvino
from tlkit.exporting.quantization import Quantizer
from tlkit.inference.exported.files import pack
from tlkit.inference.exported.manifest import Manifest
from tlkit.training.classifier import Classifier


def write_float(kind: ExportFormat, classifier: Classifier, manifest: Manifest, path: Path) -> None:
    """Write a classifier in float32 or float16.

    Args:
        kind: The format.
        classifier: What to write.
        manifest: What travels in it.
        path: The file, or the folder of a SavedModel.

    Raises:
        ModelError: A layer does not exist in the format.
    """
    if kind in ("onnx", "openvino"):
        write: Callable[[Classifier, Manifest, Path], None] = write_onnx if kind == "onnx" else write_openvino
        write(classifier, manifest, path)
        return
    if kind == "keras":
        from tlkit.exporting.keras_archive import write_keras

        write_keras(classifier, manifest, path)
        return
    from tlkit.exporting.through_tensorflow import write_litert, write_saved_model

    (write_litert if kind == "litert" else write_saved_model)(classifier, manifest, path)


def write_attempts(
    kind: ExportFormat,
    classifier: Classifier,
    manifest: Manifest,
    calibration: Sequence[np.ndarray] | None,
    path: Path,
    plain: Path,
) -> Iterator[tuple[str, ...]]:
    """Write a classifier; in int8 again and again, while the caller wants another.

    Args:
        kind: The format.
        classifier: What to write.
        manifest: What travels in it.
        calibration: For int8: images ``(1, height, width, channels)`` uint8; else None.
        path: The file, or the folder of a SavedModel.
        plain: The same in float32, which is there for int8.

    Yields:
        The layers that are left in float, more each time.

    Raises:
        ModelError: A layer does not exist in the format.
    """
    if calibration is None:
        write_float(kind, classifier, manifest, path)
        yield ()
        return
    if kind == "openvino":  # which quantizes nothing without NNCF, and runs what onnxruntime quantized
        plain = plain.with_suffix(".onnx")
        write_onnx(classifier, dataclasses.replace(manifest, precision="float32"), plain)
    quantizer = _quantizer(kind, plain, calibration)
    small = path.with_name(f"small.{quantizer.kind}")
    for in_float in quantizer.attempts():
        quantizer.write(small, in_float)
        if kind == "openvino":
            onnx_as_openvino(small, manifest, path)
        elif kind == "onnx":
            import onnx

            model = onnx.load(small)
            describe_onnx(model, manifest)
            onnx.save(model, path)
        else:
            small.replace(path)
            pack(path, manifest)
        yield quantizer.layers(in_float)


def _quantizer(kind: ExportFormat, plain: Path, calibration: Sequence[np.ndarray]) -> Quantizer:
    if kind == "litert":
        from tlkit.exporting.quantize_litert import LiteRTQuantizer

        return LiteRTQuantizer(plain, calibration)
    from tlkit.exporting.quantize_onnx import ONNXQuantizer

    return ONNXQuantizer(plain, calibration)
