"""Extract the activations of one layer for images and save them as features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import DEFAULT_ARCHITECTURE, ExtractConfig
from tlkit.data.digests import file_digests
from tlkit.data.discovery import expand_inputs, report_left_out
from tlkit.distributed.shares import PartResult, compute_part, parts_of
from tlkit.errors import FeatureError, UsageError
from tlkit.features.export import FileGroup, export_features
from tlkit.features.extractor import FeatureExtractor, refuse_difference
from tlkit.features.io import (
    ENDINGS,
    FeatureBlocks,
    FeatureFile,
    FeatureMetadata,
    looks_like_features,
    metadata_from_dict,
    open_h5,
    open_npy,
    read_json,
    write_csv,
    write_h5,
    write_json,
    write_npy,
)
from tlkit.features.parquet_files import check_pyarrow, open_parquet, write_parquet
from tlkit.features.spec import FeatureSpec
from tlkit.features.store import can_resume
from tlkit.inference.provenance import Provenance
from tlkit.utils.locks import locked
from tlkit.utils.output_file import check_output
from tlkit.utils.text import join_truncated, without_password

_HINT = "Choose another file, or use --force to overwrite it."


@dataclass(frozen=True)
class ExtractResult:
    """Features that were written.

    Attributes:
        output: The file.
        shape: ``(rows, …)`` of the features.
        provenance: What decides the numbers.
        computed: Number of rows computed now; the others existed.
        skipped: ``(input, reason)`` of images without a row.
        left_out: Number of files in folders that are no images, by the end of their names.
        notes: Measured error of a lower precision.
    """

    output: Path
    shape: tuple[int, ...]
    provenance: Provenance
    computed: int
    skipped: tuple[tuple[str, str], ...]
    left_out: Mapping[str, int]
    notes: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of ``tlkit extract --format json``."""
        return {
            "output": str(self.output),
            "shape": list(self.shape),
            "provenance": self.provenance.to_dict(),
            "computed": self.computed,
            "skipped": [{"input": source, "error": reason} for source, reason in self.skipped],
            "left_out": dict(self.left_out),
            "notes": dict(self.notes),
        }


def extract(config: ExtractConfig) -> ExtractResult | PartResult:
    """Compute features and write them as one file; after an interruption the same call resumes.

    With ``part``, one share of them is computed and nothing is written yet.

    Raises:
        TlkitError: Options contradict each other, weights cannot be found, a file of something else exists or cannot
            be written, or no image can be read.
    """
    output = Path(config.output)
    ending = next((ending for ending in ENDINGS if output.name.lower().endswith(ending)), None)
    if ending is None:
        raise UsageError(f"{output} must end in {join_truncated(ENDINGS)}.", hint="The suffix selects the format.")
    if ending == ".parquet":
        check_pyarrow()
    if not output.parent.is_dir():
        raise FeatureError(f"There is no folder {output.parent} to write to.")
    extractor = feature_extractor(config)
    left_out: Counter[str] = Counter()
    sources = expand_inputs(config.images, extractor.modality, left_out)
    report_left_out(left_out, extractor.modality)
    parts = output.with_name(f"{output.name}.parts")
    if config.part is not None:
        existing = _reusable(output, ending, extractor, config, resumed=False)
        return compute_part(config, parts, extractor, sources, batch_size=config.batch_size, existing=existing)
    part = output.with_name(f"{output.name}.part")
    written: list[FeatureBlocks] = []

    def write(features: Mapping[str, FeatureBlocks]) -> None:
        written.append(features[""])
        _write(output, ending, features[""])

    try:
        with (
            locked(output.with_name(f".{output.name}.lock"), remove=True),
            parts_of(config, parts, extractor, partial(feature_extractor, config), batch_size=config.batch_size),
        ):
            resumed = can_resume(part, extractor.provenance)
            existing = _reusable(output, ending, extractor, config, resumed=resumed)
            names = [without_password(source) for source in sources]
            group = FileGroup(sources, names, file_digests(sources, extractor.modality))
            computed = export_features(
                part, extractor, {"": group}, write, existing=existing, batch_size=config.batch_size
            )
    except OSError as error:
        raise FeatureError(
            f"Cannot write {output}: {error.strerror or error}.",
            hint="Fix that and run the same command again; it resumes." if part.exists() else None,
        ) from error
    done = written[0].metadata
    shape = (len(done.files), *written[0].shape)
    return ExtractResult(output, shape, done.provenance, computed, tuple(done.skipped), left_out, done.notes)


