import numpy as np
import pytest
from keras_writers.configs import functional, input_layer, item, keras1_sequential, layer, nested, sequential

from tlkit.backend import keras
from tlkit.errors import ModelError
from tlkit.keras_files.upgrade.build import rebuild

GENERATOR = np.random.default_rng(0)


def pixels(*shape):
    return GENERATOR.uniform(-1, 1, shape).astype("float32")


def built(config, version="2.12.0"):
    return rebuild(config, keras_version=version, source="model.h5")


def refused(config, version="2.12.0", source="model.h5"):
    with pytest.raises(ModelError) as caught:
        rebuild(config, keras_version=version, source=source)
    assert "\n" not in caught.value.message
    return caught.value


def mobile_block():
    """The shape of a MobileNet of 2018: custom relu6, DepthwiseConv2D with groups, names with a slash."""
    return functional(
        [
            input_layer(),
            layer("Conv2D", "conv1/conv", [["input_1"]], filters=4, kernel_size=[3, 3], data_format="channels_last"),
            layer("BatchNormalization", "conv1/bn", [["conv1/conv"]], axis=[3], trainable=False),
            layer("Activation", "conv1/relu", [["conv1/bn"]], activation="relu6"),
            layer("DepthwiseConv2D", "dw", [["conv1/relu"]], kernel_size=[3, 3], groups=1, depth_multiplier=1),
            layer("Add", "add", [["dw", "dw"]]),
        ],
        "add",
        name="mobile",
    )


def test_a_keras_2_model_computes_what_its_layers_say():
    result = built(mobile_block())
    assert result.renamed == {name: name.replace("/", "_") for name in ("conv1/conv", "conv1/bn", "conv1/relu")}
    assert "DepthwiseConv2D: groups dropped (1 layer)" in result.upgrades
    _, conv, norm, _, depthwise, _ = layers = result.model.layers
    assert [each.trainable for each in layers] == [True, True, False, True, True, True]
    norm.set_weights([pixels(4) for _ in range(3)] + [np.abs(pixels(4))])
    x = pixels(2, 8, 8, 3)
    expected = 2 * depthwise(np.clip(norm(conv(x)), 0, 6))
    np.testing.assert_allclose(result.model(x), expected, rtol=1e-5, atol=1e-6)


