"""Image files written byte by byte, for what Pillow reads but does not write."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHORT, LONG = 3, 4


def write_tiff(
    path: Path,
    pixels: np.ndarray,
    *,
    white_is: int = 0,
    colour: bool = False,
    apart: bool = False,
    packed: bool = False,
    order: str = "<",
    palette: Sequence[int] = (),
    extra: int | None = None,
    orientation: int = 1,
) -> Path:
    """Save pixels ``(H, W)`` or ``(H, W, C)`` of any type.

    Args:
        path: The file.
        pixels: Its dtype says how many bits there are, and whether they are signed or floats.
        white_is: 255 of a grey picture that has its white as 0, otherwise 0.
        colour: Whether they are RGB.
        apart: Whether the channels lie one after the other.
        packed: Whether they are compressed.
        order: ``<`` or ``>``.
        palette: 768 colours, if the pixels are places in them.
        extra: TIFF's number for the kind of a fourth or second channel.
        orientation: TIFF's, from 1 to 8.
    """
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]
    height, width, channels = pixels.shape
    planes = np.split(pixels, channels, axis=2) if apart else [pixels]
    strips = [plane.astype(plane.dtype.newbyteorder(order)).tobytes() for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    photometric = 3 if len(palette) else 2 if colour else 0 if white_is else 1
    tags: list[tuple[int, int, Sequence[int]]] = [
        (256, SHORT, [width]),
        (257, SHORT, [height]),
        (258, SHORT, [8 * pixels.dtype.itemsize] * channels),
        (259, SHORT, [8 if packed else 1]),
        (262, SHORT, [photometric]),
        (273, LONG, [0] * len(strips)),
        (274, SHORT, [orientation]),
        (277, SHORT, [channels]),
        (278, SHORT, [height]),
        (279, LONG, [len(strip) for strip in strips]),
        (284, SHORT, [2 if apart else 1]),
        *([(320, SHORT, palette)] if len(palette) else []),
        *([(338, SHORT, [extra])] if extra is not None else []),
        (339, SHORT, [kind] * channels),
    ]
    sizes = [len(values) * (2 if of == SHORT else 4) for _, of, values in tags]
    start = 8 + 2 + 12 * len(tags) + 4
    place = start + sum(size for size in sizes if size > 4)
    offsets = [place + sum(map(len, strips[:index])) for index in range(len(strips))]
    entries, outside = b"", b""
    for (tag, of, given), size in zip(tags, sizes, strict=True):
        values = offsets if tag == 273 else given
        packed_values = struct.pack(f"{order}{len(values)}{'H' if of == SHORT else 'I'}", *values)
        entries += struct.pack(f"{order}HHI", tag, of, len(values))
        entries += (
            packed_values.ljust(4, b"\0") if size <= 4 else struct.pack(f"{order}I", start + len(outside))
        )
        outside += packed_values if size > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    path.write_bytes(head + entries + bytes(4) + outside + b"".join(strips))
    return path


def write_png(path: Path, pixels: np.ndarray, bits: int, kind: int, transparent: Sequence[int] = ()) -> Path:
    """Save pixels as a PNG.

    Args:
        path: The file.
        pixels: ``(H, W)`` or ``(H, W, C)``, whole numbers of ``bits`` bits; of fewer than 8, only one row of 8.
        bits: 1, 2, 4, 8 or 16.
        kind: PNG's colour type: 0 grey, 2 RGB, 4 grey with alpha, 6 RGB with alpha.
        transparent: The value that is transparent, a number a channel.
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    if bits < 8:
        digits = "".join(f"{value:0{bits}b}" for value in pixels[0])
        rows = [int(digits, 2).to_bytes(len(digits) // 8, "big")]
    else:
        rows = [row.astype(">u2" if bits == 16 else "u1").tobytes() for row in pixels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))]
    chunks += [(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))] if len(transparent) else []
    chunks += [(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))
    return path


def write_tga(path: Path, pixels: np.ndarray, alpha_bits: int = 0) -> Path:
    """Save pixels with a channel more than their colours, of which ``alpha_bits`` are declared as transparency.

    Args:
        path: The file.
        pixels: ``(H, W, 4)``, red first, or ``(H, W, 2)``, uint8; or ``(H, W)``, uint16, whose bits are 1, 5, 5 and 5.
        alpha_bits: See above.
    """
    height, width = pixels.shape[:2]
    grey, depth = pixels.shape[2:] == (2,), 16 if pixels.ndim == 2 else 8 * pixels.shape[2]
    head = struct.pack(
        "<BBBHHBHHHHBB", 0, 0, 3 if grey else 2, 0, 0, 0, 0, 0, width, height, depth, 0x20 | alpha_bits
    )
    stored = pixels[:, :, [2, 1, 0, 3]] if depth == 32 else pixels.astype(pixels.dtype.newbyteorder("<"))
    path.write_bytes(head + stored.tobytes())
    return path
