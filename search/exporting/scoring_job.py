"""A child's job: the one pass over the test images. No other place opens them.

Before it, the net is scored on the validation images, which give the temperature, and compared with what the search saw
of it; baselines are fitted. Then the exporting process checks the file, by what has been stored so far, before it lets
the pass begin. So whatever fails before it has not looked at a test image.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from search.data import open_dataset, training_split
from search.formatting import percent
from search.metrics.baselines import FittedBaseline, evenly_spaced, fit_baseline
from search.metrics.calibration import fit_temperature
from search.metrics.classification import MOST_MISTAKES, Integers, Scores, log_probabilities
from search.metrics.inference import FastestBatch, logits
from search.process.channel import Channel
from search.training.models import FEATURES, Head
from search.training.plan import TrainingPlan

if TYPE_CHECKING:
    from search.data import Dataset, Split


Arrays = dict[str, npt.NDArray[Any]]
# Enough to tell a spoilt file from a good one, few enough to take a moment in a fresh process.
RELOAD_IMAGES = 256
# Of so many training images the accuracy is known to a point, and it takes seconds.
TRAINING_IMAGES = 2000
# The search sees features that are cached in 16 bits. By so much the whole net's probabilities may differ from that,
# and for this part of the images the class must be the same.
CACHED_TOLERANCE, SAME_CLASS = 1e-2, 0.999


def score(payload: dict[str, Any], channel: "Channel") -> None:
    """Score a net on the sealed test images, on the study's validation images and on some training images.

    Args:
        payload: What to score, and where:

            - ``model``: the net's file; ``dataset``: folder of the prepared images; ``source``: what the user
              calls their source; ``out``: an ``.npz`` to write.
            - ``temperature``: where one is known already, as from out-of-fold predictions; else None, and it is fitted.
            - ``validation``, ``images``, ``split_seed``, ``folds``, ``fold_of``, ``race``: the study's split, or its
              first fold; with ``race_part`` and ``race_parts`` that of a race's first round.
            - ``unseen``: file of a net that was not trained on the validation images: the model itself, or after a
              refit the search's; None where none is kept.
            - ``head`` and ``features``: of a net over a frozen backbone the file of its head, and the file of the
              training images' cached features; else None. Of a fine-tuned net, ``frozen`` is the plan of its head's
              training, for the backbone as it was, where baselines are to be fitted on features; else None.
            - ``baselines``: their names; ``refit``: whether the model, and so the baselines, may train on all training
              images; ``gpu_memory``: GB or None.
        channel: Is asked with ``validated`` and the ``temperature``, once all but the test images' part of ``out`` is
            there, whether to go on; then gets ``done`` with ``train_images`` (size of the search's training split),
            ``temperature`` (None where none was fitted), ``baselines`` (of each ``name``, ``on``, ``how`` and
            ``images``), ``cached_path`` (see ``compare_with_cached``) and ``milliseconds`` (what the net takes an
            image, in batches).
    """
    import keras

    from search.process import backends

    backends.current().use_device(payload["gpu_memory"])
    model = keras.models.load_model(payload["model"])
    head = keras.models.load_model(payload["head"]) if payload["head"] else None
    dataset = replace(open_dataset(Path(payload["dataset"])), source=payload["source"])
    _, labels = dataset.train()
    names = ("validation", "images", "folds", "fold_of", "race", "race_part", "race_parts")
    settings = {name: payload[name] for name in names}
    parts = training_split(labels, **settings, which=0, seed=payload["split_seed"], rule=dataset.rule())
    features = np.load(payload["features"], mmap_mode="r") if payload["features"] else None
    fastest = FastestBatch()
    arrays = score_validation(model, dataset, parts, fastest)
    if payload["unseen"]:
        known = arrays["validation_logits"] if payload["unseen"] == payload["model"] else None
        unseen = model if known is not None else keras.models.load_model(payload["unseen"])
        arrays |= score_unseen(unseen, dataset, parts, known)
    cached_path = None
    if head is not None and features is not None:
        cached = logits(head, features, np.sort(parts.validation))
        cached_path = compare_with_cached(cached, arrays["validation_logits"])
        model = SplitNet(below_head(model), head)
    frozen = Head(TrainingPlan.from_payload(payload["frozen"])).frozen() if payload["frozen"] else None
    temperature = payload["temperature"] or find_temperature(arrays)
    chosen = np.arange(len(labels)) if payload["refit"] else parts.train
    baselines = fit_baselines(payload["baselines"], dataset, features, chosen, payload["split_seed"])
    dataset.test()  # Whether they are there and whole: no pixel of them is read yet, and nothing is counted.
    _store(payload["out"], arrays)
    channel.ask({"kind": "validated", "temperature": temperature})
    arrays |= score_test(model, dataset, temperature or 1.0, baselines, frozen)
    _store(payload["out"], arrays)
    channel.send(
        {
            "kind": "done",
            "train_images": len(parts.train),
            "temperature": temperature,
            "baselines": {
                fitted.key: {"name": fitted.name, "on": fitted.on, "how": fitted.how, "images": fitted.images}
                for fitted in baselines
            },
            "cached_path": cached_path,
            "milliseconds": fastest.milliseconds,
        }
    )


def _store(out: str, arrays: Arrays) -> None:
    np.savez(out, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle


def score_validation(model: Any, dataset: "Dataset", parts: "Split", fastest: FastestBatch) -> Arrays:
    """Outputs for the validation images, and the few of them that the check in a fresh process is made with."""
    images, labels = dataset.train()
    validation = np.sort(parts.validation)  # so that the memory-mapped file is read in order
    outputs = logits(model, images, validation, fastest=fastest)
    if fastest.milliseconds is None:  # They are one batch, in which the net was traced.
        logits(model, images, validation[:1], fastest=fastest)
    return {
        "validation_logits": outputs,
        "validation_labels": np.asarray(labels[validation], np.int64),
        "reload_images": np.asarray(images[validation[:RELOAD_IMAGES]]),
        "reload_logits": outputs[:RELOAD_IMAGES],
    }


def score_unseen(
    model: Any, dataset: "Dataset", parts: "Split", known: npt.NDArray[np.float32] | None
) -> Arrays:
    """Outputs for the validation images, which this net has not seen, and for some training images, which it has.

    Args:
        model: The net.
        dataset: The prepared images.
        parts: The search's split.
        known: Its outputs for the validation images, where they have been computed already.
    """
    images, labels = dataset.train()
    chosen = evenly_spaced(parts.train, TRAINING_IMAGES)
    validation = np.sort(parts.validation)
    return {
        "unseen_logits": logits(model, images, validation) if known is None else known,
        "unseen_labels": np.asarray(labels[validation], np.int64),
        "seen_logits": logits(model, images, chosen),
        "seen_labels": np.asarray(labels[chosen], np.int64),
    }


def compare_with_cached(cached: npt.NDArray[np.float32], whole: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Compare a whole net with what the search saw of it, which is its head on cached features.

    Args:
        cached: Outputs ``(N, classes)`` of the head on cached features.
        whole: Outputs of the whole net for the same images' pixels.

    Returns:
        ``largest_probability_difference``, ``same_class`` (fraction of the images) and ``images`` (their number).

    Raises:
        ValueError: They differ by more than 16 bits can explain. A single image whose class changes is no fault.
    """
    seen, found = np.exp(log_probabilities(cached)), np.exp(log_probabilities(whole))
    difference = float(np.abs(seen - found).max())
    same, images = float((seen.argmax(1) == found.argmax(1)).mean()), len(seen)
    few_changed = round((1 - same) * images) <= max(1, (1 - SAME_CLASS) * images)
    if not (difference <= CACHED_TOLERANCE and few_changed):  # NaN is no agreement.
        raise ValueError(
            f"the whole net's probabilities differ from the search's by up to {difference:.2g}, and {percent(same)} of "
            f"{images:,} validation images keep their class; expected at most {CACHED_TOLERANCE} and "
            f"{100 * SAME_CLASS} %"
        )
    return {"largest_probability_difference": difference, "same_class": same, "images": images}


def find_temperature(arrays: Arrays) -> float | None:
    """The temperature fitted on validation images that a net has not seen; None where there is no such net or value."""
    if "unseen_logits" not in arrays or not np.isfinite(arrays["unseen_logits"]).all():
        return None
    return fit_temperature(Scores(arrays["unseen_labels"], arrays["unseen_logits"]))


def fit_baselines(
    names: Sequence[str],
    dataset: "Dataset",
    features: npt.NDArray[Any] | None,
    chosen: Integers,
    seed: int,
) -> list[FittedBaseline]:
    """Fit each baseline on the pixels of the chosen images, and on their features where there are any."""
    images, labels = dataset.train()
    inputs = [images] if features is None else [images, features]
    return [fit_baseline(name, x, labels, chosen, seed) for name in names for x in inputs]


class SplitNet(NamedTuple):
    """A net over a frozen backbone in two Keras models, so that one pass gives the features as well."""

    below: Any
    head: Any


def below_head(model: Any) -> Any:
    """The frozen part of a whole net."""
    import keras

    return keras.Model(model.input, model.get_layer(FEATURES).output)


def score_test(
    model: Any,
    dataset: "Dataset",
    temperature: float,
    baselines: Sequence[FittedBaseline],
    frozen: Any = None,
) -> Arrays:
    """Outputs for all test images, and the few images that are drawn: nobody opens the test split for them again.

    Args:
        model: A Keras model, or a ``SplitNet``.
        dataset: The prepared images.
        temperature: By which confidences are compared.
        baselines: Answer to the same images.
        frozen: What gives the features for them, where the model itself gives none.
    """
    images, labels = dataset.test()
    inputs: Arrays = {"pixels": images}
    if isinstance(model, SplitNet):
        inputs["features"] = logits(model.below, images)
        outputs = logits(model.head, inputs["features"])
    else:
        outputs = logits(model, images)
        if frozen is not None:
            inputs["features"] = logits(frozen, images)
    truth = np.asarray(labels, np.int64)
    worst = np.zeros(0, np.int64)
    if np.isfinite(outputs).all():
        worst = Scores(truth, outputs, temperature).mistaken[:MOST_MISTAKES]
    return {
        "test_logits": outputs,
        "test_labels": truth,
        "test_names": np.array(dataset.test_names(), np.str_),
        "mistakes": worst,
        **{f"mistaken_{at}": picture for at, picture in enumerate(dataset.test_thumbnails(worst.tolist()))},
        **{f"baseline_{fitted.key}": fitted.predict(inputs[fitted.on]) for fitted in baselines},
    }
