"""One pass over the test images, in a child: the only place that opens them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.evaluation.baseline import Fitted, evenly, fit_baseline
from search.evaluation.cached_path import cached_path, differs
from search.evaluation.calibration import fit_temperature
from search.evaluation.scores import Integers, Scores
from search.server import Channel

if TYPE_CHECKING:
    from search.data import Dataset, Split

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

    from search.data import open_dataset, training_split
    from search.training import backends

    backends.current().use_device(payload["gpu_memory"])
    model = keras.models.load_model(payload["model"])
    head = keras.models.load_model(payload["head"]) if payload["head"] else None
    dataset = open_dataset(Path(payload["dataset"]))
    _, labels = dataset.train()
    settings = {name: payload[name] for name in ("validation", "images", "folds")}
    parts = training_split(labels, **settings, which=0, seed=payload["split_seed"])
    features = np.load(payload["features"], mmap_mode="r") if payload["features"] else None
    found = score_validation(model, dataset, parts)
    if payload["unseen"]:
        known = found["validation_logits"] if payload["unseen"] == payload["model"] else None
        unseen = model if known is not None else keras.models.load_model(payload["unseen"])
        found |= score_unseen(unseen, dataset, parts, known)
    cached = None
    if head is not None and features is not None:
        cached = compare_paths(head, features, parts, found["validation_logits"])
        model = InTwo(below(model), head)
    temperature = temperature_of(found)
    everything = np.arange(len(labels)) if payload["refit"] else parts.train
    fitted = fit_baselines(payload["baselines"], dataset, features, everything, payload["split_seed"])
    # Last: whatever fails before this has not looked at a test image.
    found |= score_test(model, dataset, temperature or 1.0, fitted)
    np.savez(payload["out"], **found)  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle
    said = {one.key: {"name": one.name, "on": one.on, "how": one.how, "images": one.images} for one in fitted}
    told = {"train_images": len(parts.train), "temperature": temperature, "baselines": said}
    channel.send({"kind": "done", **told, "cached": cached})


def score_validation(model: Any, dataset: "Dataset", parts: "Split") -> dict[str, npt.NDArray[Any]]:
    """Outputs for the validation images, and the few of them that the check in a fresh process is made with."""
    from search.evaluation.forward import logits

    images, labels = dataset.train()
    validation = np.sort(parts.validation)  # so that the memory-mapped file is read in order
    outputs = logits(model, images, validation)
    return {
        "validation_logits": outputs,
        "validation_labels": np.asarray(labels[validation], np.int64),
        "reload_images": np.asarray(images[validation[:RELOAD_IMAGES]]),
        "reload_logits": outputs[:RELOAD_IMAGES],
    }


def compare_paths(
    head: Any, features: npt.NDArray[Any], parts: "Split", whole: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """How far a whole net is from its head on the cached features, which the search saw.

    Args:
        head: The kept one.
        features: Of all training images ``(N, F)``.
        parts: The search's split.
        whole: The whole net's outputs for the validation images.

    Raises:
        ValueError: Too far.
    """
    from search.evaluation.forward import logits

    cached = cached_path(logits(head, features, np.sort(parts.validation)), whole)
    if problem := differs(cached):
        raise ValueError(problem)
    return cached


def fit_baselines(
    names: Sequence[str],
    dataset: "Dataset",
    features: npt.NDArray[Any] | None,
    chosen: Integers,
    seed: int,
) -> list[Fitted]:
    """Each baseline on the pixels of the chosen images, and on their features where there are any."""
    images, labels = dataset.train()
    inputs = [images] if features is None else [images, features]
    return [fit_baseline(name, x, labels, chosen, seed) for name in names for x in inputs]


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
