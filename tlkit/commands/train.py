"""The work of ``finetune``: what the frozen part says of every picture, once; then phase after phase on that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.submodel import submodel
from tlkit.backend import keras
from tlkit.data.dataset import TEST, TRAIN, VALIDATION
from tlkit.features.cache import FeatureCache
from tlkit.features.spec import of_architecture
from tlkit.reporting.metrics import Evaluation
from tlkit.training.batches import TrainingData, cut_base
from tlkit.training.checkpoint import read_checkpoint
from tlkit.training.compile_options import Objective, balanced_weights
from tlkit.training.dataset_features import Pictures
from tlkit.training.freeze import FreezePoint
from tlkit.training.model import assemble_model, build_head, build_trainable_top, mixed_precision_scope
from tlkit.training.plan import FinetuneResult, Job
from tlkit.training.run_state import ROWS, RunState, check_same_pictures
from tlkit.training.save_run import write_run
from tlkit.training.trainer import Training, set_trainable
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


def train(job: Job, folder: Path, state: RunState) -> FinetuneResult:
    """Do the work and leave the run in its folder.

    Args:
        job: What to do.
        folder: The run folder, claimed.
        state: What an earlier process left of this run.

    Raises:
        TlkitError: Data or weights that turn out to be unusable, a training that comes apart, a full disk.
    """
    config = job.config
    keras.utils.set_random_seed(config.seed)
    pretrained = build_pretrained(job.architecture, weights=job.weights, include_top=False, size=job.preprocessor.size)
    base = pretrained.model
    layout = job.preprocessor.data_format
    network = submodel(base, base.layers[-1].name, job.head.pooling, layout)
    features = of_architecture(
        job.architecture, weights=job.weights, pooling=job.head.pooling, size=job.preprocessor.size,
        resize=config.resize, model=lambda: base,
    )  # fmt: skip
    cuts = cut_base(job, base, network, features)

    pictures = Pictures(job.dataset, job.preprocessor, config.batch_size)
    check_same_pictures(folder, state, pictures.fingerprint())
    data = TrainingData(job, pictures, features, network.output_shape[1:], cuts)
    with FeatureCache(folder / ROWS) as kept:
        data.compute(kept)

        keras.utils.set_random_seed(config.seed)  # the same head whether rows were there or not
        head = build_head(job.head, network.output_shape[1:], len(pictures.classes), layout)
        weights = balanced_weights(pictures.splits[TRAIN].labels, len(pictures.classes))
        objective = Objective(
            len(pictures.classes), config.label_smoothing, weights if config.class_weight == "auto" else None
        )
        training = Training(objective, folder, read_checkpoint(folder))
        plans = job.plans()
        if config.epochs and not training.skip(plan := plans.pop(0)):
            logger.info("Phase 1: the head alone, on features of the frozen base.")
            training.run(plan, head, data.batches(TRAIN, features, seed=0), data.batches(VALIDATION, features))

        trained: list[Any] = []
        for number, (cut, plan) in enumerate(zip(cuts, plans, strict=True), start=1):
            trained = set_trainable(base, cut.freeze_point, batchnorm=config.batchnorm)
            if training.skip(plan):
                continue
            _say(
                "Phase 2" if len(cuts) == 1 else f"Phase 2, stage {number}", cut.freeze_point, trained, config.batchnorm
            )
            # before the layers change their precision: an engine that is opened now must compute as it is told
            train_on, validate_on = data.batches(TRAIN, cut.source, seed=number), data.batches(VALIDATION, cut.source)
            with mixed_precision_scope(config.precision, base):
                top = build_trainable_top(
                    network, cut.frontier, head, training=None if config.batchnorm == "train" else False
                )
                training.run(plan, top, train_on, validate_on)

        model: Callable[[Any], Any] = build_trainable_top(network, cuts[-1].frontier, head) if cuts else head
        last = cuts[-1].source if cuts else features
        evaluations = {
            split: _evaluate(model, data.batches(split, last), pictures, split)
            for split in (VALIDATION, TEST)
            if split in pictures.splits
        }
    result = FinetuneResult(
        run=folder,
        architecture=job.architecture.name,
        classes=pictures.classes,
        images={name: len(split.files) for name, split in pictures.splits.items()},
        freeze_point=job.freeze_points[-1],
        trained=tuple(layer.name for layer in trained),
        phases=tuple(training.phases),
        evaluations=evaluations,
        skipped=tuple(pictures.skipped),
        warnings=(*job.dataset.warnings, *pictures.warnings),
    )
    whole = assemble_model(
        base, job.head.pooling, head, job.architecture.name, layout, takes=job.preprocessor.modality.name
    )
    write_run(result, job, whole, pictures, data.provenance)
    return result


def _evaluate(model: Any, batches: Any, pictures: Pictures, split: str) -> Evaluation:
    probabilities = np.concatenate([np.asarray(model(batches[number][0])) for number in range(len(batches))])
    return Evaluation(pictures.classes, pictures.splits[split].labels, probabilities)


def _say(stage: str, freeze_point: FreezePoint, trained: list[Any], batchnorm: str) -> None:
    keeps = "keeps its statistics" if batchnorm == "frozen" else "trains too"
    logger.info("%s: %s. The head trains too; BatchNorm %s.", stage, freeze_point.description, keeps)
    if trained:
        names = join_truncated([layer.name for layer in trained])
        logger.info("Training %s of the base: %s.", pluralize(len(trained), "layer"), names)
