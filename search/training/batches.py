"""Batches for Keras from memory-mapped images; each is a function of seed, epoch and position alone."""

from typing import Any

import keras
import numpy as np

from search.training.augmentation import augment, draw, draw_views, mirrored_in, photograph

AUGMENTERS = ("shifts", "photographs")


class TrainingFeed(keras.utils.PyDataset):
    """One epoch of training batches; the last, incomplete batch is left out, which are other images in each epoch.

    Args:
        images: ``(N, H, W, C)``, uint8, or features ``(N, F)``; may be memory-mapped, and is never copied as a whole.
        labels: ``(N,)``, int64.
        chosen: Sorted indices of those to train on, ``(M,)``.
        batch_size: Images a batch.
        classes: Number of classes.
        epoch: Counted from 0.
        seed: The trial's seed.
        strength: Strength of the augmentation; 0 is off.
        flip: Whether augmentation may mirror.
        weights: A weight for each class, ``(classes,)``; None for none.
        augmenter: As in ``Recipe``.
        on_device: Whether to yield what ``device_data.Gather`` takes, which are positions in ``chosen``, not pixels.
        mirror: The features of the mirrored images, ``(N, F)``; None where none are wanted.
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
        augmenter: str = "shifts",
        on_device: bool = False,
        mirror: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        if augmenter not in AUGMENTERS:
            raise ValueError(f"augmenter {augmenter!r}: expected one of {', '.join(AUGMENTERS)}")
        self._images, self._labels, self._chosen, self._classes = images, labels, chosen, classes
        self.batch_size = min(batch_size, len(chosen))
        self._seed, self._epoch, self._strength = seed, epoch, strength
        self._weights, self._augmenter, self._on_device = weights, augmenter, on_device
        self._mirror = mirror
        self._order = np.random.default_rng((seed, 1, epoch)).permutation(len(chosen))
        self._mirrored = mirrored_in(epoch, len(chosen), seed) & (flip and strength > 0)

    def __len__(self) -> int:
        return len(self._order) // self.batch_size

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        # Sorted, to read a memory map in order; a batch is a set.
        places = np.sort(self._order[index * self.batch_size : (index + 1) * self.batch_size])
        which = self._chosen[places]
        labels = self._labels[which]
        targets = np.eye(self._classes, dtype="float32")[labels]
        batch = self._batch(index, places)
        if self._weights is None:
            return batch, targets
        return batch, targets, self._weights[labels]

    def _batch(self, index: int, places: np.ndarray) -> Any:
        random = np.random.default_rng((self._seed, 2, self._epoch, index))
        mirrored = self._mirrored[places]
        if self._images.ndim == 2:
            return self._features(self._chosen[places], mirrored)
        if self._augmenter == "photographs":
            images = self._images[self._chosen[places]]
            return (
                photograph(images, draw_views(mirrored, self._strength, random)) if self._strength else images
            )
        drawn = draw(mirrored, min(self._images.shape[1:3]), self._strength, random)
        if not self._on_device:
            return augment(self._images[self._chosen[places]], drawn)
        return {
            "which": places.astype("int32"),
            "mirrored": drawn.mirrored,
            "down": drawn.down - drawn.reach,
            "right": drawn.right - drawn.reach,
        }

    def _features(self, which: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        batch = self._images[which]
        if self._mirror is not None:
            batch[mirrored] = self._mirror[which[mirrored]]
        return np.asarray(batch, "float32")


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """A weight for each class, inverse to its share and 1 on average over the images (scikit-learn's ``balanced``)."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype("float32")
