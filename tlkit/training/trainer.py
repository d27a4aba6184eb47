"""Train the phases of a run: report every epoch, checkpoint it, and stop early."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.backend import NAME, distribution_scope, is_out_of_memory, keras, keras_scope
from tlkit.errors import RunError, TrainingError
from tlkit.keras_private import moving_averages
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.checkpoint import Checkpoint, CheckpointWriter
from tlkit.training.compile_options import (
    MEAN_LOSS,
    WEIGHTED_LOSS,
    make_accuracy,
    make_loss,
    make_optimizer,
    make_shared_metrics,
)
from tlkit.training.cross_validation import CrossValidation
from tlkit.training.forecast import report_epoch_time
from tlkit.training.history import Phase, best_epoch, merit
from tlkit.training.learning_rate import LOWEST, RangeTest, range_test
from tlkit.training.objective import Objective
from tlkit.training.plan import PhasePlan
from tlkit.training.trackers.tracking import Trackers
from tlkit.utils.interrupt import raise_if_interrupted
from tlkit.utils.logging import logger, progress_bar


class Trainer:
    """Train the phases of one run, each resumed where a checkpoint left it.

    Args:
        objective: What is minimised.
        folder: Where a checkpoint is written after every epoch.
        checkpoint: Where an interrupted process left the run.
        keeps_best: Keep the weights of the best epoch of all phases; otherwise those of the last.
        cross_validation: What validates every epoch where there are no validation images.
        trackers: What is told every epoch.
        leads: This process writes the checkpoints.
    """

    def __init__(
        self,
        objective: Objective,
        folder: Path,
        checkpoint: Checkpoint | None = None,
        *,
        keeps_best: bool = False,
        cross_validation: CrossValidation | None = None,
        trackers: Trackers | None = None,
        leads: bool = True,
    ) -> None:
        self._objective, self._resumed, self._cross_validation = objective, checkpoint, cross_validation
        self._writer = CheckpointWriter(folder if leads else None)
        self.phases: list[Phase] = checkpoint.phases[:-1] if checkpoint else []
        self._kept = _KeptWeights() if keeps_best else None
        self._trackers = trackers or Trackers()
        self._trackers.phases(checkpoint.phases if checkpoint else [])

    def is_done(self, plan: PhasePlan) -> bool:
        """Return True where a phase had ended before the run was interrupted."""
        return any(phase.name == plan.name for phase in self.phases)

    def add(self, phase: Phase) -> None:
        """Add a phase that ended without this trainer."""
        self.phases.append(phase)
        self._trackers.phases(self.phases)

    @keras_scope()
    @distribution_scope()
    def train(
        self,
        plan: PhasePlan,
        model: Any,
        train: BatchSequence,
        validation: BatchSequence | None,
        rate_factors: Mapping[str, float] | None = None,
    ) -> Phase:
        """Train a model for one phase.

        It is compiled for every phase, because Keras reads ``trainable`` when it compiles.

        Args:
            plan: Epochs, optimizer and learning rate.
            model: Its output is ``(batch, classes)`` probabilities.
            train: Training batches; ``epoch`` is set before each epoch.
            validation: Validation batches, in a fixed order; None where other runs validate the epochs.
            rate_factors: Of the learning rate of variables, by their ``path``; 1 for the others.

        Raises:
            TrainingError: The loss is not finite.
            RunError: The checkpoint does not fit the model.
            DataError: An image can no longer be read.
        """
        resumed = self._resumed if self._resumed and self._resumed.phases[-1].name == plan.name else None
        if plan.lr is None:
            found = resumed.phases[-1].lr if resumed else self.range_test(plan, model, train, rate_factors).suggested
            assert found is not None  # a phase that looked for a rate has one
            logger.info("%s: a learning rate of %g, from a range test.", plan.name, found)
            plan = dataclasses.replace(plan, lr=found)
        model = self._compile(plan, model, train, rate_factors)
        if self._kept:
            self._kept.add(model.variables)
        validated = None if self._cross_validation is None else self._cross_validation.epochs(plan.name)
        callback = _CheckpointCallback(
            plan, self.phases, self._writer, train, validation, self._kept, validated, self._trackers
        )
        if resumed:
            callback.restore(resumed, model)
            logger.info("Resuming %s after epoch %d.", plan.name, len(callback.phase.epochs))
        self.phases.append(callback.phase)
        if not callback.is_over():
            try:
                class_weight = None if train.is_shared else self._objective.class_weight
                if callback.phase.is_fine_tuning:
                    report_epoch_time(model, train, validation, class_weight)
                model.fit(
                    train, validation_data=validation, initial_epoch=len(callback.phase.epochs), epochs=callback.epochs,
                    shuffle=False, verbose=0, class_weight=class_weight, callbacks=[callback],
                )  # fmt: skip
            except Exception as error:
                if is_out_of_memory(error):
                    raise _too_large(train) from error
                # TensorFlow passes on the text of an error raised in a thread of its own, not the error
                raise train.failure or (validation and validation.failure) or error from None
            finally:
                callback.close_bar()
                self._writer.wait()
        if plan.ema:
            _assign(model.trainable_variables, [average.numpy() for average in moving_averages(model.optimizer)])
        if plan.patience is not None:
            _assign(model.variables, callback.best)
        return callback.phase

    @keras_scope()
    @distribution_scope()
    def range_test(
        self, plan: PhasePlan, model: Any, train: BatchSequence, rate_factors: Mapping[str, float] | None = None
    ) -> RangeTest:
        """Train on a few batches at rising learning rates and undo it; arguments are those of :meth:`train`.

        Raises:
            TrainingError: The losses say nothing.
        """
        plan = dataclasses.replace(plan, lr=LOWEST, schedule="constant", warmup_epochs=0.0, ema=False)
        model = self._compile(plan, model, train, rate_factors)
        option = "--finetune-lr" if Phase(plan.name).is_fine_tuning else "--lr"
        return range_test(model, train, None if train.is_shared else self._objective.class_weight, option)

    def _compile(
        self, plan: PhasePlan, model: Any, train: BatchSequence, rate_factors: Mapping[str, float] | None
    ) -> Any:
        """Return a compiled model of the same layers: a compiled model saves its loss, with which it may not load."""
        if NAME == "tensorflow":
            from tlkit.inference.grouped_conv import with_native_grouped_conv

            model = with_native_grouped_conv(model)
        else:
            model = keras.Model(model.inputs, model.outputs)
        optimizer = make_optimizer(plan, len(train), rate_factors)
        loss = make_loss(self._objective, mixes=plan.mixes)
        if train.is_shared:
            shared = make_shared_metrics(self._objective, mixes=plan.mixes)
            model.compile(optimizer=optimizer, loss=loss, weighted_metrics=shared)
        else:
            model.compile(optimizer=optimizer, loss=loss, metrics=[make_accuracy(self._objective)])
        optimizer.build(model.trainable_variables)
        return model

    def restore_kept(self) -> None:
        """Give the model the weights that the run keeps, and note in the phase which epoch they are of."""
        if self._kept is None:
            return
        phase, epoch = best_epoch(self.phases)
        self._kept.restore()
        if epoch < len(phase.epochs):
            phase.best = epoch
        if (phase, epoch) != (self.phases[-1], len(self.phases[-1].epochs)):
            logger.info("Restoring the weights of %s epoch %d, the best of the run.", phase.name, epoch)


class _KeptWeights:
    """The weights at the best epoch of all phases; layers that train in a later phase had their first ones then."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[Any, np.ndarray]] = {}

    def add(self, variables: Sequence[Any]) -> None:
        """Remember the values of variables that are not known yet."""
        for variable in variables:
            self._values.setdefault(id(variable), (variable, variable.numpy()))

    def replace(self, variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
        """Remember these values."""
        for variable, value in zip(variables, values, strict=True):
            self._values[id(variable)] = variable, value

    def of(self, variables: Sequence[Any]) -> list[np.ndarray]:
        """Return the values of variables."""
        return [self._values[id(variable)][1] for variable in variables]

    def restore(self) -> None:
        """Assign all of them."""
        for variable, value in self._values.values():
            variable.assign(value)


class _CheckpointCallback(keras.callbacks.Callback):
    """Report each epoch, store it in memory and on disk, and remember the best one."""

    def __init__(
        self,
        plan: PhasePlan,
        before: Sequence[Phase],
        writer: CheckpointWriter,
        train: BatchSequence,
        validation: BatchSequence | None,
        kept: _KeptWeights | None,
        validated: Sequence[Mapping[str, float]] | None,
        trackers: Trackers,
    ) -> None:
        super().__init__()
        self.phase = Phase(plan.name, lr=plan.lr)
        self.best: list[np.ndarray] = []
        self._plan, self._before, self._writer, self._train = plan, list(before), writer, train
        self._kept, self._validated, self._trackers = kept, validated, trackers
        self.epochs = plan.epochs if validated is None else min(plan.epochs, len(validated))
        self._batches = len(train) + (len(validation) if validation is not None else 0)
        self._started = 0.0
        self._bar: Any = None
        self._trained: list[np.ndarray] = []

    def restore(self, checkpoint: Checkpoint, model: Any) -> None:
        """Restore the state after the last completed epoch."""
        self.phase, self.best = checkpoint.phases[-1], checkpoint.best
        try:
            _assign(model.variables, checkpoint.variables)
            _assign(model.optimizer.variables, checkpoint.optimizer)
            if self._kept:
                self._kept.replace(model.variables, checkpoint.kept)
        except ValueError as error:
            raise RunError(
                f"The checkpoint does not fit the model that Keras {keras.__version__} builds: {error}.",
                hint="Resume with the versions that the run started with, or start a new run.",
            ) from error

    def is_over(self) -> bool:
        """Return True when no epoch is left, or patience has run out."""
        return self._is_out_of_patience() or len(self.phase.epochs) >= self.epochs

    def _is_out_of_patience(self) -> bool:
        patience, best = self._plan.patience, self.phase.best
        return patience is not None and best is not None and len(self.phase.epochs) - best >= patience

    def close_bar(self) -> None:
        """Remove the progress bar of the epoch."""
        if self._bar is not None:
            self._bar.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._train.epoch = epoch
        self._started = time.perf_counter()
        name = f"{self._plan.name} {epoch + 1}/{self._plan.epochs}"
        self._bar = progress_bar(total=self._batches, unit="batch", description=name)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        raise_if_interrupted()
        self._bar.update(1)

    def on_test_begin(self, logs: Any = None) -> None:
        """Validate the average of the weights, until the end of the epoch."""
        self._use_averages()

    def _use_averages(self) -> None:
        if self._plan.ema:
            self._trained = [variable.numpy() for variable in self.model.trainable_variables]
            averages = moving_averages(self.model.optimizer)
            _assign(self.model.trainable_variables, [average.numpy() for average in averages])

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        raise_if_interrupted()
        self._bar.update(1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise_if_interrupted()
        self.close_bar()
        if self._validated is not None:
            self._use_averages()
            logs = {**logs, **self._validated[epoch]}
        better = {"loss": (WEIGHTED_LOSS, MEAN_LOSS), "val_loss": (f"val_{MEAN_LOSS}",)}  # of shares of batches
        values = {
            name: float(next(logs[key] for key in (*better.get(name, ()), name) if key in logs))
            for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        }
        phase, plan = self.phase, self._plan
        phase.epochs.append({"epoch": epoch + 1, **values, "seconds": time.perf_counter() - self._started})
        for name in ("loss", "val_loss"):
            if not math.isfinite(values[name]):
                raise TrainingError(
                    f"Training diverged in the {plan.name} phase: {name} is {values[name]} after epoch {epoch + 1}.",
                    hint="Use a lower --lr or --finetune-lr.",
                )
        logger.info(
            "%s %d/%d: loss %.4f, acc %.3f, val_loss %.4f, val_acc %.3f",
            plan.name, epoch + 1, plan.epochs, *values.values(),
        )  # fmt: skip
        step = sum(len(phase.epochs) for phase in self._before) + epoch + 1
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self._trackers.epoch(plan.name, step, values, float(rate))
        if plan.patience is not None:
            if phase.best is None or merit(values) > merit(phase.epochs[phase.best - 1]):
                phase.best = epoch + 1
                self.best = [variable.numpy() for variable in self.model.variables]
            if self._is_out_of_patience():
                self.model.stop_training = True
                logger.info("Early stopping: no improvement for %d epochs.", plan.patience)
            if self.is_over():
                logger.info("Restoring the weights of epoch %d, the best.", phase.best)
        variables = [variable.numpy() for variable in self.model.variables]
        kept: list[np.ndarray] = []
        if self._kept:
            if best_epoch([*self._before, phase]) == (phase, epoch + 1):
                self._kept.replace(self.model.variables, variables)
            kept = self._kept.of(self.model.variables)
        if plan.ema:
            _assign(self.model.trainable_variables, self._trained)
            variables = [variable.numpy() for variable in self.model.variables]
        self._writer.write(
            Checkpoint(
                [*self._before, dataclasses.replace(phase, epochs=list(phase.epochs))],
                variables,
                [variable.numpy() for variable in self.model.optimizer.variables],
                self.best,
                kept,
            )
        )


def _too_large(train: BatchSequence) -> TrainingError:
    return TrainingError(
        f"The memory of the device does not suffice to train with batches of {train.batch_size}.",
        hint=f"Use --batch-size {max(1, train.batch_size // 2)}, --precision bfloat16, or freeze more layers.",
    )


def _assign(variables: Any, values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
