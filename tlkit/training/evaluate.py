"""Evaluate a model on the batches of a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.backend import keras_scope
from tlkit.distributed.lanes import Share
from tlkit.distributed.processes import total
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.split_data import SplitData


@keras_scope()
def evaluate(
    model: Any, batches: BatchSequence, images: SplitData, split: str, share: Share | None = None
) -> Evaluation:
    """Compare the predictions of a model with the labels of a split.

    Args:
        model: Inputs of a batch to ``(batch, classes)`` probabilities.
        batches: The split, in a fixed order.
        images: The splits, for classes and labels.
        split: Name of the split.
        share: The part of the batches that is this process's; all processes evaluate together.
    """
    labels = images.splits[split].labels
    probabilities = np.zeros((len(labels), len(images.classes)), np.float32)
    for number in range(len(batches)):
        positions = batches.positions(number)
        probabilities[positions] = np.asarray(model(batches[number][0]))[: len(positions)]
    return make_evaluation(images.classes, labels, total(share or Share(), probabilities))
