"""Open a study for a search: find it again, or check, prepare and create it."""

import dataclasses
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import optuna
from optuna.trial import FrozenTrial

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.base import log_line
from search.errors import InputError
from search.study.automatic_settings import Choice, choose_settings
from search.study.backbone_choice import can_choose, choose_backbone
from search.study.backbones import COMPARED, bring_backbones, check_backbones, share_backbones, with_backbones
from search.study.class_balance import check_metric, print_balance, print_hints
from search.study.compatibility import (
    check_joining,
    check_kind,
    check_preset,
    check_settings,
    find_images,
    surroundings,
)
from search.study.creation import check_new_name, image_size, new_config, prepare_new, space_name
from search.study.earlier_study import best_that_fit, ranked_elsewhere
from search.study.ending import check_whole
from search.study.finding import STUDIES_LOCK, create_study, find_study, load_study, quiet, warn_of_password
from search.study.first_trials import enqueue, first_trials
from search.study.length import is_by_compute, length_words, with_length
from search.study.preparing import being_prepared
from search.study.request import (
    check_confirm,
    check_fine_tune,
    check_preference,
    check_refit,
    check_request,
    load_space,
    preset_of,
    refits,
)
from search.study.served_model import ServedModel, check_served
from search.study.space_version import renew_space, space_facts
from search.study.study import DATASET, FINAL_SAID, LoadedStudy
from search.study.sweep_cells import SWEEP, Sweep
from spaces import UserModel, has_backbone
from spaces.contract import Space
from storage.claims import lock_name
from storage.occupancy import occupants

if TYPE_CHECKING:
    from search.process.fork_server import ForkServer

logger = logging.getLogger(__name__)

# Finished trials of a study of which nobody says how many.
DEFAULT_TRIALS = 50


def open_study(
    options: RunOptions,
    backend: str = "tensorflow",
    sweep: Sweep | None = None,
    server: "ForkServer | None" = None,
) -> LoadedStudy:
    """Open the study that is asked for, with its first trials queued and the number of trials it shall have stored.

    Args:
        options: What is asked of it.
        backend: Keras's backend on this host.
        sweep: What a sweep varies; None for a search.
        server: Starts the children that tell which of several backbones a cross-validated study stands on; None leaves
            them all to the search.

    Raises:
        InputError: Something asked for is wrong; nothing but the cache of images has been written.
    """
    check_request(options, sweep)
    if warning := warn_of_password(options.storage):
        logger.warning(warning)
    found = find_study(options.study, options.storage, options.root)
    if found is None:
        with being_prepared(options.study, options.storage, options.root):
            created = _create(options, backend, sweep, server)
        if created is not None:
            return created
        found = load_study(options.study, options.storage, options.root)
    return _rejoin(found, options, backend, sweep, server)


def _create(
    options: RunOptions, backend: str, sweep: Sweep | None, server: "ForkServer | None"
) -> LoadedStudy | None:
    check_new_name(options.study, options.root)
    choice = Choice(options) if sweep is not None else choose_settings(options)
    final_said, options = options.final is not None, choice.options
    for line in choice.lines:
        logger.info(line)
    name = space_name(options)
    space = load_space(name)
    check_fine_tune(options.study, name, options.fine_tune)
    elsewhere = ranked_elsewhere(options, name)
    config, dataset, compared = _configured(options, space, choice, sweep, server)
    with _asked(space, server) as asked:
        if isinstance(asked, ServedModel):
            _check_model(asked, config, options)
        begin = _beginning(asked, config, options, sweep, elsewhere)
    print_balance(config, dataset)
    if sweep is None:
        # Where the space was chosen, so were backbones, and it is said what would be better.
        print_hints(dataset, has_backbone(space) or bool(choice.lines))
    created = create_study(
        config,
        dataset.folder,
        options.storage,
        options.root,
        trials=_trials(options),
        about={
            **space_facts(space, config),
            **surroundings(backend),
            **({COMPARED: compared} if compared else {}),
            **({FINAL_SAID: True} if final_said else {}),
        },
        begin=begin,
    )
    return None if created is None else dataclasses.replace(created, prepared=dataset.folder)


def _configured(
    options: RunOptions, space: Space, choice: Choice, sweep: Sweep | None, server: "ForkServer | None"
) -> tuple[StudyConfig, Dataset, dict[str, float]]:
    """Prepare the images, and make of the options what the study stores.

    Returns:
        The config, the images, and what backbones that were compared came to, by their names.
    """
    by_compute = is_by_compute(options, space)
    check_confirm(options.study, options.folds, options.confirm, by_compute)
    if options.folds:  # Else the images say whether there are folds, which are always refitted.
        check_refit(options.study, options, by_compute, options.folds)
    check_preference(options.metric, options.prefer)
    size, over_backbone = image_size(options, space), has_backbone(space)
    dataset = prepare_new(options, size, over_backbone)
    config = new_config(options, dataset, folds_by_default=sweep is None, over_backbone=over_backbone)
    if by_compute:
        config = with_length(config, options, space, dataset)
    _check_final(config, options)
    check_metric(config, dataset)
    if not over_backbone:
        return config, dataset, {}
    config = with_backbones(config, options.backbones, dataset, size)
    check_fine_tune(options.study, config.space, options.fine_tune, config.backbones)
    compared: dict[str, float] = {}
    given = sweep is not None or options.try_first
    if server is not None and not given and can_choose(config, space, choice.sides):
        chosen, compared = choose_backbone(config, space, dataset, server, choice.sides)
        if chosen.stored_size != size:  # Now as if it had been asked for.
            size = chosen.stored_size
            options = options.also(image_size=size)
            dataset = prepare_new(options, size, over_backbone=True, say=_without_warnings)
            config = new_config(options, dataset, folds_by_default=True, over_backbone=True)
        config = dataclasses.replace(config, backbones=chosen.backbones, image_size=size)
    share_backbones(config, dataset)  # Before the study is there for others to join.
    return config, dataset, compared


