"""The functions behind the commands that train: a search and its export, an export alone, a joining worker, a sweep."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search.config.option import arguments_of, options_of
from search.config.settings import ExportOptions, RunOptions, SweepOptions, WorkerOptions
from search.config.study_config import StudyConfig
from search.data.threads import cores
from search.engines.attending import attend, end
from search.engines.local import LocalWorkers
from search.engines.ordering import asks_for_engine, check_engine, workers_elsewhere
from search.engines.resources import ResourceSlot, make_slots
from search.engines.started import Started, looking, recorded
from search.engines.worker import HURRY_SECONDS, run_worker
from search.errors import InputError, StudyStopped
from search.execution.kept_time import Pace, keeping_time
from search.execution.stop_requests import Stop, catching_signals, ending_in_time
from search.exporting.builder import build_export
from search.exporting.choice import check_selection, choose_preferred, parse_without
from search.exporting.earlier import earlier_export
from search.exporting.entrants import UNBOUNDED, Bounds
from search.exporting.export import Export
from search.exporting.fallback import unless_default
from search.exporting.folder import SWEEP_FILES, check_target, reserved
from search.exporting.formats import check_formats
from search.exporting.request import ExportRequest, check_export, check_space
from search.exporting.shown import pictures_html
from search.exporting.weights import kept_weights
from search.formatting import count, duration
from search.metrics.baselines import check_baselines
from search.metrics.preference import ACCURATE
from search.prediction.output import Prediction
from search.process.choice import check_backend
from search.process.fork_server import ForkServer
from search.progress.notebook import table_html
from search.progress.terminal import Progress
from search.reporting.sweep_report import report_sweep
from search.study.backbones import bring_backbones
from search.study.built_cost import warn_of_cost
from search.study.class_balance import split_counts
from search.study.compatibility import BACKEND, check_joining, find_images
from search.study.configurations import end_exhausted, has_tried_all
from search.study.ending import Ending, can_race, division, plan_ending
from search.study.opening import open_study
from search.study.outcome import why_none_complete
from search.study.pace import too_short
from search.study.request import (
    check_confirm,
    check_fine_tune,
    check_preference,
    check_refit,
    check_request,
    load_space,
    refits,
)
from search.study.snapshot import Snapshot, take_snapshot
from search.study.study import LoadedStudy, compute_spent, load_study, warn_of_password
from search.study.sweep_cells import cells_wanted
from search.study.sweep_request import ask_for_sweep
from search.tracking.listener import prepare_trackers
from search.web.study_page import feed_export, feed_study
from storage.errors import DatabaseGone, DatabaseRemoved
from storage.process_identity import worker_name

logger = logging.getLogger(__name__)

PICTURES_OF_A_SWEEP = {
    "sweep.png": "Validation accuracy, time and parameters by the varied value",
    "sweep_curves.png": "Training and validation accuracy of each run by epoch",
}


@dataclass(frozen=True, repr=False)
class StudyResult:
    """What a search came to.

    Attributes:
        study: The open study, for whatever else is wanted of it.
        stopped: Why it ended before its N trials; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        export: The best trial's export; None where none was asked for or nothing is finished.
        none_complete: Why no trial can be ranked or exported although some have ended, and what to do; else empty.
        detached: What goes on without this process, and how to see, attach to and stop it; else empty.
    """

    study: LoadedStudy
    stopped: str
    by_user: bool
    export: Export | None
    none_complete: str = ""
    detached: str = ""

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in order of number."""
        return self.study.optuna.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The best complete trial: its ``number``, ``value`` and ``params``."""
        ranked = self.study.ranked()
        return ranked[0] if ranked else None

    def predict(self, images: Any) -> list[Prediction]:
        """Classify images with the export; see ``Export.predict``.

        Raises:
            InputError: Nothing has been exported, or the images cannot be used.
        """
        if self.export is None:
            raise InputError(
                f"study {self.study.config.study} has no export to predict with ({self._why_no_export()}); export one "
                "with export_study, or with run_study without export=False"
            )
        return self.export.predict(images)

    def __repr__(self) -> str:
        """The same in a line; the fields of a study are pages."""
        far = f"{len(self.study.finished())} of {count(self.study.wanted, 'trial')}"
        made = f"no export: {self._why_no_export()}" if self.export is None else repr(self.export)
        return f"<study {self.study.config.study}: {far}; {made}>"

    def _why_no_export(self) -> str:
        return self.none_complete or self.stopped or "none was asked for"

    def _repr_html_(self) -> str:
        """How the study stands, and its export, as a notebook shows them under a cell."""
        stands = table_html(take_snapshot(self.study))
        made = (
            self.export._repr_html_() if self.export else f"<p>no export: {escape(self._why_no_export())}</p>"
        )
        return f"{stands}{made}"


def search_and_export(options: RunOptions) -> StudyResult:
    """Search, prune and export: create the study or go on with it until it has ``trials`` finished trials.

    Beside what a command takes, ``data`` may be arrays ``(x_train, y_train, x_test, y_test)``, and ``try_first`` may
    hold dicts with a value for each sampled parameter.

    Returns:
        The study, its trials, the best one and its export.

    Raises:
        InputError: Something given is wrong; nothing has been written then.
        StudyStopped: Trials keep failing.
    """
    begun = time.monotonic()
    check_request(options)  # Before a framework is imported for what cannot be.
    backend = check_backend(options.backend)
    slots: list[ResourceSlot] = []
    if asks_for_engine(options):
        check_engine(options)
    else:
        slots = make_slots(options.workers, options.gpus, options.per_gpu, cores())
    if options.export:  # Better now than after hours of search.
        target = check_target(options.out or Path("exports") / options.study)
    with ExitStack() as held:
        # It imports for seconds; meanwhile the images are found.
        server = held.enter_context(ForkServer(backend))
        opened = open_study(options, backend, server=server)

        def there() -> Export | None:
            found = earlier_export(target, opened, options)
            if found is not None:
                logger.info(already_exported(opened, found))
            return found

        if options.export and has_all_trials(opened) and (found := there()):
            logger.info(nothing_searched(opened))
            return StudyResult(opened, "", False, found)
        ending = end_of_run(opened, options)
        # First of all, for their start takes its time, too.
        started = None if has_all_trials(opened) else workers_elsewhere(opened, options)
        _feed(opened, server)
        if options.detach:
            said = nothing_searched(opened) if started is None else going_on(opened, started)
            return StudyResult(opened, "", False, None, detached=said)
        stop = Stop(
            deadline=None if options.timeout is None else begun + options.timeout,
            budget=None if options.budget is None else options.budget - ending.compute,
            spent=lambda: compute_spent(opened),
        )
        workers = len(slots) if started is None else started.workers
        pace = Pace(
            stop.spent,
            workers,
            options.timeout,
            begun + (options.timeout or 0.0),
            lambda: bool(opened.ranked()),
        )
        shrinks = _may_shrink(options, opened.config)
        with keeping_time(stop, pace, ending.final, ending.race, exports=options.export, shrinks=shrinks):
            if started is not None:
                held.close()  # This host trains nothing until the end, which may be far.
                search_elsewhere(opened, started, stop)
            elif slots:
                with recorded(opened.paths, len(slots)):
                    search(
                        opened, server, slots, stop, gpu_memory=options.gpu_memory, trackers=options.trackers
                    )
        made = None
        none_complete = "" if stop.by_user else why_none_complete(opened)
        if options.export and not stop.by_user and opened.ranked():
            shared = {field.name for field, _ in options_of(ExportOptions)}
            wanted = {name: value for name, value in vars(options).items() if name in shared}
            bounds, remark = bounds_of_end(pace, ending, options, opened.config)
            remark = "" if options.refit or opened.config.folds else remark  # Then it is made all the same.
            wanted["refit"] = not remark and (ending.final > 0 or options.refit or opened.config.folds > 0)
            asked = ExportOptions.given(
                **wanted, server=server if started is None else None, prepared=opened.prepared
            )
            made = make_export(asked, there, bounds, remark)
    stopped = how_to_go_on(stop, opened, "run", options.trackers)
    if started is not None and stop.by_user and started.record.exists():
        stopped = f"{stop.reason}: {going_on(opened, started)}"
    opened.storage.retrying.clear_deadline()
    return StudyResult(opened, stopped, stop.by_user, made, none_complete)


def end_of_run(study: LoadedStudy, options: RunOptions) -> Ending:
    """What the end of a run takes, said on its first screen; nothing where trials count epochs."""
    config = study.config
    if not (config.length and options.export):
        return Ending()
    refit = config.folds > 0 or refits(options, by_compute=True)
    race = refit or options.confirm
    end = plan_ending(config, options.budget, study.wanted, race=race, refit=refit)
    logger.info(division(config, end, study.wanted, options.budget, grows=_may_grow(options)))
    return end


def _may_grow(options: RunOptions) -> bool:
    """Whether a run's final training is given what is left: a budget is there to be used, a time to be kept."""
    return options.budget is not None and options.timeout is None and options.final is None


