"""What a trial's child needs to know: one frozen record of plain values, the same on both sides."""

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import spaces
from search.data import training_split
from search.formatting import EIGHTH, EPOCH
from spaces.contract import Backbone, InputSpec, Space
from spaces.recipe import Recipe

if TYPE_CHECKING:
    from search.data import Dataset, Split
    from search.data.base import Labels


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that defines one training.

    Attributes:
        space: Name of the space.
        params: The configuration, as the space's ``build`` takes it.
        recipe: How to train.
        input_spec: Size, channels and classes of the images.
        dataset: Folder of the prepared images.
        validation: Fraction of the training images held out for validation.
        images: How many of the rest to train on; None takes all.
        split_seed: The study's seed, which the split is drawn with.
        seed: The trial's seed, of weights, order, augmentation and dropout.
        epochs: The full length, which the schedule is made for; with ``steps``, into how many parts these are divided,
            which then take the place of epochs in all that is reported, pruned by and gone on from.
        metric: See ``StudySettings``.
        early_stopping: See ``StudySettings``.
        class_weights: See ``StudySettings``.
        flip: See ``StudySettings``.
        checkpoint: File to go on from and to write; None for neither.
        go_on_from: Further files to go on from, by earlier owners of the trial; the furthest is taken.
        checkpoint_seconds: The least time between two checkpoints.
        model: File for the kept weights; None keeps none.
        predictions: File for what the kept weights predict of the validation images; None writes none.
        full: Whether to train on all training images, validation included (a refit).
        accumulate: Into how many parts each batch is split, with gradients accumulated, after memory ran out.
        gpu_memory: Most memory of a GPU to take, GB; None lets it grow.
        tune: File of a kept head, to be trained on with the last part of its backbone, as one net, on pixels.
        folds: Number of folds of a cross-validated trial; 0 holds ``validation`` of the images out.
        fold: Which of the folds this training is, from 0.
        fold_of: The fold of each training image, see ``search.data.folds.deal_folds``; empty in studies that have not
            stored it.
        space_code: What ``spaces.code_of`` gave where the params were sampled; empty for any code.
        steps: The full length in optimizer steps, whatever that is in passes over the images; 0 counts epochs.
        race_images: See ``StudyConfig``.
        race_part: Of a training in a race, which of the ``race_parts`` parts of these images it validates on, from 0;
            None validates on the study's validation images.
        race_parts: Number of these parts.
        counted: Whether to count what the built net costs, before the first epoch, for a comparison with what its space
            says.
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
    predictions: str | None = field(default=None, repr=False)
    full: bool = False
    accumulate: int = 1
    gpu_memory: float | None = None
    tune: str | None = None
    folds: int = 0
    fold: int = 0
    fold_of: str = field(default="", repr=False)
    space_code: str = ""
    steps: int = 0
    race_images: int = 0
    race_part: int | None = None
    race_parts: int = 1
    counted: bool = field(default=False, repr=False)

    def load_space(self) -> Space:
        """Load the space where its net is built.

        Raises:
            SpaceChanged: Its code is not what the params were sampled by.
        """
        return spaces.load_as(self.space, self.space_code)

    @property
    def value_name(self) -> str:
        """The entry of the history that is the trial's value."""
        return f"val_{self.metric}"

    @property
    def epochs_before(self) -> int:
        """Epochs of the folds before this one; a trial's epochs are counted through all of its folds."""
        return self.fold * self.epochs

    @property
    def epochs_in_all(self) -> int:
        """Epochs of the whole trial."""
        return max(1, self.folds) * self.epochs

    @property
    def unit(self) -> str:
        """What its length is counted in."""
        return EIGHTH if self.steps else EPOCH

    def steps_before(self, part: int) -> int:
        """The optimizer steps that are done when ``part`` parts of ``epochs`` are."""
        return round(part * self.steps / self.epochs)

    def images_at_once(self, images: int, batch: int) -> int:
        """How many images are trained on at once: those of a step, or a part of them where gradients are accumulated.

        Args:
            images: Number of images that there are.
            batch: Images a step.
        """
        step = min(batch, images) if self.steps else batch
        return min(max(1, step // self.accumulate), images)

    def images_after(self, epoch: int, images: int, batch: int) -> int:
        """How many images have been trained on after ``epoch`` epochs or parts, each as often as it was seen.

        An epoch leaves its last, incomplete batch out: of 127 images in batches of 64 it trains on 64.

        Args:
            epoch: Number of epochs or parts.
            images: Number of images that there are.
            batch: Images a step.
        """
        size = self.images_at_once(images, batch)
        whole = self.steps_before(epoch) * self.accumulate if self.steps else epoch * (images // size)
        return whole * size

    def images_validated(self, epoch: int, early: int, images: int, counted: int = 0) -> int:
        """How many views of images have been validated on after ``epoch`` epochs or parts, each as often as it was.

        Args:
            epoch: Number of epochs or parts.
            early: Number of images in those that are validated on some of them.
            images: Number of all validation images.
            counted: Number of images, as a net sees them once, that a validation on some takes besides.
        """
        if self.full:
            return 0
        few = min(epoch, self.epochs - 1) if self.validates_on_few else 0
        return few * counted + self.views * (few * early + (epoch - few) * images)

    @property
    def views(self) -> int:
        """Of how many views of an image a net's answer is the mean: itself, or itself and its mirror image."""
        return 2 if self.recipe.both_views and self.flip else 1

    @property
    def validates_on_few(self) -> bool:
        """Whether all parts but the last are validated on some of the images; early stopping compares them on all."""
        return bool(self.steps) and not self.early_stopping and not self.full

    @property
    def identity(self) -> str:
        """A digest of all that a checkpoint must agree with; another study's of the same number does not."""
        values = dataclasses.asdict(self)
        for name in (
            "checkpoint",
            "go_on_from",
            "checkpoint_seconds",
            "model",
            "predictions",
            "gpu_memory",
            "space_code",
            "counted",
        ):
            del values[name]
        if not self.fold_of:  # As before there was any.
            del values["fold_of"]
        if not self.steps:  # A checkpoint from before there were any.
            del values["steps"]
        if self.recipe.optimizer != "muon":
            del values["recipe"]["kernel_rate"]
        if not self.recipe.both_views:
            del values["recipe"]["both_views"]
        if not self.race_images:
            del values["race_images"]
        if self.race_part is None:
            del values["race_part"], values["race_parts"]
        values["tune"] = None if self.tune is None else _weights_digest(self.tune)
        values["dataset"] = values["dataset"].rsplit("/", 1)[
            -1
        ]  # Its content; the folder around it may move.
        del values["input_spec"]["compute"]
        for backbone in values["input_spec"]["backbones"]:
            _keep_content(backbone)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    def split(self, dataset: "Dataset") -> "Split":
        """Split the training images into those trained on and those validated on."""
        return training_split(
            dataset.train()[1],
            validation=self.validation,
            images=self.images,
            folds=self.folds,
            which=self.fold,
            seed=self.split_seed,
            rule=dataset.rule(),
            fold_of=self.fold_of,
            race=self.race_images,
            race_part=self.race_part,
            race_parts=self.race_parts,
        )

    def wanted(self, parts: "Split") -> "Labels | None":
        """Indices of the images whose features are needed of a backbone; None for all."""
        return None if self.images is None or self.full else parts.all

    def to_payload(self) -> dict[str, Any]:
        """The plan as a child's payload, of plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> "TrainingPlan":
        """The plan of a payload, in the child."""
        spec = payload["input_spec"]
        backbones = tuple(Backbone.of(one) for one in spec["backbones"])
        nested = {
            "recipe": Recipe(**payload["recipe"]),
            "input_spec": InputSpec(**{**spec, "backbones": backbones}),
        }
        return cls(**{**payload, **nested, "go_on_from": tuple(payload["go_on_from"])})


def _keep_content(backbone: dict[str, Any]) -> None:
    """Drop from a backbone's values where it lies, and what only a joined one has: plans were stored without it."""
    del backbone["said"], backbone["file"]
    for part in backbone["parts"]:
        _keep_content(part)
    for name in ("at", "parts"):
        if not backbone[name]:
            del backbone[name]


def _weights_digest(file: str) -> str:
    """A digest of the weights in a ``.keras`` file, not of the file, which also holds when it was saved."""
    with zipfile.ZipFile(file) as archive:
        return hashlib.sha256(archive.read("model.weights.h5")).hexdigest()
