"""The names that people give the parts of their data, as folders and in the column of a table."""

import re

TRAIN, VALIDATION, TEST = "train", "validation", "test"
WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
# A part's whole name, such as Train, training_set or test-images.
PART = re.compile(rf"({'|'.join(WORDS)})([ _-]?(set|data|dataset|images?|imgs|split))?")


def part_of(name: str) -> str:
    """The part that something of this name is: ``train``, ``validation`` or ``test``; empty if it is none."""
    found = PART.fullmatch(name.strip().lower())
    return WORDS[found[1]] if found else ""


def parts_mentioned(name: str) -> set[str]:
    """The parts that a name speaks of, whatever else is in it, such as ``seg_train`` or ``my test photos``."""
    return {WORDS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in WORDS}
