"""The layout of a Triton model repository: ``NAME/config.pbtxt`` and ``NAME/1/model.onnx``.

Source: the model configuration of NVIDIA's Triton Inference Server, ``docs/user_guide/model_configuration.md``.
"""

from __future__ import annotations

import json

from tlkit.config import ExportFormat
from tlkit.inference.exported.manifest import LABELS, Manifest

FILES: dict[ExportFormat, str] = {"onnx": "model.onnx", "openvino": "model.xml", "saved_model": "model.savedmodel"}
"""Names that Triton expects in the folder of a version."""
_BACKENDS: dict[ExportFormat, str] = {"onnx": "onnxruntime", "openvino": "openvino", "saved_model": "tensorflow"}
_MOST_IN_BATCH = 32


def config_text(name: str, kind: ExportFormat, manifest: Manifest) -> str:
    """Return ``config.pbtxt``.

    Args:
        name: Of the model, the name of its folder.
        kind: Its format.
        manifest: Of the export.
    """
    sides = (-1, -1) if manifest.resize_inside else manifest.size
    platform = 'platform: "tensorflow_savedmodel"\n' if kind == "saved_model" else ""
    return f"""name: {json.dumps(name, ensure_ascii=False)}
backend: "{_BACKENDS[kind]}"
{platform}max_batch_size: {_MOST_IN_BATCH}
input [
  {{
    name: "images"
    data_type: TYPE_UINT8
    dims: [ {", ".join(map(str, (*sides, manifest.channels)))} ]
  }}
]
output [
  {{
    name: "probabilities"
    data_type: TYPE_FP32
    dims: [ {len(manifest.classes)} ]
    label_filename: "{LABELS}"
  }}
]
dynamic_batching {{ }}
"""
