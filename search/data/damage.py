"""Image files that cannot be used: all of them in one message, and what is left where they are skipped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from search.errors import InputError
from search.formatting import count
from storage.atomic import atomic_write

# So many are named on a screen; where there are more, a file has them all.
MOST_NAMED = 10


class Damaged(NamedTuple):
    """An image file that is damaged or cannot be opened here.

    Attributes:
        name: Its path inside the data's folder.
        of_class: The name of its class.
        reason: Why, in words, with the fix where there is another than to mend it.
    """

    name: str
    of_class: str
    reason: str


class DamagedImages(InputError):
    """Image files are damaged or cannot be opened here.

    Args:
        where: The data, as the user named it.
        damaged: All such files.
        images: The number of image files of each class, damaged ones included.
    """

    def __init__(self, where: str, damaged: Sequence[Damaged], images: Mapping[str, int]) -> None:
        super().__init__(f"--data {where}: {damage_words(damaged, images)}; {_advice(damaged, images)}")
        self.where, self.damaged, self.images = where, damaged, images

    def listed_in(self, listing: Path) -> InputError:
        """The same error, which says where all files are listed if they are too many for a screen."""
        if len(self.damaged) <= MOST_NAMED:
            return self
        words = damage_words(self.damaged, self.images, listing)
        return InputError(f"--data {self.where}: {words}; {_advice(self.damaged, self.images)}")


def damage_words(damaged: Sequence[Damaged], images: Mapping[str, int], listing: Path | None = None) -> str:
    """How many image files of each class cannot be used, and which is the first, in one line.

    Args:
        damaged: These files.
        images: The number of image files of each class, these included.
        listing: The file that has them all, where they are too many for a screen.
    """
    first = f"{damaged[0].name}: {damaged[0].reason}"
    if len(damaged) == 1:
        return first
    of_class = Counter(one.of_class for one in damaged)
    each = ", ".join(f"{of_class[name]:,} of {images[name]:,} of {name}" for name in images if of_class[name])
    total = sum(images.values())
    listed = f"; all are listed in {listing}" if listing and len(damaged) > MOST_NAMED else ""
    return (
        f"{len(damaged):,} of {total:,} image files are damaged or cannot be opened ({each}), the first is {first}"
        f"{listed}"
    )


def damage_lines(damaged: Sequence[Damaged]) -> list[str]:
    """A line for each of these files, as far as a screen has room; none where one message names the only one."""
    if len(damaged) == 1:
        return []
    lines = [f"warning: cannot be used: {one.name}: {one.reason}" for one in damaged[:MOST_NAMED]]
    if (more := len(damaged) - MOST_NAMED) > 0:
        lines.append(f"warning: cannot be used: {count(more, 'more file')}")
    return lines


def write_listing(listing: Path, damaged: Sequence[Damaged]) -> None:
    """Write a line for each of these files, where they are too many for a screen: class, file and reason.

    Args:
        listing: The file to write; it is left out where a screen has room for all.
        damaged: The files.
    """
    if len(damaged) <= MOST_NAMED:
        return
    lines = ["class\tfile\treason", *(f"{one.of_class}\t{one.name}\t{one.reason}" for one in damaged)]
    with atomic_write(listing) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _advice(damaged: Sequence[Damaged], images: Mapping[str, int]) -> str:
    if len(damaged) == sum(images.values()):
        return "mend or replace them"
    if len(damaged) == 1:
        return "mend, remove or replace this file, or pass --skip-damaged to go on without it"
    return "mend, remove or replace these files, or pass --skip-damaged to go on without them"
