"""One pass over the test images, in a child: the only place that opens them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.errors import StudyStopped
from search.evaluation.backbone import cached_path, differs
from search.evaluation.baseline import Fitted, evenly, figures, fit_baseline, scores_of
from search.evaluation.calibration import fit_temperature
from search.evaluation.scores import Integers, Scores

if TYPE_CHECKING:
    from search.child import ForkServer
    from search.data import Dataset, Split
from search.server import Channel

# Enough to tell a spoilt file from a good one; few enough to take a moment in the fresh process.
RELOAD_IMAGES = 256
# Training images looked at as they are: the accuracy is known to a point, and it takes seconds.
TRAINING_IMAGES = 2000
# As many as the picture of them shows.
MISTAKES = 24


def score(payload: dict[str, Any], channel: "Channel") -> None:
    """Score a model on the sealed test images, on the study's validation images and on some training images.

    Args:
        payload: ``model`` (file), ``dataset`` (folder of the prepared images), ``validation``, ``images``,
            ``split_seed``, ``folds`` (the study's split; with folds the first of them stands for it), ``out`` (an
            ``.npz`` to write), ``gpu_memory`` (GB or None),
            ``unseen`` (the file of weights that were not trained on the validation images: the model itself,
            or after a refit the search trial's, or None where those are not kept), ``baselines`` (names),
            ``refit`` (whether the model, and so the baselines, trained on all training images), and of a net over a
            frozen backbone ``head`` (its file) and ``features`` (the file of the training images' cached ones).
        channel: Gets ``done`` with ``train_images``, the size of the search's training split, and ``temperature``,
            None where none could be fitted, ``baselines``: of each, ``name``, ``on``, ``how`` and ``images``,
            and ``cached``: see ``Scored``.
    """
    import keras

    from search.data import fold, open_dataset, split
    from search.evaluation.forward import logits
    from search.training import backends

    backends.current().use_device(payload["gpu_memory"])
    model = keras.models.load_model(payload["model"])
    dataset = open_dataset(Path(payload["dataset"]))
    images, labels = dataset.train()
    if payload["folds"]:
        parts = fold(labels, payload["folds"], 0, payload["split_seed"])
    else:
        parts = split(labels, payload["validation"], payload["images"], payload["split_seed"])
    validation = np.sort(parts.validation)  # so that the memory-mapped file is read in order
    validation_logits = logits(model, images, validation)
    found: dict[str, npt.NDArray[Any]] = {
        "validation_logits": validation_logits,
        "validation_labels": np.asarray(labels[validation], np.int64),
        "reload_images": np.asarray(images[validation[:RELOAD_IMAGES]]),
        "reload_logits": validation_logits[:RELOAD_IMAGES],
    }
    if payload["unseen"] == payload["model"]:
        found |= score_unseen(model, dataset, parts, validation_logits)
    elif payload["unseen"]:
        found |= score_unseen(keras.models.load_model(payload["unseen"]), dataset, parts, None)
    features = np.load(payload["features"], mmap_mode="r") if payload["features"] else None
    head = keras.models.load_model(payload["head"]) if payload["head"] else None
    cached = None
    if head is not None and features is not None:
        cached = cached_path(logits(head, features, validation), validation_logits)
        if problem := differs(cached):
            raise ValueError(problem)
    temperature = temperature_of(found)
    everything = np.arange(len(labels)) if payload["refit"] else parts.train
    seed = payload["split_seed"]
    inputs = [images] if features is None else [images, features]
    fitted = [
        fit_baseline(name, x, labels, everything, seed) for name in payload["baselines"] for x in inputs
    ]
    if head is not None and features is not None:
        model = InTwo(below(model), head)
    # Last: whatever fails before this has not looked at a test image.
    found |= score_test(model, dataset, temperature or 1.0, fitted)
    np.savez(payload["out"], **found)  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle
    said = {one.key: {"name": one.name, "on": one.on, "how": one.how, "images": one.images} for one in fitted}
    told = {"train_images": len(parts.train), "temperature": temperature, "baselines": said}
    channel.send({"kind": "done", **told, "cached": cached})


def score_unseen(
    model: Any, dataset: "Dataset", parts: "Split", known: npt.NDArray[np.float32] | None
) -> dict[str, npt.NDArray[Any]]:
    """Outputs for validation images, which these weights have not seen, and for some training images, which they have.

    Args:
        model: With those weights.
        dataset: The prepared images.
        parts: The search's split.
        known: The outputs for the validation images, where they have been computed already.
    """
    from search.evaluation.forward import logits

    images, labels = dataset.train()
    chosen = evenly(parts.train, TRAINING_IMAGES)
    validation = np.sort(parts.validation)
    return {
        "unseen_logits": logits(model, images, validation) if known is None else known,
        "unseen_labels": np.asarray(labels[validation], np.int64),
        "seen_logits": logits(model, images, chosen),
        "seen_labels": np.asarray(labels[chosen], np.int64),
    }


def temperature_of(found: dict[str, npt.NDArray[Any]]) -> float | None:
    """Fitted on validation images that the weights have not seen; None without them, or where they determine none."""
    if "unseen_logits" not in found or not np.isfinite(found["unseen_logits"]).all():
        return None
    return fit_temperature(Scores(found["unseen_labels"], found["unseen_logits"]))


class InTwo(NamedTuple):
    """A net over a frozen backbone in two parts, so that one pass gives features as well; both are Keras models."""

    below: Any
    head: Any


def below(model: Any) -> Any:
    """The frozen part of a whole net."""
    import keras

    from search.training.nets import FEATURES

    return keras.Model(model.input, model.get_layer(FEATURES).output)


def score_test(
    model: Any, dataset: "Dataset", temperature: float, baselines: Sequence[Fitted]
) -> dict[str, npt.NDArray[Any]]:
    """Outputs for all test images, and the few images that are drawn: nobody opens the test split for them again."""
    from search.evaluation.forward import logits

    images, labels = dataset.test()
    given: dict[str, npt.NDArray[Any]] = {"pixels": images}
    if isinstance(model, InTwo):
        given["features"] = logits(model.below, images)
        outputs = logits(model.head, given["features"])
    else:
        outputs = logits(model, images)
    truth = np.asarray(labels, np.int64)
    worst = np.zeros(0, np.int64)
    if np.isfinite(outputs).all():
        worst = most_confident_errors(Scores(truth, outputs, temperature), MISTAKES)
    return {
        "test_logits": outputs,
        "test_labels": truth,
        "mistakes": worst,
        "mistaken_images": np.stack([images[index] for index in worst]) if len(worst) else images[:0],
        **{f"baseline_{one.key}": one.predict(given[one.on]) for one in baselines},
    }


def most_confident_errors(scores: Scores, most: int) -> Integers:
    """Indices of the images classified wrong with the highest confidence, highest first; at most ``most``."""
    wrong = np.flatnonzero(scores.predicted != scores.labels)
    return np.asarray(wrong[np.argsort(-scores.confidence[wrong], kind="stable")[:most]], np.int64)


class Mistakes(NamedTuple):
    """Test images that were classified wrong with the highest confidence, highest first.

    Attributes:
        indices: Which of the test images, ``(M,)``, int64.
        images: Their pixels, ``(M, H, W, C)``, uint8.
    """

    indices: Integers
    images: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Scored:
    """What the one pass gave.

    Attributes:
        test: Of the exported weights.
        validation: Of the exported weights; after a refit they were trained on these images.
        train_images: How many training images the search's split has.
        seen: Of some training images, as they are, by the weights that ``unseen`` is of; or None.
        unseen: Of the validation images, by weights not trained on them; None where none are kept.
        temperature: Fitted on ``unseen``; None where none could be.
        mistakes: For a picture.
        baselines: Figures of each, see ``search.evaluation.baseline.figures``.
        cached: Of a net over a frozen backbone: see ``search.evaluation.backbone.cached_path``.
    """

    test: Scores
    validation: Scores
    train_images: int
    seen: Scores | None
    unseen: Scores | None
    temperature: float | None
    mistakes: Mistakes
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    cached: dict[str, Any] | None = None

    @property
    def calibrated(self) -> Scores:
        """``test`` at the temperature, where there is one: the same classes, other confidences."""
        return replace(self.test, temperature=self.temperature or 1.0)


def score_in_child(server: "ForkServer", payload: dict[str, Any], log: Path, threads: int) -> Scored:
    """Run ``score`` in a child.

    Args:
        server: Starts it.
        payload: See ``score``.
        log: Gets what the child prints.
        threads: CPU threads, 0 for as many as there are cores.

    Raises:
        TrialFailed: The child crashed or memory ran out.
        StudyStopped: The outputs are no numbers, or the figures made from them contradict each other.
    """
    with server.start("search.evaluation.score:score", payload, log, threads) as child:
        told = child.result()
    with np.load(payload["out"]) as stored:
        found = {name: stored[name] for name in stored.files if not name.startswith("reload")}

    def scores(name: str) -> Scores:
        return Scores(found[f"{name}_labels"], found[f"{name}_logits"])

    try:
        test = scores("test")
        classes = test.logits.shape[1]
        _ = test.confusion_matrix  # checks itself against the accuracy
        return Scored(
            test,
            scores("validation"),
            told["train_images"],
            scores("seen") if payload["unseen"] else None,
            scores("unseen") if payload["unseen"] else None,
            told["temperature"],
            Mistakes(found["mistakes"], found["mistaken_images"]),
            {
                key: figures(**fitted, scores=scores_of(test.labels, found[f"baseline_{key}"], classes))
                for key, fitted in told["baselines"].items()
            },
            told["cached"],
        )
    except ValueError as error:
        raise StudyStopped(f"the model cannot be scored: {error}; nothing exported") from error
