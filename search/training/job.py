"""The child's job: one training from plan to kept weights, reporting every epoch and able to go on from any."""

import contextlib
import importlib
import math
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from search.data import open_dataset
from search.server import Channel
from search.training import backends
from search.training.features import FeaturesAway
from search.training.feed import TrainingFeed, balanced_weights
from search.training.nets import net_of
from search.training.on_device import fits_device, with_images
from search.training.optimizer import make_optimizer, updates
from search.training.plan import TrainingPlan
from search.training.state import AveragedWeights, capture, restore
from search.training.validation import validate
from storage.checkpoints import read_checkpoint, read_facts, write_checkpoint
from storage.replacing import replacing

ADAPT_IMAGES = 2000
# Of every figure that is reported, stored and shown: more of them are float32's own.
DIGITS = 6
HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "seconds")


def train(payload: dict[str, Any], channel: Channel) -> None:
    """Train as ``payload`` (a ``TrainingPlan``) says.

    Sends ``built``, then an ``epoch`` a time (the reply's ``go`` says whether to go on), then ``done``, whose
    ``stopped`` tells that it was asked to stop and left a checkpoint; meanwhile ``batch`` as a sign of life, and
    ``checkpoint`` when one has been written, or could not be.
    """
    plan = TrainingPlan.from_payload(payload)
    device = backends.current().use_device(plan.gpu_memory)
    _set_precision(device)
    if plan.folds:
        print(f"fold {plan.fold + 1} of {plan.folds}", flush=True)
    try:
        training = Training(plan, device, channel)
    except FeaturesAway:
        channel.send({"kind": "done", "stopped": True, "epochs": 0})
        return
    training.resume()
    channel.send({"kind": "built", **training.facts()})
    while training.epoch < plan.epochs and not training.exhausted():
        if not training.run_epoch(channel):
            training.save_checkpoint(channel, now=True)
            channel.send({"kind": "done", "stopped": True, "epochs": training.epoch})
            return
        reply = channel.ask({"kind": "epoch", "epoch": training.epoch, **training.latest()})
        if not reply["go"]:
            channel.send({"kind": "done", "stopped": False, **training.outcome()})
            return
        if training.epoch < plan.epochs:
            training.save_checkpoint(channel, now=False)
    training.keep()
    channel.send({"kind": "done", "stopped": False, **training.outcome()})


