"""Features of groups of files, computed into a store that survives an interruption and written from there.

The loop that ``tlkit extract`` (one group) and ``tlkit bottleneck`` (one group per split) share.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.features.extractor import FeatureExtractor
from tlkit.features.io import FeatureBlocks, FeatureFile, FeatureMetadata, copy_rows
from tlkit.features.store import INDEX, open_store
from tlkit.utils.interrupt import resumable_by_repeating
from tlkit.utils.logging import warn_skipped
from tlkit.utils.text import without_password


@dataclass(frozen=True)
class FileGroup:
    """Files whose features are stored together.

    Attributes:
        files: Paths and URLs.
        names: What each is called in the feature file.
        digests: SHA-256 of each; None where it is not known.
        labels: ``(files,)`` int64; None where there are no classes.
        classes: Class names; the position is the label.
    """

    files: Sequence[str]
    names: Sequence[str]
    digests: Sequence[bytes | None]
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()


@contextmanager
def _removed_if_empty(part: Path) -> Iterator[None]:
    """Remove the folder of a store, when the block fails, if it has no features to resume from."""
    try:
        yield
    except BaseException:
        index = part / INDEX
        if not index.is_file() or not index.stat().st_size:
            shutil.rmtree(part, ignore_errors=True)
        raise


def export_features(
    part: Path,
    extractor: FeatureExtractor,
    groups: Mapping[str, FileGroup],
    write: Callable[[Mapping[str, FeatureBlocks]], None],
    *,
    existing: Iterable[FeatureFile] = (),
    batch_size: int | None = None,
) -> int:
    """Compute the features of groups of files and write them.

    Args:
        part: Folder of the store; it stays when the work is interrupted, and the next call resumes from it.
        extractor: Computes the features.
        groups: The files, by group.
        write: Write the features of all groups.
        existing: Finished feature files of the same provenance, whose rows are reused.
        batch_size: Images per batch; None for the engine's own number.

    Returns:
        Number of rows computed now.
    """
    computed = skipped = 0
    with open_store(part, extractor.provenance) as store, resumable_by_repeating(), _removed_if_empty(part):
        needed = {digest for group in groups.values() for digest in group.digests if digest is not None}
        for rows in existing:
            copy_rows(store, rows, needed)
        features = {}
        for name, group in groups.items():
            result = extractor.compute_missing(
                group.files, [store], digests=group.digests, batch_size=batch_size,
                description=f"features of {name}" if name else "features",
            )  # fmt: skip
            failed = [(group.names[position], reason) for position, reason in result.failed]
            warn_skipped(
                [(without_password(group.files[position]), reason) for position, reason in result.failed],
                before=skipped,
            )
            skipped += len(failed)
            rows_of_group = result.rows[0][:, 0]
            metadata = FeatureMetadata(
                extractor.provenance,
                [group.names[position] for position in result.positions],
                result.digests,
                store.checks(rows_of_group) if len(rows_of_group) else np.empty(0, np.uint32),
                None if group.labels is None else group.labels[result.positions],
                group.classes,
                failed,
                extractor.notes,
            )
            shape = store.shapes[0] if store.shapes else ()
            features[name] = FeatureBlocks(store.blocks(rows_of_group), shape, metadata)
            computed += result.computed
        write(features)
    shutil.rmtree(part, ignore_errors=True)
    return computed
