"""The cache of decoded images: a data set is found by what was asked for, named by its content, and whole or absent.

* ``<cache>/<fingerprint>/`` is one prepared data set; ``sealed/`` in it has the test images, ``names-*.json`` in both
  what each source calls the images.
* ``<cache>/requests/<key>.json`` says which data set answers a request.
* ``<cache>/partial/<key>/`` is a data set that is being written, and is renamed once it is whole. Its writer holds the
  lock ``partial/<key>.lock``, which tells it from one that a killed process has left.
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

from search.data.base import Loaded, Part, Pixels, Say
from search.data.blank_images import blank_notes
from search.data.class_order import alike_words
from search.data.dataset import GROUPS, IMAGES, LABELS, META, SEALED, Dataset, open_dataset
from search.data.decode import DEPTH, preprocessing
from search.data.disk_space import lack_of_room
from search.data.duplicates import Place, duplicate_notes, example_words, find_duplicates
from search.data.image_names import NAMES, write_names
from search.data.originals import digest_of
from search.data.pixel_range import REFUSED, UNMARKED
from search.data.resizing import STRETCH
from search.errors import InputError
from storage.atomic import atomic_write

# It is part of every key, and to be raised when the same files would be decoded to other pixels.
FORMAT = 1


def cache_root() -> Path:
    """The default folder of prepared images, in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "keras-image-search"


