"""Networks converted for OpenVINO, kept in tlkit's cache so that Keras need not start to use them again."""

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
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import WeightsError
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.provenance import Provenance
from tlkit.utils.cache_dir import PART, cache_folder, keep_below_limit, touch
from tlkit.utils.hashing import digest_problem, file_digest
from tlkit.utils.logging import logger

CONVERSION = 2
"""Raised when the same network is converted otherwise."""
MODEL, WEIGHTS, PROVENANCE, BLOBS = "model.xml", "model.bin", "provenance.json", "blobs"


def models_folder() -> Path:
    """Where converted networks are kept."""
    return cache_folder() / "models"


def _converted(network: Provenance, preprocessor: Preprocessor) -> Provenance:
    """Return what decides the converted network: the network, the normalization inside it, and what converted it."""
    packages = [f"{package} {version(package)}" for package in ("openvino", "keras", "tensorflow")]
    return dataclasses.replace(
        network,
        size=[*preprocessor.size, preprocessor.channels],
        preprocessing=preprocessor.preprocessing,
        data_format=preprocessor.data_format,
        engine=", ".join((*packages, f"tlkit {tlkit.__version__}", f"conversion {CONVERSION}")),
    )


@contextmanager
def converted_model(network: LazyModel) -> Iterator[tuple[Path, bool]]:
    """The converted network as an OpenVINO file, and whether it is kept; what nobody can name again is not.

    A cache that cannot be written to is done without.
    """
    if network.provenance is not None:
        provenance = _converted(network.provenance, network.preprocessor)
        folder = models_folder() / provenance.key()
        try:
            if not _is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)
                models_folder().mkdir(parents=True, exist_ok=True)
                part = Path(tempfile.mkdtemp(dir=models_folder(), prefix=PART))
                try:
                    _convert(network, part)
                    content = {"provenance": provenance.to_dict(), WEIGHTS: file_digest(part / WEIGHTS)}
                    (part / PROVENANCE).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
                    with suppress(OSError):  # another process was first, and its folder is as good
                        part.rename(folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
                keep_below_limit(folder)
        except OSError as error:
            logger.debug("The converted network is not kept in %s: %s.", folder, error)
        else:
            touch(folder)
            yield folder / MODEL, True
            return
    scratch = _scratch(network)
    try:
        yield scratch / MODEL, False
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """True when a converted network is there, and its weights are those that were written."""
    try:
        content = json.loads((folder / PROVENANCE).read_text("utf-8"))
        return (folder / MODEL).is_file() and digest_problem(folder / WEIGHTS, content[WEIGHTS]) is None
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _scratch(network: LazyModel) -> Path:
    """The converted network for a moment: in the cache, or where that has no room, in a folder of its own."""
    failure: OSError | None = None
    for parent in (models_folder(), None):
        try:
            if parent:
                parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix=PART if parent else "tlkit-"))
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
        f"There is no room to convert the network for OpenVINO: {failure}.",
        hint="Make room, or say --engine keras.",
    )


def _definition(graph: Any) -> Any:
    """The operations that the outputs need. OpenVINO takes every loose end for an output, and swish leaves some."""
    from tlkit.backend import tf

    names = [output.op.name for output in graph.outputs]
    return tf.compat.v1.graph_util.extract_sub_graph(graph.graph.as_graph_def(), names)


def _convert(network: LazyModel, folder: Path) -> None:
    import openvino
    from openvino.frontend import FrontEndManager

    from tlkit.inference.frozen_graph import frozen_graph

    # the front end itself: openvino.convert_model would also report its use to a server
    front_end = FrontEndManager().load_by_framework("tf")
    graph = folder / "graph.pb"
    # unrolled: the front end knows no word for TensorFlow's loops over lists of tensors
    graph.write_bytes(_definition(frozen_graph(network, unroll=True)).SerializeToString())
    model = front_end.convert(front_end.load(str(graph)))
    try:
        openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    except RuntimeError as error:  # its words for a full disk
        raise OSError(errno.ENOSPC, f"{folder} cannot hold the network") from error
    del model
    graph.unlink()
