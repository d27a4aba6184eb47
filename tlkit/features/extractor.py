"""Features of pictures on one engine at one precision: what recipes use to fill stores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.data.modality import Modality
from tlkit.errors import FeatureError, InputError
from tlkit.features.compute_missing import AugmentedVariants, FillResult, fill
from tlkit.features.spec import FeatureSpec
from tlkit.features.store import FeatureStore
from tlkit.inference.base import Engine, run
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import open_engine
from tlkit.utils.atomic_write import atomic_write
from tlkit.utils.logging import logger
from tlkit.utils.text import pluralize

NOTES = "notes.json"
_COMPARED = 8
"""Pictures on which a lower precision is compared with float32."""


class FeatureExtractor:
    """Sources of features with the engines that compute them, opened when a row is missing.

    Several sources must take outputs of one and the same ``keras.Model``: a picture goes through it once, whatever is
    taken from it.

    Args:
        sources: Which features.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(self, *sources: FeatureSpec, engine: str = "auto", precision: str = "float32") -> None:
        self.sources, self.asked, self.precision = sources, engine, precision
        self.notes: dict[str, Any] = {}
        self._engines: dict[tuple[int, ...], Engine] = {}

    @cached_property
    def provenances(self) -> list[dict[str, Any]]:
        """What decides the rows of each source."""
        return [source.provenance(self.asked, self.precision) for source in self.sources]

    @property
    def provenance(self) -> dict[str, Any]:
        """What decides the rows of the first source."""
        return self.provenances[0]

    @property
    def modality(self) -> Modality:
        """What it computes features of."""
        return self.sources[0].network.preprocessor.modality

    def engine(self, *numbers: int) -> Engine:
        """The engine that gives the outputs of sources by number, in that order."""
        if numbers not in self._engines:
            network = self._network(numbers)
            self._engines[numbers] = open_engine(network, engine=self.asked, precision=self.precision)
        return self._engines[numbers]

    def _network(self, numbers: Sequence[int]) -> LazyModel:
        return _joint([self.sources[number].network for number in numbers])

    def close(self) -> None:
        """Free the engines; they are opened again when they are needed."""
        self._engines.clear()

    def fill(
        self,
        files: Sequence[str],
        stores: Sequence[FeatureStore],
        *,
        numbers: Sequence[int] | None = None,
        batch_size: int | None = None,
        description: str,
        known: Sequence[bytes | None] | None = None,
        copies: AugmentedVariants | None = None,
    ) -> FillResult:
        """Have a row in the store of each source for every picture; see :func:`tlkit.features.compute_missing.fill`.

        Args:
            files: Files and addresses.
            stores: One for each source.
            numbers: Which sources; None for all.
            batch_size: Pictures at a time; None for the engine's own number.
            description: What the progress bar says.
            known: The digests of the files where they were computed before.
            copies: Variants to compute of each picture instead of the picture itself.
        """
        chosen = range(len(self.sources)) if numbers is None else numbers

        def opened(lacking: Sequence[int]) -> Engine:
            wanted = [chosen[place] for place in lacking]
            if self.precision != "float32" and not self.notes:
                self._compare(files, wanted, [stores[place].folder for place in lacking])
            return self.engine(*wanted)

        filled = fill(
            files,
            stores,
            opened,
            preprocessor=self.sources[0].network.preprocessor,
            outputs=[self.sources[number].outputs for number in chosen],
            batch_size=batch_size,
            description=description,
            known=known,
            copies=copies,
        )
        if self.precision != "float32" and not self.notes:
            self._compare(files, chosen, [store.folder for store in stores])
        return filled

    def _compare(self, files: Sequence[str], numbers: Sequence[int], folders: Sequence[Path]) -> None:
        """Measure what the lower precision costs, on the first pictures; say it, and keep it with the rows."""
        for folder in folders:
            if (folder / NOTES).is_file():
                self.notes = json.loads((folder / NOTES).read_text("utf-8"))
                return
        self.notes = compare_with_float32(self._network(numbers), self.engine(*numbers), files)
        for folder in folders if self.notes else ():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / NOTES) as part:
                part.write_text(json.dumps(self.notes) + "\n", "utf-8")


def _joint(networks: Sequence[LazyModel]) -> LazyModel:
    """One network with the outputs of all, in order."""
    if len(networks) == 1:
        return networks[0]

    def model() -> Any:
        from tlkit.backend import keras

        models = [network.model() for network in networks]
        return keras.Model(models[0].input, [output for each in models for output in each.outputs])

    identities = [network.cache_key for network in networks]
    cache_key: Mapping[str, Any] | None = None if None in identities else {"together": identities}
    return LazyModel(model, networks[0].preprocessor, cache_key)


def compare_with_float32(network: LazyModel, engine: Engine, sources: Sequence[str]) -> dict[str, Any]:
    """Measure what an engine's lower precision costs on the first pictures that can be read, and say it.

    Returns:
        ``relative_error`` and ``pictures_compared``; nothing where no picture can be read.
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
    error = relative_error(run(engine, batch)[0], run(open_engine(network, engine=engine.name), batch)[0])
    logger.info(
        "%s differs from float32 by %.2g of its size on the first %s.",
        engine.precision,
        error,
        pluralize(len(pixels), network.preprocessor.modality.singular),
    )
    return {"relative_error": error, "pictures_compared": len(pixels)}


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The length of the difference over the length of what was expected."""
    length = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(got.astype(np.float64) - expected)) / length if length else 0.0


def refuse_difference(what: str, holds: Mapping[str, Any], wanted: Mapping[str, Any], hint: str) -> None:
    """Refuse features of another provenance than is wanted, naming what differs.

    Raises:
        FeatureError: They differ.
    """
    from tlkit.features.spec import differences

    told = differences(holds, wanted)
    if told:
        raise FeatureError(f"{what} is of something else: {'; '.join(told)}.", hint=hint)
