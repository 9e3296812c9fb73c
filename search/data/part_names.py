"""The names that people give the parts of their data, as folders and in the column of a table."""

import re

TRAIN, VALIDATION, TEST = "train", "validation", "test"
WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "trainval": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
    # Of Kaggle's competitions, as in FER2013: the leaderboard that entries were chosen by, and the one that counted.
    "publictest": VALIDATION,
    "privatetest": TEST,
}
# A part's whole name, such as Train, training_set or test-images, as plain_name makes it.
PART = re.compile(rf"({'|'.join(WORDS)})(set|data|dataset|images?|imgs|split)?")


def plain_name(name: str) -> str:
    """A name in small letters, without spaces, hyphens and underscores: ``imagepath`` of ``Image Path``."""
    return re.sub(r"[\s_-]", "", name.lower())


def part_of(name: str) -> str:
    """The part that something of this name is: ``train``, ``validation`` or ``test``; empty if it is none."""
    found = PART.fullmatch(plain_name(name))
    return WORDS[found[1]] if found else ""


def parts_mentioned(name: str) -> set[str]:
    """The parts that a name speaks of, whatever else is in it: ``seg_train``, ``trainA``, ``my test photos``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {WORDS[word] for word in re.split(r"[^a-z]+", apart.lower()) if word in WORDS}
