import copy

import pytest
from keras_writers.configs import (
    functional,
    input_layer,
    item,
    keras1_conv,
    keras1_dense,
    keras1_merge,
    keras1_sequential,
    layer,
    nested,
    sequential,
)

from tlkit.errors import ModelError
from tlkit.keras_files.upgrade.config import upgrade_config
from tlkit.keras_files.upgrade.validate import config_problems


def repaired_layer(class_name, version="2.12.0", **config):
    """The class and config that one layer gets in a Sequential with an input."""
    before = sequential(item("InputLayer", "in", batch_input_shape=[None, 8, 8, 3]), item(class_name, "it", **config))
    after = upgrade_config(before, keras_version=version).config["config"]["layers"][1]
    return after["class_name"], after["config"]


def refused(config, version):
    with pytest.raises(ModelError) as caught:
        upgrade_config(config, keras_version=version)
    assert caught.value.hint
    return caught.value.message


def histories(entry):
    """``[(layer, call, output)]`` of the tensors of each call."""

    def walk(value):
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            yield tuple(value["config"]["keras_history"])
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from walk(inner)

    return [list(walk(node)) for node in entry["inbound_nodes"]]


def test_the_config_that_was_given_is_not_changed():
    config = keras1_sequential()
    before = copy.deepcopy(config)
    upgrade_config(config, keras_version="1.2.2")
    assert config == before


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("DepthwiseConv2D", {"kernel_size": 3, "groups": 1}, {"kernel_size": 3}),
        ("BatchNormalization", {"axis": [3]}, {"axis": 3}),
        ("LSTM", {"units": 2, "time_major": False, "implementation": 2}, {"units": 2}),
        ("GRU", {"units": 2}, {"units": 2, "reset_after": False}),
        ("LeakyReLU", {"alpha": 0.2}, {"negative_slope": 0.2}),
        ("Flatten", {"data_format": None}, {}),
        ("Dense", {"units": 2, "batch_input_shape": [None, 3]}, {"units": 2}),
        ("Dense", {"units": 2, "dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}},
         {"units": 2, "dtype": "mixed_float16"}),
        ("ReLU", {"max_value": {"type": "ndarray", "value": 6.0}}, {"max_value": 6.0}),
        ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "query_shape": [None, 4, 2]},
         {"num_heads": 2, "key_dim": 2}),
        ("Dense", {"activation": {"class_name": "function", "config": "relu6", "module": "builtins"}},
         {"activation": "relu6"}),
        ("SpatialDropout2D", {"rate": 0.1, "trainable": True, "noise_shape": None}, {"rate": 0.1}),
        ("Dense", {"activation": "softmax_v2"}, {"activation": "softmax"}),
        ("Activation", {"activation": {"class_name": "function", "config": "log_softmax_v2", "module": "builtins"}},
         {"activation": "log_softmax"}),
        ("LSTM", {"activation": "exp", "recurrent_activation": "identity"},
         {"activation": "exponential", "recurrent_activation": "linear"}),
    ],
)  # fmt: skip
def test_arguments_of_keras_2_that_keras_3_has_not(class_name, config, expected):
    assert repaired_layer(class_name, **config) == (class_name, {"name": "it", **expected})


