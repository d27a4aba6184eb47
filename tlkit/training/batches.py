"""The batches of every phase: from features that are cached, or from images through the frozen part in every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tlkit.data.images.mixing import Mixer
from tlkit.data.layout import TRAIN
from tlkit.distributed.lanes import Share
from tlkit.distributed.processes import gather
from tlkit.errors import FeatureError
from tlkit.features.cache import FeatureCache
from tlkit.features.compute_missing import FillResult
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.spec import FeatureSpec
from tlkit.features.store import FeatureStore
from tlkit.inference.base import run
from tlkit.inference.provenance import Provenance
from tlkit.training.base import Base, Stage
from tlkit.training.datasets import FeatureDataset, ImageDataset, LabelledData
from tlkit.training.objective import Objective
from tlkit.training.plan import TrainingPlan
from tlkit.training.precomputed import open_precomputed
from tlkit.training.split_data import SplitData
from tlkit.utils.logging import logger
from tlkit.utils.text import format_bytes, pluralize

if TYPE_CHECKING:
    from tlkit.data.images.augmentation import AugmentedCopies, Augmenter
    from tlkit.training.batch_sequence import BatchSequence


class TrainingBatches:
    """Batches of the features that each phase trains on.

    Args:
        plan: What was decided.
        images: The splits.
        base: The base, whose pooled output phase 1 learns from.
        stages: The stages of phase 2.
        along: Features that are computed and cached with the others, though no phase trains on them.
        share: What part of the images is this process's.
    """

    def __init__(
        self,
        plan: TrainingPlan,
        images: SplitData,
        base: Base,
        stages: Sequence[Stage],
        along: Sequence[FeatureSpec] = (),
        share: Share | None = None,
    ) -> None:
        config = self._config = plan.config
        self._images, self._share = images, share or Share()
        specs = {id(spec): spec for spec in (base.spec, *(stage.spec for stage in stages), *along)}
        self._extractor = FeatureExtractor(*specs.values(), engine=config.engine, precision=config.precision)
        self._whole_base = [stage.spec for stage in stages if stage.frontier.is_input]
        self._augmenter: Augmenter | None = None
        self._copies: AugmentedCopies | None = None
        if config.augment != "none":
            from tlkit.data.images.augmentation import AugmentedCopies, Augmenter  # need Keras

            if config.augment_copies:
                self._copies = AugmentedCopies(config.augment, config.augment_copies, config.seed)
            else:
                self._augmenter = Augmenter(config.augment)
        self._cached = self._choose_cached(plan.cache_budget_bytes, base, stages)
        self._cached += [spec for spec in along if spec not in self._cached]
        used = [spec for spec in specs.values() if spec is not base.spec or config.epochs or not stages]
        given = [base.spec] if config.features is not None else []
        self._reads_images = any(spec not in (*self._cached, *given) for spec in used)
        self._features: dict[tuple[str, int], FeatureDataset] = {}
        self.provenance = self._extractor.provenance
        """What decided the training features of phase 1."""
        if self._copies:
            self.provenance = dataclasses.replace(self.provenance, augment=self._copies.provenance)

    def _choose_cached(self, budget: int, base: Base, stages: Sequence[Stage]) -> list[FeatureSpec]:
        """Choose the specs whose features fit the budget, in the order of the phases; report those that do not."""
        config, modality = self._config, self._images.preprocessor.modality
        sizes = [(base.spec, 4 * base.nodes[-1].size, "the base")]
        sizes += [
            (stage.spec, stage.frontier.bytes, f"the base through {stage.freeze_point.last_frozen_layer}")
            for stage in stages
        ]
        if not config.epochs and stages and all(stage.spec is not base.spec for stage in stages):
            sizes = sizes[1:]  # no phase learns from the pooled output
        rows = sum(len(split.files) * self._variants(name) for name, split in self._images.splits.items())
        cached: list[FeatureSpec] = []
        for spec, size, name in sizes:
            if spec in cached or (spec is base.spec and config.features is not None):
                continue
            if spec in self._whole_base:
                logger.info("No layer with weights is frozen, so the whole base runs every epoch.")
            elif rows * size <= budget:
                budget -= rows * size
                cached.append(spec)
            else:
                logger.info(
                    "Caching the output of %s for %s needs %s, but only %s is allowed (--cache-limit); "
                    "it is recomputed every epoch.",
                    name, pluralize(rows, modality.singular), format_bytes(rows * size), format_bytes(budget),
                )  # fmt: skip
        return cached

    def _variants(self, split: str) -> int:
        """Rows per image of a split; 0 where images are augmented again in every epoch."""
        if split != TRAIN or self._config.augment == "none":
            return 1
        return self._copies.count if self._copies else 0

    def prepare(self, cache: FeatureCache) -> None:
        """Open given features, compute those that are to be cached, and drop the images that cannot be read.

        Raises:
            DataError: No training image of a class can be read.
            FeatureError: Given features are of something else, or the disk is full.
        """
        config, images, extractor = self._config, self._images, self._extractor
        numbers = [number for number, spec in enumerate(extractor.specs) if spec in self._cached]
        for split in list(images.splits):
            if self._reads_images or not self._variants(split):
                own = np.flatnonzero(self._owned(split))
                files = images.splits[split].files
                unreadable = images.unreadable([files[position] for position in own])
                self._drop(split, [(int(own[number]), reason) for number, reason in unreadable])
            if self._variants(split) and config.features is not None:
                self._features[split, 0], self.provenance = open_precomputed(
                    config.features, extractor.provenance, images, split, any_engine=config.engine == "auto"
                )
            if self._variants(split) and numbers:
                self._cache_split(cache, split, numbers)
        extractor.close()

    def _owned(self, split: str) -> np.ndarray:
        """Return which images of a split are this process's, ``(images,)`` bool."""
        owners = self._share.owners(len(self._images.splits[split].files), shuffled=split == TRAIN)
        return np.asarray(owners == self._share.process)

    def _drop(self, split: str, failed: Sequence[tuple[int, str]], digests: Sequence[bytes] | None = None) -> bool:
        """Drop the images that any process could not read; return whether there are any."""
        everybody = [tuple(each) for failures in gather(self._share, failed) for each in failures]
        self._images.drop(split, sorted(everybody), digests)
        return bool(everybody)

    def _cache_split(self, cache: FeatureCache, split: str, numbers: Sequence[int]) -> None:
        copies = self._copies if split == TRAIN else None
        provenances = [self._extractor.provenances[number] for number in numbers]
        if copies is not None:
            provenances = [dataclasses.replace(each, augment=copies.provenance) for each in provenances]
        alone, dropped = self._share.processes == 1, True
        while dropped:
            own = np.flatnonzero(self._owned(split))
            stores, result = self._compute(cache, provenances, split, numbers, copies, own)
            failed = [(int(own[number]), reason) for number, reason in result.failed]
            # without those that were dropped, the others are dealt out anew
            dropped = self._drop(split, failed, result.digests if alone else None) and not alone
        own, labels = np.flatnonzero(self._owned(split)), self._images.splits[split].labels
        for number, store, rows in zip(numbers, stores, result.rows, strict=True):
            assert store.shapes is not None
            of_all = np.full((len(labels), rows.shape[1]), -1)
            of_all[own] = rows
            self._features[split, number] = FeatureDataset(store.read_outputs, of_all, labels, store.shapes)

    def _compute(
        self,
        cache: FeatureCache,
        provenances: Sequence[Provenance],
        split: str,
        numbers: Sequence[int],
        copies: AugmentedCopies | None,
        own: np.ndarray,
    ) -> tuple[list[FeatureStore], FillResult]:
        files, digests = self._images.splits[split].files, self._images.digests(split)
        while True:
            try:
                with cache.open_for_writing(provenances) as stores:
                    return stores, self._extractor.compute_missing(
                        [files[position] for position in own],
                        stores,
                        numbers=numbers,
                        description=f"features of {split}",
                        digests=[digests[position] for position in own],
                        variants=copies,
                    )
            except (FeatureError, OSError) as error:
                cache.use_fallback(error)

    def batches(
        self,
        split: str,
        spec: FeatureSpec,
        *,
        phase: int | None = None,
        mixes: bool = False,
    ) -> BatchSequence:
        """Return the batches of a split.

        Args:
            split: Name of the split, such as ``train``.
            spec: Which features of its images.
            phase: Number of the phase, which seeds order and augmentation; None for a fixed order.
            mixes: Labels are rows of probabilities; training images are mixed.
        """
        from tlkit.training.batch_sequence import BatchSequence  # needs Keras

        seed = None if phase is None else self._seed(phase)
        return BatchSequence(
            self.samples(split, spec, phase=phase or 0, mixes=mixes),
            batch_size=self._config.batch_size,
            seed=seed,
            classes=len(self._images.classes) if mixes else None,
            share=self._share,
            class_weight=None if phase is None else self._objective.class_weight,
        )

    @property
    def _objective(self) -> Objective:
        return Objective.for_labels(self._config, self._images.splits[TRAIN].labels, len(self._images.classes))

    def samples(self, split: str, spec: FeatureSpec, *, phase: int = 0, mixes: bool = False) -> LabelledData:
        """Return the samples of a split, to load by number.

        Args:
            split: Name of the split, such as ``train``.
            spec: Which features of its images.
            phase: Number of the phase, which seeds augmentation.
            mixes: Training images are mixed.
        """
        number = self._extractor.specs.index(spec)
        return self._features.get((split, number)) or self._from_images(split, spec, number, self._seed(phase), mixes)

    def _seed(self, phase: int) -> int:
        return 1000 * self._config.seed + phase  # other draws for every seed and phase

    def _from_images(self, split: str, spec: FeatureSpec, number: int, seed: int, mixes: bool) -> ImageDataset:
        files, config = self._images.splits[split], self._config
        mixer = Mixer(config.mixup, config.cutmix, self._images.preprocessor.size, seed)
        engine = None if spec in self._whole_base else self._extractor.engine(number)
        return ImageDataset(
            files.files,
            files.labels,
            preprocessor=self._images.preprocessor,
            compute=None if engine is None else lambda pixels: run(engine, pixels),
            augment=self._augmentation(seed) if split == TRAIN else None,
            variants=self._copies.count if split == TRAIN and self._copies else 1,
            mixer=mixer if mixes and split == TRAIN else None,
        )

    def _augmentation(self, seed: int) -> Callable[[np.ndarray, int, int, int], np.ndarray] | None:
        """Return what augments a training image: as its cached variants would be, or differently in each epoch."""
        digests, copies, augmenter = self._images.digests(TRAIN), self._copies, self._augmenter
        if copies is not None:
            return lambda pixels, sample, variant, epoch: copies.make(pixels, digests[sample] or b"", variant)
        if augmenter is not None:
            return lambda pixels, sample, variant, epoch: augmenter(pixels, (seed, epoch, sample))
        return None