def _without_warnings(line: str) -> None:
    """Say what is no warning: of the same pictures at another size those have been said."""
    if not line.startswith("warning: "):
        log_line(line)


def _trials(options: RunOptions) -> int:
    preset = preset_of(options)
    return options.trials or (preset.trials if preset else DEFAULT_TRIALS)


def _check_model(model: ServedModel, config: StudyConfig, options: RunOptions) -> None:
    """Build a user's model once, and say how it is trained.

    Raises:
        InputError: It cannot be built, or not be trained as it is asked for.
    """
    on_all = f"a study in {config.folds} folds" if config.folds else "--refit" if options.refit else ""
    check_served(model, config.input_spec, on_all=on_all if options.export else "")
    logger.info(
        f"model {config.space}: {model.words()}; its trials have {length_words(config)} each (--epochs)"
    )


@contextmanager
def _asked(space: Space, server: "ForkServer | None") -> Iterator[Space]:
    """Within the block, a space that can be asked for a configuration: a user's function that makes models is served.

    Raises:
        InputError: It is such a function, and there is nobody to start the children that call it.
    """
    if not isinstance(space, UserModel):
        yield space
        return
    if server is None:
        raise InputError(f"--model {space.name}: only a search can sample its values; expected a --space")
    with tempfile.TemporaryDirectory() as scratch:
        yield cast(Space, ServedModel(space, server, Path(scratch) / "log.txt"))


def _rejoin(
    found: LoadedStudy, options: RunOptions, backend: str, sweep: Sweep | None, server: "ForkServer | None"
) -> LoadedStudy:
    config = found.config
    found.check_rights()
    check_kind(found, sweep is not None)
    check_asked_again(config, options)
    space = load_space(config.space)
    renew_space(found, space)
    check_joining(found, space, backend)
    joined = dataclasses.replace(found, prepared=find_images(found, options.data, options.cache).folder)
    bring_backbones(joined)
    check_backbones(joined, options.backbones)
    if options.data is not None and not Path(found.optuna.user_attrs.get(DATASET, "")).is_dir():
        found.optuna.set_user_attr(DATASET, str(joined.prepared))  # The cache has moved.
    found.leave_marker()
    elsewhere = ranked_elsewhere(options, config.space)
    with _asked(space, server) as asked:
        begin = _beginning(asked, config, options, sweep, elsewhere, found.optuna.user_attrs.get(SWEEP))
    print_balance(config, joined.dataset())
    # A sweep's cells are counted by those who claim them, and so queued under their lock.
    lock = STUDIES_LOCK if sweep is None else lock_name(found.study_id)
    with quiet():
        found.storage.exclusively(lock, lambda: begin(found.optuna))
    if options.trials is not None and options.trials < found.wanted:
        warn_of_fewer(found, options.trials)
    if options.trials is not None or not found.wanted:
        trials = _trials(options)
        # Under the lock of claims: a worker that is just about to claim would else go by the number before.
        found.storage.exclusively(lock_name(found.study_id), lambda: found.want(trials))
    return joined


def check_asked_again(config: StudyConfig, options: RunOptions) -> None:
    """Refuse what is asked of a study that it was not made with, or that cannot be had of it.

    Raises:
        InputError: It is.
    """
    check_settings(config, options)
    check_preset(config, options)
    check_fine_tune(config.study, config.space, options.fine_tune, config.backbones)
    check_confirm(config.study, config.folds, options.confirm, config.length > 0)
    check_preference(config.metric, options.prefer)
    _check_final(config, options)


def _check_final(config: StudyConfig, options: RunOptions) -> None:
    """Refuse a final training that cannot be had of a study, and a budget that does not hold it."""
    check_refit(config.study, options, config.length > 0, config.folds)
    refit = options.export and refits(options, config.length > 0, config.folds)
    check_whole(config, options.budget, refit, options.refit_epochs)


def warn_of_fewer(found: LoadedStudy, trials: int) -> None:
    """Warn that a study shall have fewer trials than before, and name those who work on it and end by it."""
    database = found.storage
    busy = database.retrying.call(lambda _: occupants(database, found.study_id, database.timeouts.grace))
    ends = f"; it ends the work of {', '.join(map(str, busy))} once so many are finished" if busy else ""
    logger.warning(
        f"--trials {trials}: study {found.config.study} was to have {found.wanted} trials; from now on it shall have "
        f"{trials}{ends}; to undo it: {found.command('run', '--trials', str(found.wanted))}"
    )


def _beginning(
    space: Space,
    config: StudyConfig,
    options: RunOptions,
    sweep: Sweep | None,
    elsewhere: Sequence[FrozenTrial],
    stored: Mapping[str, Any] | None = None,
) -> Callable[[optuna.Study], None]:
    """What queues the study's first trials, or a sweep's cells, once these have been checked."""
    if sweep is not None:
        return sweep.queueing(space, config, stored)
    first = first_trials(space, config, options.try_first, options.trials)
    first += best_that_fit(elsewhere, options, space, config)
    return lambda study: enqueue(study, first)
