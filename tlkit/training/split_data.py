"""The splits of a data folder during training: images that cannot be read leave them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tlkit.data.batches import read_batches
from tlkit.data.dataset import Dataset, Split
from tlkit.data.digests import Digest
from tlkit.data.labelled_files import relative_name
from tlkit.data.layout import TRAIN
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import DataError
from tlkit.utils.logging import logger, warn_skipped
from tlkit.utils.text import join_truncated


class SplitData:
    """The splits of a data folder; what cannot be read is dropped by name.

    Args:
        dataset: The data folder.
        preprocessor: How a file becomes an input.
        batch_size: Files per batch.
        trains: Something trains on them: every class needs an image.
    """

    def __init__(self, dataset: Dataset, preprocessor: Preprocessor, batch_size: int, *, trains: bool = True) -> None:
        self.classes = dataset.classes
        self.splits = dict(dataset.splits)
        self.preprocessor = preprocessor
        self.skipped = list(dataset.skipped)
        self.warnings: list[str] = []
        self._batch_size, self._trains = batch_size, trains
        self._digests: dict[str, Sequence[Digest]] = dict(dataset.digests)

    def digests(self, split: str) -> Sequence[Digest]:
        """Return the SHA-256 of the images of a split; None for what cannot be read."""
        return self._digests[split]

    def fingerprint(self) -> str:
        """Return a digest of the images, their order, their classes and their splits."""
        digest = hashlib.sha256()
        for name in sorted(self.splits):
            digest.update(f"{name} {list(self.classes)}\n".encode())
            for image, label in zip(self.digests(name), self.splits[name].labels.astype(">i4"), strict=True):
                digest.update(label.tobytes() + (image or b"-"))
        return digest.hexdigest()

    def unreadable(self, files: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Decode files and yield ``(position, reason)`` of those that cannot be read."""
        for batch in read_batches(files, self.preprocessor, self._batch_size):
            yield from batch.failed

    def drop_unreadable(self, split: str) -> None:
        """Decode a split only to find what cannot be read; hours of training must not end there."""
        self.drop(split, list(self.unreadable(self.splits[split].files)))

    def drop(self, split: str, failed: Sequence[tuple[int, str]], digests: Sequence[bytes] | None = None) -> None:
        """Drop images from a split.

        Args:
            split: Name of the split, such as ``train``.
            failed: ``(position, reason)`` of each.
            digests: SHA-256 of the others, where they were computed from the bytes that were decoded.

        Raises:
            DataError: No training image of a class to train on, or no image of the split, is left.
        """
        before = self.splits[split]
        skipped = [(before.files[position], reason) for position, reason in failed]
        warn_skipped(skipped, before=len(self.skipped))
        self.skipped += skipped
        bad = {position for position, _ in failed}
        good = [position for position in range(len(before.files)) if position not in bad]
        after = Split(tuple(before.files[position] for position in good), before.labels[good])
        counts = (split.counts(len(self.classes)) for split in (before, after))
        lost = [name for name, had, has in zip(self.classes, *counts, strict=True) if had and not has]
        modality = self.preprocessor.modality
        if lost and ((split == TRAIN and self._trains) or not good):
            raise DataError(
                f"No {modality.singular} of {join_truncated(lost)} in {split} can be read.",
                hint=f"Replace the {modality.plural} named above, or remove the class folder.",
            )
        if lost:
            so = "nothing of it can be learned" if split == TRAIN else "its accuracy cannot be measured"
            self.warnings.append(f"No {modality.singular} of {join_truncated(lost)} in {split} can be read: {so}.")
            logger.warning(self.warnings[-1])
        if digests is not None:
            self._digests[split] = list(digests)
        else:
            self._digests[split] = [self._digests[split][position] for position in good]
        self.splits[split] = after

    def digests_by_file(self, root: str) -> dict[str, dict[str, str]]:
        """Return the SHA-256 of the images of each split, in hexadecimal, by their paths below the data folder."""
        return {
            name: {
                relative_name(file, root): digest.hex()
                for file, digest in zip(split.files, self._digests[name], strict=True)
                if digest is not None
            }
            for name, split in self.splits.items()
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the images of each class in each split."""
        return {
            name: dict(zip(self.classes, split.counts(len(self.classes)), strict=True))
            for name, split in self.splits.items()
        }
