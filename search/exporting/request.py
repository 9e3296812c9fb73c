"""What an export is asked for, with the checks that come before anything slow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.exporting.race import Race
from search.metrics.preference import ACCURATE
from search.study.request import load_space
from search.study.space_version import check_code

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.preference import Preference
    from search.study.study import LoadedStudy


@dataclass(frozen=True)
class ExportRequest:
    """One export to make.

    Attributes:
        loaded: The open study.
        trial: The trial to export; after a race its winner, as if it had been trained with the race's first seed.
        refit: Whether to train its configuration on all training images.
        refit_epochs: Number of epochs of that; None for what the scored weights were trained for.
        fine_tune: Number of epochs in which the last part of the backbone is trained too; None for none.
        gpu_memory: GB to take of a GPU at most; None for no limit.
        formats: Further formats of the model.
        baselines: Models to compare it with.
        say: Gets lines for a person.
        race: The race that found the trial, if there was one.
        without: Numbers of the trials that were left out of the choice.
        examples: Whether to keep training pictures with the model.
        prefer: What is preferred: the most ``accurate``, or a cheaper one.
        preference: What was preferred of the trials; None where one was named.
        no_race: Why there was no race, where one was wanted.
        remark: A sentence for the words of the export; empty for none.
        passed_over: Number of the search's best trial, where the default is exported in its place.
        named: Whether somebody has named the trial, so that nothing has chosen it.
        calibrated: Whether the exported files are to have the temperature inside.
    """

    loaded: "LoadedStudy"
    trial: "FrozenTrial"
    refit: bool
    refit_epochs: int | None
    fine_tune: int | None
    gpu_memory: float | None
    formats: tuple[str, ...]
    baselines: tuple[str, ...]
    say: Callable[[str], None]
    race: Race | None = None
    without: tuple[int, ...] = ()
    examples: bool = False
    prefer: str = ACCURATE
    preference: "Preference | None" = None
    no_race: str = ""
    remark: str = ""
    passed_over: int | None = None
    named: bool = False
    calibrated: bool = False


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
