"""Networks that OpenVINO cannot run: auto goes to Keras with a warning, everything else is one line that says why."""

import json
import zipfile

import keras
import numpy as np
import pytest
from helpers import cubic

from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.inference.base import run as run_engine
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import open_engine
from tlkit.utils.logging import warn_once

layers, ops = keras.layers, keras.ops
SIDE = 16
BUG = "bug of tlkit"


def image_of(tensor):
    """Undo what is no image: every case goes on with a map."""
    return layers.Reshape((*tensor.shape[1:], 1))(tensor) if len(tensor.shape) == 3 else tensor


def resizing(name="enlarge", **settings):
    return layers.Resizing(12, 10, name=name, **settings)


CASES = {
    "bicubic": (resizing(interpolation="bicubic"), "ResizeBicubic of layer enlarge (Resizing)"),
    "lanczos3": (resizing(interpolation="lanczos3"), "ScaleAndTranslate of layer enlarge (Resizing)"),
    "lanczos5": (resizing(interpolation="lanczos5"), "ScaleAndTranslate of layer enlarge (Resizing)"),
    "area": (resizing(interpolation="area"), "ResizeArea of layer enlarge (Resizing)"),
    "antialias": (resizing(antialias=True), "ScaleAndTranslate of layer enlarge (Resizing)"),
    "cropped": (
        resizing(interpolation="bicubic", crop_to_aspect_ratio=True), "ResizeBicubic of layer enlarge (Resizing)"),
    "padded": (resizing(antialias=True, pad_to_aspect_ratio=True), "ScaleAndTranslate of layer enlarge (Resizing)"),
    "bfloat16": (
        resizing(interpolation="bicubic", dtype="bfloat16"), "ResizeBicubic of layer enlarge (Resizing)"),
    "upsampling": (
        layers.UpSampling2D(2, interpolation="bicubic", name="up"), "ResizeBicubic of layer up (UpSampling2D)"),
    "upsampling lanczos5": (
        layers.UpSampling2D(2, interpolation="lanczos5", name="up"), "ScaleAndTranslate of layer up (UpSampling2D)"),
    "in a model": (
        keras.Sequential([keras.Input((SIDE, SIDE, 3)), resizing(interpolation="bicubic")], name="inner"),
        "ResizeBicubic of layer enlarge (Resizing)"),
    "of names that end in numbers": (
        lambda x: resizing("enlarge_1", interpolation="area")(resizing(interpolation="bilinear")(x)),
        "ResizeArea of layer enlarge_1 (Resizing)"),
    "two layers": (
        lambda x: resizing("again", interpolation="area")(resizing(interpolation="bicubic")(x)),
        "ResizeBicubic of layer enlarge (Resizing), ResizeArea of layer again (Resizing)"),
    "counting": (
        lambda x: ops.expand_dims(layers.CategoryEncoding(9, "multi_hot", name="count")(
            ops.cast(ops.reshape(x[:, :, :2, 0], (-1, 2 * SIDE)) * 8, "int32")), 1)[..., None],
        "DenseBincount of layer count (CategoryEncoding)"),
    "complex numbers": (
        lambda x: ops.cast(ops.cast(x, "complex64"), "float32"), "Cast (no layer of its own)"),
}  # fmt: skip
PARAMETERS = [
    pytest.param(name, marks=[] if name in ("bicubic", "complex numbers") else [pytest.mark.every]) for name in CASES
]


@pytest.fixture(autouse=True)
def _warnings_are_news():
    warn_once.cache_clear()


def save(build, path):
    keras.utils.set_random_seed(1)
    images = keras.Input((SIDE, SIDE, 3))
    x = image_of(build(layers.Rescaling(1 / 255)(images)))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    keras.Model(images, layers.Dense(3, activation="softmax")(x)).save(path)
    return path


def probabilities(ran):
    assert ran.code == 0, ran.err
    return {score["label"]: score["probability"] for score in ran.json[0]["predictions"]}


