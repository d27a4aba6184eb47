"""The two phases of transfer learning: the head on features of the frozen base, then the top of the base too."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tlkit.backend import keras
from tlkit.errors import TrainingError
from tlkit.progress import logger
from tlkit.training.freeze import Boundary
from tlkit.training.image_sequence import ImageSequence

LOSS = "sparse_categorical_crossentropy"


@dataclass
class Phase:
    """What one phase did.

    Attributes:
        name: ``head`` or ``finetune``.
        epochs: One mapping an epoch: ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``seconds``.
    """

    name: str
    epochs: list[Mapping[str, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy after the last epoch, 0 to 1."""
        return self.epochs[-1]["val_accuracy"]

    def summary(self) -> dict[str, Any]:
        """What a result says of the phase: ``name``, ``epochs``, ``seconds``, ``val_accuracy``."""
        return {
            "name": self.name,
            "epochs": len(self.epochs),
            "seconds": round(self.seconds, 3),
            "val_accuracy": self.val_accuracy,
        }


class _EpochLog(keras.callbacks.Callback):
    """Keep what each epoch came to, and say it."""

    def __init__(self, phase: Phase, total: int) -> None:
        super().__init__()
        self._phase, self._total, self._started = phase, total, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = {key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
        row = {"epoch": epoch + 1, **values, "seconds": time.perf_counter() - self._started}
        self._phase.epochs.append(row)
        if not math.isfinite(values["loss"]) or not math.isfinite(values["val_loss"]):
            raise TrainingError(
                f"The loss is {values['loss']} ({values['val_loss']} on validation) after epoch {epoch + 1} of the "
                f"{self._phase.name} phase: the training has come apart.",
                hint="Use a lower --lr or --finetune-lr.",
            )
        logger.info(
            "%s %d/%d: loss %.4f, accuracy %.3f; validation loss %.4f, accuracy %.3f",
            self._phase.name, epoch + 1, self._total, *values.values(),
        )  # fmt: skip


def train_head(
    head: Any,
    train: Any,
    validation: Any,
    *,
    epochs: int,
    lr: float,
) -> Phase:
    """Phase 1: the head alone, on features that were computed once.

    Args:
        head: A model from features to classes.
        train: Batches of features ``(rows, …)`` and labels ``(rows,)``, in an order of their own.
        validation: The same, held out.
        epochs: How often all rows are seen.
        lr: Learning rate of RMSprop.
    """
    phase = Phase("head")
    head.compile(optimizer=keras.optimizers.RMSprop(lr), loss=LOSS, metrics=["accuracy"])
    head.fit(
        train, validation_data=validation, epochs=epochs, shuffle=False, verbose=0,
        callbacks=[_EpochLog(phase, epochs)],
    )  # fmt: skip
    return phase


def set_trainable(base: Any, boundary: Boundary) -> list[Any]:
    """Freeze the base up to the boundary and every BatchNorm above it; return the layers that train.

    A BatchNorm that trained on a few pictures would forget the statistics that the layers around it rely on.
    """
    base.trainable = True
    for number, layer in enumerate(base.layers):
        layer.trainable = number >= boundary.frozen and not isinstance(layer, keras.layers.BatchNormalization)
    return [layer for layer in base.layers if layer.trainable_variables]


def train_top(
    model: Any,
    train: ImageSequence,
    validation: ImageSequence,
    *,
    epochs: int,
    lr: float,
    momentum: float,
) -> Phase:
    """Phase 2: everything that is trainable in the whole model, slowly, with SGD.

    The model is compiled anew, because Keras reads what trains when it compiles.
    """
    phase = Phase("finetune")
    model.compile(optimizer=keras.optimizers.SGD(lr, momentum=momentum), loss=LOSS, metrics=["accuracy"])
    try:
        model.fit(
            train, validation_data=validation, epochs=epochs, shuffle=False, verbose=0,
            callbacks=[_EpochLog(phase, epochs)],
        )  # fmt: skip
    except Exception as error:
        # TensorFlow passes on the words of an error in a thread of its own, not the error
        raise train.failure or validation.failure or error from None
    return phase
