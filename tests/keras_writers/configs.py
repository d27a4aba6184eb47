"""Model configs as the old writers wrote them, by hand and short. Which keys are there is the point of each."""

SHAPE = [None, 8, 8, 3]


def keras1_conv(name, *, ordering="tf", **more):
    """Convolution2D.get_config of Keras 1.2.2."""
    config = {
        "name": name, "trainable": True, "nb_filter": 4, "nb_row": 3, "nb_col": 2, "init": "glorot_uniform",
        "activation": "relu", "border_mode": "valid", "subsample": [1, 1], "dim_ordering": ordering,
        "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.0005}, "b_regularizer": None,
        "activity_regularizer": None, "W_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}, "b_constraint": None,
        "bias": True,
    }  # fmt: skip
    return {"class_name": "Convolution2D", "config": {**config, **more}}


def keras1_dense(name, units, **more):
    """Dense.get_config of Keras 1.2.2."""
    config = {
        "name": name, "trainable": True, "output_dim": units, "init": "glorot_uniform", "activation": "softmax",
        "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None,
        "b_constraint": None, "bias": True, "input_dim": None,
    }  # fmt: skip
    return {"class_name": "Dense", "config": {**config, **more}}


def keras1_merge(name, mode, **more):
    """Merge.get_config of Keras 1.2.2."""
    config = {
        "name": name, "mode": mode, "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None,
        "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw", "arguments": {},
    }  # fmt: skip
    return {"class_name": "Merge", "config": {**config, **more}}


def keras1_sequential():
    """The start of the VGG16 of 2016, Theano order; ZeroPadding2D does not say its order (a slip of Keras 1)."""
    return {
        "class_name": "Sequential",
        "config": [
            {
                "class_name": "ZeroPadding2D",
                "config": {
                    "name": "pad", "trainable": True, "padding": [1, 1], "batch_input_shape": [None, 3, 8, 8],
                    "input_dtype": "float32",
                },
            },
            keras1_conv("conv1", ordering="th"),
            {
                "class_name": "MaxPooling2D",
                "config": {"name": "pool", "trainable": True, "pool_size": [2, 2], "strides": [2, 2],
                           "border_mode": "valid", "dim_ordering": "th"},
            },
            {
                "class_name": "BatchNormalization",
                "config": {"name": "bn", "trainable": True, "epsilon": 0.001, "mode": 0, "axis": 1, "momentum": 0.99,
                           "gamma_regularizer": None, "beta_regularizer": None},
            },
            {"class_name": "Flatten", "config": {"name": "flatten", "trainable": True}},
            keras1_dense("fc", 5),
            {"class_name": "Dropout", "config": {"name": "drop", "trainable": True, "p": 0.5}},
        ],
    }  # fmt: skip


def layer(class_name, name, nodes=(), **config):
    """A layer of a functional model with its connections."""
    nodes = [[[source, 0, 0, {}] for source in node] for node in nodes]
    return {"class_name": class_name, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def input_layer(name="input_1", shape=None):
    return layer(
        "InputLayer", name, batch_input_shape=shape or SHAPE, dtype="float32", sparse=False, ragged=False
    )  # fmt: skip


def functional(layers, output, name="model", class_name="Functional"):
    config = {"name": name, "layers": layers}
    config |= {"input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": class_name, "config": config}


def sequential(*layers, name="sequential"):
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def item(class_name, name, **config):
    return {"class_name": class_name, "config": {"name": name, **config}}


def nested(inner, *, call=1):
    """A model that uses another: Keras 2 counted the inner model's own call as its first, so the first use is 1."""
    name = inner["config"]["name"]
    layers = [
        input_layer("outer_input"),
        {**inner, "name": name, "inbound_nodes": [[["outer_input", 0, 0, {"training": False}]]]},
        layer("GlobalAveragePooling2D", "pool"),
    ]
    layers[-1]["inbound_nodes"] = [[[name, call, 0, {}]]]
    return functional(layers, "pool", name="outer")
