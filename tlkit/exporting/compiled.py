"""Write a classifier as ONNX or OpenVINO: the compiler emits it, without Keras or TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tlkit.errors import ModelError
from tlkit.exporting.probabilities import WriterOperations, to_probabilities
from tlkit.exporting.resize import resize_images
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.network import Selection, emit_selection
from tlkit.inference.compiler.writer import Handle, Writer
from tlkit.inference.exported.files import labels_text
from tlkit.inference.exported.manifest import KEY, LABELS, Manifest
from tlkit.training.classifier import Classifier
from tlkit.utils.extras import needs


def write_onnx(classifier: Classifier, manifest: Manifest, path: Path) -> None:
    """Write an ONNX file from ``images``, ``(batch, height, width, channels)`` uint8, to ``probabilities``.

    Args:
        classifier: What to write.
        manifest: What travels in its metadata; ``float16`` stores weights as such.
        path: The file.

    Raises:
        ModelError: A layer is not one that the compiler knows, or the file would be larger than 2 GB.
        TlkitError: onnx is not installed.
    """
    needs("onnx", "onnx")
    import onnx

    from tlkit.inference.compiler.onnx_writer import ONNXWriter

    writer = ONNXWriter()
    sides: tuple[int | str, ...] = ("height", "width") if manifest.resize_inside else manifest.size
    output = _emit(classifier, _sized(writer.to_float("images"), manifest, writer), writer)
    model = writer.model(
        [output], input_shape=["batch", *sides, manifest.channels], name="classifier",
        output=("probabilities", ["batch", len(manifest.classes)]), half=manifest.precision == "float16",
    )  # fmt: skip
    describe_onnx(model, manifest)
    try:
        onnx.save(model, path)
    except ValueError as error:  # of protobuf
        raise ModelError(
            f"An ONNX file holds at most 2 GB, and this network has more ({error}).", hint="Use --format openvino."
        ) from error


def describe_onnx(model: Any, manifest: Manifest) -> None:
    """Put the manifest into the metadata of an ONNX model, in place of one that is there."""
    from onnx import helper

    helper.set_model_props(model, {KEY: manifest.to_json(), LABELS: labels_text(manifest)})


def write_openvino(classifier: Classifier, manifest: Manifest, path: Path) -> None:
    """Write an OpenVINO file, ``.xml`` with ``.bin`` beside it, as :func:`write_onnx` writes ONNX.

    Raises:
        ModelError: A layer is not one that the compiler knows.
    """
    from tlkit.inference.compiler.openvino_writer import OpenVINOWriter

    writer = OpenVINOWriter()
    sides = (-1, -1) if manifest.resize_inside else manifest.size
    images = writer.parameter([-1, *sides, manifest.channels], "uint8")
    output = _emit(classifier, _sized(writer.to_float(images), manifest, writer), writer)
    model = writer.model(images, [output])
    save_openvino(model, manifest, path)


def save_openvino(model: Any, manifest: Manifest, path: Path) -> None:
    """Name the ends of an OpenVINO model, put the manifest into its metadata, and write it."""
    from tlkit.inference.openvino_runtime import openvino

    model.inputs[0].get_tensor().set_names({"images"})
    model.outputs[0].get_tensor().set_names({"probabilities"})
    model.set_rt_info(manifest.to_json(), [KEY])
    # what OpenVINO's Model API reads
    model.set_rt_info("Classification", ["model_info", "model_type"])
    model.set_rt_info(" ".join(name.replace(" ", "_") for name in manifest.classes), ["model_info", "labels"])
    openvino.save_model(model, path, compress_to_fp16=manifest.precision == "float16")


def onnx_as_openvino(source: Path, manifest: Manifest, path: Path) -> None:
    """Write a quantized ONNX file as OpenVINO, which runs its operations as they are."""
    from tlkit.inference.openvino_runtime import openvino

    # the front end itself: openvino.convert_model also sends telemetry
    front_end = openvino.frontend.FrontEndManager().load_by_framework("onnx")
    save_openvino(front_end.convert(front_end.load(str(source))), manifest, path)


class _WithNumbers:
    """A writer whose constants may be plain numbers."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def constant(self, values: Any) -> Handle:
        """Emit a number, a vector of one."""
        return self._writer.constant(np.array([values], np.float32))


def _sized(pixels: Handle, manifest: Manifest, writer: Any) -> Handle:
    """Emit the resize of the images, where it belongs to the network."""
    if not manifest.resize_inside:
        return pixels
    return resize_images(pixels, manifest.size, manifest.resize, _WithNumbers(writer))


def _emit(classifier: Classifier, pixels: Handle, writer: Writer) -> Handle:
    network = classifier.network
    if network.selection is None:
        raise _refusal(network.unsupported or "it is known to Keras alone")
    try:
        selection = network.selection()
        first = Selection(selection.network, selection.outputs[:1])
        with np.errstate(over="ignore"):
            (output,) = emit_selection(first, network.preprocessor, pixels, writer)
    except Unsupported as reason:
        raise _refusal(str(reason)) from reason
    return to_probabilities(classifier, output, WriterOperations(writer))


def _refusal(reason: str) -> ModelError:
    return ModelError(
        f"tlkit cannot write this network as ONNX or OpenVINO: {reason}.",
        hint="--format keras and saved_model go through Keras, which knows every layer; --format litert knows most.",
    )
