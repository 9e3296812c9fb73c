"""Labels in arrays, numbers or names, as numbers of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from search.data.base import Labels
from search.data.class_order import in_order, is_no_value, unlike_words
from search.errors import InputError

Array = npt.NDArray[Any]


def class_numbers(
    y_train: Array, y_test: Array, what: str, wanted: Sequence[str]
) -> tuple[Labels, Labels, tuple[str, ...]]:
    """The class of each image, by number, and the names of the classes.

    Args:
        y_train: Labels of the training images, numbers or names.
        y_test: Of the test images.
        what: What messages call the data.
        wanted: The classes of a study that is to find its images again; see ``search.data.class_order.in_order``.

    Raises:
        InputError: They are no labels of two or more classes, the same in both.
    """
    train, test = _flat(y_train, f"{what}: y_train"), _flat(y_test, f"{what}: y_test")
    known = np.unique(train)
    if strange := [str(label) for label in np.unique(test) if label not in known]:
        raise InputError(
            f"{what}: y_test has the label {strange[0]}, which y_train has not"
            f"{unlike_words(strange[0], map(str, known))}: labels out of range; expected the same classes in both"
        )
    if len(known) < 2:
        raise InputError(f"{what}: y_train has one class ({known[0]}): expected at least two")
    if known.dtype.kind != "U" and (known[0] != 0 or known[-1] != len(known) - 1):
        raise InputError(
            f"{what}: y_train has {len(known)} different labels from {known[0]} to {known[-1]}: labels out of range; "
            f"expected whole numbers from 0 to {len(known) - 1}, none left out, or names"
        )
    names = [str(label) for label in known]
    if unnamed := [name for name in names if is_no_value(name)]:
        raise InputError(
            f"{what}: y_train has the label {unnamed[0]!r}, which stands for none; give these images a class, or leave "
            "them out; if it is a real one, rename it"
        )
    ordered = in_order(names, wanted)
    number = np.array([ordered.index(name) for name in names], np.int64)
    of_train, of_test = (number[np.searchsorted(known, labels)] for labels in (train, test))
    return of_train, of_test, tuple(ordered)


def _flat(labels: Array, name: str) -> Array:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) == 0:
        raise InputError(
            f"{name} has shape {labels.shape}: expected (images,); of one-hot labels pass y.argmax(axis=1)"
        )
    if labels.dtype == object and all(isinstance(label, str) for label in labels):
        labels = labels.astype(str)
    if labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "buiU":
        raise InputError(f"{name} holds {labels.dtype}: expected whole numbers from 0, or names")
    return labels.astype(np.int64) if labels.dtype.kind in "bu" else labels
