"""What ``predict_images`` is given, as single pictures: files, folders, arrays, and pictures that Pillow has opened."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.config.value_types import as_path
from search.data.arrays import check_images
from search.data.base import Pixels, Say, log_line
from search.data.decode import decode, decode_picture
from search.data.folder_content import look_into
from search.data.given_arrays import refuse_mask
from search.data.image_files import skipped_words, without_pillow_warnings
from search.data.pixel_range import REFUSED, WHITE, Misfit, check_fits, measure, to_pixels
from search.data.resizing import as_pixels, resize
from search.errors import InputError
from search.formatting import count

# As a path an address has one stroke less.
WEB = re.compile(r"(https?|ftp|s3|gs):/", re.IGNORECASE)
EXPECTED = "expected image files, folders of them, arrays (N, H, W, C), or pictures that Pillow has opened"


class InputShape(NamedTuple):
    """The images that a net takes: the last arguments of ``search.data.decode.decode``.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        resize: How a picture of another size becomes one of this, as ``--resize`` has it.
        depth: The range of images of more than 8 bits; None if the export was made before that was decided.
    """

    height: int
    width: int
    channels: int
    resize: str
    depth: str | None


class Picture(NamedTuple):
    """One picture to classify.

    Attributes:
        name: Its path, or its place among the images that were given, such as ``images[3]``.
        source: Its path, its pixels ``(H, W, 1 or 3)``, uint8, or a Pillow image.
    """

    name: str
    source: "Path | Pixels | Image.Image"

    def pixels(self, shape: InputShape) -> Pixels:
        """The pixels that a net of this shape is given, ``(H, W, C)``, uint8.

        Raises:
            UnreadableImage: The file or picture cannot be decoded.
        """
        if isinstance(self.source, Path):
            return decode(self.source, *shape)
        if isinstance(self.source, Image.Image):
            return decode_picture(self.source, self.name, *shape)
        image = self.source[:, :, 0] if self.source.shape[2] == 1 else self.source
        picture = Image.fromarray(image).convert("L" if shape.channels == 1 else "RGB")
        return as_pixels(resize(picture, shape.height, shape.width, shape.resize))


def list_pictures(images: Any, shape: InputShape) -> list[Picture]:
    """Each picture of what was given.

    Args:
        images: A path, array or Pillow image, or several of these; folders are looked into at any depth.
        shape: Of the images that the net takes.

    Raises:
        InputError: There is none, something is neither, or one image would be taken for several.
    """
    if isinstance(images, (str, os.PathLike, np.ndarray, Image.Image)):
        found = list(_pictures_of(images, "images", shape))
    elif isinstance(images, Iterable) and not isinstance(images, Mapping):
        found = [
            one
            for place, given in enumerate(images)
            for one in _pictures_of(given, f"images[{place}]", shape, one=True)
        ]
    else:
        raise InputError(f"images is of type {type(images).__name__}: {EXPECTED}")
    if not found:
        raise InputError(f"no images given: {EXPECTED}")
    return found


def _pictures_of(given: Any, name: str, shape: InputShape, *, one: bool = False) -> Iterator[Picture]:
    """The pictures of one thing that was given; ``one`` of an array among others, which is a single image."""
    if isinstance(given, (str, os.PathLike)):
        if not os.fspath(given):  # As a path it would be the current folder.
            raise InputError(f"{name} is an empty text, which is no path: {EXPECTED}")
        yield from (Picture(str(file), file) for file in find_images([as_path(name, os.fspath(given))]))
    elif isinstance(given, Image.Image):
        yield Picture(name, given)
    elif isinstance(given, np.ndarray):
        refuse_mask(given, name)
        single = given.ndim == 2 or (given.ndim == 3 and (one or given.shape[2] in (1, 3)))
        if given.ndim == 3 and not single:
            _refuse_one_as_several(given.shape, name, shape.channels)
        pixels = _eight_bits(check_images(given[np.newaxis] if single else given, name), name, shape.depth)
        yield from (Picture(name if single else f"{name}[{at}]", image) for at, image in enumerate(pixels))
    else:
        raise InputError(f"{name} is of type {type(given).__name__}: {EXPECTED}")


def _refuse_one_as_several(size: tuple[int, ...], name: str, channels: int) -> None:
    """Refuse an array of three dimensions that may be one image, where the first would be the number of grey ones."""
    if size[2] in (2, 4):
        raise InputError(
            f"{name} has shape {size}: grey images of {size[2]} columns, or one with transparency? Pass "
            f"PIL.Image.fromarray({name}), of uint8 from 0 to 255, for one, which is laid on white, or "
            f"{name}[..., np.newaxis] for grey images"
        )
    if size[0] == channels == 3:
        raise InputError(
            f"{name} has shape {size}: three grey images, or one with its channels first? Pass "
            f"{name}.transpose(1, 2, 0) for one, or {name}[..., np.newaxis] for grey images"
        )


def _eight_bits(images: npt.NDArray[Any], name: str, depth: str | None) -> Pixels:
    """The array as uint8, by the range that the training images had.

    Raises:
        InputError: Its values are not in that range.
    """
    if images.dtype == bool:
        return images * np.uint8(255)
    if images.dtype == np.uint8:
        return images
    # Whole numbers from 0 to 255 in another type are 8 bits, too.
    known = depth if depth not in (None, REFUSED) else next(iter(WHITE))
    try:
        check_fits(measure(images), known, least=False)
    except Misfit as error:
        raise InputError(
            f"{name} holds {images.dtype}, {error}, as the training images had; pass uint8 from 0 to 255"
        ) from None
    return to_pixels(images, known)


@without_pillow_warnings()
def find_images(given: Sequence[Path], say: Say = log_line) -> list[Path]:
    """The image files that are given, and those in the folders that are given, found as for training.

    What an earlier path covers is not given again by a later one: a second count would spoil the accuracy.

    Args:
        given: Image files, which are taken as they are, and folders.
        say: Gets a line about what lies in the folders beside images, and about images given more than once.

    Returns:
        The files; those of a folder are sorted by their paths. One that is an image and cannot be opened here is among
        them, to be named when it is read.

    Raises:
        InputError: There is none, or a folder cannot be read.
    """
    found: list[Path] = []
    others: list[str] = []
    known: set[str] = set()
    again = 0
    for path in given:
        if not path.is_dir():
            if WEB.match(str(path)):
                raise InputError(
                    f"{path}: pictures are not fetched from the web; expected an image file on this host"
                )
            if path.exists() and not path.is_file():  # It would be waited for.
                raise InputError(f"{path}: a pipe or a device; expected an image file or a folder of them")
            files = [path]
        else:
            files = _files_in(path, others, say)
        real = list(map(os.path.realpath, files))
        new = [file for file, place in zip(files, real, strict=True) if place not in known]
        again += len(files) - len(new)
        known.update(real)
        found += new
    if not found:
        names = ", ".join(map(str, given)) or "nothing"
        raise InputError(f"no images in {names}; expected image files or folders of them")
    if others:
        say(skipped_words(others))
    if again:
        say(f"{count(again, 'image')} given more than once: each is classified once")
    return found


def _files_in(path: Path, others: list[str], say: Say) -> list[Path]:
    """The images of a folder; what else lies there is added to ``others``."""
    inside = look_into(path)
    for folder, why in inside.unreadable.items():
        raise InputError(f"{folder}: {why}")
    images, rest = inside.tell_images()
    others += rest
    if words := inside.not_looked_into():
        say(f"warning: not looked into: {words}")
    return list(map(Path, images))
