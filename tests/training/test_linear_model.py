"""A base with a linear head, written as data, is the model that Keras would have built and saved."""

import numpy as np
import pytest

from tlkit.analysis.logistic_regression import LogisticRegression
from tlkit.architectures.layer_tables import has_table
from tlkit.architectures.registry.lookup import all_architectures
from tlkit.backend import keras
from tlkit.config import FinetuneConfig
from tlkit.training.base import Base
from tlkit.training.linear_model import write_linear_model
from tlkit.training.model import assemble_model, build_head, set_linear_head
from tlkit.training.plan import plan_training

SMALL = {
    "efficientnetb0": (161, 128),
    "efficientnetlite0": None,
    "mobilenetv3small": (65, 96),
    "nasnetmobile": (96, 97),
}
"""Odd and even sides: the padding of some depends on them."""
ALL = [entry.name for entry in all_architectures() if has_table(entry) and entry.modality == "image"]


def settings(model):
    """What every layer computes and trains; names that Keras gives depend on what was built before."""
    found = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found += [type(layer).__name__, *settings(layer)]
        else:
            own = layer.get_config()
            found.append((type(layer).__name__, {key: value for key, value in own.items() if not key.endswith(
                ("name", "_initializer"))}))  # fmt: skip
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.every] if name != "mobilenetv3small" else [])
        for name in dict.fromkeys((*SMALL, *ALL))
    ],
)
def test_the_file_is_that_of_keras(name, textures, tmp_path):
    options = FinetuneConfig(
        data=str(textures), arch=name, weights="none", size=SMALL.get(name), head="linear", finetune_epochs=0
    )
    plan = plan_training(options)
    base = Base.of(plan)
    width = base.nodes[-1].size
    random = np.random.default_rng(0)
    kernel, bias = (random.normal(size=size).astype("float32") for size in ((width, 3), 3))
    fitted = LogisticRegression(kernel, bias, 1e-4)
    write_linear_model(plan, base, fitted, tmp_path / "data.keras")
    found = keras.saving.load_model(tmp_path / "data.keras")

    head = build_head(plan.head, (width,), 3)
    set_linear_head(head, fitted)
    built = assemble_model(base.model, plan.head.pooling, head, plan.architecture.name, plan.preprocessor)
    for mine, keras_own in zip(found.weights, built.weights, strict=True):
        np.testing.assert_array_equal(mine, keras_own)
    assert settings(found) == settings(built)
    image = random.normal(size=(1, *found.input_shape[1:])).astype("float32")
    # called, not predict(): TensorFlow never frees the graph of a function
    np.testing.assert_array_equal(found(image, training=False), built(image, training=False))
