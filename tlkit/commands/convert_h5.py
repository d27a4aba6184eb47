"""A weights file of any dialect as today's ``.weights.h5``, verified by reading it back."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import ConvertConfig, LoadOptions
from tlkit.downloads.locate import check_weights
from tlkit.errors import UsageError, WeightsError
from tlkit.keras_files.hdf5.validate import check_is_file
from tlkit.keras_files.loading.assign import LoadReport
from tlkit.keras_files.loading.load import open_saved, refuse
from tlkit.keras_files.loading.plan import make_plan
from tlkit.keras_files.torch_legacy_reader import is_torch_stream
from tlkit.utils.atomic_write import atomic_write

ENDING = ".weights.h5"


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        output: The file.
        architecture: Whose weights it holds.
        include_top: With the ImageNet classifier or without.
        report: How the source was loaded.
    """

    output: Path
    architecture: str
    include_top: bool
    report: LoadReport


def convert_h5(config: ConvertConfig) -> Converted:
    """Convert a file; with the classifier where the file has it, else without.

    Raises:
        TlkitError: It does not load, or the output cannot be written; the output is whole or absent.
    """
    architecture = get_architecture(config.arch, dataclasses.replace(config.build, data_format="channels_last"))
    source, output = Path(config.source), Path(config.output)
    if not output.name.endswith(ENDING):
        raise UsageError(
            f"{output} must end in {ENDING}: Keras picks its reader by the name.",
            hint=f"Name it {output.with_suffix('')}{ENDING}.",
        )
    if output.exists() and not config.force:
        raise UsageError(f"{output} exists.", hint="Name another file, or say --force to write over it.")
    if not output.parent.is_dir():
        raise WeightsError(f"There is no folder {output.parent} to write to.")
    check_is_file(source)
    check_weights(config.source)
    include_top = _with_top(source, architecture, config.load)

    from tlkit.architectures.build import build
    from tlkit.architectures.pretrained import load_weights
    from tlkit.keras_files.loading.layer_spec import target_layers

    model = build(architecture, include_top=include_top)
    report = load_weights(model, source, architecture, config.load)
    try:
        with atomic_write(output) as part:
            model.save_weights(part)
            copy = build(architecture, include_top=include_top)
            load_weights(copy, part, architecture)
            for place, again in zip(target_layers(model), target_layers(copy), strict=True):
                for before, after in zip(place.variables, again.variables, strict=True):
                    if not np.array_equal(before.numpy(), after.numpy(), equal_nan=True):
                        raise WeightsError(f"{output} was not written: {place.spec.name} reads back changed.")
    except OSError as error:
        # HDF5's own words name our temporary file and its flags
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WeightsError(f"Cannot write {output}: {reason}.") from error
    return Converted(output, architecture.name, include_top, report)


def _with_top(source: Path, architecture: Architecture, options: LoadOptions) -> bool:
    """Whether the file fits the architecture with its classifier; refused when it fits neither way."""
    if not architecture.with_top.is_hdf5 and source.is_file() and is_torch_stream(source):
        return True
    with open_saved(source) as (_, file):
        plans = {
            top: make_plan(
                file, expected_layers(architecture, include_top=top), options, old_names=architecture.old_names
            )
            for top in (True, False)
        }
        for top, plan in plans.items():
            if plan.complete:
                refuse(plan, file, source, options, architecture.name)
                return top
        best = min(plans, key=lambda top: plans[top].problems)
        refuse(plans[best], file, source, options, architecture.name)
        return best
