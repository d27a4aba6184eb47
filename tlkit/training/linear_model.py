"""A base with a linear head as one model file, written as data: without Keras."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from tlkit.analysis.logistic_regression import LogisticRegression
from tlkit.architectures.keras_config import at_size, functional, layer, network_config, tensors
from tlkit.architectures.pretrained import read_weights
from tlkit.keras_files import write_archive
from tlkit.training.base import Base
from tlkit.training.plan import TrainingPlan

_POOLS = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}


def write_linear_model(plan: TrainingPlan, base: Base, head: LogisticRegression, path: Path) -> None:
    """Write what :func:`tlkit.training.model.assemble_model` would build with a linear head, for ``keras.saving``.

    Args:
        plan: The run; its architecture has a table.
        base: Its base.
        head: Its head.
        path: The ``.keras`` file.
    """
    architecture, name = plan.architecture, plan.preprocessor.modality.name
    shapes = {node.name: node.shape for node in base.nodes}
    network = at_size(network_config(architecture, include_top=False), shapes, trainable=False)
    last, *_ = network["config"]["output_layers"]
    model = [
        layer("InputLayer", {"name": name}),
        {**network, "inbound_nodes": [{"args": tensors([name]), "kwargs": {"training": False}}]},
    ]
    if plan.head.pooling in _POOLS:
        model.append(layer(_POOLS[plan.head.pooling], {"name": base.nodes[-1].name}, [network["name"]]))
    inner = [
        layer("InputLayer", {"name": "features"}),
        layer(
            "Dense", {"name": "predictions", "units": len(head.bias), "activation": plan.head.activation}, ["features"]
        ),
    ]
    vector = {"features": base.nodes[-1].shape}
    classifier = at_size(functional("head", inner, ["features"], ["predictions"]), vector)
    model.append({**classifier, "inbound_nodes": [{"args": tensors([model[-1]["name"]]), "kwargs": {}}]})
    outputs = {name: base.nodes[0].shape, network["name"]: shapes[last], **shapes}
    config = at_size(functional(architecture.name, model, [name], ["head"]), outputs)
    arrays = {(network["name"], *path): values
              for path, values in read_weights(architecture, plan.weights, include_top=False).items()}  # fmt: skip
    arrays["head", "predictions"] = {"kernel": head.kernel, "bias": head.bias}
    write_archive(path, config, arrays, importlib.metadata.version("keras"))
