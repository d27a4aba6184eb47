"""Check and upgrade the model config of a file, as data: Keras is not imported."""

from __future__ import annotations

import math
from typing import Any

from tlkit.errors import ModelError
from tlkit.keras_files.upgrade.config import UpgradedConfig, upgrade_config
from tlkit.keras_files.upgrade.validate import config_problems
from tlkit.utils.text import pluralize

MOST_INPUT_VALUES = 100_000_000
BOMB = "No image model is that large: the file is damaged, or meant to fill the memory."
_SHOWN_PROBLEMS = 3
_HINT = (
    "tlkit builds only layers that Keras ships and that hold no code. --weights with an architecture needs no config."
)


def checked_config(config: dict[str, Any], *, keras_version: str | None, source: str) -> UpgradedConfig:
    """Return the config of a file as Keras 3 writes one, if it names nothing but known layers of harmless size.

    Args:
        config: The parsed ``model_config`` of a Keras 1, 2 or 3 file, or ``config.json`` of a ``.keras`` file.
        keras_version: As recorded in the file, or None.
        source: What to call the file in messages.

    Raises:
        ModelError: It asks for more, or Keras 3 cannot rebuild a layer.
    """
    problems = config_problems(config, keras_version)
    if problems:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = " ".join(problems[:_SHOWN_PROBLEMS]) + (f" And {pluralize(more, 'more reason')}." if more > 0 else "")
        raise ModelError(f"The model in {source} is not built. {shown}", hint=_HINT)
    try:
        upgraded = upgrade_config(config, keras_version=keras_version)
    except ModelError as error:
        raise ModelError(f"{source}: {error.message}", hint=error.hint) from error
    _check_inputs(upgraded.config, source)
    return upgraded


def _check_inputs(config: dict[str, Any], source: str) -> None:
    stack: list[Any] = [config]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            for key in ("batch_shape", "build_input_shape"):
                shape = value.get(key)
                sides = [side for side in shape if isinstance(side, int)] if isinstance(shape, list) else []
                if math.prod(sides) > MOST_INPUT_VALUES:
                    raise ModelError(
                        f"The model in {source} is not built: its input {shape} has more than "
                        f"{MOST_INPUT_VALUES:,} values.",
                        hint=BOMB,
                    )
            stack += value.values()
        elif isinstance(value, list):
            stack += value
