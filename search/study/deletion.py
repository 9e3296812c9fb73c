"""Remove a study from its database, with its files and artifacts."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from search.errors import InputError
from search.formatting import duration
from search.study.finding import find_study, load_study
from search.study.fold_results import FOLDS
from search.study.out_of_fold import prediction_files, predictions_artifact
from search.study.study import KEPT, MODEL, UID, LoadedStudy
from storage.artifacts import CHECKPOINT, artifact_ids, open_artifacts
from storage.claims import lock_name
from storage.deletion import (
    DeletionJournal,
    delete_from_database,
    is_shared,
    journals_of,
    markers_of,
    remove,
    size_of,
)
from storage.errors import DatabaseGone
from storage.ledger import times_scored
from storage.occupancy import occupants
from storage.paths import StudyPaths
from storage.queries import read_study_summary
from storage.url import default_url, identity, storage_url


@dataclass(frozen=True)
class Contents:
    """What is deleted with a study.

    Attributes:
        study: Its name.
        trials: Number of its trials; None where the database does not know it any more.
        models: Number of kept weights on this disk.
        checkpoints: Number of checkpoints of interrupted trials on this disk.
        folder: Where its files lie.
        size: Size of these files, bytes.
        shared: Whether a study of the same name keeps files there too that is not deleted, and whose files stay.
        artifacts: Number of files that it left in its artifact store.
        store: The place of that store; None without one.
        scorings: How often its test images have been scored, which nobody will know afterwards.
        unfinished: Number of deletions of this name that were cut short, and are finished with this one.
        orphans: Number of studies of this name that the database has forgotten by other means, whose files go too.
        elsewhere: The databases whose studies of this name, or deletions of these, stay as they are.
    """

    study: str
    trials: int | None
    models: int
    checkpoints: int
    folder: Path
    size: int
    shared: bool
    artifacts: int
    store: str | None
    scorings: int
    unfinished: int = 0
    orphans: int = 0
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Left:
    """What studies of one name have left behind that their database no longer knows.

    Attributes:
        unfinished: The journals of deletions that were cut short.
        orphans: What studies left that were deleted by other means.
        elsewhere: The databases of what may be somebody else's, and stays.
    """

    unfinished: list[DeletionJournal]
    orphans: list[DeletionJournal]
    elsewhere: tuple[str, ...]


def delete_study(
    study: str,
    *,
    storage: str | None = None,
    root: Path = Path("studies"),
    check: Callable[[LoadedStudy], None] = lambda study: None,
    agreed: Callable[[Contents], bool] = lambda contents: True,
) -> bool:
    """Remove a study from its database, with its files here and its artifacts; exports and prepared images stay.

    With it goes what studies of the same name left that this database no longer knows: a deletion that was cut short,
    or one by a dashboard. What a study in another database has in the same folder stays.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        check: Called with the study, where the database knows it, before anything else; refuses by raising.
        agreed: Asked, with what is deleted, before anything is removed.

    Returns:
        Whether it was agreed to.

    Raises:
        InputError: There is no such study, somebody is at work on it, or a file cannot be removed.
    """
    try:
        found = find_study(study, storage, root)
        if found is not None:
            check(found)
        if found is None and not root.is_dir():  # So nothing is left of it there, either.
            load_study(study, storage, root)
        left = _left(study, storage_url(storage, root), root, found)
        remains = [*left.unfinished, *left.orphans]
        if found is None and not remains:
            load_study(study, storage, root)  # Says what there is to say.
        if found is not None:
            found.check_rights("DELETE")
            found.storage.retrying.set_deadline(0)
            contents = found.storage.retrying.call(lambda _: contents_of(found, left))
        else:
            contents = _contents(study, root, remains, left)
        if not agreed(contents):
            return False
        for one in left.orphans:
            one.write()  # Else a removal that is cut short would leave files without the marker.
        if found is not None:
            remains.append(_take_out(found))
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    _remove(root / study, remains)
    return True


def _left(study: str, url: str, root: Path, found: LoadedStudy | None) -> _Left:
    here, known = identity(url, root), _known(study, url) if found is None else {found.paths.uid}
    # A journal of an older version does not say which database it is of: the usual one must not know the study either.
    is_other = root.is_dir() and url != default_url(root)
    of_old = known | (_known(study, default_url(root)) if is_other else set())
    journals = journals_of(root, study)
    unfinished = [
        one
        for one in journals
        if one.database in (here, "") and one.paths.uid not in (known if one.database else of_old)
    ]
    markers = markers_of(root / study)
    written = {one.paths.uid for one in journals if one.database in (here, "")}
    orphans = [
        DeletionJournal(StudyPaths(root, study, uid), None, database=here)
        for uid, database in markers.items()
        if database == here and uid not in known and uid not in written
    ]
    of_journals = {one.database for one in journals if one.database and one.paths.uid not in markers}
    others = of_journals | set(markers.values())
    return _Left(unfinished, orphans, tuple(sorted(others - {here})))


def _known(study: str, url: str) -> set[str]:
    """The identifier of the study of this name in a database, if there is one."""
    there = read_study_summary(url, study)
    return set() if there is None else {str(there.attributes.get(UID, ""))}


def contents_of(loaded: LoadedStudy, left: _Left | None = None) -> Contents:
    """Count what would be deleted with a study now.

    Raises:
        InputError: Somebody is at work on it.
    """
    check_idle(loaded)
    left = left or _Left([], [], ())
    remains = [_remains(loaded), *left.unfinished, *left.orphans]
    return _contents(loaded.config.study, loaded.paths.root, remains, left, loaded)


def _contents(
    study: str,
    root: Path,
    remains: Sequence[DeletionJournal],
    left: _Left,
    loaded: LoadedStudy | None = None,
) -> Contents:
    folder, files = root / study, [path for one in remains for path in one.files()]
    return Contents(
        study,
        None if loaded is None else len(loaded.view.get_trials(deepcopy=False)),
        sum(path.suffix == ".keras" for path in files),
        sum(path.suffix == ".npz" for path in files),
        folder,
        size_of(folder, remains),
        is_shared(folder, remains),
        sum(len(one.artifacts) for one in remains),
        next((one.store for one in remains if one.store), None),
        0 if loaded is None else times_scored(loaded.view),
        len(left.unfinished),
        len(left.orphans),
        left.elsewhere,
    )


def check_idle(loaded: LoadedStudy) -> None:
    """Refuse a study that a worker or an export is, or may be, at work on.

    Raises:
        InputError: One is; the message names it.
    """
    database = loaded.storage
    longest = database.timeouts.grace + database.timeouts.outage
    busy = occupants(database, loaded.study_id, longest)
    if busy:
        raise InputError(
            f"--study {loaded.config.study}: worked on by {', '.join(map(str, busy))}; stop them "
            f"first (Ctrl-C there); who is silent for {duration(longest)} is taken for dead"
        )


def _remains(loaded: LoadedStudy) -> DeletionJournal:
    trials = loaded.view.get_trials(deepcopy=False)
    pictures = set(artifact_ids(loaded.storage.get_study_system_attrs(loaded.study_id)).values())
    artifacts = set(loaded.view.user_attrs.get(KEPT, []))
    for trial in trials:
        pictures |= set(artifact_ids(trial.system_attrs).values())
        artifacts |= {trial.user_attrs[MODEL]} if MODEL in trial.user_attrs else set()
        artifacts |= {
            predictions_artifact(loaded.config.study, path)
            for path in prediction_files(loaded, trial.number, trial.user_attrs.get(FOLDS, ()))
        }
        artifacts |= (
            {trial.system_attrs[CHECKPOINT]["artifact"]} if CHECKPOINT in trial.system_attrs else set()
        )
    store, here = loaded.config.artifacts, identity(loaded.url, loaded.paths.root)
    if store is None:
        return DeletionJournal(loaded.paths, sorted(pictures), database=here)
    return DeletionJournal(loaded.paths, (), sorted(artifacts | pictures), store, here)


def _take_out(loaded: LoadedStudy) -> DeletionJournal:
    """Write a journal of what the study leaves behind, then remove it from the database; under the claims' lock."""
    loaded.artifacts  # noqa: B018  # A store that cannot be opened is told of now.

    written: list[DeletionJournal] = []

    def take_out() -> DeletionJournal:
        try:
            check_idle(loaded)
            written.append(_remains(loaded))
        except KeyError:  # It is gone: by us, where the answer to a first try was lost, or by another.
            if not written:
                raise InputError(
                    f"--study {loaded.config.study}: somebody else has just deleted it"
                ) from None
            written[0].write()
            return written[0]
        written[-1].write()
        try:
            delete_from_database(loaded.storage, loaded.study_id)
        except BaseException:
            # Whoever cannot tell leaves the journal, which is checked before it is finished.
            with suppress(Exception):
                if loaded.still_there():
                    written[-1].journal.unlink(missing_ok=True)
            raise
        return written[-1]

    return loaded.storage.exclusively(lock_name(loaded.study_id), take_out)


def _remove(folder: Path, remains: Sequence[DeletionJournal]) -> None:
    try:
        remove(folder, remains, [None if one.store is None else open_artifacts(one.store) for one in remains])
    except OSError as error:
        raise InputError(
            f"--studies {folder.parent}: {error.filename} cannot be removed ({error.strerror}); the database has "
            "forgotten the study already: mend that, and run the same command again"
        ) from None
