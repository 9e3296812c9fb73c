"""The features that a frozen backbone gives of each training image, computed once for all trials on a host.

``<cache>/features/<key>/plain.npy`` and ``mirror.npy`` hold float16 ``(N, F)``, memory-mapped, in the order of the
images. A study of some images alone has a key of its own, and holes, which take little room, for the others. Whoever
holds ``<view>.lock`` fills; ``<view>.json`` says how many rows are on disk, so that whoever comes after a killed filler
goes on from there. Test images have no features here: only an export looks at them.
"""

import errno
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from search.data.disk_space import lack_of_room
from spaces.contract import Backbone, InputSpec
from storage.atomic import atomic_write

if TYPE_CHECKING:
    import keras

    from search.data import Dataset


VIEWS = ("plain", "mirror")
# Images a batch: at 224x224 the widest layers of small nets then take some 150 MB.
BATCH = 32
# Rows that are copied at a time where features that are there are put side by side.
JOINED_BATCH = 4096
DISK_BLOCK = 4096
# A killed filler loses no more than this.
SECONDS_BETWEEN_RECORDS = 5.0
# Raise it when the same images and backbone would give other features.
FORMAT = 1


class FeaturesAway(Exception):
    """Computing the features was asked to stop; what is on disk is gone on with later."""


class Features(NamedTuple):
    """Features of all training images, float16 ``(N, F)``, memory-mapped.

    Attributes:
        plain: Those of the images as they are.
        mirror: Those of their mirror images; None where a study flips none.
    """

    plain: np.ndarray
    mirror: np.ndarray | None


def features_folder(
    dataset: "Dataset", backbone: Backbone, spec: InputSpec, wanted: np.ndarray | None = None
) -> Path:
    """The folder of these features, named by images, backbone and size, and by the ``wanted`` images if not all are."""
    identity = {
        "format": FORMAT,
        "images": dataset.fingerprint,
        "backbone": backbone.digest,
        "size": spec.size,
    }
    if wanted is not None:
        identity["wanted"] = hashlib.sha256(wanted.astype("<i8").tobytes()).hexdigest()
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    return dataset.folder.parent / "features" / key


def features_file(
    dataset: "Dataset", backbone: Backbone, spec: InputSpec, wanted: np.ndarray | None = None
) -> Path | None:
    """The file of the plain view, once all that is ``wanted`` of it is on this host; else None."""
    folder, which = _place(dataset, backbone, spec, wanted, VIEWS[:1])
    shape = (sum(dataset.train_counts), backbone.features)
    return folder / "plain.npy" if _rows(folder, "plain", shape) == len(which) else None


def _place(
    dataset: "Dataset", backbone: Backbone, spec: InputSpec, wanted: np.ndarray | None, views: Sequence[str]
) -> tuple[Path, np.ndarray]:
    """The folder, and the rows to compute: all if somebody has computed them, else no more than is wanted."""
    everything = np.arange(sum(dataset.train_counts))
    whole = features_folder(dataset, backbone, spec)
    if wanted is None:
        return whole, everything
    own = features_folder(dataset, backbone, spec, wanted)
    shape = (len(everything), backbone.features)
    # Not once there are others: a trial that goes on must find the very numbers that it began with.
    begun = any((own / f"{view}.npy").exists() for view in VIEWS)
    if not begun and all(_rows(whole, view, shape) == len(everything) for view in views):
        return whole, everything
    return own, wanted


def open_features(
    dataset: "Dataset",
    backbone: Backbone,
    spec: InputSpec,
    *,
    wanted: np.ndarray | None = None,
    mirror: bool,
    frozen: "Callable[[], keras.Model]",
    tell: Callable[[int, int], bool],
    batch: int = BATCH,
) -> Features:
    """Open the features of a study's training images; they are computed here, or waited for if another computes them.

    Args:
        dataset: The prepared images.
        backbone: Which backbone's features.
        spec: The images as the net takes them, with the size at which the backbone takes them.
        wanted: Ascending indices of the images that are wanted; None for all. The rows of others may be zeros.
        mirror: Whether the mirrored view is wanted, too.
        frozen: Makes the net that computes them; called only if it has to.
        tell: Called often with how many of how many rows are there; returns False to stop.
        batch: Images that the net takes at a time; fewer once memory ran out.

    Raises:
        FeaturesAway: Asked to stop.
    """
    images, _ = dataset.train()
    # The last batch is filled up: another shape would have the net traced a second time.
    full = np.zeros(
        (min(batch, len(images) if wanted is None else len(wanted)), *images.shape[1:]), images.dtype
    )
    net: list[keras.Model] = []  # Made at most once, for both views.

    def compute(view: str, places: np.ndarray) -> np.ndarray:
        if not net:
            net.append(frozen())
        shown = images[places]
        full[: len(shown)] = shown if view == VIEWS[0] else shown[:, :, ::-1]
        return np.asarray(net[0].predict_on_batch(full))[: len(shown)]

    return _opened(dataset, backbone, spec, wanted, mirror, compute, len(full), tell)


