"""Random weights that NumPy draws, against those that Keras draws, and between engines."""

import csv
import dataclasses
import gc
import json

import h5py
import keras
import numpy as np
import pytest
from helpers.toy import toy as toy_entry

from tlkit import keras_files
from tlkit.architectures.build import build
from tlkit.architectures.initializers import BY_ROLE, initializer_of
from tlkit.architectures.layer_tables import expected_layers, initializers_of, layers_of
from tlkit.architectures.pretrained import build_pretrained, choose_weights, read_weights
from tlkit.architectures.random_weights import draw
from tlkit.architectures.registry.lookup import all_architectures, get_architecture, register
from tlkit.config import BuildOptions, LoadOptions
from tlkit.errors import ArchitectureError
from tlkit.features.spec import FeatureSpec
from tlkit.inference.select import open_engine

pytestmark = pytest.mark.usefixtures("toy")

NAMES = ["toy", "mobilenetv3small", "efficientnetb0", "nasnetmobile", "musictaggercrnn"]
LARGE = [pytest.param(name, marks=pytest.mark.every) for name in ("convnexttiny", "xception", "resnext50", "vgg16")]


def drawn(name, *, include_top, seed=0, **options):
    entry = get_architecture(name, BuildOptions(**options))
    return read_weights(
        entry, choose_weights(entry, "none", include_top=include_top, seed=seed), include_top=include_top
    )


def assert_same_distribution(ours, its, name):
    """Two samples: mean, deviation and bounds within six deviations of what chance makes of them."""
    assert ours.shape == its.shape, name
    assert ours.dtype == np.float32, name
    deviation = its.std()
    if deviation == 0:
        assert np.array_equal(ours, its), name
        return
    count = its.size
    assert abs(ours.mean() - its.mean()) < 6 * deviation * np.sqrt(2 / count), name
    assert abs(ours.std() / deviation - 1) < 6 / np.sqrt(count), name
    if count > 1000 and name[-1] != "recurrent_kernel":  # the elements of an orthogonal matrix have no sharp bound
        assert abs(np.abs(ours).max() / np.abs(its).max() - 1) < 60 / count + 0.002, name


@pytest.mark.every
@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_every_weight_has_the_distribution_that_keras_gives_it(name):
    ours = drawn(name, include_top=True, seed=1)
    keras.utils.set_random_seed(2)
    its = keras_files.layer_arrays(build(get_architecture(name), include_top=True))
    assert ours.keys() == its.keys()
    for layer, arrays in its.items():
        assert ours[layer].keys() == arrays.keys()
        for role, array in arrays.items():
            assert_same_distribution(ours[layer][role], array, (*layer, role))
    del its
    gc.collect()


