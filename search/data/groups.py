"""Groups: images that belong together, as those of one patient or one series do, stay in one part of every split.

A net that was trained on one scan of a patient knows that patient's other scans, and a score on them is partly memory.
So whole groups are dealt to the parts (test and training images, validation and training images, or folds), and the
parts get the classes in their proportions as well as whole groups allow.

The rule, for parts with the shares s_p of the whole and n_c images of class c in all: part p is to have about
e_pc = s_p * n_c images of class c. The groups are dealt one by one, the largest first and equal ones in random order.
Each goes where Pearson's chi-square, the sum of (x_pc - e_pc)^2 / e_pc over parts and classes, is then smallest, where
x_pc is what part p has been dealt. For a group with v_c images of class c this is the part with the smallest
sum of v_c * (2 * (x_pc - e_pc) + v_c) / e_pc over c.

An example: five patients with 4, 3, 2, 2 and 1 images of one class, of which a quarter, 3 of 12, is to be held out.
Held out, the first patient's 4 images would cost 4 * (2 * (0 - 3) + 4) / 3 = -2.7, and among the other 9 they cost
4 * (2 * (0 - 9) + 4) / 9 = -6.2: they go to the others. The second patient's 3 cost -3.0 and -2.3, and are held out.
The third's 2 would then cost 1.3 and -1.8: they go to the others, as do the fourth's and the fifth's.

    >>> patients = np.repeat(["a", "b", "c", "d", "e"], [4, 3, 2, 2, 1])
    >>> parts = deal_groups(np.zeros(12, np.int64), patients, [0.25, 0.75], [1, 1], 0, "--validation 0.25")
    >>> np.unique(patients[parts == 0]).tolist()
    ['b']

At last, a part that lacks a class gets the group with it whose move costs least. This is plain NumPy, as the split is.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from search.data.base import Labels
from search.errors import InputError

Groups = npt.NDArray[np.str_]
# Files, or groups, that a message names.
MOST_NAMED = 3


def groups_by_pattern(pattern: str, paths: Sequence[str], columns: Sequence[str] = ()) -> Groups:
    """The group of each file, by a regular expression that is searched for in its path.

    Args:
        pattern: The name of the group is what its first pair of parentheses matches or, without any, all of it.
        paths: Of the files, relative to the folder of the data, with ``/`` between folders.
        columns: The columns of a table, none of which is called so, for the message.

    Raises:
        InputError: The pattern is no regular expression, or is not found in a path; the message names the files.
    """
    compiled = check_pattern(pattern)
    found = [compiled.search(path) for path in paths]
    names = [match and match[1 if compiled.groups else 0] for match in found]
    if missing := [path for path, name in zip(paths, names, strict=True) if not name]:
        table = f"a column ({', '.join(columns)}), or " if columns else ""
        raise InputError(
            f"--groups '{pattern}': not found in the names of {len(missing):,} of {len(paths):,} images, such as "
            f"{named(missing)}; expected {table}a pattern that is in every path, such as 'patient\\d+' or "
            "'([^/_]+)_[^/]*$'"
        )
    return np.array(names, dtype=np.str_)


def check_pattern(pattern: str) -> "re.Pattern[str]":
    """Refuse a pattern that is no regular expression.

    Raises:
        InputError: It is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"--groups '{pattern}': no regular expression ({error}); expected one such as 'patient\\d+'"
        ) from None


def check_apart(parts: dict[str, Groups]) -> None:
    """Refuse groups that lie in two parts which the user has split already.

    Args:
        parts: The group of each image, by the part's name in the user's words.

    Raises:
        InputError: A group is in two parts; the message names it.
    """
    names = list(parts)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            if len(shared := np.intersect1d(parts[first], parts[second])):
                raise InputError(
                    f"--groups: {named(shared.tolist())} {'is' if len(shared) == 1 else 'are'} in both {first} and "
                    f"{second}: expected each group in one part; move its images into one of them, or leave --groups "
                    "out"
                )


def deal_groups(
    labels: Labels,
    groups: Groups,
    shares: Sequence[float],
    least: Sequence[int],
    seed: int | Sequence[int],
    flag: str,
    classes: Sequence[str] = (),
) -> Labels:
    """Deal whole groups to parts, so that each part has about its share of each class.

    Args:
        labels: Class numbers of the images ``(N,)``.
        groups: The group of each image ``(N,)``.
        shares: The fraction of the images that each part is to get; together 1.
        least: The fewest groups with images of each class that each part must have.
        seed: Decides the order of groups of equal size.
        flag: What messages say that too few groups are for.
        classes: The names of the classes, for messages.

    Returns:
        The part of each image ``(N,)``, from 0.

    Raises:
        InputError: The groups are too few; the message names the class.
    """
    names, group = np.unique(groups, return_inverse=True)
    numbers, kind = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(numbers)), np.int64)
    np.add.at(counts, (group, kind), 1)
    title = [classes[number] if classes else str(number) for number in numbers]
    _check_enough(names, counts, sum(least), flag, title)
    expected = np.outer(shares, counts.sum(axis=0))
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    dealt, part = np.zeros_like(expected), np.empty(len(names), np.int64)
    for one in order:
        part[one] = (counts[one] * (2 * (dealt - expected) + counts[one]) / expected).sum(axis=1).argmin()
        dealt[part[one]] += counts[one]
    _give_each_class(part, counts, expected, np.asarray(least), flag, title)
    return part[group]


def _check_enough(names: Groups, counts: Labels, least: int, flag: str, title: Sequence[str]) -> None:
    """Refuse a class that lies in fewer groups than the parts need."""
    having = (counts > 0).sum(axis=0)
    if having.min() >= least:
        return
    few = int(having.argmin())
    its = names[counts[:, few] > 0].tolist()
    raise InputError(
        f"class {title[few]!r} is in {len(its)} group{'s' if len(its) > 1 else ''} of --groups ({named(its)}), too few "
        f"for {flag}: expected at least {least}, since groups stay whole; add images of others, or leave --groups out"
    )


def _give_each_class(
    part: Labels,
    counts: Labels,
    expected: npt.NDArray[np.float64],
    least: Labels,
    flag: str,
    title: Sequence[str],
) -> None:
    """Move groups, in place, until each part has enough with each class; no move takes from another what it needs."""
    has = counts > 0
    while True:
        having = np.stack([has[part == number].sum(axis=0) for number in range(len(least))])
        lacking = np.argwhere(having < least[:, np.newaxis])
        if not len(lacking):
            return
        to, kind = lacking[0]
        spare = having - 1 >= least[:, np.newaxis]
        movable = has[:, kind] & (part != to) & (spare[part] | ~has).all(axis=1)
        if not movable.any():
            raise InputError(
                f"--groups: no way was found to give each part of {flag} images of class {title[kind]!r}, since groups "
                "stay whole; add images of other groups, or leave --groups out"
            )
        dealt = np.stack([counts[part == number].sum(axis=0) for number in range(len(least))])
        over = (dealt - expected) / expected
        weight = (counts**2 * (1 / expected[to] + 1 / expected[part])).sum(axis=1)
        cost = weight + 2 * (counts * (over[to] - over[part])).sum(axis=1)
        part[np.where(movable, cost, np.inf).argmin()] = to


def linked(one: Labels, other: Labels, count: int) -> Labels:
    """Number the groups ``(count,)`` that links make, each from ``one`` to ``other``, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def named(names: Sequence[str]) -> str:
    """The first of some names, and how many others there are."""
    shown = ", ".join(map(str, names[:MOST_NAMED]))
    return shown + (f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else "")