def _may_shrink(options: RunOptions, config: StudyConfig) -> bool:
    """Whether a final training for which there is too little time is made shorter: where nobody has said how long."""
    asked = options.final is not None or options.refit_epochs is not None
    return options.timeout is not None and not asked and not config.folds


def bounds_of_end(pace: Pace, end: Ending, options: RunOptions, config: StudyConfig) -> tuple[Bounds, str]:
    """What of a run's end there is still compute and time for.

    A final training that is shorter than planned still is on all training images: it is made where it takes at least
    the compute of a trial.

    Returns:
        The bounds of the race and the final training; and, where there is no time for that, this in a sentence.
    """
    a_flop = None if options.timeout is None else pace.seconds(1.0)
    if a_flop is None:
        grows = _may_grow(options)
        return Bounds(whole=options.budget, grows=grows, final=None if grows else end.final or None), ""
    left, final, remark = pace.left() / a_flop, end.final, ""
    if final and final > left:
        if _may_shrink(options, config) and left >= config.length:
            final = left
        else:
            remark = (
                "--timeout left no time for the final training, which would take about "
                f"{duration(final * a_flop)}: exported are the weights that scored in the search."
            )
    return Bounds(whole=options.budget, most=max(0.0, left - final), final=final or None), remark


def _feed(study: LoadedStudy, server: ForkServer) -> None:
    """Give the dashboard what it shows of a study, see ``search.web.study_page``.

    Raises:
        StudyStopped: Somebody has deleted the study since it was opened.
    """
    try:
        feed_study(study, server)
    except KeyError:
        if study.still_there():
            raise
        raise StudyStopped(
            f"study {study.config.study} is not in the database any more: somebody has deleted it"
        ) from None


