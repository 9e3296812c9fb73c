"""What lies in the cache of a host: what it is of, how much room it takes, when it was last used; and its removal.

All of it can be made again, but for what it was made of: prepared images and unpacked archives from the data, features
from images and backbone, a backbone from its file or by a download.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from search.data.dataset import META
from search.errors import InputError
from search.formatting import count

ALL = "all"
# Letters that are enough to name an entry by, and that the list shows.
LEAST_LETTERS, SHOWN = 4, 12
# What this program calls its folders; whatever else lies in a folder that somebody names is not touched.
DIGEST, ARCHIVE = re.compile(r"[0-9a-f]{32}"), re.compile(r".+-[0-9a-f]{12}")


@dataclass(frozen=True)
class Cached:
    """One thing in the cache.

    Attributes:
        name: Its own name there.
        kind: ``images``, ``archive``, ``features``, ``backbone``, or ``rest`` of a preparation that was cut short.
        what: What it is of, in words.
        size: Bytes on disk.
        used: When it was last read or written, in seconds since the epoch.
        paths: Its files and folders.
    """

    name: str
    kind: str
    what: str
    size: int
    used: float
    paths: tuple[Path, ...]


def list_cache(cache: Path) -> list[Cached]:
    """All that lies in a cache, the largest first; a folder that is not there has nothing.

    Raises:
        InputError: It cannot be read.
    """
    try:
        found = [*_images(cache), *_archives(cache), *_backbones(cache), *_features(cache), *_rests(cache)]
    except OSError as error:
        raise InputError(f"--cache {cache}: cannot be read ({error.strerror or error})") from None
    return sorted(found, key=lambda one: -one.size)


def choose(listed: Sequence[Cached], names: Sequence[str]) -> list[Cached]:
    """The entries of these names, or of their first letters; ``all`` are all.

    Raises:
        InputError: A name is of none, or of several.
    """
    if ALL in names:
        return list(listed)
    chosen: list[Cached] = []
    for name in names:
        meant = [one for one in listed if one.name.startswith(name) and len(name) >= LEAST_LETTERS]
        meant = [one for one in meant if one.name == name] or meant
        if len(meant) != 1:
            why = f"is the beginning of {len(meant)} names" if meant else "nothing in the cache is called so"
            raise InputError(
                f"--clear {name}: {why}; expected {ALL}, or a name that python -m search.cache lists "
                f"({LEAST_LETTERS} letters or more)"
            )
        chosen += [one for one in meant if one not in chosen]
    return chosen


def clear(cache: Path, chosen: Sequence[Cached]) -> int:
    """Remove entries, and what points to them.

    Returns:
        The bytes that are free again.

    Raises:
        InputError: Another process is writing one of them, or it cannot be removed; those before it are gone.
    """
    freed = 0
    for one in chosen:
        try:
            with _unwritten(one):
                for path in one.paths:
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
        except Timeout:
            raise InputError(
                f"--clear {one.name}: another process is writing it; try again once it is done"
            ) from None
        except OSError as error:
            raise InputError(
                f"--clear {one.name}: {error.filename} cannot be removed ({error.strerror or error})"
            ) from None
        freed += one.size
        if one.kind == "images":
            for request in (cache / "requests").glob("*.json"):
                if _read(request).get("fingerprint") == one.name:
                    request.unlink(missing_ok=True)
    return freed


def _unwritten(one: Cached) -> Any:
    """Within, no process writes an entry; whoever writes one holds a lock beside it."""
    place = one.paths[0]
    lock = place.with_name(f"{place.name}.lock") if one.kind == "rest" else place.with_suffix(".lock")
    locks = [*place.glob("*.lock")] if one.kind == "features" else [lock] if lock.is_file() else []
    return FileLock(locks[0]).acquire(timeout=0) if locks else nullcontext()


def _images(cache: Path) -> Iterator[Cached]:
    for meta in cache.glob(f"*/{META}"):
        facts = _read(meta)
        if not DIGEST.fullmatch(meta.parent.name) or "fingerprint" not in facts:
            continue
        numbers = [sum(facts.get(part, ())) for part in ("train_counts", "test_counts")]
        what = (
            f"{facts.get('source', 'unknown')}: {numbers[0]:,} training and {numbers[1]:,} test images of "
            f"{count(len(facts.get('classes', ())), 'class', 'classes')}, "
            f"{facts.get('width')}x{facts.get('height')} pixels"
        )
        yield _cached(meta.parent.name, "images", what, meta.parent)


def _archives(cache: Path) -> Iterator[Cached]:
    for folder in _named(cache / "archives", ARCHIVE):
        yield _cached(folder.name, "archive", f"{folder.name.rpartition('-')[0]}, unpacked", folder)


def _backbones(cache: Path) -> Iterator[Cached]:
    for file in cache.glob("backbones/*.keras"):
        if not DIGEST.fullmatch(file.stem):
            continue
        facts = [entry for entry in cache.glob("backbones/*.json") if _read(entry).get("digest") == file.stem]
        named = [entry.stem for entry in facts if entry.stem != file.stem]
        known = _read(facts[0]) if facts else {}
        what = f"{named[0].rpartition('-')[0] or named[0]}: " if named else ""
        what += (
            f"a backbone of {known.get('parameters', 0):,} parameters, {known.get('features', 0):,} features"
        )
        yield _cached(file.stem, "backbone", what, file, *facts)


def _features(cache: Path) -> Iterator[Cached]:
    import numpy as np

    for folder in _named(cache / "features", DIGEST):
        what = "a backbone's features"
        with suppress(OSError, ValueError, EOFError):
            images, features = np.load(folder / "plain.npy", mmap_mode="r").shape
            what = f"a backbone's {features:,} features of up to {images:,} training images"
        yield _cached(folder.name, "features", what, folder)


def _rests(cache: Path) -> Iterator[Cached]:
    for folder in [*_named(cache / "partial", DIGEST), *_named(cache / "partial", ARCHIVE)]:
        yield _cached(folder.name, "rest", "a preparation that was cut short, or goes on now", folder)


def _named(place: Path, pattern: re.Pattern[str]) -> list[Path]:
    """The folders in a folder whose names are as they should be."""
    return [folder for folder in place.glob("*") if folder.is_dir() and pattern.fullmatch(folder.name)]


def _cached(name: str, kind: str, what: str, *paths: Path) -> Cached:
    files = [file for path in paths for file in _files(path)]
    # Not what a file is long, but what it takes: features have holes.
    size = sum(512 * one.st_blocks for one in files)
    used = max((max(one.st_atime, one.st_mtime) for one in files), default=0.0)
    return Cached(name, kind, what, size, used, paths)


def _files(path: Path) -> Iterator[os.stat_result]:
    for file in [path, *path.rglob("*")]:
        with suppress(OSError):  # Another process may have removed it.
            if not file.is_dir():
                yield file.stat()


def _read(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
