"""One training between its epochs: the net, its images and optimizer, what it has come to, and what it goes on from."""

import importlib
import logging
import math
import platform
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from search.data import open_dataset
from search.data.folds import read_folds
from search.data.splits import STATISTICS_IMAGES, early_subset
from search.formatting import count
from search.metrics.classification import Scores, validated
from search.metrics.inference import FastestBatch, logits
from search.process import backends
from search.process.channel import Channel
from search.training.batch_watch import BatchWatch
from search.training.batches import StreamFeed, TrainingFeed, balanced_weights
from search.training.checkpointing import Checkpointer, averaged_weights, capture, restore
from search.training.device_data import fits_device, with_images
from search.training.epoch_callbacks import EpochCallbacks
from search.training.late_mean import LateMean, norms
from search.training.logistic import fit_logistic, mean_head, put_into
from search.training.model_flops import built_cost
from search.training.models import leaves, net_of
from search.training.optimizer import make_optimizer, updates
from search.training.plan import TrainingPlan
from search.training.predictions import write_predictions
from search.training.user_model import scales_pixels
from search.training.user_training import UserFeed, own_training, takes_class_numbers
from search.training.validation import validate
from spaces import is_model
from storage.atomic import atomic_write

logger = logging.getLogger(__name__)

ADAPT_IMAGES = 2000
# Of every figure that is reported, stored and shown: more of them are float32's own.
DIGITS = 6


