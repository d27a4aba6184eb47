import inspect
import subprocess
import sys

import pytest
from keras_writers.configs import functional, input_layer, item, keras1_sequential, layer, sequential

from tlkit.keras_files.upgrade import allowlist, first_versions
from tlkit.keras_files.upgrade.validate import MOST_IN_SEQUENTIAL, MOST_LAYERS, config_problems

DENSE = item("Dense", "fc", units=2)


def with_layer(entry):
    return sequential(item("InputLayer", "in", batch_shape=[None, 4]), entry)


def only_problem(config, version=None):
    problems = config_problems(config, version)
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(
    "config",
    [
        with_layer(DENSE),
        keras1_sequential(),
        functional([input_layer(), layer("Activation", "act", [["input_1"]], activation="relu6")], "act"),
        with_layer(item("Conv2D", "c", activation={"class_name": "function", "config": "swish", "module": "builtins"})),
        with_layer(item("Dense", "fc", dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}})),
        with_layer(item("Bidirectional", "bi", layer=item("LSTM", "lstm", units=2))),
        with_layer(
            item(
                "Dense", "fc", kernel_initializer={"module": "keras.initializers", "class_name": "Zeros", "config": {}}
            )
        ),
    ],
    ids=["keras2", "keras1", "relu6", "function", "policy", "wrapper", "initializer"],
)
def test_a_model_of_known_layers_has_no_problems(config):
    assert config_problems(config) == []


@pytest.mark.parametrize("name", sorted(allowlist.UNSAFE))
def test_layers_that_run_code_or_read_files_are_refused_by_name(name):
    problem = only_problem(with_layer(item(name, "evil")))
    assert problem == f"Layer 'evil' is a {name}: {allowlist.UNSAFE[name]}."


def test_an_unknown_layer_is_refused_by_name():
    assert only_problem(with_layer(item("MyPackage>Attention", "a"))) == (
        "Layer 'a' is a MyPackage>Attention, a layer tlkit does not know."
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (item("Dense", "fc", activation="my_activation"), "the activation my_activation"),
        (item("Dense", "fc", W_regularizer={"name": "EigenvalueRegularizer", "k": 1}), "EigenvalueRegularizer"),
        (item("Dense", "fc", kernel_constraint={"class_name": "Mine", "config": {}}), "a Mine, something"),
        (item("Dense", "fc", activation={"class_name": "__lambda__", "config": {"code": "4w=="}}), "Python code"),
        (item("Dense", "fc", activation={"class_name": "function", "config": "system", "module": "os"}), "system"),
        (item("Dense", "fc", dtype={"class_name": "QuantizedDTypePolicy", "config": {}}), "quantized by Keras"),
        (item("TimeDistributed", "td", layer=item("Lambda", "inner")), "Layer 'inner' is a Lambda"),
        ({**DENSE, "module": "os.path"}, "the module os.path"),
        ({**DENSE, "registered_name": "mine>Dense"}, "the custom object mine>Dense"),
        (item("TFOpLambda", "tf.linalg.matmul", function="linalg.matmul"), "TFOpLambda (tf.linalg.matmul)"),
        (item("SlicingOpLambda", "tf.slice", function="__operators__.slice"), "tf.__operators__.slice"),
    ],
)
def test_what_is_not_known_inside_a_layer_is_named(config, words):
    assert any(words in problem for problem in config_problems(with_layer(config)))


def test_a_tensorflow_op_that_keras_3_has_too_is_fine():
    assert config_problems(with_layer(item("TFOpLambda", "tf.math.truediv", function="math.truediv"))) == []


@pytest.mark.parametrize(
    ("name", "before", "since"),
    [
        ("GroupNormalization", "2.2.4", "2.11.0"),
        ("GroupNormalization", "2.10.0", "2.11.0"),
        ("LayerNormalization", "2.2.4", "2.4.0"),
        ("Attention", "2.3.1", "2.4.0"),
        ("LayerNormalization", "2.1.6-tf", "2.2.4"),
        ("MultiHeadAttention", "2.2.4-tf", "2.4.0"),
        ("Rescaling", "2.2.4-tf", "2.3.0"),
        ("StochasticDepth", "2.9.0", "2.10.0"),
        ("Identity", "2.11.0", "2.12.0"),
        ("RMSNormalization", "3.8.0", "3.9.0"),
        ("ReLU", "2.1.6", "2.2.0"),
        ("Dot", "1.2.2", "2.0.0"),
        ("Mean", "2.15.0", "3.0.0"),
        ("RandomHeight", "2.3.1", "2.4.0"),
    ],
)
def test_a_layer_that_the_keras_of_the_file_had_not_yet_is_custom(name, before, since):
    assert only_problem(with_layer(item("TimeDistributed", "td", layer=item(name, "mine"))), before) == (
        f"Layer 'mine' is a {name}, which Keras has since {since}, and Keras {before} wrote the file: "
        "it is a custom class of the same name, whose code is not in the file."
    )
    assert config_problems(with_layer(item(name, "mine")), None) == []
    own = since + ("-tf" if since in ("2.2.4", "2.3.0") else "")
    assert config_problems(with_layer(item(name, "mine")), own) == []


