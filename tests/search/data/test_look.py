import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.look import Look, look_at
from search.errors import InputError


def fill(folder: Path, count: int, sizes: Sequence[tuple[int, int]]) -> None:
    """Files in ``folder`` whose widths and heights take turns."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", sizes[number % len(sizes)]).save(folder / f"{number}.png")


def look(data: object, tmp_path: Path, **more: object) -> Look | None:
    settings: dict[str, object] = {"test": 0.2, "groups": None, "cache": tmp_path / "cache", **more}
    return look_at(data, say=lambda line: None, **settings)  # type: ignore[arg-type]


def test_folders_of_classes_are_counted_as_far_as_they_will_be_trained_on(tmp_path: Path) -> None:
    fill(tmp_path / "photos" / "a", 10, [(30, 20), (50, 60)])
    fill(tmp_path / "photos" / "b", 20, [(30, 40)])
    assert look(tmp_path / "photos", tmp_path) == Look(24, 2, 8, 20, 60, equal=False)
    assert look(tmp_path / "photos", tmp_path, test=0.5) == Look(15, 2, 5, 20, 60, equal=False)


def test_parts_are_known_and_so_is_a_validation_part(tmp_path: Path) -> None:
    for part, count in (("train", 10), ("val", 4), ("test", 3)):
        for name in "ab":
            fill(tmp_path / "photos" / part / name, count, [(30, 30)])
    assert look(tmp_path / "photos", tmp_path) == Look(28, 2, 10, 30, 30, equal=True, validated=8)


def test_archive_and_table_are_looked_at_like_a_folder(tmp_path: Path) -> None:
    import shutil

    fill(tmp_path / "photos" / "a", 5, [(30, 20)])
    fill(tmp_path / "photos" / "b", 5, [(30, 20)])
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    rows = [f"photos/{name}/{number}.png,{name}" for name in "ab" for number in range(5)]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]))
    seen = Look(8, 2, 4, 20, 30, equal=True)
    assert look(archive, tmp_path) == seen
    assert look(tmp_path / "table.csv", tmp_path) == seen


def test_damaged_files_are_left_to_the_preparation_and_the_rest_is_seen(tmp_path: Path) -> None:
    fill(tmp_path / "photos" / "a", 5, [(30, 20)])
    fill(tmp_path / "photos" / "b", 5, [(30, 20)])
    (tmp_path / "photos" / "a" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = look(tmp_path / "photos", tmp_path)
    assert found is not None
    assert found.equal
    for file in (tmp_path / "photos").rglob("*.png"):
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert look(tmp_path / "photos", tmp_path) is None


def test_arrays_and_their_files_tell_their_shape(tmp_path: Path) -> None:
    images, labels = np.zeros((6, 9, 12, 3), np.uint8), np.arange(6) % 3
    seen = Look(6, 3, 0, 9, 12, equal=True)
    assert look((images, labels, images, labels), tmp_path) == seen
    np.savez(tmp_path / "set.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert look(tmp_path / "set.npz", tmp_path) == seen


def test_sets_that_are_known_by_name_are_not_loaded(tmp_path: Path) -> None:
    assert look("cifar100", tmp_path) == Look(50_000, 100, 0, 32, 32, equal=True)
    assert look("fashion_mnist", tmp_path) == Look(60_000, 10, 0, 28, 28, equal=True)


def test_what_cannot_be_looked_at_is_left_to_the_preparation(tmp_path: Path) -> None:
    (tmp_path / "file.npz").write_bytes(b"no archive")
    assert look(tmp_path / "file.npz", tmp_path) is None
    assert look("no such thing", tmp_path) is None
    assert look((1, 2, 3, 4), tmp_path) is None


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    look(tmp_path / "pipe", tmp_path)  # What is wrong with it is said where it is prepared.


def test_folder_that_can_be_read_in_two_ways_is_refused_as_ever(tmp_path: Path) -> None:
    fill(tmp_path / "photos" / "train" / "a", 2, [(30, 20)])
    with pytest.raises(InputError, match="but no test/"):
        look(tmp_path / "photos", tmp_path)


def test_digits_are_looked_at_without_those_set_aside_for_the_test(tmp_path: Path) -> None:
    found = look_at("digits", test=0.2, groups=None, cache=tmp_path)
    assert found is not None
    assert found.training == 1438
