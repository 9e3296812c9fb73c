"""``python -m search.export``: the model of a trial with everything that is known of it, in one folder."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.command import main, make_app
from search.config import check_number
from search.errors import InputError
from search.loudness import result as say_result

if TYPE_CHECKING:
    import keras
    import numpy as np
    from optuna.trial import FrozenTrial

    from search.child import ForkServer


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
    from search.evaluation.formats import check_formats
    from search.evaluation.make import Wanted, make
    from search.evaluation.preflight import check_confirm, check_export, check_fine_tune, choose_trial
    from search.evaluation.weights import kept_weights
    from search.feeding.study import feed_export
    from search.study import load_study
    from search.study_backbones import bring_backbones

    loaded = load_study(study, storage, root)
    config, folds = loaded.config, loaded.config.folds
    # The nets of folds are not kept: none has learnt from all the images.
    refit = refit or folds > 0
    target = check_export(study, refit, refit_epochs, out)
    if confirm and trial is not None:
        raise InputError(
            f"--trial {trial} names what to export and --confirm finds it by a race: leave one of the two out"
        )
    others, rivals = check_formats(formats), check_baselines(baselines)
    check_fine_tune(study, config.space, fine_tune)
    check_confirm(study, folds, confirm)
    chosen = choose_trial(loaded, trial)
    if not (refit or confirm):
        kept_weights(loaded, chosen)
    # Looked for once, not for every file.
    loaded = replace(loaded, prepared=prepared or loaded.dataset().folder)
    bring_backbones(loaded)
    if folds:
        say(f"searched in {folds} folds, so the configuration is trained anew on all training images")
    wanted = Wanted(loaded, chosen, refit, refit_epochs, fine_tune, gpu_memory, others, rivals, say)
    with server_of(server, chosen) as running:
        made = make(target, wanted, running, confirm=confirm)
    feed_export(loaded, target, made.summary, made.report)
    return Export(target, made.summary, made.report, made.confusion_matrix, list(config.classes))


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
