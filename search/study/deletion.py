"""Remove a study from its database, with its files and artifacts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.config.settings import check_study_name
from search.errors import InputError
from search.formatting import duration
from search.study.study import KEPT, MODEL, LoadedStudy, find_study, load_study
from storage.artifacts import CHECKPOINT, artifact_ids, open_artifacts
from storage.claims import lock_name
from storage.deletion import DeletionJournal, delete_from_database, journals_of
from storage.errors import DatabaseGone
from storage.ledger import times_scored
from storage.liveness import HEARTBEAT, is_worker_dead
from storage.queries import read_trials


@dataclass(frozen=True)
class Contents:
    """What a study consists of, and so what is deleted with it.

    Attributes:
        study: Its name.
        trials: Number of its trials.
        models: Number of kept weights on this disk.
        checkpoints: Number of checkpoints of interrupted trials on this disk.
        folder: Where its files lie.
        size: Size of these files, bytes.
        shared: Whether a study of the same name in another database keeps files there too, which stay.
        artifacts: Number of files that it left in its artifact store.
        store: The place of that store; None without one.
        scorings: How often its test images have been scored, which nobody will know afterwards.
    """

    study: str
    trials: int
    models: int
    checkpoints: int
    folder: Path
    size: int
    shared: bool
    artifacts: int
    store: str | None
    scorings: int


def delete_study(
    study: str,
    *,
    storage: str | None = None,
    root: Path = Path("studies"),
    agreed: Callable[[Contents], bool] = lambda contents: True,
) -> bool:
    """Remove a study from its database, with its files here and its artifacts; exports and prepared images stay.

    A deletion that was cut short is finished by calling this again.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        agreed: Asked, with what the study consists of, before anything is removed.

    Returns:
        Whether it was agreed to.

    Raises:
        InputError: There is no such study, workers are at work on it, or a file cannot be removed.
    """
    check_study_name(study)
    left = journals_of(root, study)
    try:
        found = find_study(study, storage, root)
        if found is None and not left:
            load_study(study, storage, root)  # Says what there is to say.
        if found is not None:
            found.check_rights("DELETE")
            found.storage.retrying.set_deadline(0)
            if not agreed(found.storage.retrying.call(lambda _: contents_of(found))):
                return False
            left = [*left, _take_out(found)]
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    for remains in left:
        _remove(remains)
    return True


def contents_of(loaded: LoadedStudy) -> Contents:
    """Count what would be deleted with a study now.

    Raises:
        InputError: Workers are at work on it.
    """
    check_idle(loaded)
    remains = _remains(loaded)
    own = remains.files()
    return Contents(
        loaded.config.study,
        len(loaded.view.get_trials(deepcopy=False)),
        sum(path.suffix == ".keras" for path in own),
        sum(path.suffix == ".npz" for path in own),
        remains.paths.folder,
        remains.size(),
        remains.shares_folder(),
        len(remains.artifacts),
        remains.store,
        times_scored(loaded.view),
    )


def check_idle(loaded: LoadedStudy) -> None:
    """Refuse a study that workers are, or may be, at work on.

    Raises:
        InputError: Workers are; the message names them.
    """
    database, now = loaded.storage, loaded.storage.now()
    longest = database.timeouts.grace + database.timeouts.outage
    lives = [
        (trial.number, trial.system_attrs.get(HEARTBEAT))
        for trial in read_trials(database, loaded.study_id, ())
        if trial.state.name == "RUNNING"
    ]
    busy = [
        f"{life['worker']} (trial {number}, seen {duration(round(max(0.0, now - life['time'])))} ago)"
        for number, life in lives
        if life is not None and not is_worker_dead(life, now, longest)
    ]
    if busy:
        raise InputError(
            f"--study {loaded.config.study}: worked on by {', '.join(busy)}; stop them first (Ctrl-C there); who is "
            f"silent for {duration(longest)} is taken for dead"
        )


def _remains(loaded: LoadedStudy) -> "DeletionJournal":

    trials = loaded.view.get_trials(deepcopy=False)
    pictures = set(artifact_ids(loaded.storage.get_study_system_attrs(loaded.study_id)).values())
    artifacts = set(loaded.view.user_attrs.get(KEPT, []))
    for trial in trials:
        pictures |= set(artifact_ids(trial.system_attrs).values())
        artifacts |= {trial.user_attrs[MODEL]} if MODEL in trial.user_attrs else set()
        artifacts |= (
            {trial.system_attrs[CHECKPOINT]["artifact"]} if CHECKPOINT in trial.system_attrs else set()
        )
    store = loaded.config.artifacts
    if store is None:
        return DeletionJournal(loaded.paths, sorted(pictures))
    return DeletionJournal(loaded.paths, (), sorted(artifacts | pictures), store)


def _take_out(loaded: LoadedStudy) -> "DeletionJournal":
    """Write a journal of what the study leaves behind, then remove it from the database; under the claims' lock."""
    loaded.artifacts  # noqa: B018  # A store that cannot be opened is told of now.

    written: list[DeletionJournal] = []

    def take_out() -> "DeletionJournal":
        check_idle(loaded)
        try:
            written.append(_remains(loaded))
        except KeyError:  # It is gone: by us, where the answer to a first try was lost, or by another.
            if not written:
                raise InputError(
                    f"--study {loaded.config.study}: somebody else has just deleted it"
                ) from None
            return written[0]
        written[-1].write()
        delete_from_database(loaded.storage, loaded.study_id)
        return written[-1]

    return loaded.storage.exclusively(lock_name(loaded.study_id), take_out)


def _remove(remains: "DeletionJournal") -> None:

    try:
        remains.remove(None if remains.store is None else open_artifacts(remains.store))
    except OSError as error:
        raise InputError(
            f"--studies {remains.paths.root}: {error.filename} cannot be removed ({error.strerror}); the database has "
            "forgotten the study already: mend that, and run the same command again"
        ) from None
