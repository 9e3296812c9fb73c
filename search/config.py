"""What defines a study: frozen, checked once, stored on the study as JSON, enough to rebuild any of its trials."""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from search.errors import InputError
from spaces.contract import Backbone, InputSpec

BACKENDS = ("tensorflow", "jax", "torch")
CLASS_WEIGHTS = ("none", "balanced")
METRICS = ("accuracy", "macro_f1", "loss")
SAMPLERS = ("tpe", "random")
PRUNERS = ("halving", "hyperband", "median", "none")
RESIZES = ("stretch", "fit", "crop")


@dataclass(frozen=True)
class StudyConfig:
    """All that a worker must know of a study.

    Attributes:
        study: The study's name; also the name of its folder.
        data: Where the images came from, as the user said it (a name or an absolute path; ``arrays`` from a notebook).
        fingerprint: Content hash of the prepared images: what the study is bound to, wherever they lie.
        classes: Class names, in label order.
        height: Of the prepared images, pixels.
        width: Of the prepared images, pixels.
        channels: 1 or 3.
        space: A registered name (``cnn``) or an importable module (``my_package.my_space``).
        epochs: A trial's full length.
        validation: Fraction of the training images drawn, stratified, for validation: first, before ``images``.
        images: Train on a stratified so many of the rest; None takes all.
        seed: Of the split, the sampler and every trial.
        metric: What a trial scores, on the validation images, of exactly the weights that are kept.
        class_weights: ``none`` or ``balanced``.
        flip: Whether mirrored images are still of their class (photographs: yes; digits: no).
        early_stopping: Epochs without a better validation loss before a trial ends; 0 trains the whole length.
        sampler: One of ``SAMPLERS``.
        pruner: One of ``PRUNERS``.
        max_flops: Bound on a net's forward FLOPs an image.
        image_size: What the images were resized to; None for their own size.
        test: Fraction set aside where the data brought no test images.
        max_parameters: Bound on a net's trainable parameters.
        grace: Seconds without a sign of life after which a worker is taken for dead; a fifth of it lies between two.
        artifacts: Where hosts that share no disk leave checkpoints and kept weights for each other: a folder that
            all reach, ``s3://BUCKET`` or ``gs://BUCKET``; None for the studies folder alone.
        resize: How they were: one of ``RESIZES`` (see ``search.data.sizing``).
        backbones: Those that a space over a frozen backbone chooses from; it sees the images at ``image_size``.
        folds: A trial's value is the mean over so many, in place of ``validation``; 0 for none.
    """

    study: str
    data: str
    fingerprint: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    space: str = "cnn"
    epochs: int = 12
    validation: float = 0.1
    images: int | None = None
    seed: int = 0
    metric: str = "accuracy"
    class_weights: str = "none"
    flip: bool = True
    early_stopping: int = 0
    sampler: str = "tpe"
    pruner: str = "halving"
    max_flops: int = 0
    image_size: int | None = None
    test: float = 0.2
    max_parameters: int = 30_000_000
    grace: float = 75.0
    artifacts: str | None = None
    resize: str = "stretch"
    backbones: tuple[Backbone, ...] = ()
    folds: int = 0

    def __post_init__(self) -> None:
        """Check every value that came from outside.

        Raises:
            InputError: One value is wrong; the message names it, what was expected and how to mend it.
        """
        check_study_name(self.study)
        check_number("--epochs", self.epochs, 1, 10_000)
        check_number("--validation", self.validation, 0.01, 0.5)
        if self.images is not None:
            check_number("--images", self.images, len(self.classes), 10**9)
        if self.folds:
            check_number("--folds", self.folds, 2, 20)
        check_number("--seed", self.seed, 0, 2**31 - 1)
        check_number("--early-stopping", self.early_stopping, 0, 10_000)
        check_number("--max-parameters", self.max_parameters, 1, 10**12)
        check_number("--grace", self.grace, 1, 86_400)
        check_choice("--metric", self.metric, METRICS)
        check_choice("--class-weights", self.class_weights, CLASS_WEIGHTS)
        check_choice("--sampler", self.sampler, SAMPLERS)
        check_choice("--pruner", self.pruner, PRUNERS)
        check_choice("--resize", self.resize, RESIZES)
        if self.max_flops == 0:
            object.__setattr__(self, "max_flops", default_max_flops(self.height, self.width))

    @property
    def input_spec(self) -> InputSpec:
        """What goes into every net of this study."""
        size = self.image_size or 0
        enlarged = bool(self.backbones) and (self.height, self.width) != (size, size)
        return InputSpec(
            self.height,
            self.width,
            self.channels,
            len(self.classes),
            size if enlarged else 0,
            self.backbones,
        )

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's word for which way is better."""
        return "minimize" if self.metric == "loss" else "maximize"

    def to_json(self) -> str:
        """The config as stored on the study."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "StudyConfig":
        """The config of a stored study."""
        values: dict[str, Any] = json.loads(text)
        values["classes"] = tuple(values["classes"])
        values["backbones"] = tuple(Backbone(**one) for one in values.get("backbones", ()))
        return cls(**values)


def default_max_flops(height: int, width: int) -> int:
    """Eight times the notebook's three-layer net (21.2 MFLOP at 32x32), scaled with the image's area."""
    return int(8 * 21.2e6 * (height * width) / (32 * 32))


def check_study_name(name: str) -> None:
    """Refuse a study name that is a path or would not do as a folder's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise InputError(
            f"--study {name!r}: expected a name of letters, digits, '.', '_' or '-' (not a path), such as cifar_cnn"
        )


def check_number(flag: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside ``low`` to ``high``, or one that is no number."""
    if not low <= value <= high:
        raise InputError(f"{flag} {value}: expected a number from {low} to {high}")


def check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not one of ``choices``."""
    if value not in choices:
        raise InputError(f"{flag} {value!r}: expected one of {', '.join(choices)}")
