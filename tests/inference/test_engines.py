"""Both engines against plain Keras, and against themselves: outputs do not depend on the batch."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers.statistics import draw_statistics
from packaging.requirements import Requirement

import tlkit
from tlkit.architectures.build import build
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.architectures.submodel import submodel
from tlkit.backend import keras
from tlkit.data.images.normalization import MODES, preprocess
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import TlkitError, UsageError
from tlkit.features.extractor import relative_error
from tlkit.inference.base import run
from tlkit.inference.keras_engine import KerasEngine
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import choose_engine, open_engine

ENGINES = ["keras", "openvino"]
FEW = {"efficientnetlite0"}
ENTRIES = [
    pytest.param(entry, id=entry.name, marks=[] if entry.name in FEW else [pytest.mark.every])
    for entry in all_architectures()
    if entry.modality == "image"
]


def network_of(model, size, preprocessing="none", **preprocessor):
    return LazyModel(lambda: model, ImagePreprocessor(size, preprocessing, **preprocessor))


def pixels_of(rows, size, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (rows, *size, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def small():
    """A network whose every part depends on place, channel and colour order; two outputs."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((24, 20, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    y = keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, [y, keras.layers.Dense(5, activation="softmax")(keras.layers.Flatten()(y))])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_features_are_those_of_keras(entry, engine):
    if entry.name in ("convnextlarge", "convnextxlarge") and engine == "openvino":
        pytest.skip("TensorFlow takes 7 to 16 GB to convert it; tests/inference/compiler runs it without")
    size = (max(entry.min_size, 96),) * 2
    keras.utils.set_random_seed(0)
    model = build(entry, include_top=False, size=size)
    pixels = pixels_of(3, size)
    inputs = preprocess(pixels, entry.preprocessing)
    draw_statistics(model, inputs)
    model = submodel(model, model.layers[-1].name, "avg")
    expected = model(inputs, training=False).numpy()
    (got,) = run(open_engine(network_of(model, size, entry.preprocessing), engine=engine), pixels)
    assert np.abs(expected).max() > 0
    assert relative_error(got, expected) < 1e-4
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_outputs_depend_on_their_image_alone(small, engine, precision):
    opened = open_engine(network_of(small, (24, 20), "tf"), engine=engine, precision=precision)
    pixels = pixels_of(37, (24, 20))
    whole = run(opened, pixels)
    assert [output.shape for output in whole] == [(37, 12, 10, 8), (37, 5)]
    assert opened.shapes == ((12, 10, 8), (5,))
    order = np.random.default_rng(0).permutation(37)
    for output, alone, shuffled in zip(whole, run(opened, pixels[5:6]), run(opened, pixels[order]), strict=True):
        assert output.dtype == np.float32
        np.testing.assert_array_equal(alone[0], output[5])
        np.testing.assert_array_equal(shuffled, output[order])
    assert [output.shape for output in run(opened, pixels[:0])] == [(0, 12, 10, 8), (0, 5)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", MODES)
def test_preprocessing_is_that_of_numpy(small, engine, mode):
    pixels = pixels_of(2, (24, 20))
    expected = small(preprocess(pixels, mode), training=False)
    for got, output in zip(run(open_engine(network_of(small, (24, 20), mode), engine=engine), pixels), expected,
                           strict=True):  # fmt: skip
        assert relative_error(got, output.numpy()) < 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_one_channel_and_channels_first(engine):
    inputs = keras.Input((1, 9, 7))
    model = keras.Model(inputs, keras.layers.Permute((2, 3, 1))(inputs))
    pixels = pixels_of(2, (9, 7), 1)
    preprocessor = {"channels": 1, "data_format": "channels_first"}
    (got,) = run(open_engine(network_of(model, (9, 7), "unit", **preprocessor), engine=engine), pixels)
    np.testing.assert_allclose(got, pixels / 255, atol=1e-6)


@pytest.mark.every
@pytest.mark.parametrize("engine", [pytest.param("keras", marks=pytest.mark.every), "openvino"])
def test_bfloat16_is_less_exact_and_not_far_off(engine):
    keras.utils.set_random_seed(0)
    entry = get_architecture("mobilenetv2")
    model = build(entry, include_top=False, size=(96, 96))
    pixels = pixels_of(2, (96, 96))
    network = network_of(model, (96, 96), "tf")
    exact, less = (
        run(open_engine(network, engine=engine, precision=precision), pixels)[0]
        for precision in ("float32", "bfloat16")
    )
    again = run(open_engine(network, engine=engine), pixels)[0]
    assert 1e-5 < relative_error(less, exact) < 0.1
    np.testing.assert_array_equal(again, exact)  # nothing of it stays in the process


@pytest.mark.parametrize(
    ("asked", "installed", "gpu", "chosen"),
    [
        ("auto", True, False, "openvino"),
        ("auto", True, True, "keras"),
        ("auto", False, False, "keras"),
        ("keras", True, False, "keras"),
        ("openvino", True, True, "openvino"),
    ],
)
def test_which_engine_runs(asked, installed, gpu, chosen):
    assert choose_engine(asked, installed=installed, gpu=gpu) == chosen


def test_an_engine_that_is_not_installed_is_refused():
    with pytest.raises(UsageError, match="not installed") as caught:
        choose_engine("openvino", installed=False, gpu=False)
    assert "`pip install openvino`" in caught.value.hint


@pytest.mark.parametrize(
    ("system", "machine", "python", "installed"),
    [
        ("linux", "x86_64", "3.11", True),
        ("linux", "aarch64", "3.13", True),
        ("linux", "armv7l", "3.11", False),
        ("darwin", "arm64", "3.12", True),
        ("darwin", "x86_64", "3.12", False),
        ("win32", "AMD64", "3.13", True),
        ("win32", "ARM64", "3.13", False),
        ("linux", "x86_64", "3.15", False),
    ],
)
def test_openvino_is_a_dependency_where_it_has_wheels(system, machine, python, installed):
    pyproject = tomllib.loads((Path(tlkit.__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    requirements = map(Requirement, pyproject["project"]["dependencies"])
    there = {"sys_platform": system, "platform_machine": machine, "python_version": python}
    found = [each for each in requirements if each.name == "openvino" and each.marker.evaluate(there)]
    assert len(found) == installed


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_is_heard_after_networks_were_freed():
    program = (
        "import os, signal, time\n"
        "from tlkit.config import PredictConfig\n"
        "from tlkit.inference.select import open_engine\n"
        "from tlkit.training.classifier import choose_classifier\n"
        "network = choose_classifier(PredictConfig(images=('x.png',))).network\n"
        "engines = [open_engine(network, engine='openvino') for _ in range(2)]\n"
        "del engines[0], engines[0]\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "heard\n", "")


@pytest.mark.every
def test_without_openvino_predict_goes_through_keras(cat, monkeypatch):
    monkeypatch.setattr("tlkit.inference.select.find_spec", lambda name: None)
    opened, submit = [], KerasEngine.submit
    monkeypatch.setattr(KerasEngine, "submit", lambda self, pixels: opened.append(self) or submit(self, pixels))
    (predicted,) = tlkit.predict(cat, top=1)
    assert predicted.scores[0].name == "Egyptian_cat"
    assert opened


def with_memory_for(monkeypatch, most):
    """Have networks of the Keras engine fail, as a GPU does, on batches of more images."""
    import tlkit.inference.keras_engine as module

    compile_network = module._compile

    def limited(network, precision):
        compiled = compile_network(network, precision)

        class Limited:
            shapes = compiled.shapes

            def __call__(self, pixels):
                if len(pixels) > most:
                    raise RuntimeError(f"RESOURCE_EXHAUSTED: Out of memory while trying to allocate {len(pixels)} GB.")
                return compiled(pixels)

        return Limited()

    monkeypatch.setattr(module, "_compile", limited)


def test_batches_become_smaller_where_memory_does_not_suffice(small, monkeypatch, caplog):
    network, pixels = network_of(small, (24, 20)), pixels_of(21, (24, 20))
    expected = run(open_engine(network, engine="keras"), pixels)
    with_memory_for(monkeypatch, 5)
    engine = open_engine(network, engine="keras")
    for got, wanted in zip(run(engine, pixels), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert engine.batch == 4
    assert [record.message for record in caplog.records][-1].endswith("does not suffice: batches of 4 from here on.")


def test_an_image_that_does_not_fit_is_an_error(small, monkeypatch):
    with_memory_for(monkeypatch, 0)
    with pytest.raises(TlkitError, match="does not suffice for this network and a single image"):
        run(open_engine(network_of(small, (24, 20)), engine="keras"), pixels_of(2, (24, 20)))
