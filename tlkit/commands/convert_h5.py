"""Convert a weights file of any dialect to a ``.weights.h5`` of Keras 3, verified by reading it back."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit import keras_files
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.architectures.weights_compatibility import Expected
from tlkit.config import ConvertConfig, LoadOptions
from tlkit.downloads.locate import check_weights
from tlkit.errors import UsageError, WeightsError
from tlkit.keras_files import LoadReport
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.output_file import check_output

EXTENSION = ".weights.h5"


@dataclass(frozen=True)
class Converted:
    """The file that was written.

    Attributes:
        output: Its path.
        architecture: Whose weights it holds.
        include_top: With the ImageNet classifier or without.
        report: How the source was loaded.
    """

    output: Path
    architecture: str
    include_top: bool
    report: LoadReport

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of `tlkit convert-h5 --format json`."""
        return {
            "output": str(self.output),
            "architecture": self.architecture,
            "include_top": self.include_top,
            "layers": self.report.layers,
            "tensors": self.report.tensors,
            "matched_by": self.report.matched_by,
            "conversions": dict(self.report.conversions or {}),
            "unused": list(self.report.unused),
            "left_random": list(self.report.left_random),
        }


def convert_h5(config: ConvertConfig) -> Converted:
    """Convert a file; with the classifier where the file has it, else without.

    Raises:
        TlkitError: It does not load, or the output cannot be written; the output is whole or absent.
    """
    architecture = get_architecture(config.arch, dataclasses.replace(config.build, data_format="channels_last"))
    source, output = Path(config.source), Path(config.output)
    if not output.name.endswith(EXTENSION):
        raise UsageError(
            f"{output} must end in {EXTENSION}: Keras picks its reader by the name.",
            hint=f"Name it {output.with_suffix('')}{EXTENSION}.",
        )
    check_output(output, force=config.force)  # it carries no mark: Keras wrote it
    if not output.parent.is_dir():
        raise WeightsError(f"There is no folder {output.parent} to write to.")
    keras_files.check_is_file(source)
    check_weights(config.source)
    include_top = _has_top(source, architecture, config.load)

    from tlkit.architectures.build import build
    from tlkit.architectures.pretrained import draw_weights, load_weights

    model = build(architecture, include_top=include_top)
    report = load_weights(model, source, architecture, config.load)
    draw_weights(model, architecture, include_top=include_top, names=report.left_random)
    try:
        with atomic_write(output) as part:
            model.save_weights(part)
            copy = build(architecture, include_top=include_top)
            load_weights(copy, part, architecture, verify=False)
            _compare(model, copy, output)
    except OSError as error:
        # HDF5's own words name our temporary file and its flags
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WeightsError(f"Cannot write {output}: {reason}.") from error
    return Converted(output, architecture.name, include_top, report)


def _compare(model: Any, copy: Any, output: Path) -> None:
    import numpy as np

    for target, other in zip(keras_files.target_layers(model), keras_files.target_layers(copy), strict=True):
        for before, after in zip(target.variables, other.variables, strict=True):
            if not np.array_equal(before.numpy(), after.numpy(), equal_nan=True):
                raise WeightsError(f"{output} was not written: {target.spec.name} reads back changed.")


def _has_top(source: Path, architecture: Architecture, options: LoadOptions) -> bool:
    """Return True when the file matches the architecture with its classifier; refuse one that matches neither way."""
    if not architecture.with_top.is_hdf5 and keras_files.is_torch_stream(source):
        return True
    keras_files.verify_readable(source)
    with keras_files.open_file(source) as file:
        plans = {top: Expected.of(architecture, include_top=top).plan(file, options) for top in (True, False)}
        best = min(plans, key=lambda top: (not plans[top].complete, plans[top].problems))
        keras_files.require_loadable(plans[best], file, options, into=architecture.name)
        return best