def feature_extractor(config: ExtractConfig) -> FeatureExtractor:
    """Return what computes the features, on this machine or another."""
    return FeatureExtractor(_spec(config), engine=config.engine, precision=config.precision)


def _spec(config: ExtractConfig) -> FeatureSpec:
    if config.model is None:
        return FeatureSpec.from_architecture(
            get_architecture(config.arch or DEFAULT_ARCHITECTURE, config.build),
            weights=config.weights or "imagenet",
            load=config.load,
            layer=config.layer,
            pooling=config.pooling,
            size=config.size,
            resize=config.resize,
            seed=config.seed,
            allow_private=config.allow_private,
        )
    for option, given in (
        ("--arch", config.arch),
        ("--weights", config.weights),
        ("--size", config.size),
        ("--resize", config.resize),
        *((option, True) for option in (*config.load.flags(), *config.build.flags())),
    ):
        if given is not None:
            raise UsageError(f"{option} contradicts --model: a run has its own.", hint=f"Leave {option} out.")
    from tlkit.training.run_folder import read_run
    from tlkit.training.run_network import RunNetwork

    folder = Path(config.model)
    run = RunNetwork(folder, read_run(folder), config.allow_private)
    return run.features(config.layer, config.pooling)


def _metadata_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


def _reusable(
    output: Path, ending: str, extractor: FeatureExtractor, config: ExtractConfig, *, resumed: bool
) -> list[FeatureFile]:
    """Return finished features whose rows are reused; what exists and is something else is refused."""
    rows, metadata = _existing(output, ending, resumed=resumed, force=config.force)
    if config.force or resumed:
        return []
    if metadata:
        refuse_difference(f"{output} exists and", metadata.provenance, extractor.provenance, _HINT)
    return [rows] if rows else []


def _existing(
    output: Path, ending: str, *, resumed: bool, force: bool
) -> tuple[FeatureFile | None, FeatureMetadata | None]:
    """Return the rows, if they can be read back, and the metadata of features that exist; any other file is refused."""
    beside = _metadata_file(output) if ending in (".npy", ".csv") else None
    rows = metadata = None
    with suppress(Exception):  # whatever it is that is no feature file
        if ending == ".npy" and output.exists():
            rows = open_npy(output, _metadata_file(output))
        elif beside is None:
            rows = open_parquet(output) if ending == ".parquet" else open_h5(output)
        metadata = rows.metadata if rows else metadata_from_dict(read_json(_metadata_file(output)), output)
    own = metadata is not None
    if beside and output.exists() and (ending == ".csv" or (resumed and not beside.exists())):
        # the names of a .csv are in another file, and those of a resumed command may not have been written
        own = (own or resumed) and looks_like_features(output)
    for path in (output, *([beside] if beside else [])):
        check_output(path, lambda _: own, force=force)
    return rows, metadata


def _write(output: Path, ending: str, features: FeatureBlocks) -> None:
    skipped, count = features.metadata.skipped, len(features.metadata.files)
    if not count:
        first = f" ({skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise FeatureError(f"No input can be read{first}; nothing is written.")
    if ending in (".h5", ".hdf5"):
        write_h5(output, {"": features})
        return
    if ending == ".parquet":
        write_parquet(output, features)
        return
    _metadata_file(output).unlink(missing_ok=True)  # never new features beside old names
    if ending == ".npy":
        write_npy(output, features)
    else:
        write_csv(output, features)
    write_json(_metadata_file(output), features)
