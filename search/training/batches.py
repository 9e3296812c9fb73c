"""Batches for Keras from memory-mapped images; each is a function of seed, epoch and position alone.

A training that counts epochs takes one ``TrainingFeed`` an epoch. One that is so many steps long takes a ``StreamFeed``
for each part of them: the images in one pass after another, cut into batches without regard to where a pass ends.
"""

from typing import Any

import keras
import numpy as np

from search.training.augmentation import augment, draw, draw_views, mirrored_in, photograph


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
        self._images, self._labels, self._chosen, self._classes = images, labels, chosen, classes
        self.batch_size = min(batch_size, len(chosen))
        self._seed, self._epoch, self._strength = seed, epoch, strength
        self._weights, self._augmenter, self._on_device = weights, augmenter, on_device
        self._mirror, self._mirrors = mirror, flip and strength > 0
        self._kept: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._chosen) // self.batch_size

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        places, mirrored = self._places(index)
        # Sorted, to read a memory map in order; a batch is a set.
        order = np.argsort(places, kind="stable")
        places, mirrored = places[order], mirrored[order] & self._mirrors
        labels = self._labels[self._chosen[places]]
        targets = np.eye(self._classes, dtype="float32")[labels]
        batch = self._batch(self._random(index), places, mirrored)
        if self._weights is None:
            return batch, targets
        return batch, targets, self._weights[labels]

    def _places(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The positions in ``chosen`` of a batch's images, and which of these it is their turn to be mirrored."""
        order, mirrored = self._pass(self._epoch)
        places = order[index * self.batch_size : (index + 1) * self.batch_size]
        return places, mirrored[places]

    def _random(self, index: int) -> np.random.Generator:
        """What a batch's augmentation is drawn from."""
        return np.random.default_rng((self._seed, 2, self._epoch, index))

    def _pass(self, which: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of one pass over the images, and which images are mirrored in it; kept until another is asked."""
        kept = self._kept  # Read once: batches may be asked for by several threads.
        if kept is None or kept[0] != which:
            count = len(self._chosen)
            order = np.random.default_rng((self._seed, 1, which)).permutation(count)
            self._kept = kept = (which, order, mirrored_in(which, count, self._seed))
        return kept[1:]

    def _batch(self, random: np.random.Generator, places: np.ndarray, mirrored: np.ndarray) -> Any:
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


class StreamFeed(TrainingFeed):
    """Some batches of a training that is so many steps long, whatever that is in passes over the images.

    Pass after pass the images come in an order of its own, as those of an epoch do. Batches follow each other across
    the passes: of 10 images in batches of 4, the third has the last two of the first pass and the first two of the
    second. So no image is left out, and the steps alone say how much is trained.

    Args:
        first: The first batch, counted from the beginning of the training.
        count: Number of batches.
        more: As of ``TrainingFeed``, without ``epoch``.
    """

    def __init__(self, *args: Any, first: int, count: int, **more: Any) -> None:
        super().__init__(*args, epoch=0, **more)
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def _places(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start, images = (self._first + index) * self.batch_size, len(self._chosen)
        at = np.arange(start, start + self.batch_size)
        found = []
        for which in range(int(at[0]) // images, int(at[-1]) // images + 1):
            order, mirrored = self._pass(which)
            places = order[at[at // images == which] % images]
            found.append((places, mirrored[places]))
        places, turns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return places, turns

    def _random(self, index: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, 2, self._first + index))


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """A weight for each class, inverse to its share and 1 on average over the images (scikit-learn's ``balanced``)."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype("float32")
