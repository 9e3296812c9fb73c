"""The training job without a framework: one hidden layer in NumPy, which speaks the protocol of the real one.

Tests of what lies around a training (claims, workers, folds, files, pictures) run it in the place of
``search.training.job``: a trial then costs milliseconds instead of TensorFlow's seconds. See ``sitecustomize`` for how
it gets there, and ``test_numpy_training.py`` for the promise that it tells a worker what the real job tells it.

An epoch takes at least ``SEARCH_TEST_EPOCH_SECONDS`` (of the environment), so that there is time to interrupt it.
"""

import contextlib
import math
import os
import platform
import time
from pathlib import Path

import numpy as np

from search.data import open_dataset
from search.data.splits import early_subset
from search.metrics.classification import Scores, validated
from search.process import backends
from search.training.plan import TrainingPlan
from search.training.predictions import write_predictions
from storage.atomic import atomic_write
from storage.checkpoints import read_furthest, write_checkpoint

HIDDEN = 32
DIGITS = 6
LARGEST = 1e20  # Of a logit: a net beyond it has diverged, whether or not its numbers have run over by now.
VERSIONS = {"python": platform.python_version(), "numpy": np.__version__}

# A child sets its backend's threads before its job, and would import Keras for it.
backends.use_threads = lambda threads: None


def train(payload, channel):
    channel.send(run(TrainingPlan.from_payload(payload), channel))


def train_folds(payload, channel):
    while payload is not None:
        payload = channel.ask(run(TrainingPlan.from_payload(payload), channel))["plan"]


def run(plan, channel):
    if plan.folds:
        print(f"fold {plan.fold + 1} of {plan.folds}", flush=True)
    training = Training(plan)
    training.resume()
    channel.send({"kind": "built", **training.facts()})
    while training.epoch < plan.epochs and not training.exhausted():
        if not training.run_epoch(channel):
            training.save_checkpoint(channel, now=True)
            return {"kind": "done", "stopped": True, "epochs": training.epoch}
        reply = channel.ask({"kind": "epoch", "epoch": training.epoch, **training.latest()})
        if not reply["go"]:
            return {"kind": "done", "stopped": False, **training.outcome()}
        if training.epoch < plan.epochs:
            training.save_checkpoint(channel, now=False)
    training.keep()
    training.predict()
    return {"kind": "done", "stopped": False, **training.outcome()}