@pytest.mark.parametrize(
    ("old", "config", "new", "expected"),
    [
        ("SyncBatchNormalization", {"axis": [3]}, "BatchNormalization", {"axis": 3, "synchronized": True}),
        ("ThresholdedReLU", {"theta": 0.3}, "ReLU", {"threshold": 0.3}),
        ("TimeDistributedDense", {"output_dim": 3, "input_length": None}, "Dense", {"units": 3}),
        ("AtrousConvolution1D", {"nb_filter": 2, "filter_length": 3, "atrous_rate": 2}, "Conv1D",
         {"filters": 2, "kernel_size": 3, "dilation_rate": 2}),
        ("Merge", {"mode": "ave", "mode_type": "raw"}, "Average", {}),
        ("RandomHeight", {"factor": 0.2, "interpolation": "bilinear", "seed": None, "trainable": True}, "Identity",
         {"trainable": True}),
        ("RandomWidth", {"factor": [0.1, 0.3], "dtype": "float32"}, "Identity", {"dtype": "float32"}),
    ],
)  # fmt: skip
def test_classes_that_have_another_name_today(old, config, new, expected):
    assert repaired_layer(old, version=None, **config) == (new, {"name": "it", **expected})


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("Dropout", {"p": 0.5}, {"rate": 0.5}),
        ("GaussianNoise", {"sigma": 0.1}, {"stddev": 0.1}),
        ("MaxPooling1D", {"pool_length": 2, "stride": 3, "border_mode": "same"},
         {"pool_size": 2, "strides": 3, "padding": "same"}),
        ("UpSampling1D", {"length": 3}, {"size": 3}),
        ("PReLU", {"init": "zero"}, {}),
        ("ZeroPadding2D", {"padding": [1, 2, 3, 4]}, {"padding": [[1, 2], [3, 4]]}),
        ("ZeroPadding2D", {"padding": {"top_pad": 1, "right_pad": 2}}, {"padding": [[1, 0], [0, 2]]}),
        ("Embedding", {"input_dim": 9, "output_dim": 2, "init": "uniform", "input_length": 4, "dropout": 0.1},
         {"input_dim": 9, "output_dim": 2}),
        ("LSTM", {"output_dim": 3, "inner_init": "orthogonal", "inner_activation": "sigmoid", "forget_bias_init": "one",
                  "consume_less": "cpu", "dropout_U": 0.1},
         {"units": 3, "recurrent_activation": "sigmoid", "recurrent_dropout": 0.1}),
    ],
)  # fmt: skip
def test_arguments_of_keras_1(class_name, config, expected):
    assert repaired_layer(class_name, version="1.2.2", **config) == (class_name, {"name": "it", **expected})


def test_a_keras_1_convolution_with_its_regularizer_and_constraint():
    before = sequential(item("InputLayer", "in", batch_input_shape=[None, 8, 8, 3]), keras1_conv("conv"))
    config = upgrade_config(before, keras_version="1.2.2").config["config"]["layers"][1]["config"]
    assert (config["filters"], config["kernel_size"], config["strides"]) == (4, [3, 2], [1, 1])
    assert (config["padding"], config["data_format"], config["use_bias"]) == ("valid", "channels_last", True)
    assert config["kernel_regularizer"] == {
        "module": "keras.regularizers", "class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0005},
        "registered_name": None,
    }  # fmt: skip
    assert config["kernel_constraint"]["class_name"] == "MaxNorm"
    assert config["kernel_constraint"]["config"] == {"max_value": 2, "axis": 0}


def test_theano_order_is_kept_and_reaches_the_layers_that_do_not_say_it():
    before = keras1_sequential()
    before["config"][4]["config"]["data_format"] = None
    layers = upgrade_config(before, keras_version="1.2.2").config["config"]["layers"]
    formats = {entry["class_name"]: entry["config"].get("data_format") for entry in layers}
    assert formats["ZeroPadding2D"] == formats["Conv2D"] == formats["MaxPooling2D"] == "channels_first"
    # Keras 1's Flatten took the values as they came; with channels_first, that of today would reorder them.
    assert formats["Flatten"] is None
    assert layers[0] == {
        "module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
        "config": {"batch_shape": [None, 3, 8, 8], "name": "pad_input"},
    }  # fmt: skip


def test_merge_keeps_its_axis_and_its_inputs():
    layers = [
        input_layer(),
        {**keras1_merge("mixed0", "concat", concat_axis=1), "name": "mixed0"},
    ]
    layers[1]["inbound_nodes"] = [[["input_1", 0, 0], ["input_1", 0, 0]]]
    upgraded = upgrade_config(functional(layers, "mixed0", class_name="Model"), keras_version="1.2.2").config
    assert upgraded["class_name"] == "Functional"
    merged = upgraded["config"]["layers"][1]
    assert (merged["class_name"], merged["config"]) == ("Concatenate", {"name": "mixed0", "axis": 1})
    assert histories(merged) == [[("input_1", 0, 0), ("input_1", 0, 0)]]


