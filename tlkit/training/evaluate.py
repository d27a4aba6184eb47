"""Evaluate a model on the batches of a split."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.backend import keras_scope
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.multi_label import make_evaluation
from tlkit.training.batch_sequence import BatchSequence
from tlkit.training.split_data import SplitData


@keras_scope()
def evaluate(model: Any, batches: BatchSequence, images: SplitData, split: str) -> Evaluation:
    """Compare the predictions of a model with the labels of a split.

    Args:
        model: Inputs of a batch to ``(batch, classes)`` probabilities.
        batches: The split, in a fixed order.
        images: The splits, for classes and labels.
        split: Name of the split.
    """
    probabilities = np.concatenate([np.asarray(model(batches[number][0])) for number in range(len(batches))])
    return make_evaluation(images.classes, images.splits[split].labels, probabilities)
