"""The export of a study: what is asked for is checked, the trial chosen, and its folder made."""

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial

from search.config.arguments import arguments_of
from search.config.settings import ExportOptions
from search.errors import StudyStopped, TrialInterrupted
from search.exporting.builder import build_export
from search.exporting.choice import check_selection, choose_preferred, choose_trial, parse_without
from search.exporting.entrants import UNBOUNDED, Bounds
from search.exporting.export import Export
from search.exporting.fallback import default_unless_ahead
from search.exporting.folder import check_target, default_folder, reserved
from search.exporting.formats import check_formats
from search.exporting.request import ExportRequest, check_space
from search.exporting.weights import kept_weights
from search.metrics.baselines import check_baselines
from search.metrics.preference import ACCURATE
from search.process.fork_server import ForkServer
from search.study.backbones import bring_backbones
from search.study.compatibility import find_images
from search.study.ending import can_race
from search.study.finding import load_study
from search.study.flags import flags_of_run
from search.study.request import check_confirm, check_fine_tune, check_preference, check_refit, refits
from search.study.study import LoadedStudy
from search.web.study_page import feed_export

logger = logging.getLogger(__name__)


def make_export(
    options: ExportOptions,
    there: Callable[[], Export | None] = lambda: None,
    bounds: Bounds = UNBOUNDED,
    remark: str = "",
    command: str = "",
) -> Export:
    """Score a trial's model on the test images, once, and write model, figures and pictures into one folder.

    Args:
        options: What is asked for.
        there: Asked, once no other process writes to the folder, for an export that need not be made again: two
            commands that search a study together end together, and one of them exports it.
        bounds: What bounds a race and the final training.
        remark: A sentence for the words of the export.
        command: What goes on with it where a training was killed (default: the same export).

    Returns:
        The export.

    Raises:
        InputError: Nothing to export, or nowhere to write it; nothing was written.
        StudyStopped: Training, scoring or the reload check failed; an earlier export is as it was.
    """
    say = options.say or logger.info
    loaded = load_study(options.study, options.storage, options.root)
    loaded.check_rights()
    target = check_target(options.out or default_folder(options.study))
    request, confirm = _requested(options, loaded, say, remark)
    if loaded.config.folds:
        say(
            f"searched in {loaded.config.folds} folds, so the configuration is retrained on all training images"
        )
    with reserved(target, say), server_of(options.server, request.trial) as running:
        if found := there():
            return found
        check_target(target)  # Another may have been there until now.
        try:
            export = build_export(target, request, running, confirm=confirm, bounds=bounds)
        except StudyStopped as stopped:
            if not isinstance(stopped.__cause__, TrialInterrupted):
                raise
            command = command or loaded.command("export", *flags_of_run(options))
            raise StudyStopped(f"{stopped}; go on with: {command}") from stopped
        # Here, for whoever waits for the folder shows the export, too, and would attach each picture beside ours.
        feed_export(request.loaded, target, export.summary, export.report)
    return export


def _requested(
    options: ExportOptions, loaded: LoadedStudy, say: Callable[[str], None], remark: str
) -> tuple[ExportRequest, bool]:
    """Check what is asked for, and choose the trial.

    Returns:
        What is exported, with the study's images and backbones at hand; and whether a race chooses anew.
    """
    config, folds = loaded.config, loaded.config.folds
    refit = refits(options, config.length > 0, folds)
    check_refit(options.study, options, config.length > 0, folds)
    check_selection(options)
    check_preference(config.metric, options.prefer)
    formats, baselines = check_formats(options.formats), check_baselines(options.baselines)
    check_fine_tune(options.study, config.space, options.fine_tune, config.backbones)
    check_confirm(options.study, folds, options.confirm, config.length > 0)
    confirm = options.confirm or (refit and options.trial is None and can_race(config))
    without = parse_without(loaded, options.without)
    check_space(loaded, {"refit": refit, "confirm": confirm, "fine-tune": bool(options.fine_tune)})
    choose_trial(loaded, options.trial, without)  # It refuses before images are prepared for minutes.
    # Looked for once, not for every file; the choice may read them, too.
    loaded = replace(loaded, prepared=options.prepared or find_images(loaded, None, None, say).folder)
    chosen, preference = choose_preferred(loaded, options.trial, without, options.prefer)
    request = ExportRequest(
        loaded,
        chosen,
        refit,
        options,
        formats,
        baselines,
        say,
        without=without,
        preference=preference,
        remark=remark,
    )
    if options.trial is None and not confirm and not can_race(config) and options.prefer == ACCURATE:
        request = default_unless_ahead(request)
    if not (refit or confirm):
        kept_weights(loaded, request.trial)
    bring_backbones(loaded)
    loaded.leave_marker()
    return request, confirm


def server_of(server: ForkServer | None, trial: FrozenTrial) -> Any:
    """The server given, left open; or a new one on the backend that the trial was trained with."""
    if server is not None:
        return nullcontext(server)
    backend = os.environ.get("KERAS_BACKEND") or str(trial.user_attrs.get("backend") or "tensorflow")
    return ForkServer(backend)


# As notebooks and scripts call it, with an argument for each option.
export_study = arguments_of("export_study", ExportOptions, make_export)
