"""Networks compiled from the tables of their layers, against the same networks built and run by Keras."""

import keras
import numpy as np
import pytest
from helpers.statistics import draw_statistics

from tlkit.architectures.build import build
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.config import BuildOptions
from tlkit.features.published_network import published_graph
from tlkit.inference.base import run
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.network import Network, Output, Selection
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.openvino_engine import OpenVINOEngine
from tlkit.keras_files import layer_arrays

LIMIT = 1e-5
FEW = {"efficientnetlite0"}
ENTRIES = [
    pytest.param(entry, id=entry.name, marks=[] if entry.name in FEW else [pytest.mark.every])
    for entry in all_architectures()
]


def relative_error(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def inputs_of(preprocessor, rows=2):
    random = np.random.default_rng(0)
    shape = (rows, *preprocessor.size, preprocessor.channels)
    if preprocessor.dtype == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.normal(-40, 20, shape).astype(preprocessor.dtype)


def draw_classifier(model, inputs):
    """Statistics and a classifier under which probabilities are neither 0 nor 1, and nothing before is chaotic."""
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    before = keras.Model(model.input, last.input)
    draw_statistics(before, inputs)
    kernel, *others = last.get_weights()
    features = before(inputs, training=False).numpy().reshape(len(inputs), -1)
    logits = np.abs(features @ kernel.reshape(-1, kernel.shape[-1])).max()
    last.set_weights([kernel / max(1.0, logits / 3), *others])


def compiled(entry, model, include_top, outputs, preprocessor):
    """An engine that must not ask for the Keras model."""
    network = Network(published_graph(entry, include_top=include_top), lambda: layer_arrays(model))
    graph = network.graph
    refs = [graph.output_of(name) if name else graph.outputs[0] for name, _ in outputs]
    chosen = tuple(Output(ref, pooling) for ref, (_, pooling) in zip(refs, outputs, strict=True))

    def no_keras():
        raise AssertionError("it went through Keras")

    return OpenVINOEngine(LazyModel(no_keras, preprocessor, None, lambda: Selection(network, chosen)))


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_classifier_gives_what_keras_gives(entry):
    size = None if entry.fixed_shape or entry.fixed_top else (max(entry.min_size, 96),) * 2
    preprocessor = preprocessor_for(entry, entry.input_size(size, include_top=True))
    keras.utils.set_random_seed(0)
    model = build(entry, include_top=True, size=size)
    pixels = inputs_of(preprocessor)
    draw_classifier(model, preprocessor.to_model_input(pixels))
    (got,) = run(compiled(entry, model, True, [("", "none")], preprocessor), pixels)
    expected = model(preprocessor.to_model_input(pixels), training=False).numpy()
    assert np.ptp(expected[0] - expected[1]) > 0
    assert relative_error(got, expected) < LIMIT


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_block_and_the_pooled_base_give_what_keras_gives(entry):
    size = None if entry.fixed_shape else (max(entry.min_size, 75), max(entry.min_size, 90))
    preprocessor = preprocessor_for(entry, entry.input_size(size, include_top=False))
    keras.utils.set_random_seed(0)
    model = build(entry, include_top=False, size=size)
    pixels = inputs_of(preprocessor)
    draw_statistics(model, preprocessor.to_model_input(pixels))
    names = [*entry.blocks, model.layers[-1].name]
    maps = len(model.output_shape) == 4
    outputs = [*((name, "none") for name in names), *([(names[-1], "avg"), (names[-1], "max")] if maps else [])]
    got = run(compiled(entry, model, False, outputs, preprocessor), pixels)
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    expected = [value.numpy() for value in inner(preprocessor.to_model_input(pixels), training=False)]
    if maps:
        expected += [expected[-1].mean((1, 2)), expected[-1].max((1, 2))]
    assert len(got) == len(expected)
    for one, other, (name, pooling) in zip(got, expected, outputs, strict=True):
        assert one.shape == other.shape
        assert relative_error(one, other) < LIMIT, (name, pooling)


@pytest.mark.parametrize("name", ["mobilenet", pytest.param("resnet50", marks=pytest.mark.every)])
def test_maps_of_a_channels_first_network_are_channels_first(name):
    entry = get_architecture(name, BuildOptions(data_format="channels_first"))
    preprocessor = preprocessor_for(entry, (64, 96))
    model = build(get_architecture(name), include_top=False, size=(64, 96))
    pixels = inputs_of(preprocessor)
    last = model.layers[-1].name
    got = run(compiled(entry, model, False, [(last, "none"), (last, "avg")], preprocessor), pixels)
    channels_last = preprocessor_for(get_architecture(name), (64, 96))
    expected = model(channels_last.to_model_input(pixels), training=False).numpy()
    assert relative_error(got[0], np.moveaxis(expected, -1, 1)) < LIMIT
    assert relative_error(got[1], expected.mean((1, 2))) < LIMIT


def test_a_layer_that_is_not_there_is_named():
    graph = published_graph(get_architecture("vgg16"), include_top=False)
    with pytest.raises(Unsupported, match="layer nothing"):
        graph.output_of("nothing")
