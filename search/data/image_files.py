"""Which files are images, and how one is opened: one rule for training and prediction.

A file is an image by its ending or else by its content. One that this program cannot open is an image all the same,
such as a HEIC photograph without ``pillow-heif``, a damaged JPEG or a link to nothing: whoever counts images has to
count it, and to say how to mend it.
"""

import contextlib
import itertools
import stat
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, UnidentifiedImageError, features

from search.config.interpreter import to_install
from search.errors import InputError
from search.formatting import count

JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2")
OTHER = (".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".tga")
HEIF = (".heic", ".heif", ".hif")
# What is inside a camera's raw file is known to its maker; as a TIFF, Pillow finds a thumbnail in some.
RAW = (".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw")
RAW_FILE = "a camera's raw file; save it as JPEG, PNG or TIFF"
# Pictures in formats that nothing here decodes.
FOREIGN = (".jxl", ".svg")
IMAGE_ENDINGS = JPEG + OTHER + HEIF + RAW + FOREIGN
# The file's kind follows at the fifth byte of an ISO media file.
HEIF_KINDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_KINDS = (b"avif", b"avis")
# A TIFF's tag of what a page is, with its bits for a smaller copy and for a mask; the older tag and its smaller copy.
SUBFILE, REDUCED_OR_MASK = 254, 1 | 4
OLD_SUBFILE, OLD_REDUCED = 255, 2
# A TIFF's tag of pictures behind a page. In a camera's raw file they are the photograph, and the page its small copy.
BEHIND = 330
# A TIFF's tags that every page has: its width and height.
DIMENSIONS = {256, 257}
_opener = threading.Lock()


class CannotOpen(Exception):
    """A file is an image, and not one that can be opened here; the message says how to mend that."""


class UnreadableImage(InputError):
    """An image file cannot be opened or decoded.

    Args:
        path: The file.
        reason: Why, in words.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}; remove or replace this file to go on without it")
        self.reason = reason


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant to be seen, by its name."""
    return name.startswith(".")


def skipped_words(others: Sequence[str]) -> str:
    """How many files were skipped, which are no images, and the first."""
    what = count(len(others), "file that is no image", "files that are no images")
    return f"warning: skipped {what} (the first is {others[0]})"


def is_image(path: str | Path) -> bool:
    """Whether a file is an image, by its ending or else its content. A damaged ``.jpg`` is one, to be reported."""
    path = Path(path)
    if is_hidden(path.name):
        return False
    if path.name.lower().endswith(IMAGE_ENDINGS):
        return True
    if _is_broken_link(path):  # Its name is all that is left.
        return not path.suffix
    try:
        with open_image(path):
            return True
    except (Image.DecompressionBombError, PermissionError, CannotOpen):
        return True  # It is reported when it is decoded.
    except Exception:
        return False


@contextlib.contextmanager
def without_pillow_warnings() -> Iterator[None]:
    """Within, Pillow says nothing of large pictures: a photograph of 100 megapixels is no mistake.

    It warns from half the size on that it refuses. Nor does it speak of EXIF that is cut short, or of a TIFF's last
    page that lies nowhere, which it calls so: the pixels are whole, or the file is refused by name.
    """
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        warnings.filterwarnings("ignore", "(Possibly c|C)orrupt EXIF data")
        yield


@contextlib.contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file with Pillow; HEIC and HEIF through ``pillow-heif`` where that is installed.

    Args:
        path: The file; its pixels are not decoded yet.

    Raises:
        CannotOpen: It is an image in a format that cannot be opened here, has several pages, or is a link to nothing or
            no file at all.
        PIL.UnidentifiedImageError: It is no image, or too damaged to be known as one.
        OSError: It cannot be read.
        PIL.Image.DecompressionBombError: It is far too large.
    """
    path = Path(path)
    if reason := _foreign(path):
        raise CannotOpen(reason)
    if _is_broken_link(path):
        raise CannotOpen(f"a link to nothing ({path.readlink()})")
    if not stat.S_ISREG(path.stat().st_mode):  # To open a pipe waits for ever.
        raise CannotOpen("a folder, a pipe or a device, and no image file")
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        kind = _iso_kind(path)
        if kind in AVIF_KINDS and not features.check("avif"):
            raise CannotOpen("an AVIF picture, which needs Pillow 11.3 or newer") from None
        if kind not in HEIF_KINDS:
            raise
        _register_heif()
        image = Image.open(path)
    with image:
        # Pillow knows them by name alone.
        if isinstance(image, ImageFile.StubImageFile) or image.format == "MPEG":
            raise UnidentifiedImageError(f"cannot identify image file {str(path)!r}")
        if image.format == "EPS":  # Pillow would have Ghostscript run it as the program that it is.
            raise CannotOpen("a PostScript drawing; save it as PNG or JPEG")
        if image.format == "TIFF" and BEHIND in image.tag_v2 and _is_copy(image.tag_v2):  # type: ignore[attr-defined]
            raise CannotOpen(RAW_FILE)
        if image.format == "TIFF" and image.is_animated and (pages := _pages(path)) > 1:  # type: ignore[attr-defined]
            raise CannotOpen(f"{pages} pages, of which one would be used; save each as a file of its own")
        yield image


def _pages(path: Path) -> int:
    """How many pages a TIFF has, not counting smaller copies and masks of them, which many programs put behind.

    The file is opened anew, since a last page that lies nowhere, as some programs write, leaves Pillow in disorder.
    """
    pages = 1
    with Image.open(path) as image:
        for place in itertools.count(1):
            with contextlib.suppress(Exception):  # Pillow may know no such page, and it is one all the same.
                image.seek(place)
            tags = image.tag_v2  # type: ignore[attr-defined]
            if image.tell() != place or not set(tags) >= DIMENSIONS:
                break
            pages += not _is_copy(tags)
    return pages


def _is_copy(tags: Mapping[int, Any]) -> bool:
    """Whether a TIFF's page is a smaller copy or a mask, by its tags."""
    return bool(tags.get(SUBFILE, 0) & REDUCED_OR_MASK) or tags.get(OLD_SUBFILE) == OLD_REDUCED


def _register_heif() -> None:
    with _opener:  # Pillow cannot register its plugins from several threads at once.
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            raise CannotOpen(
                f"a HEIC or HEIF picture, which needs pillow-heif ({to_install('heif')})"
            ) from None
        register_heif_opener()


def _foreign(path: Path) -> str:
    """Why no file of this name can be opened; empty for most."""
    ending = path.suffix.lower()
    if ending in RAW:
        return RAW_FILE
    if ending in FOREIGN:
        return f"a picture in the format {ending[1:].upper()}; save it as JPEG or PNG"
    return ""


def _iso_kind(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(12)
    return head[8:] if head[4:8] == b"ftyp" else b""


def _is_broken_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()
