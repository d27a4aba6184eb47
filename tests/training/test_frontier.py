"""The frontier, and that training on it is training the whole network."""

import dataclasses
import math

import numpy as np
import pytest

from tlkit.architectures.build import build
from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.pretrained import choose_weights
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.backend import keras
from tlkit.inference.mixed_precision import mixed_precision_scope
from tlkit.keras_private import tensors_of
from tlkit.training.base import Base, plan_stages
from tlkit.training.freeze import FreezePoint
from tlkit.training.frontier import find_frontier, nodes_of_model
from tlkit.training.heads import choose_head
from tlkit.training.history import Phase
from tlkit.training.model import assemble_model, build_head, build_trainable_top
from tlkit.training.objective import Objective
from tlkit.training.plan import PhasePlan
from tlkit.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("toy")


class Held(keras.utils.PyDataset):
    """Arrays as batches, always in the same order."""

    failure = None
    is_shared = False
    epoch = 0

    def __init__(self, inputs, labels, size=4):
        super().__init__()
        self.inputs, self.labels, self.size = inputs, labels, size

    def __len__(self):
        return -(-len(self.labels) // self.size)

    def __getitem__(self, index):
        part = slice(index * self.size, (index + 1) * self.size)
        inputs = [array[part] for array in self.inputs]
        return tuple(inputs) if len(inputs) > 1 else inputs[0], self.labels[part]


def network_of(name, frozen, size, *, batchnorm="frozen"):
    architecture = get_architecture(name)
    weights = "imagenet" if name in ("toy", "efficientnetlite0") else "none"
    sides = size if isinstance(size, tuple) else (size, size)
    choice = choose_weights(architecture, weights, include_top=False, size=sides)
    layers = layers_of(architecture, include_top=False)
    pooling = "avg" if len(layers[-1].shape) == 3 else "none"
    base = Base(architecture, choice, preprocessor_for(architecture, sides), layers, pooling=pooling)
    frozen = frozen if isinstance(frozen, int) else [layer.name for layer in layers].index(frozen) + 1
    (stage,) = plan_stages(base, [FreezePoint(frozen, len(layers), "")], batchnorm=batchnorm)
    stage.freeze(base.model)
    return base, stage


@pytest.mark.parametrize(
    ("name", "frozen", "size", "names"),
    [
        pytest.param("inceptionv3", "mixed8", 75, ["mixed8"], marks=pytest.mark.every),
        # inside a block: what trains, and what goes past it
        ("efficientnetlite0", 122, 64, ["block6c_add", "block6d_expand_activation"]),
        # three branches are stage, and a pooling that would be a fourth stays above
        pytest.param("inceptionv3", 172, 75, ["mixed5", "activation_55", "activation_51"], marks=pytest.mark.every),
        pytest.param("resnet50", "conv4_block6_out", 32, ["conv4_block6_out"], marks=pytest.mark.every),
        ("toy", "block2_right_relu", 32, ["block1_add", "block2_right_relu"]),
        ("vgg16", "block4_pool", 32, ["block4_pool"]),
        ("vgg16", 19, 32, ["avg_pool"]),  # nothing of the base trains
        ("vgg16", 0, 32, ["input_layer"]),  # all of it
        ("mobilenetv3small", 1, 32, ["input_layer"]),  # only scaling lies below
    ],
)
def test_the_frontier_is_where_least_is_cached(name, frozen, size, names):
    base, stage = network_of(name, frozen, size)
    frontier = stage.frontier
    assert sorted(frontier.names) == sorted(names)
    assert frontier.is_input == (names == ["input_layer"])
    assert frontier.is_output == (names == ["avg_pool"])
    shapes = [tensor.shape[1:] for tensor in tensors_of(base.pooled, frontier.names)]
    assert frontier.bytes == 4 * sum(math.prod(shape) for shape in shapes)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=[] if entry.name == "efficientnetlite0" else [pytest.mark.every])
        for entry in all_architectures()
    ],
)
def test_a_table_is_cut_where_the_keras_model_is(entry):
    """At every tenth layer, with and without BatchNormalization; and what can train is what Keras can train."""
    size = entry.input_size(None, include_top=False)
    base, _ = network_of(entry.name, 1, size)
    in_keras = nodes_of_model(base.pooled)
    base.model.trainable = True
    normalizes = keras.layers.BatchNormalization
    for frozen in range(0, len(base.layers) + 1, 10):
        for batchnorm in ("frozen", "train"):
            (stage,) = plan_stages(base, [FreezePoint(frozen, len(base.layers), "")], batchnorm=batchnorm)
            assert list(stage.trained) == [
                layer.name for layer in base.model.layers[frozen:]
                if (layer.trainable_variables and not isinstance(layer, normalizes))
                or (isinstance(layer, normalizes) and batchnorm == "train")
            ]  # fmt: skip
            expected = find_frontier(in_keras, stage.trained)
            assert sorted(stage.frontier.names) == sorted(expected.names)
            assert dataclasses.replace(stage.frontier, names=()) == dataclasses.replace(expected, names=())