@pytest.mark.parametrize("case", PARAMETERS)
def test_predict_falls_back_to_keras_and_names_the_layer(tlkit, tmp_path, cat, case):
    build, needs = CASES[case]
    ask = ["predict", "--model", save(build, tmp_path / "x.keras"), cat, "--format", "json"]
    ran = tlkit(*ask)
    assert ran.err.count("Warning: ") == 1
    assert f"Warning: OpenVINO cannot convert {needs}. Keras runs the network.\n" in ran.err
    assert probabilities(ran) == pytest.approx(probabilities(tlkit(*ask, "--engine", "keras")), abs=1e-6)
    ran = tlkit(*ask, "--engine", "openvino")
    assert ran.code == 1
    assert f"Error: OpenVINO cannot convert {needs}.\nHint: Use --engine keras, which knows every layer.\n" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_a_network_that_is_converted_and_not_compiled(tlkit, tmp_path, cat, engine):
    model = save(lambda x: ops.cast(ops.cast(x, "float8_e4m3fn"), "float32"), tmp_path / "x.keras")
    ask = ["predict", "--model", model, cat, "--format", "json"]
    ran = tlkit(*ask, "--engine", engine)
    assert "OpenVINO cannot run this network: Unsupported operation of type: Convert" in ran.err
    if engine == "auto":
        assert "Keras runs the network.\n" in ran.err
        assert probabilities(ran) == pytest.approx(probabilities(tlkit(*ask, "--engine", "keras")), abs=1e-6)
    else:
        assert (ran.code, BUG in ran.err) == (1, False)
        assert "Hint: Use --engine keras" in ran.err


