"""Load a weights file of any dialect into a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.config import LoadOptions
from tlkit.errors import WeightsError
from tlkit.keras_files.keras_file import KerasFile, open_file
from tlkit.keras_files.loading.assign import LoadReport, assign_plan
from tlkit.keras_files.loading.layer_spec import target_layers
from tlkit.keras_files.loading.plan import Plan, plan_loading
from tlkit.keras_files.loading.steps import Network, read_network
from tlkit.keras_files.types import TITLES
from tlkit.keras_files.verify import verify_readable
from tlkit.utils.text import join_truncated, pluralize


def load_weights(
    model: Any,
    path: Path,
    options: LoadOptions | None = None,
    *,
    old_names: Mapping[str, str] | None = None,
    constants: Mapping[str, Mapping[str, Any]] | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    verify: bool = True,
) -> LoadReport:
    """Load the weights in a file of any Keras into a Keras model.

    Every value is read, checked and converted before the first is set.

    Args:
        model: A built ``keras.Model``.
        path: A weights or model file: HDF5 of Keras 0.3 to 3, or a ``.keras`` archive. A full model may hold the
            network as a model inside it, or as its first layers.
        options: How to load, where the file leaves that open; None for the defaults.
        old_names: ``{name of a layer in old files: its name today}``.
        constants: ``{layer: {role: values}}`` for layers that a file may lack.
        preprocess: What the inputs of the model have gone through; a full model may do that itself.
        verify: False for a file that is known to be whole, because its digest is right or because it was just written.

    Returns:
        What was set, converted and left out.

    Raises:
        WeightsError: The file does not match the model, describes one that computes in another way, leaves its layout
            open, or is damaged; the model is unchanged.
    """
    options = options or LoadOptions()
    if verify:
        verify_readable(path)
    targets = target_layers(model)
    with open_file(path) as file:
        plan = plan_loading(
            file,
            [target.spec for target in targets],
            options,
            old_names=old_names,
            constants=constants,
            network=_network(model, preprocess) if file.header.raw_config else None,
        )
        require_loadable(plan, file, options, into=model.name)
        return assign_plan(targets, plan)


def _network(model: Any, preprocess: Callable[[np.ndarray], np.ndarray] | None) -> Network | None:
    try:
        config = {"class_name": type(model).__name__, "config": model.get_config()}
    except NotImplementedError:  # a subclass without a config of its own
        return None
    return read_network(config, keras_version="3", preprocess=preprocess)


def require_loadable(plan: Plan, file: KerasFile, options: LoadOptions, *, into: str) -> None:
    """Raise unless a plan may be carried out.

    Args:
        plan: The plan.
        file: The file that it was made for.
        options: The options that it was made with.
        into: The name of the network, for messages.

    Raises:
        WeightsError: With what the file has, what the network expects and what to try.
    """
    name, title = str(file.path), TITLES[file.header.dialect]
    holders = [layer for layer in file.layers if layer.tensors]
    if not holders:
        raise WeightsError(
            f"{name} ({title}) holds no layer with weights that tlkit can read.",
            hint=f"`tlkit inspect-h5 {name}` shows what it holds.",
        )
    if not plan.layers or (not plan.complete and not options.skip_mismatch):
        raise WeightsError(f"{name} does not load into {into}: {why_not(plan, holders)}.", hint=_hint(plan, options))
    if plan.differences:
        more = f" (and {pluralize(len(plan.differences) - 1, 'difference')} more)" if len(plan.differences) > 1 else ""
        raise WeightsError(
            f"{name} ({title}) computes in another way than {into}, so its weights would give other numbers there: "
            f"{plan.differences[0]}{more}.",
            hint=f"--model {name} computes what the file describes.",
        )
    if plan.questions:
        raise WeightsError(
            f"{name} ({title}) does not record {' nor '.join(plan.asks)}.",
            hint="Choose one; the file name or download page usually says.",
        )


def why_not(plan: Plan, holders: Sequence[object]) -> str:
    """Explain in one line why a plan is not complete."""
    reasons = []
    if plan.missing:
        names = join_truncated([layer.name for layer in plan.missing], most=3)
        reasons.append(
            f"the file holds {pluralize(len(holders), 'layer')} with weights, the network {plan.network_layers}; "
            f"{pluralize(len(plan.missing), 'layer')} of it "
            f"{'has' if len(plan.missing) == 1 else 'have'} no match ({names})"
        )
    if plan.mismatched:
        expected, saved, reason = plan.mismatched[0]
        other = f" (in the file {saved.name})" if saved.name != expected.name else ""
        more = f", and {pluralize(len(plan.mismatched) - 1, 'layer')} more" if len(plan.mismatched) > 1 else ""
        reasons.append(f"layer {expected.name}{other}: {reason}{more}")
    return "; ".join(reasons)


def _hint(plan: Plan, options: LoadOptions) -> str:
    other = "by order (leave --by-name out)" if options.by_name else "--by-name"
    hint = f"Is it of another architecture, or of one with (or without) its classifier? Try {other}"
    if options.skip_mismatch or not plan.lacks_only_classifier:
        return f"{hint}."
    if classes := _classes(plan):
        return (
            f"Its classifier has {pluralize(classes, 'class', 'classes')}: --classes {classes} loads it; "
            "--skip-mismatch leaves it out, and keeps random values there."
        )
    return f"{hint}; --skip-mismatch takes all but the classifier, which keeps random values."


def _classes(plan: Plan) -> int | None:
    """Return how many classes the file's classifier has, where that is all that does not fit."""
    if len(plan.mismatched) != 1 or plan.missing:
        return None
    expected, saved, _ = plan.mismatched[0]
    shapes = [tuple(tensor.values.shape) for tensor in saved.tensors]
    wanted = [shape for _, shape in expected.tensors]
    fits = len(shapes) == len(wanted) and all(one[:-1] == two[:-1] for one, two in zip(shapes, wanted, strict=True))
    return int(shapes[0][-1]) if fits and shapes[0] else None
