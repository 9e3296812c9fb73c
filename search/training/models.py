"""What a plan trains: a whole net on pixels, a head on a backbone's features, or a head with part of its backbone."""

import dataclasses
import time
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from search.data import Dataset, Split
from search.data.backbones import with_files
from search.process.channel import Channel
from search.training.epoch_callbacks import check_callbacks
from search.training.feature_cache import BATCH, Features, join_features, open_features
from search.training.net_check import check_space_net
from search.training.plan import TrainingPlan
from search.training.user_model import as_exported, prepared
from spaces import UserModel, has_backbone, is_model
from spaces.contract import Backbone, InputSpec, Space

TELL_SECONDS = 1.0
# What the outputs of the frozen part are called in a whole net.
FEATURES = "backbone_features"


class Net:
    """A net that is trained whole, on pixels."""

    # What of its backbone is trained, see ``tuned_part``; None where there is none, or all of it is frozen.
    tuned: dict[str, int] | None = None

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan = plan
        self.space: Space = plan.load_space()
        # The plan's images, and its backbones where they lie on this host.
        backbones = with_files(plan.input_spec.backbones, Path(plan.dataset).parent)
        self.spec: InputSpec = dataclasses.replace(plan.input_spec, backbones=backbones)

    def build(self) -> keras.Model:
        """It, with fresh weights.

        Raises:
            ContractBroken: The space's net is not what the contract of a space says.
        """
        model = self.space.build(self.plan.params, self.spec)
        taken, loadable = (None, *self._size), self.plan.counted
        return check_space_net(model, taken, self.spec.classes, "build", loadable=loadable)

    def exported(self) -> keras.Model:
        """What is validated and kept: it, or the mean of what it says of both views; its weights in the same order."""
        model = self.build()
        return both_views(model) if self.plan.views == 2 else model

    def inputs(self, dataset: Dataset, parts: Split, channel: Channel) -> Features:
        """What it is trained on, ``(N, ...)``, with rows for all training images: the images themselves.

        Raises:
            FeaturesAway: The worker asked to stop before it was there.
        """
        return Features(dataset.train()[0], None)

    def callbacks(self, model: keras.Model) -> list[keras.callbacks.Callback]:
        """What hears of its epochs: nothing."""
        return []

    def adapt(self, model: keras.Model, images: np.ndarray) -> None:
        """Set what depends on the data from some of its inputs."""
        if hasattr(self.space, "adapt"):
            self.space.adapt(model, images)

    @property
    def _size(self) -> tuple[int, int, int]:
        return self.spec.height, self.spec.width, self.spec.channels


class Brought(Net):
    """A user's own model, which is trained as it comes compiled; one that does not is trained as any net here."""

    def build(self) -> keras.Model:
        """It, with fresh weights."""
        model = self._prepared()
        return model if model.compiled else as_exported(model, self._size)

    def exported(self) -> keras.Model:
        """It, from raw pixels to logits, with its weights in the same order."""
        return as_exported(self._prepared(), self._size)

    def callbacks(self, model: keras.Model) -> list[keras.callbacks.Callback]:
        """What its module names to hear of its epochs."""
        named = cast(UserModel, self.space).callbacks_of(self.plan.params)
        return check_callbacks(named, model, on_all=self.plan.full)

    def _prepared(self) -> keras.Model:
        return prepared(self.space.build(self.plan.params, self.spec), self._size, self.spec.classes)