class Net:
    """Pixels, ``HIDDEN`` rectified units, logits; with Nesterov's momentum, whose memory is part of its state."""

    def __init__(self, pixels, classes, recipe, seed):
        random = np.random.default_rng((seed, 0))
        shapes = [(pixels, HIDDEN), (HIDDEN,), (HIDDEN, classes), (classes,)]
        self.weights = [
            (random.normal(size=shape) * math.sqrt(2 / shape[0])).astype("float32")
            if len(shape) == 2
            else np.zeros(shape, "float32")
            for shape in shapes
        ]
        self.velocity = [np.zeros_like(weight) for weight in self.weights]
        self._rate, self._momentum = np.float32(recipe.learning_rate), np.float32(recipe.momentum)

    def logits(self, images):
        wide, wide_bias, out, out_bias = self.weights
        return np.maximum(images @ wide + wide_bias, 0) @ out + out_bias

    def gradients(self, images, labels, weights):
        """Loss and right answers of a batch, each image's ``weights`` applied, and the loss's gradients."""
        wide, wide_bias, out, out_bias = self.weights
        hidden = np.maximum(images @ wide + wide_bias, 0)
        logits = hidden @ out + out_bias
        shifted = logits - logits.max(axis=1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        targets = np.eye(len(out_bias), dtype="float32")[labels]
        loss = float(-(weights * (targets * logarithms).sum(axis=1)).mean())
        right = int((logits.argmax(axis=1) == labels).sum())
        error = weights[:, None] * (np.exp(logarithms) - targets) / len(images)
        behind = (error @ out.T) * (hidden > 0)
        return loss, right, [images.T @ behind, behind.sum(axis=0), hidden.T @ error, error.sum(axis=0)]

    def step(self, gradients):
        for weight, velocity, gradient in zip(self.weights, self.velocity, gradients, strict=True):
            velocity *= self._momentum
            velocity -= self._rate * gradient
            weight += self._momentum * velocity - self._rate * gradient

    @property
    def state(self):
        return [np.array(array) for array in (*self.weights, *self.velocity)]

    def restore(self, arrays):
        self.weights, self.velocity = list(arrays[: len(self.weights)]), list(arrays[len(self.weights) :])


def build(plan):
    """The net; where the space has a fault to offer, with the fault that its params ask for."""
    break_as_asked = getattr(plan.load_space(), "break_as_asked", None)
    if break_as_asked is not None:
        break_as_asked(plan.params)
    spec = plan.input_spec
    return Net(spec.height * spec.width * spec.channels, spec.classes, plan.recipe, plan.seed)


class Training:
    """As the real job's class of this name."""

    def __init__(self, plan):
        self.plan = plan
        dataset = open_dataset(Path(plan.dataset))
        images, self.labels = dataset.train()
        self.images = images.reshape(len(images), -1).astype("float32") / 255
        chosen = plan.split(dataset)
        self.validation = chosen.validation
        self.early = early_subset(self.labels, self.validation, plan.split_seed)
        self.chosen = np.arange(len(self.labels)) if plan.full else chosen.train
        self.batch = plan.recipe.batch(len(self.chosen))
        self.net = build(plan)
        self.classes = dataset.classes
        names = ("loss", "accuracy", *(f"val_{name}" for name in validated(plan.metric)), "seconds")
        self.history = {name: [] for name in names}
        self.epoch, self.matrix = 0, []
        self._best = None
        self._identity = f"{plan.identity} numpy"
        self._images_per_second = 0.0
        self._saved_at = time.monotonic()
        self._snapshot = None
        self._pause = float(os.environ.get("SEARCH_TEST_EPOCH_SECONDS", "0"))

    def facts(self):
        return {
            "device": "cpu",
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "epoch_images": self._images_after(self.plan.epochs) / self.plan.epochs,
            "epoch": self.epoch,
            "values": [] if self.plan.full else self.history[self.plan.value_name],
            "history": self.history,
        }

    def resume(self):
        own = (self.plan.checkpoint,) if self.plan.checkpoint else ()
        stored, passed_over = read_furthest(map(Path, (*self.plan.go_on_from, *own)), self._identity)
        for line in passed_over:
            print(f"{line}: {'begun again' if stored is None else 'gone on from another'}", flush=True)
        if stored is None:
            return
        arrays, facts = stored
        count = len(self.net.state)
        self.net.restore(arrays[:count])
        self.epoch, self.history = facts["epoch"] - self.plan.epochs_before, facts["history"]
        self.matrix = facts["matrix"]
        if facts["best"] is not None:
            self._best = (*facts["best"], arrays[count:])

    def run_epoch(self, channel):
        """Train and validate one epoch; False where the worker asked to stop before its end."""
        self._take_snapshot()
        started, size = time.monotonic(), min(self.batch, len(self.chosen))
        order, losses, right = self._order(size), [], 0
        steps = len(order) // size
        with np.errstate(all="ignore"):  # It may be about to diverge.
            for step in range(steps):
                loss, found = self._train_on(order[step * size : (step + 1) * size])
                losses.append(loss)
                right += found
                time.sleep(self._pause / steps)
                channel.pulse()
                if channel.stopped:
                    return False
                if not math.isfinite(loss):
                    break
            figures = {"loss": float(np.mean(losses)), "accuracy": right / (len(losses) * size)}
            if not self.plan.full:
                figures |= self._validate()
        figures["seconds"] = time.monotonic() - started
        self._images_per_second = steps * size / figures["seconds"]
        for name, value in figures.items():
            self.history[name].append(float(f"{value if math.isfinite(value) else math.nan:.{DIGITS}g}"))
        self.epoch += 1
        newest = ", ".join(f"{name} {values[-1]:.4f}" for name, values in self.history.items() if values)
        print(f"epoch {self.epoch}: {newest}", flush=True)
        return True

    def _order(self, size):
        """The images of the next epoch, or of the next part of the steps, one after another."""
        plan, images = self.plan, len(self.chosen)
        if not plan.steps:
            return np.random.default_rng((plan.seed, 1, self.epoch)).permutation(self.chosen)
        first, end = (size * plan.steps_before(part) for part in (self.epoch, self.epoch + 1))
        passes = range(first // images, -(-end // images))
        stream = [np.random.default_rng((plan.seed, 1, one)).permutation(self.chosen) for one in passes]
        return np.concatenate(stream)[first - passes[0] * images : end - passes[0] * images]

    def _images_after(self, epoch):
        return self.plan.images_after(epoch, len(self.chosen), self.batch)

    def _train_on(self, batch):
        """One update; in parts, whose gradients are added up, where memory ran out."""
        losses, right, summed = [], 0, None
        for part in np.array_split(np.sort(batch), self.plan.accumulate):
            labels = self.labels[part]
            loss, found, gradients = self.net.gradients(self.images[part], labels, self._weights(labels))
            share = np.float32(len(part) / len(batch))
            losses.append(loss * share)
            right += found
            scaled = [share * gradient for gradient in gradients]
            summed = scaled if summed is None else [a + b for a, b in zip(summed, scaled, strict=True)]
        self.net.step(summed)
        return sum(losses), right

    def _weights(self, labels):
        if self.plan.class_weights == "none":
            return np.ones(len(labels), "float32")
        counts = np.bincount(self.labels[self.chosen], minlength=self.plan.input_spec.classes)
        return (len(self.chosen) / (len(counts) * np.maximum(counts, 1))).astype("float32")[labels]

    def _validate(self):
        few = self.plan.validates_on_few and self.epoch + 1 < self.plan.epochs
        validation = self.early if few else self.validation
        outputs = self.net.logits(self.images[validation])
        if not (np.abs(outputs) < LARGEST).all():
            return {f"val_{name}": math.nan for name in validated(self.plan.metric)}
        scores = Scores(self.labels[validation], outputs)
        better = self._best is None or scores.loss < self._best[1]
        if better or not self.plan.early_stopping:
            self.matrix = scores.confusion_matrix.tolist()
        if self.plan.early_stopping and better:
            self._best = (self.epoch + 1, scores.loss, [np.array(weight) for weight in self.net.weights])
        return scores.validation_figures(self.plan.metric, self.classes)

    def latest(self):
        newest = {name: values[-1] if values else None for name, values in self.history.items()}
        return {**newest, "images_per_second": self._images_per_second, "paced": True}

    def exhausted(self):
        patience = self.plan.early_stopping
        return bool(patience and self._best is not None and self.epoch - self._best[0] >= patience)

    def keep(self):
        if self._best is not None:
            self.net.weights = self._best[2]
        if self.plan.model:
            with atomic_write(Path(self.plan.model)) as aside, aside.open("wb") as file:
                np.savez(file, *self.net.weights)

    def predict(self):
        if self.plan.predictions:
            chosen = np.sort(self.validation)
            outputs = self.net.logits(self.images[chosen])
            write_predictions(Path(self.plan.predictions), self.plan.fold, chosen, outputs)

    def outcome(self):
        return {
            "epochs": self.epoch,
            "kept_epoch": self._best[0] if self._best is not None else self.epoch,
            "history": self.history,
            "matrix": self.matrix,
            "batch_size": self.batch,
            "training_images": len(self.chosen),
            "validation_images": len(self.validation),
            "images_seen": self._images_after(self.epoch),
            "milliseconds": 0.01,
            "images_validated": self.plan.images_validated(self.epoch, len(self.early), len(self.validation)),
            "backend": "numpy",
            "versions": VERSIONS,
        }

    def _take_snapshot(self):
        if self.plan.checkpoint:
            facts = {
                "epoch": self.plan.epochs_before + self.epoch,
                "history": {name: list(values) for name, values in self.history.items()},
                "best": None if self._best is None else self._best[:2],
                "matrix": self.matrix,
                "identity": self._identity,
            }
            self._snapshot = [*self.net.state, *(self._best[2] if self._best is not None else [])], facts

    def save_checkpoint(self, channel, now):
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
            with contextlib.suppress(OSError):
                print(trouble, flush=True)
        self._saved_at = time.monotonic()
        channel.send({"kind": "checkpoint", "epoch": self._snapshot[1]["epoch"], "trouble": trouble})
