"""The decoded cache: found again by what was asked for, named by content, whole or absent.

``<cache>/<fingerprint>/`` holds one prepared data set, ``requests/<key>.json`` says which of them answers a
request, ``partial/<key>/`` is where one is being written: it is renamed when whole, and whoever holds
``partial/<key>.lock`` owns it, so that what a killed process left there can be told from what a live one is
writing.
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from search.data.dataset import IMAGES, LABELS, META, SEALED, Dataset, open_dataset
from search.data.decode import preprocessing
from search.data.disk import lack_of_room
from search.data.duplicates import count_duplicates, duplicates_note
from search.data.sizing import STRETCH
from search.data.source import Loaded, Part, Pixels, Say
from search.errors import InputError
from storage.replacing import replacing

# Part of every key: raise it when the same files would be decoded to other pixels.
FORMAT = 1
SLICE = 1 << 24


def cache_root() -> Path:
    """Where prepared images lie unless asked otherwise: in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras-image-search"


def request_key(request: dict[str, Any]) -> str:
    """The name under which a request's answer is found again."""
    text = json.dumps({"format": FORMAT, **request}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def find(cache: Path, key: str, say: Say) -> Dataset | None:
    """The prepared images that answer a request, if the cache has them; the test split is not looked at."""
    try:
        entry = json.loads((cache / "requests" / f"{key}.json").read_text(encoding="utf-8"))
        dataset = open_dataset(cache / entry["fingerprint"])
    except (OSError, ValueError, KeyError, InputError):
        return None
    for note in entry["notes"]:
        say(note)
    # Equal content may have come in by several ways (a folder, an .npz): what the way says wins.
    return dataclasses.replace(dataset, source=entry["source"], flip=entry["flip"])


@contextmanager
def sole_writer(cache: Path, key: str, say: Say) -> Iterator[None]:
    """Be the only process that prepares this request; others wait, and then find the answer."""
    try:
        for folder in ("partial", "requests"):
            (cache / folder).mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "partial" / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say("another process is preparing the same images: waiting for it")
            lock.acquire()
    except OSError as error:
        raise _unwritable(cache, error) from error
    try:
        _sweep(cache, key)
        yield
    finally:
        shutil.rmtree(cache / "partial" / key, ignore_errors=True)
        lock.release()


def write(cache: Path, key: str, source: str, loaded: Loaded, say: Say) -> Dataset:
    """Decode a source into the cache, aside, and rename it when it is whole. Call it as the sole writer.

    Raises:
        InputError: An image is damaged, or the cache's disk is full or cannot be written.
    """
    partial = cache / "partial" / key
    shape = (loaded.height, loaded.width, loaded.channels)
    needed = (len(loaded.train.labels) + len(loaded.test.labels)) * int(np.prod(shape))
    if lack := lack_of_room(cache, needed, "the prepared images"):
        raise InputError(f"{lack}, or pass a smaller --image-size")
    # Equal pixels that a new file would not become in the same way are other data; stretching was once the only way.
    said = [loaded.classes, shape, *([] if loaded.way == STRETCH else [loaded.way])]
    digest = hashlib.sha256(json.dumps(said, ensure_ascii=True).encode())
    try:
        for folder, part in ((partial, loaded.train), (partial / SEALED, loaded.test)):
            folder.mkdir(parents=True)
            _write_part(folder, part, shape, say)
            for file in (IMAGES, LABELS):
                _update(digest, folder / file)
        fingerprint = digest.hexdigest()[:32]
        counts, note = _duplicates(partial)
        meta = {**_meta(fingerprint, source, loaded), "duplicates": counts}
        (partial / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        _publish(partial, cache / fingerprint)
        notes = [*loaded.notes, *([note] if note else [])]
        entry = {"fingerprint": fingerprint, "source": source, "flip": loaded.flip, "notes": notes}
        with replacing(cache / "requests" / f"{key}.json") as aside:
            aside.write_text(json.dumps(entry), encoding="utf-8")
    except OSError as error:
        raise _unwritable(cache, error) from error
    dataset = find(cache, key, say)
    if dataset is None:
        raise InputError(f"the prepared images vanished from {cache} while they were written: run again")
    return dataset


def _write_part(folder: Path, part: Part, shape: tuple[int, ...], say: Say) -> None:
    images: Pixels = np.lib.format.open_memmap(
        folder / IMAGES, mode="w+", dtype=np.uint8, shape=(len(part.labels), *shape)
    )
    part.fill(images, say)
    images.flush()  # type: ignore[attr-defined]  # on disk before the name says so
    np.save(folder / LABELS, part.labels.astype(np.int64))


def _meta(fingerprint: str, source: str, loaded: Loaded) -> dict[str, Any]:
    counts = [np.bincount(part.labels, minlength=len(loaded.classes)) for part in (loaded.train, loaded.test)]
    return {
        "fingerprint": fingerprint,
        "source": source,
        "classes": loaded.classes,
        "height": loaded.height,
        "width": loaded.width,
        "channels": loaded.channels,
        "flip": loaded.flip,
        "train_counts": counts[0].tolist(),
        "test_counts": counts[1].tolist(),
        "preprocessing": preprocessing(loaded.height, loaded.width, loaded.channels, loaded.way),
    }


def _duplicates(partial: Path) -> tuple[dict[str, int], str]:
    """Counts, and what to say of them: all that a search learns of how the test images look."""
    train, test = (np.load(folder / IMAGES, mmap_mode="r") for folder in (partial, partial / SEALED))
    found = count_duplicates(train, test)
    return found, duplicates_note(found, len(train), len(test))


def _publish(partial: Path, folder: Path) -> None:
    try:
        open_dataset(folder)
    except InputError:
        shutil.rmtree(folder, ignore_errors=True)  # someone deleted a part of it
    else:
        # The same content is there already, and others may have it mapped: only a missing test split is given
        # back.
        if not (folder / SEALED).exists():
            (partial / SEALED).rename(folder / SEALED)
        return
    try:
        partial.rename(folder)
    except OSError:
        open_dataset(folder)  # another request with the same content was faster


def _sweep(cache: Path, own: str) -> None:
    """Remove what killed processes left half written; what a live one is writing is locked."""
    for folder in [entry for entry in (cache / "partial").iterdir() if entry.is_dir()]:
        if folder.name == own:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        lock = FileLock(cache / "partial" / f"{folder.name}.lock")
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except Timeout:
            continue


def _update(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(SLICE):
            digest.update(block)


def _unwritable(cache: Path, error: OSError) -> InputError:
    return InputError(
        f"the cache folder {cache} cannot be written ({error.strerror or error}): make it writable, or set "
        "XDG_CACHE_HOME to a folder that is"
    )