class Head(Net):
    """A head that is trained on features, which are computed once for all trials."""

    def build(self) -> keras.Model:
        """The head, with fresh weights.

        Raises:
            ContractBroken: It is not what the contract of a space says.
        """
        model = self.space.head(self.plan.params, self.spec)
        return check_space_net(model, None, self.spec.classes, "head", loadable=self.plan.counted)

    def frozen(self) -> keras.Model:
        """The part below it, pixels to features."""
        return self.space.frozen(self.plan.params, self.spec)

    def inputs(self, dataset: Dataset, parts: Split, channel: Channel) -> Features:
        """The backbone's features of the images that the study uses, computed here if nobody has yet."""
        plan, told_at = self.plan, [0.0]
        backbone = self.space.backbone(plan.params, self.spec)
        shared: dict[str, Any] = {
            "wanted": plan.wanted(parts),
            "mirror": plan.flip and plan.recipe.augmentation > 0,
        }

        def tell(rows: int, of: int) -> bool:
            if time.monotonic() - told_at[0] > TELL_SECONDS:
                told_at[0] = time.monotonic()
                channel.send({"kind": "features", "rows": rows, "of": of})
            return not channel.stopped

        def of(one: Backbone) -> Features:
            spec = dataclasses.replace(self.spec, backbones=(one,), size=self.spec.seen_by(one))
            return open_features(
                dataset,
                one,
                spec,
                frozen=lambda: self.space.frozen({**plan.params, "backbone": one.name}, spec),
                # Where memory ran out once, the backbone may have been what took it.
                batch=max(1, BATCH // plan.accumulate),
                tell=tell,
                **shared,
            )

        if not backbone.parts:
            return of(backbone)
        return join_features(
            dataset, backbone, self.spec, [of(part) for part in backbone.parts], tell=tell, **shared
        )


class Tuned(Net):
    """A kept head on its backbone, whose last part is trained as well, in a second phase on pixels."""

    def build(self) -> keras.Model:
        """The whole net with the kept head's weights, its last part trainable."""
        model = join(self.plan, str(self.plan.tune))
        self.space.tune(model)
        self.tuned = tuned_part(model)
        if not self.tuned["layers"]:
            raise ValueError(
                f"there is nothing to fine-tune in the backbone: {self.tuned['of_layers']} of its layers have weights, "
                "and none of them is to be trained"
            )
        return model

    def adapt(self, model: keras.Model, images: np.ndarray) -> None:
        """Nothing: the head was adapted when it was trained."""


def net_of(plan: TrainingPlan) -> Net:
    """What ``plan`` trains."""
    if is_model(plan.space):
        return Brought(plan)
    if not has_backbone(plan.load_space()):
        return Net(plan)
    return Tuned(plan) if plan.tune else Head(plan)


def both_views(model: keras.Model) -> keras.Model:
    """A net that gives the mean of another's logits for an image and for its mirror image, left to right."""
    inputs = keras.Input(model.input_shape[1:])
    mirrored = keras.ops.flip(inputs, axis=2)
    # float32 also under mixed precision, as the logits are.
    return keras.Model(inputs, keras.layers.Average(dtype="float32")([model(inputs), model(mirrored)]))


def join(plan: TrainingPlan, head: str) -> keras.Model:
    """The whole net of a kept head's file, from pixels to logits."""
    below = Head(plan).frozen()
    # Named, so that an export's scoring finds it.
    features = keras.layers.Activation("linear", dtype="float32", name=FEATURES)(below.output)
    return keras.Model(below.input, keras.models.load_model(head)(features))


def tuned_part(model: keras.Model) -> dict[str, int]:
    """How much of a whole net is trained below its head, which is its last layer.

    Returns:
        ``layers`` and ``parameters``, the number of those that are trained; ``of_layers``, of all layers with weights.
    """
    weighted = [layer for part in model.layers[:-1] for layer in leaves(part) if layer.weights]
    trained = [layer for layer in weighted if layer.trainable_weights]
    parameters = sum(int(np.prod(weight.shape)) for layer in trained for weight in layer.trainable_weights)
    return {"layers": len(trained), "of_layers": len(weighted), "parameters": parameters}


def leaves(layer: keras.Layer) -> list[keras.Layer]:
    """A layer, or the layers of a net and of the nets inside it."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [leaf for one in inner for leaf in leaves(one)]


def join_job(payload: dict[str, object], channel: Channel) -> None:
    """Write the whole net of a head's file; a child's job.

    Args:
        payload: ``plan`` (a ``TrainingPlan``), ``head`` (its file), ``model`` (the file to write).
        channel: Gets ``done``.
    """
    plan = TrainingPlan.from_payload(payload["plan"])  # type: ignore[arg-type]
    join(plan, str(payload["head"])).save(str(payload["model"]))
    channel.send({"kind": "done"})
