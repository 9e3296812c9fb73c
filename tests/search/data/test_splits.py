import numpy as np
import pytest

from search.data import split
from search.data.splits import SplitRule, hold_out
from search.errors import InputError

LABELS = np.repeat(np.arange(4), [400, 300, 200, 100])


def test_split_has_no_image_in_two() -> None:
    drawn = split(LABELS, 0.1, 500, 0)
    assert not set(drawn.train) & set(drawn.validation)
    assert len(set(drawn.train)) == 500
    assert len(set(drawn.validation)) == 100


def test_split_without_images_uses_all() -> None:
    drawn = split(LABELS, 0.25, None, 0)
    assert sorted([*drawn.train, *drawn.validation]) == list(range(1000))


def test_all_of_a_split_are_both_its_parts_in_order() -> None:
    drawn = split(LABELS, 0.25, 100, 0)
    assert drawn.all.tolist() == sorted([*drawn.train, *drawn.validation])


@pytest.mark.parametrize("images", [4, 77, 900])
def test_validation_is_unaffected_by_images(images: int) -> None:
    np.testing.assert_array_equal(
        split(LABELS, 0.1, images, 3).validation, split(LABELS, 0.1, None, 3).validation
    )


def test_split_is_stratified() -> None:
    drawn = split(LABELS, 0.1, 450, 0)
    assert np.bincount(LABELS[drawn.validation]).tolist() == [40, 30, 20, 10]
    assert np.bincount(LABELS[drawn.train]).tolist() == [180, 135, 90, 45]


@pytest.mark.parametrize("images", [4, 5, 101, 899, 900])
def test_split_draws_exactly_so_many_images(images: int) -> None:
    drawn = split(LABELS, 0.1, images, 0)
    assert len(drawn.train) == images
    assert np.bincount(LABELS[drawn.train], minlength=4).min() >= 1


def test_split_depends_on_seed_alone() -> None:
    again = split(LABELS, 0.1, 500, 5)
    np.testing.assert_array_equal(split(LABELS, 0.1, 500, 5).train, again.train)
    assert set(split(LABELS, 0.1, 500, 6).train) != set(again.train)


def test_split_draws_from_everywhere() -> None:
    assert np.ptp(split(np.repeat([0, 1], 500), 0.1, None, 0).validation[:50]) > 300


def test_split_of_rare_class_leaves_one_on_each_side() -> None:
    labels = np.repeat([0, 1], [500, 2])
    drawn = split(labels, 0.1, 10, 0)
    assert 1 in labels[drawn.train]
    assert 1 in labels[drawn.validation]


def test_split_of_many_rare_classes_validates_each() -> None:
    labels = np.repeat(np.arange(50), 3)
    assert np.bincount(labels[split(labels, 0.1, None, 0).validation]).tolist() == [1] * 50


def test_class_too_small_to_split_is_named() -> None:
    with pytest.raises(
        InputError, match=r"class 'bees' has 1 image, too few for --validation 0.1.*add images"
    ):
        split(np.array([0, 0, 0, 1]), 0.1, None, 0, ("ants", "bees"))


@pytest.mark.parametrize("images", [-1, 0, 3, 901, 10**9])
def test_images_out_of_range_says_the_range(images: int) -> None:
    with pytest.raises(InputError, match=f"--images {images}: expected a number from 4 .* to 900"):
        split(LABELS, 0.1, images, 0)


@pytest.mark.parametrize("validation", [-0.1, 0.0, 0.9, float("nan")])
def test_validation_out_of_range(validation: float) -> None:
    with pytest.raises(InputError, match="--validation"):
        split(LABELS, validation, None, 0)


def test_validation_part_of_the_data_is_taken_as_it_is_whatever_the_fraction() -> None:
    drawn = split(LABELS, 0.0, 50, 0, rule=SplitRule(validation=300))
    assert drawn.validation.tolist() == list(range(700, 1000))
    assert len(drawn.train) == 50
    assert drawn.train.max() < 700
    with pytest.raises(InputError, match=r"from 4 .* to 700 .*the data's own validation part leaves"):
        split(LABELS, 0.0, 701, 0, rule=SplitRule(validation=300))


def test_split_keeps_groups_whole_and_classes_in_proportion() -> None:
    groups = np.array([f"patient {number % 97}" for number in range(1000)])
    drawn = split(LABELS, 0.2, None, 0, rule=SplitRule(groups=groups))
    assert not set(groups[drawn.train]) & set(groups[drawn.validation])
    assert sorted([*drawn.train, *drawn.validation]) == list(range(1000))
    assert np.abs(np.bincount(LABELS[drawn.validation]) - [80, 60, 40, 20]).max() <= 5


def test_split_in_groups_depends_on_the_seed_alone() -> None:
    rule = SplitRule(groups=np.array([f"{number // 10}" for number in range(1000)]))
    first, again, other = (split(LABELS, 0.2, None, seed, rule=rule) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.validation, again.validation)
    assert set(first.validation) != set(other.validation)


def test_group_of_a_class_is_left_for_each_later_split() -> None:
    labels, groups = np.repeat([0, 1], 12), np.repeat(list("abcdef"), [10, 1, 1, 10, 1, 1])
    held = hold_out(labels, 0.2, [0], "--test 0.2 and a validation split", 3, groups=groups)
    rest = np.setdiff1d(np.arange(24), held)
    assert len(set(groups[held])) == 2
    split(labels[rest], 0.1, None, 0, rule=SplitRule(groups=groups[rest]))