@pytest.mark.parametrize(
    ("name", "version"),
    [("ReLU", "2.1.6-tf"), ("LayerNormalization", "2.2.4-tf"), ("Attention", "2.4.0"), ("MultiHeadAttention", "2.4.0"),
     ("RandomFlip", "2.3.0-tf"), ("DepthwiseConv2D", "2.0.5"), ("Convolution2D", "1.0.2"), ("Add", "2.0.0"),
     ("Dense", "0.3"), ("GroupNormalization", "2.11"), ("GroupNormalization", "unknown"), ("Identity", "3.0.0.dev0")],
)  # fmt: skip
def test_layers_of_the_keras_of_the_file_are_fine(name, version):
    assert config_problems(with_layer(item(name, "x")), version) == []


@pytest.mark.parametrize(
    ("activation", "version", "custom"),
    [("gelu", "2.2.4", True), ("gelu", "2.3.0-tf", True), ("gelu", "2.4.0", False), ("leaky_relu", "2.2.4", True),
     ("leaky_relu", "2.2.4-tf", False), ("threshold", "2.15.0", True), ("swish", "2.2.4", False),
     ("relu6", "2.0.5", False), ("mish", "2.4.0", False)],
)  # fmt: skip
def test_activations_of_which_there_are_several_are_custom_in_older_files(activation, version, custom):
    problems = config_problems(with_layer(item("Activation", "a", activation=activation)), version)
    assert bool(problems) == custom
    assert all("custom function of the same name" in problem for problem in problems)


def test_the_table_of_versions_names_known_layers_and_activations():
    known = allowlist.LAYERS | allowlist.OLD_LAYERS
    assert {*first_versions._LAYERS, *first_versions._LAYERS_TENSORFLOW} <= known
    assert first_versions._LAYERS_TENSORFLOW.keys() <= first_versions._LAYERS.keys()
    assert first_versions._ACTIVATIONS.keys() <= allowlist.ACTIVATIONS


@pytest.mark.parametrize(
    "config",
    [None, 3, "text", [], {}, {"class_name": 3}, {"class_name": ["x"]}, {"class_name": "Dense", "config": {}},
     {"class_name": "Sequential"}, {"class_name": "Sequential", "config": {"layers": [{}]}},
     {"class_name": "Sequential", "config": [{"class_name": {}, "config": {}}]},
     with_layer({"class_name": "Dense", "config": 3}), with_layer(item("Dense", "fc", activation=[[1]]))],
)  # fmt: skip
def test_what_is_no_model_is_a_sentence_and_not_an_exception(config):
    problems = config_problems(config)
    assert problems
    assert all(problem.endswith(".") and "\n" not in problem for problem in problems)


def test_a_config_nested_without_end_is_refused():
    config = {"class_name": "Sequential", "config": {"layers": []}}
    for _ in range(100_000):
        config = {"class_name": "Sequential", "config": {"layers": [config]}}
    assert "levels deep" in only_problem(config)


def test_too_many_layers_are_refused():
    many = functional([input_layer(), *[DENSE] * (MOST_LAYERS + 1)], "fc")
    assert "more than 5,000 layers" in only_problem(many)
    assert only_problem(sequential(*[DENSE] * (MOST_IN_SEQUENTIAL + 1))) == (
        "Layer 'sequential' is a Sequential of more than 500 layers."
    )


def test_names_are_safe_to_print():
    problem = only_problem(with_layer(item("Evil\x1b[2J", "a\nb\u202e")))
    assert problem == "Layer 'a\\nb\\u202e' is a Evil\x1b[2J, a layer tlkit does not know."


def test_compile_settings_are_not_looked_at():
    # They are dropped, never built.
    config = {**with_layer(DENSE), "compile_config": {"optimizer": {"class_name": "Mine", "module": "os"}}}
    assert config_problems(config) == []


def test_needs_no_keras():
    imports = "import sys\nimport tlkit.keras_files.upgrade.validate\nimport tlkit.keras_files.upgrade.config\n"
    code = imports + "print({'keras', 'tensorflow', 'numpy'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_every_allowed_name_is_one_that_keras_has():
    import keras

    def missing(names, *places):
        return [name for name in names if not any(hasattr(place, name) for place in places)]

    assert not missing(allowlist.LAYERS, keras.layers)
    assert not missing(allowlist.ALIASES.values(), keras.layers, keras.src.applications.inception_resnet_v2)
    assert not missing(allowlist.REGULARIZERS, keras.regularizers)
    assert not missing(allowlist.CONSTRAINTS, keras.constraints)
    assert not missing({*allowlist.ACTIVATIONS, *allowlist.ACTIVATION_ALIASES.values()}, keras.activations)
    assert not missing(allowlist.POLICIES, keras.dtype_policies)
    for module, names in allowlist.OPERATIONS.items():
        assert not missing(names, sys.modules[module])
    for name, module in allowlist.APPLICATION_LAYERS.items():
        assert hasattr(sys.modules[module], name)


def test_no_allowed_layer_reaches_files():
    import keras

    suspicious = ("open(", "gfile", "load_assets", "urlopen", "get_file", "func_load", "pickle", "import_module")
    for name in allowlist.LAYERS:
        for ancestor in getattr(keras.layers, name).__mro__:
            # Layer itself and what is above it hold the machinery of saving, which building does not call.
            if ancestor.__module__.startswith("keras.src.layers.") and ancestor is not keras.layers.Layer:
                source = inspect.getsource(ancestor)
                assert not [word for word in suspicious if word in source], (name, ancestor)
