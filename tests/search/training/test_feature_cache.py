import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from search.data.preparation import prepare
from search.training import feature_cache as module
from search.training.feature_cache import (
    FeaturesAway,
    features_file,
    features_folder,
    open_features,
    room_for,
)
from spaces import Backbone, InputSpec

BACKBONE = Backbone("small", "small.keras", "0123", 4, 10)


class Frozen:
    """Stands in for the backbone's net: four sums of the pixels; counts the images that it is shown."""

    def __init__(self, slowly=0.0):
        self.images, self.slowly = 0, slowly

    def predict_on_batch(self, batch):
        self.images += len(batch)
        time.sleep(self.slowly)
        return features_of(batch)


def features_of(batch):
    halves = [batch[:, :, :4], batch[:, :, 4:], batch[:, :4], batch[:, 4:]]
    return np.stack([half.mean(axis=(1, 2, 3)) for half in halves], axis=1)


@pytest.fixture
def dataset(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
    labels = np.arange(200) % 2
    return prepare((images[:150], labels[:150], images[150:], labels[150:]), cache=tmp_path, say=print)


SPEC = InputSpec(8, 8, 3, 2, 0, (BACKBONE,))


def opened(dataset, frozen, tell=lambda rows, of: True, mirror=True, spec=SPEC, **more):
    return open_features(dataset, BACKBONE, spec, mirror=mirror, frozen=lambda: frozen, tell=tell, **more)


def test_features_are_those_of_image_and_mirror_image(dataset):
    found = opened(dataset, Frozen())
    images, _ = dataset.train()
    np.testing.assert_allclose(found.plain, features_of(images), rtol=1e-3)
    np.testing.assert_allclose(found.mirror, features_of(images[:, :, ::-1]), rtol=1e-3)
    assert found.plain.dtype == np.float16


def test_features_without_flips_have_no_mirror(dataset):
    frozen = Frozen()
    assert opened(dataset, frozen, mirror=False).mirror is None
    assert frozen.images == 160  # Five batches of 32; the last is filled up.


def test_features_are_computed_once(dataset):
    opened(dataset, Frozen())
    again = Frozen()
    opened(dataset, again)
    assert again.images == 0


class Narrow(Frozen):
    """Has no memory for a whole batch."""

    def predict_on_batch(self, batch):
        if len(batch) > 16:
            raise MemoryError
        return super().predict_on_batch(batch)


def test_features_that_memory_was_too_small_for_are_those_of_smaller_batches(dataset):
    with pytest.raises(MemoryError):
        opened(dataset, Narrow(), mirror=False)
    found = opened(dataset, Narrow(), mirror=False, batch=16)
    np.testing.assert_allclose(found.plain, features_of(dataset.train()[0]), rtol=1e-3)


WANTED = np.arange(0, 150, 2)


def test_features_of_some_images_are_computed_for_these_alone(dataset):
    frozen, told = Frozen(), []
    found = opened(dataset, frozen, lambda rows, of: told.append((rows, of)) is None, wanted=WANTED)
    images = dataset.train()[0][WANTED]
    np.testing.assert_allclose(found.plain[WANTED], features_of(images), rtol=1e-3)
    np.testing.assert_allclose(found.mirror[WANTED], features_of(images[:, :, ::-1]), rtol=1e-3)
    assert len(found.plain) == 150
    assert frozen.images == 2 * 96  # Three batches of 32 for each view.
    assert told[-1] == (150, 150)
    assert features_file(dataset, BACKBONE, SPEC) is None
    assert features_file(dataset, BACKBONE, SPEC, WANTED) is not None


def test_features_of_some_images_are_those_of_all_where_these_are_there(dataset):
    opened(dataset, Frozen())
    again = Frozen()
    found = opened(dataset, again, wanted=WANTED)
    assert again.images == 0
    np.testing.assert_allclose(found.plain, features_of(dataset.train()[0]), rtol=1e-3)
    assert features_file(dataset, BACKBONE, SPEC, WANTED) == features_file(dataset, BACKBONE, SPEC)


def test_features_of_some_images_stay_what_they_were_when_all_are_computed(dataset):
    """A sum's last digits may differ: a trial that goes on must find the very numbers that it began with."""
    opened(dataset, Frozen(), wanted=WANTED)
    opened(dataset, Frozen())
    assert features_file(dataset, BACKBONE, SPEC, WANTED).parent == features_folder(
        dataset, BACKBONE, SPEC, WANTED
    )


def test_features_of_some_images_that_were_never_begun_are_those_of_all(dataset):
    features_folder(dataset, BACKBONE, SPEC, WANTED).mkdir(parents=True)  # Killed before its first row.
    opened(dataset, Frozen())
    assert features_file(dataset, BACKBONE, SPEC, WANTED) == features_file(dataset, BACKBONE, SPEC)


def test_room_for_rows_apart_is_no_less_than_what_they_take(tmp_path):
    shape, file = (5000, 1280), tmp_path / "features.npy"
    features = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
    rows = np.arange(3, 5000, 10)
    features[rows] = 1
    features.flush()
    taken = 512 * file.stat().st_blocks
    assert 2 * 1280 * len(rows) < taken <= room_for(len(rows), shape) + 4096  # Its head is a block.
    assert room_for(5000, shape) == 2 * 1280 * 5000


def test_features_of_another_size_are_others(dataset):
    larger = InputSpec(8, 8, 3, 2, 96, (BACKBONE,))
    assert features_folder(dataset, BACKBONE, SPEC) != features_folder(dataset, BACKBONE, larger)


def test_filling_that_was_stopped_goes_on_where_it_was(dataset, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_RECORDS", 0.0)
    first, second = Frozen(), Frozen()
    with pytest.raises(FeaturesAway):
        opened(dataset, first, tell=lambda rows, of: rows < 96)
    assert features_file(dataset, BACKBONE, SPEC) is None
    found = opened(dataset, second, mirror=False)
    assert (first.images, second.images) == (96, 64)
    np.testing.assert_allclose(found.plain, features_of(dataset.train()[0]), rtol=1e-3)


def test_progress_counts_both_views(dataset):
    told = []
    opened(dataset, Frozen(), tell=lambda rows, of: told.append((rows, of)) is None)
    assert told[-1] == (300, 300)


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"")], ids=["gone", "empty"])
def test_file_that_is_not_there_is_not_taken_for_filled(dataset, harm):
    opened(dataset, Frozen())
    harm(features_folder(dataset, BACKBONE, SPEC) / "plain.npy")
    told = []

    def tell(rows, of):
        told.append(features_file(dataset, BACKBONE, SPEC))
        return True

    found = opened(dataset, Frozen(), tell)
    assert told[:2] == [None, None]
    np.testing.assert_allclose(found.plain, features_of(dataset.train()[0]), rtol=1e-3)


