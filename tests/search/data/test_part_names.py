import pytest

from search.data.part_names import part_of, parts_mentioned


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
    assert parts_mentioned("seg_train") == {"train"}
    assert parts_mentioned("trainA") == parts_mentioned("horsesTrain") == {"train"}
    assert parts_mentioned("latest strain") == parts_mentioned("bestTrainer") == set()
