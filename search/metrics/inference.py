"""Images through a model, a batch at a time; scoring, verification and prediction all do it this way."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras


# Pixels a batch, so that activations take about the same memory: 256 images of 32x32, 8 of 224x224.
BATCH_PIXELS = 1 << 18
# The layer of an exported net that divides its outputs by the temperature; see ``search.exporting.baking``.
TEMPERATURE = "temperature"


def batch_size(height: int, width: int) -> int:
    """The number of images in a batch for this image size, 8 to 256."""
    return max(8, min(256, BATCH_PIXELS // (height * width)))


def batch_size_of(model: "keras.Model", shape: tuple[int, ...]) -> int:
    """The number of images in a batch for a model, by the largest size that it gives them.

    Args:
        model: The model, which may resize images.
        shape: The shape of one input, an image ``(H, W, C)`` or features ``(F,)``.
    """
    if len(shape) == 1:
        return batch_size(1, 1)
    sizes = [(layer.height, layer.width) for layer in model.layers if type(layer).__name__ == "Resizing"]
    return batch_size(*max([shape[:2], *sizes]))


class FastestBatch:
    """The least time that an image took in a batch, of all batches but the first, in which the net is traced.

    Whatever else the host does makes a batch slower, never faster: the least time is nearest to the net's own.

    Attributes:
        milliseconds: That time; None before there were two batches.
    """

    def __init__(self) -> None:
        self.milliseconds: float | None = None
        self._traced = False

    def __call__(self, seconds: float, images: int) -> None:
        """Note what a batch of so many images took."""
        taken = 1000 * seconds / images
        if self._traced and (self.milliseconds is None or taken < self.milliseconds):
            self.milliseconds = float(f"{taken:.3g}")
        self._traced = True


def logits(
    model: "keras.Model",
    images: npt.NDArray[Any],
    chosen: npt.NDArray[np.int64] | None = None,
    on_batch: Callable[[], None] | None = None,
    fastest: FastestBatch | None = None,
) -> npt.NDArray[np.float32]:
    """Compute a model's outputs.

    Args:
        model: The model, from raw pixels or from features to logits.
        images: Images ``(N, H, W, C)``, uint8, 0 to 255, or features ``(N, F)``. They may be memory-mapped, since only
            one batch is in memory at a time.
        chosen: The indices of those to compute, ``(M,)``; by default all.
        on_batch: Called after each batch.
        fastest: Is told of the time of each batch.

    Returns:
        The outputs ``(M, classes)``, float32.
    """
    size = batch_size_of(model, images.shape[1:])
    outputs = []
    for start in range(0, len(images) if chosen is None else len(chosen), size):
        place = slice(start, start + size)
        batch = np.asarray(images[place] if chosen is None else images[chosen[place]])
        # The last batch is filled up, so that a backend compiles for one shape only; what was added is dropped.
        full = np.zeros((size, *images.shape[1:]), images.dtype)
        full[: len(batch)] = batch
        begun = time.perf_counter()
        found = np.asarray(model.predict_on_batch(full), dtype=np.float32)
        if fastest is not None:
            fastest(time.perf_counter() - begun, size)
        outputs.append(found[: len(batch)])
        if on_batch is not None:
            on_batch()
    return np.concatenate(outputs)


def below_last_layer(model: "keras.Model") -> "keras.Model":
    """The part of a net that gives what its last layer decides by: pixels to features ``(N, F)``.

    Of a net whose last layer decides by anything but a vector an image, it is the net itself, whose outputs serve.
    """
    import keras

    *_, before, last = (layer for layer in model.layers if layer.name != TEMPERATURE)
    # A net as the last layer, such as a head on its backbone, knows only an input of its own.
    inside = before.output if hasattr(last, "layers") else last.input
    is_vector = not isinstance(inside, list | tuple | dict) and len(inside.shape) == 2
    return keras.Model(model.input, inside) if is_vector else model
