"""Records of image files: where they are, and of which class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from search.data.base import Labels
from search.data.part_names import TRAIN

# The paths of the image files of each class.
ClassImages = dict[str, list[str]]
Content = TypeVar("Content")


class Images(NamedTuple):
    """Image files with their classes.

    Attributes:
        paths: Of the files, ``N``, class by class.
        labels: Their class numbers, ``(N,)``, int64.
    """

    paths: list[str]
    labels: Labels

    def at(self, places: Labels) -> "Images":
        """Those at these places ``(M,)``."""
        return Images([self.paths[place] for place in places], self.labels[places])

    def and_also(self, others: "Images") -> "Images":
        """These and, behind them, others."""
        return Images([*self.paths, *others.paths], np.concatenate([self.labels, others.labels]))

    def without(self, paths: Mapping[str, str]) -> "Images":
        """Those that are not among ``paths``."""
        return self.at(
            np.array([place for place, path in enumerate(self.paths) if path not in paths], np.int64)
        )


class Found(NamedTuple):
    """The image files of a source.

    Attributes:
        images: Of each part (``train``, ``validation``, ``test``), or of all under an empty name, where there are none.
        reading: What is read, in words, for a line that says so.
        notes: Lines for people.
        groups: The group of each file, by its path, where a table's column says; None where a pattern does.
        columns: Those of a table.
    """

    images: dict[str, ClassImages]
    reading: str
    notes: Sequence[str] = ()
    groups: Mapping[str, str] | None = None
    columns: Sequence[str] = ()


def trained_on(parts: Mapping[str, Mapping[str, Content]]) -> Mapping[str, Content]:
    """Of parts as ``Found.images`` has them, the classes of the training part, or of all where there are no parts."""
    return parts.get(TRAIN, parts.get("", {}))


def counts_of(images: dict[str, ClassImages]) -> dict[str, int]:
    """The number of image files of each class, over all parts."""
    total: Counter[str] = Counter()
    for of_class in images.values():
        total.update({name: len(paths) for name, paths in of_class.items()})
    return dict(total)


def flatten(of_class: Mapping[str, list[str]], classes: Sequence[str]) -> Images:
    """The files of a part, class by class in this order."""
    paths = [path for name in classes for path in of_class.get(name, [])]
    counts = [len(of_class.get(name, [])) for name in classes]
    return Images(paths, np.repeat(np.arange(len(classes), dtype=np.int64), counts))
