"""Images on the device: the same pixels, and the same training, as from the host. (Here the device is a CPU.)"""

import keras
import numpy as np
import pytest

from search.training.batches import TrainingFeed
from search.training.device_data import MOST_BYTES, Gather, fits_device, with_images

CHOSEN = np.arange(5, 85)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 16, 20, 3), dtype=np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4, 90)


def feed(images: np.ndarray, labels: np.ndarray, on_device: bool) -> TrainingFeed:
    more = {"epoch": 3, "seed": 2, "strength": 2.0, "flip": True, "on_device": on_device}
    return TrainingFeed(images, labels, CHOSEN, 16, 4, **more)


def test_gathered_batches_are_the_hosts(images: np.ndarray, labels: np.ndarray) -> None:
    gather = Gather(images[CHOSEN])
    ours, theirs = feed(images, labels, True), feed(images, labels, False)
    assert len(ours) == len(theirs) == 5
    for index in range(5):
        where, what = ours[index][0], theirs[index][0]
        assert np.array_equal(np.asarray(gather(**where)), what.astype("float32"))
        assert np.array_equal(ours[index][1], theirs[index][1])


def test_training_behind_the_images_trains_the_net_itself(images: np.ndarray, labels: np.ndarray) -> None:
    trained = []
    for on_device in (True, False):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((16, 20, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        net = keras.Sequential([*layers, keras.layers.Dense(4)])
        fitted = with_images(net, images[CHOSEN]) if on_device else net
        fitted.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        assert len(fitted.trainable_variables) == 2
        fitted.fit(feed(images, labels, on_device), verbose=0, shuffle=False)
        trained.append(net.get_weights())
    for ours, theirs in zip(*trained, strict=True):
        assert np.allclose(ours, theirs, atol=1e-6)


def test_images_stay_in_the_memory_map_on_a_cpu_and_where_they_are_many(images: np.ndarray) -> None:
    many = np.lib.stride_tricks.as_strided(images, (MOST_BYTES + 1,), (0,))
    assert fits_device("NVIDIA A100", images)
    assert not fits_device("cpu", images)
    assert not fits_device("NVIDIA A100", many)
