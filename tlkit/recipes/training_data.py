"""What training sees: rows of the frozen part that are computed once and kept, or pictures through it as they pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.backend import keras
from tlkit.engines.engine import run
from tlkit.features.kept import KeptRows
from tlkit.features.source import FeatureSource, of_tensors
from tlkit.features.together import Together
from tlkit.images.augment import AugmentedCopies, Augmenter
from tlkit.images.dataset import TRAIN
from tlkit.progress import logger
from tlkit.recipes.job import Job
from tlkit.recipes.pictures import Pictures
from tlkit.text import counted, printable, sized
from tlkit.training.feature_sequence import FeatureSequence
from tlkit.training.freeze import Boundary
from tlkit.training.frontier import Frontier, find_frontier
from tlkit.training.image_sequence import ImageSequence
from tlkit.training.phases import set_trainable
from tlkit.training.rows import Rows, memory_for_rows


@dataclass(frozen=True)
class Cut:
    """The base and its pooling, cut where a stage of phase 2 starts to train.

    Attributes:
        boundary: What was asked for.
        frontier: The tensors that go up from there.
        source: Them as features.
        kept: Their rows are computed once; else the frozen part runs in every epoch.
    """

    boundary: Boundary
    frontier: Frontier
    source: FeatureSource
    kept: bool


def cut_base(job: Job, boundary: Boundary, base: Any, network: Any, features: FeatureSource) -> Cut:
    """Cut the base for a stage of phase 2, and decide whether what is below runs once or in every epoch.

    Args:
        job: What to do.
        boundary: Where.
        base: The base.
        network: The base and its pooling.
        features: The output of the network as features.
    """
    trained = set_trainable(base, boundary, batchnorm=job.config.batchnorm)
    frontier = find_frontier(network, trained)
    if frontier.tensors[0] is network.outputs[0]:  # nothing of the base trains
        return Cut(boundary, frontier, features, kept=True)

    def model() -> Any:
        return keras.Model(network.input, list(frontier.tensors))

    source = of_tensors(features, frontier.names, model)
    if frontier.is_input:
        logger.info("Nothing of the base is frozen: pictures go through all of it in every epoch.")
        return Cut(boundary, frontier, source, kept=False)
    if _changes_pictures(job):
        return Cut(boundary, frontier, source, kept=True)
    copies = job.config.augment_copies or 1
    pictures = sum(len(split.files) * (copies if name == TRAIN else 1) for name, split in job.dataset.splits.items())
    needed = pictures * frontier.bytes
    if needed > job.room:
        logger.info(
            "What the frozen part says of %s through %s takes %s, more than the %s there is room for (--cache-limit): "
            "the frozen part runs in every epoch.",
            counted(pictures, "picture"), printable(boundary.last), sized(needed), sized(job.room),
        )  # fmt: skip
    return Cut(boundary, frontier, source, kept=needed <= job.room)


def _changes_pictures(job: Job) -> bool:
    """True when every epoch sees other pictures, of which nothing can be kept."""
    return job.config.augment != "none" and not job.config.augment_copies


class TrainingData:
    """Batches for ``fit`` of what a source says of the pictures of a split: kept rows, or computed as they pass."""

    def __init__(self, job: Job, pictures: Pictures, features: FeatureSource, cuts: Sequence[Cut]) -> None:
        self._job, self._pictures, self._features = job, pictures, features
        config = job.config
        others = [cut for cut in cuts if cut.source is not features]
        self._inputs = [cut.source for cut in others if cut.frontier.is_input]
        sources = [features, *(cut.source for cut in others)]
        self._all = Together(
            sources,
            [1, *(len(cut.frontier.tensors) for cut in others)],
            engine=config.engine,
            precision=config.precision,
        )
        given = config.features is not None
        self._kept_sources = [*([] if given else [features]), *(cut.source for cut in others if cut.kept)]
        self._rows: dict[tuple[str, int], Rows] = {}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What decides the features of phase 1."""
        return self._all.provenances[0]

    def compute(self, kept: KeptRows) -> None:
        """Have the rows that can be kept; what cannot be read leaves the pictures."""
        config = self._job.config
        numbers = [number for number, source in enumerate(self._all.sources) if source in self._kept_sources]
        copies = AugmentedCopies(config.augment, config.augment_copies, config.seed) if config.augment_copies else None
        splits = list(self._pictures.splits)
        if _changes_pictures(self._job):
            splits.remove(TRAIN)
            self._pictures.leave_out_unreadable(TRAIN)
        if config.features is not None:
            for split, rows in self._pictures.given_rows(config.features, self._all, splits).items():
                self._rows[split, 0] = rows
        if numbers:
            for split, found in self._pictures.rows(self._all, numbers, kept, splits, copies=copies).items():
                self._rows.update({(split, number): rows for number, rows in zip(numbers, found, strict=True)})

    def batches(self, split: str, source: FeatureSource, *, seed: int | None = None) -> Any:
        """Batches of a split.

        Args:
            split: Which.
            source: What of them.
            seed: Numbers the phase, whose order and augmentation are drawn; None to keep the order.
        """
        config, files = self._job.config, self._pictures.splits[split]
        drawn = None if seed is None else 1000 * config.seed + seed
        number = self._all.sources.index(source)
        rows = self._rows.get((split, number))
        if rows is not None:
            return FeatureSequence(rows, batch_size=config.batch_size, seed=drawn, memory=memory_for_rows())
        engine = None if source in self._inputs else self._all.engine(number)
        return ImageSequence(
            files.files,
            files.labels,
            look=self._job.look,
            batch_size=config.batch_size,
            compute=None if engine is None else lambda pixels: run(engine, pixels),
            augment=Augmenter(config.augment) if split == TRAIN and config.augment != "none" else None,
            seed=drawn,
        )
