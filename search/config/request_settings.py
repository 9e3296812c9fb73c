"""The settings of one call: which study and which images are meant, how a search goes on, how a trial is exported."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.config.option import FLOPS, SECONDS, Options, facts, flag_of, option
from search.config.value_types import as_final
from search.errors import InputError

LENGTHS = ("compute", "epochs")
PREFERENCES = ("accurate", "balanced", "small")


@dataclass(frozen=True, kw_only=True)
class NameSettings(Options):
    """Which study is meant."""

    study: str = field(kw_only=False, metadata=facts("Name of the study.", metavar="NAME"))

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: The name is a path or would not do as a folder's name, or a value is out of its range.
        """
        check_study_name(self.study)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class ImageSettings(Options):
    """Which images are meant."""

    data: "str | Path | Sequence[Any] | None" = option(
        None,
        "Images: cifar10, cifar100, mnist, fashion_mnist, digits, a folder of class folders, a zip or tar of one, a "
        "table of paths and labels (.csv, .tsv, .parquet), or an .npz file.",
        metavar="DATA",
    )


@dataclass(frozen=True, kw_only=True)
class RequestSettings(ImageSettings, NameSettings):
    """What is asked of a study, be it a search or a sweep."""

    preset: str | None = option(
        None,
        "Named settings (default: those of the study's name, if there are any); run --explain lists what each sets.",
        metavar="NAME",
    )
    timeout: float | None = option(
        None,
        "Be done so long after the start of the command: a search that has a complete trial ends early enough for the "
        "race and the final training, and gives its running trial back.",
        low=0,
        unit=SECONDS,
        metavar="TIME",
    )
    backbones: Sequence[str] = option(
        (),
        "Backbone for --space transfer: a keras.applications name, a .keras file, or keras_hub:PRESET, name or "
        "folder (default: MobileNetV2). Repeatable: of several, one, or two joined, are chosen by logistic regression "
        "in the folds; without folds the search samples. NET@224+NET@288 joins what nets see at these sizes.",
        flag="--backbone",
        metavar="NAME|FILE",
        repeatable=True,
    )


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Options):
    """How a search begins and how long it goes on."""

    trials: int | None = option(
        None,
        "Finished trials, complete or pruned, that the study shall have in all (default: the preset's, or 50).",
        low=1,
        high=1_000_000,
    )
    budget: float | None = option(
        None,
        "Compute of all together, such as 1PFLOP: of the trials, the race and the final training.",
        low=0,
        unit=FLOPS,
        metavar="FLOPS",
    )
    length: str | None = option(
        None,
        "What a trial's length is counted in: the same compute for every configuration, so that a small net sees its "
        "images more often, or epochs (default: compute; epochs with --epochs, and over a backbone).",
        choices=LENGTHS,
    )
    final: "str | int | float | None" = option(
        None,
        "Final training that is searched for: its compute, such as 0.2PFLOP, or how often the default configuration "
        "sees all training images in it, such as 10 epochs. A trial trains for as large a share of it as it has of the "
        "images (default: the preset's, or 12 epochs).",
        metavar="FLOPS|EPOCHS",
    )
    try_first: "Sequence[Path | Mapping[str, Any]]" = option(
        (),
        "Configuration to try before any is sampled: a TOML file with a value for each parameter. Repeatable.",
        flag="--try",
        metavar="FILE.toml",
        repeatable=True,
    )
    model: str | None = option(
        None,
        "Your own function that makes a Keras model, in the place of a space: my_model.py:build, or "
        "my_package.my_model:build. It asks for its values as one does of Optuna's trial (trial.suggest_int) or of "
        "KerasTuner's hp (hp.Int). Its trials count --epochs.",
        metavar="FILE:FUNCTION",
    )
    from_study: str | None = option(
        None,
        "Another study of the same space, whose best three configurations are tried before any is sampled.",
        metavar="STUDY",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range, or contradicts another.
        """
        super().__post_init__()
        if self.final is None:
            return
        as_final(flag_of(self, "final"), self.final)
        if self.length == "epochs":
            raise InputError(
                f"--final {self.final}: says nothing beside --length epochs, whose trials all have --epochs; leave one "
                "of the two out"
            )


@dataclass(frozen=True, kw_only=True)
class SweepSettings(Options):
    """What a sweep varies, and around what."""

    vary: "Mapping[str, Sequence[Any]] | None" = option(
        None,
        "Values of a parameter, separated by commas; repeatable (default: the preset's, or the study's own).",
        metavar="NAME=VALUES",
        repeatable=True,
    )
    repeat: int | None = option(
        None, "Runs of each combination, each with a seed of its own (default: 1).", low=1, high=1000
    )
    base: str | None = option(
        None,
        "Where all other values come from: one-layer, three-layers, bears, a preset (its space's default), or "
        "study:NAME (its best trial).",
        metavar="BASE",
    )


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Options):
    """How a trial is exported."""

    out: Path | None = option(None, "Folder of the export (default: exports/STUDY).", metavar="FOLDER")
    confirm: bool = option(
        False,
        "Race the best few configurations over several seeds before the export, and export the winner (default: before "
        "the final training of a study whose trials have equal compute).",
    )
    prefer: str = option(
        "accurate",
        "What is exported: the best, the cheapest (in operations an image) within one standard error of it, or the one "
        "with the fewest parameters within two points of it.",
        choices=PREFERENCES,
    )
    refit: bool = option(
        False,
        "Train the configuration on all training images, validation images included, and export that net (default: yes "
        "where trials have equal compute); --no-refit exports the weights that scored in the search.",
        flag="--refit/--no-refit",
    )
    refit_epochs: int | None = option(
        None,
        "Length of that training, in epochs (default: the final training; else what the scored weights were trained "
        "for).",
        low=1,
        high=10_000,
    )
    fine_tune: int | None = option(
        None,
        "For nets over a backbone: after the search, also train the backbone's last part, at a lower rate, for this "
        "many epochs.",
        low=1,
        high=1000,
        metavar="EPOCHS",
    )
    calibrated: bool = option(
        False,
        "Put the temperature that calibrates confidences into the exported files, for programs that read them without "
        "search.predict, which applies it in any case.",
    )
    with_examples: bool = option(
        False,
        "Keep up to 1,000 training pictures, small, in the export, so that search.demo can show those most alike to a "
        "picture.",
    )


def check_study_name(name: str) -> None:
    """Refuse a study name that is a path or would not do as a folder's name.

    Raises:
        InputError: It is.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(
            f"--study {name!r}: expected a name of up to 100 letters, digits, '.', '_' or '-' (not a path), such as "
            "cifar_cnn"
        )