@pytest.mark.parametrize(
    "initializer",
    [
        "my_init",
        {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}},
        {"class_name": "EfficientConv2DKernelInitializer", "config": {"dtype": "float32"}},
        {"class_name": "__lambda__", "config": {"code": "4w=="}},
        {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": "mine>Init"},
    ],
)
def test_initializers_are_left_to_keras_wherever_they_are(initializer):
    inner = item("Dense", "inner", units=2, kernel_initializer=initializer, bias_initializer=initializer)
    entry = item("TimeDistributed", "outer", layer=inner)
    before = sequential(item("InputLayer", "in", batch_input_shape=[None, 8, 3]), entry)
    assert config_problems(before) == []
    after = upgrade_config(before, keras_version="2.2.4-tf").config
    assert after["config"]["layers"][1]["config"]["layer"]["config"] == {"name": "inner", "units": 2}


def test_nothing_under_an_initializer_reaches_keras_from_the_arguments_of_a_call():
    layers = [input_layer(), layer("Flatten", "f", [["input_1"]])]
    layers[1]["inbound_nodes"] = [[["input_1", 0, 0, {"an_initializer": {"class_name": "Evil", "config": {}}}]]]
    assert "Evil" not in repr(upgrade_config(functional(layers, "f"), keras_version="2.12.0").config)


def test_a_layer_that_models_share_is_one_in_each():
    shared = {"shared_object_id": 3}
    inner = functional([{**input_layer("i"), **shared}, layer("ReLU", "r", [["i"]]) | {"shared_object_id": 4}], "r")
    layers = [{**input_layer("i"), **shared}, {**inner, "name": "model", "inbound_nodes": [[["i", 0, 0, {}]]]},
              layer("ReLU", "r", []) | {"shared_object_id": 4}]  # fmt: skip
    layers[2]["inbound_nodes"] = [[["model", 1, 0, {}]]]
    result = upgrade_config(functional(layers, "r", name="outer"), keras_version="2.12.0")
    assert "ReLU: shared by models, now one in each of them (1 layer)" in result.upgrades
    assert not any("InputLayer: shared" in line for line in result.upgrades)


def test_a_random_crop_of_keras_2_becomes_its_inference():
    class_name, config = repaired_layer("RandomCrop", height=5, width=4, seed=1, trainable=True)
    assert (class_name, config) == (
        "Resizing", {"name": "it", "height": 5, "width": 4, "crop_to_aspect_ratio": True}
    )  # fmt: skip
    assert repaired_layer("RandomCrop", version="3.9.0", height=5, width=4)[0] == "RandomCrop"


def test_slashes_in_names_go_everywhere_and_stay_unique():
    inner = functional([input_layer("in/put"), layer("Flatten", "a/b", [["in/put"]])], "a/b", name="inner/model")
    layers = [
        input_layer("x/y"),
        {**inner, "name": "inner/model", "inbound_nodes": [[["x/y", 0, 0, {}]]]},
        layer("Dense", "a_b", [], units=2),
        item("TimeDistributed", "t/d", layer=item("Dense", "w/d", units=2)) | {"name": "t/d", "inbound_nodes": []},
    ]
    layers[2]["inbound_nodes"] = [[["inner/model", 1, 0, {}]]]
    result = upgrade_config(functional(layers, "a_b", name="top/level"), keras_version="2.12.0")
    assert result.renamed == {
        "top/level": "top_level", "x/y": "x_y", "inner/model": "inner_model", "in/put": "in_put", "a/b": "a_b_1",
        "t/d": "t_d", "w/d": "w_d",
    }  # fmt: skip
    config = result.config["config"]
    assert config["name"] == "top_level"
    assert config["input_layers"] == ["x_y", 0, 0]
    assert histories(config["layers"][1]) == [[("x_y", 0, 0)]]
    assert histories(config["layers"][2]) == [[("inner_model", 0, 0)]]
    assert config["layers"][1]["config"]["output_layers"] == ["a_b_1", 0, 0]
    assert config["layers"][3]["config"]["layer"]["config"]["name"] == "w_d"
    assert "/" not in repr([config["layers"], config["output_layers"]])


