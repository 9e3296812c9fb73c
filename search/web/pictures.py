"""The artifacts that a dashboard may show: those of the studies in its database, each from its study's own store."""

from pathlib import Path
from typing import Any, BinaryIO

from bottle import HTTPError
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import BaseStorage

from search.config.study_config import StudyConfig
from search.errors import InputError
from search.study.study import CONFIG
from search.web.guard import READ_ONLY
from storage.artifacts import Store, discard, open_artifacts
from storage.paths import StudyPaths


class Pictures:
    """An artifact store (Optuna's protocol) over the stores of all studies of a database.

    optuna-dashboard asks only for what is recorded on the very study or trial of the address; this finds the store that
    holds it, and opens nothing that lies elsewhere.

    Args:
        storage: The database.
        root: The folder of all studies.
        allow_changes: Whether files may be removed.
    """

    def __init__(self, storage: BaseStorage, root: Path, allow_changes: bool = False) -> None:
        self._storage, self._root, self._allow_changes = storage, root, allow_changes

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file.

        Raises:
            HTTPError: 404, where no store has it.
        """
        for place in self._places():
            if isinstance(place, Path) and not _within(place, artifact_id):
                continue
            try:
                found: BinaryIO = self._open(place).open_reader(artifact_id)
            except (ArtifactNotFound, OSError):
                continue
            return found
        raise HTTPError(404, "this file is not here; hosts that share no folder need --artifacts to show it")

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Refuse: workers and exports leave files, the page does not."""
        raise HTTPError(403, "files come from workers and exports, not from this page")

    def remove(self, artifact_id: str) -> None:
        """Delete the file wherever it lies; one that is gone already is no trouble."""
        if not self._allow_changes:  # A study's deletion begins here, before the database refuses it.
            raise HTTPError(403, READ_ONLY)
        for place in self._places():
            if isinstance(place, str) or _within(place, artifact_id):
                discard(self._open(place), artifact_id)

    def _open(self, place: Path | str) -> Store:
        return open_artifacts(str(place))

    def _places(self) -> list[Path | str]:
        """Folders and buckets, each once."""
        found: list[Path | str] = []
        for study in self._storage.get_all_studies():
            text: Any = study.user_attrs.get(CONFIG)
            if text is None:
                continue  # Not one of ours.
            try:
                where = StudyConfig.from_json(text).artifacts
            except (InputError, ValueError, TypeError):
                continue
            if where is None:
                found.append(StudyPaths(self._root, study.study_name).pictures)
            else:
                found.append(where if "://" in where else Path(where))
        return list(dict.fromkeys(found))


def _within(folder: Path, name: str) -> bool:
    """Whether it is a file of this very folder, and no link to another place."""
    path = folder / name
    return path.is_file() and path.resolve().parent == folder.resolve()
