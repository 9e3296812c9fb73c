"""One study's life: created or found again, searched to its N trials, its best trial exported."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.child import ForkServer
from search.data.decode import cores
from search.export import Export, check_export, export_study
from search.opening import Request, check_backend, open_study, split_counts
from search.progress import Progress
from search.snapshot import Snapshot, read_snapshot
from search.stopping import Stop, catching_signals
from search.study import LoadedStudy
from search.trial import Worker
from search.worker import work
from storage.claims import Claims
from storage.database import default_url


@dataclass(frozen=True)
class StudyResult:
    """What a search came to.

    Attributes:
        study: The open study, for whatever else is wanted of it.
        stopped: Why it ended before its N trials; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        export: The best trial's export; None where none was asked for or nothing is finished.
    """

    study: LoadedStudy
    stopped: str
    by_user: bool
    export: Export | None

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in order of number."""
        return self.study.optuna.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The best complete trial: its ``number``, ``value`` and ``params``."""
        ranked = self.study.ranked()
        return ranked[0] if ranked else None


def run_study(
    study: str,
    *,
    data: "str | Path | Sequence[Any] | None" = None,
    preset: str | None = None,
    space: str | None = None,
    trials: int | None = None,
    timeout: float | None = None,
    budget: float | None = None,
    epochs: int | None = None,
    images: int | None = None,
    validation: float | None = None,
    test: float | None = None,
    image_size: int | None = None,
    resize: str | None = None,
    seed: int | None = None,
    metric: str | None = None,
    class_weights: str | None = None,
    flip: bool | None = None,
    early_stopping: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    max_cost: float | None = None,
    max_parameters: int | None = None,
    try_first: Sequence[Path | Mapping[str, Any]] = (),
    storage: str | None = None,
    root: Path = Path("studies"),
    cache: Path | None = None,
    out: Path | None = None,
    export: bool = True,
    refit: bool = False,
    refit_epochs: int | None = None,
    backend: str | None = None,
    gpu_memory: float | None = None,
) -> StudyResult:
    """Search, prune and export: create the study or go on with it until it has ``trials`` finished trials.

    Args:
        study: Its name. Run again under the same name, it goes on.
        data: A known name, a path, or arrays ``(x_train, y_train, x_test, y_test)``; a new study without a preset
            needs it.
        preset: Named settings; by default those named as the study, if any.
        space: What is searched.
        trials: Finished (complete or pruned) trials that the study shall have in all.
        timeout: Seconds after which to stop and give the running trial back.
        budget: FLOPs of training that the study may spend in all.
        epochs: A trial's full length.
        images: Train on a stratified so many; None takes all.
        validation: Fraction of the training images validated on.
        test: Fraction set aside for the test where the data have none of their own; 0.2 by default.
        image_size: Side in pixels that images are resized to.
        resize: ``stretch``, ``fit`` (letterboxed) or ``crop`` (the middle).
        seed: Of splits, sampler and trials.
        metric: ``accuracy``, ``macro_f1`` or ``loss``.
        class_weights: ``none`` or ``balanced``.
        flip: Whether a mirrored image is still of its class; by default what the data say.
        early_stopping: Epochs without a better validation loss before a trial ends; 0 is off.
        sampler: ``tpe`` or ``random``.
        pruner: ``halving``, ``hyperband``, ``median`` or ``none``.
        max_cost: Bound on forward FLOPs an image.
        max_parameters: Bound on trainable parameters.
        try_first: TOML files or dicts with a value for each sampled parameter.
        storage: Database URL; by default SQLite under ``root``.
        root: Folder of all studies.
        cache: Folder of prepared images.
        out: Folder of the export; by default ``exports/<study>``.
        export: Whether to export the best trial at the end.
        refit: Export the best configuration, trained anew on all training images.
        refit_epochs: Length of that training.
        backend: Keras's backend; by default ``KERAS_BACKEND``, or ``tensorflow``.
        gpu_memory: Limit in GB a child; None lets it grow.

    Returns:
        The study, its trials, the best one and its export.

    Raises:
        InputError: Something given is wrong; nothing has been written then.
        StudyStopped: Trials keep failing.
    """
    names = Request.__dataclass_fields__
    request = Request(**{name: value for name, value in locals().items() if name in names})
    backend = check_backend(backend, gpu_memory)
    if export:  # Better now than after hours of search.
        check_export(study, refit, refit_epochs, out)
    with ForkServer(backend) as server:  # It imports for seconds; meanwhile the images are found.
        opened, wanted = open_study(request)
        stop = Stop(
            deadline=None if timeout is None else time.monotonic() + timeout,
            budget=budget,
            spent=lambda: compute_spent(opened),
        )
        _search(opened, wanted, server, stop, gpu_memory)
        made = None
        if export and opened.ranked() and not stop.by_user:
            made = export_study(
                study,
                refit=refit,
                refit_epochs=refit_epochs,
                out=out,
                storage=storage,
                root=root,
                server=server,
                gpu_memory=gpu_memory,
            )
    return StudyResult(opened, _how_to_go_on(stop, opened, wanted), stop.by_user, made)


def compute_spent(study: LoadedStudy) -> float:
    """FLOPs that the ended trials of a study trained for."""
    ended = (trial for trial in study.optuna.get_trials(deepcopy=False) if trial.state.is_finished())
    return sum(float(trial.user_attrs.get("compute", 0.0)) for trial in ended)


def _search(
    study: LoadedStudy, wanted: int, server: ForkServer, stop: Stop, gpu_memory: float | None
) -> None:
    name = f"{socket.gethostname()}-{os.getpid()}"
    claims = Claims(study.storage, study.url, study.study_id, name)
    worker = Worker(study, server, claims, stop, gpu_memory=gpu_memory, threads=cores())
    log = study.paths.worker_log(name)

    images = sum(split_counts(study.config, study.dataset())["training"])

    def look() -> Snapshot:
        return read_snapshot(study.optuna, metric=study.config.metric, wanted=wanted, training_images=images)

    with _logging_to(log), catching_signals(stop), Progress(look, log=log):
        work(worker, wanted)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send what Optuna says to a file for a while."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    optuna.logging.disable_default_handler()
    try:
        yield
    finally:
        optuna.logging.enable_default_handler()
        logger.removeHandler(handler)
        handler.close()


def _how_to_go_on(stop: Stop, study: LoadedStudy, wanted: int) -> str:
    if not stop.reason:
        return ""
    again = f"python -m search.run --study {study.config.study} --trials {wanted}"
    if study.url != default_url(study.paths.root):
        again += f" --storage {study.url}"
    if study.paths.root != Path("studies"):
        again += f" --studies {study.paths.root}"
    return f"{stop.reason}: {len(study.finished())} of {wanted} trials finished, nothing is lost; go on with: {again}"