def test_numbers_that_are_none_are_refused(dataset):
    class Broken(Frozen):
        def predict_on_batch(self, batch):
            return np.full((len(batch), 4), np.nan)

    with pytest.raises(ValueError, match="no numbers for images 0 to 31"):
        opened(dataset, Broken())
    assert features_file(dataset, BACKBONE, SPEC) is None


def test_disk_that_is_too_small_is_named(dataset, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"features need .* kB, but .* has 1 kB free"):
        opened(dataset, Frozen())


def fill_slowly(dataset):
    module.SECONDS_BETWEEN_RECORDS = 0.0
    opened(dataset, Frozen(slowly=0.3), mirror=False)


def test_killed_filler_is_gone_on_with_by_who_waited(dataset):
    filler = multiprocessing.get_context("fork").Process(target=fill_slowly, args=(dataset,))
    filler.start()
    folder = features_folder(dataset, BACKBONE, SPEC)
    while not (folder / "plain.json").exists():
        time.sleep(0.02)
    waited = []

    def tell(rows, of):
        if not waited:  # The first word while another fills.
            os.kill(filler.pid, signal.SIGKILL)
            filler.join()
        waited.append(rows)
        return True

    frozen = Frozen()
    found = opened(dataset, frozen, tell, mirror=False)
    assert 0 < waited[0] < 150
    assert frozen.images < 160
    np.testing.assert_allclose(found.plain, features_of(dataset.train()[0]), rtol=1e-3)