def request_key(request: dict[str, Any]) -> str:
    """The name under which the cache keeps the answer to a request."""
    text = json.dumps({"format": FORMAT, **request}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def find_prepared(cache: Path, key: str, say: Say) -> Dataset | None:
    """Find the prepared images that answer a request; the test images are not looked at.

    Args:
        cache: The folder of prepared images.
        key: See ``request_key``.
        say: Takes lines for people.

    Returns:
        None if the cache has none.
    """
    try:
        entry = json.loads((cache / "requests" / f"{key}.json").read_text(encoding="utf-8"))
        dataset = open_dataset(cache / entry["fingerprint"])
    except (OSError, ValueError, KeyError, InputError):
        return None
    for note in entry["notes"]:
        say(note)
    # The same content may come from several sources, such as a folder and an .npz file: this request's one counts.
    # Older versions wrote no digest of the test images.
    digest = entry.get("test_digest", dataset.test_digest)
    return dataclasses.replace(dataset, source=entry["source"], flip=entry["flip"], test_digest=digest)


@contextmanager
def sole_writer(cache: Path, key: str, say: Say) -> Iterator[None]:
    """Be the only process that prepares the images of a request; others wait, and then find them."""
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
        raise unwritable(cache, error) from error
    try:
        _sweep(cache, key)
        yield
    finally:
        shutil.rmtree(cache / "partial" / key, ignore_errors=True)
        lock.release()


def write_prepared(cache: Path, key: str, source: str, loaded: Loaded, say: Say) -> Dataset:
    """Decode a source's images into the cache; only a ``sole_writer`` may do so.

    Args:
        cache: The folder of prepared images.
        key: See ``request_key``.
        source: What the user calls the source.
        loaded: Its images.
        say: Takes lines for people.

    Raises:
        InputError: An image is damaged, or the cache's disk is full or cannot be written.
    """
    partial = cache / "partial" / key
    shape = (loaded.height, loaded.width, loaded.channels)
    needed = (len(loaded.train.labels) + len(loaded.test.labels)) * int(np.prod(shape))
    if lack := lack_of_room(cache, needed, "the prepared images"):
        raise InputError(f"{lack}, or pass a smaller --image-size")
    digest = _digest_beside_pixels(loaded)
    try:
        for folder, part in ((partial, loaded.train), (partial / SEALED, loaded.test)):
            folder.mkdir(parents=True)
            _write_part(folder, part, shape, say)
            for name in (IMAGES, LABELS):
                with (folder / name).open("rb") as file:
                    hashlib.file_digest(file, lambda: digest)
        if loaded.groups:
            np.save(partial / GROUPS, np.array(loaded.groups, dtype=np.str_))
        fingerprint = digest.hexdigest()[:32]
        train, test = (np.load(folder / IMAGES, mmap_mode="r") for folder in (partial, partial / SEALED))
        blanks = blank_notes(train, loaded.train.labels, test, loaded.classes, loaded.train.names)
        counts, duplicates = _duplicates(train, test, loaded)
        write_names(partial, source, loaded.train, duplicates)
        write_names(partial / SEALED, source, loaded.test)
        meta = {**_meta(fingerprint, source, loaded), "duplicates": counts}
        (partial / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        _publish(partial, cache / fingerprint)
        notes = [*loaded.notes, *alike_words(loaded.classes), *blanks, *duplicates]
        entry = {name: meta[name] for name in ("fingerprint", "source", "flip", "test_digest")}
        entry["notes"] = notes
        with atomic_write(cache / "requests" / f"{key}.json") as aside:
            aside.write_text(json.dumps(entry), encoding="utf-8")
    except OSError as error:
        raise unwritable(cache, error) from error
    dataset = find_prepared(cache, key, say)
    if dataset is None:
        raise InputError(f"the prepared images vanished from {cache} while they were written: run again")
    return dataset


def _digest_beside_pixels(loaded: Loaded) -> Any:
    """A digest that is begun with what tells data sets of the same pixels and labels apart."""
    shape = (loaded.height, loaded.width, loaded.channels)
    # Data sets whose pixels are equal differ if a new file is resized otherwise. Before there was a choice of methods
    # all were stretched, and the fingerprints had none: they stay as they were.
    header: list[Any] = [loaded.classes, shape, *([] if loaded.method == STRETCH else [loaded.method])]
    # So do those whose deeper images have another range.
    header += [] if loaded.depth in UNMARKED else [{DEPTH: loaded.depth}]
    # Nor are those equal whose images may not be split alike.
    header += [{"validation": loaded.validation}] if loaded.validation else []
    header += [{"groups": list(loaded.groups)}] if loaded.groups else []
    return hashlib.sha256(json.dumps(header, ensure_ascii=True).encode())


def _write_part(folder: Path, part: Part, shape: tuple[int, ...], say: Say) -> None:
    images: Pixels = np.lib.format.open_memmap(
        folder / IMAGES, mode="w+", dtype=np.uint8, shape=(len(part.labels), *shape)
    )
    part.fill(images, say)
    images.flush()  # type: ignore[attr-defined]  # To the disk, before the rename says that it is there.
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
        **({"validation_images": loaded.validation} if loaded.validation else {}),
        **({"groups": len(set(loaded.groups))} if loaded.groups else {}),
        "test_digest": digest_of(loaded.test),
        "preprocessing": preprocessing(
            loaded.height, loaded.width, loaded.channels, loaded.method, loaded.depth
        ),
    }


def _duplicates(train: Pixels, test: Pixels, loaded: Loaded) -> tuple[dict[str, int], list[str]]:
    """The numbers of duplicates and notes about them: all that a search learns of what the test images look like."""
    found = find_duplicates(train, test, loaded.train.labels, loaded.test.labels)
    parts = {"training": loaded.train, "test": loaded.test}

    def name(place: Place) -> str:
        part = parts[place.part]
        known = part.names[place.number] if part.names else f"{place.part} image {place.number:,}"
        return f"{known} ({loaded.classes[part.labels[place.number]]})"

    examples = example_words(found.examples, name)
    return found.counts, duplicate_notes(found.counts, len(train), len(test), examples)


def _publish(partial: Path, folder: Path) -> None:
    try:
        open_dataset(folder)
    except InputError:
        shutil.rmtree(folder, ignore_errors=True)  # A part of it was deleted.
    else:
        # The same content is there, and other processes may have it mapped: only missing test images are put back.
        _keep_range(partial, folder)
        if not (folder / SEALED).exists():
            (partial / SEALED).rename(folder / SEALED)
        _add_names(partial, folder)
        return
    try:
        partial.rename(folder)
    except OSError:
        open_dataset(folder)  # Another request with the same content was faster.


def _keep_range(partial: Path, folder: Path) -> None:
    """Note the range of deeper images where it was not known, or where only a copy in 8 bits was prepared so far."""
    new, old = (json.loads((place / META).read_text(encoding="utf-8")) for place in (partial, folder))
    name, known = new["preprocessing"][DEPTH], old["preprocessing"].get(DEPTH, REFUSED)
    if REFUSED not in (name, known) and name != known:
        raise InputError(
            f"--data: once decoded, these images ({name}) equal others that were prepared here as {known}; pass "
            "--cache with a folder of its own for them"
        )
    if known == REFUSED and old["preprocessing"].get(DEPTH) != name:
        old["preprocessing"][DEPTH] = name
        with atomic_write(folder / META) as aside:
            aside.write_text(json.dumps(old, indent=1), encoding="utf-8")


def _add_names(partial: Path, folder: Path) -> None:
    """Put what a source calls its images beside what others call the same ones."""
    for new, old in ((partial, folder), (partial / SEALED, folder / SEALED)):
        for file in new.glob(NAMES):
            file.replace(old / file.name)


def _sweep(cache: Path, own: str) -> None:
    """Remove what killed processes left half written; what a live process is writing is locked."""
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


def unwritable(folder: Path, error: OSError) -> InputError:
    """The error about a folder in the cache that cannot be written; it says how the cache's place was chosen."""
    if folder.is_relative_to(cache_root()):
        mend = "set XDG_CACHE_HOME to a folder that is"
    else:
        mend = "name by --cache a folder that is"
    return InputError(
        f"the cache folder {folder} cannot be written ({error.strerror or error}): make it writable, or {mend}"
    )
