"""What differs between backends: how Keras reads the batches."""

from typing import Any

import numpy as np
import pytest

from search.process.backends import is_out_of_memory, tensorflow
from search.training.batches import TrainingFeed


def feed(**changes: Any) -> TrainingFeed:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    labels = random.integers(0, 3, 40)
    settings: dict[str, Any] = {"epoch": 1, "seed": 2, "strength": 2.0, "flip": True, **changes}
    return TrainingFeed(images, labels, np.arange(40), 16, 3, **settings)


@pytest.mark.parametrize(
    "changes",
    [{}, {"weights": np.array([1.0, 2.0, 0.5], "float32")}, {"on_device": True}],
    ids=["plain", "weighted", "on-device"],
)
def test_tensorflow_reads_the_batches_of_the_feed_in_order(changes: dict[str, Any]) -> None:
    import tensorflow as tf

    source = feed(**changes)
    read = list(tensorflow.batches(source).as_numpy_iterator())
    assert len(read) == len(source) == 2
    for index, batch in enumerate(read):
        expected = tf.nest.flatten(source[index])
        for found, wanted in zip(tf.nest.flatten(batch), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
            assert found.dtype == wanted.dtype


def test_tensorflow_knows_the_shape_of_a_batch() -> None:
    images, targets = tensorflow.batches(feed()).element_spec
    assert images.shape == (16, 8, 8, 1)
    assert targets.shape == (16, 3)


def test_memory_errors_are_known_in_every_backends_words() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"))
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(ValueError("shapes do not match"))
