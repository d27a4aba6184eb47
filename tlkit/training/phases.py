"""The two phases: what each trains, and on which batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tlkit.architectures.random_weights import draw_layer
from tlkit.backend import distribution_scope, keras, keras_scope, stop_distributing
from tlkit.data.layout import TRAIN, VALIDATION
from tlkit.inference.mixed_precision import mixed_precision_scope
from tlkit.keras_files import target_layers
from tlkit.training.base import Base, Stage
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.batches import TrainingBatches
from tlkit.training.linear_head import fit_linear_head
from tlkit.training.model import (
    batchnorm_scope,
    build_head,
    build_trainable_top,
    set_linear_head,
)
from tlkit.training.plan import LBFGS, PhasePlan, TrainingPlan
from tlkit.training.split_data import SplitData
from tlkit.training.trainer import Trainer
from tlkit.utils.logging import logger


@distribution_scope()
def new_head(plan: TrainingPlan, images: SplitData, base: Base) -> Any:
    """Return a head with the random weights of the run's seed, the same on every backend, as a ``keras.Model``."""
    feature_shape = base.pooled.output_shape[1:]
    with keras_scope():
        keras.utils.set_random_seed(plan.config.seed)  # of its Dropout
    head = build_head(plan.head, feature_shape, len(images.classes), plan.preprocessor.data_format)
    for target in target_layers(head):
        drawn = draw_layer(target.spec, {}, plan.config.seed)
        for key, variable in zip(target.spec.keys, target.variables, strict=True):
            variable.assign(drawn[key])
    return head


def undistributed(plan: TrainingPlan, images: SplitData, base: Base, head: Any) -> tuple[Base, Any]:
    """Return base and head with the weights that they have, on one device of this process."""
    stop_distributing()
    alone = Base.of(plan)
    copy = new_head(plan, images, alone)
    own, shared = [*alone.model.variables, *copy.variables], [*base.model.variables, *head.variables]
    for variable, value in zip(own, shared, strict=True):
        variable.assign(value.numpy())
    return alone, copy


def train_head(
    phase: PhasePlan,
    head: Any,
    plan: TrainingPlan,
    images: SplitData,
    base: Base,
    data: TrainingBatches,
    trainer: Trainer,
) -> None:
    """Train a head on the features of the frozen base."""
    logger.info("Phase 1: training the head on features of the frozen base.")
    if phase.optimizer == LBFGS:
        fitted, history = fit_linear_head(plan, images, data, base.spec)
        set_linear_head(head, fitted)
        trainer.add(history)
    else:
        validation = None if plan.cross_validation else data.batches(VALIDATION, base.spec)
        trainer.train(phase, head, data.batches(TRAIN, base.spec, phase=0), validation)


@dataclass(frozen=True)
class Top:
    """What a stage of phase 2 trains.

    Attributes:
        model: From the frontier to the classes.
        train: Training batches of the frontier.
        validation: Validation batches; None where other runs validate the epochs.
        rate_factors: Of the learning rate of variables, by their ``path``.
    """

    model: Any
    train: BatchSequence
    validation: BatchSequence | None
    rate_factors: Mapping[str, float]


@contextmanager
def unfrozen_top(
    phase: PhasePlan, number: int, stage: Stage, head: Any, plan: TrainingPlan, base: Base, data: TrainingBatches
) -> Iterator[Top]:
    """Unfreeze the top of the base for a stage, inside the block.

    Args:
        phase: How it trains.
        number: Of the stage, from 0.
        stage: The stage.
        head: The trained head.
        plan: The run.
        base: Its base.
        data: Its features.
    """
    config = plan.config
    stage.freeze(base.model)
    # before the layers change their precision: an engine opened now computes in its own
    train = data.batches(TRAIN, stage.spec, phase=number + 1, mixes=phase.mixes)
    validation = None if plan.cross_validation else data.batches(VALIDATION, stage.spec, mixes=phase.mixes)
    with mixed_precision_scope(config.precision, base.model.layers), batchnorm_scope(base.model, len(train)):
        model = build_trainable_top(base.pooled, stage.frontier, head, batchnorm=config.batchnorm)
        yield Top(model, train, validation, stage.rate_factors(base, config.layer_decay))
