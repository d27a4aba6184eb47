"""Load a full Keras model: check and upgrade its configuration, build it, load the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.config import LoadOptions
from tlkit.errors import ModelError, WeightsError
from tlkit.keras_files.types import TITLES, Header
from tlkit.keras_files.verify import start_verifying, verify_readable
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class LoadedModel:
    """A model from a file.

    Attributes:
        model: A ``keras.Model`` with the file's weights, not compiled.
        header: Dialect, writer and configuration of the file.
    """

    model: Any
    header: Header


def load_model(path: Path, options: LoadOptions | None = None) -> LoadedModel:
    """Load a full model: ``.h5`` of Keras 1, 2 or 3, or ``.keras``.

    Nothing in the file is executed: a configuration with code, or with layers that read files or URLs, is refused
    before anything is built. The file is checked for damage in another process, while Keras is imported.

    Args:
        path: The file.
        options: How to load the weights, where the file leaves that open; None for the defaults.

    Raises:
        ModelError: It holds no model, or one that cannot be rebuilt.
        WeightsError: It is damaged, or its weights do not match its own configuration.
    """
    start_verifying(path)
    from tlkit.keras_files.keras_file import open_file
    from tlkit.keras_files.loading.assign import assign_plan
    from tlkit.keras_files.loading.layer_spec import target_layers
    from tlkit.keras_files.loading.load import require_loadable
    from tlkit.keras_files.loading.plan import plan_loading
    from tlkit.keras_files.upgrade.build import rebuild  # imports Keras: seconds

    verify_readable(path)
    options = options or LoadOptions()
    with open_file(path) as file:
        header = file.header
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
        for upgrade in rebuilt.upgrades:
            logger.info("%s: %s.", path, upgrade.rstrip("."))
        targets = target_layers(rebuilt.model)
        # the model keeps its own data layout, so the rows of its Dense layers stay in their order
        expected = [dataclasses.replace(target.spec, flattened=None) for target in targets]
        if expected:
            by_name = dataclasses.replace(options, by_name=True)
            plan = plan_loading(file, expected, by_name, old_names=rebuilt.renamed)
            if not plan.complete:
                plan = plan_loading(file, expected, options, old_names=rebuilt.renamed)
            require_loadable(plan, file, options, into="the network that it describes")
            report = assign_plan(targets, plan)
            if report.unused:
                raise WeightsError(
                    f"{path} holds weights of {pluralize(len(report.unused), 'layer')} that its network "
                    f"does not have: {join_truncated(report.unused)}.",
                )
            for conversion, tensors in (report.conversions or {}).items():
                logger.info("%s: converted %s (%s).", path, conversion, pluralize(tensors, "tensor"))
    return LoadedModel(rebuilt.model, header)
