"""What one layer of a network says of pictures, as a file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.config import DEFAULT_ARCHITECTURE, ExtractConfig
from tlkit.data.discovery import expand_inputs
from tlkit.errors import FeatureError, UsageError
from tlkit.features.compute_missing import FillResult, file_digests
from tlkit.features.extractor import FeatureExtractor, refuse_difference
from tlkit.features.io import (
    ENDINGS,
    FeatureFile,
    FeatureMetadata,
    facts_from_json,
    open_h5,
    open_npy,
    read_json,
    take_over,
    write_csv,
    write_h5,
    write_json,
    write_npy,
)
from tlkit.features.spec import FeatureSpec, of_architecture, of_model
from tlkit.features.store import FeatureStore, can_resume, open_store
from tlkit.utils.hashing import file_digest
from tlkit.utils.locks import locked
from tlkit.utils.text import join_truncated, without_password


@dataclass(frozen=True)
class Extracted:
    """What was written.

    Attributes:
        output: The file.
        shape: Of the features, rows first.
        provenance: What decides the numbers.
        notes: Measured errors of a lower precision.
        failed: ``(input, reason)`` of pictures without a row.
        computed: Rows that were computed now; the others were there.
    """

    output: Path
    shape: tuple[int, ...]
    provenance: dict[str, Any]
    notes: dict[str, Any]
    failed: tuple[tuple[str, str], ...]
    computed: int

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit extract --format json`` prints."""
        return {
            "output": str(self.output),
            "shape": list(self.shape),
            "provenance": self.provenance,
            "computed": self.computed,
            "failed": [{"input": source, "error": reason} for source, reason in self.failed],
            "notes": self.notes,
        }


def extract(config: ExtractConfig) -> Extracted:
    """Compute features and write them as one file; interrupted, the same call goes on where it was.

    Raises:
        TlkitError: Options that contradict each other, weights that cannot be had, a file that is in the way or cannot
            be written, no picture that can be read.
    """
    output = Path(config.output)
    ending = next((ending for ending in ENDINGS if output.name.lower().endswith(ending)), None)
    if ending is None:
        raise UsageError(
            f"{output} must end with {join_truncated(ENDINGS)}.",
            hint="The ending says the format.",
        )
    if not output.parent.is_dir():
        raise FeatureError(f"There is no folder {output.parent} to write to.")
    extractor = FeatureExtractor(_source(config), engine=config.engine, precision=config.precision)
    sources = expand_inputs(config.images, extractor.modality)
    part = output.with_name(f"{output.name}.part")
    try:
        with locked(output.with_name(f".{output.name}.lock"), remove=True):
            found = None
            beside = ending in (".npy", ".csv") and _beside(output).exists()
            if (output.exists() or beside) and not config.force and not can_resume(part, extractor.provenance):
                found = _found(output, ending, extractor.provenance)
            digests = file_digests(sources, extractor.modality)
            with open_store(part, extractor.provenance) as store:
                if found is not None:
                    take_over(store, found, {digest for digest in digests if digest is not None})
                filled = extractor.fill(
                    sources, [store], batch_size=config.batch_size, description="extract", known=digests
                )
                names = [without_password(source) for source in sources]
                result = _write(output, ending, names, store, filled, extractor)
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise FeatureError(
            f"Cannot write {output}: {error.strerror or str(error)}.",
            hint="Run the same command again when that is mended; it goes on where it was." if part.exists() else None,
        ) from error
    return result


def _source(config: ExtractConfig) -> FeatureSpec:
    if config.model is None:
        return of_architecture(
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
            raise UsageError(f"{option} contradicts --model: a run brings its own.", hint=f"Leave {option} out.")
    from tlkit.training.run_folder import MODEL, load_model, read_run

    folder = Path(config.model)
    record = read_run(folder)
    preprocessor = record.preprocessor(allow_private=config.allow_private)
    return of_model(
        load_model(folder, record), preprocessor, name=record.architecture, digest=file_digest(folder / MODEL),
        layer=config.layer, pooling=config.pooling,
    )  # fmt: skip


def _beside(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


def _found(output: Path, ending: str, provenance: dict[str, Any]) -> FeatureFile | None:
    """The features in a file that is there; it is written over only when they are of the same kind."""
    hint = "Name another file, or say --force to write over it."
    rows = None
    try:
        if ending in (".h5", ".hdf5"):
            rows = open_h5(output)
        elif ending == ".npy" and output.exists():
            rows = open_npy(output, _beside(output))
        facts = rows.facts if rows else facts_from_json(read_json(_beside(output)), _beside(output))
    except Exception as error:
        there = output if output.exists() else _beside(output)
        raise UsageError(f"{there} exists and is not features by tlkit.", hint=hint) from error
    refuse_difference(f"{output} exists and", facts.provenance, provenance, hint)
    return rows


def _write(
    output: Path, ending: str, sources: list[str], store: FeatureStore, filled: FillResult, extractor: FeatureExtractor
) -> Extracted:
    failed = tuple((sources[position], reason) for position, reason in filled.failed)
    rows = filled.rows[0][:, 0]
    if store.shapes is None or not len(rows):
        first = f" ({failed[0][0]}: {failed[0][1]})" if failed else ""
        raise FeatureError(f"None of the {len(sources):,} inputs can be read{first}; nothing is written.")
    shape = store.shapes[0]
    facts = FeatureMetadata(
        extractor.provenance,
        [sources[position] for position in filled.positions],
        filled.digests,
        store.checks(rows),
        failed=failed,
        notes=extractor.notes,
    )
    blocks = store.blocks(rows)
    if ending in (".h5", ".hdf5"):
        write_h5(output, [("", blocks, shape, facts)])
    else:
        _beside(output).unlink(missing_ok=True)  # never new features beside old names
        if ending == ".npy":
            write_npy(output, blocks, len(facts.files), shape)
        else:
            write_csv(output, blocks, facts)
        write_json(_beside(output), facts, shape)
    return Extracted(output, (len(rows), *shape), extractor.provenance, extractor.notes, failed, filled.computed)
