"""How good a backbone is for a study's images: logistic regression on its features, in the study's own folds.

A child's job. It computes the features, which the trials over this backbone then find in the cache, and fits no net.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from search.data import open_dataset
from search.data.base import Labels
from search.data.folds import read_folds
from search.process import backends
from search.process.channel import Channel
from search.training.models import Head
from search.training.plan import TrainingPlan

# scikit-learn's, on features that are scaled as ``spaces.transfer`` scales them. By ten folds of ants and bees, a tenth
# to a hundredth of it is as good, a hundredth of it less sure of itself than it may be.
STRENGTH = 0.1
STEPS = 300


def probe(payload: dict[str, Any], channel: Channel) -> None:
    """Predict each training image by logistic regression, fitted on the folds that it is not in.

    Args:
        payload: A ``TrainingPlan`` with folds, whose params choose the backbone.
        channel: Gets ``features`` while they are computed, then ``done`` with ``predicted``, a class an image; ``None``
            where the worker asked to stop.
    """
    plan = TrainingPlan.from_payload(payload)
    backends.current().use_device(plan.gpu_memory)
    dataset = open_dataset(Path(plan.dataset))
    _, labels = dataset.train()
    features, _ = Head(plan).inputs(dataset, plan.split(dataset), channel)
    predicted = predict_out_of_fold(features, labels, read_folds(plan.fold_of), channel)
    channel.send({"kind": "done", "predicted": predicted.tolist()})


def predict_out_of_fold(
    features: npt.NDArray[Any], labels: Labels, fold_of: Labels, channel: Channel | None = None
) -> Labels:
    """The class of each image ``(N,)`` by logistic regression on the features of the images in other folds.

    Args:
        features: Of all images, ``(N, F)``.
        labels: Class numbers ``(N,)``.
        fold_of: The fold of each image ``(N,)``.
        channel: Gets a sign of life a fold.
    """
    predicted = np.empty(len(labels), np.int64)
    for fold in np.unique(fold_of):
        held = fold_of == fold
        train = np.asarray(features[~held], np.float32)
        mean, scale = train.mean(axis=0), float(np.sqrt(train.var(axis=0).mean())) or 1.0
        fitted = LogisticRegression(C=STRENGTH, max_iter=STEPS).fit((train - mean) / scale, labels[~held])
        predicted[held] = fitted.predict((np.asarray(features[held], np.float32) - mean) / scale)
        if channel is not None:
            channel.pulse()
    return predicted