@pytest.mark.parametrize(
    ("version", "inner", "call"),
    [
        ("2.12.0", functional([input_layer("i"), layer("Flatten", "f", [["i"]])], "f", name="inner"), 1),
        ("2.12.0", sequential(item("Conv2D", "c", batch_input_shape=[None, 8, 8, 3]), name="inner"), 1),
        ("2.12.0", sequential(item("Dense", "d", units=2), name="inner"), 0),  # did not know its input
        ("3.0.0", functional([input_layer("i"), layer("Flatten", "f", [["i"]])], "f", name="inner"), 0),
    ],
)
def test_calls_of_a_model_in_a_model_are_counted_from_zero(version, inner, call):
    layers = upgrade_config(nested(inner, call=call), keras_version=version).config["config"]["layers"]
    assert histories(layers[2]) == [[("inner", 0, 0)]]


def test_tensors_among_the_arguments_of_a_call():
    layers = [input_layer(), layer("MultiHeadAttention", "mha", num_heads=1, key_dim=2)]
    layers[1]["inbound_nodes"] = [[["input_1", 0, 0, {"value": ["input_1", 0, 0], "training": False}]]]
    attention = upgrade_config(functional(layers, "mha"), keras_version="2.9.0").config["config"]["layers"][1]
    kwargs = attention["inbound_nodes"][0]["kwargs"]
    assert kwargs["training"] is False
    assert kwargs["value"]["config"]["keras_history"] == ["input_1", 0, 0]


def test_the_states_of_a_recurrent_layer_become_an_argument():
    layers = [
        input_layer(),
        layer("LSTM", "lstm", [["input_1", "h", "c"]], units=2),
        input_layer("h"),
        input_layer("c"),
    ]
    lstm = upgrade_config(functional(layers, "lstm"), keras_version="2.2.4").config["config"]["layers"][1]
    call = lstm["inbound_nodes"][0]
    assert (len(call["args"]), len(call["kwargs"]["initial_state"])) == (1, 2)


def test_arithmetic_of_tensorflow_becomes_operations_of_keras():
    layers = [
        input_layer(),
        layer("TFOpLambda", "tf.math.truediv", function="math.truediv"),
        layer("TFOpLambda", "tf.math.subtract", function="math.subtract"),
        layer("TFOpLambda", "tf.concat", function="concat"),
    ]
    layers[1]["inbound_nodes"] = [["input_1", 0, 0, {"y": 127.5, "name": None}]]
    layers[2]["inbound_nodes"] = [["_CONSTANT_VALUE", -1, 1.0, {"y": ["tf.math.truediv", 0, 0], "name": None}]]
    layers[3]["inbound_nodes"] = [[["input_1", 0, 0, {"axis": -1}], ["tf.math.subtract", 0, 0, {"axis": -1}]]]
    result = upgrade_config(functional(layers, "tf.concat"), keras_version="2.12.0")
    divide, subtract, concat = result.config["config"]["layers"][1:]
    assert (divide["module"], divide["class_name"]) == ("keras.src.ops.numpy", "TrueDivide")
    assert divide["inbound_nodes"][0]["args"][1] == 127.5
    assert subtract["inbound_nodes"][0]["args"][0] == 1.0
    assert concat["config"] == {"name": "tf.concat", "axis": -1}
    assert "tf.math.truediv: became the operation TrueDivide (1 layer)" in result.upgrades


def test_the_preprocess_input_of_keras_in_the_model_becomes_operations_of_keras():
    layers = [
        input_layer(),
        layer("SlicingOpLambda", "bgr", function="__operators__.getitem"),
        layer("TFOpLambda", "mean", function="nn.bias_add"),
    ]
    parts = [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]
    layers[1]["inbound_nodes"] = [["input_1", 0, 0, {"slice_spec": parts}]]
    layers[2]["inbound_nodes"] = [["bgr", 0, 0, {"bias": [-103.9, -116.8, -123.7], "data_format": "NHWC"}]]
    config = functional(layers, "mean")
    assert config_problems(config) == []
    flipped, moved = upgrade_config(config, keras_version="2.12.0").config["config"]["layers"][1:]
    assert flipped["class_name"] == "GetItem"
    assert flipped["inbound_nodes"][0]["args"][1] == [
        {"class_name": "__ellipsis__", "config": {}}, {"class_name": "__slice__", "config": parts[1]}
    ]  # fmt: skip
    assert moved["inbound_nodes"][0]["args"][1]["config"]["value"] == [-103.9, -116.8, -123.7]
    layers[2]["inbound_nodes"][0][3]["data_format"] = "NCHW"
    assert "data_format" in refused(config, "2.12.0")


