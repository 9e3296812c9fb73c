"""One study's life: created or found again, searched to its N trials, its best trial exported."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search.balance import split_counts
from search.child import ForkServer
from search.data.decode import cores
from search.engines.local import LocalWorkers
from search.engines.seat import HURRY_SECONDS, sit, worker_name
from search.engines.slots import Slot, make_slots
from search.evaluation.preflight import check_export
from search.export import Export, export_study
from search.feeding.study import feed_study
from search.opening import Request, check_backend, open_study
from search.progress import Progress
from search.snapshot import Snapshot, look
from search.stopping import Stop, catching_signals, ending_in_time
from search.study import LoadedStudy, compute_spent
from storage.errors import DatabaseGone
from storage.url import parse, shown


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
    folds: int | None = None,
    test: float | None = None,
    image_size: int | None = None,
    resize: str | None = None,
    backbones: Sequence[str] = (),
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
    artifacts: str | None = None,
    grace: float | None = None,
    root: Path = Path("studies"),
    cache: Path | None = None,
    out: Path | None = None,
    export: bool = True,
    confirm: bool = False,
    refit: bool = False,
    refit_epochs: int | None = None,
    fine_tune: int | None = None,
    backend: str | None = None,
    gpu_memory: float | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    per_gpu: int | None = None,
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
        folds: With fewer than 1,000 training images: a trial's value is the mean over so many folds, and its export a
            refit.
        test: Fraction set aside for the test where the data have none of their own; 0.2 by default.
        image_size: Side in pixels that images are resized to.
        resize: ``stretch``, ``fit`` (letterboxed) or ``crop`` (the middle).
        backbones: Of a space over backbones: names of ``keras.applications``, or ``.keras`` files.
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
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        artifacts: Where hosts that share no disk leave files for each other.
        grace: Seconds without a sign of life after which a worker is taken for dead.
        root: Folder of all studies.
        cache: Folder of prepared images.
        out: Folder of the export; by default ``exports/<study>``.
        export: Whether to export the best trial at the end.
        confirm: Export the winner of a race of the best few, see ``search.export.export_study``.
        refit: Export the best configuration, trained anew on all training images.
        refit_epochs: Length of that training.
        fine_tune: Epochs of a second phase, which trains the last part of the backbone, too.
        backend: Keras's backend; by default ``KERAS_BACKEND``, or ``tensorflow``.
        gpu_memory: Limit in GB a child; None lets it grow.
        workers: How many on this host; one runs in this very process.
        gpus: ``all`` or such as ``0,1``: each worker gets one of them.
        per_gpu: How many workers share one.

    Returns:
        The study, its trials, the best one and its export.

    Raises:
        InputError: Something given is wrong; nothing has been written then.
        StudyStopped: Trials keep failing.
    """
    names = Request.__dataclass_fields__
    request = Request(**{name: value for name, value in locals().items() if name in names})
    backend = check_backend(backend, gpu_memory)
    slots = make_slots(workers, gpus, per_gpu, cores())
    if export:  # Better now than after hours of search.
        check_export(study, refit or folds is not None, refit_epochs, out)
    with ForkServer(backend) as server:  # It imports for seconds; meanwhile the images are found.
        opened = open_study(request, backend)
        feed_study(opened, server)
        stop = Stop(
            deadline=None if timeout is None else time.monotonic() + timeout,
            budget=budget,
            spent=lambda: compute_spent(opened),
        )
        search(opened, server, slots, stop, gpu_memory=gpu_memory)
        made = None
        if export and not stop.by_user and opened.ranked():
            made = export_study(
                study,
                confirm=confirm,
                refit=refit,
                refit_epochs=refit_epochs,
                fine_tune=fine_tune,
                out=out,
                storage=storage,
                root=root,
                server=server,
                gpu_memory=gpu_memory,
                prepared=opened.prepared,
            )
    stopped = how_to_go_on(stop, opened, request.storage)
    opened.storage.retrying.relax()
    return StudyResult(opened, stopped, stop.by_user, made)


def search(
    study: LoadedStudy,
    server: ForkServer,
    slots: Sequence[Slot],
    stop: Stop,
    *,
    gpu_memory: float | None = None,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Work on an open study, shown as it goes: one worker in this process, several in processes of their own.

    Raises:
        StudyStopped: It cannot usefully go on.
        InputError: This host may not work on it.
    """
    images = sum(split_counts(study.config, study.dataset())["training"])

    def look_now() -> Snapshot:
        return look(study, images)

    settings: dict[str, Any] = {"gpu_memory": gpu_memory, "checkpoint_seconds": checkpoint_seconds}
    if len(slots) == 1:
        with ending_in_time(stop), Progress(look_now, log=study.paths.worker_log(worker_name())):
            sit(study, server, stop, slots[0], **settings)
        return
    workers = LocalWorkers(study, server, slots, **settings)
    stop.hurry = lambda: study.storage.retrying.hurry(HURRY_SECONDS)
    with ending_in_time(stop), catching_signals(stop), Progress(look_now, log=study.paths.folder / "logs"):
        workers.run(stop)
    stop.check_budget()  # They have ended by it; say so.


def how_to_go_on(stop: Stop, study: LoadedStudy, storage: str | None, command: str = "run") -> str:
    """Why a study ended before it was done, how far it is, and what goes on with it; empty where it is done."""
    if not stop.reason:
        return ""
    again = f"python -m search.{command} --study {study.config.study}"
    try:
        far = f"{len(study.finished())} of {study.wanted} trials finished, nothing is lost"
    except DatabaseGone:
        far = "nothing is lost, but the database does not answer"
    if storage is not None:
        again += f" --storage {shown(parse(storage))}"
    if study.paths.root != Path("studies"):
        again += f" --studies {study.paths.root}"
    return f"{stop.reason}: {far}; go on with: {again}"
