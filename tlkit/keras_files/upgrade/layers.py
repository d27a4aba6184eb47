"""Upgrade one layer of Keras 1 or 2 to Keras 3: a small function for each thing that changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tlkit.errors import ModelError
from tlkit.keras_files.upgrade import allowlist, argument_tables

_LONGEST = 200  # characters of a file's own text in a message
KERAS_2_HINT = "Load it with tf_keras (Keras 2), and save there what Keras 3 can build."


@dataclass
class Layer:
    """A layer while it is upgraded.

    Attributes:
        class_name: First that of the file, then that of Keras 3.
        config: A copy of the layer's own config, changed in place.
        keras: Major version of the Keras that wrote it.
        version: Its version as recorded in the file, such as ``2.2.4-tf``; None when unknown.
        ordering: The image data format that the rest of the model has; None if there is none or both.
        note: Called with one line about what was done.
    """

    class_name: str
    config: dict[str, Any]
    keras: int
    version: str | None
    ordering: str | None
    note: Callable[[str], None]

    def __post_init__(self) -> None:
        self.written = self.class_name  # for messages

    def refuse(self, why: str) -> ModelError:
        """Return the error that names this layer."""
        return refusal(self.config.get("name"), self.written, why)


def refusal(name: Any, class_name: str, why: str) -> ModelError:
    """Return the error that names a layer and why it cannot be rebuilt."""
    named = str(name)[:_LONGEST] if isinstance(name, str) and name else "without a name"
    return ModelError(
        f"The layer {named} ({class_name}) cannot be rebuilt: {str(why)[:_LONGEST]}.",
        hint=KERAS_2_HINT,
    )


def upgrade_layer(layer: Layer) -> None:
    """Upgrade a layer of any Keras to what Keras 3 builds.

    Args:
        layer: Changed in place. Layers and models inside it (wrappers) are the caller's.

    Raises:
        ModelError: Keras 3 has no such layer, or would compute other numbers with it.
    """
    for fix in _FIXES:
        fix(layer)


def _gone(layer: Layer) -> None:
    if layer.class_name in allowlist.GONE:
        raise layer.refuse(allowlist.GONE[layer.class_name])


def _merge(layer: Layer) -> None:
    if layer.class_name != "Merge":
        return
    config = layer.config
    mode = config.get("mode")
    if config.get("mode_type", "raw") != "raw" or not isinstance(mode, str):
        raise layer.refuse("its mode is Python code")
    if mode not in argument_tables.MERGES:
        raise layer.refuse(f"its mode {mode} has no exact counterpart in Keras 3")
    if config.get("layers"):
        raise layer.refuse("it merges branches at the start of a Sequential, which Keras 3 has no form for")
    layer.config = {key: config[key] for key in ("name", "trainable") if key in config}
    if mode == "concat":
        layer.config["axis"] = config.get("concat_axis", -1)
    layer.class_name = argument_tables.MERGES[mode]
    layer.note(f"Merge: became {layer.class_name}")


def _class_name(layer: Layer) -> None:
    if layer.class_name == "SyncBatchNormalization":
        layer.config["synchronized"] = True
    new = allowlist.ALIASES.get(layer.class_name)
    if new == "Identity":
        layer.note(f"{layer.class_name}: left out, it changes images only while training")
        layer.config = {key: layer.config[key] for key in ("name", "trainable", "dtype") if key in layer.config}
    elif new:
        layer.note(f"{layer.class_name}: became {new}")
    if new:
        # The arguments of the old class go with its name.
        _rename(layer, argument_tables.RENAMED_IN.get(layer.class_name, {}))
        layer.class_name = new


def _arguments(layer: Layer) -> None:
    _rename(layer, argument_tables.RENAMED_IN.get(layer.class_name, {}))
    _rename(layer, argument_tables.RENAMED)


def _rename(layer: Layer, names: dict[str, str]) -> None:
    old = [key for key in layer.config if key in names]
    for key in old:
        value = layer.config.pop(key)
        layer.config.setdefault(names[key], value)
    if len(old) == 1:
        layer.note(f"{layer.class_name}: {old[0]} became {names[old[0]]}")
    elif old:  # Keras 1: nearly all of them
        layer.note(f"{layer.class_name}: arguments under their names of today")


def _dropped(layer: Layer) -> None:
    for classes, key, neutral in argument_tables.DROPPED:
        if key in layer.config and (classes is None or layer.class_name in classes):
            value = layer.config[key]
            if neutral is not argument_tables.ANY and value not in neutral:
                raise layer.refuse(f"Keras 3 has no {key}={value}")
            del layer.config[key]
            if key not in argument_tables.SILENT:
                layer.note(f"{layer.class_name}: {key} dropped")


def _kernel_size(layer: Layer) -> None:
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(name in layer.config for name in names):
            layer.config["kernel_size"] = [layer.config.pop(name) for name in names]
            layer.note(f"{layer.class_name}: {', '.join(names)} became kernel_size")


def _data_format(layer: Layer) -> None:
    config = layer.config
    if config.get("data_format") in argument_tables.ORDERINGS:
        config["data_format"] = argument_tables.ORDERINGS[config["data_format"]]
    if "data_format" in config and config["data_format"] is None:
        del config["data_format"]  # Keras's default, which tlkit holds at channels_last
        if layer.ordering and layer.class_name != "Flatten":  # with it, Flatten would change the order of values
            config["data_format"] = layer.ordering
    # Keras 1 forgot to write it for these; they ran with the one order that its backend was set to.
    if (
        layer.keras == 1
        and layer.class_name in argument_tables.SPATIAL
        and "data_format" not in config
        and layer.ordering
    ):
        config["data_format"] = layer.ordering
        layer.note(f"{layer.class_name}: data_format {layer.ordering}, as the rest of the model")


def _padding(layer: Layer) -> None:
    if not layer.class_name.startswith("ZeroPadding"):
        return
    padding = layer.config.get("padding")
    sides = ("left_pad", "right_pad") if layer.class_name == "ZeroPadding1D" else (
        "top_pad", "bottom_pad", "left_pad", "right_pad")  # fmt: skip
    if isinstance(padding, dict):
        padding = [padding.get(side, 0) for side in sides]
        layer.config["padding"] = padding
    if isinstance(padding, list) and len(padding) == 4:  # Keras 1: top, bottom, left, right
        layer.config["padding"] = [padding[:2], padding[2:]]
        layer.note(f"{layer.class_name}: padding as pairs")


def _axis(layer: Layer) -> None:
    axis = layer.config.get("axis")
    if layer.class_name == "BatchNormalization" and isinstance(axis, list):
        if len(axis) != 1:
            raise layer.refuse(f"it normalizes over {len(axis)} axes at once, and Keras 3 over one")
        layer.config["axis"] = axis[0]
        layer.note("BatchNormalization: axis taken out of its list")


def _penalties(layer: Layer) -> None:
    """Upgrade regularizers and constraints of Keras 1: ``{"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.01}``."""
    for key, value in layer.config.items():
        if key.endswith(("_regularizer", "_constraint")) and isinstance(value, str):
            layer.config[key] = argument_tables.OLD_PENALTIES.get(value, value)
        elif key.endswith(("_regularizer", "_constraint")) and isinstance(value, dict) and "class_name" not in value:
            new = argument_tables.OLD_PENALTIES.get(value["name"], value["name"])
            inner = {
                argument_tables.CONSTRAINT_ARGUMENTS.get(name, name): item
                for name, item in value.items()
                if name != "name"
            }
            layer.config[key] = {"class_name": new, "config": inner}
            layer.note(f"{layer.class_name}: {key} as a {new}")


def _activations(layer: Layer) -> None:
    for key, value in layer.config.items():
        if key.endswith("activation") and isinstance(value, str) and value in allowlist.ACTIVATION_ALIASES:
            layer.config[key] = allowlist.ACTIVATION_ALIASES[value]
            layer.note(f"{layer.class_name}: {key} {value} became {layer.config[key]}")


def _recurrent(layer: Layer) -> None:
    if layer.class_name in ("GRU", "GRUCell") and layer.keras < 3:
        # Files from before Keras 2.2 do not record it; the default has changed since.
        layer.config.setdefault("reset_after", False)


def _hard_sigmoid(layer: Layer) -> None:
    if layer.keras < 3 and "hard_sigmoid" in (layer.config.get(key) for key in ("activation", "recurrent_activation")):
        raise layer.refuse(
            "it uses Keras 2's hard_sigmoid, clip(0.2·x + 0.5), and Keras 3 computes clip(x/6 + 0.5) by that name"
        )


def _bilinear(layer: Layer) -> None:
    # The corners of the grid moved with TensorFlow 2; "2.2.4-tf" is on both sides of that.
    if layer.class_name == "UpSampling2D" and layer.config.get("interpolation") == "bilinear" and layer.keras == 2:
        if layer.version is not None and not layer.version.endswith("-tf") and _minor(layer.version) < 4:
            raise layer.refuse("bilinear interpolation before TensorFlow 2 gave other numbers")
        if layer.version == "2.2.4-tf":
            layer.note("UpSampling2D: bilinear; the same numbers only if TensorFlow 2 wrote the file, not 1.x")


def _resizing(layer: Layer) -> None:
    interpolation = str(layer.config.get("interpolation")).lower()
    if layer.class_name == "Resizing" and interpolation in ("gaussian", "mitchellcubic"):
        raise layer.refuse(f"Keras 3 has no interpolation {interpolation}")


def _random_crop(layer: Layer) -> None:
    """Replace a RandomCrop by what Keras 2 did with it at inference: in Keras 3 it does nothing there."""
    if layer.class_name != "RandomCrop" or layer.keras >= 3:
        return
    if _minor(layer.version or "") < 8:
        raise layer.refuse("at inference Keras 3 does not crop, and Keras before 2.8 did in another way than after it")
    kept: dict[str, Any] = {
        key: layer.config[key] for key in ("name", "dtype", "height", "width") if key in layer.config
    }
    layer.class_name, layer.config = "Resizing", {**kept, "crop_to_aspect_ratio": True}
    layer.note("RandomCrop: became the Resizing that it is at inference")


def _contrast(layer: Layer) -> None:
    if layer.class_name == "RandomContrast" and layer.keras < 3:
        layer.note("RandomContrast: while training, now clips to value_range, 0 to 255")


def _minor(version: str) -> int:
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _deconvolution(layer: Layer) -> None:
    """Drop the output shape, which Keras 1 wrote and Keras 3 computes, if both agree."""
    config = layer.config
    if layer.class_name != "Conv2DTranspose" or "output_shape" not in config:
        return
    shape, size, strides = config.pop("output_shape"), config.get("kernel_size", []), config.get("strides", [1, 1])
    rows = slice(2, 4) if config.get("data_format") == "channels_first" else slice(1, 3)
    try:
        same = config.get("padding") == "same"
        agrees = all(
            length is None or (length - (0 if same else max(kernel - step, 0))) % step == 0
            for length, kernel, step in zip(shape[rows], size, strides, strict=True)
        )
    except (TypeError, ValueError, ZeroDivisionError):
        agrees = False
    if not agrees:
        raise layer.refuse("its output shape is not the one that Keras 3 computes")
    layer.note("Conv2DTranspose: output_shape dropped, Keras 3 computes the same")


def _input(layer: Layer) -> None:
    if layer.class_name == "InputLayer":
        for old, new in (("batch_input_shape", "batch_shape"), ("input_dtype", "dtype")):
            if old in layer.config:
                value = layer.config.pop(old)
                if new not in layer.config:
                    layer.config[new] = value
                layer.note(f"InputLayer: {old} became {new}")


_FIXES: Iterable[Callable[[Layer], None]] = (
    _gone, _merge, _class_name, _arguments, _kernel_size, _input, _dropped, _data_format, _padding, _axis, _penalties,
    _activations, _recurrent, _hard_sigmoid, _bilinear, _resizing, _random_crop, _contrast, _deconvolution,
)  # fmt: skip
