"""What Pillow reads wrong without a word: mended before an image is loaded, or refused by name where that cannot be.

Each was seen in Pillow 13, and tests hold what is read now against what the files hold. A later Pillow that reads such
a file right is no harm to what is mended, and what is refused can be saved otherwise.
"""

import re

import simplejpeg
from PIL import Image

from search.data.pixel_range import Misfit

BITS, WHITE_IS, COLOURS, PLANES, SAMPLES = 258, 262, 320, 284, 339  # Tags of TIFF files.
CHANNELS, EXTRA = 277, 338
SIGNED = 2
# Of what ``WHITE_IS`` says: RGB, CMYK, YCbCr and Lab with their channels; all others have one. And what ``EXTRA`` says
# of a channel beside these: that it is transparency.
CHANNELS_OF, ALPHA = {2: 3, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}, ((1,), (2,))
# Of a JPEG: the markers of its end and of the beginning of its pixels; as many zeros as a disk's sector has; libjpeg's
# remark on bytes behind the pixels, and the most that a camera may leave there.
JPEG_END, JPEG_SCAN, ZEROS = b"\xff\xd9", b"\xff\xda", 512
EXTRANEOUS, MOST_LEFT = re.compile(r"(\d+) extraneous bytes"), 64
# Of a TGA: the byte that says, in four of its bits, how many bits of a pixel are transparency.
TGA_KIND, TGA_ALPHA_BITS = 17, 15
# What transparent greys of 2 and 4 bits are to be multiplied with, as their pixels are.
FEW_BITS = {"L;2": 85, "L;4": 17}


def mend(image: Image.Image) -> None:
    """Correct what is known of an image that is open, but not loaded, so that its pixels come out right.

    Raises:
        Misfit: They cannot.
    """
    if image.format == "PNG":
        _scale_transparency(image)
    elif image.format == "JPEG":
        _refuse_inks(image)
    elif image.format == "TGA":
        _refuse_tga(image)
    elif image.format == "TIFF":
        _refuse_tiff(image)
        # From a file name, an uncompressed TIFF is mapped into memory by its size upright, not by that as it is stored.
        image.filename = ""  # type: ignore[attr-defined]


def decoder(image: Image.Image) -> tuple[str, str, int]:
    """Pillow's decoder of an image that is not loaded, how that takes the bytes, and the largest value or 0."""
    tiles = getattr(image, "tile", [])
    if not tiles:
        return "", "", 0
    codec, arguments = tiles[0][0], tiles[0][3]
    if isinstance(arguments, str):
        return codec, arguments, 0
    rawmode = str(arguments[0]) if arguments else ""
    return codec, rawmode, arguments[1] if codec in ("ppm", "ppm_plain") else 0


def refuse_damaged(image: Image.Image) -> None:
    """Refuse a JPEG of whose pixels a part is missing or was overwritten, which Pillow fills with what comes.

    Its decoder, libjpeg, remarks on much of that, and Pillow does not pass it on; simplejpeg does. Two remarks are made
    of sound pictures as well. "4 extraneous bytes" are what some cameras leave behind the pixels; where pixels were
    overwritten they are mostly a hundred and more. The "premature end" of a file without the mark of its end is damage
    where zeros stand in its place, as a copy or a download leaves them that was broken off.

    Args:
        image: It is open, but not loaded.

    Raises:
        Misfit: It is damaged.
    """
    file = getattr(image, "fp", None)
    if image.format not in ("JPEG", "MPO") or file is None:  # It is loaded, or came from another process.
        return
    there = file.tell()
    try:
        file.seek(0)
        content = file.read()
    finally:
        file.seek(there)
    try:  # At an eighth of the size, all bytes are read, and little is computed.
        simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        remark = str(error)
    else:
        return
    if left := EXTRANEOUS.search(remark):
        damaged = int(left[1]) > MOST_LEFT
    elif remark.startswith("Premature end"):
        # An end that is there may be that of the thumbnail alone.
        damaged = JPEG_END not in content[_scan_of(content) :] and content.endswith(bytes(ZEROS))
    else:  # What it says of the kind of a file is Pillow's to refuse; of a colour profile it needs nothing.
        damaged = remark.startswith("Corrupt") and "ICC" not in remark
    if damaged:
        raise Misfit(
            f"a part of its pixels is missing or was overwritten ({remark}): get the file again, or save it anew"
        )


def _scan_of(jpeg: bytes) -> int:
    """Where a JPEG's pixels begin: behind all segments, of which one may hold a thumbnail with an end of its own."""
    place = 2
    while jpeg[place : place + 1] == b"\xff" and jpeg[place : place + 2] != JPEG_SCAN:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return place


def _scale_transparency(image: Image.Image) -> None:
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        image.info["transparency"] = transparent * FEW_BITS.get(decoder(image)[1], 1)


def _refuse_inks(image: Image.Image) -> None:
    """Refuse CMYK without Adobe's mark: with it no ink is 255, without it that is 0 to many programs, not to Pillow."""
    if image.mode == "CMYK" and "adobe" not in image.info:
        raise Misfit("CMYK without Adobe's mark, which may be inverted or not: save it as RGB")


def _refuse_tga(image: Image.Image) -> None:
    """Refuse a TGA with an alpha channel in use that is not declared as 8 bits of transparency.

    Some programs leave zeros there. Of 16-bit colours it is one bit, which Pillow reads the other way round.
    """
    file = image.fp  # type: ignore[attr-defined]
    if "A" not in image.getbands() or file is None:
        return
    there = file.tell()
    file.seek(TGA_KIND)
    declared = file.read(1)[0] & TGA_ALPHA_BITS
    file.seek(there)
    if declared != 8 and image.getchannel("A").getextrema() != (255, 255):
        raise Misfit(
            "an alpha channel that is not declared as one: save it as PNG, with transparency or without"
        )


def _refuse_tiff(image: Image.Image) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    codec, rawmode, _ = decoder(image)
    bits = max(tags.get(BITS, (1,)))
    channels, used = tags.get(CHANNELS, 1), CHANNELS_OF.get(tags.get(WHITE_IS, 0), 1)
    if channels > used + (tags.get(EXTRA) in ALPHA):
        raise Misfit(
            f"{channels} channels, of which those beyond the first {used} would be lost or taken for transparency: "
            f"save it with {used} alone, or with one more that is declared as transparency (ExtraSamples 2)"
        )
    if bits == 8 and SIGNED in tags.get(SAMPLES, ()):
        raise Misfit("signed 8-bit pixels, which Pillow takes for unsigned: save it as unsigned 8 bits")
    if tags.get(PLANES) == 2 and codec == "raw" and (bits != 8 or tags.get(WHITE_IS) == 0):
        raise Misfit(
            f"{bits}-bit pixels, not compressed and with the channels apart, which Pillow mistakes: save it with "
            "compression, or with the channels together"
        )
    if codec == "libtiff" and rawmode.endswith(("BS", "BF")):
        raise Misfit(
            "compressed big-endian pixels, whose bytes Pillow turns round: save it as little-endian, or uncompressed"
        )
    if image.mode in ("P", "PA") and 0 < max(tags.get(COLOURS, (0,))) < 256:
        raise Misfit(
            "a palette of 8-bit colours, where TIFF has 16 and Pillow sees black: save it without a palette"
        )
