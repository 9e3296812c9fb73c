"""What an export is asked for, with the checks that come before anything slow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.exporting.race import Race
from search.study.request import load_space
from search.study.space_version import check_code

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.config.settings import ExportOptions
    from search.exporting.preference import Preference
    from search.study.study import LoadedStudy


@dataclass(frozen=True)
class ExportRequest:
    """One export to make.

    Attributes:
        loaded: The open study.
        trial: The trial to export; after a race its winner, as if it had been trained with the race's first seed.
        refit: Whether to train its configuration on all training images.
        options: What else is asked for.
        formats: Further formats of the model, checked.
        baselines: Models to compare it with, checked.
        say: Gets lines for a person.
        race: The race that found the trial, if there was one.
        without: Numbers of the trials that were left out of the choice.
        preference: What was preferred of the trials; None where one was named.
        no_race: Why there was no race, where one was wanted.
        remark: A sentence for the words of the export; empty for none.
        passed_over: Number of the search's best trial, where the default is exported in its place.
    """

    loaded: "LoadedStudy"
    trial: "FrozenTrial"
    refit: bool
    options: "ExportOptions"
    formats: tuple[str, ...]
    baselines: tuple[str, ...]
    say: Callable[[str], None]
    race: Race | None = None
    without: tuple[int, ...] = ()
    preference: "Preference | None" = None
    no_race: str = ""
    remark: str = ""
    passed_over: int | None = None


def check_space(loaded: "LoadedStudy", asked: Mapping[str, bool]) -> None:
    """Refuse to build nets for an export by another version of the study's space; kept weights need no space.

    Args:
        loaded: The open study.
        asked: Whether each of the flags is asked for with which an export trains.

    Raises:
        InputError: The space is another, or is not here.
    """
    config = loaded.config
    flags = [f"--{name}" for name, wanted in asked.items() if wanted]
    if flags or config.backbones:
        kept = flags and not (config.folds or config.backbones)
        instead = f", or export the kept weights, without {' and '.join(flags)}" if kept else ""
        if kept and config.length:  # Where nobody has asked for them.
            instead = ", or export the kept weights with --no-refit"
        check_code(loaded, load_space(config.space), instead)