def test_a_model_in_a_model():
    result = built(nested(mobile_block()))
    inner = result.model.get_layer("mobile")
    x = pixels(2, 8, 8, 3)
    np.testing.assert_allclose(result.model(x), np.mean(inner(x), axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_a_frozen_model_in_a_model_stays_frozen():
    config = nested(mobile_block())
    inner = config["config"]["layers"][1]["config"]
    for entry in [{"config": inner}, *inner["layers"][1:]]:
        entry["config"]["trainable"] = False
    assert built(config).model.trainable_weights == []


def test_a_keras_1_model_in_theano_order():
    model = built(keras1_sequential(), "1.2.2").model
    assert model.input_shape == (None, 3, 8, 8)
    # Padded to 10×10, convolved 3×2 to 8×9, pooled to 4×4.
    assert model.get_layer("pool").output.shape == (None, 4, 4, 4)
    assert model.output_shape == (None, 5)
    assert model.get_layer("fc").kernel.shape == (64, 5)


def test_a_sequential_of_keras_2_that_knows_its_input_from_its_first_layer():
    model = built(sequential(item("Dense", "fc", units=2, batch_input_shape=[None, 4])), "2.2.4").model
    assert (model.input_shape, model.output_shape) == ((None, 4), (None, 2))


def test_arithmetic_of_tensorflow_gives_the_same_numbers():
    layers = [input_layer(), layer("TFOpLambda", "div", function="math.truediv"), layer("Flatten", "flat", [["div"]])]
    layers[1]["inbound_nodes"] = [["input_1", 0, 0, {"y": 127.5, "name": None}]]
    x = pixels(1, 8, 8, 3) * 255
    np.testing.assert_array_equal(built(functional(layers, "flat")).model(x), (x / np.float32(127.5)).reshape(1, -1))


@pytest.mark.parametrize("legacy", [True, False])
def test_what_keras_3_writes_is_rebuilt(tmp_path, legacy):
    inputs = keras.Input((8, 8, 3))
    shared = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same", kernel_regularizer="l2")])
    x = keras.layers.Add()([shared(inputs), shared(shared(inputs) * 2 + 1)])
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    result = built(_written(model, tmp_path, legacy), keras.__version__)
    assert (result.upgrades, result.renamed) == ((), {})
    result.model.set_weights(model.get_weights())
    x = pixels(2, 8, 8, 3)
    np.testing.assert_array_equal(result.model(x), model(x))


def _written(model, folder, legacy):
    import json
    import zipfile

    import h5py

    path = folder / ("model.h5" if legacy else "model.keras")
    model.save(path)
    if legacy:
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"])
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def test_automatic_names_do_not_depend_on_what_was_built_before():
    config = sequential(
        item("InputLayer", "in", batch_shape=[None, 4]), {"class_name": "Dense", "config": {"units": 2}}
    )
    names = [built(config, "3.15.1").model.layers[0].name for _ in range(2)]
    assert names == ["dense", "dense"]


def test_a_registered_class_cannot_take_the_place_of_a_layer():
    ran = []

    @keras.saving.register_keras_serializable(package="evil", name="Dense")
    class Dense(keras.layers.Dense):
        def __init__(self, *args, **kwargs):
            ran.append(self)
            super().__init__(*args, **kwargs)

    config = sequential(item("Dense", "fc", units=2, batch_input_shape=[None, 4]))
    config["config"]["layers"][0] |= {"module": "keras.layers", "registered_name": "evil>Dense"}
    with keras.saving.custom_object_scope({"Dense": Dense}):
        assert "custom object evil>Dense" in refused(config).message
        del config["config"]["layers"][0]["registered_name"]
        assert type(built(config).model.layers[0]) is keras.layers.Dense
    assert ran == []


def test_refusals_name_the_file_the_reasons_and_how_many_more():
    config = sequential(*(item("Lambda", f"evil{number}") for number in range(5)))
    error = refused(config, source="bad\x1b.h5")
    assert error.message.startswith("The model in bad\x1b.h5 is not built. Layer 'evil0' is a Lambda: it holds Python")
    assert error.message.endswith("And 2 more reasons.")
    assert error.hint


def test_what_keras_refuses_is_one_line_with_the_layer():
    config = sequential(item("Dense", "good", units=2, batch_input_shape=[None, 4]), item("Dense", "bad", units=-3))
    message = refused(config).message
    assert message.startswith("Keras cannot build the model in model.h5: ")
    assert "'bad'" in message


def test_what_repair_refuses_names_the_file():
    assert refused(sequential(item("LocallyConnected2D", "r", filters=2))).message.startswith("model.h5: The layer r ")


@pytest.mark.parametrize(
    ("entry", "weight"),
    [
        (item("Dense", "fc", units=10**9, batch_input_shape=[None, 4]), "fc/kernel"),
        (item("Embedding", "emb", input_dim=10**6, output_dim=10**6, batch_input_shape=[None, 4]), "emb/embeddings"),
        (item("Conv2D", "conv", filters=10**6, kernel_size=99, batch_input_shape=[None, 99, 99, 3]), "conv/kernel"),
        (item("LSTM", "rnn", units=10**6, batch_input_shape=[None, 3, 4]), "rnn/lstm_cell"),
    ],
)
def test_a_weight_that_would_fill_the_memory_is_refused_before_it_is_made(entry, weight):
    message = refused(sequential(entry)).message
    assert weight in message
    assert "4 GiB" in message


def test_many_large_weights_are_refused_too():
    layers = [item("Dense", f"fc{number}", units=30_000, use_bias=False) for number in range(6)]
    layers[0]["config"]["batch_input_shape"] = [None, 30_000]
    assert "all weights would take more than 16 GiB" in refused(sequential(*layers)).message


def test_an_input_that_would_fill_the_memory_is_refused():
    config = functional([input_layer(shape=[None, 10**5, 10**5, 3]), layer("Flatten", "f", [["input_1"]])], "f")
    assert "100,000,000 values" in refused(config).message


@pytest.mark.parametrize(
    "entry",
    [item("UpSampling2D", "big", size=[10**6, 10**6]), item("ZeroPadding2D", "big", padding=[10**5, 10**5]),
     item("Resizing", "big", height=10**5, width=10**5)],
)  # fmt: skip
def test_an_output_that_would_fill_the_memory_is_refused(entry):
    message = refused(sequential(item("InputLayer", "in", batch_input_shape=[None, 8, 8, 3]), entry)).message
    assert "the output of big" in message
