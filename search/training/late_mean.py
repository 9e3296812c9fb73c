"""The mean of a training's late weights, by which it is judged before its end.

The idea: in the middle of a one-cycle schedule the learning rate is high, and what the weights of the moment score is
mostly noise. The mean of the weights of some time scores about as they do once the rate has fallen, without its falling
(Izmailov et al., 2018, https://arxiv.org/abs/1803.05407). How much better it ranks: docs/measurements.md.

The rule: weights w_1, w_2, ... are taken at even distances, four of them in each part after which a training reports,
and of these n the mean is (Shamir and Zhang, 2013, https://arxiv.org/abs/1212.1824)

    m_1 = w_1,    m_n = m_(n-1) + (w_n - m_(n-1)) * 7 / (n + 6)

That takes one copy, and the weights in it are an eighth of the training so far old on average, however long that is. An
example: of w_1 = 0, w_2 = 8 and w_3 = 16 the means are 0, 7 and 14.

The moving means and variances of batch normalisation belong to the weights of the moment, so they are counted anew from
a few training images.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np

from search.metrics.inference import batch_size_of
from search.training.models import leaves

# Of weights, for each part of a training.
TAKEN = 4
ORDER = 6


class LateMean:
    """The mean of the weights that a training has had lately.

    Args:
        parts: Into how many parts the training is divided.

    Attributes:
        weights: The mean, an array for each trainable variable; empty before anything is taken.
        taken: How many weights it is of.
    """

    def __init__(self, parts: int) -> None:
        self.weights: list[np.ndarray] = []
        self.taken = 0
        self._every = 1 / (TAKEN * parts)
        self._next = self._every

    def set(self, weights: Sequence[np.ndarray], taken: int, done: float) -> None:
        """Go on from what an earlier process had when ``done``, from 0 to 1, of the training was done."""
        self.weights, self.taken = list(weights), taken
        self._wait(done)

    def take(self, done: float, weights: Callable[[], Sequence[np.ndarray]]) -> None:
        """Take the weights in, if it is time to.

        Args:
            done: Which part of the training is done, from 0 to 1.
            weights: Gives them, an array for each trainable variable.
        """
        if done < self._next - 1e-9:
            return
        self._wait(done)
        self.taken += 1
        share = (ORDER + 1) / (self.taken + ORDER)
        new = weights()
        before = self.weights or new
        self.weights = [mean + (array - mean) * share for mean, array in zip(before, new, strict=True)]

    def _wait(self, done: float) -> None:
        self._next = (math.floor(done / self._every + 1e-6) + 1) * self._every

    @contextmanager
    def used(self, model: keras.Model, images: np.ndarray) -> Iterator[None]:
        """Have the model use the mean within the block.

        Args:
            model: The model that is trained.
            images: Some of its training images, ``(N, H, W, C)``, uint8, for batch statistics.
        """
        before = [np.array(variable) for variable in model.variables]
        try:
            for variable, mean in zip(model.trainable_variables, self.weights, strict=True):
                variable.assign(mean)
            count_statistics(model, images)
            yield
        finally:
            for variable, array in zip(model.variables, before, strict=True):
                variable.assign(array)


def norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The layers of a model that normalise batches by means and variances of their own."""
    return [layer for layer in leaves(model) if isinstance(layer, keras.layers.BatchNormalization)]


def count_statistics(model: keras.Model, images: np.ndarray) -> None:
    """Set the moving means and variances of batch normalisation to the means over the batches of some images."""
    layers = [layer for layer in norms(model) if layer.trainable]
    momenta = [layer.momentum for layer in layers]
    size = batch_size_of(model, images.shape[1:])
    for index, start in enumerate(range(0, len(images), size) if layers else ()):
        for layer in layers:
            layer.momentum = index / (index + 1)  # Of the first batch alone, then half of each, and so on.
        model(np.asarray(images[start : start + size]), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
