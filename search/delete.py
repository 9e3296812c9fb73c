"""``python -m search.delete``: a study with all its files, after showing what will go."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.command import main, make_app
from search.errors import InputError
from search.flags import Storage, Studies, Study, flag

if TYPE_CHECKING:
    from search.study import LoadedStudy


@dataclass(frozen=True)
class Doomed:
    """What goes with a study.

    Attributes:
        trials: How many it has.
        finished: Of them finished or pruned.
        scored: How often its test images were scored: that count goes, too.
        folder: With its files; what another database's study of this name has there stays.
        files: In it.
        size: Of these files, bytes.
        uploaded: Files in the store that hosts share.
    """

    trials: int
    finished: int
    scored: int
    folder: Path
    files: int
    size: int
    uploaded: tuple[str, ...]


def delete_study(
    study: str,
    *,
    storage: str | None = None,
    root: Path = Path("studies"),
    agreed: Callable[[Doomed], bool] = lambda doomed: True,
) -> bool:
    """Remove a study: its files first, its rows last, so that one that was interrupted can be repeated.

    Args:
        study: Its name.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        agreed: Is shown what will go; False leaves everything as it is.

    Returns:
        Whether it was removed.

    Raises:
        InputError: No such study, a worker is at work on it, or its database has gone away.
    """
    from search.study import load_study
    from storage.retrying import DatabaseGone

    try:
        loaded = load_study(study, storage, root)
        loaded.storage.retrying.hurry(0)
        _refuse_at_work(loaded)
        doomed = what_goes(loaded)
        if not agreed(doomed):
            return False
        _remove_files(loaded, doomed)
        _remove_rows(loaded)
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    except OSError as error:
        raise InputError(
            f"--study {study}: {error.filename or root} cannot be removed ({error.strerror}); the study is still "
            "listed: mend that and try again"
        ) from None
    return True


def what_goes(loaded: "LoadedStudy") -> Doomed:
    """What ``delete_study`` would remove now."""
    from search.feeding.pictures import artifacts_of
    from search.files import KEPT, MODEL
    from storage.artifacts import CHECKPOINT
    from storage.ledger import times_scored

    trials = loaded.optuna.get_trials(deepcopy=False)
    folder = loaded.paths.folder
    files = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    uploaded: list[str] = []
    if loaded.artifacts is not None:
        uploaded = [*loaded.optuna.user_attrs.get(KEPT, []), *artifacts_of(loaded).values()]
        for trial in trials:
            uploaded += [str(trial.user_attrs[MODEL])] if MODEL in trial.user_attrs else []
            said = trial.system_attrs.get(CHECKPOINT)
            uploaded += [said["artifact"]] if said else []
            uploaded += _pictures(trial)
    return Doomed(
        len(trials),
        sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials),
        times_scored(loaded.optuna),
        folder,
        len(files),
        sum(path.lstat().st_size for path in files),
        tuple(dict.fromkeys(uploaded)),
    )


def _pictures(trial: Any) -> list[str]:
    from search.feeding.pictures import PREFIX

    return [name.removeprefix(PREFIX) for name in trial.system_attrs if name.startswith(PREFIX)]


def _refuse_at_work(loaded: "LoadedStudy") -> None:
    from storage.claims import LIFE, Claims

    Claims(loaded.storage, loaded.study_id, "delete").sweep()
    running = [trial for trial in loaded.optuna.get_trials(deepcopy=False) if trial.state.name == "RUNNING"]
    if running:
        names = sorted({str(trial.system_attrs.get(LIFE, {}).get("worker", "?")) for trial in running})
        raise InputError(
            f"--study {loaded.config.study}: {', '.join(names)} work on it (or died less than "
            f"{loaded.config.grace:g} s ago); stop them, or wait, and try again"
        )


def _remove_files(loaded: "LoadedStudy", doomed: Doomed) -> None:
    from storage.artifacts import discard

    for name in doomed.uploaded:
        discard(loaded.artifacts, name)
    paths, folder = loaded.paths, doomed.folder
    if folder.is_symlink():
        raise InputError(
            f"--study {loaded.config.study}: {folder} is a link; remove it, or what it leads to, by hand"
        )
    ours = [path for path, _, _ in paths.of_trials()] + [path for path, _ in paths.all_anew()]
    for path in ours:
        path.unlink(missing_ok=True)
    kept = ("checkpoints", "models", "confirm")
    if any(path.is_file() for name in kept for path in (folder / name).glob("*")):
        return  # Of a study of this name in another database; logs and pictures may be its own as well.
    if folder.is_dir():
        shutil.rmtree(folder)


def _remove_rows(loaded: "LoadedStudy") -> None:
    def remove() -> None:
        _refuse_at_work(loaded)  # One may have joined meanwhile.
        loaded.storage.delete_study(loaded.study_id)

    # Not under the lock of claims, which looking for workers takes itself.
    loaded.storage.again_as_a_whole(remove)


def delete(
    study: Study,
    storage: Storage = None,
    root: Studies = Path("studies"),
    yes: Annotated[bool, flag("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a study with its trials, checkpoints, models, logs and pictures, after showing what will go.

    Exports and reports stay, and so do prepared images. Refused while workers are at work on it.
    """

    def agreed(doomed: Doomed) -> bool:
        print(
            f"{doomed.trials} trials of {study} ({doomed.finished} finished or pruned), its test images scored "
            f"{doomed.scored} times; {doomed.files} files, {doomed.size / 1e6:.1f} MB, in {doomed.folder}"
            + (f"; {len(doomed.uploaded)} in the store that hosts share" if doomed.uploaded else "")
        )
        print("exports, reports and prepared images stay")
        if yes:
            return True
        if not sys.stdin.isatty():
            raise InputError("without a terminal nobody can be asked: say --yes, if all this is to go")
        return typer.confirm("remove all this?")

    removed = delete_study(study, storage=storage, root=root, agreed=agreed)
    print(f"study {study} is removed" if removed else "nothing was removed")


app = make_app(
    delete,
    example="""
python -m search.delete --study cifar_cnn
python -m search.delete --study cifar_cnn --storage postgresql://me@db.example.org/search --yes
""",
)

if __name__ == "__main__":
    main(app)
