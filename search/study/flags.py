"""What a study was made with, and what was said of a run, as flags: for whoever makes it again, or goes on."""

from typing import Any

from search.config.host_settings import EngineSettings, HostSettings
from search.config.option import FLOPS, Option, Options, flag_of, options_of
from search.config.request_settings import ExportSettings
from search.config.settings import RunOptions, SweepOptions
from search.config.study_config import StudyConfig
from search.config.study_settings import StudySettings
from search.study.creation import ANY_COST
from spaces import is_model

# What is said of a run or an export, each time anew.
OF_RUN = (HostSettings, EngineSettings, ExportSettings)
OF_EXPORT = {"export", "trial", "without", "formats", "baselines"}
# Settings that depend on the place where the study lies, and do not change its results.
PLACE_SETTINGS = {"artifacts", "grace"}


def flags_of(config: StudyConfig, *, sweep: bool = False) -> list[str]:
    """The words of a command line that make a study with these settings; a setting that is None is left out.

    Args:
        config: The study's.
        sweep: Whether it is a sweep.
    """
    words = [] if config.data == "arrays" else ["--data", config.data]  # Arrays have no name.
    # The space of a sweep is its base's, and what only a search has is fixed.
    of_record = options_of(SweepOptions if sweep else StudySettings)
    taken = {field.name for field, about in of_record if not about.in_python_alone} - PLACE_SETTINGS
    left_out = ({"space"} if sweep else set()) | ({"validation"} if config.folds else {"folds"})
    left_out |= {"validation"} if config.validation_images else set()
    if config.length:
        words += ["--length", "compute", "--final", f"{config.final}FLOP"]
        left_out |= {"epochs"}
    for field, about in options_of(StudySettings):
        value = getattr(config, field.name)
        if value is None or field.name not in taken - left_out:
            continue
        if field.name == "space" and is_model(value):
            words += [flag_of(RunOptions, "model"), value]
        elif field.name in ("max_cost", "max_parameters") and value == ANY_COST:
            continue
        else:
            words += _words(flag_of(StudySettings, field.name), about, value)
    for backbone in config.backbones:
        words += ["--backbone", backbone.said]
    return words


def flags_of_run(options: Options, *, budget: bool = True) -> list[str]:
    """The words of what somebody has said of a run that its study does not store: how it trains, bounds and exports.

    Args:
        options: Of the run, or of an export.
        budget: Whether its budget is among them.
    """
    taken = {field.name for record in OF_RUN for field, _ in options_of(record)} | OF_EXPORT
    return _said(options, taken | ({"budget"} if budget else set()))


def flags_of_export(options: Options) -> list[str]:
    """The words of what somebody has said of the export at a run's end, and whether there is one."""
    return _said(options, {field.name for field, _ in options_of(ExportSettings)} | {"export"})


def _said(options: Options, taken: set[str]) -> list[str]:
    words = []
    for field, about in options_of(options):
        value = getattr(options, field.name)
        if field.name in taken & options.requested and not about.in_python_alone and value is not None:
            words += _words(flag_of(options, field.name), about, value)
    return words


def _words(flag: str, about: Option, value: Any) -> list[str]:
    if "/" in about.flag:
        return [about.flag.split("/")[0 if value else 1]]
    if isinstance(value, bool):
        return [flag] if value else []
    if about.repeatable and not isinstance(value, str):
        return [word for one in value for word in (flag, str(one))]
    if about.unit == FLOPS:
        return [flag, f"{value:.15g}FLOP"]
    return [flag, ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)]