@pytest.mark.every
@pytest.mark.parametrize(
    ("name", "frozen", "batchnorm"),
    [
        pytest.param("toy", "block2_right_relu", "frozen", marks=pytest.mark.every),  # two tensors are stage
        ("toy", "block2_concat", "train"),
        pytest.param("efficientnetlite0", 129, "frozen", marks=pytest.mark.every),
        pytest.param("efficientnetlite0", "block6d_add", "train", marks=pytest.mark.every),
        pytest.param("inceptionv3", 172, "frozen", marks=pytest.mark.every),
        pytest.param("nasnetmobile", 650, "frozen", marks=pytest.mark.every),
        pytest.param("convnexttiny", 100, "frozen", marks=pytest.mark.every),
    ],
)
def test_it_trains_as_the_whole_network_does(name, frozen, batchnorm, tmp_path):
    size = 75 if name.startswith("inception") else 48
    random = np.random.default_rng(0)
    architecture = get_architecture(name)
    pictures = random.uniform(0 if architecture.preprocessing == "none" else -1, 1, (10, size, size, 3)).astype("f")
    labels = np.arange(10) % 3
    curves = {}
    for way in ("whole", "frontier"):
        base, stage = network_of(name, frozen, size, batchnorm=batchnorm)
        network = base.pooled
        before = [layer.get_weights() for layer in base.model.layers]
        keras.utils.set_random_seed(2)
        head = build_head(choose_head("dense", units=16), network.output_shape[1:], 3)
        training = None if batchnorm == "train" else False
        if way == "whole":
            inputs = keras.Input(network.input_shape[1:])
            model = keras.Model(inputs, head(network(inputs, training=training)))
            batches = Held([pictures], labels)
        else:
            frontier = stage.frontier
            below = keras.Model(network.input, tensors_of(network, frontier.names))
            rows = keras.tree.flatten(below.predict(pictures, verbose=0))
            model = build_trainable_top(network, frontier, head, batchnorm=batchnorm)
            batches = Held(rows, labels)
        plan = PhasePlan(name="finetune", epochs=2, optimizer="sgd", lr=0.01)
        phase = Trainer(Objective(3), tmp_path).train(plan, model, batches, batches)
        curves[way] = [(epoch["loss"], epoch["val_loss"]) for epoch in phase.epochs]
        changed = {
            layer.name
            for layer, values in zip(base.model.layers, before, strict=True)
            if any((now != value).any() for now, value in zip(layer.get_weights(), values, strict=True))
        }
        assert changed == {*stage.trained}
        # base, pooling and head as one model say what the part that trained says
        whole = assemble_model(base.model, "avg", head, name, base.spec.network.preprocessor)
        if way == "frontier":
            np.testing.assert_allclose(
                whole.predict(pictures, verbose=0),
                build_trainable_top(network, frontier, head)(tuple(rows) if len(rows) > 1 else rows[0]),
                rtol=1e-3, atol=1e-5,
            )  # fmt: skip
    np.testing.assert_allclose(curves["frontier"], curves["whole"], rtol=2e-3)


@pytest.mark.every
@pytest.mark.parametrize(
    ("name", "frozen"),
    [
        ("toy", "block1_add"),
        *(
            pytest.param(name, -40, marks=pytest.mark.every)
            for name in ("efficientnetlite0", "inceptionv3", "convnexttiny", "xception")
        ),
    ],
)
def test_bfloat16_trains_and_leaves_float32_behind(name, frozen, tmp_path):
    """It learns as float32 does, by other numbers: none would differ if float32 had computed them."""
    if frozen == -40:
        frozen += len(build(get_architecture(name), include_top=False).layers)
    curves = {}
    for precision in ("float32", "bfloat16"):
        base, stage = network_of(name, frozen, 75)
        network, frontier = base.pooled, stage.frontier
        keras.utils.set_random_seed(2)
        head = build_head(choose_head("linear"), network.output_shape[1:], 3)
        shapes = [tensor.shape[1:] for tensor in tensors_of(network, frontier.names)]
        rows = [np.random.default_rng(0).uniform(size=(8, *shape)).astype("f") for shape in shapes]
        with mixed_precision_scope(precision, base.model.layers):
            model = build_trainable_top(network, frontier, head)
            assert model(tuple(rows) if len(rows) > 1 else rows[0]).dtype == "float32"  # heads stay as they are
            batches = Held(rows, np.arange(8) % 3)
            plan = PhasePlan(name="finetune", epochs=4, optimizer="sgd", lr=0.002)
            phase = Trainer(Objective(3), tmp_path).train(plan, model, batches, batches)
        curves[precision] = np.array([epoch["loss"] for epoch in phase.epochs])
        assert {layer.compute_dtype for layer in base.model.layers} == {"float32"}
        assert {weight.dtype for weight in base.model.weights} == {"float32"}
    exact, less = curves["float32"], curves["bfloat16"]
    assert exact[-1] < exact[0]
    assert less[-1] < less[0]
    np.testing.assert_allclose(less, exact, rtol=0.05)
    assert (less != exact).any()


def test_a_summary_names_the_epoch_that_is_kept():
    epochs = [{"val_accuracy": 0.5, "seconds": 1.0}, {"val_accuracy": 0.9, "seconds": 1.0}]
    assert Phase("head", epochs).summary(10)["best_epoch"] == 2
    summary = Phase("head", epochs, best=1, lr=0.1).summary(10)
    low, high = summary.pop("interval")
    assert summary == {
        "name": "head", "epochs": 2, "best_epoch": 1, "learning_rate": 0.1, "seconds": 2.0, "val_accuracy": 0.5,
    }  # fmt: skip
    assert (low, high) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
