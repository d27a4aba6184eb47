"""Compute the features that stores lack, on one engine at one precision."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.data.digests import Digest, file_digests
from tlkit.data.modality import Modality
from tlkit.errors import FeatureError, InputError
from tlkit.features.compute_missing import (
    AugmentedVariants,
    FillResult,
    augment_batch,
    in_all,
    locate_rows,
    missing_rows,
    row_key,
)
from tlkit.features.spec import FeatureSpec
from tlkit.features.store import FeatureStore
from tlkit.inference.base import Engine, run
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.loop import ForwardBatch, forward
from tlkit.inference.provenance import Provenance
from tlkit.inference.select import engine_for, open_engine
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

NOTES = "notes.json"

Elsewhere = Callable[[Sequence[str], Sequence[Digest], str], Iterator[ForwardBatch]]
"""Computes in other processes: of files, their SHA-256 as far as it is known, and what the progress bar names, the
batches that :func:`tlkit.inference.loop.forward` would yield, with digests."""
_COMPARED = 8
"""Images on which a lower precision is compared with float32."""


class FeatureExtractor:
    """Feature specs with the engines that compute them, opened when a row is missing.

    Several specs must take outputs of one and the same ``keras.Model``: an image goes through it once, whatever is
    taken from it.

    Args:
        specs: Which features.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.

    Attributes:
        elsewhere: Computes what is missing instead of an engine here; None for the engine.
    """

    elsewhere: Elsewhere | None = None

    def __init__(self, *specs: FeatureSpec, engine: str = "auto", precision: str = "float32") -> None:
        self.specs, self.engine_name, self.precision = specs, engine, precision
        self.notes: dict[str, Any] = {}
        self._engines: dict[tuple[int, ...], Engine] = {}

    @cached_property
    def _resolved_engine(self) -> str:
        """The engine that runs all specs, which is one: provenance is known before anything is computed."""
        return engine_for(self._network(range(len(self.specs))), self.engine_name)

    @cached_property
    def provenances(self) -> list[Provenance]:
        """What decides the features of each spec."""
        return [spec.provenance_with(self._resolved_engine, self.precision) for spec in self.specs]

    @property
    def provenance(self) -> Provenance:
        """What decides the features of the first spec."""
        return self.provenances[0]

    @property
    def modality(self) -> Modality:
        """What it computes features of."""
        return self.specs[0].network.preprocessor.modality

    def engine(self, *numbers: int) -> Engine:
        """Return the engine that computes the specs of these numbers, in that order."""
        if numbers not in self._engines:
            network = self._network(numbers)
            self._engines[numbers] = open_engine(network, engine=self._resolved_engine, precision=self.precision)
        return self._engines[numbers]

    def _network(self, numbers: Sequence[int]) -> LazyModel:
        return LazyModel.joined([self.specs[number].network for number in numbers])

    def close(self) -> None:
        """Free the engines; they are opened again when they are needed."""
        self._engines.clear()

    def compute_missing(
        self,
        files: Sequence[str],
        stores: Sequence[FeatureStore],
        *,
        numbers: Sequence[int] | None = None,
        batch_size: int | None = None,
        description: str,
        digests: Sequence[bytes | None] | None = None,
        variants: AugmentedVariants | None = None,
    ) -> FillResult:
        """Compute the rows that the stores lack, so that every image that can be read has one in each.

        Args:
            files: Files and URLs.
            stores: One for each spec; this process may append to them.
            numbers: Which specs; None for all.
            batch_size: Images per batch; None for the engine's own number.
            description: What the progress bar names.
            digests: SHA-256 of the files, where they were computed before.
            variants: Augmented versions to compute of each image instead of the image itself.

        Raises:
            FeatureError: A store cannot be written to.
        """
        chosen = list(range(len(self.specs)) if numbers is None else numbers)
        count = variants.count if variants else 1
        of_files = file_digests(files, self.modality) if digests is None else digests
        of_rows = [digest for digest in of_files for _ in range(count)]
        keys = [row_key(digest, variants, place % count) for place, digest in enumerate(of_rows)]
        missing = missing_rows(keys, stores)
        failed: dict[int, str] = {}
        if missing:
            present = sum(in_all(stores, key) for key in keys)
            if present:
                logger.info("%s: %s of %s are cached.", description, f"{present:,}", f"{len(keys):,}")
            lacking = [
                number
                for number, store in enumerate(stores)
                if any((key := keys[place]) is None or key not in store.rows for place in missing)
            ]
            sources = [files[place // count] for place in missing]
            if self.elsewhere is not None:
                batches = self.elsewhere(sources, [of_rows[place] for place in missing], description)
            else:
                batches = forward(
                    sources,
                    lambda: self._open(files, [chosen[each] for each in lacking], [stores[each] for each in lacking]),
                    preprocessor=self.specs[0].network.preprocessor,
                    batch_size=batch_size,
                    description=description,
                    digests=True,
                    transform=None if variants is None else lambda batch: augment_batch(batch, variants, missing),
                )
            for batch in batches:
                places = [missing[position] for position in batch.positions]
                for place, digest in zip(places, batch.digests, strict=True):
                    of_rows[place] = digest  # of the very bytes that were decoded
                    keys[place] = row_key(digest, variants, place % count)
                if places:
                    first = 0
                    for number in lacking:
                        outputs = batch.outputs[first : first + self.specs[chosen[number]].outputs]
                        stores[number].append([keys[place] or b"" for place in places], outputs)
                        first += len(outputs)
                failed.update({missing[position]: reason for position, reason in batch.failed})
            for store in stores:
                store.sync()
        result = locate_rows(of_rows, keys, failed, stores, variants=count, computed=len(missing) - len(failed))
        if self.precision != "float32" and not self.notes:
            self._compare(files, chosen, [store.folder for store in stores])
        return result

    def _open(self, files: Sequence[str], numbers: Sequence[int], stores: Sequence[FeatureStore]) -> Engine:
        if self.precision != "float32" and not self.notes:
            self._compare(files, numbers, [store.folder for store in stores])
        return self.engine(*numbers)

    def _compare(self, files: Sequence[str], numbers: Sequence[int], folders: Sequence[Path]) -> None:
        """Measure the error of the lower precision on the first images, report it, and store it with the rows."""
        for folder in folders:
            if (folder / NOTES).is_file():
                self.notes = json.loads((folder / NOTES).read_text("utf-8"))
                return
        self.notes = compare_with_float32(self._network(numbers), self.engine(*numbers), files)
        for folder in folders if self.notes else ():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / NOTES) as part:
                part.write_text(json.dumps(self.notes) + "\n", "utf-8")


def compare_with_float32(network: LazyModel, engine: Engine, sources: Sequence[str]) -> dict[str, Any]:
    """Measure the error of an engine's lower precision on the first images that can be read, and report it.

    Returns:
        ``relative_error`` and ``images_compared``; empty where no image can be read.
    """
    pixels: list[np.ndarray] = []
    for source in sources:
        if len(pixels) == _COMPARED:
            break
        with suppress(InputError):
            pixels.append(network.preprocessor.to_array(network.preprocessor.load(source)))
    if not pixels:
        return {}
    batch = np.stack(pixels)
    outputs = zip(run(engine, batch), run(open_engine(network, engine=engine.name), batch), strict=True)
    error = max(relative_error(low, full) for low, full in outputs)
    logger.info(
        "%s vs float32: relative L2 error %.2g on the first %s.",
        engine.precision, error, pluralize(len(pixels), network.preprocessor.modality.singular),
    )  # fmt: skip
    return {"relative_error": error, "images_compared": len(pixels)}


def relative_error(computed: np.ndarray, expected: np.ndarray) -> float:
    """Return the L2 norm of the difference over the L2 norm of the expected values."""
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(computed.astype(np.float64) - expected)) / norm if norm else 0.0


def refuse_difference(what: str, has: Provenance, expected: Provenance, hint: str) -> None:
    """Refuse features of another provenance than expected, naming what differs.

    Raises:
        FeatureError: They differ.
    """
    differences = has.diff(expected)
    if differences:
        raise FeatureError(f"{what} was computed differently: {'; '.join(differences)}.", hint=hint)
