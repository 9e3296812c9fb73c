"""The names that people give the parts of their data, as folders and in the column of a table."""

import re
from collections.abc import Iterable

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
# Of folders of one part, one that is not called so is the part.
SECONDARY = ("trainval", "publictest", "privatetest")
# A part's whole name, such as Train, training_set or test-images, as plain_name makes it.
PART = re.compile(rf"({'|'.join(WORDS)})(set|data|dataset|images?|imgs|split)?")


def plain_name(name: str) -> str:
    """A name in small letters, without spaces, hyphens and underscores: ``imagepath`` of ``Image Path``."""
    return re.sub(r"[\s_-]", "", name.lower())


def part_of(name: str) -> str:
    """The part that something of this name is: ``train``, ``validation`` or ``test``; empty if it is none."""
    found = PART.fullmatch(plain_name(name))
    return WORDS[found[1]] if found else ""


def without_secondary(names: list[str]) -> list[str]:
    """Of names of one part the usual ones, if there are any: ``train`` of ``train`` and ``trainval``."""
    return [name for name in names if not plain_name(name).startswith(SECONDARY)] or names


def parts_mentioned(names: Iterable[str]) -> dict[str, set[str]]:
    """The parts that each of some names speaks of, whatever else is in it: ``seg_train``, ``my test photos``.

    In camel case only where another part has the same beside it, as ``trainA`` and ``testA``: TrainStation is a class.
    """
    found: dict[str, set[str]] = {}
    beside: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        found[name] = {WORDS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in WORDS}
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
        for word in re.finditer(r"[a-z]+", apart):
            if part := WORDS.get(word[0]):
                beside.setdefault(f"{apart[: word.start()]}/{apart[word.end() :]}", []).append((name, part))
    for same in beside.values():
        if len({part for _, part in same}) > 1:
            for name, part in same:
                found[name].add(part)
    return {name: parts for name, parts in found.items() if parts}
