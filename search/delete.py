"""``python -m search.delete``: remove a study with its files."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.command import main, make_app
from search.config import check_study_name
from search.errors import InputError
from search.flags import Storage, Studies, Study, flag

if TYPE_CHECKING:
    from search.study import LoadedStudy
    from storage.deletion import Remains


@dataclass(frozen=True)
class Contents:
    """What goes with a study.

    Attributes:
        study: Its name.
        trials: How many it has.
        models: Kept weights on this disk.
        checkpoints: What interrupted trials would go on from, on this disk.
        folder: Where its files lie.
        size: Bytes of these.
        shared: Whether a study of the same name in another database keeps files there, which stay.
        artifacts: How many files it left in its store.
        store: That store's place; None without one.
        scorings: How often its test images have been scored, which nobody will know then.
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

    One that was cut short is finished by calling it again.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        agreed: Asked before anything is removed.

    Returns:
        Whether it was agreed to.

    Raises:
        InputError: No such study, workers are at work on it, or a file cannot be removed.
    """
    from search.study import find_study, load_study
    from storage.deletion import remains_of
    from storage.errors import DatabaseGone

    check_study_name(study)
    left = remains_of(root, study)
    try:
        found = find_study(study, storage, root)
        if found is None and not left:
            load_study(study, storage, root)  # Says what there is to say.
        if found is not None:
            found.storage.retrying.hurry(0)
            if not agreed(found.storage.retrying.call(lambda _: contents_of(found))):
                return False
            left = [*left, _take_out(found)]
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    for remains in left:
        _remove(remains)
    return True


def contents_of(loaded: "LoadedStudy") -> Contents:
    """What would go with a study now.

    Raises:
        InputError: Workers are at work on it.
    """
    from storage.ledger import times_scored

    check_idle(loaded)
    remains = _remains(loaded)
    own = remains.own()
    return Contents(
        loaded.config.study,
        len(loaded.view.get_trials(deepcopy=False)),
        sum(path.suffix == ".keras" for path in own),
        sum(path.suffix == ".npz" for path in own),
        remains.paths.folder,
        remains.size(),
        remains.shared(),
        len(remains.artifacts),
        remains.store,
        times_scored(loaded.view),
    )


def check_idle(loaded: "LoadedStudy") -> None:
    """Refuse a study that workers are, or may be, at work on.

    Raises:
        InputError: In one line, who they are.
    """
    from search.snapshot import duration
    from storage.claims import LIFE, gone
    from storage.glance import glance

    database, now = loaded.storage, loaded.storage.now()
    longest = database.times.grace + database.times.outage
    lives = [
        (trial.number, trial.system_attrs.get(LIFE))
        for trial in glance(database, loaded.study_id, ())
        if trial.state.name == "RUNNING"
    ]
    busy = [
        f"{life['worker']} (trial {number}, seen {duration(round(max(0.0, now - life['time'])))} ago)"
        for number, life in lives
        if life is not None and not gone(life, now, longest)
    ]
    if busy:
        raise InputError(
            f"--study {loaded.config.study}: worked on by {', '.join(busy)}; stop them first (Ctrl-C there); who is "
            f"silent for {duration(longest)} is taken for dead"
        )


def _remains(loaded: "LoadedStudy") -> "Remains":
    from search.feeding.pictures import names_in
    from search.files import KEPT, MODEL
    from storage.artifacts import CHECKPOINT
    from storage.deletion import Remains

    trials = loaded.view.get_trials(deepcopy=False)
    pictures = set(names_in(loaded.storage.get_study_system_attrs(loaded.study_id)).values())
    artifacts = set(loaded.view.user_attrs.get(KEPT, []))
    for trial in trials:
        pictures |= set(names_in(trial.system_attrs).values())
        artifacts |= {trial.user_attrs[MODEL]} if MODEL in trial.user_attrs else set()
        artifacts |= (
            {trial.system_attrs[CHECKPOINT]["artifact"]} if CHECKPOINT in trial.system_attrs else set()
        )
    store = loaded.config.artifacts
    if store is None:
        return Remains(loaded.paths, sorted(pictures))
    return Remains(loaded.paths, (), sorted(artifacts | pictures), store)


def _take_out(loaded: "LoadedStudy") -> "Remains":
    """Write down what the study leaves, and have the database forget it: while none can claim a trial of it."""
    from storage.claims import lock_name
    from storage.deletion import forget

    loaded.artifacts  # noqa: B018  # A store that cannot be opened is told of now.

    written: list[Remains] = []

    def take_out() -> "Remains":
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
        forget(loaded.storage, loaded.study_id)
        return written[-1]

    return loaded.storage.exclusively(lock_name(loaded.study_id), take_out)


def _remove(remains: "Remains") -> None:
    from storage.artifacts import open_artifacts

    try:
        remains.remove(None if remains.store is None else open_artifacts(remains.store))
    except OSError as error:
        raise InputError(
            f"--studies {remains.paths.root}: {error.filename} cannot be removed ({error.strerror}); the database has "
            "forgotten the study already: mend that, and run the same command again"
        ) from None


def lines_of(contents: Contents) -> list[str]:
    """What goes and what stays, for a person."""
    goes = [
        f"study {contents.study} with all its trials ({contents.trials})",
        f"{contents.folder}: models ({contents.models}), checkpoints ({contents.checkpoints}), logs and pictures, "
        f"{contents.size / 1e6:.1f} MB",
    ]
    if contents.store is not None:
        goes.append(f"{contents.store}: artifacts of this study ({contents.artifacts})")
    if contents.scorings:
        goes.append(f"the count of scorings of its test images ({contents.scorings})")
    stays = "exports and prepared images"
    if contents.shared:
        stays += f", and what a study of this name in another database has in {contents.folder}"
    return [*(f"goes: {line}" for line in goes), f"stays: {stays}"]


def delete(
    study: Study,
    yes: Annotated[bool, flag("--yes", help="Do not ask.")] = False,
    storage: Storage = None,
    root: Studies = Path("studies"),
) -> None:
    """Remove a study with its trials, models, checkpoints, logs and artifacts, after showing what will go.

    Exports are not removed. Nor is a study that workers are at work on. One that was cut short is finished by the
    same command.
    """

    def agreed(contents: Contents) -> bool:
        if not yes and not sys.stdin.isatty():
            raise InputError(f"--study {study}: nobody can be asked here; pass --yes to delete it")
        for line in lines_of(contents):
            print(line)
        return yes or typer.confirm("Delete it?")

    if not delete_study(study, storage=storage, root=root, agreed=agreed):
        print("nothing was deleted")
        raise typer.Exit(1)
    print(f"study {study} is deleted")


app = make_app(
    delete,
    example="""
python -m search.delete --study cifar_cnn
python -m search.delete --study flowers --storage postgresql://me@db.example.org/search --yes
""",
)

if __name__ == "__main__":
    main(app)