class Training:
    """The state of one training between epochs.

    Attributes:
        epoch: Number of finished epochs.
        history: One entry an epoch for loss, accuracy, ``val_`` with each of ``validated``, and seconds; the ``val_``
            ones are empty in a refit.
        checkpoints: Writes its state, and finds what it goes on from.
        matrix: Confusion matrix of the validation images by the weights to keep; empty where there is none.

    Args:
        plan: What is trained, and how.
        device: What it is trained on.
        channel: Gets ``features`` while a backbone's are computed.
        before: A training of another fold of the same trial in this process, whose traced net is used again, with new
            weights: of that training nothing is left but its history.
    """

    def __init__(
        self, plan: TrainingPlan, device: str, channel: Channel, before: "Training | None" = None
    ) -> None:
        self.plan, self.device = plan, device
        self.net = net_of(plan)
        dataset = open_dataset(Path(plan.dataset))
        _, self.labels = dataset.train()
        chosen = plan.split(dataset)
        self.images, self.mirror = self.net.inputs(dataset, chosen, channel)
        keras.utils.set_random_seed(plan.seed)  # After the backbone, which not every child builds.
        self.validation = chosen.validation
        self.early = early_subset(self.labels, self.validation, plan.split_seed)
        # All parts but the last are judged by it.
        self.late = LateMean(plan.epochs) if plan.validates_on_few else None
        self.chosen = np.arange(len(self.labels)) if plan.full else chosen.train
        self.batch = plan.recipe.batch(len(self.chosen))
        self.model, self.fitted = self._build()
        counted = STATISTICS_IMAGES if norms(self.model) else 0
        self._counted = self.chosen[:: max(1, len(self.chosen) // STATISTICS_IMAGES)][:counted]
        self._traced = before is not None and self._take_over(before)
        self.optimizer = self.fitted.optimizer
        self.callbacks = EpochCallbacks(self.net.callbacks(self.model), self.model, plan.epochs)
        if not self._traced:
            # What is validated is what is exported: float32, also where training computes in bfloat16; of both views.
            mixed = keras.mixed_precision.dtype_policy().name != "float32"
            other = mixed or plan.views == 2 or self.compiled
            self._exact = self._exported() if other and not plan.full else self.model
        self.classes = dataset.classes
        names = ("loss", "accuracy", *(f"val_{name}" for name in validated(plan.metric)), "seconds")
        self.history: dict[str, list[float]] = {name: [] for name in names}
        self.epoch = 0
        self.matrix: list[list[int]] = []
        self._best: tuple[int, float, list[np.ndarray]] | None = None
        self.checkpoints = Checkpointer(plan)
        self._images_per_second = 0.0
        self._paced = False
        self._fastest = FastestBatch()
        # Of a head that is fitted exactly: the images of all passes, and of how many heads it is the mean.
        self._seen = self._heads = 0

    def _build(self) -> tuple[keras.Model, keras.Model]:
        """Build the model, and what is fitted: the model itself, or the model behind the images on the device."""
        plan, recipe = self.plan, self.plan.recipe
        model = self.net.build()
        # A user's own model says itself how it is trained.
        self.compiled = is_model(plan.space) and model.compiled
        # Evenly over all (folders come sorted by class): enough for means, variances and patches.
        self.net.adapt(model, self.images[self.chosen[:: max(1, len(self.chosen) // ADAPT_IMAGES)]])
        # What is traced knows of the images no more than these: the length of the schedule, and the size of a batch.
        self._shape = (plan.steps or updates(len(self.chosen), self.batch, plan.epochs), self.batch)
        if self.compiled:
            self.on_device = False
            return model, own_training(model, plan.accumulate)
        # Photographs are augmented by Pillow, on the host, each time that they are seen.
        pixels = self.images.ndim == 4 and recipe.augmenter == "shifts"
        self.on_device = pixels and fits_device(self.device, self.images)
        fitted = with_images(model, self.images[self.chosen]) if self.on_device else model
        fitted.compile(
            optimizer=make_optimizer(recipe, self._shape[0], plan.accumulate),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            ),
            metrics=["accuracy"],
            steps_per_execution=backends.current().steps_per_call(self.device != "cpu"),
        )
        fitted.optimizer.build(model.trainable_variables)
        return model, fitted

    def _take_over(self, before: "Training") -> bool:
        """Put the state that this training begins with into the net of another, which is traced; say if that can be.

        Images on the device and the numbers of ``Normalization`` are constants of what was traced.
        """
        constant = any(isinstance(layer, keras.layers.Normalization) for layer in leaves(self.model))
        if constant or self.compiled or self.on_device or before.on_device or before._shape != self._shape:
            return False
        restore(before.model, before.optimizer, capture(self.model, self.fitted.optimizer))
        self.model, self.fitted, self._exact = before.model, before.fitted, before._exact
        return True

    def facts(self) -> dict[str, Any]:
        """What the worker records of the device and the images."""
        begun_anew = not self.epoch and not self.plan.fold
        return {
            "device": self.device,
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "epoch_images": self._images_after(self.plan.epochs) / self.plan.epochs,
            "epoch": self.epoch,
            "values": [] if self.plan.full else self.history[self.plan.value_name],
            "history": self.history,
            **(built_cost(self.model) if self.plan.counted and begun_anew else {}),
        }

    def words(self) -> str:
        """What is trained, in a line, so that its log says it before the first epoch is over."""
        params = ", ".join(f"{name}={value}" for name, value in self.plan.params.items())
        return (
            f"space {self.plan.space}: {params}; {len(self.chosen):,} training images in batches of {self.batch}, "
            f"{len(self.validation):,} to validate on, {count(self.plan.epochs, self.plan.unit)}, on {self.device}"
        )

    def resume(self) -> None:
        """Go on from the furthest of the plan's checkpoints that is of this very training, if there is one."""
        if (stored := self.checkpoints.furthest()) is None:
            return
        arrays, facts = stored
        own = len(capture(self.model, self.optimizer))
        try:
            restore(self.model, self.optimizer, arrays[:own])
        except ValueError as error:  # The space's net is another by now: better again than never.
            logger.info("%s: begun again", error)
            return
        self.epoch, self.history = facts["epoch"] - self.plan.epochs_before, facts["history"]
        self.matrix = facts.get("matrix", [])
        if self.callbacks:
            self.callbacks.tell_again(self.epoch, self.history)
            # They have set the rates of epochs that are over.
            restore(self.model, self.optimizer, arrays[:own])
        if facts["best"] is not None:
            self._best = (*facts["best"], arrays[own:])
        if self.late is not None:
            self.late.set(arrays[own:], facts.get("late", 0), self.epoch / self.plan.epochs)

    def run_epoch(self, channel: Channel) -> bool:
        """Train and validate one epoch; return False if the worker asked to stop before its end."""
        self.hold_state()
        self.callbacks.begin(self.epoch)
        started = time.monotonic()
        feed = self._feed()
        watch = BatchWatch(channel, feed, self._take)
        logs = self._solve() if self.plan.recipe.is_exact else self._fit(feed, watch)
        if channel.stopped:
            return False
        whole = len(feed) * feed.batch_size / (time.monotonic() - started)
        # In its first epoch a process traces the net, of which a short epoch's time says more than of its images.
        self._images_per_second, self._paced = watch.rate or whole, self._traced or watch.rate > 0
        self._paced = self._paced and not self.plan.recipe.is_exact  # Others take steps.
        self._traced = True
        loss, accuracy = logs["loss"], logs["accuracy"]
        seconds = time.monotonic() - started
        if not math.isfinite(loss):
            loss = math.nan
        scored = {} if self.plan.full else self._validate(channel)
        for name, value in {"loss": loss, "accuracy": accuracy, **scored, "seconds": seconds}.items():
            self.history[name].append(float(f"{value:.{DIGITS}g}"))
        self.epoch += 1
        self.callbacks.end(self.epoch - 1, self.history)
        newest = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items() if values)
        logger.info("%s %d: %s", self.plan.unit, self.epoch, newest)
        return True

    def _take(self, part: float) -> None:
        """Take the weights of the moment, at which ``part`` of the running epoch is done, into their late mean."""
        if self.late is not None:
            self.late.take((self.epoch + part) / self.plan.epochs, self._weights)

    def _weights(self) -> list[np.ndarray]:
        backends.current().settle(self.fitted)
        return [np.array(variable) for variable in self.model.trainable_variables]

    def _fit(self, feed: TrainingFeed, watch: BatchWatch) -> dict[str, float]:
        """Train on each batch once; return the means of loss and accuracy."""
        if self.images.ndim > 2 or self.device != "cpu":
            batches = backends.current().batches(feed)
            logs = self.fitted.fit(batches, verbose=0, shuffle=False, callbacks=[watch]).history
            return {name: float(values[0]) for name, values in logs.items()}
        # An epoch of features is a few steps of milliseconds: what ``fit`` does before and after them takes longer.
        logs = {}
        watch.set_model(self.fitted)
        self.fitted.stop_training = False
        self.fitted.reset_metrics()
        for index in range(len(feed)):
            logs = self.fitted.train_on_batch(*feed[index], return_dict=True)
            watch.on_train_batch_end(index, logs)
            if self.fitted.stop_training:
                break
        return {name: float(value) for name, value in logs.items()}

    def _solve(self) -> dict[str, float]:
        """Fit a linear head to its optimum; in a refit, the mean of all folds' (``search.training.logistic``)."""
        plan, classes = self.plan, self.plan.input_spec.classes
        parts = [self.chosen]
        if plan.full and plan.folds:
            dealt = read_folds(plan.fold_of)
            parts = [np.flatnonzero(dealt != fold) for fold in range(plan.folds)]
        views = [self.images] if self.mirror is None else [self.images, self.mirror]
        class_weights = self._class_weights()
        heads = []
        for part in parts:
            features = np.concatenate([view[part] for view in views])
            labels = np.tile(self.labels[part], len(views))
            weights = np.ones(len(labels)) if class_weights is None else class_weights[labels]
            # Mirror images are no more images: each view counts half.
            weights = weights / len(views)
            head, passes = fit_logistic(features, labels, classes, plan.recipe.weight_decay, weights)
            heads.append(head)
            self._seen += passes * len(features)
        head = mean_head(heads)
        put_into(self.model, head)
        self._heads = len(heads)
        scores = Scores(self.labels[self.chosen], head.logits(self.images[self.chosen]))
        return {"loss": scores.loss, "accuracy": scores.accuracy}

    def _feed(self) -> TrainingFeed:
        """The batches of the next epoch, or of the next part of the steps."""
        plan = self.plan
        given = (
            self.images,
            self.labels,
            self.chosen,
            plan.images_at_once(len(self.chosen), self.batch),
            plan.input_spec.classes,
        )
        settings: dict[str, Any] = {
            "seed": plan.seed,
            "strength": plan.recipe.augmentation,
            "flip": plan.flip,
            "weights": self._class_weights(),
            "augmenter": plan.recipe.augmenter,
            "on_device": self.on_device,
            "mirror": self.mirror,
        }
        if self.compiled:
            own = {"scaled": not scales_pixels(self.model), "numbers": takes_class_numbers(self.model)}
            return UserFeed(*given, epoch=self.epoch, **own, **settings)
        if not plan.steps:
            return TrainingFeed(*given, epoch=self.epoch, **settings)
        # A step is as many batches as its gradients are accumulated over.
        first, end = (plan.steps_before(part) * plan.accumulate for part in (self.epoch, self.epoch + 1))
        return StreamFeed(*given, first=first, count=end - first, **settings)

    def _images_after(self, epoch: int) -> int:
        return self.plan.images_after(epoch, len(self.chosen), self.batch)

    def _class_weights(self) -> np.ndarray | None:
        if self.plan.class_weights == "none":
            return None
        return balanced_weights(self.labels[self.chosen], self.plan.input_spec.classes)

    def _validate(self, channel: Channel) -> dict[str, float]:
        few = self.late is not None and self.epoch + 1 < self.plan.epochs
        # There is no mean yet of a training that has diverged at once.
        mean = self.late if few and self.late and self.late.taken else None
        used = mean.used(self.model, self.images[self._counted]) if mean else nullcontext()
        with averaged_weights(self.model, self.optimizer), used:
            found, matrix = validate(
                self.as_exported(),
                self.images,
                self.labels,
                self.early if few else self.validation,
                channel.pulse,
                self.plan.metric,
                self.classes,
                self._fastest,
            )
            better = self._best is None or found["val_loss"] < self._best[1]
            if better or not self.plan.early_stopping:
                self.matrix = matrix
            if self.plan.early_stopping and better:
                weights = [np.array(weight) for weight in self.model.weights]
                self._best = (self.epoch + 1, found["val_loss"], weights)
        return found

    def latest(self) -> dict[str, float | None]:
        """The newest entries of the history, with the images trained a second, and whether these tell of the next."""
        newest = {name: values[-1] if values else None for name, values in self.history.items()}
        return {**newest, "images_per_second": self._images_per_second, "paced": self._paced}

    def exhausted(self) -> bool:
        """Whether early stopping has waited long enough, or a callback has ended the training."""
        patience = self.plan.early_stopping
        return self.callbacks.stopped or bool(
            patience and self._best is not None and self.epoch - self._best[0] >= patience
        )

    def keep(self) -> None:
        """Set the model to the weights to keep, and save it to the plan's file."""
        if self._best is not None:
            for weight, array in zip(self.model.weights, self._best[2], strict=True):
                weight.assign(array)
        elif self.optimizer.use_ema:
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.plan.model:
            with atomic_write(Path(self.plan.model)) as aside:
                self._exported().save(aside)

    def predict(self, channel: Channel) -> None:
        """Write what the kept weights, which the model has by now, predict of the validation images."""
        if self.plan.predictions:
            chosen = np.sort(self.validation)
            outputs = logits(self.as_exported(), self.images, chosen, channel.pulse)
            write_predictions(Path(self.plan.predictions), self.plan.fold, chosen, outputs)

    def as_exported(self) -> keras.Model:
        """The net that is validated, with the weights that the model has now."""
        if self._exact is not self.model:
            self._exact.set_weights(self.model.get_weights())
        return self._exact

    def _exported(self) -> keras.Model:
        """The same model and weights as exported: never compiled, for our schedule is not in the file, and exact."""
        policy = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy("float32")
        model = self.net.exported()
        keras.mixed_precision.set_dtype_policy(policy)
        model.set_weights(self.model.get_weights())
        for layer in leaves(model):
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # Its mean and variance are constants, which only a file's reading follows.
        return model

    def outcome(self) -> dict[str, Any]:
        """What the worker stores at the end: the history, and the epoch, counted from 1, whose weights are kept."""
        return {
            "epochs": self.epoch,
            "kept_epoch": self._best[0] if self._best is not None else self.epoch,
            "history": self.history,
            "matrix": self.matrix,
            "batch_size": self.batch,
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "images_seen": self._seen or self._images_after(self.epoch),
            "images_validated": self.plan.images_validated(
                self.epoch, len(self.early), len(self.validation), len(self._counted)
            ),
            "milliseconds": self._fastest.milliseconds,
            **({"tuned": self.net.tuned} if self.net.tuned else {}),
            **({"mean_of_folds": self._heads} if self._heads > 1 else {}),
            "backend": keras.config.backend(),
            "versions": _versions(),
        }

    def hold_state(self) -> None:
        """Hold the state at the last epoch's end, in case it has to be written in the middle of the next."""
        if not self.plan.checkpoint:
            return
        best = None if self._best is None else self._best[:2]
        facts = {
            # Through all folds: the furthest of a trial's checkpoints is of its newest fold.
            "epoch": self.plan.epochs_before + self.epoch,
            "history": {k: list(v) for k, v in self.history.items()},
            "best": best,
            "matrix": self.matrix,
        }
        arrays = [*capture(self.model, self.optimizer), *(self._best[2] if self._best is not None else [])]
        if self.late is not None:
            facts["late"] = self.late.taken
            arrays += self.late.weights
        self.checkpoints.hold(arrays, facts)


def _versions() -> dict[str, str]:
    # Of the modules, not of the distributions: tensorflow's has several names.
    names = ("keras", keras.config.backend(), "numpy")
    found = {name: str(importlib.import_module(name).__version__) for name in names}
    return {"python": platform.python_version(), **found}