def join_features(
    dataset: "Dataset",
    backbone: Backbone,
    spec: InputSpec,
    parts: Sequence[Features],
    *,
    wanted: np.ndarray | None = None,
    mirror: bool,
    tell: Callable[[int, int], bool],
) -> Features:
    """Open the features of a joined backbone, those of its ``parts`` side by side; else as ``open_features``."""

    def compute(view: str, places: np.ndarray) -> np.ndarray:
        return np.concatenate([getattr(part, view)[places] for part in parts], axis=1)

    return _opened(dataset, backbone, spec, wanted, mirror, compute, JOINED_BATCH, tell)


def _opened(
    dataset: "Dataset",
    backbone: Backbone,
    spec: InputSpec,
    wanted: np.ndarray | None,
    mirror: bool,
    compute: Callable[[str, np.ndarray], np.ndarray],
    batch: int,
    tell: Callable[[int, int], bool],
) -> Features:
    """The views of a study's features, computed where they are not on disk."""
    views = VIEWS if mirror else VIEWS[:1]
    folder, which = _place(dataset, backbone, spec, wanted, views)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (sum(dataset.train_counts), backbone.features)
    for place, view in enumerate(views):
        before = place * len(which)

        def told(rows: int, before: int = before) -> None:
            if not tell(before + rows, len(views) * len(which)):
                raise FeaturesAway

        _View(view, folder, which, shape, compute, batch, told).complete()
    opened = [np.load(folder / f"{view}.npy", mmap_mode="r") for view in views]
    return Features(opened[0], opened[1] if mirror else None)


class _View(NamedTuple):
    """One view to fill: its name, its folder, which rows, and who is told of the progress.

    ``compute`` gives the rows of a view and of ``batch`` images at most, by their places. They come out the same, but
    for the last digits of a sum, whatever the batches were.
    """

    name: str
    folder: Path
    which: np.ndarray
    shape: tuple[int, int]
    compute: Callable[[str, np.ndarray], np.ndarray]
    batch: int
    told: Callable[[int], None]

    def rows(self) -> int:
        """How many rows are on disk."""
        return _rows(self.folder, self.name, self.shape)

    def complete(self) -> None:
        """Fill the view, or wait for whoever fills it."""
        lock = FileLock(self.folder / f"{self.name}.lock")
        while self.rows() < len(self.which):
            try:
                with lock.acquire(timeout=1.0):
                    self._fill()
            except Timeout:
                self.told(self.rows())

    def _begin(self, file: Path) -> None:
        """Begin with an empty file in place of whatever is there, which a training that has mapped it keeps."""
        needed = room_for(len(self.which), self.shape)
        if lack := lack_of_room(self.folder, needed, "the backbone's features"):
            raise OSError(errno.ENOSPC, lack)
        (self.folder / f"{self.name}.json").unlink(missing_ok=True)
        with atomic_write(file) as aside:
            np.lib.format.open_memmap(aside, mode="w+", dtype=np.float16, shape=self.shape)

    def _fill(self) -> None:
        which, row = self.which, self.rows()
        file = self.folder / f"{self.name}.npy"
        if row == 0:
            self._begin(file)
        features = np.lib.format.open_memmap(file, mode="r+")
        recorded = time.monotonic()
        while row < len(which):
            places = which[row : row + self.batch]
            found = self.compute(self.name, places)
            if not np.isfinite(found).all():
                raise ValueError(f"the backbone gives no numbers for images {places[0]} to {places[-1]}")
            features[places] = np.clip(found, -65504, 65504)  # All that float16 can hold.
            row += len(places)
            if row == len(which) or time.monotonic() - recorded > SECONDS_BETWEEN_RECORDS:
                features.flush()  # On disk before it is said to be.
                with atomic_write(self.folder / f"{self.name}.json") as aside:
                    aside.write_text(json.dumps({"rows": row}))
                recorded = time.monotonic()
            self.told(row)


def room_for(rows: int, shape: tuple[int, int]) -> int:
    """Bytes on disk that so many rows of a float16 file of ``shape`` take at most; rows apart take whole blocks."""
    images, row = shape[0], 2 * shape[1]
    return min(images * row, rows * (-(-row // DISK_BLOCK) + 1) * DISK_BLOCK)


def _rows(folder: Path, view: str, shape: tuple[int, int]) -> int:
    """How many rows of a view are on disk, of those that are to be there."""
    try:
        rows = int(json.loads((folder / f"{view}.json").read_text())["rows"])
        found = np.load(folder / f"{view}.npy", mmap_mode="r")
    except (FileNotFoundError, ValueError, KeyError, EOFError):  # NumPy raises the last of an empty file.
        return 0
    return rows if found.shape == shape else 0
