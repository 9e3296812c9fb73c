"""Images through a model, a batch at a time: the same in scoring, reload check and predict."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

# Pixels a batch: 256 images of 32x32, 8 of 224x224, so that activations take about the same memory.
BATCH_PIXELS = 1 << 18


def batch_size(height: int, width: int) -> int:
    """Images a batch for this image size, 8 to 256."""
    return max(8, min(256, BATCH_PIXELS // (height * width)))


def batch_size_of(model: "keras.Model", shape: tuple[int, ...]) -> int:
    """The same for images ``(H, W, C)`` at the size that ``model`` itself gives them, or for features ``(F,)``."""
    if len(shape) == 1:
        return batch_size(1, 1)
    sizes = [(layer.height, layer.width) for layer in model.layers if type(layer).__name__ == "Resizing"]
    return batch_size(*max([shape[:2], *sizes]))


def logits(
    model: "keras.Model",
    images: npt.NDArray[Any],
    chosen: npt.NDArray[np.int64] | None = None,
    pulse: Callable[[], None] | None = None,
) -> npt.NDArray[np.float32]:
    """The model's outputs ``(N, classes)``, float32, for ``images`` ``(N, H, W, C)``, 0 to 255.

    Args:
        model: From raw pixels to logits; or from features, and then ``images`` are features ``(N, F)``.
        images: May be memory-mapped: only one batch is in memory at a time.
        chosen: Which of them, ``(M,)``; by default all.
        pulse: Called after each batch.
    """
    size = batch_size_of(model, images.shape[1:])
    outputs = []
    for start in range(0, len(images) if chosen is None else len(chosen), size):
        place = slice(start, start + size)
        batch = np.asarray(images[place] if chosen is None else images[chosen[place]])
        # The last batch is filled up, so that every backend compiles one shape only; nothing of it is kept.
        full = np.zeros((size, *images.shape[1:]), images.dtype)
        full[: len(batch)] = batch
        outputs.append(np.asarray(model.predict_on_batch(full), dtype=np.float32)[: len(batch)])
        if pulse is not None:
            pulse()
    return np.concatenate(outputs)
