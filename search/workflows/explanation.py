"""What ``run`` would do, in words, and what each preset sets: nothing is started, and nothing is left behind."""

import dataclasses
import shlex
from collections.abc import Iterator

from search.config.option import flag_of
from search.config.settings import RunOptions
from search.config.study_config import check_class
from search.data.look import Look
from search.data.splits import SplitRule, split
from search.presets import PRESETS, Preset
from search.study.automatic_settings import choose_settings
from search.study.creation import space_name
from search.study.finding import find_study
from search.study.flags import flags_of
from search.study.length import is_by_compute
from search.study.opening import check_asked_again
from search.study.request import check_beside_validation, compute_of_all, load_space, preset_of, time_of_all
from search.study.study import LoadedStudy
from search.workflows.checks import check_here


def explain(options: RunOptions) -> list[str]:
    """What a search with these options would be, a line each.

    Raises:
        InputError: What is asked for cannot be, or not on this host.
    """
    check_here(options)
    found = find_study(options.study, options.storage, options.root)
    lines = list(_stored(found, options) if found else _new(options))
    return [*lines, "", "presets, by --preset or as the name of the study:", *map(preset_line, PRESETS)]


def preset_line(name: str) -> str:
    """What a preset sets, as the options that would set it."""
    return f"  {name}: {' '.join(_flags(PRESETS[name]))}"


def _flags(preset: Preset) -> Iterator[str]:
    yield from ["the images that you name with --data," if preset.data is None else f"--data {preset.data}"]
    for field in dataclasses.fields(preset):
        value = getattr(preset, field.name)
        if field.name in ("data", "base", "vary") or value in (None, {}):
            continue
        if field.name == "epochs" and preset.final is not None:
            continue  # These are for --length epochs.
        yield f"{flag_of(RunOptions, field.name)} {shlex.quote(str(value))}"
    if preset.vary:
        yield f"(a sweep of {', '.join(preset.vary)}: python -m search.sweep)"


def _stored(found: LoadedStudy, options: RunOptions) -> Iterator[str]:
    config, ended = found.config, len(found.finished())
    check_asked_again(config, options)
    wanted = found.wanted if options.trials is None else options.trials
    yield f"study {config.study} is there, with {ended} of {wanted} trials, and goes on as it was made:"
    lines = ["  the images are arrays of a notebook"] if config.data == "arrays" else []
    for word in flags_of(config):
        if word.startswith("--"):
            lines.append(f"  {word}")
        else:
            lines[-1] += f" {shlex.quote(word)}"
    yield from lines
    if config.length:
        yield f"its final training takes as much as {config.final_epochs:.4g} epochs of the default configuration"


def _new(options: RunOptions) -> Iterator[str]:
    preset = preset_of(options)
    is_by_compute(options, load_space(space_name(options)))  # It refuses lengths that contradict each other.
    choice = choose_settings(options, only_look=True)
    if choice.look is not None:
        _check_seen(choice.look, options)
    yield f"study {options.study} is new"
    if preset is not None:
        name = options.preset or options.study
        asked = sorted({field.name for field in dataclasses.fields(preset)} & options.requested)
        yield f"the preset {name} sets {' '.join(_flags(preset))}"
        if preset.final is not None and options.final is None:
            yield from _within_bounds(options)
        yield from (f"as given: {flag_of(options, one)} {getattr(options, one)}" for one in asked)
    elif options.data is None:
        yield "no images are named: pass --data (a folder, a zip, a table, cifar10, ...), or a preset of those below"
    else:
        yield from choice.lines
        if is_by_compute(choice.options, load_space(space_name(choice.options))):
            yield from _within_bounds(choice.options)


def _check_seen(look: Look, options: RunOptions) -> None:
    """Refuse options that the images of a new study contradict, as the search does once these are prepared."""
    preset, validation = preset_of(options), options.validation
    if preset is not None and "validation" not in options.requested:
        validation = preset.validation or validation
    check_beside_validation(options, look.validated)
    if look.names:
        check_class(options.metric, look.names)
    if look.labels is not None and options.images is not None:
        rule = SplitRule(look.validated)
        split(look.labels, validation, options.images, options.seed, look.names, rule)


def _within_bounds(options: RunOptions) -> Iterator[str]:
    """What a time or a compute of all changes, which is worked out once the images are prepared."""
    timed, counted = time_of_all(options) is not None, compute_of_all(options) is not None
    if (timed or counted) and "folds" not in options.requested:
        bounds = " and ".join(["--timeout"] * timed + ["--budget"] * counted)
        yield f"folds that nobody asks for give way to a part held out where they leave too little of {bounds}"
    if timed and options.final is None:
        yield "without folds, its final training is no longer than fits in --timeout"
