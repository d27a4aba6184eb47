"""What training sees: rows of the frozen part that are computed once and kept, or pictures through it as they pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.data.dataset import TRAIN
from tlkit.data.images.augmentation import AugmentedCopies, Augmenter
from tlkit.features.cache import FeatureCache
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.spec import FeatureSpec, of_tensors
from tlkit.inference.base import run
from tlkit.training.dataset_features import Pictures
from tlkit.training.datasets import ImageSequence
from tlkit.training.feature_sequence import FeatureSequence
from tlkit.training.freeze import FreezePoint
from tlkit.training.frontier import Frontier, find_frontier
from tlkit.training.plan import Job
from tlkit.training.rows import FeatureDataset, memory_for_rows
from tlkit.training.trainer import set_trainable
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes, pluralize


@dataclass(frozen=True)
class Cut:
    """The base and its pooling, cut where a stage of phase 2 starts to train.

    Attributes:
        freeze_point: What was asked for.
        frontier: The tensors that go up from there.
        source: Them as features.
    """

    freeze_point: FreezePoint
    frontier: Frontier
    source: FeatureSpec


def cut_base(job: Job, base: Any, network: Any, features: FeatureSpec) -> list[Cut]:
    """Cut the base for every stage of phase 2.

    Args:
        job: What to do.
        base: The base.
        network: The base and its pooling.
        features: The output of the network as features.
    """
    cuts: list[Cut] = []
    for freeze_point in job.freeze_points if job.config.finetune_epochs else ():
        trained = set_trainable(base, freeze_point, batchnorm=job.config.batchnorm)
        frontier = find_frontier(network, trained)
        same = [cut.source for cut in cuts if cut.frontier.names == frontier.names]
        if frontier.tensors[0] is network.outputs[0]:  # nothing of the base trains
            same = [features]
        model = _outputs(network, frontier)
        cuts.append(Cut(freeze_point, frontier, same[0] if same else of_tensors(features, frontier.names, model)))
    return cuts


def _outputs(network: Any, frontier: Frontier) -> Callable[[], Any]:
    return lambda: keras.Model(network.input, list(frontier.tensors))


class TrainingData:
    """Batches for ``fit`` of what a source says of the pictures of a split.

    Args:
        job: What to do.
        pictures: The splits.
        features: What phase 1 learns from.
        shape: Of one picture's features.
        cuts: What the stages of phase 2 learn from.
    """

    def __init__(
        self, job: Job, pictures: Pictures, features: FeatureSpec, shape: Sequence[int], cuts: Sequence[Cut]
    ) -> None:
        self._config, self._preprocessor, self._pictures = job.config, job.preprocessor, pictures
        config = job.config
        sources = list({id(source): source for source in (features, *(cut.source for cut in cuts))}.values())
        self._extractor = FeatureExtractor(*sources, engine=config.engine, precision=config.precision)
        self._inputs = [cut.source for cut in cuts if cut.frontier.is_input]
        self._copies = (
            AugmentedCopies(config.augment, config.augment_copies, config.seed) if config.augment_copies else None
        )
        self._kept = self._what_is_kept(job.room, features, shape, cuts)
        self._rows: dict[tuple[str, int], FeatureDataset] = {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What decides the features of phase 1."""
        return self._extractor.provenance

    def _what_is_kept(
        self, room: int, features: FeatureSpec, shape: Sequence[int], cuts: Sequence[Cut]
    ) -> list[FeatureSpec]:
        """The sources whose rows are computed once, because there is room for them; said where there is none."""
        config = self._config
        sizes = [(features, 4 * math.prod(shape), "the base")]
        sizes += [(cut.source, cut.frontier.bytes, f"the base through {cut.freeze_point.last}") for cut in cuts]
        if not config.epochs and cuts and all(cut.source is not features for cut in cuts):
            sizes = sizes[1:]  # nothing learns from the features
        kept: list[FeatureSpec] = []
        for source, size, name in sizes:
            if source in kept or (source is features and config.features is not None):
                continue
            if source in self._inputs:
                logger.info(
                    "Nothing with weights is frozen: %s go through all of the base in every epoch.",
                    self._preprocessor.modality.plural,
                )
                continue
            rows = sum(
                len(split.files) * self._variants(split_name) for split_name, split in self._pictures.splits.items()
            )
            if rows * size <= room:
                room -= rows * size
                kept.append(source)
            else:
                logger.info(
                    "What %s says of %s takes %s, more than the %s there is room for (--cache-limit): it runs in every "
                    "epoch.", name, pluralize(rows, self._preprocessor.modality.singular), format_bytes(rows * size),
                    format_bytes(room),
                )  # fmt: skip
        return kept

    def _variants(self, split: str) -> int:
        """How many rows a picture of a split has."""
        if split != TRAIN or self._config.augment == "none":
            return 1
        return self._copies.count if self._copies else 0

    def compute(self, kept: FeatureCache) -> None:
        """Have the rows that are kept; what cannot be read leaves the pictures."""
        config, extractor = self._config, self._extractor
        numbers = [number for number, source in enumerate(extractor.sources) if source in self._kept]
        splits = list(self._pictures.splits)
        for split in [split for split in splits if not numbers or not self._variants(split)]:
            self._pictures.drop_unreadable(split)
        splits = [split for split in splits if self._variants(split)]
        if config.features is not None:
            for split, rows in self._pictures.given_rows(config.features, extractor, splits).items():
                self._rows[split, 0] = rows
        if numbers:
            for split, found in self._pictures.rows(extractor, numbers, kept, splits, copies=self._copies).items():
                self._rows.update({(split, number): rows for number, rows in zip(numbers, found, strict=True)})
        extractor.close()

    def batches(self, split: str, source: FeatureSpec, *, seed: int | None = None) -> Any:
        """Batches of a split.

        Args:
            split: Which.
            source: What of its pictures.
            seed: Numbers the phase, whose order and augmentation are drawn; None to keep the order.
        """
        config, files = self._config, self._pictures.splits[split]
        drawn = None if seed is None else 1000 * config.seed + seed
        number = self._extractor.sources.index(source)
        rows = self._rows.get((split, number))
        if rows is not None:
            return FeatureSequence(rows, batch_size=config.batch_size, seed=drawn, memory=memory_for_rows())
        engine = None if source in self._inputs else self._extractor.engine(number)
        return ImageSequence(
            files.files,
            files.labels,
            preprocessor=self._preprocessor,
            batch_size=config.batch_size,
            compute=None if engine is None else lambda pixels: run(engine, pixels),
            change=self._change(drawn or 0) if split == TRAIN and config.augment != "none" else None,
            variants=self._copies.count if split == TRAIN and self._copies else 1,
            seed=drawn,
        )

    def _change(self, seed: int) -> Callable[[np.ndarray, int, int, int], np.ndarray]:
        """What becomes of a training picture: as kept copies would be, or otherwise in each epoch."""
        copies, digests = self._copies, self._pictures.known(TRAIN)
        if copies is not None:
            return lambda pixels, row, variant, epoch: copies.make(pixels, digests[row] or b"", variant)
        augment = Augmenter(self._config.augment)
        return lambda pixels, row, variant, epoch: augment(pixels, (seed, epoch, row))
