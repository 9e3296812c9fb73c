"""A study taken out of the database and off the disk; what was begun and cut short can be finished later.

First the database forgets it, whole or not at all, so that no worker goes on with a study that is half there. What is
then still to be removed stands in a file of its own until it has been.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection

from storage.artifacts import Store, discard
from storage.database import Database
from storage.paths import StudyPaths


@dataclass(frozen=True)
class Remains:
    """What is left of a study once the database has forgotten it.

    Attributes:
        paths: Where its files lie.
        pictures: The names of its pictures among these.
        artifacts: What it left in the store of its hosts.
        store: That store's place; None without one.
    """

    paths: StudyPaths
    pictures: Sequence[str] = ()
    artifacts: Sequence[str] = ()
    store: str | None = None

    @property
    def journal(self) -> Path:
        """Where this is written down until it is done."""
        return self.paths.root / f".deleting-{self.paths.study}.{self.paths.uid}.json"

    def own(self) -> list[Path]:
        """The files that say whose they are; nothing behind a link."""
        files = [path for path, _, _ in self.paths.of_trials()]
        files += [path for path, _ in self.paths.all_anew()]
        files += [self.paths.pictures / name for name in self.pictures if Path(name).name == name]
        return [path for path in files if self._is_inside(path)]

    def shared(self) -> bool:
        """Whether a study of the same name, in another database, has files in this one's folder."""
        own = set(self.own())
        folder = self.paths.folder
        named = [folder / name for name in ("checkpoints", "models", "confirm", "pictures")]
        return any(path not in own for place in named for path in _files(place))

    def size(self) -> int:
        """Bytes on this disk that go with it; what links point to is not counted."""
        files = self.own() if self.shared() else _files(self.paths.folder)
        return sum(path.lstat().st_size for path in files if path.is_symlink() or path.exists())

    def write(self) -> None:
        """Write the journal."""
        self.paths.root.mkdir(parents=True, exist_ok=True)
        said = {"pictures": list(self.pictures), "artifacts": list(self.artifacts), "store": self.store}
        aside = self.journal.with_suffix(".new")
        aside.write_text(json.dumps(said))
        aside.replace(self.journal)

    def remove(self, store: Store | None) -> None:
        """Remove it all, and the journal last; may be repeated.

        Raises:
            OSError: A file cannot be removed.
        """
        for name in self.artifacts if store is not None else ():
            discard(store, name)
        folder = self.paths.folder
        if folder.is_symlink():
            folder.unlink()
        elif self.shared():
            for path in self.own():
                path.unlink(missing_ok=True)
        elif folder.is_dir():
            shutil.rmtree(folder)  # Of a link within it removes the link alone.
        self.journal.unlink(missing_ok=True)

    def _is_inside(self, path: Path) -> bool:
        return not (self.paths.folder.is_symlink() or path.parent.is_symlink())


def remains_of(root: Path, study: str) -> list[Remains]:
    """What earlier deletions of studies of this name have left over."""
    found = []
    for path in sorted(root.glob(".deleting-*.json")):
        named = re.fullmatch(rf"\.deleting-{re.escape(study)}\.([0-9a-f]*)\.json", path.name)
        if named is not None:
            said = json.loads(path.read_text())
            found.append(replace(Remains(StudyPaths(root, study, named[1])), **said))
    return found


def forget(database: Database, study_id: int) -> None:
    """Take a study and all its trials out of the database, in one transaction, if the lock held is still held.

    Not by Optuna's own call, which first reads every object: a minute for 10,000 trials.
    """
    guard = database.guard
    with database.connect() as connection, connection.begin():
        if guard is not None:
            guard(connection)
        _forget(connection, study_id)


def _forget(connection: Connection, study_id: int) -> None:
    schema = sqlalchemy.MetaData()
    schema.reflect(connection)
    trials = schema.tables["trials"]
    of_study = sqlalchemy.select(trials.c.trial_id).where(trials.c.study_id == study_id)
    # Those that refer to others come first.
    for table in reversed(schema.sorted_tables):
        if "study_id" in table.c:
            connection.execute(table.delete().where(table.c.study_id == study_id))
        elif "trial_id" in table.c:
            connection.execute(table.delete().where(table.c.trial_id.in_(of_study)))


def _files(place: Path) -> Iterator[Path]:
    """All files under a folder; of links the links themselves, and nothing behind them."""
    if place.is_symlink() or not place.is_dir():
        return
    for path in place.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path
