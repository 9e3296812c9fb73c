"""PNG files as elements of the page."""

import base64
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from search.reporting.elements import Picture


def png_picture(data: bytes | None, alt: str, caption: str) -> Picture | None:
    """A picture for the page.

    Args:
        data: The bytes of a PNG file; None where there is none.
        alt: What it shows, for those who do not see it.
        caption: Under it.

    Returns:
        The picture; None where there is no file, or one that is no PNG.
    """
    if data is None or data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return Picture(base64.b64encode(data).decode("ascii"), alt, caption, width, height)


def drawn(write: Callable[[Path], None]) -> bytes:
    """The bytes of a PNG file that ``write`` draws."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        write(path)
        return path.read_bytes()
