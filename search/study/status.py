"""How a study stands, and who works on it."""

from dataclasses import replace

from search.errors import InputError
from search.study.snapshot import ATTRIBUTES, Snapshot, take_snapshot
from search.study.study import LoadedStudy
from storage.errors import DatabaseGone
from storage.occupancy import exports_at_work
from storage.queries import read_trials


def with_exports(loaded: LoadedStudy, snapshot: Snapshot) -> Snapshot:
    """The snapshot of an open study, with the exports that are at work on it, whose trainings are no trials."""
    database = loaded.storage
    found = exports_at_work(database, loaded.study_id, database.timeouts.grace)
    return replace(snapshot, exports=[str(one) for one in found])


def status_of(loaded: LoadedStudy) -> Snapshot:
    """Read how an open study stands; nothing is written.

    A trial whose worker is gone is shown as lost until one takes it.

    Raises:
        InputError: Its database does not answer.
    """
    retrying = loaded.storage.retrying
    retrying.set_deadline(0)  # One try: who looks once is told at once what is wrong.

    def read(_: int) -> Snapshot:
        trials = read_trials(loaded.storage, loaded.study_id, ATTRIBUTES)
        return with_exports(loaded, take_snapshot(loaded, trials=trials))

    try:
        return retrying.call(read)
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