INITIALIZERS = {
    "random_normal": lambda: keras.initializers.RandomNormal(1, 0.5),
    "random_uniform": lambda: keras.initializers.RandomUniform(-1, 3),
    "truncated_normal": lambda: keras.initializers.TruncatedNormal(1, 0.5),
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "untruncated": lambda: keras.initializers.VarianceScaling(0.5, "fan_avg", "untruncated_normal"),
    "orthogonal": lambda: keras.initializers.Orthogonal(2.0),
    "axes": lambda: keras.initializers.VarianceScaling(input_axes=[0], output_axes=[1, 2, 3]),
    "constant": lambda: keras.initializers.Constant(7),
    "ones": keras.initializers.Ones,
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_of_keras_is_drawn_from(name):
    keras.utils.set_random_seed(3)
    initializer, shape = INITIALIZERS[name](), (5, 4, 60, 70)
    ours = draw(initializer_of(initializer), shape, np.random.default_rng(4))
    its = np.asarray(initializer(shape))
    if "normal" in name or name in ("untruncated", "orthogonal", "axes"):  # tails have no sharp bound
        assert abs(ours.mean() - its.mean()) < 0.03 * its.std()
        assert abs(ours.std() / its.std() - 1) < 0.02
        if name == "truncated_normal":
            assert ours.min() > 0
            assert ours.max() < 2
    else:
        assert_same_distribution(ours, its, name)
    if name == "orthogonal":
        columns = ours.reshape(-1, shape[-1])
        np.testing.assert_allclose(columns.T @ columns, 4 * np.eye(shape[-1]), atol=1e-5)


@pytest.mark.parametrize("name", ["toy", "mobilenetv2", "inceptionv3"])
def test_a_base_starts_the_same_with_and_without_its_classifier(name):
    whole, base = drawn(name, include_top=True), drawn(name, include_top=False)
    assert base.keys() < whole.keys()
    assert all(np.array_equal(array, whole[layer][role]) for layer in base for role, array in base[layer].items())


def test_layers_and_seeds_have_other_weights_and_the_same_call_the_same():
    one, again, other = (drawn("toy", include_top=True, seed=seed) for seed in (0, 0, 1))
    kernels = {layer: arrays["kernel"] for layer, arrays in one.items() if "kernel" in arrays}
    assert len({array.tobytes() for array in kernels.values()}) == len(kernels)
    assert all(np.array_equal(array, again[layer]["kernel"]) for layer, array in kernels.items())
    assert not any(np.array_equal(array, other[layer]["kernel"]) for layer, array in kernels.items())


def test_the_draw_has_not_changed():
    """If it has to, increment ``DRAW``: cached features and features files of others are of the former weights."""
    toy_kernel = drawn("toy", include_top=True)[("stem_conv",)]["kernel"]
    np.testing.assert_allclose(toy_kernel[0, 0, 0, :3], TOY, rtol=1e-6)
    lite = drawn("efficientnetb0", include_top=False, seed=5)[("stem_conv",)]["kernel"]
    np.testing.assert_allclose(lite[0, 0, 0, :3], B0, rtol=1e-6)


TOY = [0.0972738, -0.1140042, -0.1327191]
B0 = [-0.04539368, -0.1105418, 0.08231003]


@pytest.mark.parametrize("entry", all_architectures(), ids=lambda entry: entry.name)
def test_every_weight_of_the_tables_has_a_known_initializer(entry):
    for alpha in entry.alphas or (None,):
        own = entry.configured(BuildOptions(alpha=alpha))
        special = initializers_of(own, include_top=True)
        for layer in expected_layers(own, include_top=True):
            for role, _ in layer.tensors:
                kind, *_ = special.get((*layer.path, layer.name), {}).get(role) or BY_ROLE[role]
                assert kind in ("constant", "orthogonal", "variance_scaling")


# --- the same for both engines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("efficientnetlite0", {}),
        ("mobilenet", {"alpha": 0.3, "depth_multiplier": 2}),  # without a table
        ("toy", {"data_format": "channels_first"}),
        *(pytest.param(name, {}, marks=pytest.mark.every)
          for name in ("resnext50", "efficientnetb0", "convnexttiny", "nasnetmobile", "musictaggercrnn")),
    ],
)  # fmt: skip
@pytest.mark.every
def test_both_engines_compute_with_the_same_weights(name, options):
    spec = FeatureSpec.from_architecture(get_architecture(name, BuildOptions(**options)), weights="none", seed=3)
    preprocessor = spec.network.preprocessor
    shape = (2, *preprocessor.size, preprocessor.channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(preprocessor.dtype)
    one, other = (
        open_engine(spec.network, engine=engine).submit(pixels).result()[0] for engine in ("openvino", "keras")
    )
    assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(other)


def headless(tmp_path):
    """A file of the toy base without its classifier."""
    model = build_pretrained(get_architecture("toy"), include_top=False).model
    model.save_weights(tmp_path / "headless.weights.h5")
    return tmp_path / "headless.weights.h5"


def test_what_skip_mismatch_leaves_out_is_drawn_alike_for_both_engines(tlkit, cat, tmp_path):
    path, found = headless(tmp_path), {}
    common = ("predict", cat, "--arch", "toy", "--weights", path, "--skip-mismatch", "--top", 50, "--format", "json")
    for engine, seed in (("openvino", 0), ("keras", 0), ("openvino", 1)):
        ran = tlkit(*common, "--engine", engine, "--seed", seed)
        assert "Left random: 1 layer of toy" in ran.err
        found[engine, seed] = {item["name"]: item["probability"] for item in ran.json[0]["predictions"]}
    assert found["openvino", 0] == pytest.approx(found["keras", 0], rel=1e-5)
    assert found["openvino", 0] != pytest.approx(found["openvino", 1], rel=1e-2)
    entry = get_architecture("toy")
    choice = choose_weights(entry, str(path), include_top=True, options=LoadOptions(skip_mismatch=True), seed=1)
    partly = read_weights(entry, choice, include_top=True)
    published = read_weights(entry, choose_weights(entry, include_top=True), include_top=True)
    random = drawn("toy", include_top=True, seed=1)
    for layer, arrays in partly.items():
        source = random if layer == ("predictions",) else published
        assert all(np.array_equal(array, source[layer][role]) for role, array in arrays.items())


def test_features_of_random_weights_are_known_by_their_seed(tlkit, cat, tmp_path):
    out = tmp_path / "f.npy"
    command = ("extract", cat, "-o", out, "--arch", "toy", "--weights", "none")
    assert tlkit(*command, "--seed", 3).code == 0
    weights = json.loads((tmp_path / "f.npy.json").read_text())["provenance"]["weights"]
    assert weights["name"] == "none"
    assert weights["drawn"].startswith("seed 3, draw ")
    assert tlkit(*command, "--seed", 3, "--format", "json").json["computed"] == 0
    ran = tlkit(*command, "--seed", 4)
    assert ran.code == 1
    assert "weights seed 3, draw " in ran.err


def test_convert_h5_writes_the_same_random_layers_every_time(tlkit, tmp_path):
    path = headless(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_6/vars/0"]  # top_conv
        file["layers/conv2d_6/vars/0"] = np.zeros((1, 1, 16, 8), np.float32)
    kernels = []
    for name in ("a.weights.h5", "b.weights.h5"):
        ran = tlkit("convert-h5", path, tmp_path / name, "--arch", "toy", "--skip-mismatch")
        assert ran.code == 0, ran.err
        assert "because the file has nothing that fits: top_conv." in ran.err
        with h5py.File(tmp_path / name) as file:
            kernels.append(file["layers/conv2d_6/vars/0"][()])
    assert np.array_equal(*kernels)
    assert np.array_equal(kernels[0], drawn("toy", include_top=False)["top_conv",]["kernel"])


@pytest.mark.every
def test_a_run_from_random_weights_trains_to_the_same_numbers(tlkit, textures, tmp_path):
    histories = {}
    for name, engine, seed in (("a", "openvino", 3), ("b", "openvino", 3), ("c", "keras", 3), ("d", "openvino", 4)):
        ran = tlkit(
            "finetune", textures, "--arch", "toy", "--weights", "none", "--seed", seed, "--epochs", 1,
            "--finetune-epochs", 1, "--engine", engine, "-o", tmp_path / name,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        with (tmp_path / name / "history.csv").open() as file:
            histories[name] = [(float(row["loss"]), float(row["val_loss"])) for row in csv.DictReader(file)]
    assert histories["a"] == histories["b"]
    np.testing.assert_allclose(histories["a"], histories["c"], rtol=1e-4)
    assert histories["a"] != histories["d"]


# --- what cannot be drawn ----------------------------------------------------------------------------------------


def peculiar(shape, dtype=None):
    return keras.ops.ones(shape, dtype)


def Peculiar(*, input_shape, include_top=True, weights=None, classes=50):
    inputs = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, kernel_initializer=peculiar, name="own")(inputs)
    return keras.Model(inputs, x)


def test_an_initializer_of_ones_own_is_refused_by_name(tlkit, cat, tmp_path):
    entry = dataclasses.replace(
        toy_entry(), name="peculiar", builder=f"{__name__}:Peculiar", blocks=("own",), freeze="own", keras1_freeze={}
    )
    with register(entry):
        assert layers_of(entry, include_top=False)[1].initializers == {"kernel": ("unknown", "peculiar")}
        ran = tlkit("extract", cat, "-o", tmp_path / "f.npy", "--arch", "peculiar", "--weights", "none")
        assert ran.code == 2
        assert ran.err.splitlines()[-2:] == [
            "Error: The initializer of own/kernel is peculiar, from which tlkit cannot draw random weights; it draws "
            "from those of keras.initializers.",
            "Hint: Give a file with --weights PATH.",
        ]
        with pytest.raises(ArchitectureError, match="own/kernel"):
            build_pretrained(entry, weights="none", include_top=False)
