"""Folds of the training images, and when they are refused."""

import numpy as np
import pytest

from search.data import fold, split, training_split
from search.data.folds import check_folds, deal_folds, default_folds, read_folds
from search.data.splits import SplitRule
from search.errors import InputError

LABELS = np.repeat(np.arange(3), [50, 31, 20])
CLASSES = ("ants", "bees", "wasps")


def test_folds_validate_on_every_image_once_and_train_on_the_others() -> None:
    parts = [fold(LABELS, 4, which, 0) for which in range(4)]
    assert sorted(np.concatenate([part.validation for part in parts])) == list(range(101))
    for part in parts:
        assert sorted([*part.train, *part.validation]) == list(range(101))


def test_folds_are_equal_and_stratified_to_within_one_image() -> None:
    held = [fold(LABELS, 4, which, 0).validation for which in range(4)]
    assert np.ptp([len(part) for part in held]) <= 1
    by_class = np.array([np.bincount(LABELS[part], minlength=3) for part in held])
    assert (np.ptp(by_class, axis=0) <= 1).all()


def test_fold_is_sorted_as_a_split_is() -> None:
    part = fold(LABELS, 4, 1, 0)
    assert (np.diff(part.train) > 0).all()
    assert (np.diff(part.validation) > 0).all()


def test_folds_depend_on_the_seed_alone() -> None:
    np.testing.assert_array_equal(fold(LABELS, 4, 1, 5).train, fold(LABELS, 4, 1, 5).train)
    assert set(fold(LABELS, 4, 1, 6).train) != set(fold(LABELS, 4, 1, 5).train)


def test_training_split_is_a_fold_or_a_part_held_out() -> None:
    settings = {"validation": 0.25, "images": 30, "seed": 5}
    dealt = training_split(LABELS, **settings, folds=4, which=2)
    held = training_split(LABELS, **settings, folds=0, which=0)
    for found, expected in ((dealt, fold(LABELS, 4, 2, 5)), (held, split(LABELS, 0.25, 30, 5))):
        np.testing.assert_array_equal(found.train, expected.train)
        np.testing.assert_array_equal(found.validation, expected.validation)


def test_so_many_images_that_folds_are_no_use_are_refused() -> None:
    check_folds(5, (5, 50_000, 49_995), CLASSES)  # As many as may be, and of each class one a fold.
    with pytest.raises(InputError, match=r"^--folds 5: there are 100,001 .* expected at most 100,000"):
        check_folds(5, (50_000, 50_001), CLASSES[:2])


@pytest.mark.parametrize(
    ("images", "of_heads", "of_whole_nets"), [(999, 10, 5), (1000, 5, 3), (1999, 5, 3), (2000, 0, 0)]
)
def test_more_images_are_dealt_into_fewer_folds_by_default(
    images: int, of_heads: int, of_whole_nets: int
) -> None:
    assert default_folds(images, over_backbone=True) == of_heads
    assert default_folds(images, over_backbone=False) == of_whole_nets


def test_dealt_folds_are_equal_and_stratified_to_within_one_image() -> None:
    part = read_folds(deal_folds(LABELS, 4, 0))
    assert np.ptp(np.bincount(part)) <= 1
    by_class = np.array([np.bincount(part[label == LABELS]) for label in range(3)])
    assert (np.ptp(by_class, axis=1) <= 1).all()


def test_dealt_folds_depend_on_the_seed_alone() -> None:
    assert deal_folds(LABELS, 12, 5) == deal_folds(LABELS, 12, 5) != deal_folds(LABELS, 12, 6)


def test_stored_folds_are_what_is_trained_and_validated_on() -> None:
    fold_of = deal_folds(LABELS, 12, 0)
    part = training_split(LABELS, validation=0.1, images=None, folds=12, which=11, seed=7, fold_of=fold_of)
    assert part.validation.tolist() == [place for place, letter in enumerate(fold_of) if letter == "b"]
    assert sorted([*part.train, *part.validation]) == list(range(101))


def test_near_duplicates_are_dealt_into_one_fold() -> None:
    twins = np.arange(101)
    twins[60:80] = np.repeat(twins[60:70], 2)
    part = read_folds(deal_folds(LABELS, 4, 0, twins=twins))
    assert (part[60:80:2] == part[61:80:2]).all()
    assert np.ptp(np.bincount(part)) <= 4


def test_near_duplicates_join_the_groups_that_they_lie_in() -> None:
    twins = np.arange(101)
    twins[[0, 90]] = 200
    groups = np.array([f"series {number // 2}" for number in range(101)])
    part = read_folds(deal_folds(LABELS, 4, 0, SplitRule(groups=groups), twins))
    assert len({*part[[0, 1, 90, 91]]}) == 1
    assert all(len({*part[groups == name]}) == 1 for name in groups)


def test_class_with_fewer_pictures_than_folds_is_refused_though_it_has_as_many_images() -> None:
    twins = np.where(LABELS == 2, 100 + np.arange(101) % 3, np.arange(101))
    with pytest.raises(InputError, match="class 'wasps' has 3 different training pictures"):
        deal_folds(LABELS, 4, 0, twins=twins, classes=CLASSES)


def test_class_with_fewer_images_than_folds_is_named_with_the_folds_that_it_allows() -> None:
    with pytest.raises(
        InputError, match=r"^--folds 5: class 'bees' has 4 training images; .* pass --folds 4"
    ):
        check_folds(5, (50, 4, 6), CLASSES)


def test_last_class_without_a_picture_of_its_own_is_named() -> None:
    labels, twins = np.repeat([0, 1], 4), np.array([0, 1, 2, 3, 0, 1, 2, 3])
    with pytest.raises(
        InputError, match=r"class 'kittens' has 0 different training pictures; .*leave it out"
    ):
        deal_folds(labels, 2, 0, twins=twins, classes=("cats", "kittens"))


def test_class_with_one_image_allows_no_folds() -> None:
    with pytest.raises(InputError, match=r"class 'wasps' has 1 training image; .* leave it out, or add"):
        check_folds(2, (50, 4, 1), CLASSES)


def test_folds_keep_groups_whole_and_validate_on_every_image_once() -> None:
    rule = SplitRule(groups=np.array([f"series {number % 13}" for number in range(101)]))
    parts = [fold(LABELS, 4, which, 0, rule) for which in range(4)]
    assert sorted(np.concatenate([part.validation for part in parts])) == list(range(101))
    for part in parts:
        assert not set(rule.groups[part.train]) & set(rule.groups[part.validation])
        assert set(LABELS[part.validation]) == {0, 1, 2}


def test_folds_of_a_class_in_too_few_groups_are_refused_by_name() -> None:
    rule = SplitRule(groups=np.array([f"series {number // 10}" for number in range(101)]))
    with pytest.raises(
        InputError, match=r"^class 'wasps' is in 3 groups of --groups \(series 10, series 8, .*4"
    ):
        deal_folds(LABELS, 4, 0, rule, classes=CLASSES)
