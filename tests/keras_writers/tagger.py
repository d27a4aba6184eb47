"""The weights of MusicTaggerCRNN as Keras 1 wrote them, with h5py alone."""

import h5py
import numpy as np

BLOCKS = ((1, 64, 2), (64, 128, 3), (128, 128, 4), (128, 128, 4))


def old_weights(seed=0):
    """Every array of the network, in the order and under the names that Keras 1 saved them, kernels TensorFlow's."""
    random = np.random.default_rng(seed)

    def normal(*shape, scale=1.0):
        return (scale * random.normal(size=shape)).astype("float32")

    def norm(name, width):
        return {
            f"{name}_gamma": 1 + normal(width, scale=0.1),
            f"{name}_beta": normal(width, scale=0.1),
            f"{name}_running_mean": normal(width, scale=0.1),
            f"{name}_running_std": np.abs(1 + normal(width, scale=0.1)),
        }

    def gru(name, inputs):
        shapes = {"W": (inputs, 32), "U": (32, 32), "b": (32,)}
        # large enough that some gates are shut and some open, where the two hard sigmoids differ too
        return {f"{name}_{key}_{gate}": normal(*shapes[key], scale=0.2) for gate in "zrh" for key in "WUb"}

    layers = {"bn_0_freq": norm("bn_0_freq", 1440)}
    layers["bn_0_freq"]["bn_0_freq_running_mean"] -= 60  # decibels
    layers["bn_0_freq"]["bn_0_freq_running_std"] *= 900
    for number, (inputs, filters, _) in enumerate(BLOCKS, start=1):
        scale = (9 * inputs) ** -0.5
        layers[f"conv{number}"] = {
            f"conv{number}_W": normal(3, 3, inputs, filters, scale=scale),
            f"conv{number}_b": normal(filters, scale=0.1),
        }
        layers[f"bn{number}"] = norm(f"bn{number}", filters)
    layers["gru1"], layers["gru2"] = gru("gru1", 128), gru("gru2", 32)
    layers["output"] = {"output_W": normal(32, 50), "output_b": normal(50)}
    return layers


def write(path, layers, *, theano_axes=False, ends=":0"):
    """As Keras 1.2.2 wrote weights: no version, no backend."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{key}{ends}".encode() for key in arrays]
            for key, array in arrays.items():
                group[f"{key}{ends}"] = array.transpose(3, 2, 0, 1) if theano_axes and array.ndim == 4 else array
    return path
