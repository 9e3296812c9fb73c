"""What differs between backends: how Keras reads the batches."""

import os
from types import SimpleNamespace
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


@pytest.mark.parametrize(("asked", "share"), [(2.0, "0.2500"), (80.0, "1.0000"), (None, None)])
def test_jax_is_told_its_part_of_a_gpus_memory_before_it_touches_one(
    monkeypatch: pytest.MonkeyPatch, asked: float | None, share: str | None
) -> None:
    jax = pytest.importorskip("search.process.backends.jax")
    name = "XLA_PYTHON_CLIENT_MEM_FRACTION"
    monkeypatch.setenv(name, "")  # It is put back as it was.
    monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    monkeypatch.setattr(jax, "gpu_sizes", lambda: {"0": 2**30, "1": 8 * 2**30})
    told: list[str | None] = []

    def devices() -> list[Any]:
        told.append(os.environ.get(name))
        return [SimpleNamespace(platform="gpu", device_kind="A card")]

    monkeypatch.setattr(jax.jax, "devices", devices)
    assert jax.use_device(asked) == "A card"
    assert told == [share]


def test_jax_keeps_to_the_cpu_where_it_is_told_to() -> None:
    jax = pytest.importorskip("search.process.backends.jax")
    before = jax.jax.config.jax_platforms
    jax.use_cpu()
    found = jax.jax.config.jax_platforms
    jax.jax.config.update("jax_platforms", before)
    assert found == "cpu"


def test_memory_errors_are_known_in_every_backends_words() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"))
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(ValueError("shapes do not match"))
