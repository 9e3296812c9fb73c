"""The one range of a folder's images of more than 8 bits: training files decide, and test files are held to it."""

from collections.abc import Mapping

from search.data.base import Say
from search.data.decode import read_values
from search.data.deep_files import Deep
from search.data.pixel_range import FULL, REFUSED, Misfit, Values, check_fits, decide, describe, merge
from search.data.threads import map_in_threads
from search.errors import InputError


def common_range(
    what: str, deep: Mapping[str, Deep], deep_test: Mapping[str, Deep], images: int, drawn: bool, say: Say
) -> tuple[str, list[str]]:
    """Find the range of a data set's images of more than 8 bits; only these are decoded.

    Args:
        what: What messages call the data set.
        deep: The training files that are deeper, with what their headers say.
        deep_test: The test files that are.
        images: The number of all training files.
        drawn: Whether the test files were drawn from the same files as the training files. Then they may be dark.
        say: Takes lines for people, about progress.

    Returns:
        ``refused`` if all images have 8 bits, or a key of ``search.data.pixel_range.WHITE``; and lines for people.

    Raises:
        InputError: There is no one range, or the test files have another. Damaged files are left to who decodes them.
    """
    if deep_test and not deep:
        path, found = next(iter(deep_test.items()))
        raise InputError(
            f"{what}: the test image {path} has more than 8 bits a pixel ({found.kind}), and no training image has: "
            "expected one range; make them alike"
        )
    every = _values_by_kind(deep, say)
    ranges = {found.kind: _decide(what, found, values) for found, values in every.items()}
    if not ranges:
        return REFUSED, []
    if len(set(ranges.values())) > 1:
        listed = ", ".join(f"{kind} files have {describe(name)}" for kind, name in ranges.items())
        raise InputError(
            f"{what}: training images of several ranges: {listed}; expected one; save all in one format, or as 8 bits"
        )
    name = next(iter(ranges.values()))
    for found, values in _values_by_kind(deep_test, say).items():
        try:
            check_fits(values, name, least=not drawn)
        except Misfit as error:
            raise InputError(
                f"{what}: test images ({found.kind}) with {error} as in training; save all images alike"
            ) from None
    return name, [_note(images, len(deep), name, every)]


def _values_by_kind(deep: Mapping[str, Deep], say: Say) -> dict[Deep, Values]:
    paths = list(deep)
    measured, _ = map_in_threads(lambda at: read_values(paths[at], deep[paths[at]]), paths, "measured", say)
    kinds: dict[Deep, list[Values]] = {}
    for path, values in zip(paths, measured, strict=True):
        if values is not None:
            # Whether zero is white or a value is transparent changes nothing of the range.
            kinds.setdefault(deep[path]._replace(inverted=False, transparent=None), []).append(values)
    return {kind: merge(values) for kind, values in kinds.items()}


def _decide(what: str, found: Deep, values: Values) -> str:
    try:
        name = decide(values)
        if found.grey or name == FULL:
            return name
        raise Misfit(
            f"{values.span} of 65,535, of which only the high byte can be read: expected more than 16,383; save all "
            "images as 8 bits"
        )
    except Misfit as error:
        raise InputError(f"{what}: training images ({found.kind}) with {error}") from None


def _note(images: int, deep: int, name: str, every: Mapping[Deep, Values]) -> str:
    kinds = ", ".join(sorted({found.kind for found in every}))
    largest = max(values.high for values in every.values())
    how_many = "all" if deep == images else f"{deep:,} of {images:,}"
    rest = "" if deep == images else "; the others are taken as 0 to 255"
    return (
        f"{how_many} training images have more than 8 bits a pixel ({kinds}, values up to {largest:,.7g}): taken as "
        f"{describe(name)}{rest}"
    )
