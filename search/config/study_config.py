"""What defines a study: frozen, checked once, stored on the study as JSON, enough to rebuild any of its trials."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from search.config.option import check_number, flag_of
from search.config.request_settings import check_study_name
from search.config.study_settings import StudySettings
from search.config.value_types import EIGHTH, EPOCH
from search.errors import InputError
from spaces.contract import Backbone, InputSpec, sides

# The keys of a stored config that are not named as their option is.
STORED = {"max_cost": "max_flops"}


def check_class(metric: str, classes: Sequence[str]) -> None:
    """Refuse a metric of a class that there is not.

    Raises:
        InputError: It is one.
    """
    _, _, name = metric.partition(":")
    if name and name not in classes:
        shown = ", ".join(classes[:10]) + (", ..." if classes[10:] else "")
        raise InputError(f"--metric {metric}: no class {name!r} in these images; expected one of {shown}")


@dataclass(frozen=True)
class StudyConfig(StudySettings):
    """All that a worker must know of a study.

    Attributes:
        study: The study's name; also the name of its folder.
        data: Where the images came from, in the user's words (a name or an absolute path; ``arrays`` from a notebook).
        fingerprint: Content hash of the prepared images: what the study is bound to, wherever they lie.
        classes: Class names, in label order.
        height: Of the prepared images, pixels.
        width: Of the prepared images, pixels.
        channels: 1 or 3.
        validation_images: Number of the data's own validation images; 0 where a part of the training images is drawn.
        test_seed: The seed with which test images are drawn from data that sets none aside. It is 0 whatever the
            study's own seed, so that no study trains on what another study of the same data is tested on. Studies of an
            older version drew them with their own.
        length: Training FLOPs of a trial, 3 forward passes an image; ``epochs`` are then parts of them. 0 where trials
            count epochs.
        final: Training FLOPs of the final training that is searched for; 0 where trials count epochs.
        final_epochs: How often the default configuration sees all training images in that.
        sized: Whether the default configuration is as large as suits the compute of a trial, see ``InputSpec.compute``:
            where the final training is said in FLOPs. Where it is said in epochs of the default, that must be known.
        training_images: Number of images that a trial trains on; 0 where it counts epochs.
        race_images: Number of training images that are set aside for the race of the best configurations; 0 where there
            are none, as in folds, which are dealt anew for it.
        backbones: Those that a space over a frozen backbone chooses from; it sees the images at ``image_size``.
        fold_of: The fold of each training image, a letter each, see ``search.data.folds.deal_folds``; empty without
            folds, and in studies of older versions, which dealt them anew in every process.
        test_digest: Of the test images, the same at every image size; empty in studies of older versions, and of images
            that these have prepared.
        unknown: What a newer version has stored beside these and this one does not know; kept.
    """

    study: str
    data: str
    fingerprint: str
    classes: tuple[str, ...]
    height: int
    width: int
    channels: int
    validation_images: int = 0
    test_seed: int = 0
    length: int = 0
    final: int = 0
    final_epochs: float = 0.0
    sized: bool = False
    training_images: int = 0
    race_images: int = 0
    backbones: tuple[Backbone, ...] = ()
    fold_of: str = field(default="", repr=False)
    test_digest: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check every value that came from outside.

        Raises:
            InputError: One value is wrong; the message names it, what was expected and how to mend it.
        """
        check_study_name(self.study)
        super().__post_init__()
        if self.images is not None:
            check_number(flag_of(self, "images"), self.images, len(self.classes), 10**9)
        check_class(self.metric, self.classes)
        if self.max_cost == 0:
            object.__setattr__(self, "max_cost", default_max_cost(self.height, self.width))

    @property
    def input_spec(self) -> InputSpec:
        """What goes into every net of this study."""
        size = self.stored_size or 0
        enlarged = bool(self.backbones) and (self.height, self.width) != sides(size)
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

    @property
    def unit(self) -> str:
        """What a trial's length is counted in."""
        return EIGHTH if self.length else EPOCH

    def to_json(self) -> str:
        """The config as stored on the study."""
        values = dataclasses.asdict(self)
        unknown = values.pop("unknown")
        return json.dumps(
            {**unknown, **{STORED.get(name, name): value for name, value in values.items()}}, sort_keys=True
        )

    @classmethod
    def from_json(cls, text: str) -> "StudyConfig":
        """The config of a stored study, of whichever version of this program.

        What an older version has not stored takes its default; what a newer one has stored beside is kept.
        """
        names = {
            STORED.get(one.name, one.name): one.name
            for one in dataclasses.fields(cls)
            if one.name != "unknown"
        }
        stored: dict[str, Any] = json.loads(text)
        stored.setdefault("test_seed", stored.get("seed", 0))
        values = {names[key]: value for key, value in stored.items() if key in names}
        values["unknown"] = {key: value for key, value in stored.items() if key not in names}
        values["classes"] = tuple(values["classes"])
        values["backbones"] = tuple(Backbone.of(one) for one in values.get("backbones", ()))
        return cls(**values)


def default_max_cost(height: int, width: int) -> int:
    """Eight times the notebook's three-layer net (21.2 MFLOP at 32x32), scaled with the image's area."""
    return int(8 * 21.2e6 * (height * width) / (32 * 32))
