"""How a study is deleted from the database and the disk; a deletion that is cut short can be finished later.

First the study leaves the database, in one transaction, so that no worker goes on with half a study. What then remains
to be removed is written down beforehand, in a journal, which is the last file to go. A journal names its database: the
deletion is finished only where that database no longer knows the study.

A study that was deleted by other means (a dashboard, Optuna) leaves no journal, but a marker: a file in its folder that
names its database. So its files can be told from those of a study of the same name in another database.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy

from storage.artifacts import Store, discard
from storage.atomic import atomic_write
from storage.database import Database
from storage.paths import MARKERS, StudyPaths

# What macOS leaves in every folder that somebody looks into.
DESKTOP = ".DS_Store"


@dataclass(frozen=True)
class DeletionJournal:
    """What remains of a study once it has left the database.

    Attributes:
        paths: The paths of its files.
        pictures: The names of its files in ``paths.pictures``; None where nobody knows them.
        artifacts: The names of its files in the artifact store.
        store: Where that store is; None if the study has none.
        database: Identity of its database (``storage.url.identity``); empty in a journal of an older version.
    """

    paths: StudyPaths
    pictures: Sequence[str] | None = ()
    artifacts: Sequence[str] = ()
    store: str | None = None
    database: str = ""

    @property
    def journal(self) -> Path:
        """The file that holds this record until everything is removed."""
        return self.paths.root / f".deleting-{self.paths.study}.{self.paths.uid}.json"

    def files(self) -> list[Path]:
        """The files whose names say that they are this study's; nothing behind a link."""
        files = [path for path, _, _ in self.paths.trial_files()]
        files += [path for path, _ in self.paths.race_files()]
        files += self.paths.prediction_files()
        files += self.paths.all_started()
        files += [self.paths.pictures / name for name in self.pictures or () if Path(name).name == name]
        return [path for path in files if not (self.paths.folder.is_symlink() or path.parent.is_symlink())]

    def write(self) -> None:
        """Write the journal."""
        self.paths.root.mkdir(parents=True, exist_ok=True)
        record = {name: getattr(self, name) for name in ("pictures", "artifacts", "store", "database")}
        with atomic_write(self.journal) as aside:
            aside.write_text(json.dumps(record))


def is_shared(folder: Path, remains: Sequence[DeletionJournal]) -> bool:
    """Whether a study's folder holds files of a study of the same name that is not among these.

    Args:
        folder: The folder.
        remains: What is to be removed from it.
    """
    if any(uid not in {one.paths.uid for one in remains} for uid in markers_of(folder)):
        return True
    own = {path for one in remains for path in one.files()}
    subfolders = ["checkpoints", "models", "confirm", "predictions"]
    if all(one.pictures is not None for one in remains):
        subfolders.append("pictures")
    return any(path not in own for name in subfolders for path in _files(folder / name))


def size_of(folder: Path, remains: Sequence[DeletionJournal]) -> int:
    """How many bytes on this disk ``remove`` frees; what links point to does not count."""
    files = [path for one in remains for path in one.files()]
    if not is_shared(folder, remains):
        own = StudyPaths(folder.parent, folder.name).own()
        files = [path for path in _files(folder) if any(path.is_relative_to(one) for one in own)]
    return sum(path.lstat().st_size for path in files if path.is_symlink() or path.exists())


def remove(folder: Path, remains: Sequence[DeletionJournal], stores: Sequence[Store | None]) -> None:
    """Remove everything of these studies, and their journals last; it may be repeated. What else lies there stays.

    Args:
        folder: The folder that they share.
        remains: What is to be removed.
        stores: The artifact store of each; None if it has none.

    Raises:
        OSError: A file cannot be removed.
    """
    for one, store in zip(remains, stores, strict=True):
        for name in one.artifacts if store is not None else ():
            discard(store, name)
    if folder.is_symlink():
        folder.unlink()
    elif is_shared(folder, remains):
        for one in remains:
            for path in (*one.files(), one.paths.marker):
                path.unlink(missing_ok=True)
    else:
        for path in StudyPaths(folder.parent, folder.name).own():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)  # It removes a link, and not what the link points to.
            else:
                path.unlink()
        if folder.is_dir() and all(path.name == DESKTOP for path in folder.iterdir()):
            (folder / DESKTOP).unlink(missing_ok=True)
            folder.rmdir()
    for one in remains:
        one.journal.unlink(missing_ok=True)


def journals_of(root: Path, study: str) -> list[DeletionJournal]:
    """The journals of deletions of studies of this name that were cut short.

    Of a damaged one nobody knows the database, so that it stays until the study's marker tells.
    """
    journals = []
    for path in sorted(root.glob(".deleting-*.json")):
        match = re.fullmatch(rf"\.deleting-{re.escape(study)}\.([0-9a-f]*)\.json", path.name)
        if match is not None:
            empty = DeletionJournal(StudyPaths(root, study, match[1]))
            try:
                journals.append(replace(empty, **json.loads(path.read_text())))
            except (ValueError, TypeError):
                journals.append(replace(empty, database=f"an unknown database ({path} is damaged)"))
    return journals


def leave_marker(paths: StudyPaths, database: str) -> None:
    """Say in a study's folder which database it is in.

    Args:
        paths: The study's paths.
        database: Its identity (``storage.url.identity``).
    """
    if paths.uid and not paths.marker.exists():
        paths.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(paths.marker) as aside:
            aside.write_text(json.dumps({"database": database}))


def markers_of(folder: Path) -> dict[str, str]:
    """The databases of the studies that have left a marker in a folder, by the studies' identifiers.

    Of a damaged marker nobody knows the database, so that its study's files stay.
    """
    found = {}
    for path in sorted(folder.glob(MARKERS)) if not folder.is_symlink() else ():
        match = re.fullmatch(r"\.study-([0-9a-f]+)\.json", path.name)
        if match is not None:
            try:
                found[match[1]] = str(json.loads(path.read_text())["database"])
            except (ValueError, TypeError, KeyError):
                found[match[1]] = f"an unknown database ({path} is damaged)"
    return found


def delete_from_database(database: Database, study_id: int) -> None:
    """Delete a study and all its trials from the database, in one transaction, which this thread's guard may refuse.

    Optuna's own call would first read every object, which takes a minute for 10,000 trials.
    """
    guard = database.guard
    with database.connect() as connection, connection.begin():
        if guard is not None:
            guard(connection)
        schema = sqlalchemy.MetaData()
        schema.reflect(connection)
        trials = schema.tables["trials"]
        of_study = sqlalchemy.select(trials.c.trial_id).where(trials.c.study_id == study_id)
        # Tables that refer to others come first.
        for table in reversed(schema.sorted_tables):
            if "study_id" in table.c:
                connection.execute(table.delete().where(table.c.study_id == study_id))
            elif "trial_id" in table.c:
                connection.execute(table.delete().where(table.c.trial_id.in_(of_study)))


def _files(folder: Path) -> Iterator[Path]:
    """All files under a folder, and the links themselves, but nothing behind a link."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path