@pytest.mark.parametrize("error", [
    RuntimeError("Check 'x' failed\nFailed to allocate 411041792 bytes of memory"),  # as OpenVINO 2026.4 has it
    RuntimeError("bad allocation"),  # as Windows has it
    NotImplementedError("a bug"),
], ids=repr)  # fmt: skip
def test_neither_memory_nor_a_bug_is_what_openvino_cannot_run(tlkit, cat, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr("tlkit.inference.openvino_engine.compile_network", fail)
    ran = tlkit("predict", cat)
    assert (ran.code, "Warning: " in ran.err) == (1, False)
    assert (BUG if isinstance(error, NotImplementedError) else "Error: Out of memory.\n") in ran.err


@pytest.mark.parametrize("name", ["x.onnx", pytest.param("x.xml", marks=pytest.mark.every), "x.tflite"])
@pytest.mark.parametrize("case", ["bicubic", pytest.param("upsampling lanczos5", marks=pytest.mark.every)])
def test_an_export_that_cannot_be_names_the_layer(tlkit, tmp_path, case, name):
    build, needs = CASES[case]
    settings = {"bicubic": "layer enlarge (Resizing): interpolation is 'bicubic'",
                "upsampling lanczos5": "layer up (UpSampling2D): interpolation is 'lanczos5'"}  # fmt: skip
    ran = tlkit("export", save(build, tmp_path / "m.keras"), "-o", tmp_path / name)
    assert ran.code == 1
    if name == "x.tflite":
        assert f"Error: tlkit cannot write this network as LiteRT: it has no {needs}.\n" in ran.err
    else:
        assert f"Error: tlkit cannot write this network as ONNX or OpenVINO: {settings[case]}.\n" in ran.err
    assert "\nHint: --format " in ran.err
    assert ran.err.count("\n") < 6  # nothing that a converter prints
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", [pytest.param("x", marks=pytest.mark.every), "x.keras"])
def test_formats_of_keras_hold_it(tlkit, tmp_path, cat, name):
    model = save(CASES["bicubic"][0], tmp_path / "m.keras")
    ran = tlkit("export", model, "-o", tmp_path / name, "--check", cat.parent)
    assert ran.code == 0, ran.err
    assert ran.json["max_difference"] < 1e-5


def test_a_network_is_exported_whatever_engine_runs_it(tlkit, tmp_path, monkeypatch):
    model = save(lambda x: x, tmp_path / "m.keras")
    cubic_model = save(CASES["bicubic"][0], tmp_path / "cubic.keras")
    monkeypatch.setattr("tlkit.inference.select.find_spec", lambda name: None)  # as on a GPU: auto is Keras
    ran = tlkit("export", model, "-o", tmp_path / "x.onnx")
    assert ran.code == 0, ran.err
    ran = tlkit("export", cubic_model, "-o", tmp_path / "y.onnx")
    assert "layer enlarge (Resizing): interpolation is 'bicubic'" in ran.err


def with_a_constant(x):
    return layers.AutoContrast((0, 1))(x + np.eye(SIDE, dtype="float32")[..., None])[:, 0, 0]


CALLS = {
    "a state": lambda x: layers.LSTM(5, return_state=True)(x[..., 0])[1],
    "a causal mask": lambda x: layers.MultiHeadAttention(2, 3)(x[:, 0], x[:, 1], use_causal_mask=True)[:, 3],
    "a constant": with_a_constant,
}


@pytest.mark.parametrize("case", [case if case == "a state" else pytest.param(case, marks=pytest.mark.every)
                                  for case in CALLS])  # fmt: skip
@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_calls_that_the_compiler_does_not_know_are_left_to_keras(tlkit, tmp_path, cat, case, engine):
    keras.utils.set_random_seed(1)
    images = keras.Input((SIDE, SIDE, 3))
    x = CALLS[case](layers.Rescaling(1 / 255)(images))
    model = keras.Model(images, layers.Dense(3, activation="softmax")(x))
    model.save(tmp_path / "x.keras")
    ran = tlkit("predict", "--model", tmp_path / "x.keras", cat, "--format", "json", "--engine", engine)
    assert "Warning: " not in ran.err
    preprocessor = ImagePreprocessor((SIDE, SIDE), "none")
    pixels = preprocessor.to_array(preprocessor.load(str(cat)))
    expected = model.predict(pixels[np.newaxis].astype("float32"), verbose=0)[0]
    assert probabilities(ran) == pytest.approx({str(label): p for label, p in enumerate(expected)}, abs=1e-5)


@pytest.mark.parametrize("engine", ["auto", pytest.param("keras", marks=pytest.mark.every)])
@pytest.mark.parametrize("how", ["gaussian", pytest.param("mitchellcubic", marks=pytest.mark.every)])
def test_a_layer_that_keras_itself_cannot_call_is_named(tlkit, tmp_path, cat, how, engine):
    model = save(resizing(interpolation="bicubic"), tmp_path / "m.keras")
    rewrite_config(model, '"interpolation": "bicubic"', f'"interpolation": "{how}"')
    ran = tlkit("predict", "--model", model, cat, "--engine", engine)
    assert ran.code == 1
    assert "layer enlarge (Resizing)" in ran.err
    assert how in ran.err
    assert BUG not in ran.err


def rewrite_config(path, before, after):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert before.encode() in files["config.json"]
    files["config.json"] = files["config.json"].replace(before.encode(), after.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_constants_of_a_network_are_no_inputs_of_what_is_converted():
    images = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(images, layers.Flatten()(ops.inv(images[..., 0] / 255 + ops.eye(SIDE) * 20)))
    network = LazyModel(lambda: model, ImagePreprocessor((SIDE, SIDE), "none"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    got, expected = (run_engine(open_engine(network, engine=engine), pixels)[0] for engine in ("openvino", "keras"))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(got, expected, atol=1e-6)


WARNING = "Warning: OpenVINO cannot convert ResizeBicubic of layer enlarge (Resizing). Keras runs the network.\n"


@pytest.fixture(scope="module")
def base():
    with cubic.registered():
        yield "--arch", "cubic", "--weights", "none"


@pytest.fixture(scope="module")
def run(base, textures, tlkit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    warn_once.cache_clear()
    ran = tlkit("finetune", textures, *base, "--epochs", 1, "--finetune-epochs", 0, "-o", folder)
    assert ran.code == 0, ran.err
    assert ran.err.count(WARNING) == 1
    return folder


def test_finetune_records_the_engine_that_ran(run):
    assert '"engine": "keras"' in (run / "run.json").read_text()


def test_features_record_the_engine_that_computed_them(tlkit, base, cat, tmp_path):
    ran = tlkit("extract", *base, cat, "-o", tmp_path / "auto.npy")
    assert (ran.code, ran.err.count(WARNING)) == (0, 1), ran.err
    ran = tlkit("extract", *base, cat, "-o", tmp_path / "keras.npy", "--engine", "keras")
    assert ran.code == 0, ran.err
    auto, by_keras = (np.load(tmp_path / f"{name}.npy") for name in ("auto", "keras"))
    np.testing.assert_array_equal(auto, by_keras)
    told = [json.loads(next(tmp_path.glob(f"{name}*.json")).read_text()) for name in ("auto", "keras")]
    assert told[0] == told[1]
    ran = tlkit("extract", *base, cat, "-o", tmp_path / "x.npy", "--engine", "openvino")
    assert ran.code == 1
    assert "Hint: Use --engine keras" in ran.err


@pytest.mark.every
def test_bottleneck_and_evaluate_fall_back_too(tlkit, base, run, textures, tmp_path):
    ran = tlkit("bottleneck", textures, *base, "-o", tmp_path / "b")
    assert (ran.code, ran.err.count(WARNING)) == (0, 1), ran.err
    for command in (["evaluate", run, textures / "validation"], ["extract", "--model", run, textures, "-o",
                    tmp_path / "e.npy"], ["predict", "--model", run, textures / "validation"]):  # fmt: skip
        warn_once.cache_clear()
        ran = tlkit(*command)
        assert (ran.code, ran.err.count(WARNING)) == (0, 1), ran.err
    ran = tlkit("evaluate", run, textures / "validation", "--engine", "openvino")
    assert ran.code == 1
    assert "Hint: Use --engine keras" in ran.err
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx")
    assert "layer enlarge (Resizing): interpolation is 'bicubic'" in ran.err
