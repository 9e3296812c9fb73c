"""What a trial's child is told: one frozen record of plain values, the same on both sides."""

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces.contract import Backbone, InputSpec
from spaces.recipe import Recipe

if TYPE_CHECKING:
    from search.data import Split
    from search.data.source import Labels


@dataclass(frozen=True)
class TrainingPlan:
    """One training, whole.

    Attributes:
        space: Name of the space.
        params: What its ``build`` takes.
        recipe: How to train.
        input_spec: Of the images.
        dataset: Folder of the prepared images.
        validation: Fraction drawn for validation.
        images: Train on so many of the rest; None takes all.
        split_seed: The study's seed.
        seed: This trial's own, of weights, order, augmentation and dropout.
        epochs: The full length, which the schedule is made for.
        metric: See ``StudyConfig``.
        early_stopping: See ``StudyConfig``.
        class_weights: See ``StudyConfig``.
        flip: See ``StudyConfig``.
        checkpoint: File to go on from and to write; None for neither.
        go_on_from: Further files to go on from, by earlier owners of the trial: the furthest is taken.
        checkpoint_seconds: At most one checkpoint in so many seconds.
        model: File for the kept weights; None keeps none.
        full: Train on all training images, validation included (a refit).
        accumulate: Split each batch into so many, accumulating gradients: for when memory ran out.
        gpu_memory: Limit in GB; None lets it grow.
        tune: The file of a kept head: train it on with the last part of its backbone, as one net, on pixels.
        folds: Of a trial in folds: how many; 0 validates on ``validation`` of the images.
        fold: Which of them this is, from 0.
    """

    space: str
    params: dict[str, Any]
    recipe: Recipe
    input_spec: InputSpec
    dataset: str
    validation: float
    images: int | None
    split_seed: int
    seed: int
    epochs: int
    metric: str = "accuracy"
    early_stopping: int = 0
    class_weights: str = "none"
    flip: bool = True
    checkpoint: str | None = None
    go_on_from: tuple[str, ...] = ()
    checkpoint_seconds: float = 30.0
    model: str | None = None
    full: bool = False
    accumulate: int = 1
    gpu_memory: float | None = None
    tune: str | None = None
    folds: int = 0
    fold: int = 0

    @property
    def value_name(self) -> str:
        """The entry of the history that a trial scores."""
        return "val_loss" if self.metric == "loss" else f"val_{self.metric}"

    @property
    def epochs_before(self) -> int:
        """Epochs of the folds before this one: a trial's epochs are counted through all of its folds."""
        return self.fold * self.epochs

    @property
    def epochs_in_all(self) -> int:
        """Epochs of the whole trial."""
        return max(1, self.folds) * self.epochs

    @property
    def identity(self) -> str:
        """A digest of all that a checkpoint must agree with; another study's of the same number does not."""
        said = dataclasses.asdict(self)
        for name in ("checkpoint", "go_on_from", "checkpoint_seconds", "model", "gpu_memory"):
            del said[name]
        said["tune"] = None if self.tune is None else _weights_digest(self.tune)
        said["dataset"] = said["dataset"].rsplit("/", 1)[-1]  # Its content; the folder around it may move.
        for backbone in said["input_spec"]["backbones"]:
            del backbone["said"], backbone["file"]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]

    def split(self, labels: "Labels") -> "Split":
        """The images that are trained on and validated on, of all training images, whose classes ``labels`` are."""
        from search.data import training_split

        return training_split(
            labels,
            validation=self.validation,
            images=self.images,
            folds=self.folds,
            which=self.fold,
            seed=self.split_seed,
        )

    def wanted(self, parts: "Split") -> "Labels | None":
        """Indices of the images whose features it wants of a backbone; None for all."""
        return None if self.images is None or self.full else parts.all

    def to_payload(self) -> dict[str, Any]:
        """As a child's payload."""
        return dataclasses.asdict(self)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> "TrainingPlan":
        """In the child, from its payload."""
        spec = payload["input_spec"]
        backbones = tuple(Backbone(**one) for one in spec["backbones"])
        nested = {
            "recipe": Recipe(**payload["recipe"]),
            "input_spec": InputSpec(**{**spec, "backbones": backbones}),
        }
        return cls(**{**payload, **nested, "go_on_from": tuple(payload["go_on_from"])})


def _weights_digest(file: str) -> str:
    """Of the weights in a ``.keras`` file, not of the file: it also holds when it was saved."""
    with zipfile.ZipFile(file) as archive:
        return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()
