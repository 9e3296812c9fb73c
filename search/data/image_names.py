"""What people know prepared images by: the paths of their files.

Prepared images are named by their content, which may come from several sources: a folder, a copy of it, an ``.npz``
file. So the names lie beside them, a file for each source. Those of test images lie with the test images, which only
an export opens; what a search may tell of these (which of them are duplicates) is in the words of ``duplicates``.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from search.data.base import Part
from storage.atomic import atomic_write

# The files, a source each, lie beside the images of their part.
NAMES = "names-*.json"


class ImageNames(NamedTuple):
    """What one source calls the images of one part.

    Attributes:
        images: One name an image; empty where they have numbers alone.
        notes: Warnings of images that are there twice, with their names (training images alone).
        root: The folder that the names begin in; empty where they are no files, or an older version has prepared them.
    """

    images: list[str]
    notes: list[str]
    root: str = ""


def write_names(folder: Path, source: str, part: Part, notes: Sequence[str] = ()) -> None:
    """Keep what a source calls the images of one part.

    Args:
        folder: Of the prepared images of that part.
        source: What the user calls the source.
        part: The images.
        notes: See ``ImageNames``.
    """
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    with atomic_write(folder / NAMES.replace("*", digest)) as aside:
        names = {"source": source, "images": list(part.names), "notes": list(notes), "root": part.root}
        aside.write_text(json.dumps(names), "utf-8")


def read_names(folder: Path, source: str, count: int) -> ImageNames:
    """Read what a source calls the images of one part; where it is not known here, what another source calls them.

    Args:
        folder: Of the prepared images of that part.
        source: What the user calls the source.
        count: The number of images; names that are not as many are not theirs.

    Returns:
        Nothing where no names are known, as of images that an older version has prepared.
    """
    known: dict[str, ImageNames] = {}
    for file in sorted(folder.glob(NAMES)):
        try:
            stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            found = ImageNames(list(stored["images"]), list(stored["notes"]), str(stored.get("root", "")))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if len(found.images) in (0, count):
            known[str(stored.get("source"))] = found
    if source in known:
        return known[source]
    # The images are the same, in the same order: their names elsewhere are better than none.
    return max(known.values(), key=lambda found: len(found.images), default=ImageNames([], []))
