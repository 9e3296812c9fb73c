"""The pretrained backbones that this host has, or can have in a minute, where nobody names one.

They are, in this order: those in ``<cache>/backbones``, whether ``search.prefetch`` or a study has made them ready or a
person has put the file there; nets of ``keras.applications`` whose weights Keras has in its cache; and, where there are
none of these but a network, MobileNetV2, which Keras downloads. Nothing is loaded or downloaded to look.
"""

import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.data.backbones import APPLICATIONS, DEFAULT, ready_backbones

# A file with fewer bytes is a net of a test, or one that has seen little: pretrained ones have a million numbers or so.
LEAST_BYTES = 2_000_000
# Where Keras fetches the weights of its nets from; and how long to wait for an answer, in seconds.
WEIGHTS = "https://storage.googleapis.com/tensorflow/keras-applications/"
PATIENCE = 4.0


@dataclass(frozen=True)
class AtHand:
    """A backbone that can be used.

    Attributes:
        requested: As ``--backbone`` takes it.
        name: What people call it.
        where: Where it is, in words.
        size: Of its file, in bytes, which goes with what it costs; 0 where it is still to be downloaded.
    """

    requested: str
    name: str
    where: str
    size: int = 0


def backbones_at_hand(cache: Path) -> list[AtHand]:
    """The backbones on this host, the smallest first; or the one that can be downloaded; often none.

    Args:
        cache: The folder of prepared images and backbones.
    """
    found = {one.name: one for one in [*_cached_by_keras(), *_in_cache(cache)]}
    here = sorted(
        (one for one in found.values() if one.size >= LEAST_BYTES), key=lambda one: (one.size, one.name)
    )
    if here or not can_download():
        return here
    return [AtHand(DEFAULT, DEFAULT, "which Keras downloads")]


def _in_cache(cache: Path) -> Iterator[AtHand]:
    """Those made ready, by the name of ``keras.applications`` or of their file; and files that lie beside them."""
    for requested, name, file in ready_backbones(cache):
        yield AtHand(requested, name, f"in {file.parent}", file.stat().st_size)


def _cached_by_keras() -> Iterator[AtHand]:
    """Those of ``keras.applications`` whose weights without a head Keras has downloaded before, by the files' names."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    for file in sorted(folder.glob("*.h5")):
        plain = re.sub(r"[^a-z0-9]", "", file.stem.lower())
        # The longest, for mobilenetv2 has mobilenet in it, too.
        names = sorted((name for name in APPLICATIONS if name.lower() in plain), key=len)
        if names and "notop" in plain:
            yield AtHand(names[-1], names[-1], f"in {folder}", file.stat().st_size)


def can_download() -> bool:
    """Whether Keras's weights can be reached from here."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(WEIGHTS, method="HEAD")
            with urllib.request.urlopen(request, timeout=PATIENCE):
                answered.set()
        except urllib.error.HTTPError:  # Of this folder, not of the host.
            answered.set()
        except (OSError, ValueError):
            pass

    # A thread: where names cannot be resolved that may take longer than any timeout.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answered.is_set()
