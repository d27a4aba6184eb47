"""What ``model.fit`` reads: labelled samples in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlkit.backend import keras
from tlkit.distributed.lanes import Share, shuffled
from tlkit.errors import TlkitError
from tlkit.training.datasets import LabelledData


class BatchSequence(keras.utils.PyDataset):
    """Batches for ``model.fit``, ``(inputs, labels)``; of a share of them ``(inputs, labels, weights)``.

    The order of an epoch is a function of seed and epoch alone, so that training resumes anywhere. A process or device
    that shares the batches with others has as many samples in each as they: where there are fewer, some of weight 0
    fill it up, and the weights of the others make up for that in the mean.

    Args:
        data: The samples.
        batch_size: Samples per batch; the last batch may have fewer.
        seed: Draws an order, and a variant of each sample, in every epoch; None for the order as it is.
        classes: Labels become rows of so many probabilities, as mixed images have them; None for labels as they are.
        share: What part of each batch is this process's.
        class_weight: Weight of the samples of each class, of a share alone; otherwise it is for ``fit``.
    """

    def __init__(
        self,
        data: LabelledData,
        *,
        batch_size: int,
        seed: int | None = None,
        classes: int | None = None,
        share: Share | None = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)  # decoding has threads of its own
        self.failure: TlkitError | None = None
        """The error that ended an epoch: TensorFlow passes on its text alone."""
        self.samples = len(data.labels)
        self._labels, self._variants, self._load = data.labels, data.variants, data.loader()
        self.batch_size, self._seed, self._mixer = batch_size, seed, data.mixer
        self._rows = None if classes is None else np.eye(classes, dtype=np.float32)
        self._share, self._class_weight = share or Share(), class_weight or {}
        self._owners = self._share.owners(self.samples, shuffled=seed is not None)
        self._capacity = self._share.capacity(self._owners, batch_size)
        self.epoch = 0

    @property
    def is_shared(self) -> bool:
        """Whether batches are a share, with weights."""
        return not self._share.is_whole

    @property
    def epoch(self) -> int:
        """The epoch, from 0; setting it draws its order."""
        return self._epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._epoch = number
        self._order, self._chosen = np.arange(self.samples), np.zeros(self.samples, np.int64)
        if self._seed is not None:
            random = np.random.default_rng([self._seed, number])
            self._order = shuffled(self.samples, random)
            if self._variants > 1:
                self._chosen = random.integers(self._variants, size=self.samples)

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def positions(self, index: int) -> np.ndarray:
        """Return where in the epoch the samples of a batch are that do not only fill it up, ``(samples,)`` int64."""
        start = index * self.batch_size
        owners = self._owners[start : start + self.batch_size]
        return start + np.flatnonzero(owners == self._share.process)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        positions = self.positions(index)
        weights: tuple[np.ndarray, ...] = ()
        if self.is_shared:
            real, own = min(self.batch_size, self.samples - index * self.batch_size), len(positions)
            spare = positions if own else np.flatnonzero(self._owners == self._share.process)[:1]
            positions = np.concatenate([positions, np.resize(spare, self._capacity - own)])
            # so that the mean over all shares is that of the real samples
            scale = self._capacity * self._share.processes / real
            weights = (np.where(np.arange(self._capacity) < own, np.float32(scale), np.float32(0)),)
        samples = self._order[positions]
        try:
            inputs = self._load(samples, self._chosen[positions], self.epoch)
        except TlkitError as error:
            self.failure = error
            raise
        targets = self._targets(samples)
        return inputs if len(inputs) > 1 else inputs[0], targets, *(each * self._weights(targets) for each in weights)

    def _weights(self, targets: np.ndarray) -> np.ndarray:
        """Return the class weight of each sample, ``(samples,)`` float32."""
        labels = targets.argmax(axis=1) if targets.ndim == 2 else targets
        return np.array([self._class_weight.get(label, 1.0) for label in labels.tolist()], np.float32)

    def _targets(self, samples: np.ndarray) -> np.ndarray:
        labels: np.ndarray = self._labels[samples]
        if labels.ndim == 2:
            rows = labels.astype(np.float32)
        elif self._rows is None:
            return labels
        else:
            rows = self._rows[labels]
        return rows if self._mixer is None else self._mixer.draw(samples, self.epoch).labels(rows)
