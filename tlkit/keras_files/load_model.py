"""A full Keras model out of a file: its configuration judged and repaired, its weights put in by tlkit's own reader."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.config import LoadOptions
from tlkit.errors import ModelError, WeightsError
from tlkit.keras_files.format_detection import read_header
from tlkit.keras_files.hdf5.open import open_file
from tlkit.keras_files.layers import saved_layers
from tlkit.keras_files.loading.assign import assign_plan
from tlkit.keras_files.loading.layer_spec import target_layers
from tlkit.keras_files.loading.load import refuse
from tlkit.keras_files.loading.plan import SavedFile, make_plan
from tlkit.keras_files.types import TITLES, Header
from tlkit.keras_files.upgrade.build import rebuild
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class LoadedModel:
    """A model from a file.

    Attributes:
        model: A ``keras.Model`` with the file's weights, not compiled.
        header: What the file says of itself.
    """

    model: Any
    header: Header


def load_model(path: Path, options: LoadOptions | None = None) -> LoadedModel:
    """Load a full model: ``.h5`` of Keras 1, 2 or 3, or ``.keras``.

    Nothing in the file is run: a configuration with code, or with layers that reach files or addresses, is refused
    before anything is built.

    Args:
        path: The file.
        options: How to load the weights, where the file leaves it open.

    Raises:
        ModelError: It holds no model, or one that cannot be rebuilt.
        WeightsError: It is damaged, or its weights do not fit its own configuration.
    """
    options = options or LoadOptions()
    with open_file(path) as opened:
        header = read_header(opened)
        if header.problem:
            raise ModelError(header.problem)
        if not header.is_model or not isinstance(header.raw_config, dict):
            raise ModelError(
                f"{path} ({TITLES[header.dialect]}) holds weights without the network they belong to."
                if not header.is_model
                else f"{path} ({TITLES[header.dialect]}) does not describe its network.",
                hint="If it is a network of `tlkit archs`, use --arch NAME --weights FILE.",
            )
        rebuilt = rebuild(header.raw_config, keras_version=header.keras_version, source=str(path))
        for repair in rebuilt.repairs:
            logger.info("%s: %s.", path, repair.rstrip("."))
        file = SavedFile(header, saved_layers(opened.root, header))
        places = target_layers(rebuilt.model)
        # the model keeps its own data layout, so the rows of its Dense layers stay in their order
        expected = [dataclasses.replace(place.spec, flattened=None) for place in places]
        if expected:
            named = dataclasses.replace(options, by_name=True)
            plan = make_plan(file, expected, named, old_names=rebuilt.renamed)
            if not plan.complete:
                plan = make_plan(file, expected, options, old_names=rebuilt.renamed)
            refuse(plan, file, path, options, "the network that it describes")
            report = assign_plan(places, plan)
            if report.unused:
                raise WeightsError(
                    f"{path} holds weights of {pluralize(len(report.unused), 'layer')} that its network "
                    f"does not have: {join_truncated(report.unused)}.",
                )
            for conversion, tensors in (report.conversions or {}).items():
                logger.info("%s: converted %s (%s).", path, conversion, pluralize(tensors, "tensor"))
    return LoadedModel(rebuilt.model, header)
