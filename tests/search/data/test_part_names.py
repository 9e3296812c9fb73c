import pytest

from search.data.part_names import part_of, parts_mentioned, without_secondary


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("VAL", "validation"),
        ("valid", "validation"),
        ("Validation", "validation"),
        ("testing", "test"),
        ("test_set", "test"),
        ("Train images", "train"),
        ("trainval", "train"),
        ("PublicTest", "validation"),
        ("private_test", "test"),
        ("trainer", ""),
        ("test_tube", ""),
        ("cat", ""),
    ],
)
def test_part_is_known_by_its_whole_name(name: str, part: str) -> None:
    assert part_of(name) == part


def test_parts_are_mentioned_by_words_of_a_name() -> None:
    assert parts_mentioned(["seg_train", "latest strain", "bestTrainer"]) == {"seg_train": {"train"}}


def test_parts_are_mentioned_in_camel_case_where_the_rest_is_the_same() -> None:
    assert parts_mentioned(["trainA", "testA", "horsesTrain", "horsesVal"]) == {
        "trainA": {"train"},
        "testA": {"test"},
        "horsesTrain": {"train"},
        "horsesVal": {"validation"},
    }
    assert parts_mentioned(["TrainStation", "TestTube", "valDisere", "trainA", "testB", "Bus"]) == {}


def test_usual_name_of_a_part_comes_before_others() -> None:
    assert without_secondary(["train", "trainval"]) == ["train"]
    assert without_secondary(["Private_Test", "testing"]) == ["testing"]
    assert without_secondary(["trainval"]) == ["trainval"]
    assert without_secondary(["val", "valid"]) == ["val", "valid"]
