"""Networks converted for OpenVINO and cached, so that running them again needs neither Keras nor TensorFlow."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tlkit
from tlkit.errors import WeightsError
from tlkit.inference.failures import OpenVINOError, describe_operations, is_about_memory, reason_of
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.provenance import Provenance
from tlkit.utils.atomic_write import part_prefix
from tlkit.utils.cache_dir import cache_folder, create_folder, keep_below_limit, touch
from tlkit.utils.compute import backend
from tlkit.utils.hashing import digest_problem, file_digest
from tlkit.utils.logging import logger

CONVERSION = 2
"""Version of the conversion, increased whenever the same network is converted differently."""
MODEL, WEIGHTS, PROVENANCE, COMPILED = "model.xml", "model.bin", "provenance.json", "blobs"


def models_folder() -> Path:
    """Return the folder of the converted networks, in tlkit's cache."""
    return cache_folder() / "models"


def conversion_provenance(network: LazyModel) -> Provenance | None:
    """Return everything that the converted network depends on; None if it is not to be cached."""
    if network.provenance is None:
        return None
    preprocessor = network.preprocessor
    packages = [f"{package} {version(package)}" for package in ("openvino", "keras", "tensorflow")]
    return dataclasses.replace(
        network.provenance,
        size=[*preprocessor.size, preprocessor.channels],
        preprocessing=preprocessor.preprocessing,
        data_format=preprocessor.data_format,
        engine=", ".join((*packages, f"tlkit {tlkit.__version__}", f"conversion {CONVERSION}")),
    )


@contextmanager
def converted_model(network: LazyModel) -> Iterator[tuple[Path, bool]]:
    """Convert a network, or find it in the cache.

    Yields:
        The OpenVINO file, and whether it is cached. One that is not is removed after the block: a network without a
        cache key, and any network if the cache cannot be written to.

    Raises:
        OpenVINOError: It has operations that OpenVINO lacks, or Keras does not compute on TensorFlow.
        WeightsError: There is no disk space for it.
    """
    provenance = conversion_provenance(network)
    if provenance is not None:
        folder = models_folder() / provenance.key()
        try:
            if not _is_complete(folder):
                _fill(folder, network, provenance)
        except OSError as error:
            logger.debug("The converted network is not cached in %s: %s.", folder, error)
        else:
            touch(folder)
            yield folder / MODEL, True
            return
    scratch = _convert_to_scratch(network)
    try:
        yield scratch / MODEL, False
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_complete(folder: Path) -> bool:
    """Return True if a converted network is there with the weights that were written."""
    try:
        content = json.loads((folder / PROVENANCE).read_text("utf-8"))
        return (folder / MODEL).is_file() and digest_problem(folder / WEIGHTS, content[WEIGHTS]) is None
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fill(folder: Path, network: LazyModel, provenance: Provenance) -> None:
    """Convert a network beside its folder in the cache, and rename."""
    shutil.rmtree(folder, ignore_errors=True)
    create_folder(models_folder())
    part = Path(tempfile.mkdtemp(dir=models_folder(), prefix=part_prefix()))
    try:
        _convert(network, part)
        content = {"provenance": provenance.to_dict(), WEIGHTS: file_digest(part / WEIGHTS)}
        (part / PROVENANCE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        with suppress(OSError):  # another process was first, and its folder is as good
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    keep_below_limit(folder)


def _convert_to_scratch(network: LazyModel) -> Path:
    """Convert a network into a folder to be removed: in the cache, or if that fails in the temporary directory."""
    failure: OSError | None = None
    for parent in (models_folder(), None):
        try:
            if parent:
                create_folder(parent)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=part_prefix() if parent else "tlkit-"))
        except OSError as error:
            failure = error
            continue
        try:
            _convert(network, folder)
            return folder
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            failure = error
    raise WeightsError(
        f"No disk space to convert the network for OpenVINO: {failure}.",
        hint="Free some disk space, or use --engine keras.",
    )


def _definition(graph: Any) -> Any:
    """Return the operations that the outputs need: OpenVINO makes an output of every unused one, and swish has some."""
    from tlkit.backend import keras_scope, tf

    names = [output.op.name for output in graph.outputs]
    with keras_scope():  # it would log that the function is of TensorFlow 1
        definition = tf.compat.v1.graph_util.extract_sub_graph(graph.graph.as_graph_def(), names)
    # constants that a model file holds are captured, and would be more inputs of the network
    captured = {placeholder.op.name: tensor for tensor, placeholder in graph.graph.captures}
    for node in definition.node:
        tensor = captured.get(node.name)
        if tensor is not None and tensor.dtype != tf.resource:
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = tensor.dtype.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(tensor.numpy()))
    return definition


def _not_converted(front_end: Any, graph: Path, definition: Any) -> list[tuple[str, str]]:
    """Return ``(operation, name)`` of the nodes of a graph that OpenVINO cannot convert, in their order."""
    try:
        partial = front_end.convert_partially(front_end.load(str(graph)))
    except Exception:  # then the error of the conversion has to do
        return []
    left = {node.get_friendly_name() for node in partial.get_ops() if "FrameworkNode" in node.get_type_name()}
    return [(node.op, node.name) for node in definition.node if node.name in left]


def _convert(network: LazyModel, folder: Path) -> None:
    if backend() != "tensorflow":
        raise OpenVINOError(
            f"OpenVINO converts this network only where Keras computes on TensorFlow, not on {backend()}.",
            hint="Use --engine keras.",
        )
    from tlkit.inference.frozen_graph import frozen_graph
    from tlkit.inference.openvino_runtime import openvino

    # the front end itself: openvino.convert_model also sends telemetry
    front_end = openvino.frontend.FrontEndManager().load_by_framework("tf")
    graph = folder / "graph.pb"
    # unrolled: the front end cannot convert TensorFlow's loops over lists of tensors
    definition = _definition(frozen_graph(network, unroll=True))
    graph.write_bytes(definition.SerializeToString())
    try:
        model = front_end.convert(front_end.load(str(graph)))
    except Exception as error:  # the front end's own have no other base
        if is_about_memory(error):
            raise
        missing = _not_converted(front_end, graph, definition)
        raise OpenVINOError(
            f"OpenVINO cannot convert {describe_operations(network.model(), missing)}."
            if missing
            else f"OpenVINO cannot convert this network: {reason_of(error)}.",
            hint="Use --engine keras, which knows every layer.",
        ) from error
    try:
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    except RuntimeError as error:  # raised for a full disk
        raise OSError(errno.ENOSPC, f"cannot write {folder}") from error
    del model
    graph.unlink()
