"""The settings of a study, which are stored with it: what its trials are, and what is searched by."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from search.config.option import FLOPS_AN_IMAGE, SECONDS, Options, flag_of, option
from search.config.value_types import as_image_size, as_path

CLASS_WEIGHTS = ("none", "balanced")
METRICS = ("accuracy", "macro_f1", "balanced_accuracy", "auc", "recall:CLASS", "loss")
SAMPLERS = ("prior", "tpe", "random")
PRUNERS = ("halving", "hyperband", "median", "none")
RESIZES = ("stretch", "fit", "crop")


@dataclass(frozen=True, kw_only=True)
class TrialSettings(Options):
    """What defines the trials of a study, be it a search or a sweep; stored with it."""

    space: str = option(
        "cnn",
        "Search space, which says what is searched: cnn, cnn_wide, photo_cnn, transfer, or your own: a file such as "
        "my_space.py, or a module such as my_package.my_space (default: the preset's, or cnn).",
        metavar="SPACE",
    )
    epochs: int = option(
        12,
        "Full length of a trial that counts epochs (default: the preset's, or 12).",
        low=1,
        high=10_000,
    )
    images: int | None = option(
        None,
        "Train on a stratified subset of N images, the same for every trial (default: the preset's, or all).",
        low=2,
        high=10**9,
    )
    validation: float = option(
        0.1, "Fraction of the training images that is held out for validation.", low=0.01, high=0.5
    )
    groups: str | None = option(
        None,
        "Images that belong together, such as one patient's, and are never split: a regular expression, whose match in "
        "a file's path is the group's name (or its first pair of parentheses), or a column of the table.",
        metavar="PATTERN|COLUMN",
    )
    image_size: "str | int | tuple[int, int] | None" = option(
        None,
        "Size that images are resized to, such as 64 for squares or 32x64 for a height of 32 and a width of 64 "
        "(default: the preset's; else 224 over a backbone, and their own size without one).",
        unit="pixels",
        metavar="PIXELS|HxW",
    )
    skip_damaged: bool = option(
        False,
        "Go on without image files that are damaged or cannot be opened here; how many is said a class.",
    )
    seed: int = option(
        0,
        "Seed of the validation split or the folds, the sampler and every trial; the test images stay the same.",
        low=0,
        high=2**31 - 1,
    )
    flip: bool = option(
        True,
        "Whether a mirrored image still shows its class, so that augmentation may mirror (default: no for digits and "
        "the like, yes for photographs).",
        flag="--flip/--no-flip",
    )
    max_cost: int = option(
        0,
        "Largest cost of a net, in operations of one forward pass, such as 170MFLOP; an export that answers for an "
        "image and its mirror image takes two (default: eight times that of a plain three-layer net at this size).",
        low=0,
        unit=FLOPS_AN_IMAGE,
        metavar="FLOPS",
    )
    max_parameters: int = option(
        30_000_000, "Largest number of trainable parameters of a net.", low=1, high=10**12
    )
    artifacts: str | None = option(
        None,
        "Where hosts that share no disk leave checkpoints and weights for each other: a folder, s3://BUCKET or "
        "gs://BUCKET.",
        metavar="WHERE",
    )

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InputError: A value is out of its range.
        """
        super().__post_init__()
        object.__setattr__(self, "space", stored_space(self.space))
        object.__setattr__(self, "max_cost", int(self.max_cost))  # 170e6 is a number of operations, too.
        if self.image_size is not None:
            size = as_image_size(flag_of(self, "image_size"), self.image_size)
            object.__setattr__(self, "image_size", size)

    @property
    def stored_size(self) -> int | str | None:
        """``image_size`` as it is after its check, a side or ``32x64``."""
        return cast("int | str | None", self.image_size)


@dataclass(frozen=True, kw_only=True)
class StudySettings(TrialSettings):
    """What defines a study beside its images: stored with it, and the same for everybody who works on it."""

    folds: int = option(
        0,
        "Cross-validate each trial in N folds instead of holding a part out; its value is their mean (default: 3 to 10 "
        "for fewer than 2,000 training images, unless --validation or --images is given; else, or where folds leave "
        "too little of --timeout or --budget, a part is held out).",
        low=2,
        high=20,
    )
    test: float = option(
        0.2,
        "Fraction of the images that is sealed as the test set, where a folder has no test/ of its own.",
        low=0.01,
        high=0.9,
    )
    resize: str = option(
        "stretch",
        "How images of other proportions are resized: stretched, fitted with black bars, or cropped to the middle "
        "(default: the preset's, or stretch).",
        choices=RESIZES,
    )
    metric: str = option(
        "accuracy",
        "Validation metric that ranks the trials: auc is the mean over the classes of each against all others, "
        "recall:cat how many of the cats are found.",
        choices=METRICS,
    )
    class_weights: str = option(
        "none", "Whether images of rare classes weigh more in the loss.", choices=CLASS_WEIGHTS
    )
    early_stopping: int = option(
        0,
        "End a trial after this many epochs, or eighths of its compute, without a better validation loss; 0 trains its "
        "full length.",
        low=0,
        high=10_000,
        metavar="EPOCHS",
    )
    sampler: str = option(
        "prior",
        "How the next configuration is chosen: by TPE and, for as long as trials agree, around what is known "
        "to be good; by TPE alone; or at random.",
        choices=SAMPLERS,
    )
    pruner: str = option("halving", "Which trials are ended early.", choices=PRUNERS)
    grace: float = option(
        75.0,
        "Silence after which a worker is taken for dead (default: 75s).",
        low=1,
        high=86_400,
        unit=SECONDS,
        metavar="TIME",
    )


def stored_space(name: str) -> str:
    """What a space is stored as: a file in the current folder as its module, which other hosts find in theirs.

    Any other file is stored by its whole path, so that it is found from every folder.
    """
    # Of a function that makes a model, its file is stored likewise.
    path, colon, function = name.partition(":")
    file = as_path("--model" if colon else "--space", path).absolute()
    if not path.endswith(".py") or not file.is_file():
        return name
    stored = file.stem if file.parent == Path.cwd() and file.stem.isidentifier() else str(file)
    return f"{stored}{colon}{function}"
