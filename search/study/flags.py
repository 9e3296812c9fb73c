"""What a study was made with, as flags: for a report that says how to repeat it, and for ``--explain``."""

from search.config.option import flag_of, options_of
from search.config.settings import RunOptions, StudySettings, SweepOptions
from search.config.study_config import StudyConfig
from search.study.creation import ANY_COST
from spaces import is_model

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
        elif "/" in about.flag:
            words.append(about.flag.split("/")[0 if value else 1])
        elif isinstance(value, bool):
            words += [flag_of(StudySettings, field.name)] if value else []
        else:
            words += [flag_of(StudySettings, field.name), str(value)]
    for backbone in config.backbones:
        words += ["--backbone", backbone.said]
    return words
