"""The test images of a data set are known again whatever became of them in preparation."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data.preparation import prepare

Make = Callable[..., Path]
SPLIT = {"train/a": 4, "train/b": 4, "test/a": 3, "test/b": 3}
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(8) % 2


def arrays(scale: float | None = None) -> tuple[Any, ...]:
    images = IMAGES if scale is None else IMAGES.astype(np.float32) / scale
    return images[:8], LABELS, images[8:], LABELS[:2]


@pytest.mark.parametrize("more", [{"image_size": 6}, {"image_size": 6, "resize": "crop"}])
def test_digest_of_test_files_is_the_same_at_every_size(
    make_folder: Make, cache: Path, more: dict[str, Any]
) -> None:
    folder = make_folder({"a": 5, "b": 5})
    first, other = prepare(folder, cache=cache), prepare(folder, cache=cache, **more)
    assert first.fingerprint != other.fingerprint
    assert first.test_digest == other.test_digest != ""


def test_digest_of_test_files_is_the_same_in_another_folder_under_other_names(
    make_folder: Make, cache: Path
) -> None:
    folder = make_folder(SPLIT)
    copy = shutil.copytree(folder, folder.with_name("copy"))
    for number, file in enumerate(sorted(copy.glob("test/*/*.png"), reverse=True)):
        file.rename(file.with_name(f"photo{number}.png"))
    first, other = (prepare(data, cache=cache) for data in (folder, copy))
    assert first.fingerprint != other.fingerprint
    assert first.test_digest == other.test_digest


def test_digest_of_other_test_files_is_another(make_folder: Make, cache: Path, paint: Make) -> None:
    folder = make_folder(SPLIT)
    first = prepare(folder, cache=cache).test_digest
    paint(folder / "test" / "a" / "000.png", 99)
    assert prepare(folder, cache=cache).test_digest != first


@pytest.mark.parametrize("data", ["digits", arrays()])
def test_digest_of_test_arrays_is_the_same_at_every_size(data: Any, cache: Path) -> None:
    first, other = (prepare(data, cache=cache, image_size=size) for size in (None, 12))
    assert first.fingerprint != other.fingerprint
    assert first.test_digest == other.test_digest != ""


def test_digest_of_test_arrays_is_the_same_in_floats(cache: Path) -> None:
    first, other = prepare(arrays(), cache=cache), prepare(arrays(255.0), cache=cache, image_size=12)
    assert first.test_digest == other.test_digest


def test_images_that_were_prepared_without_a_digest_are_used_as_they_are(
    make_folder: Make, cache: Path
) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    for file in (dataset.folder / "meta.json", *(cache / "requests").glob("*.json")):
        known = json.loads(file.read_text())
        del known["test_digest"]
        file.write_text(json.dumps(known))
    said: list[str] = []
    found = prepare(folder, cache=cache, say=said.append)
    assert (found.fingerprint, found.test_digest) == (dataset.fingerprint, "")
    assert said == [f"{folder}: a folder for each of 2 classes; 20 % are set aside as test images (--test)"]
