"""Small networks of every kind of layer and setting: what is compiled gives the numbers that Keras gives."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.cases import one_in

from tlkit.inference.compiler.emit import emit
from tlkit.inference.compiler.graph import Call, Graph, Ref, Unsupported
from tlkit.inference.compiler.layers import LAYERS
from tlkit.inference.compiler.network import Network, Output, Selection, run_on_values
from tlkit.inference.compiler.onnx_writer import ONNXWriter
from tlkit.inference.compiler.read_config import read_config
from tlkit.inference.compiler.shapes import WEIGHTS, infer_shapes, keys_of
from tlkit.inference.compiler.tensors import Tensor, in_keras_order
from tlkit.keras_files import layer_arrays, target_layers

layers, ops = keras.layers, keras.ops
SHAPE = (11, 8, 6)


def selection_of(model):
    graph = read_config(keras.saving.serialize_keras_object(model))
    return Selection(Network(graph, lambda: layer_arrays(model)), tuple(Output(ref) for ref in graph.outputs))


def lively(model):
    """Weights of every size, none at its initial value."""
    random = np.random.default_rng(3)
    for variable in model.weights:
        positive = variable.name in ("moving_variance", "variance")
        drawn = random.uniform(0.3, 2.0, variable.shape) if positive else random.normal(0, 0.5, variable.shape)
        variable.assign(drawn)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def assert_compiled(model):
    lively(model)
    random = np.random.default_rng(1)
    values = random.normal(0, 2, (3, *model.input_shape[1:])).astype("float32")
    expected = model(values, training=False)
    expected = [value.numpy() for value in (expected if isinstance(expected, list) else [expected])]
    selection = selection_of(model)
    got = run_on_values(selection, values)
    graph = selection.network.graph
    weights, shapes = infer_shapes(graph, Tensor(None, tuple(model.input_shape[1:])))
    assert [shapes[ref.call] for ref in graph.outputs] == [value.shape[1:] for value in expected]
    specs = target_layers(model)
    assert [(layer, keys_of(tensors), [shape for _, shape in tensors]) for layer, (_, tensors) in weights.items()] == [
        ((*target.spec.path, target.spec.name), [*target.spec.keys], [shape for _, shape in target.spec.tensors])
        for target in specs
    ]
    for found in (got, run_as_onnx(selection, values)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape
            assert np.isfinite(other).all()
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5 * max(1.0, np.abs(other).max()))


def run_as_onnx(selection, values):
    """The whole batch at once, by onnxruntime: one output after the other."""
    found = []
    for output in selection.outputs:
        writer = ONNXWriter()
        pixels = writer.to_float("images")
        source = Tensor(pixels, tuple(values.shape[1:]))
        graph, arrays = selection.network.graph, selection.network.read_arrays()
        (tensor,) = emit(graph, arrays, [output.ref], source, writer)
        ends = ("output", ["batch", *tensor.shape])
        model = writer.model([in_keras_order(writer, tensor).handle], input_shape=["batch", *values.shape[1:]],
                             output=ends, name="layer")  # fmt: skip
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        found += session.run(None, {"images": values})
    return found


def of_layer(layer, shape=SHAPE):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


FIRST = {"data_format": "channels_first"}
CASES = {
    "Conv2D": lambda: layers.Conv2D(4, 3, activation="relu"),
    "Conv2D same": lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
    "Conv2D even": lambda: layers.Conv2D(4, 2, strides=2, padding="same"),
    "Conv2D uneven": lambda: layers.Conv2D(8, (5, 2), strides=(3, 1), padding="same", groups=2),
    "Conv2D groups": lambda: layers.Conv2D(9, 4, strides=3, groups=3),
    "Conv2D dilated": lambda: layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
    "Conv2D dilated groups": lambda: layers.Conv2D(6, 2, dilation_rate=(3, 2), padding="same", groups=6),
    "Conv2D of one pixel": lambda: layers.Conv2D(4, 1, strides=2, padding="same"),
    "Conv2D without bias": lambda: layers.Conv2D(5, 3, use_bias=False, activation="swish"),
    "Conv2D channels first": lambda: layers.Conv2D(5, 3, strides=2, padding="same", **FIRST),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=3),
    "DepthwiseConv2D even": lambda: layers.DepthwiseConv2D(4, strides=2, padding="same"),
    "DepthwiseConv2D dilated": lambda: layers.DepthwiseConv2D(3, dilation_rate=2),
    "SeparableConv2D": lambda: layers.SeparableConv2D(7, 3, strides=2, padding="same", depth_multiplier=2),
    "SeparableConv2D valid": lambda: layers.SeparableConv2D(7, (2, 5), use_bias=False, activation="tanh"),
    "Conv2DTranspose same": lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
    "Conv2DTranspose valid": lambda: layers.Conv2DTranspose(5, (4, 3), strides=(3, 2)),
    "Conv2DTranspose output padding": lambda: layers.Conv2DTranspose(
        5, 3, strides=2, padding="same", output_padding=1
    ),
    "Conv2DTranspose output padding valid": lambda: layers.Conv2DTranspose(5, 3, strides=2, output_padding=1),
    "Conv2DTranspose small": lambda: layers.Conv2DTranspose(5, 2, strides=3),
    "Conv2DTranspose small same": lambda: layers.Conv2DTranspose(5, 2, strides=3, padding="same"),
    "MaxPooling2D": lambda: layers.MaxPooling2D(3, 2),
    "MaxPooling2D same": lambda: layers.MaxPooling2D((2, 3), (3, 2), padding="same"),
    "MaxPooling2D channels first": lambda: layers.MaxPooling2D(2, **FIRST),
    "AveragePooling2D": lambda: layers.AveragePooling2D(2),
    "AveragePooling2D same": lambda: layers.AveragePooling2D(3, 2, padding="same"),
    "AveragePooling2D same even": lambda: layers.AveragePooling2D((4, 2), 3, padding="same"),
    "GlobalAveragePooling2D": lambda: layers.GlobalAveragePooling2D(),
    "GlobalAveragePooling2D keepdims": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "GlobalMaxPooling2D first": lambda: layers.GlobalMaxPooling2D(keepdims=True, **FIRST),
    "AdaptiveAveragePooling2D": lambda: layers.AdaptiveAveragePooling2D((4, 3)),
    "AdaptiveAveragePooling2D larger": lambda: layers.AdaptiveAveragePooling2D((13, 8)),
    "AdaptiveMaxPooling2D": lambda: layers.AdaptiveMaxPooling2D((7, 5)),
    "AdaptiveMaxPooling2D first": lambda: layers.AdaptiveMaxPooling2D(3, **FIRST),
    "ZeroPadding2D": lambda: layers.ZeroPadding2D(((0, 2), (3, 1))),
    "ZeroPadding2D first": lambda: layers.ZeroPadding2D((1, 2), **FIRST),
    "Cropping2D": lambda: layers.Cropping2D(((1, 0), (2, 3))),
    "UpSampling2D": lambda: layers.UpSampling2D((2, 3)),
    "UpSampling2D bilinear": lambda: layers.UpSampling2D(3, interpolation="bilinear"),
    "Resizing": lambda: layers.Resizing(7, 13),
    "Resizing larger": lambda: layers.Resizing(23, 9),
    "Resizing nearest": lambda: layers.Resizing(7, 13, interpolation="nearest"),
    "Resizing nearest larger": lambda: layers.Resizing(29, 17, interpolation="nearest"),
    "Resizing cropped": lambda: layers.Resizing(5, 9, crop_to_aspect_ratio=True),
    "Resizing padded": lambda: layers.Resizing(5, 12, pad_to_aspect_ratio=True, fill_value=0.7),
    "Resizing padded higher": lambda: layers.Resizing(21, 4, pad_to_aspect_ratio=True),
    "CenterCrop": lambda: layers.CenterCrop(6, 5),
    "CenterCrop larger": lambda: layers.CenterCrop(14, 6),
    "Dense": lambda: layers.Dense(5, activation="softmax"),
    "Dense activation layer": lambda: layers.Dense(5, activation=layers.LeakyReLU(0.4)),
    "EinsumDense": lambda: layers.EinsumDense("...x,xy->...y", output_shape=4, bias_axes="y", activation="relu"),
    "Flatten": lambda: layers.Flatten(),
    "Flatten first": lambda: layers.Flatten(**FIRST),
    "Reshape": lambda: layers.Reshape((4, -1, 3)),
    "Permute": lambda: layers.Permute((3, 1, 2)),
    "BatchNormalization": lambda: layers.BatchNormalization(epsilon=1e-2),
    "BatchNormalization axis 1": lambda: layers.BatchNormalization(axis=1, scale=False),
    "BatchNormalization plain": lambda: layers.BatchNormalization(center=False, scale=False),
    "LayerNormalization": lambda: layers.LayerNormalization(epsilon=1e-5),
    "LayerNormalization axis 2": lambda: layers.LayerNormalization(axis=2, center=False),
    "LayerNormalization axes": lambda: layers.LayerNormalization(axis=[1, 2, 3]),
    "LayerNormalization last axes": lambda: layers.LayerNormalization(axis=[2, 3], scale=False),
    "RMSNormalization": lambda: layers.RMSNormalization(),
    "GroupNormalization": lambda: layers.GroupNormalization(3),
    "GroupNormalization instance": lambda: layers.GroupNormalization(-1, scale=False),
    "UnitNormalization": lambda: layers.UnitNormalization(),
    "Normalization": lambda: layers.Normalization(axis=-1),
    "Normalization of constants": lambda: layers.Normalization(mean=[1, 2, 3, 4, 5, 6], variance=[1, 2, 3, 4, 5, 9]),
    "Normalization of all": lambda: layers.Normalization(axis=None, mean=2.0, variance=3.0),
    "Normalization of axes": lambda: layers.Normalization(axis=(1, 3)),
    "Normalization inverted": lambda: layers.Normalization(axis=-1, invert=True),
    "Normalization inverted constants": lambda: layers.Normalization(invert=True, mean=1.0, variance=2.0),
    "Rescaling": lambda: layers.Rescaling(0.3, -2),
    "Rescaling by channel": lambda: layers.Rescaling([1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1]),
    "ReLU": lambda: layers.ReLU(),
    "ReLU max": lambda: layers.ReLU(max_value=1.5),
    "ReLU max and slope": lambda: layers.ReLU(max_value=1.5, negative_slope=0.2),
    "ReLU threshold": lambda: layers.ReLU(threshold=0.7),
    "ReLU threshold and max": lambda: layers.ReLU(threshold=0.5, max_value=1.0),
    "ReLU threshold, max and slope": lambda: layers.ReLU(threshold=0.5, max_value=2.0, negative_slope=0.3),
    "LeakyReLU": lambda: layers.LeakyReLU(0.17),
    "ELU": lambda: layers.ELU(0.7),
    "PReLU": lambda: layers.PReLU(),
    "PReLU shared": lambda: layers.PReLU(shared_axes=[1, 2]),
    "Softmax": lambda: layers.Softmax(),
    "Softmax axis 1": lambda: layers.Softmax(axis=1),
    "Softmax axes": lambda: layers.Softmax(axis=[1, 2]),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(3, activation="relu")),
    "TimeDistributed convolution": lambda: layers.TimeDistributed(layers.Conv1D(3, 2, padding="same")),
    "TimeDistributed recurrent": lambda: layers.TimeDistributed(layers.Bidirectional(layers.GRU(3))),
    "TimeDistributed flat": lambda: layers.TimeDistributed(layers.Flatten()),
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Conv2D(4, 3)),
    "Dropout": lambda: layers.Dropout(0.5),
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.5),
    "GaussianNoise": lambda: layers.GaussianNoise(0.9),
    "RandomFlip": lambda: layers.RandomFlip(),
    **{
        f"Activation {name}": lambda name=name: layers.Activation(name)
        for name in (
            "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
            "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink",
            "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", one_in(3, CASES))
def test_a_layer_gives_what_keras_gives(case):
    assert_compiled(of_layer(CASES[case]()))
    # behind a convolution, whose map the runtime has channels first
    inputs = keras.Input(SHAPE)
    assert_compiled(keras.Model(inputs, CASES[case]()(layers.Conv2D(6, 1)(inputs))))


SEQUENCES = {
    "Conv1D": lambda: layers.Conv1D(4, 3, strides=2, padding="same"),
    "Conv1D causal": lambda: layers.Conv1D(4, 3, dilation_rate=2, padding="causal"),
    "MaxPooling1D": lambda: layers.MaxPooling1D(3, 2, padding="same"),
    "GlobalAveragePooling1D": lambda: layers.GlobalAveragePooling1D(),
    "AdaptiveAveragePooling1D": lambda: layers.AdaptiveAveragePooling1D(4),
    "AdaptiveMaxPooling1D": lambda: layers.AdaptiveMaxPooling1D(2),
    "Conv1DTranspose": lambda: layers.Conv1DTranspose(4, 3, strides=2, padding="same"),
    "DepthwiseConv1D": lambda: layers.DepthwiseConv1D(2, strides=2, padding="same"),
    "SeparableConv1D": lambda: layers.SeparableConv1D(3, 3),
    "AveragePooling1D": lambda: layers.AveragePooling1D(2),
    "GlobalMaxPooling1D": lambda: layers.GlobalMaxPooling1D(),
    "Cropping1D": lambda: layers.Cropping1D((1, 3)),
    "ZeroPadding1D": lambda: layers.ZeroPadding1D((1, 2)),
    "GRU": lambda: layers.GRU(5, reset_after=False),
    "GRU sequences": lambda: layers.GRU(
        5, reset_after=False, return_sequences=True, recurrent_activation="hard_sigmoid"
    ),
    "GRU reset after": lambda: layers.GRU(5),
    "GRU reset after sequences": lambda: layers.GRU(5, return_sequences=True, go_backwards=True, use_bias=False),
    "LSTM": lambda: layers.LSTM(5),
    "LSTM sequences": lambda: layers.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid"),
    "LSTM backwards": lambda: layers.LSTM(5, go_backwards=True, return_sequences=True, use_bias=False),
    "SimpleRNN": lambda: layers.SimpleRNN(5, activation="relu"),
    "SimpleRNN sequences": lambda: layers.SimpleRNN(5, return_sequences=True),
    "Bidirectional": lambda: layers.Bidirectional(layers.LSTM(5)),
    "Bidirectional sequences": lambda: layers.Bidirectional(layers.GRU(5, return_sequences=True)),
    "Bidirectional mean": lambda: layers.Bidirectional(layers.SimpleRNN(5, return_sequences=True), merge_mode="ave"),
    "Bidirectional product": lambda: layers.Bidirectional(layers.LSTM(5), merge_mode="mul"),
    "Bidirectional sum": lambda: layers.Bidirectional(
        layers.LSTM(5, return_sequences=True),
        merge_mode="sum",
        backward_layer=layers.GRU(5, return_sequences=True, go_backwards=True),
    ),
    "UpSampling1D": lambda: layers.UpSampling1D(3),
    "EinsumDense": lambda: layers.EinsumDense("abc,cde->abde", output_shape=(None, 3, 2), bias_axes="de"),
    "EinsumDense over all": lambda: layers.EinsumDense("abc,bcd->ad", output_shape=5),
    "GRU without bias": lambda: layers.GRU(5, reset_after=False, use_bias=False),
    "Dense": lambda: layers.Dense(3, activation="gelu"),
}


@pytest.mark.parametrize("case", one_in(3, SEQUENCES))
def test_a_layer_of_sequences_gives_what_keras_gives(case):
    assert_compiled(of_layer(SEQUENCES[case](), (9, 4)))


VOLUMES = {
    "Conv3D": lambda: layers.Conv3D(4, (3, 2, 1), strides=2, padding="same"),
    "Conv3DTranspose": lambda: layers.Conv3DTranspose(4, 2, strides=2),
    "MaxPooling3D": lambda: layers.MaxPooling3D(2, padding="same"),
    "AveragePooling3D": lambda: layers.AveragePooling3D(2),
    "GlobalAveragePooling3D": lambda: layers.GlobalAveragePooling3D(),
    "GlobalMaxPooling3D": lambda: layers.GlobalMaxPooling3D(),
    "AdaptiveAveragePooling3D": lambda: layers.AdaptiveAveragePooling3D((2, 4, 3)),
    "AdaptiveMaxPooling3D": lambda: layers.AdaptiveMaxPooling3D((3, 4, 2)),
    "ZeroPadding3D": lambda: layers.ZeroPadding3D((1, 0, 2)),
    "UpSampling3D": lambda: layers.UpSampling3D((2, 1, 3)),
    "UpSampling3D first": lambda: layers.UpSampling3D((2, 1, 3), **FIRST),
    "Cropping3D": lambda: layers.Cropping3D(((1, 0), (0, 1), (1, 1))),
}


@pytest.mark.parametrize("case", VOLUMES)
def test_a_layer_of_volumes_gives_what_keras_gives(case):
    assert_compiled(of_layer(VOLUMES[case](), (5, 6, 4, 3)))


def test_a_layer_of_vectors_gives_what_keras_gives():
    inputs = keras.Input((7,))
    outputs = layers.BatchNormalization()(layers.Dense(6, "relu")(inputs))
    assert_compiled(keras.Model(inputs, layers.RepeatVector(3)(outputs)))


def squeeze_and_excite(x):
    squeezed = layers.GlobalAveragePooling2D()(x)
    gates = layers.Dense(6, "sigmoid")(layers.Dense(2, "relu")(layers.Reshape((1, 1, 6))(squeezed)))
    return layers.Multiply()([x, gates])


def shared(x):
    layer = layers.Conv2D(6, 3, padding="same")
    return layers.Add()([layer(layer(x)), x])


def nested(x):
    inner_inputs = keras.Input(SHAPE)
    inner = keras.Model(inner_inputs, layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(inner_inputs)))
    return layers.Subtract()([inner(x), inner(layers.ReLU()(x))])


def with_constants(x):
    x = ops.add(ops.multiply(x, 0.5), np.arange(6, dtype="float32"))
    x = ops.relu6(x + 3.0) / 6.0
    return ops.maximum(2.0 - x, ops.mean(x, axis=[1, 2], keepdims=True))


NETWORKS = {
    "squeeze and excite": squeeze_and_excite,
    "shared": shared,
    "nested": nested,
    "constants": with_constants,
    "reversed channels": lambda x: layers.Conv2D(4, 3)(x[..., ::-1]),
    "part of a map": lambda x: layers.Conv2D(6, 1)(x)[:, 2:-1, 1::2],
    "concatenated": lambda x: layers.Concatenate()([layers.Conv2D(5, 1)(x), x]),
    "concatenated rows": lambda x: layers.Concatenate(axis=1)([layers.Conv2D(6, 1)(x), x]),
    "extremes": lambda x: layers.Maximum()([x, layers.Minimum()([layers.Conv2D(6, 1)(x), x])]),
    "averaged": lambda x: layers.Average()([x, layers.Conv2D(6, 1)(x), layers.Conv2D(6, 1)(x)]),
    "padded, then every second pixel": lambda x: layers.GlobalAveragePooling2D()(
        layers.Conv2D(6, 1, strides=2)(layers.ZeroPadding2D(1)(layers.Conv2D(6, 3)(x)))),
    "sequential": lambda x: keras.Sequential([layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4)])(x),
    "reduced": lambda x: ops.max(layers.Conv2D(6, 1)(x), axis=-1),
    "transposed": lambda x: ops.transpose(layers.Conv2D(6, 1)(x), (0, 3, 1, 2)),
    "reshaped": lambda x: ops.reshape(layers.Conv2D(6, 1)(x), (-1, 44, 12)),
    "wider": lambda x: ops.squeeze(ops.expand_dims(layers.Conv2D(1, 1)(x), 1), -1),
    "activations": lambda x: (
        ops.gelu(ops.elu(x) * ops.softplus(x)) + ops.tanh(x) - ops.sqrt(ops.abs(x)) + ops.square(x)),
    "of other ranks": lambda x: layers.Multiply()([x, layers.Dense(6)(layers.GlobalMaxPooling2D()(x))]),
    "one row": lambda x: x[:, 0],
    "one pixel": lambda x: layers.Conv2D(5, 1)(x)[:, -1, 2],
    "new axes": lambda x: layers.Conv2D(5, 1)(x)[:, None, 1:3, ..., None, 2],
    "flipped": lambda x: ops.flip(layers.Conv2D(5, 1)(x), axis=(1, 3)),
    "multiplied": lambda x: ops.matmul(layers.Conv2D(5, 1)(x), ops.swapaxes(x[..., :5], -1, 2)),
    "multiplied by constants": lambda x: ops.matmul(x, np.arange(18, dtype="float32").reshape(6, 3) / 9),
    "padded": lambda x: ops.pad(layers.Conv2D(5, 1)(x), [[0, 0], [1, 2], [0, 1], [1, 0]], mode="reflect"),
    "padded with constants": lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=0.5),
    "stacked": lambda x: ops.stack([layers.Conv2D(6, 1)(x), x], axis=2),
    "averaged by operation": lambda x: ops.average(layers.Conv2D(5, 1)(x), axis=1),
    "logarithms": lambda x: ops.log_softmax(ops.log_sigmoid(layers.Conv2D(5, 1)(x)), axis=1),
    "attention": lambda x: (
        lambda rows: layers.MultiHeadAttention(2, 3, value_dim=4)(rows, layers.Dense(5)(rows)[:, 3:], rows[:, 3:])
    )(layers.Reshape((-1, 6))(layers.Conv2D(6, 1)(x))),
    "attention by name": lambda x: layers.MultiHeadAttention(2, 3, output_shape=4, use_bias=False)(
        query=x[:, 0], value=x[:, 1], key=x[:, 2]
    ),
    "attention of a map": lambda x: layers.MultiHeadAttention(3, 2, dropout=0.3)(layers.Conv2D(6, 1)(x), x),
    "attention of products": lambda x: layers.Attention(use_scale=True)([x[:, 0], x[:, :5, 1], x[:, :5, 3]]),
    "additive attention": lambda x: layers.AdditiveAttention()([x[:, 0], x[:, :, 1]]),
    "dot of vectors": lambda x: layers.Dot(1)([x[:, 0, 0], x[:, 1, 1]]),
    "dot of matrices": lambda x: layers.Dot((2, 1))([x[:, 0], ops.swapaxes(x[:, :, 1], 1, 2)]),
    "dot of maps": lambda x: layers.Dot((3, -1))([layers.Conv2D(6, 1)(x), x[:, :2]]),
    "two": lambda x: [layers.Conv2D(4, 3)(x), layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(x)))],
}  # fmt: skip


@pytest.mark.parametrize("case", one_in(3, NETWORKS))
def test_a_network_gives_what_keras_gives(case):
    inputs = keras.Input(SHAPE)
    assert_compiled(keras.Model(inputs, NETWORKS[case](inputs)))


def random_network(seed):
    """A few layers of any kind, drawn by chance, wherever they fit."""
    random = np.random.default_rng(seed)
    inputs = keras.Input((int(random.integers(9, 20)), int(random.integers(9, 20)), 4))
    kinds = [
        lambda: layers.Conv2D(
            4 * int(random.integers(1, 3)), int(random.integers(1, 5)), strides=int(random.integers(1, 3)),
            padding=str(random.choice(["same", "valid"])), activation=str(random.choice(["relu", "silu", "linear"])),
            use_bias=bool(random.integers(2)),
        ),
        lambda: layers.DepthwiseConv2D(int(random.integers(1, 5)), padding=str(random.choice(["same", "valid"]))),
        lambda: layers.SeparableConv2D(
            4, int(random.integers(1, 4)), strides=int(random.integers(1, 3)), padding="same"
        ),
        lambda: layers.BatchNormalization(scale=bool(random.integers(2)), center=bool(random.integers(2))),
        lambda: layers.MaxPooling2D(int(random.integers(1, 4)), int(random.integers(1, 3)), padding="same"),
        lambda: layers.AveragePooling2D(int(random.integers(1, 4)), int(random.integers(1, 3)), padding="same"),
        lambda: layers.ReLU(max_value=random.choice([None, 2.0]), negative_slope=float(random.choice([0.0, 0.3]))),
        lambda: layers.ZeroPadding2D(tuple(map(int, random.integers(0, 3, 2)))),
        lambda: layers.LayerNormalization(),
        lambda: layers.UpSampling2D(2),
        lambda: squeeze,
    ]  # fmt: skip

    def squeeze(x):
        gates = layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Multiply()([x, gates])

    x = inputs
    for _ in range(int(random.integers(3, 9))):
        after = kinds[int(random.integers(len(kinds)))]()(x) if min(x.shape[1:3]) > 4 else layers.ReLU()(x)
        x = layers.Add()([x, after]) if after.shape == x.shape and random.integers(2) else after
    return keras.Model(inputs, [x, layers.Dense(3, "softmax")(layers.Flatten()(x))])


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.every) for seed in range(8, 200))])
def test_a_network_by_chance_gives_what_keras_gives(seed):
    assert_compiled(random_network(seed))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LayerNormalization(axis=[1, 2], rms_scaling=True),
        lambda: layers.RMSNormalization(axis=1),
        lambda: layers.Conv2D(3, 3, dtype="mixed_float16"),
        lambda: layers.Resizing(5, 5, interpolation="bicubic"),
        lambda: layers.TimeDistributed(layers.Dense(3, activation="sparsemax")),
        lambda: layers.Activation("sparsemax"),
        lambda: layers.AutoContrast(),
        lambda: layers.EinsumDense("abcd,cde->abce", output_shape=(None, 8, 4)),
    ],
)
def test_what_is_not_in_the_tables_is_never_approximated(layer):
    model = of_layer(layer())
    with pytest.raises(Unsupported, match=model.layers[-1].name):
        run_on_values(selection_of(model), np.zeros((1, *SHAPE), "float32"))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: layers.GRU(3)(x[:, 0], mask=x[:, 0, :, 0] > 0),
        lambda x: layers.GRU(3)(x[:, 0], initial_state=x[:, 0, 0, :3]),
        lambda x: layers.GRU(3)(layers.Masking()(x[:, 0])),
        lambda x: layers.LSTM(3, return_state=True)(x[:, 0])[1],
        lambda x: layers.Bidirectional(layers.GRU(3), merge_mode=None)(x[:, 0])[0],
        lambda x: layers.MultiHeadAttention(2, 3)(x[:, 0], x[:, 0], use_causal_mask=True),
        lambda x: layers.MultiHeadAttention(2, 3, attention_axes=2)(x, x),
    ],
)
def test_calls_that_are_not_in_the_tables_are_not_either(call):
    inputs = keras.Input(SHAPE)
    with pytest.raises(Unsupported):
        run_on_values(selection_of(keras.Model(inputs, call(inputs))), np.zeros((1, *SHAPE), "float32"))


def test_sizes_that_no_image_model_has_are_not_computed_with():
    dense = Call("Dense", "wide", settings={"units": 20_000_000}, arguments=(Ref(0),))
    graph = Graph((Call("InputLayer", "x", shape=(6,)), dense), (Ref(1),))
    with pytest.raises(Unsupported, match="layer wide: has"):
        infer_shapes(graph, Tensor(None, (6,)))


def test_a_layer_that_goes_on_from_the_last_image_is_not_in_the_tables():
    remembering = Call("GRU", "memory", settings={"units": 3, "stateful": True}, arguments=(Ref(0),))
    graph = Graph((Call("InputLayer", "x", shape=(5, 4)), remembering), (Ref(1),))
    with pytest.raises(Unsupported, match=r"layer memory \(GRU\): stateful is True"):
        infer_shapes(graph, Tensor(None, (5, 4)))


@pytest.mark.every
def test_models_that_call_each_other_twice_end():
    def tensor(name, call=0):
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, call, 0]}}

    entry = {"class_name": "Dropout", "name": "m0", "config": {"name": "m0", "rate": 0.1}}
    for level in range(1, 20):
        inner = entry["name"]
        calls = [{"args": [tensor("x")], "kwargs": {}}, {"args": [tensor(inner)], "kwargs": {}}]
        start = {"class_name": "InputLayer", "name": "x", "config": {"name": "x", "batch_shape": [None, 3]}}
        config = {
            "name": f"m{level}", "layers": [start, {**entry, "inbound_nodes": calls}],
            "input_layers": [["x", 0, 0]], "output_layers": [[inner, 1, 0]],
        }  # fmt: skip
        entry = {"class_name": "Functional", "name": f"m{level}", "config": config}
    with pytest.raises(Unsupported, match="100,000 calls"):
        read_config(entry)


UNCHANGED = {
    "ActivityRegularization": (), "AlphaDropout": (0.5,), "GaussianDropout": (0.5,), "Identity": (),
    "SpatialDropout2D": (0.5,), "AugMix": (), "CutMix": (), "MixUp": (), "RandAugment": (), "RandomBrightness": (0.5,),
    "RandomColorDegeneration": (0.5,), "RandomColorJitter": (), "RandomContrast": (0.5,), "RandomElasticTransform": (),
    "RandomErasing": (), "RandomGaussianBlur": (), "RandomGrayscale": (), "RandomHue": (0.5,), "RandomInvert": (),
    "RandomPerspective": (), "RandomPosterization": (3,), "RandomRotation": (0.5,), "RandomSaturation": (0.5,),
    "RandomSharpness": (0.5,), "RandomShear": (0.3, 0.3), "RandomTranslation": (0.5, 0.5), "RandomZoom": (0.5,),
    "Solarization": (),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNCHANGED)
def test_what_only_trains_changes_nothing(kind):
    assert_compiled(of_layer(getattr(layers, kind)(*UNCHANGED[kind]), (11, 8, 3)))


def test_every_kind_is_tested():
    """Here, or as part of a published network."""
    tested = {name.split()[0] for name in (*CASES, *SEQUENCES, *VOLUMES)} | {*UNCHANGED}
    others = {
        "Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract",  # NETWORKS
        "AdditiveAttention", "Attention", "Dot", "MultiHeadAttention",  # NETWORKS
        "CustomScaleLayer", "LayerScale", "StochasticDepth", "RepeatVector", "SpatialDropout1D", "SpatialDropout3D",
    }  # fmt: skip
    assert {*LAYERS} == tested | others
    assert {*WEIGHTS} <= {*LAYERS}
