"""``python -m search.export``: the model of a trial with everything that is known of it, in one folder."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.command import main, make_app
from search.config import check_number, check_study_name
from search.errors import InputError, StudyStopped, TrialFailed, TrialInterrupted
from search.loudness import result as say_result

if TYPE_CHECKING:
    import keras
    import numpy as np
    from optuna.trial import FrozenTrial

    from search.child import ForkServer
    from search.config import StudyConfig
    from search.study import LoadedStudy


@dataclass(frozen=True)
class Export:
    """An export as it lies on disk.

    Attributes:
        folder: With all its files.
        summary: What ``summary.json`` holds.
        report: The classification report, as a person reads it.
        confusion_matrix: Counts, ``(true classes, predicted classes)``, int64.
        labels: Class names, in the order of the matrix and of the model's outputs.
    """

    folder: Path
    summary: dict[str, Any]
    report: str
    confusion_matrix: "np.ndarray"
    labels: list[str]

    def model(self) -> "keras.Model":
        """The model: raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``. Loads Keras."""
        import keras

        return keras.models.load_model(self.folder / "model.keras")


def export_study(
    study: str,
    *,
    trial: int | None = None,
    confirm: bool = False,
    refit: bool = False,
    refit_epochs: int | None = None,
    fine_tune: int | None = None,
    out: Path | None = None,
    storage: str | None = None,
    root: Path = Path("studies"),
    server: "ForkServer | None" = None,
    gpu_memory: float | None = None,
    prepared: Path | None = None,
    formats: Sequence[str] = (),
    baselines: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> Export:
    """Score a trial's model on the test images, once, and write model, figures and pictures into one folder.

    Args:
        study: The study's name.
        trial: Its number; by default the best finished trial by validation.
        confirm: Take the one whose configuration is the best in a race of the best few, trained anew with several
            seeds; exported are its weights of the first.
        refit: Train its configuration on all training images, instead of taking its weights; with folds always.
        refit_epochs: Length of that training; by default a trial's.
        fine_tune: Then train the last part of the backbone, too, for so many epochs at a lower rate; taken if it is
            better by validation.
        out: The folder, new or of an earlier export; by default ``exports/<study>``.
        storage: The database's URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.
        server: To start child processes with; by default one of its own.
        gpu_memory: GB to take of a GPU at most.
        prepared: Folder of the prepared images; by default they are looked for.
        formats: Of ``onnx``, ``saved_model`` and ``litert``: written beside ``model.keras``, and compared with it.
        baselines: Of ``svm`` and ``logistic``: trained on the pixels of the same images, and scored beside the net.
        say: Gets lines for a person.

    Raises:
        InputError: Nothing to export, or nowhere to write it; nothing was written.
        StudyStopped: Training, scoring or the reload check failed; an earlier export is as it was.
    """
    from search.evaluation.baseline import check_baselines
    from search.evaluation.confirm import confirm_best
    from search.evaluation.folder import written_aside
    from search.evaluation.formats import check_formats
    from search.evaluation.make import Wanted, fill
    from search.evaluation.tuning import check_fine_tune
    from search.evaluation.weights import kept_weights
    from search.feeding.study import feed_export
    from search.study import load_study
    from search.study_backbones import bring_backbones

    loaded = load_study(study, storage, root)
    folds = loaded.config.folds
    # The nets of folds are not kept: none has learnt from all the images.
    refit = refit or folds > 0
    target = check_export(study, refit, refit_epochs, out)
    if confirm and trial is not None:
        raise InputError(
            f"--trial {trial} names what to export and --confirm finds it by a race: leave one of the two out"
        )
    others, rivals = check_formats(formats), check_baselines(baselines)
    check_fine_tune(loaded.config, fine_tune)
    check_confirm(loaded.config, confirm)
    chosen = choose_trial(loaded, trial)
    if not (refit or confirm):
        kept_weights(loaded, chosen)
    loaded = replace(
        loaded, prepared=prepared or loaded.dataset().folder
    )  # Looked for once, not for every file.
    bring_backbones(loaded)
    if folds:
        say(f"searched in {folds} folds, so the configuration is trained anew on all training images")
    wanted = Wanted(loaded, chosen, refit, refit_epochs, fine_tune, gpu_memory, others, rivals, say)
    try:
        with server_of(server, chosen) as running:
            if confirm and (race := confirm_best(loaded, running, say, gpu_memory)):
                chosen = race.trial
                wanted = replace(wanted, trial=chosen, race=race)
            with written_aside(target) as folder:
                made = fill(folder, wanted, running)
        # Only now: a scoring that fails must not cost the training.
        if refit:
            epochs = refit_epochs or loaded.config.epochs
            loaded.paths.refit_checkpoint(chosen.number, epochs).unlink(missing_ok=True)
        if fine_tune:
            loaded.paths.tuning_checkpoint(chosen.number, fine_tune, refit).unlink(missing_ok=True)
    except (TrialFailed, TrialInterrupted) as error:
        log = loaded.paths.worker_log("export")
        raise StudyStopped(
            f"export of trial {chosen.number}: {error}; nothing exported, its log is {log}"
        ) from error
    feed_export(loaded, target, made.summary, made.report)
    return Export(target, made.summary, made.report, made.confusion_matrix, list(loaded.config.classes))


def check_export(study: str, refit: bool, refit_epochs: int | None, out: Path | None) -> Path:
    """The folder of an export, looked at together with all else that can be checked before there is a trial.

    Raises:
        InputError: Something said is wrong, or the folder holds what no export wrote.
    """
    from search.evaluation.folder import check_target

    check_study_name(study)
    if refit_epochs is not None:
        check_number("--refit-epochs", refit_epochs, 1, 10_000)
        if not refit:
            raise InputError(
                f"--refit-epochs {refit_epochs} says nothing without --refit: give both or neither"
            )
    return check_target(out or Path("exports") / study)


def check_confirm(config: "StudyConfig", confirm: bool) -> None:
    """Refuse a race where there is nothing to confirm.

    Raises:
        InputError: The study is searched in folds.
    """
    if confirm and config.folds:
        raise InputError(
            f"--confirm: study {config.study} is searched in {config.folds} folds, so each value is a mean of as many "
            "trainings already; leave the flag out"
        )


def choose_trial(loaded: "LoadedStudy", number: int | None) -> "FrozenTrial":
    """The trial ``number``, or the best of the finished ones.

    Raises:
        InputError: No such trial, one that has not finished, or none that has.
    """
    study = loaded.config.study
    if number is None:
        ranked = loaded.ranked()
        if not ranked:
            raise InputError(
                f"study {study}: no trial has finished yet, so there is nothing to export; run "
                f"python -m search.run --study {study} first"
            )
        return ranked[0]
    trials = loaded.optuna.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        last = f"0 to {len(trials) - 1}" if trials else "none yet"
        raise InputError(f"--trial {number}: study {study} has no such trial; its trials: {last}")
    trial = trials[number]
    if trial.state.name not in ("COMPLETE", "PRUNED"):
        state = {"RUNNING": "is still running", "WAITING": "has not run yet", "FAIL": "failed"}[
            trial.state.name
        ]
        raise InputError(f"--trial {number}: it {state}; only a trial that has finished can be exported")
    return trial


def server_of(server: "ForkServer | None", trial: "FrozenTrial") -> Any:
    """The server given, left open; or a new one on the backend that the trial was trained with."""
    from search.child import ForkServer

    if server is not None:
        return nullcontext(server)
    backend = os.environ.get("KERAS_BACKEND") or str(trial.user_attrs.get("backend") or "tensorflow")
    return ForkServer(backend)


def export(
    study: Annotated[str, typer.Option("--study", help="Name of the study.")],
    trial: Annotated[
        int | None, typer.Option("--trial", help="Its number (default: the best by validation).")
    ] = None,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Race the best few configurations over several seeds, for up to a quarter of the search's compute.",
        ),
    ] = False,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit", help="Train the configuration anew on all training images, validation included."
        ),
    ] = False,
    refit_epochs: Annotated[
        int | None, typer.Option("--refit-epochs", help="Length of that training (default: a trial's).")
    ] = None,
    fine_tune: Annotated[
        int | None,
        typer.Option(
            "--fine-tune",
            metavar="EPOCHS",
            help="Of a net over a backbone: then train the backbone's last part as well, at a lower rate.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to (default: exports/STUDY).")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="Database (default: sqlite in the studies folder)."),
    ] = None,
    root: Annotated[
        Path,
        typer.Option("--studies", metavar="FOLDER", help="Where databases, checkpoints and logs are kept."),
    ] = Path("studies"),
    gpu_memory: Annotated[
        float | None, typer.Option("--gpu-memory", metavar="GB", help="Most memory to take of a GPU.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", metavar="LIST", help="Also as onnx, saved_model or litert, or several: onnx,litert."
        ),
    ] = "",
    baselines: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="LIST",
            help="Score svm or logistic (linear, on pixels), or both, beside the net.",
        ),
    ] = "",
) -> None:
    """Export a trial: model, confusion matrix, report, curves and test predictions, in one folder.

    By default exactly the weights that scored in the search; with folds a refit. Each call scores the test images and
    is counted.
    """
    if gpu_memory is not None:
        check_number("--gpu-memory", gpu_memory, 0.1, 10_000)
    if fine_tune is not None:
        check_number("--fine-tune", fine_tune, 1, 1000)
    made = export_study(
        study,
        trial=trial,
        confirm=confirm,
        refit=refit,
        refit_epochs=refit_epochs,
        fine_tune=fine_tune,
        out=out,
        storage=storage,
        root=root,
        gpu_memory=gpu_memory,
        formats=listed(formats),
        baselines=listed(baselines),
    )
    say_result(made.report)
    say_result(f"exported to {made.folder}")


def listed(text: str) -> list[str]:
    """The names of a list with commas."""
    return [name.strip() for name in text.split(",")] if text else []


app = make_app(
    export,
    chatty=True,
    example="""
python -m search.export --study cifar_cnn --confirm
python -m search.export --study cifar_cnn --trial 12 --refit --refit-epochs 30 --out exports/final
python -m search.export --study cifar_cnn --format onnx,litert --baseline svm
""",
)

if __name__ == "__main__":
    main(app)
