"""The metadata of a LiteRT model: what MediaPipe's and Android's image classifiers read.

Source: ``metadata_schema.fbs`` of MediaPipe, version 1.5.0. Its fields are numbered in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tlkit.inference.exported.manifest import LABELS, Manifest

_NAME, _IDENTIFIER, _MODEL_IDENTIFIER = "TFLITE_METADATA", b"M001", b"TFL3"
_OLDEST_PARSER = "1.0.0"
_TENSOR_AXIS_LABELS = 2
_RGB, _GREYSCALE = 1, 2
_IMAGE_PROPERTIES = 2
"""Member of the union ContentProperties."""
_NORMALIZATION_OPTIONS = 1
"""Member of the union ProcessUnitOptions."""


def with_metadata(model: bytes, manifest: Manifest) -> bytes:
    """Return a LiteRT model with metadata: uint8 images, probabilities, and that ``labels.txt`` names the classes.

    Args:
        model: The flat buffer.
        manifest: Of the export.
    """
    unpacked = schema.ModelT.InitFromPackedBuf(model)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(_metadata(manifest))
    entry.name, entry.buffer = _NAME, len(unpacked.buffers)
    unpacked.buffers.append(buffer)
    unpacked.metadata = [*(unpacked.metadata or []), entry]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(unpacked.Pack(builder), _MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _metadata(manifest: Manifest) -> bytes:
    builder = flatbuffers.Builder()
    text = builder.CreateString
    color = _table(builder, 2, numbers={0: _RGB if manifest.channels == 3 else _GREYSCALE})
    content = _table(builder, 3, {1: color}, {0: _IMAGE_PROPERTIES})
    # nothing is left to do to a pixel: MediaPipe takes 0 to 255 for that
    mean, deviation = (builder.CreateNumpyVector(np.array([value], np.float32)) for value in (0, 1))
    normalization = _table(builder, 2, {0: mean, 1: deviation})
    unit = _table(builder, 2, {1: normalization}, {0: _NORMALIZATION_OPTIONS})
    units = _vector(builder, [unit])
    images = _table(builder, 7, {0: text("images"), 3: content, 4: units})
    labels = _vector(builder, [_table(builder, 5, {0: text(LABELS)}, {2: _TENSOR_AXIS_LABELS})])
    probabilities = _table(builder, 7, {0: text("probabilities"), 6: labels})
    inputs, outputs = _vector(builder, [images]), _vector(builder, [probabilities])
    graphs = _vector(builder, [_table(builder, 10, {2: inputs, 3: outputs})])
    name, parser = text(str(manifest.provenance.get("source", "classifier"))), text(_OLDEST_PARSER)
    builder.Finish(_table(builder, 8, {0: name, 3: graphs, 7: parser}), _IDENTIFIER)
    return bytes(builder.Output())


def _table(
    builder: flatbuffers.Builder, fields: int, offsets: Mapping[int, int] = {}, numbers: Mapping[int, int] = {}
) -> int:
    builder.StartObject(fields)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in numbers.items():
        builder.PrependUint8Slot(field, number, 0)
    end: int = builder.EndObject()
    return end


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    end: int = builder.EndVector()
    return end
