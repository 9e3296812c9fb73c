"""Groups: found by a pattern, refused where they are split already, and dealt whole."""

import numpy as np
import pytest

from search.data.groups import check_apart, deal_groups, groups_by_pattern
from search.errors import InputError

PATHS = ["train/cat/p1_001.png", "train/dog/p1_002.png", "train/dog/p22_001.png"]


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [(r"p\d+", ["p1", "p1", "p22"]), (r"/p(\d+)_", ["1", "1", "22"]), ("cat|dog", ["cat", "dog", "dog"])],
)
def test_group_is_the_first_parentheses_or_the_whole_match(pattern: str, groups: list[str]) -> None:
    assert groups_by_pattern(pattern, PATHS).tolist() == groups


@pytest.mark.parametrize("pattern", [r"cat/p\d+", r"dog|(cat)"])
def test_files_without_a_match_are_named(pattern: str) -> None:
    with pytest.raises(
        InputError, match=r"^--groups .*not found in the names of 2 of 3 images, .*p22_001.png; "
    ) as caught:
        groups_by_pattern(pattern, PATHS)
    assert "\n" not in str(caught.value)


def test_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^--groups 'p\(': no regular expression \(missing \), .*expected one such"
    ):
        groups_by_pattern("p(", PATHS)


def test_group_in_two_given_parts_is_named() -> None:
    parts = {"train/": np.array(["a", "b"]), "valid/": np.array(["c"]), "test/": np.array(["c", "d"])}
    with pytest.raises(
        InputError, match=r"^--groups: c is in both valid/ and test/: expected each group in one"
    ):
        check_apart(parts)
    check_apart({"train/": np.array(["a", "b"]), "test/": np.array(["c"])})


def test_few_large_groups_are_dealt_so_that_each_part_has_each_class() -> None:
    labels, groups = np.tile([0, 0, 1], 12), np.repeat(list("abc"), 12)
    part = deal_groups(labels, groups, [0.1, 0.9], [1, 1], 0, "--validation 0.1")
    assert len(set(groups[part == 0])) == 1


def test_class_of_one_group_gets_it_where_no_other_part_needs_it() -> None:
    # Class 1 is in the groups a and b alone, which are not the ones that a tenth would be made of.
    labels = np.array([0] * 90 + [1] * 10)
    groups = np.array([f"g{number // 3}" for number in range(90)] + ["a"] * 5 + ["b"] * 5)
    part = deal_groups(labels, groups, [0.1, 0.9], [1, 1], 0, "--validation 0.1")
    assert np.bincount(part[labels == 1]).tolist() == [5, 5]


def test_parts_that_cannot_all_have_a_class_are_refused() -> None:
    # Whichever of the two groups is held out, it is the other's only one of a class.
    labels, groups = np.array([0, 1, 0, 2, 1, 2]), np.array(list("aabbcc"))
    with pytest.raises(
        InputError, match=r"^--groups: no way was found .* of --validation 0.1 images of class"
    ):
        deal_groups(labels, groups, [0.1, 0.9], [1, 1], 0, "--validation 0.1")


def test_groups_are_dealt_as_evenly_as_by_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), random.integers(1, 30, 60)).astype(str)
    labels = random.integers(0, 4, len(groups))
    theirs = np.zeros(len(groups), np.int64)
    for number, (_, held) in enumerate(StratifiedGroupKFold(5).split(groups, labels, groups)):
        theirs[held] = number
    off = [
        max(np.ptp(np.bincount(part[labels == kind]) / (labels == kind).sum()) for kind in range(4))
        for part in (deal_groups(labels, groups, [0.2] * 5, [1] * 5, 0, "--folds 5"), theirs)
    ]
    assert off[0] <= 1.5 * off[1]