def has_all_trials(study: LoadedStudy) -> bool:
    """Whether a study has its N finished trials."""
    return len(study.finished()) >= study.wanted


def already_exported(study: LoadedStudy, export: Export) -> str:
    """That an export is there, so that none is made, in words; and what makes it again."""
    return (
        f"trial {export.summary['trial']} of study {study.config.study} is exported already: the test images were not "
        f"scored again; export again with {study.command('export', '--out', str(export.folder))}"
    )


def nothing_searched(study: LoadedStudy) -> str:
    """That there is nothing to search, in words, and what searches on, where anything does."""
    if has_tried_all(study):
        return f"study {study.config.study} has tried all configurations of its space: nothing was searched"
    more = len(study.finished()) + max(5, study.wanted // 2)
    return (
        f"study {study.config.study} has its {count(study.wanted, 'trial')}: nothing was searched; search on with "
        f"{study.command('run', '--trials', str(more))}"
    )


def going_on(study: LoadedStudy, started: Started) -> str:
    """That workers go on without this process, and how to see, attach to and stop them."""
    return (
        f"{started} works on study {study.config.study} with {count(started.workers, 'worker')}; look with: "
        f"{study.command('status')}; attach, and export in the end, with: {study.command('run')}; stop with: "
        f"{study.command('stop')}"
    )


def search_elsewhere(study: LoadedStudy, started: Started, stop: Stop) -> None:
    """Show a study that the workers of an engine search, until they have ended or this process is to stop looking.

    A signal ends the looking alone: the workers go on. The time or the budget ends the workers.

    Raises:
        StudyStopped: All workers have ended, and the study has not its trials.
        InputError: They cannot be ended from here.
    """
    wanted, look = study.wanted, looking(study.paths)
    images = sum(split_counts(study.config, study.dataset())["training"])

    def look_now() -> Snapshot:
        found = take_snapshot(study, images, ends_in=stop.seconds_left, budget=stop.budget)
        return replace(found, started=look())

    logger.info(going_on(study, started))
    stop.on_hurry = lambda: study.storage.retrying.set_deadline(HURRY_SECONDS)
    with ending_in_time(stop), catching_signals(stop), Progress(look_now, log=study.paths.folder / "logs"):
        workers = attend(study, started, stop)
        if stop.requested and not stop.by_user:
            try:
                end(started, lambda: stop.by_user)
            except StudyStopped as late:  # What follows the search need not wait for it.
                logger.warning(late)
    if stop.by_user:
        return
    stopped_elsewhere = not stop.reason and not started.record.exists()
    if not stop.reason:
        started.forget()  # All have ended.
    _end(study, wanted, stop)
    if stop.reason or has_all_trials(study):
        return
    if stopped_elsewhere:
        stop.reason = "stopped by search.stop"
        return
    last = next((one for one in workers if one.detail), workers[0])
    raise StudyStopped(
        f"all workers of {started} have ended, with {len(study.finished())} of {study.wanted} trials finished; "
        f"{last.name} said last: {last.detail or 'nothing'}; see {last.log}; go on with: {study.command('run')}"
    )


def search(
    study: LoadedStudy,
    server: ForkServer,
    slots: Sequence[ResourceSlot],
    stop: Stop,
    *,
    gpu_memory: float | None = None,
    checkpoint_seconds: float = 30.0,
    trackers: Sequence[str] = (),
) -> None:
    """Work on an open study, shown as it goes: one worker in this process, several in processes of their own.

    Raises:
        StudyStopped: It cannot usefully go on.
        InputError: This host may not work on it.
    """
    wanted = study.wanted
    images = sum(split_counts(study.config, study.dataset())["training"])
    warned: list[str] = []

    def look_now() -> Snapshot:
        left = stop.seconds_left
        found = take_snapshot(study, images, ends_in=left, budget=stop.budget)
        if found.trial_seconds is not None and left is not None and not warned:
            finished = found.count("finished") + found.count("pruned")
            warned.append(too_short(study.config, found.trial_seconds, left, len(slots), finished))
            if warned[0]:
                logger.warning(warned[0])
        return found

    settings: dict[str, Any] = {
        "gpu_memory": gpu_memory,
        "checkpoint_seconds": checkpoint_seconds,
        "trackers": trackers,
    }
    prepare_trackers(trackers, study)
    if len(slots) == 1:
        with ending_in_time(stop), Progress(look_now, log=study.paths.worker_log(worker_name())):
            run_worker(study, server, stop, slots[0], **settings)
        _end(study, wanted, stop)
        return
    workers = LocalWorkers(study, server, slots, **settings)
    stop.on_hurry = lambda: study.storage.retrying.set_deadline(HURRY_SECONDS)
    with ending_in_time(stop), catching_signals(stop), Progress(look_now, log=study.paths.folder / "logs"):
        workers.run(stop)
    stop.check_budget()  # They have ended by it; say so.
    _end(study, wanted, stop)


def _end(study: LoadedStudy, wanted: int, stop: Stop) -> None:
    """Say why a search has not the trials that it was to have, for another reason than ``stop``'s, and what to mend."""
    warn_of_other_target(study, wanted, stop)
    if not stop.by_user:  # What workers in other processes found: this one has not read it on a screen yet.
        for trial in study.optuna.get_trials(deepcopy=False):
            warn_of_cost(study.config.space, trial.number, trial.user_attrs)
    if not stop.reason and (why := end_exhausted(study)):
        logger.info(why)


def warn_of_other_target(study: LoadedStudy, wanted: int, stop: Stop) -> None:
    """Warn that another command has changed how many trials the study shall have while this one worked on it.

    Args:
        study: The open study.
        wanted: How many it was to have when this process began.
        stop: By which it ended; after a signal the database is asked nothing more.
    """
    if not stop.by_user and (now := study.wanted) != wanted:
        logger.warning(
            f"study {study.config.study} was to have {wanted} trials when this command began to work on it, and is to "
            f"have {now} now: another command has asked for that"
        )


def how_to_go_on(stop: Stop, study: LoadedStudy, command: str = "run", trackers: Sequence[str] = ()) -> str:
    """Why a study ended before it was done, how far it is, and what goes on with it; empty where it is done."""
    if not stop.reason:
        return ""
    more = [word for one in trackers for word in ("--log-to", one)]
    try:
        far = f"{len(study.finished())} of {study.wanted} trials finished, nothing is lost"
    except DatabaseRemoved:
        raise
    except DatabaseGone:
        far = "nothing is lost, but the database does not answer"
    return f"{stop.reason}: {far}; go on with: {study.command(command, *more)}"


def make_export(
    options: ExportOptions,
    there: Callable[[], Export | None] = lambda: None,
    bounds: Bounds = UNBOUNDED,
    remark: str = "",
) -> Export:
    """Score a trial's model on the test images, once, and write model, figures and pictures into one folder.

    Args:
        options: What is asked for.
        there: Asked, once no other process writes to the folder, for an export that need not be made again: two
            commands that search a study together end together, and one of them exports it.
        bounds: What bounds a race.
        remark: A sentence for the words of the export.

    Returns:
        The export.

    Raises:
        InputError: Nothing to export, or nowhere to write it; nothing was written.
        StudyStopped: Training, scoring or the reload check failed; an earlier export is as it was.
    """
    say = options.say or logger.info
    study = options.study
    loaded = load_study(study, options.storage, options.root)
    loaded.check_rights()
    config, folds = loaded.config, loaded.config.folds
    # The nets of folds are not kept: none has learnt from all the images.
    refit = refits(options, config.length > 0) or folds > 0
    target = check_export(study, options.out)
    check_refit(study, options, config.length > 0, folds)
    check_selection(options)
    check_preference(config.metric, options.prefer)
    formats, baselines = check_formats(options.formats), check_baselines(options.baselines)
    check_fine_tune(study, config.space, options.fine_tune, config.backbones)
    check_confirm(study, folds, options.confirm, config.length > 0)
    confirm = options.confirm or (refit and options.trial is None and can_race(config))
    without = parse_without(loaded, options.without)
    chosen, preference = choose_preferred(loaded, options.trial, without, options.prefer)
    if options.trial is None and not confirm and not can_race(config) and options.prefer == ACCURATE:
        best, (chosen, why) = chosen, unless_default(loaded, chosen, without)
        remark = " ".join(filter(None, (remark, why)))
        preference = preference if chosen is best else None  # What it says is of the best.
    check_space(loaded, {"refit": refit, "confirm": confirm, "fine-tune": bool(options.fine_tune)})
    if not (refit or confirm):
        kept_weights(loaded, chosen)
    # Looked for once, not for every file.
    loaded = replace(loaded, prepared=options.prepared or loaded.dataset().folder)
    bring_backbones(loaded)
    loaded.leave_marker()
    if folds:
        say(f"searched in {folds} folds, so the configuration is retrained on all training images")
    request = ExportRequest(
        loaded,
        chosen,
        refit,
        options.refit_epochs,
        options.fine_tune,
        options.gpu_memory,
        formats,
        baselines,
        say,
        without=without,
        examples=options.with_examples,
        calibrated=options.calibrated,
        prefer=options.prefer,
        preference=preference,
        remark=remark,
    )
    with reserved(target, say), server_of(options.server, chosen) as running:
        if found := there():
            return found
        check_target(target)  # Another may have been there until now.
        export = build_export(target, request, running, confirm=confirm, bounds=bounds)
    feed_export(loaded, target, export.summary, export.report)
    return export


def server_of(server: ForkServer | None, trial: FrozenTrial) -> Any:
    """The server given, left open; or a new one on the backend that the trial was trained with."""
    if server is not None:
        return nullcontext(server)
    backend = os.environ.get("KERAS_BACKEND") or str(trial.user_attrs.get("backend") or "tensorflow")
    return ForkServer(backend)


def join(options: WorkerOptions) -> str:
    """Work on a study until it has all its trials; all that is not asked for is read from the study.

    Returns:
        The signal that ended it, in words; empty where the study has all its trials.

    Raises:
        InputError: No such study, other images, or another version of its space.
        StudyStopped: The search cannot usefully go on.
    """
    slots = make_slots(options.workers, options.gpus, options.per_gpu, cores())
    if warning := warn_of_password(options.storage):
        logger.warning(warning)
    found = load_study(options.study, options.storage, options.root, options.times, patient=options.patient)
    found.check_rights()
    backend = check_backend(
        options.backend or os.environ.get("KERAS_BACKEND") or found.optuna.user_attrs.get(BACKEND)
    )
    check_joining(found, load_space(found.config.space), backend)
    joined = replace(found, prepared=find_images(found, options.data, options.cache).folder)
    bring_backbones(joined)
    joined.leave_marker()
    stop = Stop()
    with ForkServer(backend) as server:
        search(
            joined,
            server,
            slots,
            stop,
            gpu_memory=options.gpu_memory,
            checkpoint_seconds=options.checkpoint_seconds,
            trackers=options.trackers,
        )
    if not stop.reason and (why := why_none_complete(joined)):
        logger.warning(why)
    return stop.reason


@dataclass(frozen=True, repr=False)
class SweepResult:
    """What a sweep came to.

    Attributes:
        study: The open study.
        stopped: Why it ended before all cells; empty where it did not.
        by_user: Whether it was a signal (Ctrl-C) that ended it.
        folder: With the report's files.
        summary: What ``sweep.json`` holds.
    """

    study: LoadedStudy
    stopped: str
    by_user: bool
    folder: Path
    summary: dict[str, Any]

    def __repr__(self) -> str:
        """The same in a line."""
        return f"<sweep {self.study.config.study}: {self.summary.get('sentence') or self.stopped} In {self.folder}>"

    def _repr_html_(self) -> str:
        """How the sweep stands, and its pictures, as a notebook shows them under a cell."""
        sentence = f"<p>{escape(str(self.summary.get('sentence', '')))}</p>"
        return f"{table_html(take_snapshot(self.study))}{sentence}{pictures_html(self.folder, PICTURES_OF_A_SWEEP)}"


def sweep_and_report(options: SweepOptions) -> SweepResult:
    """Run every combination of the varied values, and report; run again, go on or add what is new.

    Returns:
        The study, and what its cells came to.

    Raises:
        InputError: Something given is wrong.
        StudyStopped: Trials keep failing.
    """
    begun = time.monotonic()
    target = check_target(options.out or Path("exports") / options.study, SWEEP_FILES)
    backend = check_backend(options.backend)
    slots = make_slots(options.workers, options.gpus, options.per_gpu, cores())
    sweep, request = ask_for_sweep(options)
    opened = open_study(request, backend, sweep)
    stop = Stop(deadline=None if options.timeout is None else begun + options.timeout)
    if len(opened.finished()) < cells_wanted(opened.optuna.get_trials(deepcopy=False)):
        with ForkServer(backend) as server:
            _feed(opened, server)
            with recorded(opened.paths, len(slots)):
                search(opened, server, slots, stop, gpu_memory=options.gpu_memory, trackers=options.trackers)
    summary = {} if stop.by_user else report_sweep(opened, target)
    stopped = how_to_go_on(stop, opened, "sweep", options.trackers)
    opened.storage.retrying.clear_deadline()
    return SweepResult(opened, stopped, stop.by_user, target, summary)


# What notebooks and scripts call: the same functions, with an argument for each option.
run_study = arguments_of("run_study", RunOptions, search_and_export)
export_study = arguments_of("export_study", ExportOptions, make_export)
join_study = arguments_of("join_study", WorkerOptions, join)
run_sweep = arguments_of("run_sweep", SweepOptions, sweep_and_report)
