"""Small pictures for people, from the files that images were prepared from rather than from a net's few pixels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.data.base import Pixels, log_line
from search.data.decode import DEPTH, decode, read_header
from search.data.image_names import ImageNames
from search.data.threads import map_in_threads

# The longer side, in pixels, to which photographs are reduced.
LONGEST_SIDE = 200


def downscaled(path: Path, depth: str | None = None) -> Pixels:
    """The picture in its own proportions, ``(H, W, 3)``, uint8, at most ``LONGEST_SIDE`` pixels high and wide.

    Args:
        path: Its file.
        depth: As in ``search.data.decode.decode``: the picture is shown as the net sees it.

    Raises:
        UnreadableImage: As from ``decode``.
    """
    header = read_header(path)
    scale = min(1.0, LONGEST_SIDE / max(header.height, header.width))
    height, width = (max(1, round(side * scale)) for side in (header.height, header.width))
    return decode(path, height, width, 3, depth=depth)


def thumbnails(
    names: ImageNames, chosen: Sequence[int], images: Pixels, preprocessing: Mapping[str, Any]
) -> list[Pixels]:
    """Prepared images as a person knows them.

    Args:
        names: What their source calls the images of their part.
        chosen: Their numbers among them.
        images: All images of that part as they were prepared, ``(N, H, W, C)``, uint8.
        preprocessing: How; see ``search.data.decode.preprocessing``.

    Returns:
        Of each its file's picture, reduced; or its prepared pixels where there is no file, where it is gone, or where
        it does not give these pixels (any more).
    """
    prepared = [np.asarray(images[index]) for index in chosen]
    # An older version has prepared them.
    if not names.root or not names.images or DEPTH not in preprocessing:
        return prepared
    files = [str(Path(names.root) / names.images[index]) for index in chosen]

    def original(place: int) -> Pixels:
        file, pixels = files[place], prepared[place]
        height, width, channels = pixels.shape
        again = decode(file, height, width, channels, preprocessing["resize"], preprocessing[DEPTH])
        return downscaled(Path(file), preprocessing[DEPTH]) if np.array_equal(again, pixels) else pixels

    found, _ = map_in_threads(original, files, "read again", log_line)
    return [pixels if small is None else small for small, pixels in zip(found, prepared, strict=True)]
