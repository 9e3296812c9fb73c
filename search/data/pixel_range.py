"""The range of pixels that are deeper than 8 bits: one decision a data set, found from all of its training images.

A file of 16 bits does not say which of them are used: cameras of 10, 12 and 14 bits, microscopes and X-rays store
their values in 16, and a value of 4,000 is nearly white in one data set and nearly black in another. No image can tell
by itself, so that all training images are looked at once, and the same answer then holds for test images and for what
is predicted. Pixels of 8 bits are from 0 to 255, whatever values they hold: they need no decision.

Whole numbers have the smallest of 8, 10, 12, 14 and 16 bits that holds the largest value. Floats are from 0 to 1 or
from 0 to 255. An example: PNG files of 16 bits with values from 20 to 200 have 8 bits, with values up to 3,980 they
have 12, and each value v becomes v >> 4, that is, 3,980 becomes 248 of 255. What fits no range, or one only because of
a few stray values, is refused.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.data.base import Pixels

# Part of the requests that the cache answers: to be raised when the same files would be decoded by another rule.
RULE = 1
# What there is to say of a data set without any pixel beyond 8 bits: deeper files are not for its nets.
REFUSED = "refused"
UNIT, FLOATS = "floats 0 to 1", "floats 0 to 255"
FULL = "16 bits"
# The value that becomes 255.
WHITE = {"8 bits": 255, "10 bits": 1023, "12 bits": 4095, "14 bits": 16383, FULL: 65535, UNIT: 1, FLOATS: 255}
WHOLE = tuple(name for name in WHITE if name not in (UNIT, FLOATS))
# The ranges that data sets had, if by luck, before others were told apart: their fingerprints stay as they were.
UNMARKED = (REFUSED, FULL, UNIT, FLOATS)
# Half a step of the 255 in which images end: what floats may lie outside of their range, for it is rounded away.
HALF = 0.5
# Above these the range is the next larger one; the first is for floats.
RUNGS = (1 + HALF / 255, 255, 1023, 4095, 16383)
# Floats up to here, but not up to 1, are in no range that one can be sure of.
LEAST_OF_255 = 2
# Fewer than one value in so many is no reason for a larger range: hot pixels, and marks drawn in white.
ONE_IN = 100_000
# A test part or a file whose largest value is less than this part of the range has another one.
LEAST_SHARE = 16

Array = npt.NDArray[Any]


class Misfit(ValueError):
    """Pixels are not in the range that they should be in; the message says how, and what to do."""


class Values(NamedTuple):
    """What is known of the values of one or more images.

    Attributes:
        floats: Whether they are floats.
        low: The smallest; NaN if any value is.
        high: The largest, or the white that the files name themselves.
        nonzero: How many there are, without zeros.
        above: How many are above each of ``RUNGS``.
        lowest: The image that holds the smallest, for messages.
        highest: The image that holds the largest.
    """

    floats: bool
    low: float
    high: float
    nonzero: int
    above: tuple[int, ...]
    lowest: str
    highest: str

    @property
    def span(self) -> str:
        """The smallest and largest value, with their image."""
        where = self.highest if self.low >= 0 else self.lowest  # Where it is NaN, too.
        return f"values from {_number(self.low)} to {_number(self.high)}{f' ({where})' if where else ''}"


def measure(values: Array, image: str = "") -> Values:
    """Look at the values of images of any shape.

    Args:
        values: Whole numbers or floats.
        image: What messages call the image; empty if it is one of many in an array.
    """
    low, high = float(values.min()), float(values.max())
    above = tuple(int(np.count_nonzero(values > rung)) if high > rung else 0 for rung in RUNGS)
    floats = values.dtype.kind == "f"
    return Values(floats, low, high, int(np.count_nonzero(values)), above, image, image)


def merge(measured: Iterable[Values]) -> Values:
    """The values of several images together."""
    every = list(measured)
    lowest, highest = min(every, key=lambda one: one.low), max(every, key=lambda one: one.high)
    # A NaN is neither smaller nor larger than anything.
    lowest = next((one for one in every if np.isnan(one.low)), lowest)
    return Values(
        any(one.floats for one in every),
        lowest.low,
        highest.high,
        sum(one.nonzero for one in every),
        tuple(map(sum, zip(*(one.above for one in every), strict=True))),
        lowest.lowest,
        highest.highest,
    )


def decide(values: Values) -> str:
    """Find the range of a data set.

    Args:
        values: Of all of its training images.

    Returns:
        A key of ``WHITE``.

    Raises:
        Misfit: They are in no range, or in one only by a few stray values.
    """
    if not np.isfinite([values.low, values.high]).all():
        raise Misfit(f"{values.span}: expected numbers; replace NaN and infinity by numbers")
    return _decide_floats(values) if values.floats else _decide_whole(values)


def _decide_whole(values: Values) -> str:
    if values.low < 0 or values.high > WHITE[FULL]:
        raise Misfit(
            f"{values.span}: expected whole numbers from 0 to 65,535; shift and scale all images alike, to 0 to 255"
        )
    if values.high <= 1:
        raise Misfit(
            f"{values.span}, in more than 8 bits: expected a range that can be told from its values; save masks as "
            "uint8, 0 and 255"
        )
    name = next(name for name in WHOLE if values.high <= WHITE[name])
    rung = WHOLE.index(name)
    if rung and values.above[rung] <= max(1, values.nonzero // ONE_IN):
        below = WHITE[WHOLE[rung - 1]]
        raise Misfit(
            f"{values.span}, but only {values.above[rung]:,} of {values.nonzero:,} above {below:,}: expected a range "
            f"that is used; if they are stray, clip all images to 0 to {below:,}, if not, save all as 8 bits"
        )
    return name


def _decide_floats(values: Values) -> str:
    if values.low >= -HALF / 255 and values.high <= RUNGS[0]:
        return UNIT
    small = values.nonzero - values.above[0]
    if not (values.low > -HALF and LEAST_OF_255 <= values.high < 255 + HALF) or small > values.above[0]:
        most = f", and {small:,} of {values.nonzero:,} up to 1" if values.high > 1 and values.low >= 0 else ""
        raise Misfit(
            f"{values.span}{most}: expected floats from 0 to 1 or from 0 to 255 in all; scale all images alike (not "
            "standardised: the model does that itself)"
        )
    return FLOATS


def check_fits(values: Values, name: str, least: bool = True) -> None:
    """Check that images are in the range that a data set has.

    Args:
        values: Of a test part, or of one image.
        name: The data set's range, a key of ``WHITE``.
        least: Whether their largest value must be at least a sixteenth of the range. One image may be dark.

    Raises:
        Misfit: They are not.
    """
    white = WHITE[name]
    if values.floats != (name in (UNIT, FLOATS)):
        raise Misfit(f"{'floats' if values.floats else 'whole numbers'}: expected {describe(name)}")
    room = white * HALF / 255 if values.floats else 0
    if not (values.low >= -room and values.high <= white + room):
        raise Misfit(f"{values.span}: expected {describe(name)}")
    # Floats up to 1 among those up to 255 are of the other kind, of one image too.
    floor = white / LEAST_SHARE if least else RUNGS[0] if name == FLOATS else 0
    if (values.high > 0 or least) and values.high <= floor:
        raise Misfit(f"{values.span}, far below {describe(name)}")


def describe(name: str) -> str:
    """A range in words, such as ``12 bits (0 to 4,095)``."""
    return name if name in (UNIT, FLOATS) else f"{name} (0 to {WHITE[name]:,})"


def to_pixels(values: Array, name: str) -> Pixels:
    """Bring values to 0 to 255: of whole numbers the high 8 bits are kept, floats are scaled and rounded.

    Args:
        values: Images of any shape whose values are in the range.
        name: The range, a key of ``WHITE``.

    Returns:
        The same shape, uint8.
    """
    if name in (UNIT, FLOATS):
        return np.rint(values * (255 / WHITE[name])).clip(0, 255).astype(np.uint8)
    bits = int(WHITE[name]).bit_length()
    return (values >> (bits - 8)).astype(np.uint8)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.7g}"
