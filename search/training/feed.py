"""Batches for Keras, from memory-mapped images: each one a function of seed, epoch and position alone."""

import keras
import numpy as np

from search.training.augment import augment, mirrored_in


class TrainingFeed(keras.utils.PyDataset):
    """One epoch of training batches; the last, incomplete batch is left out (other images each epoch).

    Args:
        images: ``(N, H, W, C)``, uint8, may be memory-mapped; never copied as a whole.
        labels: ``(N,)``, int64.
        chosen: ``(M,)``: which of them to train on.
        batch_size: Images a batch.
        classes: Number of classes.
        epoch: Counted from 0.
        seed: The trial's.
        strength: Of the augmentation, 0 is off.
        flip: Whether augmentation may mirror.
        weights: ``(classes,)``, a weight for each class; None for none.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        chosen: np.ndarray,
        batch_size: int,
        classes: int,
        *,
        epoch: int,
        seed: int,
        strength: float,
        flip: bool,
        weights: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self._images, self._labels, self._classes = images, labels, classes
        self.batch_size = min(batch_size, len(chosen))
        self._seed, self._epoch, self._strength, self._weights = seed, epoch, strength, weights
        order = np.random.default_rng((seed, 1, epoch)).permutation(len(chosen))
        self._order = chosen[order]
        flipping = flip and strength > 0
        self._mirrored = mirrored_in(epoch, len(chosen), seed)[order] & flipping

    def __len__(self) -> int:
        return len(self._order) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        place = slice(index * self.batch_size, (index + 1) * self.batch_size)
        which = np.sort(self._order[place])  # Reading a memory map in order; the batch is a set.
        mirrored = self._mirrored[place][np.argsort(self._order[place])]
        images, labels = self._images[which], self._labels[which]
        random = np.random.default_rng((self._seed, 2, self._epoch, index))
        batch = augment(images, mirrored, self._strength, random)
        targets = np.eye(self._classes, dtype="float32")[labels]
        if self._weights is None:
            return batch, targets
        return batch, targets, self._weights[labels]


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """A weight for each class, inverse to its share, 1 on average over the images (scikit-learn's ``balanced``)."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype("float32")
