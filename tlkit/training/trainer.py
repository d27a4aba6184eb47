"""One phase of training, whatever trains: epochs that are told, kept on disk, and ended early."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.errors import TrainingError
from tlkit.inference.grouped_conv import with_native_grouped_conv
from tlkit.training.checkpoint import Checkpoint, CheckpointWriter
from tlkit.training.compile_options import Objective, PhasePlan, make_optimizer
from tlkit.training.freeze import FreezePoint
from tlkit.training.history import Phase
from tlkit.utils.logging import interrupted, logger


def set_trainable(base: Any, freeze_point: FreezePoint, *, batchnorm: str = "frozen") -> list[Any]:
    """Freeze the base up to the boundary; return the layers that train.

    Args:
        base: The base.
        freeze_point: Where it is cut.
        batchnorm: ``frozen`` keeps every BatchNorm as it is: one that trains on a few pictures forgets the
            statistics that the layers around it rely on. ``train`` trains those above the boundary.
    """
    base.trainable = True
    normalizes = keras.layers.BatchNormalization
    for number, layer in enumerate(base.layers):
        keeps = batchnorm == "frozen" and isinstance(layer, normalizes)
        layer.trainable = number >= freeze_point.frozen and not keeps
    # a BatchNorm without scale and offset still learns its statistics
    return [
        layer
        for layer in base.layers
        if layer.trainable_variables or (layer.trainable and isinstance(layer, normalizes))
    ]


class Training:
    """The phases of one run, each taken up where a checkpoint left it.

    Args:
        objective: What is minimised.
        folder: Where a checkpoint is written after every epoch.
        checkpoint: What an earlier process came to.
    """

    def __init__(self, objective: Objective, folder: Path, checkpoint: Checkpoint | None = None) -> None:
        self._objective, self._found = objective, checkpoint
        self._writer = CheckpointWriter(folder)
        self.phases: list[Phase] = []

    def skip(self, plan: PhasePlan) -> bool:
        """Take over what a phase came to, and say True, where a later one had begun already."""
        passed = [phase for phase in self._found.phases[:-1] if phase.name == plan.name] if self._found else []
        self.phases += passed
        return bool(passed)

    def run(self, plan: PhasePlan, model: Any, train: Any, validation: Any) -> Phase:
        """Train a model.

        It is compiled for every phase anew, because Keras reads what trains when it compiles.

        Args:
            plan: How.
            model: Ends in probabilities ``(batch, classes)``.
            train: A ``PyDataset`` of batches with class numbers. ``epoch`` is set before each epoch and decides its
                order; ``failure`` is the error of ours that ended it, if one did.
            validation: The same, held out; its order stays.

        Raises:
            TrainingError: The loss is no number any more.
            DataError: A picture cannot be read any more.
        """
        # another model of the same layers: what is compiled keeps its loss in its file, where it may not load
        model = with_native_grouped_conv(model)
        optimizer = make_optimizer(plan, len(train))
        model.compile(optimizer=optimizer, loss=self._objective.loss, metrics=["accuracy"])
        optimizer.build(model.trainable_variables)
        keeper = _CheckpointCallback(plan, self.phases, self._writer, train)
        if self._found and self._found.phases[-1].name == plan.name:
            keeper.restore(self._found, model)
            logger.info("%s goes on after epoch %d.", plan.name, len(keeper.phase.epochs))
        self.phases.append(keeper.phase)
        if not keeper.is_over():
            try:
                model.fit(
                    train, validation_data=validation, initial_epoch=len(keeper.phase.epochs), epochs=plan.epochs,
                    shuffle=False, verbose=0, class_weight=self._objective.class_weight, callbacks=[keeper],
                )  # fmt: skip
            except Exception as error:
                # TensorFlow passes on the words of an error in a thread of its own, not the error
                raise train.failure or validation.failure or error from None
            finally:
                self._writer.wait()
        if plan.patience is not None:
            _assign(model.variables, keeper.best)
        return keeper.phase


class _CheckpointCallback(keras.callbacks.Callback):
    """Keep what each epoch came to, in memory and on disk; say it; know the best one."""

    def __init__(self, plan: PhasePlan, before: list[Phase], writer: CheckpointWriter, train: Any) -> None:
        super().__init__()
        self.phase = Phase(plan.name)
        self.best: list[np.ndarray] = []
        self._train = train
        self._plan, self._before, self._writer, self._started = plan, list(before), writer, 0.0

    def restore(self, checkpoint: Checkpoint, model: Any) -> None:
        """Take up what an earlier process came to."""
        self.phase, self.best = checkpoint.phases[-1], checkpoint.best
        _assign(model.variables, checkpoint.variables)
        _assign(model.optimizer.variables, checkpoint.optimizer)

    def is_over(self) -> bool:
        """True when no epoch is left, or patience is at an end."""
        done, patience = len(self.phase.epochs), self._plan.patience
        tired = patience is not None and self.phase.best is not None and done - self.phase.best >= patience
        return tired or done >= self._plan.epochs

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._train.epoch = epoch
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        values = {key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
        phase, plan = self.phase, self._plan
        phase.epochs.append({"epoch": epoch + 1, **values, "seconds": time.perf_counter() - self._started})
        if not math.isfinite(values["loss"]) or not math.isfinite(values["val_loss"]):
            raise TrainingError(
                f"The loss is {values['loss']} ({values['val_loss']} on validation) after epoch {epoch + 1} of the "
                f"{plan.name} phase: the training has come apart.",
                hint="Use a lower --lr or --finetune-lr.",
            )
        logger.info(
            "%s %d/%d: loss %.4f, accuracy %.3f; validation loss %.4f, accuracy %.3f",
            plan.name, epoch + 1, plan.epochs, *values.values(),
        )  # fmt: skip
        if plan.patience is not None:
            if phase.best is None or _merit(values) > _merit(phase.epochs[phase.best - 1]):
                phase.best = epoch + 1
                self.best = [variable.numpy() for variable in self.model.variables]
            if self.is_over():
                self.model.stop_training = True
                logger.info("%s ends; epoch %d was the best and is kept.", plan.name, phase.best)
        self._writer.write(
            Checkpoint(
                [*self._before, dataclasses.replace(phase, epochs=list(phase.epochs))],
                [variable.numpy() for variable in self.model.variables],
                [variable.numpy() for variable in self.model.optimizer.variables],
                self.best,
            )
        )


def _merit(epoch: Mapping[str, float]) -> tuple[float, float]:
    """What makes an epoch better: validation accuracy, then a lower loss."""
    return epoch["val_accuracy"], -epoch["val_loss"]


def _assign(variables: Any, values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
