"""Load a full Keras model: check and upgrade its configuration, build it, load the weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlkit.config import LoadOptions
from tlkit.errors import ModelError, WeightsError
from tlkit.keras_files.types import TITLES, Header
from tlkit.keras_files.verify import start_verifying, verify_readable
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize

if TYPE_CHECKING:
    import numpy as np

    from tlkit.keras_files.keras_file import KerasFile
    from tlkit.keras_files.loading.layer_spec import LayerSpec
    from tlkit.keras_files.loading.plan import Plan


@dataclass(frozen=True)
class LoadedModel:
    """A model from a file.

    Attributes:
        model: A ``keras.Model`` with the file's weights, not compiled.
        header: Dialect, writer and configuration of the file.
    """

    model: Any
    header: Header


@dataclass(frozen=True)
class ModelDescription:
    """The network that a file describes, as data.

    Attributes:
        path: The file.
        config: Its config as Keras 3 writes one.
        renamed: Old name of a layer or model to its new one.
        upgrades: What was changed for Keras 3, one line each.
        header: Dialect, writer and configuration of the file.
    """

    path: Path
    config: dict[str, Any]
    renamed: dict[str, str]
    upgrades: tuple[str, ...]
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
    from tlkit.keras_files.upgrade.build import rebuild  # imports Keras: seconds

    verify_readable(path)
    with open_file(path) as file:
        header = file.header
        rebuilt = rebuild(_raw_config(file), keras_version=header.keras_version, source=str(path))
        _log_upgrades(path, rebuilt.upgrades)
        targets = target_layers(rebuilt.model)
        if targets:
            plan = _plan(file, [target.spec for target in targets], options, rebuilt.renamed)
            assign_plan(targets, plan)
    return LoadedModel(rebuilt.model, header)


def describe_model(path: Path) -> ModelDescription:
    """Read the network that a file describes, without Keras.

    Args:
        path: The file.

    Raises:
        ModelError: It holds no model, or one that is not built.
        WeightsError: It is damaged.
    """
    from tlkit.keras_files.keras_file import open_file
    from tlkit.keras_files.upgrade.checked import checked_config

    verify_readable(path)
    with open_file(path) as file:
        header = file.header
        upgraded = checked_config(_raw_config(file), keras_version=header.keras_version, source=str(path))
    return ModelDescription(path, upgraded.config, upgraded.renamed, upgraded.upgrades, header)


def read_model_arrays(
    model: ModelDescription, expected: Sequence[LayerSpec], options: LoadOptions | None = None, *, report: bool = True
) -> dict[tuple[str, ...], dict[str, np.ndarray]]:
    """Read the weights of a model file as arrays, without Keras.

    Args:
        model: What the file describes.
        expected: The layers of that network with weights, in order.
        options: How to load the weights, where the file leaves that open; None for the defaults.
        report: Log what is upgraded and converted.

    Returns:
        ``{path and name of a layer: {key of :attr:`LayerSpec.keys`: array}}``, in the layout of Keras 3.

    Raises:
        WeightsError: It is damaged, or its weights do not match its own configuration.
    """
    from tlkit.keras_files.keras_file import open_file
    from tlkit.keras_files.loading.assign import read_arrays

    if report:
        _log_upgrades(model.path, model.upgrades)
    if not expected:
        return {}
    with open_file(model.path) as file:
        return read_arrays(_plan(file, expected, options, model.renamed, report=report))


def _raw_config(file: KerasFile) -> dict[str, Any]:
    header, path = file.header, file.path
    if header.problem:
        raise ModelError(header.problem)
    if not header.is_model or not isinstance(header.raw_config, dict):
        raise ModelError(
            f"{path} ({TITLES[header.dialect]}) holds weights without the network they belong to."
            if not header.is_model
            else f"{path} ({TITLES[header.dialect]}) does not describe its network.",
            hint="If it is a network of `tlkit archs`, use --arch NAME --weights FILE.",
        )
    return header.raw_config


def _log_upgrades(path: Path, upgrades: Sequence[str]) -> None:
    for upgrade in upgrades:
        logger.info("%s: %s.", path, upgrade.rstrip("."))


def _plan(
    file: KerasFile,
    layers: Sequence[LayerSpec],
    options: LoadOptions | None,
    renamed: Mapping[str, str],
    *,
    report: bool = True,
) -> Plan:
    """Match a file with the network that it describes: all of it, and nothing left over."""
    from tlkit.keras_files.loading.assign import report_of
    from tlkit.keras_files.loading.load import require_loadable
    from tlkit.keras_files.loading.plan import plan_loading

    options = options or LoadOptions()
    # the model keeps its own data layout, so the rows of its Dense layers stay in their order
    expected = [dataclasses.replace(layer, flattened=None) for layer in layers]
    plan = plan_loading(file, expected, dataclasses.replace(options, by_name=True), old_names=renamed)
    if not plan.complete:
        plan = plan_loading(file, expected, options, old_names=renamed)
    require_loadable(plan, file, options, into="the network that it describes")
    done = report_of(plan)
    if done.unused:
        raise WeightsError(
            f"{file.path} holds weights of {pluralize(len(done.unused), 'layer')} that its network "
            f"does not have: {join_truncated(done.unused)}.",
        )
    for conversion, tensors in (done.conversions or {}).items() if report else ():
        logger.info("%s: converted %s (%s).", file.path, conversion, pluralize(tensors, "tensor"))
    return plan
