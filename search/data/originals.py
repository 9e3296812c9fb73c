"""What test images are before they are prepared, so that they are known again at another size.

A fingerprint is of pixels as they are prepared, and trying sizes one after the other is the commonest way to score the
same test images often.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from search.data.base import Part
from search.data.threads import cores


def digest_of(part: Part) -> str:
    """A digest of images whatever their size, order and names; empty where it cannot be known."""
    try:
        digests = sorted(part.digests())
    except OSError:  # A file has gone since it was decoded.
        return ""
    return hashlib.sha256(b"".join(digests)).hexdigest()[:32] if digests else ""


def file_digests(paths: Sequence[str]) -> list[bytes]:
    """The SHA-256 of each file, in hexadecimal."""

    def digest(path: str) -> bytes:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().encode()

    with ThreadPoolExecutor(min(32, cores())) as pool:
        return list(pool.map(digest, paths))
