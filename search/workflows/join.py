"""A worker that joins a study."""

import logging
import os
from dataclasses import replace

from search.config.arguments import arguments_of
from search.config.settings import WorkerOptions
from search.data.threads import cores
from search.engines.resources import make_slots
from search.execution.stop_requests import Stop
from search.process.choice import check_backend
from search.process.fork_server import ForkServer
from search.study.backbones import bring_backbones
from search.study.compatibility import BACKEND, check_joining, find_images
from search.study.finding import load_study, warn_of_password
from search.study.outcome import why_none_complete
from search.study.request import load_space
from search.workflows.searching import search

logger = logging.getLogger(__name__)


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


# As notebooks and scripts call it, with an argument for each option.
join_study = arguments_of("join_study", WorkerOptions, join)