def test_repairs_are_counted_by_kind():
    convs = [item("DepthwiseConv2D", f"dw{number}", kernel_size=3, groups=1) for number in range(12)]
    config = sequential(item("InputLayer", "in", batch_input_shape=[None, 64, 64, 3]), *convs)
    assert "DepthwiseConv2D: groups dropped (12 layers)" in upgrade_config(config, keras_version="2.12.0").upgrades


def test_a_config_of_keras_3_needs_no_repair():
    config = sequential(item("InputLayer", "in", batch_shape=[None, 4]), item("GRU", "g", units=2))
    for version in ("3.15.1", None):
        result = upgrade_config(config, keras_version=version)
        assert (result.upgrades, result.renamed) == ((), {})
        assert result.config["config"]["layers"][1]["config"] == {"name": "g", "units": 2}


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "2.15.0", None])
def test_the_old_hard_sigmoid_is_refused(version):
    lstm = item("LSTM", "lstm", units=2, recurrent_activation="hard_sigmoid", batch_input_shape=[None, 3, 4])
    message = refused(sequential(lstm), version)
    assert "layer lstm (LSTM)" in message
    assert "clip(0.2·x + 0.5)" in message


def test_the_hard_sigmoid_of_keras_3_is_its_own():
    config = sequential(
        item("InputLayer", "in", batch_shape=[None, 4]), item("Activation", "a", activation="hard_sigmoid")
    )
    assert upgrade_config(config, keras_version="3.15.1").upgrades == ()


@pytest.mark.parametrize(
    ("version", "entry", "why"),
    [
        ("2.12.0", item("LocallyConnected2D", "x", filters=2), "no locally connected layers"),
        ("2.2.4", item("CuDNNLSTM", "x", units=2), "cuDNN"),
        ("2.12.0", item("BatchNormalization", "x", axis=[1, 2]), "2 axes at once"),
        ("1.2.2", item("BatchNormalization", "x", axis=-1, mode=2), "no mode=2"),
        ("2.12.0", item("LSTM", "x", units=2, time_major=True), "no time_major=True"),
        ("2.12.0", item("DepthwiseConv2D", "x", kernel_size=3, groups=2), "no groups=2"),
        ("1.2.2", keras1_merge("x", "dot"), "mode dot"),
        ("1.2.2", keras1_merge("x", "4wAAAAA=", mode_type="lambda"), "Python code"),
        ("1.2.2", keras1_merge("x", "sum", layers=[keras1_dense("d", 2)]), "merges branches"),
        ("2.2.4", item("UpSampling2D", "x", interpolation="bilinear"), "bilinear"),
        ("1.2.2", {**keras1_conv("x", subsample=[2, 2], output_shape=[None, 15, 15, 4], border_mode="same"),
                   "class_name": "Deconvolution2D"}, "output shape"),
        ("2.12.0", item("Resizing", "x", height=2, width=2, interpolation="mitchellcubic"), "no interpolation"),
        ("2.6.0", item("RandomCrop", "x", height=2, width=2), "does not crop"),
        ("2.12.0", item("Dense", "x", units=2, kernel_regularizer={"l2": 0.1}), "damaged"),
    ],
)  # fmt: skip
def test_what_would_give_other_numbers_is_refused_with_the_reason(version, entry, why):
    message = refused(sequential(item("InputLayer", "in", batch_input_shape=[None, 8, 8, 3]), entry), version)
    assert message.startswith(f"The layer x ({entry['class_name']}) cannot be rebuilt: ")
    assert why in message


def test_damaged_connections_are_one_line():
    config = functional([input_layer(), layer("Flatten", "f", [["nowhere"]])], "f", name="m")
    assert refused(config, "2.12.0") == "The layer m (Functional) cannot be rebuilt: its config is damaged."