class Training:
    """The state of one training between epochs.

    Attributes:
        epoch: Epochs finished.
        history: One entry an epoch for each name of ``HISTORY``; the ``val_`` ones are empty in a refit.
        matrix: The confusion matrix, on validation images, of the weights to keep; empty where there is none.
    """

    def __init__(self, plan: TrainingPlan, device: str, channel: Channel) -> None:
        self.plan, self.device = plan, device
        self.net = net_of(plan)
        dataset = open_dataset(Path(plan.dataset))
        _, self.labels = dataset.train()
        chosen = plan.split(self.labels)
        self.images, self.mirror = self.net.inputs(dataset, chosen, channel)
        keras.utils.set_random_seed(plan.seed)  # After the backbone, which not every child builds.
        self.validation = chosen.validation
        self.chosen = np.arange(len(self.labels)) if plan.full else chosen.train
        self.batch = plan.recipe.batch(len(self.chosen))
        self.model, self.fitted = self._build()
        self.optimizer = self.fitted.optimizer
        self.history: dict[str, list[float]] = {name: [] for name in HISTORY}
        self.epoch = 0
        self.matrix: list[list[int]] = []
        self._best: tuple[int, float, list[np.ndarray]] | None = None
        # A checkpoint of another backend or version may have other variables in another order.
        self._identity = f"{plan.identity} {keras.config.backend()} keras {keras.__version__}"
        self._images_per_second = 0.0
        self._saved_at = time.monotonic()
        self._snapshot: tuple[list[np.ndarray], dict[str, Any]] | None = None

    def _build(self) -> tuple[keras.Model, keras.Model]:
        """The net, and what is fitted: the net itself, or the net behind the images on the device."""
        plan, recipe = self.plan, self.plan.recipe
        model = self.net.build()
        # Evenly over all (folders come sorted by class): enough for means, variances and patches.
        self.net.adapt(model, self.images[self.chosen[:: max(1, len(self.chosen) // ADAPT_IMAGES)]])
        steps = updates(len(self.chosen), self.batch, plan.epochs)
        # Photographs are seen anew by Pillow, on the host.
        pixels = self.images.ndim == 4 and recipe.augmenter == "shifts"
        self.on_device = pixels and fits_device(self.device, self.images)
        fitted = with_images(model, self.images[self.chosen]) if self.on_device else model
        fitted.compile(
            optimizer=make_optimizer(recipe, steps, plan.accumulate),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=recipe.label_smoothing
            ),
            metrics=["accuracy"],
            steps_per_execution=backends.current().steps_per_call(self.device != "cpu"),
        )
        fitted.optimizer.build(model.trainable_variables)
        return model, fitted

    def facts(self) -> dict[str, Any]:
        """What the worker records of where and on what this trains."""
        return {
            "device": self.device,
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "epoch": self.epoch,
            "values": [] if self.plan.full else self.history[self.plan.value_name],
        }

    def resume(self) -> None:
        """Go on from the furthest of the plan's checkpoints that is of this very training, if there is one."""
        own = (self.plan.checkpoint,) if self.plan.checkpoint else ()
        found = {path: read_facts(Path(path)) for path in (*self.plan.go_on_from, *own)}
        ours = {
            path: facts["epoch"]
            for path, facts in found.items()
            if facts and facts["identity"] == self._identity
        }
        stored = read_checkpoint(Path(max(ours, key=lambda path: ours[path]))) if ours else None
        if stored is None:
            if any(found.values()):
                print("the checkpoint is of another training, or of another Keras: begun again", flush=True)
            return
        arrays, facts = stored
        count = len(capture(self.model, self.optimizer))
        restore(self.model, self.optimizer, arrays[:count])
        self.epoch, self.history = facts["epoch"] - self.plan.epochs_before, facts["history"]
        self.matrix = facts.get("matrix", [])
        if facts["best"] is not None:
            self._best = (*facts["best"], arrays[count:])

    def run_epoch(self, channel: Channel) -> bool:
        """Train and validate one epoch; False where the worker asked to stop before its end."""
        self._take_snapshot()
        plan, started = self.plan, time.monotonic()
        feed = TrainingFeed(
            self.images,
            self.labels,
            self.chosen,
            max(1, self.batch // plan.accumulate),
            plan.input_spec.classes,
            epoch=self.epoch,
            seed=plan.seed,
            strength=plan.recipe.augmentation,
            flip=plan.flip,
            weights=self._class_weights(),
            augmenter=plan.recipe.augmenter,
            on_device=self.on_device,
            mirror=self.mirror,
        )
        logs = self.fitted.fit(
            backends.current().batches(feed), verbose=0, shuffle=False, callbacks=[_Watch(channel)]
        ).history
        if channel.stopped:
            return False
        self._images_per_second = len(feed) * feed.batch_size / (time.monotonic() - started)
        loss, accuracy = float(logs["loss"][0]), float(logs["accuracy"][0])
        seconds = time.monotonic() - started
        if not math.isfinite(loss):
            loss = math.nan
        scored = {} if plan.full else self._validate(channel)
        for name, value in {"loss": loss, "accuracy": accuracy, **scored, "seconds": seconds}.items():
            self.history[name].append(float(f"{value:.{DIGITS}g}"))
        self.epoch += 1
        newest = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items() if values)
        print(f"epoch {self.epoch}: {newest}", flush=True)
        return True

    def _class_weights(self) -> np.ndarray | None:
        if self.plan.class_weights == "none":
            return None
        return balanced_weights(self.labels[self.chosen], self.plan.input_spec.classes)

    def _validate(self, channel: Channel) -> dict[str, float]:
        with AveragedWeights(self.model, self.optimizer):
            found, matrix = validate(self.model, self.images, self.labels, self.validation, channel.pulse)
            better = self._best is None or found["val_loss"] < self._best[1]
            if better or not self.plan.early_stopping:
                self.matrix = matrix
            if self.plan.early_stopping and better:
                weights = [np.array(weight) for weight in self.model.weights]
                self._best = (self.epoch + 1, found["val_loss"], weights)
        return found

    def latest(self) -> dict[str, float | None]:
        """The newest epoch's entries, with the images trained a second."""
        newest = {name: values[-1] if values else None for name, values in self.history.items()}
        return {**newest, "images_per_second": self._images_per_second}

    def exhausted(self) -> bool:
        """Whether early stopping has waited long enough."""
        patience = self.plan.early_stopping
        return bool(patience and self._best is not None and self.epoch - self._best[0] >= patience)

    def keep(self) -> None:
        """Leave in the model, and in the plan's file, the weights that count."""
        if self._best is not None:
            for weight, array in zip(self.model.weights, self._best[2], strict=True):
                weight.assign(array)
        elif self.optimizer.use_ema:
            self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.plan.model:
            with replacing(Path(self.plan.model)) as aside:
                self._as_exported().save(aside)

    def _as_exported(self) -> keras.Model:
        """The same net and weights, never compiled (our schedule is not in the file) and in plain float32."""
        keras.mixed_precision.set_dtype_policy("float32")
        model = self.net.build()
        model.set_weights(self.model.get_weights())
        return model

    def outcome(self) -> dict[str, Any]:
        """What the worker stores: history, and the epoch (counted from 1) whose weights are kept."""
        return {
            "epochs": self.epoch,
            "kept_epoch": self._best[0] if self._best is not None else self.epoch,
            "history": self.history,
            "matrix": self.matrix,
            "batch_size": self.batch,
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "backend": keras.config.backend(),
            "versions": _versions(),
        }

    def _take_snapshot(self) -> None:
        if self.plan.checkpoint:
            best = None if self._best is None else self._best[:2]
            facts = {
                # Through all folds: the furthest of a trial's checkpoints is of its newest fold.
                "epoch": self.plan.epochs_before + self.epoch,
                "history": {k: list(v) for k, v in self.history.items()},
                "best": best,
                "matrix": self.matrix,
                "identity": self._identity,
            }
            self._snapshot = (
                [*capture(self.model, self.optimizer), *(self._best[2] if self._best is not None else [])],
                facts,
            )

    def save_checkpoint(self, channel: Channel, now: bool) -> None:
        """Write the state at the last epoch's end, if it is due (or ``now``: what the running epoch began from).

        A disk that is full costs the newer checkpoint, not the training: the older one is as it was.
        """
        if not self.plan.checkpoint:
            return
        if not now:
            if time.monotonic() - self._saved_at < self.plan.checkpoint_seconds:
                return
            self._take_snapshot()
        if self._snapshot is None:
            return
        trouble = ""
        try:
            write_checkpoint(Path(self.plan.checkpoint), *self._snapshot)
        except OSError as error:
            trouble = f"no checkpoint after epoch {self.epoch}: {error}"
            with contextlib.suppress(OSError):  # The log may lie on the same disk.
                print(trouble, flush=True)
        self._saved_at = time.monotonic()
        channel.send({"kind": "checkpoint", "epoch": self._snapshot[1]["epoch"], "trouble": trouble})


class _Watch(keras.callbacks.Callback):
    """Ends an epoch early when the worker asks, or when the loss is no number any more."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._channel.pulse()
        if self._channel.stopped or not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True


def _set_precision(device: str) -> None:
    # bfloat16 needs no loss scaling; logits stay float32 (the spaces say so). On a CPU it is exact float32.
    keras.mixed_precision.set_dtype_policy("float32" if device == "cpu" else "mixed_bfloat16")


def _versions() -> dict[str, str]:
    # Of the modules, not of the distributions: tensorflow's has several names.
    names = ("keras", keras.config.backend(), "numpy")
    found = {name: str(importlib.import_module(name).__version__) for name in names}
    return {"python": platform.python_version(), **found}
