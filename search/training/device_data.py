"""Images on the device: copied there once for a whole training; batches are gathered and augmented there.

Then only a few numbers an image cross the bus, and several steps can run in one call. The host makes the draws, so
both ways train on the same pixels.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

# Larger training sets stay in the memory map and are sent batch by batch.
MOST_BYTES = 2 * 2**30


def fits_device(device: str, images: np.ndarray) -> bool:
    """Whether to keep ``images`` on ``device``; never on a CPU, where processes share the pages of the memory map."""
    return device != "cpu" and images.nbytes <= MOST_BYTES


class Gather(keras.layers.Layer):
    """Gathers batches of augmented images out of one array on the device.

    Args:
        images: ``(N, H, W, C)``, uint8; copied to the device.
    """

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(trainable=False, dtype="float32")
        self._images = self.add_weight(
            shape=images.shape, dtype="uint8", initializer="zeros", trainable=False, name="images"
        )
        self._images.assign(images)

    def call(self, which: Any, mirrored: Any, down: Any, right: Any) -> Any:
        """The batch ``(B, H, W, C)``, float32, of images ``which`` ``(B,)``; the rest as in ``augmentation.Draw``.

        ``down`` and ``right`` count from the image itself here: 0 is no shift.
        """
        batch = ops.take(self._images, which, axis=0)
        mirrored = ops.reshape(mirrored, (-1, 1, 1, 1))
        batch = ops.where(mirrored, ops.flip(batch, axis=2), batch)
        for axis, first in ((1, down), (2, right)):
            size = self._images.shape[axis]
            places = _reflected(ops.expand_dims(first, 1) + ops.arange(size, dtype="int32"), size)
            places = ops.expand_dims(ops.expand_dims(places, 3 - axis), 3)
            batch = ops.take_along_axis(batch, places, axis=axis)
        return ops.cast(batch, "float32")


def with_images(model: keras.Model, images: np.ndarray) -> keras.Model:
    """``model`` behind a ``Gather``: fitted on indices and draws, it trains the very weights of ``model``."""
    inputs = {
        "which": keras.Input((), dtype="int32", name="which"),
        "mirrored": keras.Input((), dtype="bool", name="mirrored"),
        "down": keras.Input((), dtype="int32", name="down"),
        "right": keras.Input((), dtype="int32", name="right"),
    }
    return keras.Model(inputs, model(Gather(images)(**inputs)))


def _reflected(places: Any, size: int) -> Any:
    """Positions, where those outside 0 to ``size - 1`` are reflected at the border pixel, which is not repeated."""
    places = ops.abs(places)
    return ops.where(places >= size, 2 * (size - 1) - places, places)
