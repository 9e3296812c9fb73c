"""New studies whose images are still made ready, so that other terminals can tell them from none at all.

A study is in the database once it is whole. Until then, for seconds or minutes, a file in the user's cache folder says
which process makes it; a process that was killed leaves its file, which counts for nothing.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.data import cache_root
from search.formatting import duration
from storage.atomic import atomic_write
from storage.process_identity import hostname, pid_namespace, process_exists, start_time
from storage.url import identity, storage_url


@contextmanager
def being_prepared(study: str, storage: str | None, root: Path) -> Iterator[None]:
    """Within the block, have other terminals of this host know that this process makes the study.

    Args:
        study: Its name.
        storage: The database's URL; by default the environment's, or SQLite under ``root``.
        root: The folder of all studies.
    """
    file = _folder() / f"{_key(study, storage, root)}-{os.getpid()}.json"
    about = {"pid": os.getpid(), "started": start_time(os.getpid()), "place": _place(), "since": time.time()}
    with contextlib.suppress(OSError):  # Who cannot write there is told so where images are to be written.
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as aside:
            aside.write_text(json.dumps(about))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            file.parent.rmdir()  # The last one.
            file.parent.parent.rmdir()  # Where nothing was prepared.


def preparation_words(study: str, storage: str | None, root: Path) -> str:
    """Which process of this host makes a study, and since when, in words; empty where none does.

    What it takes is what ``being_prepared`` does.
    """
    for file in sorted(_folder().glob(f"{_key(study, storage, root)}-*.json")):
        try:
            about = json.loads(file.read_text())
            alive = about["place"] == _place() and process_exists(about["pid"], about["started"])
        except (OSError, ValueError, KeyError, TypeError):  # Removed meanwhile, or of another version.
            continue
        if alive:
            since = duration(round(max(0.0, time.time() - about["since"])))
            return (
                f"study {study} is being prepared, for {since} so far (process {about['pid']}): its images are made "
                "ready before its first trial begins; look again in a while, or end it by Ctrl-C where it was begun"
            )
    return ""


def _folder() -> Path:
    return cache_root() / "preparing"


def _key(study: str, storage: str | None, root: Path) -> str:
    about = f"{study} {root.absolute()} {identity(storage_url(storage, root), root)}"
    return hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _place() -> list[str]:
    return [hostname(), str(pid_namespace())]
