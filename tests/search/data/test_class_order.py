"""Classes are numbered as people count, and as a study has them that is found again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.data.class_order import alike_words, in_natural_order, in_order, is_no_value
from search.data.preparation import prepare
from search.errors import InputError

Make = Callable[..., Path]
TWELVE = [f"class{number}" for number in range(12)]


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["0", "1", "10", "11", "2"], ["0", "1", "2", "10", "11"]),
        (["class10", "class2", "Class3"], ["Class3", "class2", "class10"]),
        (["a1b10", "a1b9", "a01b1", "a"], ["a", "a01b1", "a1b9", "a1b10"]),
        (["dogs", "Cats", "ants"], ["Cats", "ants", "dogs"]),
        (["1", "01"], ["01", "1"]),
        (["\u0663", "x\u00b2"], ["\u0663", "x\u00b2"]),  # an Arabic three, and a power
    ],
)
def test_names_are_sorted_by_the_numbers_in_them(names: list[str], ordered: list[str]) -> None:
    assert in_natural_order(names) == ordered


def test_classes_of_a_study_keep_their_order() -> None:
    assert in_order(TWELVE, sorted(TWELVE)) == sorted(TWELVE)
    assert in_order(TWELVE, ["other", "classes"]) == TWELVE


@pytest.mark.parametrize(
    ("name", "said"),
    [("caf\udce9", r"class 'caf\\udce9': its name is not UTF-8"), ("9" * 5000, "5,000 characters")],
)
def test_name_that_cannot_be_written_is_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        in_order(["dog", name])


def test_folders_and_arrays_have_one_order(make_folder: Make, cache: Path) -> None:
    folder = make_folder({f"train/{name}": 2 for name in TWELVE} | {f"test/{name}": 1 for name in TWELVE})
    assert prepare(folder, cache=cache).classes == tuple(TWELVE)
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    names = np.array(TWELVE * 2)
    dataset = prepare((images, names, images[:12] + 1, names[:12]), cache=cache)
    assert dataset.classes == tuple(TWELVE)
    assert dataset.train()[1].tolist() == list(range(12)) * 2


def test_old_study_finds_its_images_in_its_order(make_folder: Make, cache: Path, tmp_path: Path) -> None:
    folder = make_folder({f"train/{name}": 2 for name in TWELVE} | {f"test/{name}": 1 for name in TWELVE})
    new = prepare(folder, cache=cache)
    old = prepare(folder, cache=cache, classes=sorted(TWELVE))
    assert old.classes == tuple(sorted(TWELVE))
    assert new.fingerprint != old.fingerprint
    assert prepare(folder, cache=tmp_path / "other", classes=sorted(TWELVE)).fingerprint == old.fingerprint
    assert prepare(folder, cache=cache, classes=TWELVE) == new


@pytest.mark.parametrize("as_file", [False, True])
def test_old_study_of_arrays_finds_its_images_in_its_order(
    cache: Path, tmp_path: Path, as_file: bool
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    names = np.array(TWELVE * 2)
    arrays = {"x_train": images, "y_train": names, "x_test": images[:12] + 1, "y_test": names[:12]}
    np.savez(tmp_path / "data.npz", **arrays)
    data = str(tmp_path / "data.npz") if as_file else tuple(arrays.values())
    new, old = (prepare(data, cache=cache, classes=classes) for classes in ((), sorted(TWELVE)))
    assert (new.classes, old.classes) == (tuple(TWELVE), tuple(sorted(TWELVE)))
    assert old.train()[1].tolist() == [sorted(TWELVE).index(name) for name in names]


def test_what_programs_write_for_no_value_is_none() -> None:
    assert all(map(is_no_value, ["", "NaN", "<NA>", "None", "NULL", " null "]))
    assert all(map(is_no_value, ["NA", "N/A", "n/a", "#N/A", "NaT", r"\N"]))
    assert not any(map(is_no_value, ["none", "nano", "Na", "nat", "N", "0"]))


def test_classes_that_differ_by_case_or_spaces_alone_are_told_of() -> None:
    (words,) = alike_words(["Cat", "big_dog", "big dog", "cat ", "11", "1-1", "cow", "7", "007"])
    assert words.startswith(
        "warning: classes 'Cat' and 'cat '; 'big_dog' and 'big dog'; '7' and '007' differ by case, "
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["caf\u00e9", "cafe\u0301"], r"'caf\xe9' and 'cafe\u0301'"),
        (["\u00e9", "e\u0301"], r"'\xe9' and 'e\u0301'"),
        (["cat", "ca\u200bt", "dog"], r"'cat' and 'ca\u200bt'"),
        (["Cafe\u0301", "caf\u00e9"], "'Cafe\u0301' and 'caf\u00e9'"),
    ],
)
def test_classes_that_look_the_same_are_told_of_by_their_codes(names: list[str], said: str) -> None:
    (words,) = alike_words(names)
    assert words.startswith(f"warning: classes {said} differ by case, ")


def test_class_of_test_that_looks_as_one_of_train_is_told_of(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"train/caf\u00e9": 2, "train/dog": 2, "test/cafe\u0301": 1, "test/dog": 1})
    with pytest.raises(
        InputError, match=r"train/ has not \(it has 'caf\\xe9', of which 'cafe\\u0301' differs by case"
    ):
        prepare(folder, cache=cache)


def test_label_of_test_that_is_text_and_a_number_in_train_is_not_told_of_as_alike(cache: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    with pytest.raises(InputError, match="the label 0, which y_train has not: labels out of range"):
        prepare((images, labels, images, labels.astype(str)), cache=cache)


def test_label_of_test_that_looks_as_one_of_train_is_told_of(cache: Path) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    labels = np.array(["caf\u00e9", "dog"] * 2)
    with pytest.raises(InputError, match=r"y_train has not \(it has 'dog', of which 'Dog' differs by case"):
        prepare((images, labels, images, np.array(["Dog", "dog"] * 2)), cache=cache)


def test_classes_of_letters_and_signs_are_not_taken_for_alike() -> None:
    assert alike_words(["A", "a", "-1", "1", "-10", "10", "11", "1-1", "0", "00a", "1.05", "1.5"]) == []


def test_preparing_such_classes_warns(
    make_folder: Make, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(make_folder({"Cat": 6, "cat": 6, "dog": 6}), cache=cache)
    assert "classes 'Cat' and 'cat' differ by case" in caplog.text
