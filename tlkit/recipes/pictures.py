"""The pictures of a data set as a base sees them: their features, and those that cannot be read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.caches import LOCK, cache_folder, cache_limit, keep_below_limit, touch
from tlkit.engines.engine import open_engine
from tlkit.engines.network import Network, digest_of
from tlkit.errors import DataError, FeatureError
from tlkit.features.compute import Computing, refuse_difference
from tlkit.features.fill import file_digests
from tlkit.features.formats import FeatureRows
from tlkit.features.forward import forward
from tlkit.features.sets import FORMATS, existing_sets
from tlkit.features.store import open_store
from tlkit.images.batches import Look, read_batches
from tlkit.images.dataset import TRAIN, Dataset, Split
from tlkit.locks import locked
from tlkit.progress import logger
from tlkit.text import counted, listed, printable
from tlkit.training.rows import Rows


class Pictures:
    """The splits of a data set; pictures that cannot be read leave them.

    Args:
        dataset: What was found.
        look: How a picture becomes an input.
        batch_size: Pictures at a time.
    """

    def __init__(self, dataset: Dataset, look: Look, batch_size: int) -> None:
        self.classes = dataset.classes
        self.splits = dict(dataset.splits)
        self.look = look
        self.batch_size = batch_size
        self.skipped: list[tuple[str, str]] = []
        self.warnings: list[str] = []

    @contextmanager
    def features(
        self, computing: Computing, splits: Sequence[str], *, given: str | None, fallback: Path
    ) -> Iterator[list[Rows]]:
        """Features and labels of splits, as long as the block lasts.

        Args:
            computing: What computes them.
            splits: Which.
            given: A folder that has them; None for tlkit's cache.
            fallback: A folder to keep them in meanwhile, where the cache cannot be written to.

        Raises:
            FeatureError: The folder has features of something else, or not of every picture.
        """
        if given is not None:
            yield [self._from_sets(given, computing, split) for split in splits]
            return
        cache_limit()  # a limit that is none must not be found out after hours of training
        folder = cache_folder() / "features" / digest_of(computing.provenance)
        with ExitStack() as until_done:
            until_done.callback(keep_below_limit)
            try:
                rows = self._kept_in(folder, computing, splits, until_done)
            except (FeatureError, OSError) as error:
                logger.warning(
                    "tlkit's cache does not take the features (%s); they are kept in the run's folder for now.",
                    printable(getattr(error, "message", None) or error).rstrip("."),
                )
                until_done.callback(shutil.rmtree, fallback / ".features", ignore_errors=True)
                rows = self._kept_in(fallback / ".features", computing, splits, until_done)
            yield rows

    def _kept_in(self, folder: Path, computing: Computing, splits: Sequence[str], until_done: ExitStack) -> list[Rows]:
        """Features of splits from a store in ``folder``, which is open until ``until_done``."""
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / LOCK):  # while rows are added; later others may add theirs
            store = until_done.enter_context(open_store(folder, computing.provenance))
            found = []
            for split in splits:
                filled = computing.fill(self.splits[split].files, store, description=f"features of {split}")
                self._leave_out(split, filled.failed)
                found.append((filled, self.splits[split].labels))
        touch(folder)
        assert store.shapes is not None
        shape = store.shapes[0]
        return [Rows(store.read, filled.rows, labels, shape) for filled, labels in found]

    def _from_sets(self, folder: str, computing: Computing, split: str) -> Rows:
        found = [existing_sets(Path(folder), kind) for kind in FORMATS] if Path(folder).is_dir() else []
        found = [sets for sets in found if sets]
        for number, sets in enumerate(found, start=1):
            try:
                return self._from_set(folder, sets, computing, split)
            except FeatureError:
                if number == len(found):  # a folder may hold both formats, and one of them be old
                    raise
        raise FeatureError(
            f"There are no finished features in {printable(folder)}.",
            hint=f"`tlkit bottleneck DATA -o {printable(folder)}` computes them.",
        )

    def _from_set(self, folder: str, sets: Mapping[str, FeatureRows], computing: Computing, split: str) -> Rows:
        hint = "Give the options they were computed with, or leave --features out."
        wanted = computing.provenance
        place = {}
        for name, rows in sets.items():
            has = rows.facts.provenance
            if computing.any_engine:
                wanted = {**wanted, "engine": has.get("engine")}
            refuse_difference(f"What {printable(folder)} holds", has, wanted, hint)
            place.update({digest: (name, row) for row, digest in enumerate(rows.facts.digests)})
        files = self.splits[split].files
        digests = file_digests(files)
        lost = [file for file, digest in zip(files, digests, strict=True) if digest is not None and digest not in place]
        unreadable = self._unreadable([files.index(file) for file in lost], split)
        changed = [file for file in lost if file not in unreadable]
        if changed:
            raise FeatureError(
                f"{printable(folder)} has no features of {counted(len(changed), 'picture')} of {split}, which are new "
                f"or changed: {listed(changed)}.",
                hint=f"`tlkit bottleneck DATA -o {printable(folder)}` with the same options computes what is missing.",
            )
        bad = [
            (position, unreadable.get(file, "it cannot be read"))
            for position, (file, digest) in enumerate(zip(files, digests, strict=True))
            if digest is None or file in unreadable
        ]
        self._leave_out(split, bad)
        kept = [place[digest] for digest in digests if digest in place]
        shape = next(iter(sets.values())).shape
        starts = {name: sum(len(other.facts.files) for other in list(sets.values())[:number])
                  for number, name in enumerate(sets)}  # fmt: skip
        numbers = np.array([starts[name] + row for name, row in kept], np.int64)

        def read(rows: np.ndarray) -> np.ndarray:
            found = np.empty((len(rows), *shape), np.float32)
            for name, one in sets.items():
                own = (rows >= starts[name]) & (rows < starts[name] + len(one.facts.files))
                if own.any():
                    found[own] = one.read(rows[own] - starts[name])
            return found

        return Rows(read, numbers, self.splits[split].labels, shape)

    def _unreadable(self, positions: Sequence[int], split: str) -> dict[str, str]:
        """Of some pictures, those that cannot be read, with the reason."""
        files = [self.splits[split].files[position] for position in positions]
        failed: dict[str, str] = {}
        for batch in read_batches(files, self.look, self.batch_size):
            failed.update({files[position]: reason for position, reason in batch.failed})
        return failed

    def accuracy(self, model: Any, split: str) -> float:
        """The share of a split that a model names right, 0 to 1."""
        engine = open_engine(Network(lambda: model, self.look), engine="keras")
        right = 0
        labels = self.splits[split].labels
        for batch in forward(
            self.splits[split].files, engine, look=self.look, batch_size=self.batch_size, description=split
        ):
            if batch.failed:
                file = self.splits[split].files[batch.failed[0][0]]
                raise DataError(f"{printable(file)} could be read before and cannot be now: {batch.failed[0][1]}.")
            right += int((batch.outputs[0].argmax(axis=1) == labels[list(batch.positions)]).sum())
        return right / len(labels)

    def leave_out_unreadable(self, split: str) -> None:
        """Read a split, where there is one, only to find what cannot be read; hours of training must not end there."""
        if split in self.splits:
            failed: list[tuple[int, str]] = []
            for batch in read_batches(self.splits[split].files, self.look, self.batch_size):
                failed += batch.failed
            self._leave_out(split, failed)

    def _leave_out(self, split: str, failed: Sequence[tuple[int, str]]) -> None:
        before = self.splits[split]
        for position, reason in failed:
            logger.warning("%s is skipped: %s.", printable(before.files[position]), reason)
            self.skipped.append((before.files[position], reason))
        bad = {position for position, _ in failed}
        kept = [position for position in range(len(before.files)) if position not in bad]
        labels = before.labels[kept]
        lost = [self.classes[label] for label in sorted(set(before.labels.tolist()) - set(labels.tolist()))]
        if lost and (split == TRAIN or not kept):
            raise DataError(
                f"No picture of {listed(lost)} in {split} can be read.",
                hint="Replace the pictures named above, or remove the class folder.",
            )
        if lost:
            self.warnings.append(f"No picture of {listed(lost)} in {split} can be read: nothing says how well it does.")
            logger.warning(self.warnings[-1])
        self.splits[split] = Split(tuple(before.files[position] for position in kept), labels)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many pictures each class has in each split."""
        return {
            name: dict(zip(self.classes, np.bincount(split.labels, minlength=len(self.classes)).tolist(), strict=True))
            for name, split in self.splits.items()
        }
