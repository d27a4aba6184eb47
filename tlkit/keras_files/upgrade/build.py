"""Build a Keras model from the model config of a file, in three steps: refuse, upgrade, build."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tlkit.backend import keras, keras_scope
from tlkit.errors import ModelError
from tlkit.keras_files.upgrade.checked import BOMB, checked_config
from tlkit.keras_files.upgrade.layers import KERAS_2_HINT

# Keras's own limit for one array of a file; no image model comes near it.
MOST_BYTES_A_WEIGHT = 4 * 2**30
MOST_BYTES_A_MODEL = 16 * 2**30
MOST_OUTPUT_VALUES = 1_000_000_000
_LONGEST_REASON = 240
_DAMAGED = "The file is damaged, or a newer Keras wrote it."


@dataclass(frozen=True)
class Rebuilt:
    """A model built from a config.

    Attributes:
        model: A ``keras.Model`` with fresh weights, not compiled.
        renamed: Old name of a layer or model to its new one, where it had to change.
        upgrades: What was changed for Keras 3, one line each.
    """

    model: Any
    renamed: dict[str, str]
    upgrades: tuple[str, ...]


def rebuild(config: dict[str, Any], *, keras_version: str | None, source: str) -> Rebuilt:
    """Build the model that a file describes, with fresh weights, without running anything from the file.

    Args:
        config: The parsed ``model_config`` of a Keras 1, 2 or 3 file, or ``config.json`` of a ``.keras`` file.
        keras_version: As recorded in the file, or None.
        source: What to call the file in messages.

    Returns:
        The model, which names changed and what was upgraded. Its input is as the file has it: its image data
        format and value range are not changed.

    Raises:
        ModelError: The config asks for more than known layers of harmless size, or Keras cannot build it.
    """
    source = str(source)
    upgraded = checked_config(config, keras_version=keras_version, source=source)
    # Keras counts automatic names per thread, so a thread of its own starts at dense every time.
    with keras_scope(), ThreadPoolExecutor(max_workers=1) as fresh_names:
        hint = _DAMAGED if (keras_version or "").startswith("3") else KERAS_2_HINT
        model = fresh_names.submit(_build, upgraded.config, source, hint).result()
    return Rebuilt(model, upgraded.renamed, upgraded.upgrades)


def _build(config: dict[str, Any], source: str, hint: str) -> Any:
    try:
        # In this scope Keras notes the shape of each variable and makes none of them until the end of it: the sizes
        # are known, exactly, before there is memory for them.
        with keras.StatelessScope(initialize_variables=False) as scope, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.deserialize_keras_object(config, custom_objects={}, safe_mode=True)
            _check_weights(model, source)
            _check_outputs(model, source)
            scope.initialize_variables = True
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"Keras cannot build the model in {source}: {_reason(error)}", hint=hint) from error
    return model


def _check_weights(model: Any, source: str) -> None:
    total = 0
    for weight in model.variables:
        size = math.prod(weight.shape) * (8 if "64" in str(weight.dtype) else 4)
        total += size
        if size > MOST_BYTES_A_WEIGHT or total > MOST_BYTES_A_MODEL:
            what = f"{weight.path} {tuple(weight.shape)}" if size > MOST_BYTES_A_WEIGHT else "all weights"
            limit = MOST_BYTES_A_WEIGHT if size > MOST_BYTES_A_WEIGHT else MOST_BYTES_A_MODEL
            raise ModelError(
                f"The model in {source} is not built: {what} would take more than {limit // 2**30} GiB.",
                hint=BOMB,
            )


def _check_outputs(model: Any, source: str) -> None:
    """Refuse huge outputs: UpSampling2D(size=10**9) has no weights, but would fill the memory at the first image."""
    stack = [model]
    while stack:
        layer = stack.pop()
        stack += getattr(layer, "operations", None) or getattr(layer, "layers", None) or []
        try:
            tensors = keras.tree.flatten(layer.output)
        except (AttributeError, ValueError):  # inside a wrapper: it was never called by itself
            continue
        for tensor in tensors:
            if _values(tensor.shape) > MOST_OUTPUT_VALUES:
                raise ModelError(
                    f"The model in {source} is not built: the output of {layer.name}, "
                    f"{tuple(tensor.shape)}, has more than {MOST_OUTPUT_VALUES:,} values.",
                    hint=BOMB,
                )


def _values(shape: Iterable[Any]) -> int:
    return math.prod(size for size in shape if isinstance(size, int))


def _reason(error: BaseException) -> str:
    """Return the innermost error message as one line, with the layer where Keras names it."""
    text = str(error)
    # Keras wraps what went wrong in a message with the whole config, once a level.
    inner = text.rsplit("Exception encountered:", 1)[-1].strip()
    line = str(inner.split("\n", 1)[0].strip())
    if len(line) > _LONGEST_REASON:
        line = f"{line[:_LONGEST_REASON]}…"
    names = re.findall(r"config=\{.*?'name': '([^']+)'", text.rsplit("Exception encountered:", 1)[0], re.DOTALL)
    name = f"layer {names[-1]!r}: " if names and str(names[-1]) not in line else ""
    return f"{name}{line or type(error).__name__}"
