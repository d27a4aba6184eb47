"""Run a network with OpenVINO on the CPU: one image per request, one request per thread."""

from __future__ import annotations

import re
import threading
import weakref
from concurrent.futures import Future
from typing import Any

import numpy as np

from tlkit.errors import UsageError
from tlkit.inference.base import Outputs
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.network import compile_network
from tlkit.inference.failures import OpenVINOError, describe_layer, is_about_memory, layer_of, reason_of
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.openvino_cache import COMPILED, converted_model
from tlkit.inference.openvino_runtime import core, openvino
from tlkit.utils.logging import logger
from tlkit.utils.processors import compute_threads

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVINOEngine:
    """The ``openvino`` engine; see :class:`tlkit.inference.base.Engine`.

    Raises:
        UsageError: This processor does not support the precision.
        OpenVINOError: OpenVINO cannot run the network.

    Images go one by one to as many streams as there are threads: at least as fast as large batches, and no output can
    depend on another image, nor on the number of threads.
    """

    name = "openvino"
    batch = 8

    def __init__(self, network: LazyModel, precision: str = "float32") -> None:
        self.precision = precision
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UsageError(
                "This processor has no bfloat16 instructions: it would be slower and less accurate.",
                hint="Leave --precision out.",
            )
        threads = compute_threads()
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],  # by default it computes in bf16 if it can
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            compiled = _compile(network, options)
            self.shapes = tuple(tuple(output.shape)[1:] for output in compiled.outputs)
        except RuntimeError as error:
            if type(error) is not RuntimeError or is_about_memory(error):  # OpenVINO raises no subclass of it
                raise
            raise OpenVINOError(
                f"OpenVINO cannot run {_failing_part(network, error)}: {reason_of(error)}.",
                hint="Use --engine keras, which knows every layer.",
            ) from error
        self._queue = openvino.AsyncInferQueue(compiled, 2 * threads)
        self._queue.set_callback(_store)
        # the interpreter must not exit while a request may still call back, whatever the reason it exits
        weakref.finalize(self, self._queue.wait_all)

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on pixels ``(batch, height, width, channels)``; return once the last of them has started."""
        batch = _Batch(tuple(np.empty((len(pixels), *shape), np.float32) for shape in self.shapes))
        for index in range(len(pixels)):
            self._queue.start_async(pixels[index : index + 1], (batch, index))
        return batch.future


def _failing_part(network: LazyModel, error: RuntimeError) -> str:
    """Return the layer of the node that a message of OpenVINO names, for people."""
    found = re.search(r"\bname:? '?([\w./-]+)", reason_of(error))
    layer = layer_of(network.model(), found[1]) if found else None
    return "this network" if layer is None else describe_layer(layer)


def _compile(network: LazyModel, options: dict[str, Any]) -> openvino.CompiledModel:
    model = _from_data(network)
    if model is None:
        return _compile_converted(network, options)
    return core.compile_model(model, "CPU", options)


def _from_data(network: LazyModel) -> openvino.Model | None:
    """Return the OpenVINO model of a network that is known as data; None for one that has to go through Keras."""
    if network.selection is None:
        return None
    try:
        return compile_network(network.selection(), network.preprocessor)
    except Unsupported as reason:
        logger.debug("The network goes through Keras: %s.", reason)
        return None


def _compile_converted(network: LazyModel, options: dict[str, Any]) -> openvino.CompiledModel:
    with converted_model(network) as (path, cached):
        model = core.read_model(path)
        model.reshape([1, *network.preprocessor.size, network.preprocessor.channels])
        if cached:
            options["CACHE_DIR"] = str(path.with_name(COMPILED))
        try:
            return core.compile_model(model, "CPU", options)
        except RuntimeError:  # no disk space, or the cache is read-only
            if options.pop("CACHE_DIR", None) is None:
                raise
            return core.compile_model(model, "CPU", options)


class _Batch:
    """Outputs being computed; the last request to finish resolves the future."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs, self.missing = outputs, len(outputs[0])
        self.future: Future[Outputs] = Future()
        self.lock = threading.Lock()
        if not self.missing:
            self.future.set_result(outputs)


def _store(request: Any, target: tuple[_Batch, int]) -> None:
    batch, index = target
    try:
        for number, output in enumerate(batch.outputs):
            output[index] = request.get_output_tensor(number).data[0]
    except Exception as error:
        if not batch.future.done():
            batch.future.set_exception(error)
        return
    with batch.lock:
        batch.missing -= 1
        last = not batch.missing
    if last:
        batch.future.set_result(batch.outputs)
