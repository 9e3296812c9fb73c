"""Folders, archives and tables as people have them, from what is given to what is in the cache and on the screen."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data.dataset import Dataset, open_dataset
from search.data.decode import decode
from search.data.preparation import prepare
from search.errors import InputError

Make = Callable[..., Path]


@pytest.fixture
def prepared(cache: Path) -> Callable[..., tuple[Dataset, list[str]]]:
    """Prepare data; gives also the lines for people."""

    def call(data: Path, **settings: Any) -> tuple[Dataset, list[str]]:
        said: list[str] = []
        return prepare(data, cache=cache, say=said.append, **settings), said

    return call


@pytest.fixture
def refused(cache: Path) -> Callable[..., None]:
    def call(data: Path, message: str, **settings: Any) -> None:
        with pytest.raises(InputError, match=message) as caught:
            prepare(data, cache=cache, say=lambda line: None, **settings)
        assert "\n" not in str(caught.value)

    return call


def write_table(path: Path, *rows: Sequence[object]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_three_parts_are_used_as_they_are(make_folder: Make, prepared: Callable[..., Any]) -> None:
    folder = make_folder(
        {"out/Train/a": 4, "out/Train/b": 3, "out/valid/b": 2, "out/valid/a": 1, "out/TEST/a": 2}
    )
    dataset, said = prepared(folder)
    assert (dataset.train_counts, dataset.test_counts, dataset.validation_images) == ((5, 5), (2, 0), 3)
    assert (
        f"Train/, valid/ and TEST/ of {folder}/out: 3 parts, 2 classes; valid/ is the validation part"
        in said[1]
    )
    assert "warning: TEST/ has no images of b" in said
    images, labels = dataset.train()
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    for place, file in {0: "Train/a/000", 7: "valid/a/000", 9: "valid/b/001"}.items():
        np.testing.assert_array_equal(images[place], decode(folder / "out" / f"{file}.png", 10, 12, 3))
    assert dataset.rule().validation == 3


def test_without_a_test_part_one_is_drawn_of_train_and_said(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({"train/a": 10, "train/b": 10, "val/a": 2, "val/b": 3})
    dataset, said = prepared(folder, test=0.2)
    assert (dataset.train_counts, dataset.test_counts, dataset.validation_images) == ((10, 11), (2, 2), 5)
    assert said[1].endswith(
        "val/ is the validation part, as it is, and 20 % of train/ are set aside as test images (--test); to have "
        "val/ be the test part instead, rename it to test/"
    )


def test_data_with_a_validation_part_is_other_data_than_without(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1})
    with_it, _ = prepared(folder)
    without_it, said = prepared(folder, validation_part=False)
    assert (without_it.train_counts, without_it.validation_images) == ((3, 3), 0)
    assert any("only train/ and test/ of" in line and "not val" in line for line in said)
    shutil.rmtree(folder / "val")
    assert prepared(folder)[0].fingerprint == without_it.fingerprint != with_it.fingerprint


def test_what_the_data_says_about_the_split_is_known_without_its_test_images(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    dataset, _ = prepared(make_folder({"train/a": 3, "train/b": 3, "val/b": 1, "test/a": 1}), groups=".*")
    shutil.rmtree(dataset.folder / "sealed")
    rule = open_dataset(dataset.folder).rule()
    assert (rule.validation, rule.groups.tolist()[-1]) == (1, "val/b/000.png")


def test_unlabelled_test_images_are_refused_with_the_fix(
    make_folder: Make, paint: Make, refused: Callable[..., None]
) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3})
    paint(folder / "test" / "1.png")
    refused(folder, r"test: no folders in it; .*; if these images have no labels, move test/ elsewhere")


def test_class_of_validation_alone_is_refused(make_folder: Make, refused: Callable[..., None]) -> None:
    refused(
        make_folder({"train/a": 3, "train/b": 3, "val/A": 1, "test/a": 1}),
        r"val/ has the class 'A', which train/ has not: expected the same classes",
    )


def test_groups_stay_whole_in_the_test_part_and_are_kept(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({f"{kind}/p{patient}": 3 for kind in "ab" for patient in range(10)})
    dataset, said = prepared(folder, groups=r"/(p\d+)/", test=0.2)
    assert dataset.groups == 8
    groups = dataset.rule().groups
    assert groups is not None
    assert set(Counter(groups.tolist()).values()) == {6}
    assert dataset.test_counts == (6, 6)
    assert any(
        line.startswith("--groups: 10 groups of 6 images, such as p0, p1, p2 and 7 more") for line in said
    )


def test_data_in_groups_is_other_data_than_without(make_folder: Make, prepared: Callable[..., Any]) -> None:
    folder = make_folder({"train/a": 4, "train/b": 4, "test/a": 1, "test/b": 1})
    for kind in "ab":
        (folder / f"test/{kind}/000.png").rename(folder / f"test/{kind}/900.png")
    found = [
        prepared(folder, groups=groups)[0].fingerprint
        for groups in (r"[ab]/\d", r"[^/]+/\d+", None, r"[ab]/\d")
    ]
    assert found[0] == found[3]
    assert len(set(found)) == 3


def test_group_in_two_given_parts_is_refused_by_name(make_folder: Make, refused: Callable[..., None]) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    refused(folder, r"^--groups: 000 is in both train/ and test/: expected each group in one", groups=r"\d+")
    refused(
        folder,
        r"^--groups 'p\\d\+': not found in the names of 8 of 8 images, such as train/a/000",
        groups=r"p\d+",
    )
    refused(folder, r"^--groups '\(': no regular expression", groups="(")


def test_too_few_groups_for_a_test_part_are_refused(make_folder: Make, refused: Callable[..., None]) -> None:
    folder = make_folder({"a/p1": 4, "a/p2": 4, "b/p1": 4, "b/p2": 4})
    refused(
        folder, r"^class 'a' is in 2 groups of --groups \(p1, p2\), too few for --test 0.2 and", groups=r"p\d"
    )


def test_folders_of_which_two_levels_may_be_the_classes_are_refused_without_groups(
    make_folder: Make, prepared: Callable[..., Any], refused: Callable[..., None]
) -> None:
    folder = make_folder({f"{kind}/p{patient}": 2 for kind in "ab" for patient in range(10)})
    refused(folder, "a/, b/ hold no images of their own but share the folders p0/, .* name these by --groups")
    assert prepared(folder, groups="p[0-9]")[0].classes == ("a", "b")
    assert prepared(folder, classes=["a", "b"])[0].classes == ("a", "b")


def test_damaged_image_of_the_validation_part_leaves_the_others(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "val/a": 2, "val/b": 1, "test/a": 1, "test/b": 1})
    (folder / "val/a/000.png").write_bytes(b"")
    dataset, _ = prepared(folder, skip_damaged=True)
    assert (dataset.train_counts, dataset.validation_images) == ((4, 4), 2)


def test_validation_part_of_damaged_images_alone_is_refused(
    make_folder: Make, refused: Callable[..., None]
) -> None:
    folder = make_folder({"train/a": 3, "train/b": 3, "val/a": 1, "test/a": 1, "test/b": 1})
    (folder / "val/a/000.png").write_bytes(b"")
    refused(folder, "val/ has no image that can be decoded", skip_damaged=True)


def test_table_gives_parts_classes_and_groups(make_folder: Make, prepared: Callable[..., Any]) -> None:
    folder = make_folder({"images": 12})
    rows = [
        (f"images/{n:03}.png", n % 2 + 9, ["train", "train", "val", "test"][n // 3], f"p{n // 3}")
        for n in range(12)
    ]
    table = write_table(folder / "labels.csv", ("image", "label", "split", "patient"), *rows)
    dataset, said = prepared(table, groups="patient")
    assert dataset.classes == ("9", "10")
    assert (dataset.train_counts, dataset.test_counts, dataset.validation_images) == ((5, 4), (1, 2), 3)
    assert (dataset.groups, dataset.source) == (3, str(table))
    assert (
        f"{table}: 12 images of 2 classes in 3 parts (train, validation, test); validation is used as it is"
        in said
    )
    np.testing.assert_array_equal(dataset.train()[0][1], decode(folder / "images/002.png", 10, 12, 3))


def test_table_without_a_split_has_test_images_set_aside(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({"images": 10})
    table = write_table(
        folder / "t.tsv", ["file\tclass"], *([f"images\\{n:03}.png\t{'ab'[n % 2]}"] for n in range(10))
    )
    dataset, said = prepared(table)
    assert (dataset.train_counts, dataset.test_counts) == ((4, 4), (1, 1))
    assert f"{table}: 10 images of 2 classes; 20 % are its test images (--test)" in said


def test_table_names_all_files_that_are_not_there(make_folder: Make, refused: Callable[..., None]) -> None:
    folder = make_folder({"images": 4})
    rows = [(f"images/{n:03}.png", "ab"[n % 2]) for n in range(6)]
    table = write_table(folder / "labels.csv", ("path", "label"), *rows)
    refused(
        table, r"2 of 6 image files .*\(1 of 3 of a, 1 of 3 of b\), the first is images/004.png: no such file"
    )
    rows = [(f"{n:03}.png", "ab"[n % 2]) for n in range(6)]
    refused(
        write_table(table, ("path", "label"), *rows),
        r"none of its 6 files is there, such as .*/images/000.png; exp",
    )


def test_table_of_a_folder_or_without_train_is_refused(
    make_folder: Make, refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 4})
    table = write_table(folder / "labels.csv", ("path", "label"), ("images", "a"), ("images/000.png", "b"))
    refused(table, r"labels.csv: .*/images is a folder; expected the path of an image")
    rows = [("images/000.png", "a", "test"), ("images/001.png", "b", "val")]
    refused(
        write_table(table, ("path", "label", "split"), *rows),
        "its split has no train, only test, validation; expected",
    )


def test_table_of_a_study_is_read_as_before(
    make_folder: Make, prepared: Callable[..., Any], refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 8})
    rows = [(f"images/{n:03}.png", ("NA", "x")[n % 2], ("train", "test")[n // 4]) for n in range(8)]
    table = write_table(folder / "l.csv", ("path", "label", "phase"), *rows)
    refused(table, "column phase holds train, test, and seems to be the split")
    assert prepared(table, classes=["NA", "x"])[0].classes == ("NA", "x")


def test_group_of_a_table_in_two_parts_is_refused_by_name(
    make_folder: Make, refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 4})
    rows = [(f"images/{n:03}.png", "ab"[n % 2], ["train", "test"][n // 2], n % 2) for n in range(4)]
    table = write_table(folder / "labels.csv", ("path", "label", "split", "patient"), *rows)
    refused(table, "^--groups: 0, 1 are in both split train and split test", groups="patient")
    refused(
        table,
        "^--groups 'patiend': not found in the names of 4 .* expected a column \\(path, label, split, patient\\), or",
        groups="patiend",
    )


def test_changed_image_of_a_table_is_read_again(
    make_folder: Make, paint: Make, prepared: Callable[..., Any]
) -> None:
    folder = make_folder({"images": 8})
    table = write_table(
        folder / "l.csv", ("path", "label"), *((f"images/{n:03}.png", "ab"[n % 2]) for n in range(8))
    )
    first, _ = prepared(table)
    paint(folder / "images/003.png", 77)
    assert prepared(table)[0].fingerprint != first.fingerprint


def test_table_beside_images_is_used_and_beside_classes_is_told(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    flat = make_folder({"images": 8}, "flat")
    write_table(flat / "l.csv", ("path", "label"), *((f"images/{n:03}.png", "xy"[n % 2]) for n in range(8)))
    assert prepared(flat)[0].classes == ("x", "y")
    classes = make_folder({"a": 4, "b": 4}, "classes")
    write_table(classes / "l.csv", ("path", "label"), ("a/000.png", "x"))
    dataset, said = prepared(classes)
    assert dataset.classes == ("a", "b")
    assert any(
        line.startswith("warning: ") and "l.csv has labels too, and is not used" in line for line in said
    )


def test_class_that_is_called_as_a_part_is_told(make_folder: Make, prepared: Callable[..., Any]) -> None:
    dataset, said = prepared(make_folder({"a": 4, "test": 4}))
    assert dataset.classes == ("a", "test")
    assert (
        "warning: test/ is taken for a class, since its images lie right in it: if they are a part" in said[2]
    )


def test_split_without_labels_beside_classes_is_told(make_folder: Make, prepared: Callable[..., Any]) -> None:
    folder = make_folder({"a": 4, "b": 4})
    table = write_table(folder / "split.csv", ("path", "split"), ("a/000.png", "test"))
    _, said = prepared(folder)
    assert (
        f"warning: {table} has a split, and is not used, since it has no labels: to take it, add" in said[2]
    )


def test_classes_of_a_study_in_camel_case_are_found_again(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    classes = ("Bus", "TestTube", "TrainStation")
    folder = make_folder(dict.fromkeys(classes, 4))
    assert prepared(folder)[0].classes == prepared(folder, classes=classes)[0].classes == classes


def test_part_of_a_secondary_name_is_said_to_be_unused(
    make_folder: Make, prepared: Callable[..., Any]
) -> None:
    names = ("train", "trainval", "test", "private_test")
    dataset, said = prepared(make_folder({f"{name}/{label}": 3 for name in names for label in "ab"}))
    assert (dataset.train_counts, dataset.test_counts) == ((3, 3), (3, 3))
    assert any(line.endswith("are used, not private_test, trainval") for line in said)


def test_table_that_divides_the_folders_beside_it_is_refused(
    make_folder: Make, prepared: Callable[..., Any], refused: Callable[..., None]
) -> None:
    folder = make_folder({"images_1": 4, "images_2": 4})
    rows = [(f"images_{n // 4 + 1}/{n % 4:03}.png", "xy"[n % 2]) for n in range(8)]
    table = write_table(folder / "l.csv", ("path", "label"), *rows)
    refused(
        folder, r"l.csv gives the images in images_1/ several labels: .* pass --data .*l.csv, to take the"
    )
    assert prepared(table)[0].classes == ("x", "y")
    # A study of an older version has taken the folders for its classes.
    assert prepared(folder, classes=["images_1", "images_2"])[0].classes == ("images_1", "images_2")


def test_file_that_a_table_names_in_two_ways_is_one_image(
    make_folder: Make, prepared: Callable[..., Any], refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 10})
    rows = [(f"images/{n:03}.png", "xy"[n % 2]) for n in range(10)]
    table = folder / "l.csv"
    for again in (folder / "images/000.png", r"images\000.png"):
        dataset, _ = prepared(write_table(table, ("path", "label"), *rows, (again, "x")))
        assert sum(dataset.train_counts) + sum(dataset.test_counts) == 10
        refused(
            write_table(table, ("path", "label"), *rows, (again, "y")),
            "images/000.png is there twice, as label x and y; expected one row",
        )


def test_data_that_cannot_be_looked_at_is_refused(refused: Callable[..., None]) -> None:
    refused(Path("x" * 300), r"cannot be looked at \(File name too long\)")


def test_table_of_a_pipe_is_refused_and_not_waited_for(
    make_folder: Make, refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 4})
    os.mkfifo(folder / "pipe.png")
    table = write_table(folder / "labels.csv", ("path", "label"), ("pipe.png", "a"), ("images/000.png", "b"))
    refused(table, r"pipe.png is no file but a pipe or a device; expected the path of an image in each row")


def test_two_tables_beside_images_are_refused(make_folder: Make, refused: Callable[..., None]) -> None:
    folder = make_folder({"images": 8})
    for name in ("train.csv", "test.csv"):
        write_table(folder / name, ("path", "label"), ("images/000.png", "x"))
    refused(
        folder, "no folders of classes, and the tables test.csv, train.csv: expected one, with a column split"
    )


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_archive_is_as_its_folder(
    make_folder: Make, tmp_path: Path, prepared: Callable[..., Any], kind: str
) -> None:
    folder = make_folder(
        {"photos/train/a": 3, "photos/train/b": 3, "photos/valid/a": 1, "photos/test/a": 1}, "x"
    )
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), kind, folder))
    dataset, said = prepared(archive)
    assert (dataset.source, dataset.validation_images) == (str(archive), 1)
    assert any(f"train/, valid/ and test/ of {archive}/photos: 3 parts, 2 classes" in line for line in said)
    assert dataset.fingerprint == prepared(folder)[0].fingerprint


def test_archive_without_folders_of_classes_is_named_as_it_was_given(
    make_folder: Make, tmp_path: Path, refused: Callable[..., None]
) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", make_folder({".": 3}, "x")))
    refused(archive, f"^--data {archive}: no folders in it; expected train/<class>/")


def test_archive_may_hold_a_table_of_files_inside_it(
    make_folder: Make, paint: Make, tmp_path: Path, prepared: Callable[..., Any], refused: Callable[..., None]
) -> None:
    folder = make_folder({"images": 8}, "x")
    rows = [(f"images/{n:03}.png", "xy"[n % 2]) for n in range(8)]
    write_table(folder / "labels.csv", ("path", "label"), *rows)
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", folder))
    assert prepared(archive)[0].classes == ("x", "y")
    outside = paint(tmp_path / "outside.png")
    write_table(folder / "labels.csv", ("path", "label"), *rows, (outside, "x"))
    archive = Path(shutil.make_archive(str(tmp_path / "other"), "zip", folder))
    refused(archive, "names '.*outside.png', which is outside the archive")
